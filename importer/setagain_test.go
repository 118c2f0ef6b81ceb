package importer_test

import (
	"flag"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"dixa-import/dixa"
	"dixa-import/dixa/sandbox"
	"dixa-import/importer"
	"dixa-import/importer/checkpoint"
	"dixa-import/importer/plan"
	"dixa-import/source"
)

var remapped = flag.Int("remap.transcripts", 300, "how many transcripts TestMappingChanged imports")

// mapped returns a configuration that sets a number of its own, a constant version, and a reason by a table.
func mapped(version string, byTopic map[string][]string, tags ...string) func(*importer.Config) {
	return func(c *importer.Config) {
		table := map[string]source.Value{}
		for from, to := range byTopic {
			table[from] = source.Value{List: to}
		}
		c.Tags = tags
		c.Attributes = []importer.AttributeMapping{{Name: "order", Attribute: "order_number"},
			{Name: "version", Attribute: "bot_version", Constant: &source.Value{Text: version}}, {Name: "topic", Attribute: "contact_reason", Values: table}}
	}
}

var (
	setAgain = importer.Selection{Attributes: true}
	byTopic  = map[string][]string{"cards": {"payment", "card"}, "login": {"access"}}
	topics   = []string{"cards", "login", "cards", "lost"}
)

// planned returns what the plan of a retry of attributes says.
func (w *world) planned(path string, change func(*importer.Config)) plan.Values {
	w.Helper()
	store := w.open()
	defer func() { _ = store.Close() }()
	cfg := importer.Config{Source: testSource, Reader: w.jsonl(path), Store: store, API: w.client(nil), BaseURL: w.http.URL, AgentID: sandbox.DefaultAgentID,
		Retry: &setAgain, Command: "retry"}
	change(&cfg)
	v, err := plan.SetAgain(w.Context(), cfg)
	if err != nil {
		w.Fatal(err)
	}
	return v
}

// TestMappingChanged requires that a changed mapping is sent for the transcripts whose values differ, and for no others.
func TestMappingChanged(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store string) {
		w := setup(t, store, sandbox.Options{})
		n := *remapped - *remapped%len(topics)
		quarter := n / len(topics)
		lines := make([]string, n)
		for i := range lines {
			lines[i] = chat(fmt.Sprintf("t-%d", i), fields{"attributes": fields{"order": strconv.Itoa(i), "topic": topics[i%len(topics)]}})
		}
		lines = append(lines, chat("open", fields{"closed_at": nil}), chat("bad", fields{"messages": 7}))
		path := w.file("c.jsonl", lines...)
		w.mustRun(importer.OutcomeIncomplete, w.jsonl(path), mapped("1", byTopic)) // for the bad one
		w.wantRow("t-3", checkpoint.Partial, "")                                   // nothing translates "lost"
		agent := w.client(nil)
		if err := agent.PatchAttributes(t.Context(), w.row("t-1").ConversationID, map[string]dixa.AttributeValue{sandbox.OrderNumberID: {Text: "by an agent"}}); err != nil {
			t.Fatal(err)
		}
		again := func(change func(*importer.Config), patches, tags, imported, partial int) {
			t.Helper()
			p := w.planned(path, change)
			before := w.api.Counts()
			s := w.mustRun(importer.OutcomeOK, w.jsonl(path), retrying(setAgain, change))
			after := w.api.Counts()
			if got := after[sandbox.PatchAttributes] - before[sandbox.PatchAttributes]; got != patches || after[sandbox.Import] != before[sandbox.Import] {
				t.Errorf("%d patches, want %d; %d imports, before %d", got, patches, after[sandbox.Import], before[sandbox.Import])
			}
			if got := after[sandbox.AddTag] - before[sandbox.AddTag]; got != tags {
				t.Errorf("%d tags were added, want %d", got, tags)
			}
			if s.Counts.Read != int64(n) || s.Counts.Imported != int64(imported) || s.Counts.Partial != int64(partial) || s.Counts.AlreadyDone != int64(n-imported-partial) {
				t.Errorf("counts are %+v", s.Counts)
			}
			if p.Transcripts != int64(n) || p.Differing != int64(imported+partial) || p.Requests != int64(patches+tags) || p.Others != 0 {
				t.Errorf("the plan was %+v", p)
			}
		}
		again(mapped("1", byTopic), 0, 0, 0, 0)
		again(mapped("2", byTopic), n, 0, n-quarter, quarter)
		again(mapped("2", map[string][]string{"cards": {"payment"}, "login": {"access"}}), 2*quarter, 0, 2*quarter, 0)
		again(mapped("2", map[string][]string{"cards": {"payment"}, "login": {"access"}, "lost": {"delivery"}}, "bot"), quarter, n, n, 0)
		again(mapped("2", map[string][]string{"cards": {"payment"}, "login": {"access"}, "lost": {"delivery"}}, "bot", "Refund"), 0, n, n, 0)
		again(mapped("2", map[string][]string{"cards": {"payment"}, "lost": {"delivery"}}, "refund", "bot"), 0, 0, 0, quarter) // "login" is no reason of Dixa
		if c := w.wantOnce("t-0"); fmt.Sprint(c.Attributes) != fmt.Sprint(map[string]any{sandbox.OrderNumberID: "0", sandbox.BotVersionID: "2", sandbox.ContactReasonID: []string{"payment"}}) {
			t.Errorf("attributes are %v", c.Attributes)
		}
		if c := w.wantOnce("t-1"); c.Attributes[sandbox.OrderNumberID] != "by an agent" {
			t.Errorf("what an agent wrote was replaced by %v", c.Attributes[sandbox.OrderNumberID])
		}
		w.wantRow("t-1", checkpoint.Partial, "")
		w.wantRow("t-3", checkpoint.Complete, "")
		w.wantRow("open", checkpoint.Skipped, "open")
		w.wantTotals(n, n)
	})
}

// TestMappingOfChangedRecords requires that records which went on are set again, each conversation of them, and edited ones are left alone.
func TestMappingOfChangedRecords(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store string) {
		w := setup(t, store, sandbox.Options{})
		order := func(value string) map[string]any { return fields{"attributes": fields{"order": value}} }
		path := w.file("c.jsonl", longChat("grown", 2, order("a")), longChat("edited", 2, order("a")), longChat("enriched", 2, order("a")))
		w.mustRun(importer.OutcomeOK, w.jsonl(path), withOrders)
		w.file("c.jsonl", longChat("grown", 4, order("a")), longChat("edited", 2, order("a")), longChat("enriched", 2, order("a")))
		w.mustRun(importer.OutcomeOK, w.jsonl(path), func(c *importer.Config) {
			withOrders(c)
			withFollowUps(c)
		})
		w.wantPart("grown", 2, 3, 4)

		edited := strings.Replace(longChat("edited", 2, order("b")), "edited 1", "another text", 1)
		w.file("c.jsonl", longChat("grown", 6, order("b")), edited, longChat("enriched", 2, order("b")))
		if p := w.planned(path, withOrders); p.Transcripts != 3 || p.Differing != 3 || p.Changed != 1 || p.Attributes["order"] != 3 {
			t.Errorf("the plan was %+v", p)
		}
		s := w.mustRun(importer.OutcomeOK, w.jsonl(path), retrying(setAgain, withOrders))
		if s.Counts.Read != 4 || s.Counts.Imported != 3 || s.Changed != 1 || s.Counts.AlreadyDone != 1 {
			t.Errorf("counts are %+v", s)
		}
		for id, want := range map[string]string{"grown": "b", "grown#2": "b", "enriched": "b", "edited": "a"} {
			if c := w.wantOnce(id); c.Attributes[sandbox.OrderNumberID] != want {
				t.Errorf("%s has the order %v", id, c.Attributes[sandbox.OrderNumberID])
			}
		}
		w.wantTotals(4, 3)
	})
}

// TestKilledWhileSettingAgain kills a retry of attributes at its fifth PATCH, before and after that has its effect.
func TestKilledWhileSettingAgain(t *testing.T) {
	t.Parallel()
	skipIfShort(t)
	onEveryStore(t, func(t *testing.T, store string) {
		w := setup(t, store, sandbox.Options{})
		const n = 40
		lines := make([]string, n)
		for i := range lines {
			lines[i] = chat(fmt.Sprintf("t-%d", i), fields{"attributes": fields{"order_number": strconv.Itoa(i)}})
		}
		path := w.file("c.jsonl", lines...)
		w.mustRun(importer.OutcomeOK, w.jsonl(path), nil) // without attributes
		for _, answered := range []bool{false, true} {
			victim := make(chan *child, 1)
			kill := func() { (<-victim).kill() }
			w.onNth(sandbox.PatchAttributes, 5, func(rw http.ResponseWriter, serve func(http.ResponseWriter)) {
				if answered {
					serve(&hookedWriter{ResponseWriter: rw, before: kill})
				} else {
					kill()
				}
			})
			c := w.spawn(path, func(spec *childSpec) {
				spec.Attributes, spec.Tags, spec.Retry, spec.Workers = []string{"order_number"}, []string{"bot"}, &setAgain, 4
			})
			victim <- c
			c.mustDie()
			w.expireChild(c)
		}
		w.tap.Store(nil)
		set := func(c *importer.Config) { c.Attributes, c.Tags = mappings([]string{"order_number"}), []string{"bot"} }
		w.mustRun(importer.OutcomeOK, w.jsonl(path), set) // finishes what was begun
		w.mustRun(importer.OutcomeOK, w.jsonl(path), retrying(setAgain, set))
		before := w.api.Counts()
		if s := w.mustRun(importer.OutcomeOK, w.jsonl(path), retrying(setAgain, set)); s.Counts.AlreadyDone != n {
			t.Errorf("counts are %+v", s.Counts)
		}
		if after := w.api.Counts(); after[sandbox.PatchAttributes] != before[sandbox.PatchAttributes] || after[sandbox.AddTag] != before[sandbox.AddTag] {
			t.Error("something was set again that had not changed")
		}
		for i := range n {
			id := fmt.Sprintf("t-%d", i)
			w.wantRow(id, checkpoint.Complete, "")
			if c := w.wantOnce(id); c.Attributes[sandbox.OrderNumberID] != strconv.Itoa(i) || len(c.TagIDs) != 1 {
				t.Errorf("%s has %v and the tags %v", id, c.Attributes, c.TagIDs)
			}
		}
		w.wantTotals(n, n)
	})
}
