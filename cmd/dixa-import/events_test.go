package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dixa-import/importer/checkpoint"
)

// eventsFixture is a checkpoint with a waiting event, a forwarded one and a dead one, all with texts, and its configuration.
func eventsFixture(t *testing.T) (configPath string) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "bot.db")
	store, err := checkpoint.Open(t.Context(), "sqlite:"+path, checkpoint.Options{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	if _, _, err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	of := checkpoint.Binding{BaseURL: "https://dev.dixa.io", Organisation: "o"}
	if err := store.Bind(t.Context(), "bot", of, false); err != nil {
		t.Fatal(err)
	}
	run, err := store.StartRun(t.Context(), "bot", "run")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		id, number := fmt.Sprint("t-", i), int64(100+i)
		if _, err := store.Claim(t.Context(), "bot", run, []checkpoint.ClaimRequest{{ID: id, Seen: -1}}); err != nil {
			t.Fatal(err)
		}
		c := checkpoint.Change{ID: id, Claim: 1, Event: checkpoint.Send, EndUserID: "u"}
		found := c
		found.Event, found.ConversationID = checkpoint.Found, number
		if _, err := store.Write(t.Context(), "bot", run, []checkpoint.Change{c, found}); err != nil {
			t.Fatal(err)
		}
		e := checkpoint.WebhookEvent{ID: fmt.Sprint("e-", i), ConversationID: number, Type: "message_added", FQN: "CONVERSATION_MESSAGE_ADDED", At: time.Now(), Text: "whispered", AuthorName: "whispered"}
		if _, err := store.StoreEvents(t.Context(), of, []checkpoint.WebhookEvent{e}, checkpoint.StoreOptions{Forward: i < 2}); err != nil {
			t.Fatal(err)
		}
	}
	claimed, _, err := store.ClaimEvents(t.Context(), of, "bot", "i", time.Minute, 2)
	if err != nil || len(claimed) != 2 {
		t.Fatal(claimed, err)
	}
	for _, e := range claimed {
		if e.ID == "e-0" {
			_, err = store.MarkForwarded(t.Context(), e.ID, e.Claim, 200)
		} else {
			for range 2 { // the first attempt begins the time after which it is given up
				if _, err = store.FailEvent(t.Context(), e.ID, e.Claim, 500, "the bot answered 500", 0, -time.Hour); err != nil {
					break
				}
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	configPath = filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(configPath, []byte("database: \"sqlite:"+path+"\"\nsource: {name: bot}\nserve: {webhook_secrets: [\"${NOT_SET}\"]}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return configPath
}

func TestEventsCommand(t *testing.T) {
	t.Parallel()
	path := eventsFixture(t)
	do := func(args ...string) (stdout, stderr string, code int) {
		var out, console bytes.Buffer
		err := run(context.Background(), append([]string{"--config", path, "events"}, args...), strings.NewReader(""), &out, &console)
		if strings.Contains(out.String()+console.String(), "whispered") {
			t.Errorf("%v shows what was written:\n%s", args, out.String())
		}
		return out.String(), console.String() + message(err), exitCode(err)
	}
	for _, tt := range []struct {
		args           []string
		want, mustLack string
	}{
		{nil, "e-2", "(not known"},
		{nil, "1 event given up", ""},
		{[]string{"--dead"}, "the bot answered 500", "e-0"},
		{[]string{"--transcript", "t-0"}, "forwarded", "e-1"},
		{[]string{"--since", "2200-01-01"}, "There are no such events.", "e-1"},
		{[]string{"--limit", "1"}, "e-2", "e-0"},
	} {
		out, stderr, code := do(tt.args...)
		if code != exitOK || !strings.Contains(out, tt.want) || tt.mustLack != "" && strings.Contains(out, tt.mustLack) {
			t.Errorf("%v: exit code %d\n%s%s", tt.args, code, out, stderr)
		}
	}
	for _, args := range [][]string{{"--id", "x"}, {"--retry", "--since", "2026-01-01"}, {"--limit", "-1"}, {"--since", "yesterday"}} {
		if _, stderr, code := do(args...); code != exitUsage || stderr == "" {
			t.Errorf("%v: exit code %d, %s", args, code, stderr)
		}
	}
	out, _, _ := do("--json", "--dead")
	var events []eventJSON
	if err := json.Unmarshal([]byte(out), &events); err != nil || len(events) != 1 || events[0].EventID != "e-1" || events[0].TranscriptID != "t-1" || events[0].LastStatus != 500 {
		t.Errorf("%v:\n%s", err, out)
	}
	for _, tt := range []struct{ args, want string }{
		{"--retry --id e-0", "There is no such event"},
		{"--retry --transcript t-1", "1 event will be forwarded again"},
		{"--retry --json", `"retried": 0`},
	} {
		if out, stderr, code := do(strings.Fields(tt.args)...); code != exitOK || !strings.Contains(out, tt.want) {
			t.Errorf("%s: exit code %d\n%s%s", tt.args, code, out, stderr)
		}
	}
}
