package source

import (
	"bytes"
	"context"
	"encoding/json"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"dixa-import/source/internal/jq"
	"dixa-import/source/internal/redact"
)

// RedactRule is a kind of personal data that is replaced by placeholders: one of RedactKinds, or a name with a regular expression of one's own.
type RedactRule = redact.Rule

// RedactKinds are the names of the built-in rules.
func RedactKinds() []string { return redact.Kinds() }

// Redactor replaces personal data in what is sent: texts of messages, names of attachments, values of attributes, notes and comments.
type Redactor struct{ rules *redact.Redactor }

// NewRedactor returns a redactor, nil if there are no rules. region is the country of phone numbers without a country code, such as DK.
func NewRedactor(rules []RedactRule, region string) (*Redactor, error) {
	if len(rules) == 0 {
		return nil, nil //nolint:nilnil // no rules are no error
	}
	r, err := redact.New(rules, region)
	if err != nil {
		return nil, err
	}
	return &Redactor{r}, nil
}

// Redacted returns a reader whose transcripts are redacted; r itself if red is nil.
func Redacted(r Reader, red *Redactor) Reader {
	if red == nil {
		return r
	}
	return &redacted{r, red}
}

type redacted struct {
	Reader
	red *Redactor
}

func (r *redacted) Read(ctx context.Context, since time.Time) iter.Seq2[*Record, error] {
	return r.all(r.Reader.Read(ctx, since))
}

func (r *redacted) Fetch(ctx context.Context, keys []string) iter.Seq2[*Record, error] {
	return r.all(r.Reader.Fetch(ctx, keys))
}

func (r *redacted) all(records iter.Seq2[*Record, error]) iter.Seq2[*Record, error] {
	return func(yield func(*Record, error) bool) {
		for rec, err := range records {
			if rec != nil {
				rec.redactor = r.red
			}
			if !yield(rec, err) {
				return
			}
		}
	}
}

// CountsOf returns what the mapping of a reader has counted so far, and whether it has one.
func CountsOf(r Reader) (c MappingCounts, mapped bool) {
	if wrapped, ok := r.(*redacted); ok {
		r = wrapped.Reader
	}
	if m, ok := r.(interface{ Counts() MappingCounts }); ok {
		return m.Counts(), true
	}
	return c, false
}

// transcript replaces personal data in a transcript.
func (r *Redactor) transcript(t *Transcript) {
	var seen redact.Placeholders
	for i := range t.Messages {
		m := &t.Messages[i]
		m.Text = r.rules.Text(m.Text, &seen, quotes[m.Format])
		if len(m.Attachments) > 0 {
			m.Attachments = slices.Clone(m.Attachments)
		}
		for j := range m.Attachments {
			m.Attachments[j].Name = r.rules.Text(m.Attachments[j].Name, &seen, nil)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(t.Attributes)) {
		v := t.Attributes[name]
		v.Text, v.List = r.rules.Text(v.Text, &seen, nil), slices.Clone(v.List)
		for i := range v.List {
			v.List[i] = r.rules.Text(v.List[i], &seen, nil)
		}
		t.Attributes[name] = v
	}
	for i := range t.Notes {
		t.Notes[i].Text = r.rules.Text(t.Notes[i].Text, &seen, nil)
	}
	if t.Rating != nil {
		t.Rating.Comment = r.rules.Text(t.Rating.Comment, &seen, nil)
	}
	t.Redacted = seen.Hits
}

// quotes keep a placeholder visible in a format in which <...> is a tag.
var quotes = map[Format]func(string) string{
	FormatMarkdown: func(s string) string { return `\` + s },
	FormatHTML:     func(s string) string { return "&lt;" + s[1:len(s)-1] + "&gt;" },
}

// raw replaces personal data in a source record, everywhere but in ids, times and what identifies the end-user, without which it could not be
// imported.
func (r *Redactor) raw(raw []byte) []byte {
	var seen redact.Placeholders
	value, err := jq.Parse(raw)
	if err != nil || !bytes.HasPrefix(bytes.TrimSpace(raw), []byte("{")) {
		return []byte(r.rules.Text(string(raw), &seen, nil))
	}
	out, err := jq.Marshal(r.value(value, &seen))
	if err != nil {
		return []byte(r.rules.Text(string(raw), &seen, nil))
	}
	return out
}

// text replaces personal data in a text of any kind.
func (r *Redactor) text(text string) string { return r.rules.Text(text, &redact.Placeholders{}, nil) }

func (r *Redactor) value(v any, seen *redact.Placeholders) any {
	switch v := v.(type) {
	case string:
		return r.rules.Text(v, seen, nil)
	case json.Number:
		if text := r.rules.Text(v.String(), seen, nil); text != v.String() {
			return text
		}
	case []any:
		for i := range v {
			v[i] = r.value(v[i], seen)
		}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			if name == "id" || strings.HasPrefix(name, "end_user") || strings.HasSuffix(name, "_at") || name == "_error" {
				continue
			}
			v[name] = r.value(v[name], seen)
		}
	}
	return v
}
