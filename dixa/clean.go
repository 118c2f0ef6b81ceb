package dixa

import (
	"iter"
	"regexp"
	"strings"
	"unicode"
)

const (
	maxMessage = 300  // runes of a message that are kept
	maxScanned = 4096 // runes of a message that are looked at
	mask       = "***"
)

var (
	uuidText = `[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}`
	// kept is what looks like a phone number and is none: UUIDs and dates.
	kept = regexp.MustCompile(`\b(?:` + uuidText + `|(?:19|20)\d\d-[01]\d-[0-3]\d)\b`)
	// email also knows the @ that a URL has encoded, and quoted names.
	email = regexp.MustCompile(`(?i)(?:"[^"]*"|[^\s@<>"'(),;:\[\]{}=]+)(?:(?:@|%40)[^\s@<>"'(),;:\[\]{}=]+)+`)
	// phone is a plus and seven digits or more, wherever it stands, with what people put between digits; or seven digits
	// or more that stand alone, not as a part of a longer name such as support-bot/12345678.
	phone = regexp.MustCompile(`(?i)(?:\+|%2B)[\s(]*\d(?:[\s().\-/]*\d){6,}|(^|[\s"'` + "`" + `(\[{<>=:,;])(?:\d(?:[\s().\-]*\d){6,})`)
)

// cleanMessage makes a message of Dixa's fit for errors, logs and tables: valid UTF-8 on one line, without email
// addresses and phone numbers, of at most 300 characters.
func cleanMessage(text string) string { return cleanKeeping(text, "", nil) }

// cleanKeeping is cleanMessage for the answer to a request that said something private. One part of the text may be known to
// be harmless; "" keeps nothing.
func cleanKeeping(text, keep string, said private) string {
	text = oneLine(text)
	var b strings.Builder
	if before, after, ok := strings.Cut(text, keep); ok && keep != "" {
		b.WriteString(maskPersonal(said.mask(before)) + keep + maskPersonal(said.mask(after)))
	} else {
		b.WriteString(maskPersonal(said.mask(text)))
	}
	return truncate(b.String(), maxMessage)
}

// longestContained returns the longest of the texts that is part of text, "" if none is.
func longestContained(text string, parts iter.Seq[string]) string {
	longest := ""
	for part := range parts {
		if len(part) > len(longest) && strings.Contains(text, part) {
			longest = part
		}
	}
	return longest
}

// oneLine folds space and drops control and formatting characters, which could also hide an address from the masks.
func oneLine(text string) string {
	text = truncate(strings.ToValidUTF8(text, "\uFFFD"), maxScanned)
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.In(r, unicode.C):
			return -1
		}
		return r
	}, text)
	return strings.Join(strings.Fields(text), " ")
}

func truncate(text string, runes int) string {
	for i := range text {
		if runes == 0 {
			return strings.TrimSpace(text[:i])
		}
		runes--
	}
	return text
}

func maskPersonal(text string) string {
	text = email.ReplaceAllString(text, mask)
	var b strings.Builder
	for {
		at := kept.FindStringIndex(text)
		if at == nil {
			b.WriteString(phone.ReplaceAllString(text, "${1}"+mask))
			return b.String()
		}
		b.WriteString(phone.ReplaceAllString(text[:at[0]], "${1}"+mask) + text[at[0]:at[1]])
		text = text[at[1]:]
	}
}
