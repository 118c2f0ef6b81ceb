package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"dixa-import/cmd/dixa-import/internal/advice"
	"dixa-import/cmd/dixa-import/internal/config"
	"dixa-import/cmd/dixa-import/internal/term"
	"dixa-import/importer"
	"dixa-import/importer/checkpoint"
	"dixa-import/importer/connect"
	"dixa-import/source"
)

// database checks that the checkpoint can be reached, has the right schema and is bound to the organisation. A SQLite file
// that is not there yet is fine: it is not created here, but by the first run. It reports whether what is known of the source is known.
func (f *preflight) database(ctx context.Context, databaseURL, name, baseURL, organisation string) (readable bool) {
	shown := connect.Shown(databaseURL)
	if path, ok := connect.SQLiteFile(databaseURL); ok {
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			if folder, err := os.Stat(filepath.Dir(path)); err != nil || !folder.IsDir() {
				f.add("database", stateError, "%s cannot be created: there is no folder %s; create it, or correct database", shown, filepath.Dir(path))
				return false
			}
			where := ""
			if absolute, err := filepath.Abs(path); err == nil && !filepath.IsAbs(path) {
				where = "\nas " + absolute + "\nIf there were runs before, they ran in another working directory."
			}
			f.add("database", stateOK, "%s does not exist yet, the first run creates it%s", shown, where)
			return true
		}
	}
	store, err := connect.Open(ctx, databaseURL, false)
	if err != nil {
		f.fail("database", err)
		return false
	}
	defer func() {
		if err := store.Close(); err != nil {
			f.fail("database", err)
		}
	}()
	if err = store.CheckMoved(ctx); err == nil {
		err = store.CheckSchema(ctx)
	}
	var version *checkpoint.SchemaError
	switch {
	case connect.IsSQLite(databaseURL) && (errors.Is(err, checkpoint.ErrSchemaMissing) || errors.As(err, &version) && version.Have < version.Want):
		f.add("database", stateOK, "%s, the next run creates or upgrades the tables", shown)
		return true
	case err != nil:
		f.fail("database", err)
		return false
	}
	f.add("database", stateOK, "%s", shown)
	if name != "" {
		if f.own, err = store.SourceMark(ctx, name); err != nil {
			f.fail("database", err)
			return false
		}
	}
	if name != "" && organisation != "" {
		f.binding(ctx, store, name, checkpoint.Binding{BaseURL: baseURL, Organisation: organisation})
	}
	return true
}

// binding checks that the source is not tied to another organisation.
func (f *preflight) binding(ctx context.Context, store *checkpoint.Store, name string, want checkpoint.Binding) {
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

// sampleSize is how many records check looks at.
const sampleSize = 100

// sampleCounts is what the first records of a source look like.
type sampleCounts struct {
	good, open, empty, bad int
	firstBad               string
	unknown                []string
	closed                 []*source.Transcript
}

func (c sampleCounts) read() int { return c.good + c.open + c.empty + c.bad }

// text returns what the records are.
func (c sampleCounts) text() string {
	text := fmt.Sprintf("%s read: %d good, %d open", term.Plural(int64(c.read()), "record"), c.good, c.open)
	if c.empty > 0 {
		text += fmt.Sprintf(", %d empty", c.empty)
	}
	if c.bad > 0 {
		text += fmt.Sprintf(", %d bad; %s", c.bad, c.firstBad)
	}
	return text
}

// source reads the first records.
func (f *preflight) source(ctx context.Context, s config.Source, empty importer.Empty, users config.EndUsers, patience time.Duration) {
	if slices.Contains(s.Paths, "-") {
		f.add("source", stateWarning, "only a run reads standard input: it was not checked")
		return
	}
	reader, closeReader, err := f.program.openSource(ctx, s, min(patience, 10*time.Second))
	if err != nil {
		f.fail("source", err)
		return
	}
	defer closeReader()
	people := importer.NewPeopleSurvey(importer.Config{Source: s.Name, Match: users.Match, Region: users.Region, Ignore: users.Ignore})
	seen, err := readSample(ctx, reader, empty, people)
	n := seen.read()
	mostly, _ := importer.MostlySkipped(map[string]int64{"open": int64(seen.open), "empty": int64(seen.empty)}, int64(n))
	switch {
	case err != nil:
		f.fail("source", err)
	case n == 0:
		f.add("source", stateWarning, "there are no transcripts in it")
	case seen.bad == n:
		f.add("source", stateError, "%s read, none can be imported; %s", term.Plural(int64(n), "record"), seen.firstBad)
	case mostly != "":
		f.add("source", stateWarning, "%s\n%s", seen.text(), advice.MostlyTexts[mostly])
	case seen.bad > 0:
		f.add("source", stateWarning, "%s", seen.text())
	default:
		f.add("source", stateOK, "%s", seen.text())
	}
	if len(seen.unknown) > 0 {
		f.add("fields", stateWarning, "not known and ignored: %s", strings.Join(seen.unknown, ", "))
		if alike := source.Resembling(seen.unknown); len(alike) > 0 {
			f.add("fields", stateWarning, "likely another spelling: rename %s", strings.Join(alike, ", "))
		}
	}
	f.people(people)
	if f.attributes != nil && seen.good > 0 {
		f.values(seen.closed)
	}
	for _, found := range reader.Inspect(ctx) {
		state := stateWarning
		if found.OK {
			state = stateOK
		}
		f.add(found.Subject, state, "%s", found.Text)
	}
}

// people warns of identifiers of end-users that are not used, and of those that may mean nobody.
func (f *preflight) people(survey *importer.PeopleSurvey) {
	if text := advice.IgnoredText(survey.Ignored); text != "" {
		f.add("end-users", stateWarning, "%s", text)
	}
	if lines := advice.SharedTexts(survey.Shared, survey.More); len(lines) > 0 {
		f.add("end-users", stateWarning, "%s", strings.Join(lines, "\n"))
	}
}

// values checks the attributes of the first transcripts.
func (f *preflight) values(transcripts []*source.Transcript) {
	absent, refused := f.attributes.Sample(transcripts)
	if len(absent) > 0 {
		f.add("values", stateWarning, "none of the records read has the attribute %s: correct its name under attributes if no other record has it either",
			strings.Join(absent, " or "))
	}
	for _, x := range refused {
		f.add("values", stateWarning, "%s of %s could not be set: %s", term.Plural(x.Count, "value"), x.Attribute, x.Reason)
	}
}

func readSample(ctx context.Context, reader source.Reader, empty importer.Empty, people *importer.PeopleSurvey) (seen sampleCounts, err error) {
	unknown := map[string]bool{}
	for record, err := range reader.Read(ctx, time.Time{}) {
		if err != nil {
			return seen, err
		}
		if record.EndOfFile {
			continue
		}
		t, err := record.Transcript()
		var why *source.RejectError
		switch {
		case errors.As(err, &why) && why.Code == source.RejectNoMessages && empty == importer.EmptySkip:
			seen.empty++
		case err != nil:
			if seen.bad++; seen.firstBad == "" {
				seen.firstBad = fmt.Sprintf("%s: %s", record.Place, err.Error())
			}
		case t.ClosedAt.IsZero():
			seen.open++
		default:
			seen.good++
			seen.closed = append(seen.closed, t)
			people.Add(t, record.Place.String())
		}
		if t != nil {
			for _, name := range t.Unknown {
				if !unknown[name] {
					unknown[name] = true
					seen.unknown = append(seen.unknown, name)
				}
			}
		}
		if seen.read() >= sampleSize {
			break
		}
	}
	slices.Sort(seen.unknown)
	return seen, nil
}
