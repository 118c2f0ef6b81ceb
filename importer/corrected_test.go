package importer_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"dixa-import/dixa/sandbox"
	"dixa-import/importer"
	"dixa-import/importer/checkpoint"
	"dixa-import/importer/verify"
)

// correction returns a chat in the form of `errors --format transcripts`, with changes. If id is nil, it has none.
func correction(original string, id any, change fields) string {
	all := fields{"_error": fields{"transcript_id": original, "code": "x"}, "id": id, "end_user": fields{"external_id": "c-1"}}
	for k, v := range change {
		all[k] = v
	}
	return chat("", all)
}

// importBadFile writes and imports a file with a valid chat, one without an id, one that is not JSON, one with a repeated id, and one with
// an unknown direction. It returns the file and the place of a line.
func (w *world) importBadFile() (path string, place func(int) string) {
	w.Helper()
	path = w.file("bad.jsonl", chat("a", nil), chat("", fields{"id": nil}), `{"id": "b", "closed`,
		chat("a", fields{"direction": "outbound"}), chat("d", fields{"direction": "sideways"}))
	if s := w.mustRun(importer.OutcomeIncomplete, w.jsonl(path), nil); s.Counts.Rejected != 4 {
		w.Fatalf("counts are %+v", s.Counts)
	}
	return path, func(line int) string { return fmt.Sprintf("%s:%d", path, line) }
}

func excerpt(c *importer.Config) { c.Excerpt = true }

func TestCorrectionSettlesTheOriginal(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store string) {
		w := setup(t, store, sandbox.Options{})
		path, place := w.importBadFile()
		before := w.row(place(2)).ContentHash
		lines := []string{correction(place(2), "m-2", nil), correction(place(3), "m-3", nil), correction(place(4), "m-4", nil), correction("d", "d", nil)}
		if s := w.mustRun(importer.OutcomeOK, w.jsonl(w.file("corrected.jsonl", lines...)), excerpt); s.Counts.Imported != 4 {
			t.Errorf("counts are %+v", s.Counts)
		}
		for line := 2; line <= 4; line++ {
			row := w.wantRow(place(line), checkpoint.Skipped, "corrected")
			if want := fmt.Sprintf("m-%d", line); !strings.Contains(row.Error, want) {
				t.Errorf("the error of line %d is %q, want %s in it", line, row.Error, want)
			}
			w.wantRow(w.wantOnce(fmt.Sprintf("m-%d", line)).ExternalID[len(testSource)+1:], checkpoint.Complete, "")
		}
		if w.row(place(2)).ContentHash != before {
			t.Error("the content hash of the corrected record has changed")
		}
		// Later runs over the bad lines need no action, and neither does the file of corrections.
		for range 2 {
			s := w.mustRun(importer.OutcomeOK, w.jsonl(path), nil)
			if c := s.Counts; c.Skipped != 3 || c.AlreadyDone != 2 || s.Changed != 0 {
				t.Errorf("the next run: %+v, changed %d", c, s.Changed)
			}
			if s := w.mustRun(importer.OutcomeOK, w.jsonl(w.file("corrected.jsonl", lines...)), excerpt); s.Counts.AlreadyDone != 4 {
				t.Errorf("the corrections again: %+v", s.Counts)
			}
		}
		// Under another id it would be in Dixa twice.
		for id, original := range map[string]string{"n-2": place(2), "n-4": place(4)} {
			s := w.mustRun(importer.OutcomeIncomplete, w.jsonl(w.file("again.jsonl", correction(original, id, nil))), excerpt)
			if s.Counts.Rejected != 1 || s.Causes["duplicate_id"] != 1 {
				t.Errorf("corrected again as %s: %+v, %v", id, s.Counts, s.Causes)
			}
			if row := w.row(id); row.Status != "" {
				t.Errorf("%s is %s", id, row.Status)
			}
		}
		if n := len(w.api.Conversations()); n != 5 {
			t.Errorf("Dixa has %d conversations, want 5", n)
		}
	})
}

func TestSecondCorrectionOfARecordIsRejected(t *testing.T) {
	t.Parallel()
	w := setup(t, "sqlite", sandbox.Options{})
	_, place := w.importBadFile()
	file := w.file("corrected.jsonl", correction(place(2), "m-1", nil), correction(place(2), "m-2", nil))
	s := w.mustRun(importer.OutcomeIncomplete, w.jsonl(file), excerpt)
	if s.Counts.Imported != 1 || s.Counts.Rejected != 1 || len(w.api.Conversations()) != 2 {
		t.Errorf("counts are %+v, Dixa has %d conversations", s.Counts, len(w.api.Conversations()))
	}
}

func TestUncorrectedRecordsStayUnchanged(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store string) {
		w := setup(t, store, sandbox.Options{})
		path, place := w.importBadFile()
		w.file("correct.jsonl",
			correction(place(2), nil, nil),
			fmt.Sprintf(`{"_error":{"transcript_id":%q},"_raw":"{\"id\": \"b\", \"closed"}`, place(3)),
			correction(place(4), "a", fields{"direction": "outbound"}),
			correction("d", "d", fields{"direction": "upwards"}),
			correction(place(2), "m-2", fields{"direction": "upwards"}))
		s := w.mustRun(importer.OutcomeIncomplete, w.jsonl(w.files+"/correct.jsonl"), excerpt)
		if s.Counts.Rejected != 5 || s.Causes["missing_id"] != 1 || s.Causes["invalid_json"] != 1 || s.Causes["duplicate_id"] != 1 || s.Causes["invalid_field"] != 2 {
			t.Errorf("counts are %+v, causes %v", s.Counts, s.Causes)
		}
		if log := w.logs.String(); !strings.Contains(log, "not corrected yet") || !strings.Contains(log, "_raw still holds the original line") {
			t.Error("the log does not name the errors")
		}
		for key, code := range map[string]string{place(2): "missing_id", place(3): "invalid_json", place(4): "duplicate_id", "d": "invalid_field"} {
			w.wantRow(key, checkpoint.Rejected, code)
		}
		for _, key := range []string{"m-2", w.files + "/correct.jsonl:1", w.files + "/correct.jsonl:2"} {
			if row := w.row(key); row.Status != "" {
				t.Errorf("%s is %s", key, row.Status)
			}
		}
		if s := w.mustRun(importer.OutcomeOK, w.jsonl(path), nil); s.Counts.AlreadyDone != 5 || s.Changed != 0 {
			t.Errorf("the next run: %+v, changed %d", s.Counts, s.Changed)
		}
		if p, err := w.plan(w.jsonl(w.files+"/correct.jsonl"), 0, excerpt); err != nil || p.Counts.Rejected != 5 {
			t.Errorf("the plan: %+v, %v", p.Counts, err)
		}
	})
}

// TestCorrectionSurvivesACrash cancels a run after the original is settled and before the correction is sent.
func TestCorrectionSurvivesACrash(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store string) {
		w := setup(t, store, sandbox.Options{})
		_, place := w.importBadFile()
		file := w.file("corrected.jsonl", correction(place(2), "m-2", nil))
		ctx, cancel := context.WithCancel(t.Context())
		w.onOperation(func(op sandbox.Operation) {
			if op == sandbox.FindEndUsers {
				cancel()
			}
		})
		_, _ = w.importer(w.jsonl(file), excerpt).Run(ctx)
		if ctx.Err() == nil {
			t.Fatal("the run was not cancelled")
		}
		w.onOperation(func(sandbox.Operation) {})
		w.wantRow("m-2", checkpoint.Pending, "")
		w.wantRow(place(2), checkpoint.Skipped, "corrected")
		w.mustRun(importer.OutcomeOK, w.jsonl(file), excerpt)
		w.wantOnce("m-2")
	})
}

func TestVerifyComparesCorrections(t *testing.T) {
	t.Parallel()
	w := setup(t, "sqlite", sandbox.Options{})
	path, place := w.importBadFile()
	lines := []string{correction(place(2), "m-2", nil), correction(place(4), "a", fields{"direction": "outbound"}), correction("d", "d", nil)}
	corrected := w.file("corrected.jsonl", lines...)
	w.mustRun(importer.OutcomeIncomplete, w.jsonl(corrected), excerpt)
	s, found, err := w.verify(w.jsonl(path), verify.Options{}, nil)
	if err != nil || s.Outcome != importer.OutcomeOK || s.Checked != 1 || s.Corrected != 1 || s.NotHeld != 1 || found != nil {
		t.Errorf("compared with the source: %+v, %v, %v", s, found, err)
	}
	s, found, err = w.verify(w.jsonl(corrected), verify.Options{}, excerpt)
	if err != nil || s.Outcome != importer.OutcomeOK || s.Checked != 2 || s.Unknown != 1 || found != nil {
		t.Errorf("compared with the corrections: %+v, %v, %v", s, found, err)
	}
	lines[0] = correction(place(2), "m-2", fields{"direction": "outbound"})
	s, found, err = w.verify(w.jsonl(w.file("corrected.jsonl", lines...)), verify.Options{Sample: 10}, excerpt)
	if err != nil || s.Outcome != importer.OutcomeIncomplete || s.Checked != 2 {
		t.Errorf("changed after the import: %+v, %v", s, err)
	}
	wantLines(t, found, "m-2 direction ")
	s, found, err = w.verify(w.jsonl(w.file("corrected.jsonl", correction("d", "d", fields{"direction": "sideways"}), `{"broken`, lines[1])), verify.Options{}, excerpt)
	if err != nil || s.Outcome != importer.OutcomeOK || s.Checked != 0 || s.Bad != 2 || s.Unknown != 1 || s.NotHeld != 0 || found != nil {
		t.Errorf("compared with a partly invalid file: %+v, %v, %v", s, found, err)
	}
}

// TestRetryKeepsUncorrectedRecords requires that an invalid record in the file is reported, and that the rows stay as they are.
func TestRetryKeepsUncorrectedRecords(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store string) {
		w := setup(t, store, sandbox.Options{})
		reason := func(values ...string) fields { return fields{"attributes": fields{"reason": values}} }
		source := w.file("source.jsonl", chat("a", fields{"direction": "sideways"}), chat("b", fields{"direction": "sideways"}), chat("c", reason("none")))
		mapped := func(c *importer.Config) {
			c.Attributes = []importer.AttributeMapping{{Name: "reason", Attribute: "contact_reason"}}
		}
		excerpt := func(c *importer.Config) { mapped(c); c.Excerpt = true }
		w.mustRun(importer.OutcomeIncomplete, w.jsonl(source), mapped)
		file := w.file("corrected.jsonl", correction("a", "a", reason("none")), correction("b", "b", reason("none")))
		w.mustRun(importer.OutcomeOK, w.jsonl(file), excerpt)
		a, b, c := w.wantRow("a", checkpoint.Partial, ""), w.wantRow("b", checkpoint.Partial, ""), w.wantRow("c", checkpoint.Partial, "")
		// The records of a and b are still invalid, in the source and in a file made from it.
		partial := importer.Selection{Statuses: []checkpoint.Status{checkpoint.Partial}}
		s := w.mustRun(importer.OutcomeIncomplete, w.jsonl(source), retrying(importer.Selection{Statuses: partial.Statuses, IDs: []string{"a"}}, mapped))
		if s.Counts.Rejected != 1 || s.Causes["invalid_field"] != 1 || w.row("a") != a {
			t.Errorf("with the source: %+v, %v", s.Counts, s.Causes)
		}
		file = w.file("partial.jsonl", correction("a", "a", fields{"direction": "sideways"}), chat("b", fields{"direction": "sideways"}),
			correction("c", "c", reason("payment", "card")), `{"broken`, correction("elsewhere", "elsewhere", fields{"direction": "sideways"}))
		s = w.mustRun(importer.OutcomeIncomplete, w.jsonl(file), retrying(partial, excerpt))
		if s.Counts.Rejected != 3 || s.Counts.Imported != 1 || s.Counts.Read != 4 || s.Causes["invalid_field"] != 2 || s.Causes["invalid_json"] != 1 {
			t.Errorf("with the file: %+v, %v", s.Counts, s.Causes)
		}
		if w.row("a") != a || w.row("b") != b || w.row("c").Status != checkpoint.Complete {
			t.Errorf("the rows are %+v, %+v, %+v, want %+v, %+v, %+v", w.row("a"), w.row("b"), w.row("c"), a, b, c)
		}
		file = w.file("partial.jsonl", correction("a", "a", reason("payment", "card")), correction("b", "b", reason("payment", "card")))
		if s := w.mustRun(importer.OutcomeOK, w.jsonl(file), retrying(partial, excerpt)); s.Counts.Imported != 2 {
			t.Errorf("after all corrections: %+v", s.Counts)
		}
	})
}
