package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"dixa-import/importer"
	"dixa-import/importer/checkpoint"
	"dixa-import/source"
)

// database checks that the checkpoint can be reached, has the right schema and is bound to the organisation. A SQLite file
// that is not there yet is fine: it is not created here, but by the first run.
func (f *preflight) database(ctx context.Context, databaseURL, name, baseURL, organisation string) {
	shown := withoutPassword(databaseURL)
	if path, ok := sqliteFile(databaseURL); ok {
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			if folder, err := os.Stat(filepath.Dir(path)); err != nil || !folder.IsDir() {
				f.add("database", stateError, "%s cannot be created: there is no folder %s; create it, or correct database", shown, filepath.Dir(path))
				return
			}
			where := ""
			if absolute, err := filepath.Abs(path); err == nil && !filepath.IsAbs(path) {
				where = "\nas " + absolute + "\nHave there been runs already? Then they were made in another working directory."
			}
			f.add("database", stateOK, "%s is not there yet, the first run creates it%s", shown, where)
			return
		}
	}
	store, err := checkpoint.Open(ctx, databaseURL, checkpoint.Options{})
	if err != nil {
		f.fail("database", away(databaseURL, err))
		return
	}
	defer func() {
		if err := store.Close(); err != nil {
			f.fail("database", err)
		}
	}()
	err = store.CheckSchema(ctx)
	var version *checkpoint.SchemaError
	switch {
	case isSQLite(databaseURL) && (errors.Is(err, checkpoint.ErrSchemaMissing) || errors.As(err, &version) && version.Have < version.Want):
		f.add("database", stateOK, "%s, the next run creates or upgrades the tables", shown)
		return
	case err != nil:
		f.fail("database", err)
		return
	}
	f.add("database", stateOK, "%s", shown)
	if name != "" && organisation != "" {
		f.binding(ctx, store, name, checkpoint.Binding{BaseURL: baseURL, Organisation: organisation})
	}
}

// binding checks that the source is not tied to another organisation.
func (f *preflight) binding(ctx context.Context, store checkpoint.Store, name string, want checkpoint.Binding) {
	have, err := store.Binding(ctx, name)
	switch {
	case err != nil:
		f.fail("binding", err)
	case have == checkpoint.Binding{}:
		f.add("binding", stateOK, "the first run ties source %s to this organisation", name)
	case have != want:
		f.fail("binding", &checkpoint.BindingError{Source: name, Bound: have, Given: want})
	default:
		f.add("binding", stateOK, "source %s belongs to this organisation", name)
	}
}

// sqliteFile returns the path in a SQLite URL.
func sqliteFile(databaseURL string) (string, bool) {
	if !isSQLite(databaseURL) {
		return "", false
	}
	path := databaseURL[len("sqlite:"):]
	if strings.HasPrefix(path, "//") {
		u, err := url.Parse(databaseURL)
		return u.Path, err == nil
	}
	return path, true
}

// withoutPassword returns a database URL as it may be shown.
func withoutPassword(databaseURL string) string {
	if isSQLite(databaseURL) {
		return databaseURL
	}
	u, err := url.Parse(databaseURL)
	if err != nil {
		return "postgres"
	}
	return fmt.Sprintf("%s://%s%s", u.Scheme, u.Host, u.Path)
}

// sampleSize is how many records check looks at.
const sampleSize = 100

// sampleCounts is what the first records of a source look like.
type sampleCounts struct {
	good, open, bad int
	firstBad        string
	unknown         []string
	closed          []*source.Transcript
}

// source reads the first records.
func (f *preflight) source(ctx context.Context, s sourceSettings, patience time.Duration) {
	if slices.Contains(s.Paths, "-") {
		f.add("source", stateWarning, "standard input is read by a run only: it was not looked at")
		return
	}
	reader, closeReader, err := f.program.openSource(ctx, s, min(patience, 10*time.Second))
	if err != nil {
		f.fail("source", err)
		return
	}
	defer closeReader()
	seen, err := readSample(ctx, reader)
	n := seen.good + seen.open + seen.bad
	switch {
	case err != nil:
		f.fail("source", err)
	case n == 0:
		f.add("source", stateWarning, "there are no transcripts in it")
	case seen.good == 0 && seen.open == 0:
		f.add("source", stateError, "%s read, none can be imported; %s", plural(int64(n), "record"), seen.firstBad)
	case seen.bad > 0:
		f.add("source", stateWarning, "%s read: %d good, %d open, %d bad; %s", plural(int64(n), "record"), seen.good, seen.open, seen.bad, seen.firstBad)
	default:
		f.add("source", stateOK, "%s read: %d good, %d open", plural(int64(n), "record"), seen.good, seen.open)
	}
	if len(seen.unknown) > 0 {
		f.add("fields", stateWarning, "not known and ignored: %s", strings.Join(seen.unknown, ", "))
	}
	if f.attributes != nil && seen.good > 0 {
		f.values(seen.closed)
	}
	if rows, ok := reader.(*source.Postgres); ok {
		f.query(ctx, rows)
	}
}

// values checks the attributes of the first transcripts.
func (f *preflight) values(transcripts []*source.Transcript) {
	absent, refused := f.attributes.Sample(transcripts)
	if len(absent) > 0 {
		f.add("values", stateWarning, "none of the records read has the attribute %s: correct its name under attributes, if others do not have it either",
			strings.Join(absent, " or "))
	}
	for _, x := range refused {
		f.add("values", stateWarning, "%s of %s could not be set: %s", plural(x.Count, "value"), x.Attribute, x.Reason)
	}
}

// query checks what is special about a query.
func (f *preflight) query(ctx context.Context, rows *source.Postgres) {
	if unknown := rows.UnknownColumns(); len(unknown) > 0 {
		f.add("columns", stateWarning, "not known and ignored: %s", strings.Join(unknown, ", "))
	}
	switch warning, err := rows.PlanWarning(ctx); {
	case err != nil:
		f.add("query", stateWarning, "its plan could not be read: %s", err.Error())
	case warning != "":
		f.add("query", stateWarning, "%s", warning)
	default:
		f.add("query", stateOK, "every page is read by an index")
	}
}

func readSample(ctx context.Context, reader importer.Reader) (seen sampleCounts, err error) {
	unknown := map[string]bool{}
	for record, err := range reader.Read(ctx, time.Time{}) {
		if err != nil {
			return seen, err
		}
		if record.EndOfFile {
			continue
		}
		t, err := record.Transcript()
		switch {
		case err != nil:
			if seen.bad++; seen.firstBad == "" {
				seen.firstBad = fmt.Sprintf("%s: %s", record.Place, err.Error())
			}
		case t.ClosedAt.IsZero():
			seen.open++
		default:
			seen.good++
			seen.closed = append(seen.closed, t)
		}
		if t != nil {
			for _, name := range t.Unknown {
				if !unknown[name] {
					unknown[name] = true
					seen.unknown = append(seen.unknown, name)
				}
			}
		}
		if seen.good+seen.open+seen.bad >= sampleSize {
			break
		}
	}
	slices.Sort(seen.unknown)
	return seen, nil
}
