package source

import (
	"strings"
	"testing"
)

// TestDecodeNotATranscript gives the decoder records of other programs as they are exported.
func TestDecodeNotATranscript(t *testing.T) {
	t.Parallel()
	for name, line := range map[string]string{
		"Rasa event":            `{"event":"user","timestamp":1731225600.5,"text":"hi","parse_data":{},"input_channel":"rest","message_id":"m1"}`,
		"Rasa row":              `{"id":17,"sender_id":"c-1","type_name":"user","timestamp":1731225600.5,"intent_name":"greet","action_name":null,"data":"{\"event\":\"user\",\"text\":\"hi\"}"}`,
		"Rasa tracker":          `{"sender_id":"c-1","slots":{},"latest_message":{},"events":[{"event":"user","text":"hi"}]}`,
		"Intercom":              `{"type":"conversation","id":"1","created_at":1731225600,"updated_at":1731225700,"state":"closed","source":{"body":"<p>hi</p>"},"contacts":{"contacts":[]},"conversation_parts":{"conversation_parts":[{"id":"2","part_type":"comment","body":"x"}]}}`,
		"LangChain row":         `{"id":1,"session_id":"0f8fad5b-d9cb-469f-a165-70867728950e","message":{"type":"human","data":{"content":"hi"}},"created_at":"2026-11-19T08:00:00Z"}`,
		"product":               `{"id":1,"name":"Shoes","price":10,"created_at":"2026-11-19T08:00:00Z"}`,
		"Zendesk ticket":        `{"id":35436,"url":"https://x.zendesk.com/api/v2/tickets/35436.json","subject":"Help","description":"hi","status":"open","requester_id":1,"created_at":"2026-11-19T08:00:00Z","updated_at":"2026-11-19T08:00:00Z"}`,
		"ChatGPT export":        `{"title":"Hi","create_time":1731225600.1,"mapping":{},"conversation_id":"c","id":"c"}`,
		"OpenAI completion":     `{"id":"chatcmpl-1","object":"chat.completion","created":1731225600,"choices":[{"message":{"role":"assistant","content":"hi"}}]}`,
		"OpenAI thread":         `{"id":"thread_1","object":"thread","created_at":1731225600,"metadata":{}}`,
		"message a row":         `{"id":1,"session_id":"s","role":"user","text":"hi","created_at":"2026-11-19T08:00:00Z"}`,
		"GitHub issue":          `{"id":1,"number":7,"title":"x","user":{"login":"y"},"state":"open","created_at":"2026-11-19T08:00:00Z","closed_at":null}`,
		"Chatwoot":              `{"id":7,"status":0,"created_at":1731225600,"messages":[{"id":1,"content":"hi","message_type":0,"private":false}]}`,
		"Vercel AI":             `{"id":"c","userId":"u","messages":[{"id":"m","role":"user","parts":[{"type":"text","text":"hi"}]}]}`,
		"Bot Framework":         `{"id":"a","messages":[{"type":"message","from":{"id":"u","role":"user"},"text":"hi"}]}`,
		"unknown roles":         `{"id":"a","messages":[{"role":"visitor","text":"hi"},{"role":"widget","text":"yo"}]}`,
		"texts as messages":     `{"id":"a","messages":["hi","yo"]}`,
		"messages a number":     `{"id":"a","closed_at":null,"messages":7}`,
		"messages an object":    `{"id":"a","closed_at":null,"messages":{"0":{"role":"user","text":"hi"}}}`,
		"Langfuse trace":        `{"id":"t","timestamp":"2026-11-19T08:00:00Z","name":"chat","input":"hi","output":"yo","sessionId":"s","userId":"u"}`,
		"a chat by other names": `{"id":"a","created_at":"2026-11-19T08:00:00Z","end_user":{"email":"a@example.org"},"closedAt":"2026-11-19T08:10:00Z","turns":[{"role":"user","text":"hi"}]}`,
	} {
		_, failure := decode([]byte(line), testNow, nil)
		if failure == nil || failure.Code != RejectNotATranscript {
			t.Errorf("%s: got %v", name, failure)
			continue
		}
		if !strings.Contains(failure.Reason, "export one object for each chat, with id, messages and, once it is closed, closed_at") {
			t.Errorf("%s: no cure in %q", name, failure.Reason)
		}
		r := &Record{ID: "kept?", Place: Place{Path: "f", Line: 1}, raw: []byte(line), decode: func(r *Record) (*Transcript, *RejectError) { return decodeRecord(r, testNow, nil) }}
		if _, err := r.Transcript(); err == nil || r.Key() != "f:1" {
			t.Errorf("%s: known as %s", name, r.Key())
		}
	}
	_, failure := decode([]byte(`{"id":"a","created_at":1,"closedAt":"x","message_list":[],"secret word":1}`), testNow, nil)
	if failure == nil || !strings.Contains(failure.Reason, "(it has closedAt, message_list): rename closedAt to closed_at, or export") || strings.Contains(failure.Reason, "secret") {
		t.Errorf("got %v", failure)
	}
}

// TestDecodeStillOpen are chats that nobody has closed yet.
func TestDecodeStillOpen(t *testing.T) {
	t.Parallel()
	const message = `"messages":[{"role":"user","text":"hi"}]`
	for name, line := range map[string]string{
		"messages":             `{"id":"a",` + message + `}`,
		"content":              `{"id":"a","model":"gpt","messages":[{"role":"system","content":"x"},{"role":"user","content":[{"type":"text","text":"hi"}]}]}`,
		"closed_at null":       `{"id":"a","closed_at":null,"channel":"web",` + message + `}`,
		"some other message":   `{"id":"a","messages":[{"kind":"joined"},{"role":"User","text":"hi"}]}`,
		"nothing written":      `{"id":"a","created_at":"2026-11-19T08:00:00Z","channel":"web","messages":[]}`,
		"no messages yet":      `{"id":"a","created_at":"2026-11-19T08:00:00Z","end_user":{"email":"a@example.org"}}`,
		"null messages":        `{"id":"a","closed_at":null,"messages":null,"channel":"web"}`,
		"null and an end-user": `{"id":"a","closed_at":null,"end_user":{"external_id":"c"},"channel":"web"}`,
		"begun":                `{"id":"a","created_at":"2026-11-19T08:00:00Z"}`,
	} {
		if got, failure := decode([]byte(line), testNow, nil); failure != nil || !got.ClosedAt.IsZero() {
			t.Errorf("%s: %v", name, failure)
		}
	}
}

// TestAClosedChatIsNotOpen: a time of closing under another name is not overlooked night after night.
func TestAClosedChatIsNotOpen(t *testing.T) {
	t.Parallel()
	for field, open := range map[string]bool{
		`"closedAt":"2026-11-19T08:10:00Z"`: false, `"ended_at":1795075200`: false, `"endTime":"2026-11-19 08:10:00"`: false, `"closed":true`: false, `"resolvedAt":1795075200123`: false,
		`"closedAt":null`: true, `"closed":false`: true, `"closedAt":""`: true, `"closed_at":null,"endedAt":"2026-11-19T08:10:00Z"`: false, `"closedAt":1795075200123,"closed_at":null`: false, `"closed_at":null,"closed":true`: false,
		`"closed_at":null,"closedAt":null`: true, `"closed_at":null,"closed":false`: true, `"started_at":"2026-11-19T08:10:00Z"`: true,
		`"updated_at":"2026-11-19T08:10:00Z"`: true, `"status":"open"`: true,
	} {
		got, failure := decode([]byte(`{"id":"a","messages":[{"role":"user","text":"hi"}],`+field+`}`), testNow, nil)
		if open && (failure != nil || !got.ClosedAt.IsZero()) || !open && (failure == nil || failure.Code != RejectInvalidField || !strings.Contains(failure.Reason, "as closed_at")) {
			t.Errorf("%s: got %+v, %v", field, got, failure)
		}
	}
}

// TestANullBesideAValue: a field that is null because an exporter spells it otherwise is not taken for absent.
func TestANullBesideAValue(t *testing.T) {
	t.Parallel()
	const chat = `"messages":[{"role":"user","text":"hi"}]`
	for line, want := range map[string]string{
		`"closed_at":1795075200,"created_at":null,"createdAt":1795075100,` + chat:                                                                 "created_at is null, but createdAt has a value",
		`"closed_at":1795075200,"messages":null,"Messages":[{"role":"user","text":"hi"}]`:                                                         "messages is null, but Messages",
		`"closed_at":1795075200,"end_user":null,"endUser":{"email":"a@example.org"},` + chat:                                                      "end_user is null, but endUser",
		`"closed_at":1795075200,"end_user":{"externalId":"c-1","external_id":null},` + chat:                                                       "end_user.external_id is null, but end_user.externalId",
		`"closed_at":1795075200,"end_user":{"email":null,"Email":"a@example.org"},` + chat:                                                        "end_user.email is null",
		`"closed_at":1795075200,"handover":null,"handOver":true,` + chat:                                                                          "handover is null",
		`"closed_at":1795075200,"follow_up_of":null,"followUpOf":"t-1",` + chat:                                                                   "follow_up_of is null",
		`"closed_at":1795075200,"messages":[{"role":"user","text":"hi"},{"role":"bot","text":"x","created_at":null,"createdAt":1795075200}]`:      "messages[1].created_at is null, but messages[1].createdAt",
		`"closed_at":1795075200,"messages":[{"role":"agent","agentId":"d8a5a3b0-8f4e-4b1e-9d52-0d6e0b7b2b11","agent_id":null,"text":"x"}]`:        "messages[0].agent_id is null",
		`"closed_at":1795075200,"end_user":{"email":null,"e_mail":"","id":5},"created_at":null,"createdAt":"","attributes":null,"mood":1,` + chat: "",
		`"closed_at":1795075200,"end_user":{"email":null,"email":"b@example.org"},"attributes":{"external_id":null,"externalId":"x"},` + chat:     "",
	} {
		_, failure := decode([]byte(`{"id":"a",`+line+`}`), testNow, nil)
		if want == "" && failure != nil || want != "" && (failure == nil || failure.Code != RejectInvalidField || !strings.Contains(failure.Reason, want)) {
			t.Errorf("%s: %v", line, failure)
		}
	}
}

func TestResembling(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"closedAt": "closed_at", "close_at": "closed_at", "ClosedAt": "closed_at", "closed-at": "closed_at", "colsed_at": "closed_at", "endedAt": "closed_at", "end_time": "closed_at",
		"createdAt": "created_at", "started_at": "created_at", "Messages": "messages", "mesages": "messages", "endUser": "end_user", "customer": "end_user", "ID": "id",
		"attribute": "attributes", "mood": "", "state": "", "is": "", "x": "", "updated_at": "", "opened_at": "",
		"messages.timestamp": "messages.created_at", "messages.createdAt": "messages.created_at", "messages.sender": "messages.role", "messages.closed_at": "", "messages.id": "",
		"end_user.emailAddress": "end_user.email", "end_user.phone_number": "end_user.phone", "end_user.externalId": "end_user.external_id", "end_user.customer": "", "timestamp": "",
	} {
		if got := resembles(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}
