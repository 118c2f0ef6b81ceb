package source

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/ianaindex"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/encoding/unicode/utf32"
	"golang.org/x/text/transform"
)

// charset is how the text of the files is written as bytes. A byte order mark has the last word.
type charset struct {
	auto    bool              // not declared: UTF-8, and what is not is refused
	decoder encoding.Encoding // nil: UTF-8
}

// encodingNamed returns the encoding with a name such as windows-1252; "" and auto are UTF-8 unless a file shows another one.
func encodingNamed(name string) (charset, error) {
	switch name = strings.ToLower(strings.TrimSpace(name)); name {
	case "", "auto":
		return charset{auto: true}, nil
	case "utf-32le", "utf-32":
		return charset{decoder: utf32.UTF32(utf32.LittleEndian, utf32.IgnoreBOM)}, nil
	case "utf-32be":
		return charset{decoder: utf32.UTF32(utf32.BigEndian, utf32.IgnoreBOM)}, nil
	case "utf8":
		name = "utf-8"
	}
	found, err := htmlindex.Get(name)
	if err != nil {
		found, err = ianaindex.IANA.Encoding(name) // those of DOS too
	}
	if err != nil || found == nil || found == encoding.Replacement {
		return charset{}, fmt.Errorf("%q is not known: write auto, utf-8, utf-16le, utf-16be, windows-1252, iso-8859-1 or another name of the list at https://encoding.spec.whatwg.org/#names-and-labels", name)
	}
	if canonical, _ := htmlindex.Name(found); canonical == "utf-8" {
		found = nil
	}
	return charset{decoder: found}, nil
}

// marks are the byte order marks. UTF-32 comes first, for its mark begins with that of UTF-16.
var marks = []struct {
	mark    string
	decoder encoding.Encoding
}{
	{"\xff\xfe\x00\x00", utf32.UTF32(utf32.LittleEndian, utf32.IgnoreBOM)},
	{"\x00\x00\xfe\xff", utf32.UTF32(utf32.BigEndian, utf32.IgnoreBOM)},
	{"\xff\xfe", unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM)},
	{"\xfe\xff", unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM)},
	{"\xef\xbb\xbf", nil},
}

// decode returns the text behind its byte order mark as UTF-8, and whether its encoding is only supposed.
func (c charset) decode(r *bufio.Reader) (text io.Reader, supposed bool) {
	if head, err := r.Peek(1); err == nil && bytes.IndexByte([]byte("\xff\xfe\x00\xef"), head[0]) >= 0 {
		head, _ = r.Peek(4)
		for _, m := range marks {
			if strings.HasPrefix(string(head), m.mark) {
				_, _ = r.Discard(len(m.mark))
				return decoded(r, m.decoder), false
			}
		}
	}
	return decoded(r, c.decoder), c.auto
}

func decoded(r io.Reader, e encoding.Encoding) io.Reader {
	if e == nil {
		return r
	}
	return transform.NewReader(r, e.NewDecoder())
}

func ascii(b []byte) bool {
	for len(b) >= 8 {
		if binary.LittleEndian.Uint64(b)&0x8080808080808080 != 0 {
			return false
		}
		b = b[8:]
	}
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
