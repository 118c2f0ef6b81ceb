package importer_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"dixa-import/dixa/sandbox"
	"dixa-import/importer"
	"dixa-import/importer/checkpoint"
	"dixa-import/importer/plan"
	"dixa-import/importer/verify"
	"dixa-import/source"
)

func skipping(c *importer.Config) { c.Empty = importer.EmptySkip }

// TestEmptyChatsAreSkipped has chats without a message. They are skipped until they have one, or until the configuration rejects them.
func TestEmptyChatsAreSkipped(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store string) {
		w := setup(t, store, sandbox.Options{})
		empty := []string{
			chat("e-1", fields{"messages": []any{}}), chat("e-2", fields{"messages": json.RawMessage("null")}),
			chat("e-3", fields{"messages": []any{fields{"role": "system", "text": "x"}}}), chat("e-4", fields{"messages": []any{fields{"role": "user", "text": " \u200b\u00ad "}}}),
			chat("e-5", fields{"messages": []any{fields{"role": "bot", "content": []any{fields{"type": "reasoning", "text": "x"}}}}}),
		}
		path := w.file("chats.jsonl", append(empty, chat("t-1", nil))...)
		check := func(c checkpoint.Counts, skipped map[string]int64, s importer.Summary) {
			t.Helper()
			if s.Counts.Imported != c.Imported || s.Counts.Rejected != c.Rejected || s.Counts.AlreadyDone != c.AlreadyDone || s.Counts.Skipped != c.Skipped || cmp.Diff(skipped, s.Skipped) != "" {
				t.Errorf("counts are %+v, skipped %v", s.Counts, s.Skipped)
			}
		}
		five := map[string]int64{"empty": 5}
		check(checkpoint.Counts{Imported: 1, Skipped: 5}, five, w.mustRun(importer.OutcomeOK, w.jsonl(path), skipping))
		for i := range empty {
			w.wantRow(fmt.Sprintf("e-%d", i+1), checkpoint.Skipped, "empty")
		}
		before := w.row("e-1")
		check(checkpoint.Counts{AlreadyDone: 1, Skipped: 5}, five, w.mustRun(importer.OutcomeOK, w.jsonl(path), skipping))
		if again := w.row("e-1"); again != before {
			t.Errorf("an unchanged empty chat was written again: %+v, %+v", before, again)
		}
		check(checkpoint.Counts{AlreadyDone: 1, Rejected: 5}, nil, w.mustRun(importer.OutcomeIncomplete, w.jsonl(path), nil))
		w.wantRow("e-3", checkpoint.Rejected, "no_messages")
		check(checkpoint.Counts{AlreadyDone: 1, Skipped: 5}, five, w.mustRun(importer.OutcomeOK, w.jsonl(path), skipping))
		w.wantRow("e-3", checkpoint.Skipped, "empty")

		w.file("chats.jsonl", append(empty[1:], chat("t-1", nil), chat("e-1", nil))...)
		check(checkpoint.Counts{AlreadyDone: 1, Imported: 1, Skipped: 4}, map[string]int64{"empty": 4}, w.mustRun(importer.OutcomeOK, w.jsonl(path), skipping))
		w.wantOnce("e-1")
		w.file("chats.jsonl", append(empty, chat("t-1", nil))...) // and empty again, as in an older file
		check(checkpoint.Counts{AlreadyDone: 2, Skipped: 4}, map[string]int64{"empty": 4}, w.mustRun(importer.OutcomeOK, w.jsonl(path), skipping))
		w.wantRow("e-1", checkpoint.Complete, "")
		w.wantTotals(2, 2)
	})
}

// TestEmptyChatWithRepeatedID has an empty chat and one with the same id that is not empty. The latter is imported, in any order.
func TestEmptyChatWithRepeatedID(t *testing.T) {
	t.Parallel()
	empty, full := func(id string) string { return chat(id, fields{"messages": []any{}}) }, func(id string) string { return chat(id, nil) }
	filler := func(n int) (lines []string) { // so that the two are not in one batch
		for i := range n {
			lines = append(lines, empty(fmt.Sprintf("f-%d", i)))
		}
		return lines
	}
	for name, lines := range map[string][]string{
		"empty first":           {empty("a"), full("a")},
		"full first":            {full("a"), empty("a")},
		"thrice":                {empty("a"), full("a"), empty("a"), full("a")},
		"with others":           {empty("a"), full("a"), chat("a", fields{"closed_at": nil}), empty("a"), full("a"), full("a")},
		"far apart":             append(append([]string{empty("a")}, filler(1200)...), full("a")),
		"full first, far apart": append(append([]string{full("a")}, filler(1200)...), empty("a")),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t, "sqlite", sandbox.Options{})
			path := w.file("chats.jsonl", lines...)
			for i := range 3 {
				s := w.mustRun(importer.OutcomeOK, w.jsonl(path), skipping)
				if s.Counts.Rejected != 0 || i == 0 && s.Counts.Imported != 1 || i > 0 && s.Counts.Imported != 0 {
					t.Errorf("run %d: counts are %+v", i, s.Counts)
				}
				w.wantOnce("a")
			}
		})
	}
}

// TestEmptyChatsInPlanAndVerify checks what plan, explain and verify report about empty chats.
func TestEmptyChatsInPlanAndVerify(t *testing.T) {
	t.Parallel()
	w := setup(t, "sqlite", sandbox.Options{})
	path := w.file("chats.jsonl", chat("e-1", fields{"messages": []any{}}), chat("e-2", fields{"messages": json.RawMessage("null")}), chat("t-1", nil))
	store := w.open()
	cfg := importer.Config{Source: testSource, Reader: w.jsonl(path), Store: store, API: w.client(nil), BaseURL: w.http.URL, AgentID: sandbox.DefaultAgentID}
	for range 2 { // before and after a run
		planner, err := plan.New(cfg, 0)
		if err != nil {
			t.Fatal(err)
		}
		planned, err := planner.Plan(t.Context())
		if err != nil || planned.Empty != 2 || planned.Counts.Skipped != 2 || planned.Counts.Rejected != 0 || len(planned.Rejections) != 0 {
			t.Errorf("the plan: %+v, %v", planned, err)
		}
		e, err := plan.Explain(t.Context(), cfg, "e-1")
		if err != nil || !e.Empty || e.Rejected != nil || e.Next == plan.NextRejects || e.Next == plan.NextImports {
			t.Errorf("explain: %+v, %v", e, err)
		}
		w.mustRun(importer.OutcomeOK, w.jsonl(path), func(c *importer.Config) { c.Empty, c.Store = importer.EmptySkip, store })
	}
	excerpt := cfg
	excerpt.Excerpt = true
	v, err := verify.New(excerpt, verify.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := v.Run(t.Context()); err != nil || got.Bad != 0 || got.Unknown != 2 || got.Checked != 1 {
		t.Errorf("verify: %+v, %v", got, err)
	}
}

// TestMostlySkipped requires a warning about a source of which nearly nothing is imported, and about no other.
func TestMostlySkipped(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		open, empty, full int
		warns             string
	}{{12, 0, 0, "open"}, {18, 0, 2, "open"}, {17, 0, 3, ""}, {9, 0, 0, "open"}, {3, 0, 0, "open"}, {2, 0, 0, ""}, {8, 0, 1, ""}, {0, 10, 1, "empty"}, {5, 5, 0, ""}, {0, 0, 12, ""}} {
		w := setup(t, "sqlite", sandbox.Options{})
		var lines []string
		for i := range tt.open {
			lines = append(lines, chat(fmt.Sprintf("o-%d", i), fields{"closed_at": nil}))
		}
		for i := range tt.empty {
			lines = append(lines, chat(fmt.Sprintf("e-%d", i), fields{"messages": []any{}}))
		}
		for i := range tt.full {
			lines = append(lines, chat(fmt.Sprintf("t-%d", i), nil))
		}
		s := w.mustRun(importer.OutcomeOK, w.jsonl(w.file("chats.jsonl", lines...)), skipping)
		code, _ := s.MostlySkipped()
		logged := strings.Contains(w.logs.String(), "nearly all records were skipped for the same reason")
		if code != tt.warns || logged != (tt.warns != "") {
			t.Errorf("%+v: warns of %q, logged %v", tt, code, logged)
		}
	}
}

// TestForeignRecordsAreRejected imports records of other programs, none of which counts as open.
func TestForeignRecordsAreRejected(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store string) {
		w := setup(t, store, sandbox.Options{})
		path := w.file("chats.jsonl", `{"id":17,"sender_id":"c","type_name":"user","data":"{}"}`, `{"type":"conversation","id":"1","created_at":1731225600,"state":"closed","source":{}}`,
			`{"id":1,"session_id":"s","message":{"type":"human"},"created_at":"2026-11-19T08:00:00Z"}`, chat("17", nil), chat("o-1", fields{"closed_at": nil}))
		s := w.mustRun(importer.OutcomeIncomplete, w.jsonl(path), skipping)
		if s.Counts.Rejected != 3 || s.Causes["not_a_transcript"] != 3 || s.Counts.Imported != 1 || s.Skipped["open"] != 1 {
			t.Errorf("counts are %+v, causes %v, skipped %v", s.Counts, s.Causes, s.Skipped)
		}
		w.wantRow(path+":1", checkpoint.Rejected, string(source.RejectNotATranscript))
		w.wantOnce("17")
	})
}
