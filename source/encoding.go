package source

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gogs/chardet"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
)

// evidence counts what shows the encoding of a text.
type evidence struct {
	utf8    int // characters of several bytes
	damaged int // such characters without an end
	latin   int // bytes that are letters in windows-1252, beside an ASCII letter
	beside  int // other bytes beside an ASCII letter, as letters are in encodings for DOS and the Mac
	other   int // other bytes that are not UTF-8, several together
	alone   int // all other bytes that are not UTF-8
}

func evidenceOf(b []byte) (e evidence) {
	for i := 0; i < len(b); {
		if b[i] < utf8.RuneSelf {
			i++
			continue
		}
		if r, n := utf8.DecodeRune(b[i:]); r != utf8.RuneError || n > 1 {
			e.utf8++
			i += n
			continue
		}
		n := 1
		switch before, after := i > 0 && asciiLetter(b[i-1]), i+1 < len(b) && asciiLetter(b[i+1]); {
		case i+1 < len(b) && b[i] >= 0xc2 && b[i] <= 0xf4 && continues(b[i+1]):
			e.damaged++
			for i+n < len(b) && continues(b[i+n]) {
				n++
			}
		case b[i]|1 == 0xc3 && before && b[i-1] >= 'a' && !after && (i+1 == len(b) || b[i+1] < utf8.RuneSelf): // half a letter of a word that was cut off, as no word ends in \u00c2 or \u00c3
			e.damaged++
		case latinLetter(b[i]) && (before || after || latinWord(b, i)), b[i] == 0x92 && before && after: // 0x92 is an apostrophe
			e.latin++
		case before || after:
			e.beside++
		case i > 0 && b[i-1] >= utf8.RuneSelf, i+1 < len(b) && b[i+1] >= utf8.RuneSelf:
			e.other++
		default:
			e.alone++
		}
		i += n
	}
	return e
}

func continues(c byte) bool { return c&0xc0 == 0x80 }

func asciiLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// latinLetter reports whether a byte is a letter in windows-1252.
func latinLetter(c byte) bool {
	return c >= 0xc0 && c != 0xd7 && c != 0xf7 || bytes.IndexByte([]byte("\x8a\x8c\x8e\x9a\x9c\x9e\x9f"), c) >= 0
}

// latinWord reports whether the byte at i is a word of one letter in windows-1252, such as à.
func latinWord(b []byte, i int) bool {
	return i > 0 && b[i-1] == ' ' && i+1 < len(b) && b[i+1] == ' ' && bytes.IndexByte([]byte("\xe0\xe1\xe5\xe8\xe9\xed\xf3\xf6\xf8\xfa\xc0\xc5"), b[i]) >= 0
}

// foreignText reports whether a text that is not UTF-8 is one of another encoding, rather than UTF-8 in which a few bytes are damaged. least is
// how many letters of a single byte prove it.
func foreignText(b []byte, least int) bool {
	e := evidenceOf(b)
	single := e.latin + e.beside
	switch {
	case e.latin >= least && single >= e.other && e.utf8 == 0 && e.latin > e.damaged:
		return true
	case single >= max(least, 2) && single >= e.other && single > 4*e.utf8 && single > e.damaged:
		return true
	case e.other >= 4 && single+e.other > 2*(e.utf8+e.damaged):
		return true
	}
	return 4*(single+e.other) > e.utf8 && len(eastAsian(b)) > 0
}

// maxNaming is how much of a text is looked at to name its encoding, in bytes.
const maxNaming = 16 << 10

// otherEncoding rejects a text that is not UTF-8. what is "the file" or "the record".
func otherEncoding(what string, b []byte) *RejectError {
	if bytes.Contains(b, []byte("\x1b$B")) || bytes.Contains(b, []byte("\x1b$@")) {
		return wrongEncoding(what, "ISO-2022-JP", "iso-2022-jp")
	}
	switch name, sure := encodingOf(b); {
	case name == "windows-1252":
		return wrongEncoding(what, "windows-1252 (which includes ISO-8859-1)", name)
	case sure:
		return wrongEncoding(what, name, name)
	default:
		e := reject(RejectWrongEncoding, "%s is not UTF-8 but in another encoding, such as %s: set encoding in source.jsonl or source.csv to the one that it was exported in, or export it as UTF-8", what, name)
		e.encoding = name
		return e
	}
}

// wrongEncoding rejects a text that seems to be in an encoding other than UTF-8.
func wrongEncoding(what, like, name string) *RejectError {
	e := reject(RejectWrongEncoding, "%s is not UTF-8, it looks like %s: set encoding in source.jsonl or source.csv to %s, or export it as UTF-8", what, like, name)
	e.encoding = name
	return e
}

// encodingOf names the encoding that a text, which is not UTF-8, is most likely in. Many texts are also valid in others.
func encodingOf(b []byte) (name string, sure bool) {
	words := foreignWords(b)
	if fewLatin(words) {
		return "windows-1252", true
	}
	guess, confidence := guessed(words)
	if all := eastAsian(words); len(all) > 0 {
		if slices.Contains(all, guess) {
			return guess, confidence >= 50
		}
		return all[0], false
	}
	best, share := "", 0.0
	e := evidenceOf(words)
	for _, c := range alphabets {
		if s := c.share(words); c.amongASCII == (e.latin+e.beside >= e.other) && s > share {
			best, share = c.name, s
		}
	}
	switch {
	case best == "windows-1252" && (share < 0.99 && confidence >= 20 || confidence >= 50) && (guess == "windows-1250" || guess == "iso-8859-2" || guess == "windows-1254" || guess == "iso-8859-9"):
		return guess, true
	case share >= 0.8:
		return best, true
	case guess != "" && confidence >= 20:
		return guess, confidence >= 50
	case best != "":
		return best, false
	}
	return "windows-1251, shift_jis or gb18030", false
}

// maxFew is how many characters are too few to tell one encoding from another.
const maxFew = 12

// fewLatin reports whether a text has few characters that are not ASCII, all of which are usual ones in windows-1252.
func fewLatin(words []byte) bool {
	text, err := charmap.Windows1252.NewDecoder().Bytes(words)
	if err != nil {
		return false
	}
	few := 0
	for _, r := range string(text) {
		if r < utf8.RuneSelf {
			continue
		}
		if few++; few > maxFew || !strings.ContainsRune(latinLetters+latinCapitals+latinSigns, r) {
			return false
		}
	}
	return true
}

// foreignWords returns the strings of a text that are not ASCII. Names of fields would drown them.
func foreignWords(b []byte) []byte {
	var words []byte
	for part := range bytes.FieldsFuncSeq(b, func(r rune) bool { return r == '"' || r == '\n' || r == '\r' }) {
		if !ascii(part) && len(words) < maxNaming {
			words = append(append(words, part...), ' ')
		}
	}
	return words[:min(len(words), maxNaming)]
}

// guessed returns what statistics of languages say, by the name that the WHATWG gives the encoding, "" if they say nothing.
func guessed(words []byte) (name string, confidence int) {
	all, err := chardet.NewTextDetector().DetectAll(words)
	if err != nil || len(all) == 0 {
		return "", 0
	}
	rank := func(r chardet.Result) int { // of equals always the same one
		return slices.Index([]string{"windows-1252", "ISO-8859-1"}, r.Charset)
	}
	found := slices.MinFunc(all, func(a, b chardet.Result) int {
		return cmp.Or(cmp.Compare(b.Confidence, a.Confidence), cmp.Compare(rank(b), rank(a)), cmp.Compare(a.Charset, b.Charset))
	})
	name = strings.ToLower(found.Charset)
	switch name {
	case "iso-8859-1":
		name = "windows-1252"
	case "gb-18030":
		name = "gb18030"
	case "iso-8859-8-i":
		name = "iso-8859-8"
	}
	if e, err := encodingNamed(name); err != nil || e.decoder == nil {
		return "", 0
	}
	return name, found.Confidence
}

// alphabet is an encoding of one byte a character, with the letters that make up its texts.
type alphabet struct {
	name       string
	decoder    encoding.Encoding
	letters    string // small ones: in another encoding of the same script they are capitals
	capitals   string // which begin words
	amongASCII bool   // the other letters are ASCII
}

const (
	latinLetters   = "àáâãäåæçèéêíîñóôöøúûüßœ’“”–€"
	latinCapitals  = "ÄÅÆÉÖØÜ"
	latinSigns     = "\u00a0£§«»°·½×™…‘•©®"
	cyrillicSmall  = "абвгдеёжзийклмнопрстуфхцчшщъыьэюя"
	greekSmall     = "άέήίαβγδεζηθικλμνξοπρςστυφχψωόύώ"
	cyrillicBegins = "АБВГДЕЖЗИКЛМНОПРСТУФХЦЧШЭЮЯ"
	greekBegins    = "ΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩ"
)

var alphabets = []alphabet{
	{"windows-1252", charmap.Windows1252, latinLetters, latinCapitals, true},
	{"macintosh", charmap.Macintosh, latinLetters, latinCapitals, true},
	{"ibm850", charmap.CodePage850, latinLetters, latinCapitals, true},
	{"windows-1251", charmap.Windows1251, cyrillicSmall, cyrillicBegins, false},
	{"koi8-r", charmap.KOI8R, cyrillicSmall, cyrillicBegins, false},
	{"ibm866", charmap.CodePage866, cyrillicSmall, cyrillicBegins, false},
	{"iso-8859-5", charmap.ISO8859_5, cyrillicSmall, cyrillicBegins, false},
	{"iso-8859-7", charmap.ISO8859_7, greekSmall, greekBegins, false},
}

// share returns how many of the characters that are not ASCII are letters of the alphabet where they are likely, from 0 to 1.
func (a alphabet) share(b []byte) float64 {
	text, err := a.decoder.NewDecoder().Bytes(b)
	if err != nil {
		return 0
	}
	all, letters, before := 0, 0, ' '
	for _, r := range string(text) {
		if r >= utf8.RuneSelf {
			all++
			if strings.ContainsRune(a.letters, r) || !unicode.IsLetter(before) && strings.ContainsRune(a.capitals, r) {
				letters++
			}
		}
		before = r
	}
	return float64(letters) / float64(max(all, 1))
}

// eastAsian returns the encodings of Japanese, Korean and Chinese in which a text is well formed and has words.
func eastAsian(b []byte) (names []string) {
	for _, c := range []struct {
		name    string
		decoder encoding.Encoding
	}{
		{"shift_jis", japanese.ShiftJIS}, {"euc-jp", japanese.EUCJP}, {"euc-kr", korean.EUCKR}, {"gb18030", simplifiedchinese.GB18030}, {"big5", traditionalchinese.Big5},
	} {
		text, err := c.decoder.NewDecoder().Bytes(b)
		if err != nil {
			continue
		}
		all, letters, together, run := 0, 0, 0, 0
		for _, r := range string(text) {
			if r < utf8.RuneSelf {
				run = 0
				continue
			}
			all++
			if !unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Hangul) && (!unicode.Is(unicode.Katakana, r) || r >= 0xff00) && (r < 0x3000 || r > 0x303f) && (r < 0xff00 || r > 0xff60) && r != 'ー' {
				run = 0
				continue
			}
			letters++
			if run++; run > 1 {
				together++
			}
		}
		if together > 0 && 2*(together+1) >= letters && 20*letters >= 19*all {
			names = append(names, c.name)
		}
	}
	return names
}

// fileEncoding returns what is wrong with the encoding of a file of which this is the beginning.
func fileEncoding(sample []byte) *RejectError {
	if name := wide(sample); name != "" {
		return wrongEncoding("the file", fmt.Sprintf("%s without a byte order mark", strings.ToUpper(name)), name)
	}
	switch {
	case utf8.Valid(sample) && !bytes.Contains(sample, []byte("\x1b$")):
		return nil
	case controls(sample): // binary data
		return nil
	case utf8.Valid(sample), foreignText(sample, 2), len(sample) < sampleSize && nothingUTF8(sample):
		return otherEncoding("the file", sample)
	}
	return nil
}

// nothingUTF8 reports whether none of the bytes of a text that are not ASCII is UTF-8, or a piece of it. 0xff alone is damage: hardly a language writes it.
func nothingUTF8(b []byte) bool {
	e := evidenceOf(bytes.ReplaceAll(b, []byte{0xff}, nil))
	return e.utf8+e.damaged == 0 && e.latin+e.beside+e.other+e.alone > 0
}

// wide recognises UTF-16 and UTF-32 by the zero bytes of the ASCII in them.
func wide(sample []byte) string {
	sample = sample[:min(len(sample), 4096)]
	var zero [4]int
	for i, c := range sample {
		if c == 0 {
			zero[i%4]++
		}
	}
	many, few := func(n int) bool { return 20*n > len(sample) }, func(n int) bool { return 100*n <= len(sample) }
	switch {
	case len(sample) < 4:
	case many(zero[1]) && many(zero[2]) && many(zero[3]) && few(zero[0]):
		return "utf-32le"
	case many(zero[0]) && many(zero[1]) && many(zero[2]) && few(zero[3]):
		return "utf-32be"
	case many(zero[1]) && many(zero[3]) && few(zero[0]) && few(zero[2]):
		return "utf-16le"
	case many(zero[0]) && many(zero[2]) && few(zero[1]) && few(zero[3]):
		return "utf-16be"
	}
	return ""
}

// watch looks at each record of a file whose encoding is only supposed to be UTF-8.
type watch struct {
	off  bool
	utf8 bool // UTF-8 was seen
}

// record returns what is wrong with the encoding of a record. A few invalid bytes in a file that is otherwise UTF-8 do no harm: they become
// U+FFFD.
func (w *watch) record(data []byte) *RejectError {
	if w.off || ascii(data) {
		return nil
	}
	if utf8.Valid(data) {
		w.utf8 = true
		return nil
	}
	switch seen := w.utf8; {
	case !w.foreign(data):
		return nil
	case seen:
		failure := otherEncoding("the record", data)
		failure.Reason = fmt.Sprintf("the record is not UTF-8 as those before it are, but seems to be %s: export the file again with all of it in one encoding", failure.encoding)
		failure.encoding = "" // the others are not
		return failure
	}
	return otherEncoding("the record", data)
}

// row is record for a row of a table, which is not read on after a row in another encoding: the rows belong together.
func (w *watch) row(data []byte) *RejectError {
	if failure := w.record(data); failure == nil || w.utf8 {
		return failure
	}
	return otherEncoding("the file", data)
}

// foreign reports whether a record is in another encoding. A few invalid bytes in a file that is otherwise UTF-8 do no harm.
func (w *watch) foreign(data []byte) bool {
	least := 1
	if w.utf8 {
		least = 3
	}
	if foreignText(data, least) {
		return true
	}
	w.utf8 = w.utf8 || evidenceOf(data).utf8 > 0
	return false
}
