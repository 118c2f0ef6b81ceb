package importer_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"dixa-import/dixa/sandbox"
	"dixa-import/importer"
	"dixa-import/importer/checkpoint"
	"dixa-import/importer/plan"
	"dixa-import/source"
)

// plan makes a plan, and checks that it changed nothing in Dixa.
func (w *world) plan(reader source.Reader, show int, change func(*importer.Config)) (plan.Plan, error) {
	w.Helper()
	store := w.open()
	defer func() { _ = store.Close() }()
	cfg := importer.Config{Source: testSource, Reader: reader, Store: store, API: w.client(nil), BaseURL: w.http.URL,
		AgentID: sandbox.DefaultAgentID, Region: "DK", Workers: 4, Empty: importer.EmptyReject} // as in the runs of these tests
	if change != nil {
		change(&cfg)
	}
	before := w.api.Counts()
	p, err := plan.New(cfg, show)
	if err != nil {
		w.Fatal(err)
	}
	planned, err := p.Plan(w.Context())
	after := w.api.Counts()
	for _, op := range []sandbox.Operation{sandbox.Import, sandbox.CreateEndUser, sandbox.CreateEndUsers, sandbox.PatchAttributes} {
		if before[op] != after[op] {
			w.Errorf("a plan made a request to %s", op)
		}
	}
	return planned, err
}

func (w *world) mustPlan(reader source.Reader, change func(*importer.Config)) plan.Plan {
	w.Helper()
	planned, err := w.plan(reader, 0, change)
	if err != nil {
		w.Fatal(err)
	}
	return planned
}

// wantCounts checks that a plan has the counts of the run that followed it, apart from the number of requests.
func wantCounts(t *testing.T, p plan.Plan, run importer.Summary) {
	t.Helper()
	planned, made := p.Counts, run.Counts
	planned.Requests, made.Requests = 0, 0
	if d := cmp.Diff(made, planned); d != "" {
		t.Errorf("the run (-) differs from the plan (+):\n%s", d)
	}
	if p.Changed != run.Changed {
		t.Errorf("%d changed, planned %d", run.Changed, p.Changed)
	}
}

func TestPlanCountsMatchTheRun(t *testing.T) {
	skipIfShort(t)
	t.Parallel()
	t.Run("empty chats rejected", func(t *testing.T) { t.Parallel(); planAndRun(t, importer.EmptyReject) })
	t.Run("empty chats skipped", func(t *testing.T) { t.Parallel(); planAndRun(t, importer.EmptySkip) })
}

// planAndRun plans runs over a dirty file, and performs them.
func planAndRun(t *testing.T, empty importer.Empty) {
	t.Helper()
	withOrders := func(c *importer.Config) { withOrders(c); c.Empty = empty }
	onEveryStore(t, func(t *testing.T, store string) {
		w := setup(t, store, sandbox.Options{})
		lines, _, _ := dirtyFile(11, 1200)
		path := w.file("chats.jsonl", lines...)
		first := w.mustPlan(w.jsonl(path), withOrders)
		for _, step := range []struct {
			name   string
			lines  func()
			change func(*importer.Config)
		}{
			{"limit", func() {}, func(c *importer.Config) { withOrders(c); c.Limit = 300 }},
			{"the rest", func() {}, withOrders},
			{"again", func() {}, withOrders},
			{"edited", func() {
				for i := range lines {
					if i%5 == 0 {
						lines[i] = strings.Replace(lines[i], "Where is", "Where was", 1)
					}
				}
				lines = append(lines, lines[3], chat("new-1", nil), chat("new-1", nil), chat("new-2", fields{"end_user": nil}))
				w.file("chats.jsonl", lines...)
			}, withOrders},
			{"anonymous are skipped", func() {
				w.file("chats.jsonl", append(lines, chat("new-3", fields{"end_user": nil}))...)
			}, func(c *importer.Config) { withOrders(c); c.Anonymous = importer.AnonymousSkip }},
		} {
			step.lines()
			planned := w.mustPlan(w.jsonl(path), step.change)
			s, err := w.run(w.jsonl(path), step.change)
			if err != nil {
				t.Fatalf("%s: %v", step.name, err)
			}
			t.Log(step.name, s.Counts)
			wantCounts(t, planned, s)
		}
		if bad := first.Rejections; len(bad) < 3 || first.Counts.Rejected == 0 || len(bad[0].Places) != 3 || !strings.Contains(bad[0].Places[0], "chats.jsonl:") {
			t.Errorf("rejections are %+v", bad)
		}
	})
}

func TestPlanIncludesUnfinishedTranscripts(t *testing.T) {
	t.Parallel()
	w := setup(t, "sqlite", sandbox.Options{})
	path := w.file("c.jsonl", append(orders(5), chat("t-1", nil), chat("t-2", nil))...)
	leaveSending(w, path, true)
	planned := w.mustPlan(w.jsonl(path), withOrders)
	if planned.Work.Sending != 1 || planned.Work.New+planned.Work.Pending+planned.Work.Attributes != planned.Counts.Read-planned.Counts.AlreadyDone-1 {
		t.Errorf("work is %+v of %+v", planned.Work, planned.Counts)
	}
	// Transcripts that the source no longer has are continued, too.
	w.file("c.jsonl", chat("t-9", nil))
	planned = w.mustPlan(w.jsonl(path), withOrders)
	if planned.Work.Sending != 1 || planned.Work.New != 1 || planned.Requests.Looks == 0 {
		t.Errorf("work is %+v, requests %+v", planned.Work, planned.Requests)
	}
}

func TestPlanEstimatesRequests(t *testing.T) {
	t.Parallel()
	// 40% of the 700 customers are in Dixa already. They return with one or several identifiers.
	w := setup(t, "sqlite", sandbox.Options{})
	const customers = 700
	for i := range customers {
		if i%5 < 2 {
			w.api.AddEndUser(sandbox.EndUser{Email: fmt.Sprintf("c%d@example.org", i)})
		}
	}
	lines := make([]string, 2000)
	for i := range lines {
		c := i * 11 % customers
		user := fields{"email": fmt.Sprintf("c%d@example.org", c)}
		if c%3 == 0 {
			user["external_id"] = fmt.Sprintf("x-%d", c)
		}
		lines[i] = chat(fmt.Sprintf("t-%d", i), fields{"end_user": user, "attributes": fields{"order": fmt.Sprint(i), "mood": "good"}})
	}
	path := w.file("c.jsonl", lines...)
	planned := w.mustPlan(w.jsonl(path), func(c *importer.Config) { withOrders(c); c.Rate = 50 })
	again := w.mustPlan(w.jsonl(path), func(c *importer.Config) { withOrders(c); c.Rate = 50 })
	if d := cmp.Diff(planned, again, cmp.AllowUnexported(importer.Mark{})); d != "" {
		t.Errorf("the second plan differs from the first:\n%s", d)
	}
	s := w.mustRun(importer.OutcomeOK, w.jsonl(path), withOrders)
	if off := math.Abs(float64(planned.Counts.Requests)/float64(s.Counts.Requests) - 1); off > 0.05 {
		t.Errorf("planned %d requests (%+v), made %d: %.1f%% off", planned.Counts.Requests, planned.Requests, s.Counts.Requests, 100*off)
	}
	t.Logf("planned %d requests (%+v, %+v), made %d", planned.Counts.Requests, planned.Requests, planned.People, s.Counts.Requests)
	if want := time.Duration(float64(planned.Counts.Requests) / 50 * float64(time.Second)); planned.Duration != want {
		t.Errorf("the duration is %v, want %v", planned.Duration, want)
	}
	if !slices.Equal(planned.Unmapped, []string{"mood"}) || planned.People.Unknown != customers || planned.People.Sampled == 0 || planned.People.Sampled > 200 {
		t.Errorf("unmapped %v, end-users %+v", planned.Unmapped, planned.People)
	}
	if d := planned.Directory; d == nil || *d != (plan.Directory{Requests: 3, Whole: true, PerPage: 100, LookUps: planned.Requests.LookUps}) {
		t.Errorf("the directory is %+v", d)
	}
	known := w.mustPlan(w.jsonl(w.file("d.jsonl", chat("new", fields{"end_user": fields{"email": "c5@example.org"}, "mood": 1}))), withOrders)
	if known.People != (plan.People{Known: 1}) || known.Requests.LookUps+known.Requests.Creations != 0 || !slices.Equal(known.Ignored, []string{"mood"}) {
		t.Errorf("end-users %+v, requests %+v, ignored %v", known.People, known.Requests, known.Ignored)
	}
}

func TestPlanEstimatesPreload(t *testing.T) {
	t.Parallel()
	w := setup(t, "sqlite", sandbox.Options{})
	for i := range 250 {
		w.api.AddEndUser(sandbox.EndUser{ExternalID: fmt.Sprintf("c-%d", i)})
	}
	lines := make([]string, 400)
	for i := range lines {
		lines[i] = chat(fmt.Sprintf("t-%d", i), fields{"end_user": fields{"external_id": fmt.Sprintf("c-%d", i)}})
	}
	path := w.file("c.jsonl", lines...)
	preload := func(c *importer.Config) { c.Preload = true }
	w.api.SetFaults([]sandbox.Fault{{Name: "too many at once", Operation: sandbox.ListEndUsers, Kind: sandbox.ErrorBefore, Status: 400, Nth: 1}})
	planned := w.mustPlan(w.jsonl(path), preload)
	w.wantFired("too many at once")
	s := w.mustRun(importer.OutcomeOK, w.jsonl(path), preload)
	if off := math.Abs(float64(planned.Counts.Requests)/float64(s.Counts.Requests) - 1); off > 0.05 || planned.Requests.LookUps != 0 || planned.Requests.Directory != 3 {
		t.Errorf("planned %d requests (%+v), made %d", planned.Counts.Requests, planned.Requests, s.Counts.Requests)
	}
	if planned.Directory.LookUps != 400 {
		t.Errorf("without the list, %d look-ups, want 400", planned.Directory.LookUps)
	}
	// If the list may not be read, the plan is that of look-ups.
	w.api.Forbid(sandbox.ListEndUsers, 403)
	more := w.file("d.jsonl", chat("new", nil))
	planned = w.mustPlan(w.jsonl(more), preload)
	if planned.Directory != nil || planned.Requests.LookUps != 1 {
		t.Errorf("the directory is %+v, requests %+v", planned.Directory, planned.Requests)
	}
}

func TestPlanWithoutCheckpoint(t *testing.T) {
	t.Parallel()
	w := setup(t, "sqlite", sandbox.Options{})
	path := w.file("c.jsonl", append(orders(40), orders(40)...)...)
	planned := w.mustPlan(w.jsonl(path), func(c *importer.Config) { withOrders(c); c.Store = nil })
	want := checkpoint.Counts{Read: 80, Imported: 40, Duplicate: 40, Requests: planned.Counts.Requests}
	if planned.Counts != want || planned.Work.New != 40 {
		t.Errorf("counts are %+v, work %+v", planned.Counts, planned.Work)
	}
}

func TestPlanShowsRequests(t *testing.T) {
	t.Parallel()
	w := setup(t, "sqlite", sandbox.Options{})
	old := w.file("old.jsonl", chat("t-0", fields{"end_user": fields{"external_id": "known"}}))
	w.mustRun(importer.OutcomeOK, w.jsonl(old), withOrders)
	path := w.file("c.jsonl", chat("t-1", fields{"end_user": fields{"external_id": "known"}, "attributes": fields{"order": "42"}}), chat("t-2", nil), chat("t-3", nil))
	planned, err := w.plan(w.jsonl(path), 2, withOrders)
	if err != nil || len(planned.Examples) != 2 {
		t.Fatalf("examples are %+v, %v", planned.Examples, err)
	}
	if got := planned.Examples[0].Import.RequesterID; got != w.row("t-0").EndUserID || got == "" {
		t.Errorf("the requester of a known end-user is %q", got)
	}
	if got := planned.Examples[1].Import.RequesterID; got != plan.UnknownEndUser {
		t.Errorf("the requester of an unknown end-user is %q", got)
	}
	if v := planned.Examples[0].Attributes[sandbox.OrderNumberID]; v.Text != "42" || planned.Examples[1].Attributes != nil {
		t.Errorf("attributes are %+v and %+v", planned.Examples[0].Attributes, planned.Examples[1].Attributes)
	}
	// It equals the request that is sent, byte for byte.
	var sent []byte
	w.api.SetFaults([]sandbox.Fault{{Kind: sandbox.SlowBody, Operation: sandbox.Import, Match: func(body []byte) bool {
		if strings.Contains(string(body), "bot/t-1") {
			sent = slices.Clone(body)
		}
		return false
	}}})
	w.mustRun(importer.OutcomeOK, w.jsonl(path), withOrders)
	shown, err := json.Marshal(planned.Examples[0].Import)
	if err != nil {
		t.Fatal(err)
	}
	var a, b any
	if json.Unmarshal(sent, &a) != nil || json.Unmarshal(shown, &b) != nil || !cmp.Equal(a, b) {
		t.Errorf("shown:\n%s\nsent:\n%s", shown, sent)
	}
}

func TestPlanNamesInvalidAttributeValues(t *testing.T) {
	t.Parallel()
	w := setup(t, "sqlite", sandbox.Options{})
	reason := func(id string, v any) string { return chat(id, fields{"attributes": fields{"reason": v}}) }
	path := w.file("c.jsonl", reason("1", []any{"payment", "card"}), reason("2", []any{"payment", "gold"}), reason("3", "nonsense"), reason("4", "nothing"))
	change := func(c *importer.Config) {
		c.Attributes = []importer.AttributeMapping{{Name: "reason", Attribute: "contact_reason"}}
	}
	planned := w.mustPlan(w.jsonl(path), change)
	s := w.mustRun(importer.OutcomeOK, w.jsonl(path), change)
	wantCounts(t, planned, s)
	if len(planned.Refused) != 2 || planned.Refused[0].Count+planned.Refused[1].Count != 3 || planned.Refused[0].Attribute != "reason" || planned.Requests.Patches != 1 {
		t.Errorf("refused are %+v, requests %+v", planned.Refused, planned.Requests)
	}
	for _, r := range planned.Refused {
		if strings.Contains(r.Reason, "gold") || strings.Contains(r.Reason, "nonsense") {
			t.Errorf("%q has a value", r.Reason)
		}
	}
}

func TestPlanErrors(t *testing.T) {
	t.Parallel()
	w := setup(t, "sqlite", sandbox.Options{})
	path := w.file("c.jsonl", orders(3)...)
	w.mustRun(importer.OutcomeOK, w.jsonl(path), withOrders)
	if _, err := w.plan(w.jsonl(path), 0, func(c *importer.Config) { c.BaseURL = "https://dev.dixa.io" }); err == nil ||
		!strings.Contains(err.Error(), "was imported into organisation") {
		t.Errorf("another organisation: %v", err)
	}
	if _, err := w.plan(w.jsonl(path), 0, func(c *importer.Config) { c.BaseURL, c.Rebind = "https://dev.dixa.io", true }); err != nil {
		t.Errorf("another organisation with Rebind: %v", err)
	}
	reader := w.jsonl(path)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	planned, err := w.plan(reader, 0, nil)
	if err != nil || planned.Counts.Rejected != 1 || planned.Rejections[0].Code != source.RejectFileDamaged {
		t.Errorf("a deleted file: %+v, %v", planned.Rejections, err)
	}
}

func TestPlanWithReconcile(t *testing.T) {
	t.Parallel()
	w := setup(t, "sqlite", sandbox.Options{})
	path := w.file("c.jsonl", orders(60)...)
	w.mustRun(importer.OutcomeOK, w.jsonl(path), withOrders)
	change := func(c *importer.Config) { withOrders(c); c.Reconcile = true }
	lost := func(c *importer.Config) { change(c); c.Store = nil }
	planned := w.mustPlan(w.jsonl(path), lost)
	if planned.Requests.Looks < 60 || planned.People.Found != 7 || planned.People.Created != 0 || planned.Duration == 0 {
		t.Errorf("requests %+v, end-users %+v, %v", planned.Requests, planned.People, planned.Duration)
	}
}
