package jq

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/itchyny/gojq"
)

// helper is a function for programs. Those that every program of a format calls for each message are written in Go, as they would take most of the time.
type helper struct {
	name  string
	arity int
	use   string // how it is written, where that is not the name alone
	does  string
	call  func(v any, args []any) any
}

func unary(f func(any) any) func(any, []any) any { return func(v any, _ []any) any { return f(v) } }

var helpers = []helper{
	{"said", 0, "", "a text that is not blank, or null", unary(orNull(said))},
	{"known", 0, "", "a value that identifies something, as a text, or null: null, NULL, \\N, none, undefined and blank texts identify nothing", unary(orNull(known))},
	{"person", 0, "", "what identifies or names somebody, or null: Guest, anonymous and their like, [PII], and numbers that a spreadsheet rounded are nobody", unary(orNull(person))},
	{"phone", 0, "", "a phone number without a prefix such as tel: or whatsapp:, or null", unary(orNull(phone))},
	{"email", 0, "", "an e-mail address without mailto:, or null", unary(orNull(email))},
	{"identity", 0, "", "who an object such as metadata names, by user_id, email, phone, name and their like: a part of end_user", unary(identity)},
	{"account", 0, "", "identity of a user object, which has an id of its own", unary(account)},
	{"lines", 0, "", "the texts of an array that say something, one a line; null if there are none", unary(orNull(lines))},
	{"options", 0, "", `buttons, quick replies or choices as lines that begin with "- "`, unary(orNull(options))},
	{"card", 0, "", "the texts of a card with nested blocks, as Adaptive Cards have them", unary(orNull(card))},
	{"citations", 0, "", "a text without the marks that OpenAI's assistants put at what they quote", unary(citations)},
	{"json", 0, "", "the value of a text that holds JSON, null if it does not; any other value as it is", unary(unpack)},
	{"compact", 0, "", "an object without its null fields", unary(compact)},
	{"dropped", 1, "dropped(kind)", "instead of a message or a transcript: it is not sent, but counted under the name of its kind", func(_ any, args []any) any { return dropped(args[0]) }},
	{"file", 2, "file(url; name)", "an attachment, or null if the address is not on the web", func(_ any, args []any) any { return file(args[0], args[1]) }},
	{"message", 2, "message(role; at)", `a message of {id, text, attachments, format}, or dropped(role + " without text") if it has neither text nor attachments`, message},
}

// orNull makes a function of values of one that says whether there is a result.
func orNull(f func(any) (string, bool)) func(any) any {
	return func(v any) any {
		if text, ok := f(v); ok {
			return text
		}
		return nil
	}
}

func said(v any) (string, bool) {
	text, ok := v.(string)
	if !ok {
		return "", false
	}
	text = strings.TrimPrefix(text, "\ufeff")
	return text, strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsSpace(r) })
}

func known(v any) (string, bool) {
	switch v := v.(type) {
	case json.Number:
		return v.String(), true
	case int:
		return strconv.Itoa(v), true
	case float64, *big.Int:
		data, err := gojq.Marshal(v)
		return string(data), err == nil
	case string:
		text := strings.TrimSpace(strings.TrimPrefix(v, "\ufeff"))
		switch strings.ToLower(text) {
		case "", `\n`, "null", "none", "undefined", "nan":
			return "", false
		}
		return text, true
	}
	return "", false
}

// nobody are names that stand for everybody.
var nobody = map[string]bool{"guest": true, "customer": true, "anonymous": true, "anonymous user": true, "visitor": true, "user": true, "unknown": true, "unknown user": true, "n/a": true, "na": true, "-": true,
	"[pii]": true, "[redacted]": true}

var rounded = regexp.MustCompile(`^[0-9]([.,][0-9]+)?[eE]\+[0-9]+$`)

func person(v any) (string, bool) {
	text, ok := known(v)
	return text, ok && !nobody[strings.ToLower(text)] && !rounded.MatchString(text)
}

var (
	phonePrefix  = regexp.MustCompile(`(?i)^(tel|sms|whatsapp):`)
	phonePattern = regexp.MustCompile(`^\+?[0-9][0-9 ()./-]{5,}$`)
)

func phone(v any) (string, bool) {
	text, ok := person(v)
	if !ok {
		return "", false
	}
	text = phonePrefix.ReplaceAllString(text, "")
	return text, phonePattern.MatchString(text)
}

func email(v any) (string, bool) {
	text, ok := person(v)
	if !ok {
		return "", false
	}
	if len(text) > 7 && strings.EqualFold(text[:7], "mailto:") {
		text = text[7:]
	}
	local, domain, at := strings.Cut(text, "@")
	return text, at && local != "" && domain != "" && !strings.Contains(domain, "@") && !strings.ContainsFunc(text, unicode.IsSpace)
}

var identityFields = []struct {
	name  string
	from  []any
	value func(any) (string, bool)
}{
	{"external_id", []any{"external_id", "user_id", "customer_id", "end_user_id", "enduser_id", "user", "sub"}, person},
	{"email", []any{"email", "user_email", "customer_email", "email_address"}, email},
	{"phone", []any{"phone", "phone_number", "user_phone", "customer_phone"}, phone},
	{"name", []any{"name", "full_name", "user_name", "customer_name", "display_name"}, person},
}

func identity(v any) any {
	out := map[string]any{}
	for _, f := range identityFields {
		if text, ok := f.value(field(v, f.from)); ok {
			out[f.name] = text
		}
	}
	return out
}

func account(v any) any {
	out, _ := identity(v).(map[string]any)
	if object, ok := v.(map[string]any); ok {
		if id, ok := person(object["id"]); ok {
			out["external_id"] = id
		}
	}
	return out
}

func lines(v any) (string, bool) {
	all, _ := v.([]any)
	var b strings.Builder
	for _, e := range all {
		if text, ok := said(e); ok {
			if b.Len() > 0 {
				b.WriteByte('\n')
			}
			b.WriteString(text)
		}
	}
	return b.String(), b.Len() > 0
}

func options(v any) (string, bool) {
	all, _ := v.([]any)
	var out []any
	for _, e := range all {
		text, ok := said(e)
		if object, is := e.(map[string]any); is {
			for _, name := range []string{"title", "label", "text", "name", "value"} {
				if text, ok = said(object[name]); ok {
					break
				}
			}
		}
		if ok {
			out = append(out, "- "+text)
		}
	}
	return lines(out)
}

func card(v any) (string, bool) {
	var out []any
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, e := range v {
				walk(e)
			}
		case map[string]any:
			if v["type"] == "TextBlock" || v["type"] == "TextRun" {
				out = append(out, v["text"])
			}
			for _, name := range slices.Sorted(maps.Keys(v)) {
				walk(v[name])
			}
		}
	}
	walk(v)
	return lines(out)
}

var citation = regexp.MustCompile(`【[^】]*】`)

func citations(v any) any {
	if text, ok := v.(string); ok && strings.Contains(text, "【") {
		return citation.ReplaceAllString(text, "")
	}
	return v
}

func unpack(v any) any {
	text, ok := v.(string)
	if !ok {
		return v
	}
	out, err := Parse([]byte(text))
	if err != nil {
		return nil
	}
	return out
}

func compact(v any) any {
	object, ok := v.(map[string]any)
	if !ok {
		return fmt.Errorf("compact cannot be applied to: %s", gojq.TypeOf(v))
	}
	out := make(map[string]any, len(object))
	for name, value := range object {
		if value != nil {
			out[name] = value
		}
	}
	return out
}

func dropped(kind any) any {
	text, ok := kind.(string)
	if !ok {
		data, err := gojq.Marshal(kind)
		if err != nil {
			return err
		}
		text = string(data)
	}
	return map[string]any{"_drop": text}
}

func file(url, name any) any {
	address := webURL(url)
	if address == nil {
		return nil
	}
	out := map[string]any{"url": address}
	if text, ok := known(name); ok {
		out["name"] = text
	}
	return out
}

func message(v any, args []any) any {
	object, ok := v.(map[string]any)
	if !ok {
		return fmt.Errorf("message cannot be applied to: %s", gojq.TypeOf(v))
	}
	files, _ := object["attachments"].([]any)
	if _, text := said(object["text"]); !text && len(files) == 0 {
		return dropped(fmt.Sprintf("%v without text", args[0]))
	}
	out := make(map[string]any, len(object)+2)
	if args[0] != nil {
		out["role"] = args[0]
	}
	if args[1] != nil {
		out["created_at"] = args[1]
	}
	for name, value := range object {
		if value != nil {
			out[name] = value
		}
	}
	return out
}
