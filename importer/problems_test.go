package importer_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"dixa-import/dixa/sandbox"
	"dixa-import/importer"
	"dixa-import/importer/checkpoint"
	"dixa-import/importer/verify"
)

func withReasons(c *importer.Config) {
	c.Attributes = []importer.AttributeMapping{{Name: "reason", Attribute: "contact_reason"}}
}

func reasons(id string, path ...string) string {
	return chat(id, fields{"attributes": fields{"reason": path}})
}

// TestProblemsOfPartialTranscripts requires that the summary counts them by problem, and that the log has the first few of each.
func TestProblemsOfPartialTranscripts(t *testing.T) {
	t.Parallel()
	w := setup(t, "sqlite", sandbox.Options{})
	path := w.file("c.jsonl", reasons("t-1", "nowhere"), reasons("t-2", "payment", "nothing"), reasons("t-3", "nowhere"),
		reasons("t-4", "nowhere"), reasons("t-5", "nowhere"), reasons("t-6", "payment", "card"))
	s := w.mustRun(importer.OutcomeOK, w.jsonl(path), withReasons)
	if want := (importer.Problem{Kind: checkpoint.KindAttribute, Attribute: "reason", Count: 5}); !slices.Equal(s.Problems, []importer.Problem{want}) {
		t.Errorf("problems are %v", s.Problems)
	}
	logs := w.logs.String()
	if n := strings.Count(logs, "transcript imported with problems"); n != 3 {
		t.Errorf("%d are logged, want 3", n)
	}
	if !strings.Contains(logs, `msg="more transcripts imported with problems" run=1 count=2 cause="attribute reason"`) {
		t.Error("the log does not count the others")
	}
	debug := &lockedBuffer{}
	w.mustRun(importer.OutcomeOK, w.jsonl(path), retrying(importer.Selection{Statuses: []checkpoint.Status{checkpoint.Partial}}, func(c *importer.Config) {
		withReasons(c)
		c.Logger = slog.New(slog.NewTextHandler(debug, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}))
	if n := strings.Count(debug.String(), "transcript imported with problems"); n != 5 {
		t.Errorf("%d are logged at debug level, want 5", n)
	}
}

// TestSelectOptionsIgnoreCase requires that Dixa gets its own spelling, and that the error for an unknown value names the closest option.
func TestSelectOptionsIgnoreCase(t *testing.T) {
	t.Parallel()
	w := setup(t, "sqlite", sandbox.Options{})
	defs := sandbox.DefaultAttributes()
	for i := range defs {
		if defs[i].ID == sandbox.ContactReasonID { // two that differ by case alone
			defs[i].Options = append(defs[i].Options, sandbox.Option{Value: "vip", Label: "vip"}, sandbox.Option{Value: "VIP", Label: "VIP"})
		}
	}
	w.api.SetAttributes(defs)
	path := w.file("c.jsonl", reasons("t-1", "PAYMENT", "Card"), reasons("t-2", "VIP"), reasons("t-3", "Vip"),
		reasons("t-4", "Paymnet", "card"), reasons("t-5", "zzzzzzzzzzzz"))
	w.mustRun(importer.OutcomeOK, w.jsonl(path), withReasons)
	for id, want := range map[string]string{"t-1": "[payment card]", "t-2": "[VIP]", "t-3": "[]", "t-4": "[]", "t-5": "[]"} {
		if got := fmt.Sprint(w.wantOnce(id).Attributes[sandbox.ContactReasonID]); got != want && (want != "[]" || got != "<nil>") {
			t.Errorf("%s has %s, want %s", id, got, want)
		}
	}
	for id, want := range map[string]string{"t-3": `place, did you mean "vip"? (give`, "t-4": `place, did you mean "payment"? (give`, "t-5": "options at that place (give"} {
		p := w.partialErrors(id)
		if len(p) != 1 || !strings.Contains(p[0].Message, want) || strings.Contains(p[0].Message, "nowhere") || strings.Contains(p[0].Message, "Paymnet") {
			t.Errorf("partial errors of %s are %+v, want %q", id, p, want)
		}
	}
}

// TestVerifyReportsRefusedAttributes requires that attributes which the checkpoint knows to be refused are reported as missing in Dixa.
func TestVerifyReportsRefusedAttributes(t *testing.T) {
	t.Parallel()
	w := setup(t, "sqlite", sandbox.Options{})
	path := w.file("c.jsonl", reasons("t-1", "nowhere"), reasons("t-2", "payment"), reasons("t-3", "nowhere"))
	w.mustRun(importer.OutcomeOK, w.jsonl(path), withReasons)
	if !w.api.SetAttribute(w.wantOnce("t-3").ID, sandbox.ContactReasonID, []string{"payment"}) { // by hand
		t.Fatal("the attribute was not set")
	}
	var found []verify.Differing
	s, _, err := w.verify(w.jsonl(path), verify.Options{Report: func(d verify.Differing) { found = append(found, d) }}, withReasons)
	if err != nil || s.Outcome != importer.OutcomeIncomplete || s.KnownPartial != 2 || s.Differing != 1 || len(found) != 1 {
		t.Fatalf("%+v, error %v, found %+v", s, err, found)
	}
	want := verify.Difference{Kind: verify.DiffAttribute, Attribute: "reason", Detail: "refused when it was set; see errors"}
	if d := found[0]; d.ID != "t-1" || len(d.Differences) != 1 || d.Differences[0] != want {
		t.Errorf("found %+v", found)
	}
}

// TestCountsOfStoppedRunAddUp also stops a run among records with repeated ids.
func TestCountsOfStoppedRunAddUp(t *testing.T) {
	t.Parallel()
	w := setup(t, "sqlite", sandbox.Options{})
	var lines []string
	for i := range 1500 {
		id := fmt.Sprintf("t-%d", i)
		lines = append(lines, chat(id, nil), chat(id, fields{"direction": "outbound"}))
	}
	im := w.importer(w.jsonl(w.file("c.jsonl", lines...)), nil)
	var imports atomic.Int64
	w.onOperation(func(op sandbox.Operation) {
		if op == sandbox.Import && imports.Add(1) == 300 { // reading now waits for the workers in the middle of a batch
			im.Stop("enough")
		}
	})
	s, err := im.Run(context.Background())
	if err != nil || s.Outcome != importer.OutcomeStopped || s.Counts.Read == 0 {
		t.Fatalf("%+v, error %v", s, err)
	}
	checkCounts(t, s)
}

// TestLogHasEachReasonOnce requires that the first line with a reason has its full text, and that the others have only the place.
func TestLogHasEachReasonOnce(t *testing.T) {
	t.Parallel()
	w := setup(t, "sqlite", sandbox.Options{Faults: []sandbox.Fault{{Operation: sandbox.Import, Kind: sandbox.ErrorBefore, Status: 422}}})
	bad := func(id string) string { return chat(id, fields{"closed_at": "2026-11-19 08:12:30"}) }
	late := func(id string, n int) string {
		messages := make([]any, n)
		for i := range messages {
			messages[i] = fields{"role": "user", "text": "Hello"}
		}
		return chat(id, fields{"messages": append(messages, fields{"role": "boss", "text": "Hello"})})
	}
	path := w.file("c.jsonl", bad("b-1"), bad("b-2"), bad("b-3"), bad("b-4"), late("r-1", 1), late("r-2", 2), late("r-3", 3),
		chat("t-1", nil), chat("t-2", nil), chat("t-3", nil))
	s := w.mustRun(importer.OutcomeIncomplete, w.jsonl(path), nil)
	if s.Counts.Rejected != 7 || s.Counts.Failed != 3 {
		t.Fatalf("counts are %+v", s.Counts)
	}
	lines := map[string][]string{}
	for line := range strings.Lines(w.logs.String()) {
		for _, code := range []string{"time_without_zone", "invalid_role", "refused"} {
			if strings.Contains(line, "msg=\"transcript ") && strings.Contains(line, "code="+code) {
				lines[code] = append(lines[code], line)
			}
		}
	}
	for _, code := range []string{"time_without_zone", "invalid_role", "refused"} {
		if len(lines[code]) != 3 {
			t.Errorf("%s: %d lines, want 3", code, len(lines[code]))
		}
		for i, line := range lines[code] {
			if strings.Contains(line, "error=") != (i == 0) {
				t.Errorf("%s: line %d is %s", code, i+1, line)
			}
			if i > 0 && code != "refused" && !strings.Contains(line, "place=") {
				t.Errorf("%s: line %d has no place: %s", code, i+1, line)
			}
		}
	}
}
