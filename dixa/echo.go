package dixa

import (
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// private is what a request says of a customer. Dixa may say it again when it refuses the request.
type private []string

const (
	shortestEcho = 3  // runes of a value that is looked for
	sureEcho     = 8  // runes that are no part of a longer word by chance
	surestEcho   = 24 // runes that are enough to know a value by, which Dixa may have cut
)

// mask takes out of a text on one line what is private.
func (p private) mask(text string) string {
	masked := text
	for _, value := range p.forms() {
		masked = withoutEcho(masked, value)
	}
	return masked
}

// forms are the values as Dixa may repeat them: on one line, or as they stand in JSON; the longest first.
func (p private) forms() []string {
	var forms []string
	for _, value := range p {
		plain := oneLine(value)
		if utf8.RuneCountInString(plain) < shortestEcho {
			continue
		}
		forms = append(forms, plain)
		if quoted, err := encode(value); err == nil {
			if inside := oneLine(string(quoted[1 : len(quoted)-1])); inside != plain {
				forms = append(forms, inside)
			}
		}
	}
	slices.SortFunc(forms, func(a, b string) int { return len(b) - len(a) })
	return slices.Compact(forms)
}

// withoutEcho masks a value in a text, a short one where it stands alone, and of a long one also what the text has of its
// beginning.
func withoutEcho(text, value string) string {
	begin := firstRunes(value, surestEcho)
	var b strings.Builder
	for {
		at := strings.Index(text, begin)
		if at < 0 {
			b.WriteString(text)
			return b.String()
		}
		end := at + len(begin)
		for n := len(begin); n < len(value) && end < len(text) && text[end] == value[n]; n++ {
			end++
		}
		if utf8.RuneCountInString(value) < sureEcho && (wordGoesOn(text[:at], begin) || wordGoesOn(text[at:end], text[end:])) {
			b.WriteString(text[:end])
		} else {
			b.WriteString(text[:at] + mask)
		}
		text = text[end:]
	}
}

func firstRunes(s string, n int) string {
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}

// wordGoesOn reports whether a word begins in one text and goes on in the next.
func wordGoesOn(before, after string) bool {
	last, _ := utf8.DecodeLastRuneInString(before)
	first, _ := utf8.DecodeRuneInString(after)
	inWord := func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }
	return inWord(last) && inWord(first)
}

// requestBody is what a request may carry: it knows what of it is private.
type requestBody interface{ private() private }

// private is what a call says of customers, in its body or as the filter of a look-up.
func (in call[T]) private() private {
	if in.body != nil {
		return in.body.private()
	}
	target, err := url.Parse(in.url)
	if err != nil {
		return nil
	}
	var p private
	for _, filter := range []IdentifierKind{ByEmail, ByPhone, ByExternalID} {
		p = append(p, target.Query()[string(filter)]...)
	}
	return p
}

func (in ConversationImport) private() private {
	var p private
	for _, m := range in.Messages {
		p = append(p, m.Content.Value)
		for _, a := range m.Attachments {
			p = append(p, a.URL, a.PrettyName)
		}
	}
	return p
}

func (b importBody) private() private { return ConversationImport(b.plainImport).private() }

func (u NewEndUser) private() private {
	p := private{u.DisplayName, u.Email, u.PhoneNumber, u.ExternalID}
	return append(append(p, u.AdditionalEmails...), u.AdditionalPhoneNumbers...)
}

func (b bulkUsers) private() private {
	var p private
	for _, u := range b.Data {
		p = append(p, u.private()...)
	}
	return p
}

// attributeValues are the values of custom attributes by their UUIDs.
type attributeValues map[string]AttributeValue

func (values attributeValues) private() private {
	var p private
	for _, v := range values {
		p = append(append(p, v.Text), v.List...)
	}
	return p
}
