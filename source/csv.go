package source

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"dixa-import/source/internal/jq"
)

// CSVConfig describes tables of values, whose rows become JSON objects with a text for each column that is not empty.
type CSVConfig struct {
	// Delimiter separates the values: "," ";" "|" or "\t". "" or auto: the one that the first line has most of.
	Delimiter string
	// Columns renames columns, by their names in the files. A column that already has the new name is called name_2 then.
	Columns map[string]string
}

// Check reports what is wrong with the delimiter.
func (c *CSVConfig) Check() error {
	_, err := c.delimiter()
	return err
}

// delimiter returns the delimiter, 0 for auto.
func (c *CSVConfig) delimiter() (rune, error) {
	switch c.Delimiter {
	case "", "auto":
		return 0, nil
	case "tab", `\t`:
		return '\t', nil
	}
	r, n := utf8.DecodeRuneInString(c.Delimiter)
	if n != len(c.Delimiter) || r == '"' || r == '\n' || r == '\r' || r == utf8.RuneError {
		return 0, errors.New(`must be auto or one character, such as ";", "," or "\t"`)
	}
	return r, nil
}

// tables is what is known of the tables of a source, as far as it was read.
type tables struct {
	config    CSVConfig
	delimiter rune

	mu      sync.Mutex
	headers map[string][]any // guarded by mu; the names of the columns of each kind of table that was read
	missing map[string]bool  // guarded by mu; the configured columns that no file had yet
}

func newTables(config CSVConfig) (*tables, error) {
	d, err := config.delimiter()
	if err != nil {
		return nil, fmt.Errorf("delimiter %w", err)
	}
	t := &tables{config: config, delimiter: d, headers: map[string][]any{}, missing: map[string]bool{}}
	for name := range config.Columns {
		t.missing[name] = true
	}
	return t, nil
}

// known returns the columns of each kind of table that was read, and the names that columns were given, for programs.
func (t *tables) known() (kinds, names []any) {
	if t == nil {
		return noValues, noValues
	}
	kinds, names = []any{}, []any{}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, columns := range t.headers {
		kinds = append(kinds, columns)
	}
	for _, name := range t.config.Columns {
		names = append(names, name)
	}
	return kinds, names
}

// noValues is what programs get where there are no tables.
var noValues = []any{}

// unread returns an error that names the configured columns that no file had.
func (t *tables) unread() error {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.missing) == 0 || len(t.headers) == 0 {
		return nil
	}
	names := slices.Sorted(maps.Keys(t.missing))
	for i, name := range names {
		names[i] = fmt.Sprintf("%q", name)
	}
	return fmt.Errorf("source.csv.columns names the column %s, which no file has: correct its name", strings.Join(names, ", "))
}

// names returns the name of each column as it is from now on.
func (t *tables) names(header []string) []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	names, renamed := make([]string, len(header)), make([]bool, len(header))
	for i, name := range header {
		names[i] = strings.TrimSpace(name)
		for column, to := range t.config.Columns {
			if strings.EqualFold(strings.TrimSpace(column), names[i]) {
				names[i], renamed[i] = to, true
				delete(t.missing, column)
				break
			}
		}
	}
	taken := map[string]bool{}
	for i, name := range names {
		if renamed[i] {
			taken[name] = true
		}
	}
	for i, name := range names {
		if renamed[i] || name == "" {
			continue
		}
		for n := 2; taken[names[i]]; n++ {
			names[i] = fmt.Sprintf("%s_%d", name, n)
		}
		taken[names[i]] = true
	}
	columns := make([]any, len(names))
	for i, name := range names {
		columns[i] = name
	}
	t.headers[strings.Join(names, "\x00")] = columns
	return names
}

// errLongRow says that a row is longer than records may be.
var errLongRow = errors.New("a row is longer than 16 MiB, so a quotation mark is probably never closed")

// rowLimit ends a stream in which a row does not end.
type rowLimit struct {
	r    io.Reader
	left int
	cr   bool   // lines end with a carriage return alone
	kept []byte // what was read
	from int64  // where kept begins
}

// passed returns what was read up to an offset, and forgets it.
func (l *rowLimit) passed(offset int64) []byte {
	n := offset - l.from
	row := l.kept[:n]
	l.kept, l.from = l.kept[n:], offset
	return row
}

func (l *rowLimit) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, errLongRow
	}
	n, err := l.r.Read(p)
	l.left -= n
	if l.cr {
		for i, c := range p[:n] {
			if c == '\r' {
				p[i] = '\n'
			}
		}
	}
	l.kept = append(l.kept, p[:n]...)
	return n, err
}

// table reads a file with rows of values.
func (r *reader) table(path string, packed *bufio.Reader) error {
	plain, supposed := r.charset.decode(packed)
	text := bufio.NewReaderSize(plain, sampleSize)
	sample, err := text.Peek(sampleSize)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
		return err
	}
	sample = bytes.Clone(sample)
	if supposed {
		if failure := fileEncoding(sample); failure != nil {
			return r.refuse(path, ofTable(failure), sample)
		}
	}
	if begin := bytes.TrimLeft(sample, " \t\r\n"); len(begin) > 0 && (begin[0] == '{' || begin[0] == '[') {
		return r.refuse(path, unknownFormat("JSON, not a table of values", "name it under source.jsonl"), sample)
	}
	watch := &watch{off: !supposed}
	limit := &rowLimit{r: text, left: maxLine, cr: bytes.IndexByte(sample, '\n') < 0 && bytes.IndexByte(sample, '\r') >= 0}
	rows := csv.NewReader(limit)
	rows.FieldsPerRecord, rows.ReuseRecord = -1, true
	rows.Comma = r.tables.delimiter
	if rows.Comma == 0 {
		rows.Comma = delimiterOf(sample)
	}
	before := int64(0)
	if first, rest, ok := bytes.Cut(sample, []byte("\n")); ok && len(rest) > 0 { // Excel's line that names the delimiter
		if d, ok := bytes.CutPrefix(bytes.TrimSpace(first), []byte("sep=")); ok && len(d) == 1 {
			if _, err := text.Discard(len(first) + 1); err != nil {
				return err
			}
			rows.Comma, before = rune(d[0]), 1
		}
	}
	header, err := rows.Read()
	switch {
	case errors.Is(err, io.EOF):
		return r.end(path)
	case err != nil:
		return &damaged{Place{Path: path, Line: before + 1}, csvError(err), sample}
	}
	names := r.tables.names(header)
	limit.passed(rows.InputOffset())
	for {
		limit.left = maxLine
		row, err := rows.Read()
		raw := limit.passed(rows.InputOffset())
		if errors.Is(err, io.EOF) {
			return r.end(path)
		}
		f, err := r.row(path, names, row, raw, rows, err, before)
		if err != nil {
			return &damaged{f.place, err, sample}
		}
		if f.failure == nil || f.failure.Code == RejectInvalidField {
			if failure := watch.row(raw); failure != nil {
				return r.report(f.place, ofTable(failure), sample)
			}
		}
		if f.data == nil && f.failure == nil {
			continue // an empty line
		}
		if err := r.emit(f); err != nil {
			return err
		}
		if err := r.ctx.Err(); err != nil {
			return err
		}
	}
}

// row makes a frame of a row. An error ends the file.
func (r *reader) row(path string, names, row []string, raw []byte, rows *csv.Reader, err error, before int64) (frame, error) {
	f := frame{place: Place{Path: path, Line: before + 1}}
	if err == nil {
		line, _ := rows.FieldPos(0)
		f.place.Line = int64(line) + before
		f.data, f.failure, f.maybe = object(names, row, string(rows.Comma))
		return f, nil
	}
	parse, ok := errors.AsType[*csv.ParseError](err)
	if !ok {
		return f, err
	}
	f.place.Line = int64(parse.StartLine) + before
	if errors.Is(err, errLongRow) {
		return f, errLongRow
	}
	f.failure, f.maybe = reject(RejectInvalidJSON, "the row cannot be read: %s", csvError(err)), unquoted(names, raw, string(rows.Comma))
	return f, nil
}

// ofTable names the setting of tables in what is wrong with an encoding.
func ofTable(failure *RejectError) *RejectError {
	failure.Reason = strings.Replace(failure.Reason, "encoding in source.jsonl or source.csv", "source.csv.encoding", 1)
	return failure
}

// object writes a row as a JSON object, nil if all of it is empty. If its values cannot be told apart, it returns what is wrong, and what the row may
// have been.
func object(names, row []string, comma string) ([]byte, *RejectError, *damagedRow) {
	names = named(names)
	width := len(names)
	full := len(row)
	for full > 0 && strings.TrimSpace(row[full-1]) == "" {
		full--
	}
	unnamed := func(i int) bool { return strings.TrimSpace(row[i]) != "" && (i >= width || names[i] == "") }
	first := 0
	for first < len(row) && !unnamed(first) {
		first++
	}
	switch {
	case full == 0:
		return nil, nil, nil
	case len(row) < width:
		return []byte("{}"), reject(RejectInvalidField, "the row has %d of the %d columns that the first line names: correct the row, or export again with quotation marks around texts", len(row), width), lacking(names, row)
	case first < len(row):
		return []byte("{}"), reject(RejectInvalidField, "the row has a value in column %d, which the first line does not name: correct the row, or export again with quotation marks around texts", first+1), surplus(names, row[:max(full, width)], comma)
	}
	data, err := jq.Marshal(values(names, row[:width]))
	if err != nil {
		return []byte("{}"), reject(RejectInvalidJSON, "the row cannot be written as JSON: %v", err), nil
	}
	return data, nil, nil
}

// csvError says what is wrong with a row, without quoting it.
func csvError(err error) error {
	switch {
	case errors.Is(err, csv.ErrBareQuote):
		return errors.New(`a quotation mark stands within a value that is not in quotation marks: export again, with " doubled within values and values with it in quotation marks`)
	case errors.Is(err, csv.ErrQuote):
		return errors.New(`a quotation mark within a value is not doubled, or never closed: export again, with " doubled within values`)
	}
	return err
}

// delimiterOf returns the delimiter that the first line has most of, outside quotation marks.
func delimiterOf(sample []byte) rune {
	counts, quoted := map[rune]int{}, false
	for _, c := range string(sample) {
		switch c {
		case '"':
			quoted = !quoted
		case '\n', '\r':
			if !quoted && len(counts) > 0 {
				return most(counts)
			}
		case ',', ';', '\t', '|':
			if !quoted {
				counts[c]++
			}
		}
	}
	return most(counts)
}

func most(counts map[rune]int) rune {
	best := ','
	for _, d := range []rune{';', '\t', '|'} {
		if counts[d] > counts[best] {
			best = d
		}
	}
	return best
}
