package source

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

var (
	_ Reader = (*JSONL)(nil)
	_ Reader = (*Postgres)(nil)
)

// readerKind is a kind of reader that TestReaders tests. A new reader gets an entry in readerKinds.
type readerKind struct {
	name                string
	ordered, rereadable bool
	files               int // how many marks of an end of file a Read yields
	// store writes the chats into a new source, in the given order, and returns what opens it.
	store func(t *testing.T, chats []storedChat) (open func() Reader)
}

// storedChat is a record as a source holds it.
type storedChat struct {
	id       string    // "": the record has none
	closed   time.Time // zero: the chat is open
	messages string    // as JSON, or what should be JSON
}

var readerKinds = []readerKind{
	{name: "files", rereadable: true, files: 2, store: func(t *testing.T, chats []storedChat) func() Reader {
		half := len(chats) / 2
		dir := write(t, map[string]string{"a": storedLines(chats[:half], "\n"), "b": storedLines(chats[half:], "\n")})
		return func() Reader { return openFiles(t, dir+"/a", dir+"/b") }
	}},
	{name: "gzip", rereadable: true, files: 1, store: func(t *testing.T, chats []storedChat) func() Reader {
		dir := write(t, map[string]string{"a.jsonl.gz": packGzip(storedLines(chats, "\n"))})
		return func() Reader { return openFiles(t, dir+"/a.jsonl.gz") }
	}},
	{name: "zip", rereadable: true, files: 3, store: func(t *testing.T, chats []storedChat) func() Reader {
		var packed bytes.Buffer
		archive, half := zip.NewWriter(&packed), len(chats)/2
		for i, part := range [][]storedChat{chats[:half], chats[half:]} {
			w, err := archive.Create([]string{"a.jsonl", "b.jsonl"}[i])
			if err == nil {
				_, err = io.WriteString(w, storedLines(part, "\n"))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := archive.Close(); err != nil {
			t.Fatal(err)
		}
		dir := write(t, map[string]string{"a.zip": packed.String()})
		return func() Reader { return openFiles(t, dir+"/a.zip") }
	}},
	{name: "array", rereadable: true, files: 1, store: func(t *testing.T, chats []storedChat) func() Reader {
		dir := write(t, map[string]string{"a.json": "[\n" + storedLines(chats, ",\n") + "\n]\n"})
		return func() Reader { return openFiles(t, dir+"/a.json") }
	}},
	{name: "standard input", files: 1, store: func(t *testing.T, chats []storedChat) func() Reader {
		return func() Reader {
			s, err := OpenJSONL(JSONLConfig{Paths: []string{"-"}, Stdin: strings.NewReader(storedLines(chats, "\n")), Now: testClock})
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
	}},
	{name: "mapped", rereadable: true, files: 2, store: func(t *testing.T, chats []storedChat) func() Reader {
		half := len(chats) / 2
		dir := write(t, map[string]string{"a": storedLines(chats[:half], "\n"), "b": storedLines(chats[half:], "\n")})
		return func() Reader { return openMappedFiles(t, Mapping{Transform: "."}, dir+"/a", dir+"/b") }
	}},
	{name: "redacted", rereadable: true, files: 1, store: func(t *testing.T, chats []storedChat) func() Reader {
		dir := write(t, map[string]string{"a": storedLines(chats, "\n")})
		red, err := NewRedactor([]RedactRule{{Name: "CREDIT_CARD"}}, "DK")
		if err != nil {
			t.Fatal(err)
		}
		return func() Reader { return Redacted(openFiles(t, dir+"/a"), red) }
	}},
	{name: "postgres", ordered: true, rereadable: true, store: func(t *testing.T, chats []storedChat) func() Reader {
		sql := "create table r (id text, closed_at timestamptz, messages text); create index on r (closed_at, id); insert into r values "
		for i, c := range chats {
			closed := "null"
			if !c.closed.IsZero() {
				closed = c.closed.Format("'2006-01-02 15:04:05Z'")
			}
			sql += []string{", ", ""}[max(0, 1-i)] + fmt.Sprintf("(nullif('%s', ''), %s, '%s')", c.id, closed, c.messages)
		}
		url := database(t, sql)
		return func() Reader {
			return openPostgres(t, PostgresConfig{URL: url, Query: "select * from r", PageSize: 7})
		}
	}},
}

func openMappedFiles(t *testing.T, m Mapping, paths ...string) *Mapped {
	t.Helper()
	s, err := OpenMapped(JSONLConfig{Paths: paths, Now: testClock}, m)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// storedLines writes chats as JSON objects.
func storedLines(chats []storedChat, separator string) string {
	lines := make([]string, len(chats))
	for i, c := range chats {
		line := `{"messages":` + c.messages
		if c.id != "" {
			line = `{"id":"` + c.id + `",` + line[1:]
		}
		if !c.closed.IsZero() {
			line += `,"closed_at":"` + c.closed.Format(time.RFC3339) + `"`
		}
		lines[i] = line + "}"
	}
	return strings.Join(lines, separator)
}

// The ids of storedChats.
const (
	openChat   = "t-open"   // has no closed_at
	badChat    = "t-bad"    // its messages are no array
	brokenChat = "t-broken" // its messages are no JSON
	lastChat   = "t-00"     // closed last, and stored first
)

// firstClosed is when the chat t-39 was closed. t-38 was closed a minute later, and so on.
var firstClosed = time.Date(2025, 3, 1, 12, 0, 0, 0, time.UTC)

// storedChats are forty good chats, the last closed first, with an open one and three bad ones between them.
func storedChats() (chats []storedChat) {
	const good = `[{"role":"user","text":"hi"}]`
	for i := range 40 {
		at := firstClosed.Add(time.Duration(39-i) * time.Minute)
		chats = append(chats, storedChat{fmt.Sprintf("t-%02d", i), at, good})
		switch i {
		case 4:
			chats = append(chats, storedChat{openChat, time.Time{}, good})
		case 9:
			chats = append(chats, storedChat{badChat, at, "17"})
		case 19:
			chats = append(chats, storedChat{brokenChat, at, "[}"})
		case 29:
			chats = append(chats, storedChat{"", at, good})
		}
	}
	return chats
}

// sight is what a test remembers of a record.
type sight struct {
	Key, Hash, Place, Code string
	Open                   bool
}

// readAll decodes the records only after the last one has arrived: what a record holds must outlive the iteration.
func readAll(t *testing.T, records iter.Seq2[*Record, error]) (all []sight, files int) {
	t.Helper()
	var kept []*Record
	for r, err := range records {
		if err != nil {
			t.Fatal(err)
		}
		if r.EndOfFile {
			files++
			continue
		}
		kept = append(kept, r)
	}
	for _, r := range kept {
		_, err := r.Transcript()
		got := sight{Key: r.Key(), Hash: r.Hash.String(), Place: r.Place.String(), Open: r.Open}
		if why := (*RejectError)(nil); errors.As(err, &why) {
			got.Code = string(why.Code)
			if why.Reason == "" || r.KnownByPlace() != (r.Key() == got.Place) {
				t.Errorf("%+v is rejected without a reason or a key", got)
			}
		}
		all = append(all, got)
	}
	return all, files
}

func keysOf(records []sight) []string {
	keys := make([]string, len(records))
	for i, r := range records {
		keys[i] = r.Key
	}
	return keys
}

// endOf reads until cancel is called by visit or the iteration ends, and returns the last error.
func endOf(records iter.Seq2[*Record, error], visit func(n int)) (n int, last error) {
	for r, err := range records {
		if last = err; err == nil && !r.EndOfFile {
			n++
			visit(n)
		}
	}
	return n, last
}

// TestReaders holds every kind of reader to the promises of Reader.
func TestReaders(t *testing.T) {
	t.Parallel()
	for _, kind := range readerKinds {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			if kind.name == "postgres" {
				skipIfShort(t)
			}
			chats := storedChats()
			open := kind.store(t, chats)
			t.Run("traits", func(t *testing.T) { testTraits(t, kind, open()) })
			t.Run("read", func(t *testing.T) { testRead(t, kind, chats, open) })
			t.Run("fetch", func(t *testing.T) { testFetch(t, kind, open()) })
			t.Run("progress", func(t *testing.T) { testProgress(t, kind, open()) })
			t.Run("cancel", func(t *testing.T) { testCancel(t, kind, open) })
			t.Run("at once", func(t *testing.T) { testFetchDuringRead(t, kind, open()) })
		})
	}
}

func testTraits(t *testing.T, kind readerKind, r Reader) {
	if r.Ordered() != kind.ordered || r.Rereadable() != kind.rereadable {
		t.Errorf("ordered %v, rereadable %v", r.Ordered(), r.Rereadable())
	}
	for _, found := range r.Inspect(t.Context()) {
		if !found.OK || found.Subject == "" || found.Text == "" {
			t.Errorf("found %+v", found)
		}
	}
	if got := r.ResolvePlace("no such file:1"); got != "" {
		t.Errorf("no place is resolved to %s", got)
	}
	records, _ := readAll(t, r.Read(t.Context(), time.Time{}))
	for _, rec := range records {
		want := rec.Place
		if kind.files == 0 {
			want = ""
		}
		if whole, short := r.ResolvePlace(rec.Place), r.ResolvePlace(filepath.Base(rec.Place)); whole != want || kind.files == 1 && short != want {
			t.Errorf("place %s is resolved to %q and %q", rec.Place, whole, short)
		}
	}
}

// testRead: everything once, in the promised order, from since; bad records with their reason, and their neighbours unharmed.
func testRead(t *testing.T, kind readerKind, chats []storedChat, open func() Reader) {
	r := open()
	records, files := readAll(t, r.Read(t.Context(), time.Time{}))
	if files != kind.files {
		t.Errorf("%d marks of an end of file, want %d", files, kind.files)
	}
	keys := keysOf(records)
	if n := len(slices.Compact(slices.Sorted(slices.Values(keys)))); n != len(keys) {
		t.Errorf("%d of %d keys are different: %v", n, len(keys), keys)
	}
	want := slices.Clone(chats)
	if kind.ordered {
		want = slices.DeleteFunc(want, func(c storedChat) bool { return c.closed.IsZero() })
		slices.SortStableFunc(want, func(a, b storedChat) int { return a.closed.Compare(b.closed) })
	}
	if len(records) != len(want) {
		t.Fatalf("%d records, want %d", len(records), len(want))
	}
	codes := map[string]string{badChat: "invalid_field", brokenChat: "invalid_json", "": "missing_id"}
	if kind.files == 0 {
		codes[brokenChat] = "invalid_field" // of a row, only the column is broken
	}
	for i, c := range want {
		got, code := records[i], codes[c.id]
		if c.id == "" || code == "invalid_json" {
			c.id = got.Place
		}
		if got.Key != c.id || got.Code != code || code == "" && got.Open != c.closed.IsZero() {
			t.Errorf("record %d: %+v, want %s %s", i, got, c.id, code)
		}
	}

	since := firstClosed.Add(25 * time.Minute)
	again, err := collectKeys(r.Read(t.Context(), since))
	switch {
	case !kind.rereadable:
		if !errors.Is(err, ErrCannotReread) || len(again) > 0 {
			t.Errorf("a second read: %v, %v", again, err)
		}
		if again, err = collectKeys(open().Read(t.Context(), since)); err != nil {
			t.Error(err)
		}
	case err != nil:
		t.Error(err)
	}
	if kind.ordered {
		keys = keys[slices.Index(keys, "t-14"):]
	}
	if diff := cmp.Diff(keys, again); diff != "" {
		t.Errorf("from %v on: %s", since, diff)
	}
}

func collectKeys(records iter.Seq2[*Record, error]) (keys []string, err error) {
	for r, err := range records {
		if err != nil {
			return keys, err
		}
		if !r.EndOfFile {
			_, _ = r.Transcript()
			keys = append(keys, r.Key())
		}
	}
	return keys, nil
}

// testFetch: what Read yields can be fetched, open chats too, with the same key, hash and place; what is gone is left out.
func testFetch(t *testing.T, kind readerKind, r Reader) {
	if !kind.rereadable {
		n, err := endOf(r.Fetch(t.Context(), []string{lastChat}), func(int) {})
		if n != 0 || !errors.Is(err, ErrCannotReread) {
			t.Errorf("%d records, %v", n, err)
		}
		if n, err := endOf(r.Read(t.Context(), time.Time{}), func(int) {}); n == 0 || err != nil {
			t.Errorf("after that, %d records, %v", n, err)
		}
		return
	}
	all, _ := readAll(t, r.Read(t.Context(), time.Time{}))
	keys := append(keysOf(all), "t-gone", "gone:1", "", lastChat)
	if !slices.Contains(keys, openChat) {
		keys = append(keys, openChat)
	}
	fetched, files := readAll(t, r.Fetch(t.Context(), keys))
	if files != 0 {
		t.Errorf("%d marks of an end of file", files)
	}
	byKey := func(a, b sight) int { return strings.Compare(a.Key, b.Key) }
	if kind.ordered {
		i := slices.IndexFunc(fetched, func(r sight) bool { return r.Key == openChat })
		if i < 0 || !fetched[i].Open {
			t.Fatalf("the open chat was not fetched: %+v", fetched)
		}
		fetched = slices.Delete(fetched, i, i+1)
	}
	slices.SortFunc(all, byKey)
	slices.SortFunc(fetched, byKey)
	if diff := cmp.Diff(all, fetched); diff != "" {
		t.Errorf("read and fetched: %s", diff)
	}
	places := []string{all[0].Place, all[len(all)-1].Place}
	if kind.files > 0 { // rows with an id are known by it alone
		slices.Sort(places)
		some, _ := readAll(t, r.Fetch(t.Context(), places))
		got := []string{}
		for _, rec := range some {
			got = append(got, rec.Place)
		}
		slices.Sort(got)
		if diff := cmp.Diff(places, got); diff != "" {
			t.Errorf("fetched by place: %s", diff)
		}
	}
	for _, none := range [][]string{nil, {"t-gone"}} {
		if got, _ := readAll(t, r.Fetch(t.Context(), none)); len(got) != 0 {
			t.Errorf("fetched %v for %v", got, none)
		}
	}
}

// testProgress: it can be asked for at any time from any goroutine, and does not decrease.
func testProgress(t *testing.T, kind readerKind, r Reader) {
	if p := r.Progress(); p.Done != 0 || p.Unit == "" {
		t.Errorf("before reading: %+v", p)
	}
	here, there := watchProgress(r), watchProgress(r)
	reading, read := context.WithCancel(t.Context())
	defer read()
	watched := make(chan error, 1)
	go func() {
		err := there()
		for err == nil && reading.Err() == nil {
			err = there()
		}
		watched <- err
	}()
	n := 0
	for rec, err := range r.Read(t.Context(), time.Time{}) {
		if err := errors.Join(err, here()); err != nil {
			t.Fatal(err)
		}
		if !rec.EndOfFile {
			n++
		}
	}
	read()
	if err := <-watched; err != nil {
		t.Errorf("in another goroutine: %v", err)
	}
	end := r.Progress()
	switch {
	case end.Done == 0, !kind.rereadable && end.Total != 0, kind.ordered && end.Done != int64(n),
		kind.files > 0 && kind.rereadable && end.Done != end.Total:
		t.Errorf("at the end: %+v", end)
	}
	if kind.rereadable { // a Fetch is no Read
		readAll(t, r.Fetch(t.Context(), []string{lastChat, "t-gone"}))
		if now := r.Progress(); now.Done != end.Done {
			t.Errorf("after a fetch: %+v", now)
		}
	}
}

// watchProgress returns a function that reports what is wrong with the progress since the last call.
func watchProgress(r Reader) func() error {
	last := r.Progress()
	return func() error {
		now := r.Progress()
		if now.Done < last.Done || now.Total > 0 && now.Done > now.Total || now.Unit != last.Unit {
			return fmt.Errorf("after %+v: %+v", last, now)
		}
		last = now
		return nil
	}
}

// testCancel: a cancelled context ends every iteration with its error, also after the records that were read ahead.
func testCancel(t *testing.T, kind readerKind, open func() Reader) {
	const enough = 2
	keys := []string{}
	for i := range 40 {
		keys = append(keys, fmt.Sprintf("t-%02d", i))
	}
	ways := map[string]func(Reader, context.Context) iter.Seq2[*Record, error]{
		"read": func(r Reader, ctx context.Context) iter.Seq2[*Record, error] { return r.Read(ctx, time.Time{}) },
	}
	if kind.rereadable {
		ways["fetch"] = func(r Reader, ctx context.Context) iter.Seq2[*Record, error] { return r.Fetch(ctx, keys) }
	}
	for name, way := range ways {
		cancelled, cancel := context.WithCancel(t.Context())
		cancel()
		if n, err := endOf(way(open(), cancelled), func(int) {}); n != 0 || !errors.Is(err, context.Canceled) {
			t.Errorf("%s: cancelled before: %d records, %v", name, n, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		n, err := endOf(way(open(), ctx), func(n int) {
			if n == enough {
				cancel()
			}
		})
		if cancel(); n < enough || !errors.Is(err, context.Canceled) {
			t.Errorf("%s: cancelled: %d records, %v", name, n, err)
		}
		late, stop := context.WithDeadlineCause(t.Context(), time.Now().Add(-time.Second), errors.New("too late"))
		if n, err := endOf(way(open(), late), func(int) {}); n != 0 || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: after the deadline: %d records, %v", name, n, err)
		}
		stop()
	}
}

// testFetchDuringRead fetches while a Read goes on, which takes nothing from either.
func testFetchDuringRead(t *testing.T, kind readerKind, r Reader) {
	if !kind.rereadable {
		return
	}
	n := 0
	for rec, err := range r.Read(t.Context(), time.Time{}) {
		if err != nil {
			t.Fatal(err)
		}
		if rec.EndOfFile {
			continue
		}
		if n++; n%10 == 1 {
			if got, _ := readAll(t, r.Fetch(t.Context(), []string{lastChat, openChat})); len(got) != 2 {
				t.Fatalf("fetched %v", got)
			}
		}
	}
	if n < 43 {
		t.Errorf("read %d records", n)
	}
}

// TestReadersLeakNothing leaves iterations early. It runs alone, because goroutines are the process's.
func TestReadersLeakNothing(t *testing.T) { //nolint:paralleltest // see above
	for _, kind := range readerKinds {
		t.Run(kind.name, func(t *testing.T) {
			if kind.name == "postgres" {
				skipIfShort(t)
			}
			open := kind.store(t, storedChats())
			before := goleak.IgnoreCurrent()
			for _, enough := range []int{1, 10} {
				r, n := open(), 0
				for _, err := range r.Read(t.Context(), time.Time{}) {
					if err != nil {
						t.Fatal(err)
					}
					if n++; n == enough {
						break
					}
				}
				if kind.rereadable {
					for _, err := range r.Fetch(t.Context(), []string{lastChat, openChat}) {
						if err != nil {
							t.Fatal(err)
						}
						break
					}
					if records, _ := readAll(t, r.Read(t.Context(), time.Time{})); len(records) < 43 {
						t.Errorf("after a read that was left early, %d records", len(records))
					}
				}
				if closer, ok := r.(interface{ Close() }); ok {
					closer.Close()
				}
			}
			goleak.VerifyNone(t, before)
		})
	}
}
