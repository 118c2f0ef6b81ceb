package importer_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"dixa-import/dixa/sandbox"
	"dixa-import/importer"
	"dixa-import/importer/checkpoint"
	"dixa-import/source"
)

var orderNumber = []importer.AttributeMapping{{Name: "order", Attribute: "order_number"}}

func withOrders(c *importer.Config) { c.Attributes = orderNumber }

// dirtyFile returns random lines with repeats, gaps and errors, and the expected result.
func dirtyFile(seed uint64, n int) (lines []string, closed map[string]bool, want checkpoint.Counts) {
	random := rand.New(rand.NewPCG(seed, seed))
	closed = map[string]bool{}
	add := func(line string) { lines = append(lines, line) }
	for i := range n {
		id := fmt.Sprintf("t-%d", i)
		user := fields{"external_id": fmt.Sprintf("c-%d", random.IntN(n/3+1))}
		switch random.IntN(20) {
		case 0:
			add(chat(id, fields{"closed_at": nil, "end_user": user}))
			want.Skipped++
			continue
		case 1:
			add(chat(id, fields{"messages": []any{fields{"role": "system", "text": "prompt"}}}))
			want.Rejected++
			continue
		case 2:
			add(`{"id": "` + id + `", "messages": [`)
			want.Rejected++
			continue
		case 3:
			add(chat(id, fields{"created_at": "2026-11-19 08:00:00"}))
			want.Rejected++
			continue
		}
		line := chat(id, fields{"end_user": user, "attributes": fields{"order": id}})
		add(line)
		closed[id] = true
		want.Imported++
		switch random.IntN(20) {
		case 0:
			add(line)
			want.Duplicate++
		case 1:
			add(chat(id, fields{"direction": "outbound"}))
			want.Rejected++
		case 2:
			add("")
		}
	}
	want.Read = want.Imported + want.Skipped + want.Rejected + want.Duplicate
	return lines, closed, want
}

func TestEveryTranscriptIsImportedOnce(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store string) {
		w := setup(t, store, sandbox.Options{})
		lines, closed, want := dirtyFile(7, 1500)
		path := w.file("chats.jsonl", lines...)
		s := w.mustRun(importer.OutcomeIncomplete, w.jsonl(path), withOrders)
		want.Requests = s.Counts.Requests
		if s.Counts != want {
			t.Errorf("counts are\n%+v, want\n%+v", s.Counts, want)
		}
		conversations := w.api.Conversations()
		if len(conversations) != len(closed) {
			t.Errorf("Dixa has %d conversations, want %d", len(conversations), len(closed))
		}
		seen := map[string]bool{}
		for _, c := range conversations {
			id := strings.TrimPrefix(c.ExternalID, testSource+"/")
			if !closed[id] || seen[id] {
				t.Errorf("conversation %s is unexpected, or a duplicate", c.ExternalID)
			}
			seen[id] = true
			if got := c.Attributes[sandbox.OrderNumberID]; got != id {
				t.Errorf("conversation %s has the order number %v", c.ExternalID, got)
			}
			if len(c.Messages) != 2 || c.Messages[1].AuthorID != sandbox.DefaultAgentID || c.ClosedAt.IsZero() {
				t.Errorf("conversation %s is not complete: %+v", c.ExternalID, c)
			}
		}

		before := w.api.Counts()
		again := w.mustRun(importer.OutcomeOK, w.jsonl(path), withOrders)
		if again.Counts.AlreadyDone != want.Imported+want.Rejected || again.Counts.Duplicate != want.Duplicate || again.Counts.Skipped != want.Skipped {
			t.Errorf("the second run counts %+v", again.Counts)
		}
		after := w.api.Counts()
		for _, op := range []sandbox.Operation{sandbox.GetOrganization, sandbox.ListAttributes} {
			delete(before, op)
			delete(after, op)
		}
		if fmt.Sprint(before) != fmt.Sprint(after) {
			t.Errorf("the second run sent requests about transcripts: %v, then %v", before, after)
		}
	})
}

func TestImportedConversation(t *testing.T) {
	t.Parallel()
	w := setup(t, "sqlite", sandbox.Options{Agents: []string{"aaaaaaaa-0000-4000-8000-000000000001"}})
	path := w.file("chats.jsonl", chat("t-1", fields{
		"end_user": fields{"email": "  Ann@Example.ORG ", "phone": "12 34 56 78", "name": "Ann Lee"},
		"messages": []any{
			fields{"role": "system", "text": "you are a bot"},
			fields{"role": "user", "text": "Hej 👋 مرحبا", "created_at": "2026-11-19T08:00:01Z"},
			fields{"role": "bot", "text": "<b>Hi</b>", "format": "html", "created_at": "2026-11-19T08:00:01Z",
				"attachments": []any{fields{"url": "https://cdn.example.org/label.pdf", "name": "Label"}}},
			fields{"role": "agent", "text": "I take over", "agent_id": "aaaaaaaa-0000-4000-8000-000000000001", "created_at": "2026-11-19T08:00:02Z"},
		}, "attributes": fields{"order": 1234, "reason": []string{"payment", "card"}, "unmapped": "x"},
	}))
	w.mustRun(importer.OutcomeOK, w.jsonl(path), func(c *importer.Config) {
		c.Attributes = []importer.AttributeMapping{{Name: "order", Attribute: "Order number"}, {Name: "reason", Attribute: sandbox.ContactReasonID},
			{Name: "bot", Attribute: "Bot version", Constant: &source.Value{Text: "2.4"}}}
	})
	c := w.wantOnce("t-1")
	if len(c.Messages) != 3 || c.Messages[0].Text != "Hej 👋 مرحبا" || c.Messages[1].ContentType != "Html" ||
		c.Messages[1].CreatedAt.Sub(c.Messages[0].CreatedAt).Milliseconds() != 1 || c.Messages[2].AuthorID != "aaaaaaaa-0000-4000-8000-000000000001" {
		t.Errorf("messages are %+v", c.Messages)
	}
	if c.Attributes[sandbox.OrderNumberID] != "1234" || fmt.Sprint(c.Attributes[sandbox.ContactReasonID]) != "[payment card]" || c.Attributes[sandbox.BotVersionID] != "2.4" {
		t.Errorf("attributes are %v", c.Attributes)
	}
	if c.Assignment == nil || c.Assignment.AgentID != sandbox.DefaultAgentID || c.ClosedBy != sandbox.DefaultAgentID || c.Direction != "Inbound" {
		t.Errorf("conversation is %+v", c)
	}
	users := w.api.EndUsers()
	if len(users) != 1 || users[0].Email != "ann@example.org" || users[0].PhoneNumber != "+4512345678" || users[0].DisplayName != "Ann Lee" {
		t.Errorf("end-users are %+v", users)
	}
	row := w.wantRow("t-1", checkpoint.Complete, "")
	if row.ConversationID != c.ID || row.EndUserID != users[0].ID || row.Attempts != 1 || row.ContentHash == "" || row.ImportedAt.IsZero() {
		t.Errorf("the checkpoint has %+v", row)
	}
}

func TestOpenChatsAreImportedWhenTheyClose(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store string) {
		w := setup(t, store, sandbox.Options{})
		path := w.file("chats.jsonl", chat("t-1", fields{"closed_at": nil}))
		w.mustRun(importer.OutcomeOK, w.jsonl(path), nil)
		w.wantRow("t-1", checkpoint.Skipped, "open")
		w.file("chats.jsonl", chat("t-1", fields{"closed_at": nil}), chat("t-1", nil), chat("t-1", fields{"closed_at": nil}))
		s := w.mustRun(importer.OutcomeOK, w.jsonl(path), nil)
		if s.Counts.Imported != 1 || s.Counts.Skipped != 2 {
			t.Errorf("counts are %+v", s.Counts)
		}
		w.wantOnce("t-1")
		w.wantRow("t-1", checkpoint.Complete, "")

		open2, closed2 := chat("t-2", fields{"closed_at": nil}), chat("t-2", nil)
		w.file("chats.jsonl", open2, closed2, open2) // a new id, open and closed in one batch
		w.mustRun(importer.OutcomeOK, w.jsonl(path), nil)
		w.wantOnce("t-2")
	})
}

func TestRejectedRecordsAreCorrectedAndCleared(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store string) {
		w := setup(t, store, sandbox.Options{})
		bad := chat("t-1", fields{"messages": []any{}})
		path := w.file("chats.jsonl", bad, `{"id": "t-2"`, "\x00\xff garbage", chat("t-3", nil))
		s := w.mustRun(importer.OutcomeIncomplete, w.jsonl(path), nil)
		if s.Counts.Rejected != 3 || s.Causes["invalid_json"] != 2 || s.Causes["no_messages"] != 1 {
			t.Errorf("counts are %+v, causes %v", s.Counts, s.Causes)
		}
		w.wantRow("t-1", checkpoint.Rejected, "no_messages")
		if row := w.wantRow(path+":2", checkpoint.Rejected, "invalid_json"); !strings.Contains(row.Error, path+":2") {
			t.Errorf("the reason does not name the place: %s", row.Error)
		}
		w.file("chats.jsonl", chat("t-1", nil), chat("t-2", nil), "\x00\xff garbage", chat("t-3", nil))
		s = w.mustRun(importer.OutcomeOK, w.jsonl(path), nil)
		if s.Counts.Imported != 2 || s.Counts.AlreadyDone != 2 {
			t.Errorf("counts are %+v", s.Counts)
		}
		w.wantRow(path+":2", "", "") // the file was read again in full, and line 2 is valid now
		w.wantRow(path+":3", checkpoint.Rejected, "invalid_json")
	})
}

func TestRepeatedIDWithOtherContentIsRejected(t *testing.T) {
	t.Parallel()
	w := setup(t, "sqlite", sandbox.Options{})
	path := w.file("chats.jsonl", chat("t-1", nil), chat("t-1", fields{"direction": "outbound"}), chat("t-1", nil))
	s := w.mustRun(importer.OutcomeIncomplete, w.jsonl(path), nil)
	if s.Counts.Imported != 1 || s.Counts.Rejected != 1 || s.Counts.Duplicate != 1 {
		t.Errorf("counts are %+v", s.Counts)
	}
	w.wantRow(path+":2", checkpoint.Rejected, "duplicate_id")
	if c := w.wantOnce("t-1"); c.Direction != "Inbound" {
		t.Error("the second version was imported")
	}
	s = w.mustRun(importer.OutcomeOK, w.jsonl(path), nil)
	if s.Counts.AlreadyDone != 2 || s.Counts.Duplicate != 1 {
		t.Errorf("the second run counts %+v", s.Counts)
	}
}

func TestEditedTranscriptsAreNotSentAgain(t *testing.T) {
	t.Parallel()
	w := setup(t, "sqlite", sandbox.Options{})
	path := w.file("chats.jsonl", chat("t-1", nil))
	w.mustRun(importer.OutcomeOK, w.jsonl(path), nil)
	w.file("chats.jsonl", chat("t-1", fields{"direction": "outbound"}))
	s := w.mustRun(importer.OutcomeOK, w.jsonl(path), nil)
	if s.Counts.AlreadyDone != 1 || s.Changed != 1 {
		t.Errorf("an edited transcript after its import: %+v, changed %d", s.Counts, s.Changed)
	}
	w.wantOnce("t-1")
}

func TestAnonymousEndUsers(t *testing.T) {
	t.Parallel()
	w := setup(t, "sqlite", sandbox.Options{})
	lines := []string{chat("t-1", fields{"end_user": nil}), chat("t-2", fields{"end_user": fields{"phone": "call me", "email": "nobody", "name": "X"}})}
	path := w.file("chats.jsonl", lines...)
	s := w.mustRun(importer.OutcomeOK, w.jsonl(path), func(c *importer.Config) { c.Anonymous = importer.AnonymousSkip })
	if s.Counts.Skipped != 2 {
		t.Errorf("counts are %+v", s.Counts)
	}
	w.wantRow("t-1", checkpoint.Skipped, "anonymous")
	w.mustRun(importer.OutcomeOK, w.jsonl(path), nil)
	users := w.api.EndUsers()
	if len(users) != 2 || !slices.ContainsFunc(users, func(u sandbox.EndUser) bool { return u.ExternalID == "bot/t-1" }) {
		t.Errorf("end-users are %+v", users)
	}
}

func TestEndUserIsCreatedOnce(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store string) {
		w := setup(t, store, sandbox.Options{UniqueExternalID: true})
		var lines []string
		for i := range 120 {
			user := fields{"email": fmt.Sprintf("ann%d@example.org", i%10)}
			switch i % 3 {
			case 0:
				user["external_id"] = fmt.Sprintf("c-%d", i%10)
			case 1:
				user["phone"] = fmt.Sprintf("+45123456%02d", i%10)
			}
			lines = append(lines, chat(fmt.Sprintf("t-%d", i), fields{"end_user": user}))
		}
		w.mustRun(importer.OutcomeOK, w.jsonl(w.file("chats.jsonl", lines...)), nil)
		if users := w.api.EndUsers(); len(users) != 10 {
			t.Errorf("Dixa has %d end-users, want 10", len(users))
		}
	})
}

func TestSourcesShareEndUsers(t *testing.T) {
	t.Parallel()
	w := setup(t, "sqlite", sandbox.Options{})
	path := w.file("chats.jsonl", chats(50)...)
	w.mustRun(importer.OutcomeOK, w.jsonl(path), nil)
	before := w.api.Counts()[sandbox.FindEndUsers]
	w.mustRun(importer.OutcomeOK, w.jsonl(path), func(c *importer.Config) { c.Source = "other" })
	if after := w.api.Counts()[sandbox.FindEndUsers]; after != before || len(w.api.Conversations()) != 100 {
		t.Errorf("%d look-ups, then %d; %d conversations", before, after, len(w.api.Conversations()))
	}
}

func TestLimitAndStop(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store string) {
		w := setup(t, store, sandbox.Options{})
		path := w.file("chats.jsonl", chats(300)...)
		s := w.mustRun(importer.OutcomeOK, w.jsonl(path), func(c *importer.Config) { c.Limit = 5 })
		if s.Counts.Imported != 5 || len(w.api.Conversations()) != 5 {
			t.Errorf("--limit 5 imported %+v", s.Counts)
		}
		db := w.open()
		im := w.importer(w.jsonl(path), func(c *importer.Config) { c.Store = db })
		stop := make(chan struct{})
		from := w.requests.Load()
		w.onRequest(func(n int64) {
			if n == from+60 {
				im.Stop("test")
				close(stop)
			}
		})
		s, err := im.Run(context.Background())
		<-stop
		_ = db.Close()
		checkCounts(t, s)
		if err != nil || s.Outcome != importer.OutcomeStopped || s.Reason != "test" {
			t.Errorf("the run ended as %q (%s), %v", s.Outcome, s.Reason, err)
		}
		if n := len(w.api.Conversations()); n < 6 || n > 299 {
			t.Errorf("%d conversations after the stop", n)
		}
		w.mustRun(importer.OutcomeOK, w.jsonl(path), nil)
		if len(w.api.Conversations()) != 300 || len(w.api.Duplicates()) != 0 {
			t.Errorf("%d conversations, %d duplicates", len(w.api.Conversations()), len(w.api.Duplicates()))
		}
	})
}

func TestSourceIsBoundToItsOrganisation(t *testing.T) {
	t.Parallel()
	w := setup(t, "sqlite", sandbox.Options{})
	path := w.file("chats.jsonl", chats(3)...)
	w.mustRun(importer.OutcomeOK, w.jsonl(path), nil)
	other := setup(t, "sqlite", sandbox.Options{OrganizationID: "11111111-2222-4333-8444-555555555555"})
	other.url = w.url
	_, err := other.run(other.jsonl(path), nil)
	if err == nil || !strings.Contains(err.Error(), "--rebind") {
		t.Errorf("the source was imported into another organisation: %v", err)
	}
	if len(other.api.Conversations()) != 0 {
		t.Error("something was imported")
	}
	other.mustRun(importer.OutcomeOK, other.jsonl(path), func(c *importer.Config) { c.Rebind = true })
}

func TestManyFilesAndKinds(t *testing.T) {
	t.Parallel()
	w := setup(t, "sqlite", sandbox.Options{})
	w.file("a.jsonl", chats(20)...)
	w.file("b.jsonl", chat("b-1", nil))
	if err := os.WriteFile(filepath.Join(w.files, "c.jsonl"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := w.mustRun(importer.OutcomeOK, w.jsonl(filepath.Join(w.files, "*.jsonl")), nil)
	if s.Counts.Imported != 21 {
		t.Errorf("counts are %+v", s.Counts)
	}
}
