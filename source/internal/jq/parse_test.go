package jq

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"
)

// slowParse is Parse by encoding/json.
func slowParse(data []byte) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err == nil {
		return nil, errJSON
	}
	return v, nil
}

var row = []byte(`{"id": 17, "sender_id": "s-1", "timestamp": 1763539200.25, "null": null, "flags": [true, false, {}, []], "text": "a \u00e6 \n \ud83d\ude00 æ", "data": "{\"event\": \"user\", \"text\": \"hi\"}"}`)

func FuzzParse(f *testing.F) {
	f.Add(row)
	for _, text := range []string{`-0.5e+3`, `"\ud800"`, "\"\xff\"", `{"a":1,"a":2}`, ` [ 1 , [ ] , "x\\" ] `, `{"a"`, `nul`, `1 2`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := Parse(data)
		want, wantErr := slowParse(data)
		if (err == nil) != json.Valid(data) || err == nil && (wantErr != nil || !reflect.DeepEqual(got, want)) {
			t.Errorf("%q is %#v, %v; want %#v, %v", data, got, err, want, wantErr)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	for name, parse := range map[string]func([]byte) (any, error){"fast": Parse, "encoding/json": slowParse} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := parse(row); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
