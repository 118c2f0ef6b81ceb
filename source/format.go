package source

import (
	"bytes"
	"regexp"
	"strings"
)

// sampleSize is how much of a file is looked at before it is read, in bytes.
const sampleSize = 1 << 20

// formats are recognised by their first bytes and not read.
var formats = []struct {
	at           int
	magic        string
	name, advice string
}{
	{0, "\xfd7zXZ\x00", "xz", "unpack it, as in `xz -dk FILE`"},
	{0, "7z\xbc\xaf\x27\x1c", "7-Zip", "unpack it, as in `7z x FILE`"},
	{0, "\x04\x22\x4d\x18", "lz4", "unpack it, as in `lz4 -d FILE`"},
	{0, "\x02\x21\x4c\x18", "lz4", "unpack it, as in `lz4 -d FILE`"},
	{0, "\xff\x06\x00\x00sNaPpY", "Snappy", "unpack it, as in `snzip -d FILE`"},
	{0, "LZIP", "lzip", "unpack it, as in `lzip -dk FILE`"},
	{0, "\x5d\x00\x00", "lzma", "unpack it, as in `xz --format=lzma -dk FILE`"},
	{0, "\x1f\x9d", "compress (.Z)", "unpack it, as in `uncompress FILE`"},
	{0, "\x89LZO\x00", "lzop", "unpack it, as in `lzop -d FILE`"},
	{0, "Rar!\x1a\x07", "RAR", "unpack it, as in `unrar x FILE`"},
	{0, "PAR1", "Parquet", "export it as JSON, one object a line"},
	{0, "Obj\x01", "Avro", "convert it, as in `avro-tools tojson FILE`"},
	{0, "ORC", "ORC", "export it as JSON, one object a line"},
	{0, "ARROW1", "Arrow", "export it as JSON, one object a line"},
	{0, "SQLite format 3\x00", "an SQLite database", "export the transcripts as JSON, one object a line"},
	{0, "PGDMP", "a Postgres dump", "restore it, and use source.postgres"},
	{0, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Excel or other Office document", "export it as JSON, one object a line"},
	{0, "%PDF-", "PDF", "export the transcripts as JSON, one object a line"},
	{0, "\x89PNG", "an image", "name the file with the transcripts"},
	{0, "\xff\xd8\xff", "an image", "name the file with the transcripts"},
	{0, "GIF8", "an image", "name the file with the transcripts"},
	{0, "\x7fELF", "a program", "name the file with the transcripts"},
	{0, "\x89HDF\r\n", "HDF5", "export the transcripts as JSON, one object a line"},
	{0, "age-encryption.org", "encrypted with age", "decrypt it"},
	{0, "-----BEGIN", "encrypted or a key", "decrypt it"},
	{0, "version https://git-lfs", "a Git LFS pointer", "fetch the file itself, as in `git lfs pull`"},
	{0, "\x80\x04\x95", "a Python pickle", "export the transcripts as JSON, one object a line"},
	{4, "ftyp", "a video", "name the file with the transcripts"},
}

// knownFormat returns why a file that begins like this is not read, nil if its format is not among formats.
func knownFormat(head []byte) *RejectError {
	for _, f := range formats {
		if len(head) >= f.at && bytes.HasPrefix(head[f.at:], []byte(f.magic)) {
			return unknownFormat(f.name, f.advice)
		}
	}
	return nil
}

func unknownFormat(name, advice string) *RejectError {
	e := reject(RejectUnknownFormat, "the file is %s, which cannot be read: %s", name, advice)
	if e.table = name == tableName; e.table {
		e.Reason = "the file is " + name + ": " + advice
	}
	return e
}

// tableName is what a file is called that source.csv reads.
const tableName = "a table of values (CSV)"

const asJSON = "export the transcripts as JSON, one object a line"

// fileFormat returns what is wrong with the format of a file that begins with a text; decided says that no more of it will be
// looked at. It ignores lines that are not JSON if others are, and a line that is the only one.
func fileFormat(sample []byte, decided bool) *RejectError {
	sample = bytes.TrimLeft(sample, " \t\r\n\x1e")
	head := strings.ToLower(string(sample[:min(len(sample), 64)]))
	switch {
	case head == "":
		return nil
	case controls(sample[:min(len(sample), maxBlank)]):
		return unknownFormat("binary data of an unknown format", "unpack it, or "+asJSON)
	case strings.HasPrefix(head, "<!doctype html"), strings.HasPrefix(head, "<html"), strings.HasPrefix(head, "<head"), strings.HasPrefix(head, "<!doctype"):
		return unknownFormat("an HTML page", "the download may have failed or require a login: fetch the export itself, as JSON")
	case strings.HasPrefix(head, "<?xml"), strings.HasPrefix(head, "<error"):
		return unknownFormat("XML", "if it is the error message of a download, fetch the export again; else "+asJSON)
	case assignment.Match(sample):
		return unknownFormat("JavaScript", "remove what is before and after the JSON")
	}
	lines, literals := 0, 0
	var c checker
	for rest := sample; len(rest) > 0; {
		var line []byte
		line, rest, _ = bytes.Cut(rest, []byte{'\n'})
		line = bytes.TrimLeft(line, " \t\r,\x1e")
		if len(line) == 0 {
			continue
		}
		lines++
		if line[0] != '{' && line[0] != '[' {
			continue
		}
		c.reset()
		if _, state := c.feed(line); state != broken {
			return nil
		}
		if at := afterSpace(line, 1); line[0] == '{' {
			if at == len(line) || line[at] != '\'' && !asciiLetter(line[at]) {
				return nil
			}
			literals++
		}
	}
	switch {
	case lines == 1 && decided:
		return nil
	case literals > 0 && 2*literals >= lines:
		return unknownFormat("written as Python or JavaScript values, not as JSON", "write it with a JSON library, such as json.dumps or JSON.stringify")
	case literals > 0:
		return nil
	}
	name, advice := textFormat(sample)
	return unknownFormat(name, advice)
}

var (
	logLine    = regexp.MustCompile(`^(?:\[?\d{4}-\d\d-\d\d[ T]\d\d:|\[?\d\d/\w{3}/\d{4}|\w{3} [ \d]\d \d\d:\d\d:\d\d |(?:\[?(?:TRACE|DEBUG|INFO|WARN|WARNING|ERROR|FATAL)\b)|\d+\.\d+\.\d+\.\d+ .*\[\d\d/)`)
	assignment = regexp.MustCompile(`^(?:(?:(?:var|let|const)\s+)?[\w$][\w$.\[\]"']*\s*=\s*[\[{]|export\s+default\s*[\[{]|[\w$.]+\(\s*[\[{])`)
	sqlText    = regexp.MustCompile(`(?i)^(?:-- |/\*|insert into|create table|copy \w|begin;|set )`)
	yamlText   = regexp.MustCompile(`^(?:---|- |[\w-]+: ?)`)
)

// textFormat guesses the format of a text that is not JSON.
func textFormat(sample []byte) (name, advice string) {
	sample = sample[:min(len(sample), maxBlank)]
	text := string(sample)
	lines := strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' })
	first := strings.TrimSpace(lines[0])
	switch {
	case logLine.MatchString(first):
		return "a log file", "name the file with the transcripts"
	case sqlText.MatchString(first):
		return "SQL", "load it into Postgres and use source.postgres, or " + asJSON
	case strings.HasPrefix(first, "<"):
		return "HTML or XML", asJSON
	case strings.HasPrefix(first, `"{\"`):
		return "JSON that was encoded twice, into strings", "decode each string once, as in `jq -c fromjson FILE`"
	case strings.HasPrefix(first, "data:"), strings.HasPrefix(first, "event:"):
		return "a stream of server-sent events", asJSON
	}
	for _, delimiter := range []string{"\t", ";", ",", "|"} {
		want, same := strings.Count(first, delimiter), 0
		for _, line := range lines[1:] {
			if strings.Contains(line, delimiter) {
				same++
			}
		}
		if want > 0 && len(lines) > 1 && 2*same >= len(lines)-1 {
			return tableName, "name it under source.csv, not under source.jsonl"
		}
	}
	if yamlText.MatchString(first) {
		return "YAML", asJSON
	}
	return "text without JSON", asJSON
}

// controls reports whether a twentieth of the bytes are control characters.
func controls(sample []byte) bool {
	n := 0
	for _, c := range sample {
		if c < ' ' && c != '\n' && c != '\r' && c != '\t' || c == 0x7f {
			n++
		}
	}
	return 20*n > len(sample)
}
