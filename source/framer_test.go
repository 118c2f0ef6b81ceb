package source

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// framesOf reads content in pieces of a size, and describes what is found.
func framesOf(content []byte, size int) (all []string) {
	r := reader{in: input{path: "f", regular: true}, ctx: context.Background(), count: new(atomic.Int64), charset: charset{auto: true},
		logger: slog.New(slog.DiscardHandler), visit: func(f frame) bool {
			code := ""
			if f.failure != nil {
				code = string(f.failure.Code)
			}
			all = append(all, fmt.Sprintf("%s %q %s %v", f.place, f.data, code, f.end))
			return true
		}}
	packed := bufio.NewReader(&pieces{bytes.NewReader(content), size})
	_ = r.contain("f", r.document("f", packed, content[:min(len(content), headSize)]))
	return all
}

type pieces struct {
	r    io.Reader
	size int
}

func (p *pieces) Read(b []byte) (int, error) { return p.r.Read(b[:min(len(b), p.size)]) }

// FuzzFramer reads foreign bytes: the pieces in which they come make no difference, and no record beside them is lost.
func FuzzFramer(f *testing.F) {
	for _, seed := range []string{`{"id":"x","messages":[`, `{"id":"x",`, "{", "[", "]", "}", `{"x":[{`, "[{\n},\n", `{"chats":[{"id":1,"closed_at":2},`, "\x1e{", `{"a":1}{"b":2}`, "{\n  \"a\": [\n  ]\n}",
		`{"id":"x"}, "y"`, `,{`, `{"a":1},`, "{\n \"a\":\n{\"id\":1}\n}", "\ufeff", "{,\n{,\n}\n", `{"a":"` + strings.Repeat("x", 200), "\r\r\n{\r", `[[{"a":1}],{}]`} {
		f.Add([]byte(seed), 3)
	}
	f.Fuzz(func(t *testing.T, data []byte, size int) {
		size = max(1, min(size, 1<<20))
		content := slices.Concat([]byte(chat("a")+"\n"), data, []byte("\n"+chat("b")+"\n"+chat("c")+"\n"))
		if !utf8.Valid(data) || controls(content) || wide(content) != "" || bytes.Contains(data, []byte{separator}) {
			return
		}
		for _, text := range [][]byte{data, content} {
			if len(text) == 0 {
				continue
			}
			if diff := cmp.Diff(framesOf(text, 1<<20), framesOf(text, size)); diff != "" {
				t.Fatalf("%q in pieces of %d: %s", text, size, diff)
			}
		}
		found := strings.Join(framesOf(content, 1<<20), "\n")
		for _, id := range []string{"a", "b", "c"} {
			if !strings.Contains(found, fmt.Sprintf("%q", chat(id))) {
				t.Fatalf("%s is lost beside %q:\n%s", id, data, found)
			}
		}
	})
}

// FuzzArray puts any object into arrays: each is found as it is.
func FuzzArray(f *testing.F) {
	f.Add([]byte(`{"a":1}`), " ")
	f.Add([]byte("{\n\"a\": [{}]\n}"), "\n")
	f.Fuzz(func(t *testing.T, object []byte, space string) {
		object = bytes.TrimSpace(object)
		if len(object) == 0 || object[0] != '{' || !json.Valid(object) || !utf8.Valid(object) || strings.Trim(space, " \t\r\n") != "" {
			return
		}
		if s := outlineOf(object); s.bare || bytes.IndexByte(object, '\n') >= 0 { // it may be an envelope, or look cut off
			return
		}
		content := fmt.Sprintf("[%s%s,%s%s%s,%s]%s", space, object, space, chat("b"), space, object, space)
		var got []string
		for _, line := range framesOf([]byte(content), 7) {
			_, rest, _ := strings.Cut(line, " ")
			got = append(got, rest)
		}
		want := []string{fmt.Sprintf("%q  false", object), fmt.Sprintf("%q  false", chat("b")), fmt.Sprintf("%q  false", object), `""  true`}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%q: %s", content, diff)
		}
	})
}

// FuzzEncoding reads any bytes as text: the evidence is bounded by what there is.
func FuzzEncoding(f *testing.F) {
	f.Add([]byte("k\xf8 \xf0\x9f\x98 \x92"))
	f.Add([]byte("{\x00\"\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		e := evidenceOf(data)
		if e.utf8+e.damaged+e.latin+e.beside+e.other > len(data) || utf8.Valid(data) && e.damaged+e.latin+e.beside+e.other > 0 {
			t.Fatalf("%q: %+v", data, e)
		}
		_, _ = fileEncoding(data), fileFormat(data, true)
		if failure := new(watch).record(data); failure != nil && utf8.Valid(data) {
			t.Fatalf("%q: %v", data, failure)
		}
	})
}
