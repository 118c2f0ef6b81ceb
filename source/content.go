package source

import (
	"bytes"
	"fmt"
	"net/url"
	"strings"
	"unicode"
)

// content decodes messages[i].text or .content: a string, or an array of parts as chat APIs have it. Parts of text are put together,
// files with an address become attachments, all other kinds are dropped: reasoning, tool calls and their results are nobody's words. A
// text in which nothing can be seen is "".
func (d *decoder) content(value []byte, field string, i int) (text string, attachments []Attachment, failure *RejectError) {
	if !given(value) {
		return "", nil, nil
	}
	text, ok := unquote(value)
	if !ok {
		if value[0] != '[' {
			return "", nil, reject(RejectInvalidField, "messages[%d].%s is neither a string nor an array of parts: write the text of the message as a string", i, field)
		}
		if text, attachments, failure = d.parts(value, field, i); failure != nil {
			return "", nil, failure
		}
	}
	if blank(text) {
		text = ""
	}
	return text, attachments, nil
}

// parts puts the parts of a text together.
func (d *decoder) parts(value []byte, field string, i int) (text string, attachments []Attachment, failure *RejectError) {
	var b strings.Builder
	all := elements{value}
	for n := 0; ; n++ {
		value, ok := all.next()
		if !ok {
			return b.String(), attachments, nil
		}
		piece, problem := "", ""
		switch value[0] {
		case '"':
			piece, _ = unquote(value)
		case '{':
			var a *Attachment
			piece, a, problem = d.part(value, field, i, n)
			if a != nil {
				attachments = append(attachments, *a)
			}
		case 'n':
		default:
			problem = " is neither a string nor an object: write a text, or an object with type and text"
		}
		if problem != "" {
			return "", nil, reject(RejectInvalidField, "messages[%d].%s[%d]%s", i, field, n, problem)
		}
		appendPart(&b, piece)
	}
}

// appendPart adds a part of a text on a line of its own, unless white space parts the two already.
func appendPart(b *strings.Builder, piece string) {
	if piece == "" {
		return
	}
	if before := b.String(); before != "" && strings.TrimRightFunc(before, unicode.IsSpace) == before && strings.TrimLeftFunc(piece, unicode.IsSpace) == piece {
		b.WriteByte('\n')
	}
	b.WriteString(piece)
}

// part decodes messages[i].field[n], a part that is an object. The problem goes with its path.
func (d *decoder) part(object []byte, field string, i, n int) (text string, a *Attachment, problem string) {
	if bytes.Equal(member(object, "thought"), []byte("true")) { // as Gemini has its reasoning, a text otherwise
		return "", nil, ""
	}
	kind, named := string(inside(member(object, "type"))), "part"
	switch kind {
	case "text", "input_text", "output_text", "":
		if value := member(object, "text"); kind != "" || value != nil {
			return partText(value, "text")
		}
	case "refusal": // what the bot said instead of an answer
		return partText(member(object, "refusal"), "refusal")
	case "image_url", "input_image", "image", "file", "input_file":
		if a := partFile(object); a != nil {
			return "", a, ""
		}
		named = kind
	default:
		named = kind
	}
	if !privatePart(named) && !privatePart(firstName(object)) {
		d.note("messages."+field+".", []byte(named))
		words, _ := unquote(member(object, "text"))
		if sure := !blank(words); d.unread.field == "" || sure {
			d.unread = unread{at: i, sure: sure, field: field, what: fmt.Sprintf(".%s[%d] is neither a text nor a file with a URL: write it as one of these, or remove it if nobody in the chat wrote it", field, n)}
		}
	}
	return "", nil, ""
}

// firstName returns the name of an object's first member, which is the kind of a part that has no type.
func firstName(object []byte) string {
	name, _, _ := (&members{object}).next()
	return string(name)
}

func partText(value []byte, field string) (text string, a *Attachment, problem string) {
	if !given(value) {
		return "", nil, ""
	}
	if value[0] == '{' { // as OpenAI's assistants have it, with annotations beside it
		value = member(value, "value")
	}
	text, ok := unquote(value)
	if !ok {
		problem = fmt.Sprintf(".%s is not a string: write the text as a string", field)
	}
	return text, nil, problem
}

// privatePart reports whether parts of a kind are a model's own affair, which nobody misses.
func privatePart(kind string) bool {
	for _, word := range []string{"tool", "function", "reasoning", "thinking"} {
		if strings.Contains(kind, word) {
			return true
		}
	}
	return false
}

// partFile returns the file of a part if it has an address that others can read.
func partFile(object []byte) *Attachment {
	for _, name := range []string{"image_url", "url", "file_url", "image", "source", "file"} {
		value := member(object, name)
		if len(value) > 0 && value[0] == '{' {
			value = member(value, "url")
		}
		text, ok := unquote(value)
		if !ok {
			continue
		}
		text = strings.TrimSpace(text)
		u, err := url.Parse(text)
		if err != nil || u.Host == "" || !strings.EqualFold(u.Scheme, "http") && !strings.EqualFold(u.Scheme, "https") {
			continue
		}
		a := &Attachment{URL: text}
		for _, name := range []string{"filename", "name"} {
			if title, ok := unquote(member(object, name)); ok && a.Name == "" {
				a.Name = title
			}
		}
		return a
	}
	return nil
}

// blank reports whether a text shows nothing: white space, control and format characters, and letters that are empty by nature.
func blank(text string) bool {
	return strings.IndexFunc(text, visible) < 0
}

// visible reports whether a character shows: it is none of the characters that Unicode calls ignorable by default, and no blank.
func visible(r rune) bool {
	const brailleBlank = '\u2800'
	switch {
	case r > ' ' && r < 0x7f:
		return true
	case r == brailleBlank, unicode.IsSpace(r), unicode.IsControl(r),
		unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector):
		return false
	case unicode.Is(unicode.Cf, r): // those of this class that join numbers are drawn
		return unicode.Is(unicode.Prepended_Concatenation_Mark, r)
	}
	return true
}
