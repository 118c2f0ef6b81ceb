package live

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"dixa-import/importer/checkpoint"
)

var now = time.Date(2026, 11, 27, 8, 0, 0, 0, time.UTC)

func TestParse(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 26, 8, 0, 0, 123e6, time.UTC)
	const head = `"event_id":"e","event_timestamp":"2026-11-26T08:00:00.123Z","event_fqn":`
	for name, tt := range map[string]struct {
		in   string
		want checkpoint.WebhookEvent
	}{
		"message": {`{` + head + `"CONVERSATION_MESSAGE_ADDED","data":{"conversation":{"csid":12},"text":"hi","message_id":"m","author":{"id":"u","name":"N","user_type":"Member"}}}`,
			checkpoint.WebhookEvent{ID: "e", FQN: "CONVERSATION_MESSAGE_ADDED", Type: TypeMessage, ConversationID: 12, At: at, Text: "hi", MessageID: "m", AuthorID: "u", AuthorName: "N", AuthorType: "Member"}},
		"content.text and both numbers": {`{` + head + `"ConversationMessageAdded","data":{"conversation":{"id":"11","csid":"12"},"text":null,"content":{"text":"hi"}}}`,
			checkpoint.WebhookEvent{ID: "e", FQN: "ConversationMessageAdded", Type: TypeMessage, ConversationID: 11, CSID: 12, At: at, Text: "hi"}},
		"an id that is no number": {`{` + head + `"X","data":{"conversation":{"id":"0ff1ce00-0000-4000-8000-000000000000","csid":12}}}`,
			checkpoint.WebhookEvent{ID: "e", FQN: "X", Type: TypeOther, ConversationID: 12, At: at}},
		"closed by the assignee": {`{` + head + `"CONVERSATION_CLOSED","data":{"conversation":{"csid":12,"assignee":{"id":"u","name":"N"}}}}`,
			checkpoint.WebhookEvent{ID: "e", FQN: "CONVERSATION_CLOSED", Type: TypeClosed, ConversationID: 12, At: at, AuthorID: "u", AuthorName: "N", Effect: checkpoint.EffectClosed, AgentID: "u"}},
		"closed by nobody": {`{` + head + `"CONVERSATION_CLOSED","data":{"conversation":{"csid":12,"assignee":null}}}`,
			checkpoint.WebhookEvent{ID: "e", FQN: "CONVERSATION_CLOSED", Type: TypeClosed, ConversationID: 12, At: at, Effect: checkpoint.EffectClosed}},
		"abandoned": {`{` + head + `"CONVERSATION_ABANDONED","data":{"conversation":{"csid":12}}}`,
			checkpoint.WebhookEvent{ID: "e", FQN: "CONVERSATION_ABANDONED", Type: TypeOther, ConversationID: 12, At: at, Effect: checkpoint.EffectClosed}},
		"assigned": {`{` + head + `"CONVERSATION_ASSIGNED","data":{"conversation":{"csid":12,"assignee":{"id":"u"}}}}`,
			checkpoint.WebhookEvent{ID: "e", FQN: "CONVERSATION_ASSIGNED", Type: TypeAssigned, ConversationID: 12, At: at, AuthorID: "u", Effect: checkpoint.EffectAssigned, AgentID: "u"}},
		"typing": {`{` + head + `"TYPING_STARTED","data":{"conversation":{"id":12},"user":{"id":"u"}}}`,
			checkpoint.WebhookEvent{ID: "e", FQN: "TYPING_STARTED", Type: TypeTyping, ConversationID: 12, At: at, AuthorID: "u"}},
		"the text of an internal note is left out": {`{` + head + `"CONVERSATION_NOTE_ADDED","data":{"conversation":{"csid":12},"text":"secret"}}`,
			checkpoint.WebhookEvent{ID: "e", FQN: "CONVERSATION_NOTE_ADDED", Type: TypeOther, ConversationID: 12, At: at}},
		"nothing but an id":    {`{"event_id":"e"}`, checkpoint.WebhookEvent{ID: "e", Type: TypeOther, At: now}},
		"fields of other type": {`{"event_id":7,"event_fqn":[],"event_timestamp":{},"data":[{"conversation":1}],"organization":"x"}`, checkpoint.WebhookEvent{ID: "7", Type: TypeOther, At: now}},
		"text of other type":   {`{` + head + `"CONVERSATION_MESSAGE_ADDED","data":{"conversation":{"csid":1.5},"text":{"a":1},"content":"x","author":"y"}}`, checkpoint.WebhookEvent{ID: "e", FQN: "CONVERSATION_MESSAGE_ADDED", Type: TypeMessage, At: at}},
	} {
		got, err := parse([]byte(tt.in), now)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(tt.want, got.WebhookEvent); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	for _, bad := range []string{``, `null`, `[]`, `"e"`, `{}`, `{"event_id":null}`, `{"event_id":""}`, `{"event_id":"a\nb"}`, `{"event_id":"å"}`, `{"event_id":"e"`, `{"event_id":"e"} {}`,
		`{"event_id":"` + strings.Repeat("x", 201) + `"}`} {
		if _, err := parse([]byte(bad), now); !errors.Is(err, ErrMalformed) {
			t.Errorf("%.60s: %v", bad, err)
		}
	}
}

func TestParseTime(t *testing.T) {
	t.Parallel()
	want := time.Date(2021, 12, 1, 12, 46, 36, 581e6, time.UTC)
	for _, in := range []string{`"2021-12-01T12:46:36.581Z[GMT]"`, `"2021-12-01T12:46:36.581Z"`, `"2021-12-01T13:46:36.581+01:00[Europe/Copenhagen]"`, `1638362796581`, `"1638362796581"`, `1638362796.581`} {
		got, err := parse([]byte(`{"event_id":"e","event_timestamp":`+in+`}`), now)
		if err != nil || !got.At.Equal(want) {
			t.Errorf("%s is %v, %v", in, got.At, err)
		}
	}
	for _, in := range []string{`"soon"`, `-1`, `1e300`, `"9999-01-01T00:00:00Z"`, `true`} {
		got, err := parse([]byte(`{"event_id":"e","event_timestamp":`+in+`,"data":{"created_at":"2021-12-01T12:46:36.581Z"}}`), now)
		if err != nil || !got.At.Equal(want) {
			t.Errorf("%s: the time is %v, %v", in, got.At, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(message("e", 1, now))
	f.Add([]byte(`{"event_id":"e","data":{"conversation":{"id":"9223372036854775808"}}}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		e, err := parse(in, now)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Error(err)
			}
			return
		}
		if !validID(e.ID) || e.At.IsZero() || e.At.After(now.Add(24*time.Hour)) || e.ConversationID < 0 || len(e.FQN) > maxFQN {
			t.Errorf("%+v", e)
		}
	})
}

func TestImportedBy(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]string{"bot/t-1:3": "bot", "bot/a/b:c:12": "bot", "bot/t-1#2:1": "bot", "bot/t-1": "", "bot/:1": "", "/x:1": "", "x:1": "", "": "", "null": "",
		"bot/t:0": "", "bot/t:x": "", "bot/t:": "", strings.Repeat("x", 65) + "/t:1": ""} {
		if got, ok := importedBy(id); got != want || ok != (want != "") {
			t.Errorf("%q is of %q, want %q", id, got, want)
		}
	}
}

// TestForwardSignature uses the example of the specification of Standard Webhooks.
func TestForwardSignature(t *testing.T) {
	t.Parallel()
	key, err := parseForwardSecret(forwardSecret)
	if err != nil {
		t.Fatal(err)
	}
	got := signForward(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", []byte(`{"test": 2432232314}`))
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for _, bad := range []string{"", "whsec_", "whsec_c2hvcnQ=", "whsec_not base64 whispered!"} {
		if _, err := parseForwardSecret(bad); err == nil || strings.Contains(err.Error(), "whispered") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
