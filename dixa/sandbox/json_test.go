package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// plain turns a value into what encoding/json makes of the same text, numbers as json.Number.
func (v value) plain() any {
	switch v.kind {
	case kindBool:
		return v.text == "true"
	case kindNumber:
		return json.Number(v.text)
	case kindString:
		return v.text
	case kindArray:
		list := make([]any, len(v.items))
		for i := range v.items {
			list[i] = v.items[i].plain()
		}
		return list
	case kindObject:
		object := make(map[string]any, len(v.fields))
		for _, f := range v.fields {
			object[f.name] = f.value.plain()
		}
		return object
	}
	return nil
}

func TestParse(t *testing.T) {
	t.Parallel()
	many := make([]string, 100)
	for i := range many {
		many[i] = fmt.Sprintf("%q:%d", fmt.Sprint("k", i), i)
	}
	tests := []struct {
		name, body string
		err        error
	}{
		{"empty object", ` { } `, nil},
		{"nested", `{"a":[1,-2.5e+3,{"b":null,"c":[[],true,false]}],"d":"x"}`, nil},
		{"escapes", `{"a\u0062":"\ud83d\ude00\n\"\\\/"}`, nil},
		{"many fields", "{" + strings.Join(many, ",") + "}", nil},
		{"bare number", `12`, nil},
		{"case matters", `{"a":1,"A":2}`, nil},
		{"duplicate", `{"a":1,"a":1}`, errDuplicate},
		{"duplicate by escape", `{"a":1,"\u0061":1}`, errDuplicate},
		{"duplicate far inside", `[{"x":{"a":1,"b":2,"a":1}}]`, errDuplicate},
		{"duplicate among many", "{" + strings.Join(many, ",") + `,"k50":1}`, errDuplicate},
		{"duplicate of one after many", "{" + strings.Join(many, ",") + `,"k99":1}`, errDuplicate},
		{"trailing comma", `{"a":1,}`, errSyntax},
		{"nothing", ``, errSyntax},
		{"white space", "\n", errSyntax},
		{"byte order mark", "\ufeff{}", errSyntax},
		{"cut", `{"a":"b`, errSyntax},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			v, err := parse([]byte(tt.body))
			equal(t, "error", fmt.Sprint(err), fmt.Sprint(tt.err))
			if err == nil {
				equal(t, "value", v.plain(), decodeAny(t, tt.body))
			}
		})
	}
}

func decodeAny(t testing.TB, text string) any {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

func FuzzImport(f *testing.F) {
	f.Add(importBody())
	f.Add(longImport())
	f.Add(importBody("Where", `\ud800\u0000`))
	f.Add(`{"a":[1e5,{"a":null}],"b":{"b":"\\\""}}`)
	f.Fuzz(func(t *testing.T, body string) {
		v, err := parse([]byte(body))
		if errors.Is(err, errSyntax) && json.Valid([]byte(body)) && strings.ToValidUTF8(body, "") == body {
			t.Fatalf("refused as invalid: %q", body)
		}
		if err != nil {
			return
		}
		equal(t, "value", v.plain(), decodeAny(t, body))
		var d decoder
		in := d.importRequest(&v)
		if d.refusal == "" && (!isUUID(in.conversation.RequesterID) || in.conversation.CreatedAt.IsZero()) {
			t.Errorf("accepted without a requester or a time: %q", body)
		}
		for _, m := range in.conversation.Messages {
			if d.refusal == "" && (m.CreatedAt.IsZero() || m.ContentType == "" || m.Direction == "Outbound" && m.AuthorID == "") {
				t.Errorf("accepted an incomplete message: %q", body)
			}
		}
	})
}
