package importer_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"testing"
	"time"

	"dixa-import/dixa/sandbox"
	"dixa-import/importer"
	"dixa-import/importer/checkpoint"
	"dixa-import/importer/plan"
	"dixa-import/source"
)

// hashOf returns the content hash of a line, in hexadecimal.
func hashOf(line string) string {
	sum := sha256.Sum256([]byte(line))
	return hex.EncodeToString(sum[:])
}

// correctionOf returns a chat that corrects a line without an id, as `errors --format transcripts` names it.
func correctionOf(place, line string, id any) string {
	why := fields{"transcript_id": place, "place": place, "content_hash": hashOf(line), "code": "x"}
	return correction(place, id, fields{"_error": why})
}

// rejected returns the rejected rows of the checkpoint, by key.
func (w *world) rejected() map[string]checkpoint.Row {
	w.Helper()
	s := w.open()
	defer func() { _ = s.Close() }()
	rows, err := s.Select(w.Context(), testSource, 0, checkpoint.Filter{Statuses: []checkpoint.Status{checkpoint.Rejected}})
	if err != nil {
		w.Fatal(err)
	}
	found := map[string]checkpoint.Row{}
	for _, row := range rows {
		found[row.ID] = row
	}
	return found
}

// wantRejected checks that a line is rejected, and the number of rejected rows.
func (w *world) wantRejected(n int, line string) checkpoint.Row {
	w.Helper()
	rows := w.rejected()
	for _, row := range rows {
		if row.ContentHash == hashOf(line) && len(rows) == n {
			return row
		}
	}
	w.Errorf("rejected rows are %v, want %d, one of them with the hash %s", rows, n, hashOf(line))
	return checkpoint.Row{}
}

var badLines = map[string]func(day string) string{
	"not JSON":      func(day string) string { return `{"id": "` + day + `", "closed` },
	"no id":         func(day string) string { return chat("", fields{"id": nil, "direction": day}) },
	"a bad id":      func(day string) string { return chat("", fields{"id": true, "direction": day}) },
	"not an object": func(day string) string { return `["` + day + `"]` },
}

// TestPlaceIdentifiesOnlyItsContent has a file that is replaced daily. What is settled about a line must not settle another day's line.
func TestPlaceIdentifiesOnlyItsContent(t *testing.T) {
	t.Parallel()
	for kind, bad := range badLines {
		for settledAs, settle := range map[string]func(w *world, path, place, line string){
			"under its own id": func(w *world, _, place, line string) {
				w.mustRun(importer.OutcomeOK, w.jsonl(w.file("corrected.jsonl", correctionOf(place, line, "m-1"))), excerpt)
			},
			"under the name of the place": func(w *world, _, place, line string) {
				w.mustRun(importer.OutcomeOK, w.jsonl(w.file("corrected.jsonl", correctionOf(place, line, place))), excerpt)
			},
			"dropped": func(w *world, path, place, _ string) {
				w.mustRun(importer.OutcomeOK, w.jsonl(path), func(c *importer.Config) {
					c.Retry = &importer.Selection{IDs: []string{place}, Decision: importer.Drop}
				})
			},
		} {
			if testing.Short() && kind != "no JSON" {
				continue
			}
			t.Run(kind+"/"+settledAs, func(t *testing.T) {
				t.Parallel()
				onStores(t, storesFor(kind == "not JSON"), func(t *testing.T, store string) {
					w := setup(t, store, sandbox.Options{})
					monday, tuesday := bad("monday"), bad("tuesday")
					path := w.file("day.jsonl", monday, chat("a", nil))
					place := path + ":1"
					w.mustRun(importer.OutcomeIncomplete, w.jsonl(path), nil)
					w.wantRejected(1, monday)
					settle(w, path, place, monday)
					for range 2 {
						if s := w.mustRun(importer.OutcomeOK, w.jsonl(path), nil); s.Counts.Skipped != 1 || s.Counts.AlreadyDone != 1 {
							t.Errorf("the same file again: %+v", s.Counts)
						}
					}
					w.file("day.jsonl", tuesday, chat("b", nil))
					if s := w.mustRun(importer.OutcomeIncomplete, w.jsonl(path), nil); s.Counts.Rejected != 1 || s.Counts.Imported != 1 {
						t.Errorf("tuesday: %+v", s.Counts)
					}
					key := w.wantRejected(1, tuesday).ID
					if s := w.mustRun(importer.OutcomeOK, w.jsonl(path), nil); s.Counts.AlreadyDone != 2 {
						t.Errorf("tuesday again: %+v", s.Counts)
					}
					e, err := plan.Explain(t.Context(), importer.Config{Source: testSource, Store: w.open(), Reader: w.jsonl(path), AgentID: sandbox.DefaultAgentID}, key)
					if err != nil || !e.Known || e.Record == nil || e.Next != plan.NextIgnores {
						t.Errorf("explain %s: %+v, %v", key, e, err)
					}
					// It can be corrected like any other.
					w.mustRun(importer.OutcomeOK, w.jsonl(w.file("corrected.jsonl",
						correction(key, "m-2", fields{"_error": fields{"transcript_id": key, "place": place, "content_hash": hashOf(tuesday)}}))), excerpt)
					w.wantOnce("m-2")
					if left := w.rejected(); len(left) != 0 {
						t.Errorf("rejected after the correction: %v", left)
					}
					if s := w.mustRun(importer.OutcomeOK, w.jsonl(path), nil); s.Counts.Skipped != 1 || s.Counts.AlreadyDone != 1 {
						t.Errorf("tuesday after its correction: %+v", s.Counts)
					}
				})
			})
		}
	}
}

// TestLateCorrectionSettlesOnlyItsOriginal requires that a late correction does not settle the record that is now at the place.
func TestLateCorrectionSettlesOnlyItsOriginal(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store string) {
		w := setup(t, store, sandbox.Options{})
		monday, tuesday := badLines["not JSON"]("monday"), badLines["no id"]("tuesday")
		path := w.file("day.jsonl", monday)
		place := path + ":1"
		w.mustRun(importer.OutcomeIncomplete, w.jsonl(path), nil)
		w.file("day.jsonl", tuesday)
		w.mustRun(importer.OutcomeIncomplete, w.jsonl(path), nil)
		corrected := w.file("corrected.jsonl", correctionOf(place, monday, "m-1"))
		w.mustRun(importer.OutcomeOK, w.jsonl(corrected), excerpt)
		w.wantOnce("m-1")
		w.wantRejected(1, tuesday)
		if s := w.mustRun(importer.OutcomeOK, w.jsonl(corrected), excerpt); s.Counts.AlreadyDone != 1 {
			t.Errorf("the correction again: %+v", s.Counts)
		}
		// Under another id it would be in Dixa twice.
		s := w.mustRun(importer.OutcomeIncomplete, w.jsonl(w.file("again.jsonl", correctionOf(place, monday, "n-1"))), excerpt)
		if s.Counts.Rejected != 1 || s.Causes["duplicate_id"] != 1 {
			t.Errorf("corrected twice: %+v, %v", s.Counts, s.Causes)
		}
		// A correction that is still invalid settles nothing, either.
		s = w.mustRun(importer.OutcomeIncomplete, w.jsonl(w.file("bad.jsonl", correction(place, nil,
			fields{"_error": fields{"transcript_id": place, "place": place, "content_hash": hashOf(badLines["no id"]("sunday"))}}))), excerpt)
		if s.Counts.Rejected != 1 {
			t.Errorf("still invalid: %+v", s.Counts)
		}
		w.mustRun(importer.OutcomeOK, w.jsonl(path), nil)
	})
}

// TestIDThatLooksLikeAPlace has a record whose id is the place of another record.
func TestIDThatLooksLikeAPlace(t *testing.T) {
	t.Parallel()
	for name, record := range map[string]fields{
		"closed":   nil,
		"open":     {"closed_at": nil},
		"rejected": {"direction": "sideways"},
	} {
		for first, order := range map[string]bool{"the id first": true, "the place first": false} {
			t.Run(name+"/"+first, func(t *testing.T) {
				t.Parallel()
				onStores(t, storesFor(name == "closed"), func(t *testing.T, store string) {
					w := setup(t, store, sandbox.Options{})
					path := w.files + "/t.jsonl"
					bad, number := badLines["not JSON"]("x"), 2
					lines := func(record fields) []string { return []string{chat(path+":2", record), bad} }
					if !order {
						number = 1
						lines = func(record fields) []string { return []string{bad, chat(path+":1", record)} }
					}
					id := fmt.Sprintf("%s:%d", path, number)
					w.file("t.jsonl", lines(record)...)
					for range 2 {
						if _, err := w.run(w.jsonl(path), nil); err != nil {
							t.Fatal(err)
						}
					}
					w.file("t.jsonl", lines(nil)...)
					for range 3 {
						if _, err := w.run(w.jsonl(path), nil); err != nil {
							t.Fatal(err)
						}
					}
					w.wantOnce(id)
					w.wantRow(id, checkpoint.Complete, "")
					row := w.wantRejected(1, bad)
					if s := w.mustRun(importer.OutcomeOK, w.jsonl(path), nil); s.Counts.AlreadyDone != 2 {
						t.Errorf("after all is settled: %+v", s.Counts)
					}
					w.mustRun(importer.OutcomeOK, w.jsonl(path), func(c *importer.Config) {
						c.Retry = &importer.Selection{IDs: []string{row.ID}, Decision: importer.Drop}
					})
					if s := w.mustRun(importer.OutcomeOK, w.jsonl(path), nil); s.Counts.AlreadyDone != 1 || s.Counts.Skipped != 1 {
						t.Errorf("after the line is dropped: %+v", s.Counts)
					}
				})
			})
		}
	}
}

// clockAt returns a reader of files with the given clock.
func (w *world) clockAt(at time.Time, paths ...string) *source.JSONL {
	w.Helper()
	r, err := source.OpenJSONL(source.JSONLConfig{Paths: paths, Now: func() time.Time { return at }})
	if err != nil {
		w.Fatal(err)
	}
	return r
}

// TestUnsentRecordsAreCheckedAgain requires that a verdict that depends on the date or the configuration is repeated whenever the record is
// read.
func TestUnsentRecordsAreCheckedAgain(t *testing.T) {
	t.Parallel()
	day := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	skip := func(c *importer.Config) { c.Anonymous = importer.AnonymousSkip }
	ahead := chat("a", fields{"closed_at": "2026-11-23T08:00:00Z"})
	local := chat("a", fields{"end_user": fields{"phone": "12345678"}})
	type run struct {
		at     time.Time
		change func(*importer.Config)
	}
	for name, test := range map[string]struct {
		line        string
		first, then run
		status      checkpoint.Status
		code        string
	}{
		"a day ahead":    {ahead, run{at: day}, run{at: day.AddDate(0, 0, 2)}, checkpoint.Rejected, "time_in_future"},
		"anonymous":      {chat("a", fields{"end_user": nil}), run{day, skip}, run{at: day}, checkpoint.Skipped, "anonymous"},
		"another region": {local, run{day, func(c *importer.Config) { skip(c); c.Region = "" }}, run{day, skip}, checkpoint.Skipped, "anonymous"},
		"another match order": {chat("a", fields{"end_user": fields{"email": "ann@example.org"}}),
			run{day, func(c *importer.Config) { skip(c); c.Match = []checkpoint.IdentifierKind{checkpoint.ExternalID} }}, run{day, skip}, checkpoint.Skipped, "anonymous"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onEveryStore(t, func(t *testing.T, store string) {
				w := setup(t, store, sandbox.Options{})
				path := w.file("t.jsonl", test.line)
				for range 2 {
					if s, err := w.run(w.clockAt(test.first.at, path), test.first.change); err != nil || s.Counts.Imported != 0 {
						t.Fatalf("the first run: %+v, %v", s.Counts, err)
					}
					w.wantRow("a", test.status, test.code)
				}
				if s := w.mustRun(importer.OutcomeOK, w.clockAt(test.then.at, path), test.then.change); s.Counts.Imported != 1 {
					t.Errorf("the next run: %+v", s.Counts)
				}
				w.wantOnce("a")
			})
		})
	}
}

// TestRowsOfEarlierVersionsAreCheckedAgain requires that this version repeats the verdicts of earlier versions.
func TestRowsOfEarlierVersionsAreCheckedAgain(t *testing.T) {
	t.Parallel()
	for name, set := range map[string]string{
		"rejected": "status = 'rejected', error_code = 'invalid_role', error = 'x'",
		"open":     "status = 'skipped', error_code = 'open'",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onEveryStore(t, func(t *testing.T, store string) {
				w := setup(t, store, sandbox.Options{})
				good, bad := chat("a", nil), chat("b", fields{"messages": []any{}})
				path := w.file("t.jsonl", chat("a", fields{"direction": "sideways"}), bad)
				if _, err := w.run(w.jsonl(path), nil); err != nil {
					t.Fatal(err)
				}
				w.sql("update dixa_import.transcripts set " + set + ", content_hash = '" + hashOf(good) + "' where transcript_id = 'a'")
				w.file("t.jsonl", good, bad)
				if s, err := w.run(w.jsonl(path), nil); err != nil || s.Counts.Imported != 1 {
					t.Errorf("the run: %+v, %v", s.Counts, err)
				}
				w.wantOnce("a")
			})
		})
	}
}

// TestRetryChecksRejectedRowsAgain requires that a retry checks rejected rows below the watermark, and keeps them if the verdict is the
// same.
func TestRetryChecksRejectedRowsAgain(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store string) {
		w := setup(t, store, sandbox.Options{})
		url, db := botDatabase(t, 9)
		exec(t, db, "update messages set sender = 'visitor' where session_id in (3, 4, 5)")
		w.mustRun(importer.OutcomeIncomplete, w.postgres(url), nil)
		exec(t, db, "update sessions set ended_at = ended_at + interval '30 days' where id = 9") // raises the watermark
		w.mustRun(importer.OutcomeOK, w.postgres(url), nil)
		// As if an earlier version had not known this role.
		exec(t, db, "update messages set sender = 'user' where session_id = 3")
		w.sql("update dixa_import.transcripts set content_hash = '" + w.hashOfRow(url, "3") + "' where transcript_id = '3'")
		retry := func(c *importer.Config) { c.Retry = &importer.Selection{} }
		if s := w.mustRun(importer.OutcomeOK, w.postgres(url), retry); s.Counts.Imported != 1 || s.Counts.AlreadyDone != 2 || s.Counts.Rejected != 0 {
			t.Errorf("the retry: %+v", s.Counts)
		}
		w.wantOnce("3")
		w.wantRow("4", checkpoint.Rejected, "invalid_role")
		exec(t, db, "update messages set sender = 'user' where session_id = 4")
		exec(t, db, "delete from messages where session_id = 5; delete from sessions where id = 5")
		if s := w.mustRun(importer.OutcomeOK, w.postgres(url), retry); s.Counts.Imported != 1 || s.Counts.AlreadyDone != 1 {
			t.Errorf("the second retry: %+v", s.Counts)
		}
		w.wantOnce("4")
	})
}

// hashOfRow returns the content hash of a row of the bot's database.
func (w *world) hashOfRow(url, id string) string {
	w.Helper()
	for rec, err := range w.postgres(url).Fetch(w.Context(), []string{id}) {
		if err != nil {
			w.Fatal(err)
		}
		return rec.Hash.String()
	}
	w.Fatalf("there is no row %s", id)
	return ""
}
