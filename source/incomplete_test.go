package source

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// writeSample writes a file for a test and returns its path.
func writeSample(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestListsAreNoChats gives formats what the products' lists return: chats without what was said in them.
func TestListsAreNoChats(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ format, name, text, want string }{
		{"intercom", "list", `{"type":"conversation.list","pages":{"next":{"page":2}},"conversations":[{"type":"conversation","id":"1","created_at":1763539200,"source":{"body":"hi"},"contacts":{"contacts":[]},"state":"closed"}]}`, "GET /conversations/{id}"},
		{"intercom", "line", `{"type":"conversation","id":"1","created_at":1763539200,"source":{"body":"hi"},"state":"closed"}`, "GET /conversations/{id}"},
		{"freshchat", "conversation", `{"conversation_id":"a","status":"resolved","channel_id":"c"}`, "/messages"},
		{"zendesk-messaging", "list", `{"conversations":[{"id":"029c","type":"personal","isDefault":true,"createdAt":"2025-11-19T08:00:00.000Z"}],"meta":{"hasMore":true}}`, "/messages"},
		{"botpress", "list", `{"conversations":[{"id":"conv_1","createdAt":"2025-11-19T08:00:00.000Z","channel":"channel","integration":"webchat"}],"meta":{}}`, "listMessages|messages?conversationId="},
		{"openai-assistants", "thread", `{"id":"thread_abc","object":"thread","created_at":1763539200,"metadata":{}}`, "/messages"},
		{"openai-responses", "conversation", `{"id":"conv_1","object":"conversation","created_at":1763539200}`, "/items"},
		{"openai-chat", "completion", `{"id":"chatcmpl-1","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"Hi"}}]}`, "answer alone"},
		{"langgraph", "search", `[{"thread_id":"t","status":"idle","created_at":"2025-11-19T08:00:00Z","values":null}]`, "without values"},
		{"voiceflow", "search", `[{"_id":"65","sessionID":"s1","createdAt":"2025-11-19T08:00:00.000Z"}]`, "logs"},
		{"amazon-connect", "search", `{"Contacts":[{"Id":"c","InitiationMethod":"API","Channel":"CHAT"}],"NextToken":"abc"}`, "GetTranscript"},
		{"copilot-studio", "rows", `{"value":[{"conversationtranscriptid":"g","conversationstarttime":"2025-11-19T08:00:00Z"}]}`, "content"},
		{"rasa", "tracker", `{"sender_id":"u1","slots":{},"events":[{"event":"user","timestamp":1763539201.1,"text":"hi"}]}`, "tracker"},
		{"chatwoot", "show", `{"id":1,"inbox_id":2,"status":"resolved","can_reply":true}`, "/messages"},
		{"dialogflow-cx-history", "list", `{"conversations":[{"name":"projects/p/locations/l/agents/a/conversations/c","startTime":"2025-11-19T08:00:00Z"}]}`, "get each conversation"},
		{"vercel-ai", "chats", `{"id":"1","userId":"u","title":"t","visibility":"private","createdAt":"2025-11-19T08:00:00Z"}`, "without messages"},
		{"langfuse", "session", `{"id":"s","projectId":"p","createdAt":"2025-11-19T08:00:00Z","environment":"default"}`, "without its traces"},
	} {
		t.Run(tt.format+"/"+tt.name, func(t *testing.T) {
			t.Parallel()
			want, _, _ := strings.Cut(tt.want, "|")
			_, other, _ := strings.Cut(tt.want, "|")
			path := writeSample(t, "export.json", tt.text)
			s := openPreset(t, Mapping{Format: tt.format}, path)
			got := chats(t, s)
			if !strings.Contains(got, want) && (other == "" || !strings.Contains(got, other)) || !strings.Contains(got, string(RejectRefused)) {
				t.Errorf("the record is not refused with %q:\n%s", tt.want, got)
			}
			d, err := Detect(t.Context(), JSONLConfig{Paths: []string{path}})
			if err != nil || d.Reason == "" {
				t.Errorf("detection says nothing of it: %+v, %v", d, err)
			}
		})
	}
}

// TestPagesAreNoChats gives formats records whose list of messages goes on elsewhere.
func TestPagesAreNoChats(t *testing.T) {
	t.Parallel()
	intercom := `{"type":"conversation","id":"1","created_at":1763539200,"state":"closed","source":{"body":"hi","author":{"type":"user","id":"u"}},"conversation_parts":{"conversation_parts":[]PARTS}RECORD}`
	chat := `{"id":"1","created_at":1763539200,"messages":[{"role":"user","content":"hi"}]RECORD}`
	ui := `{"id":"1","createdAt":"2025-11-19T08:00:00Z","messages":[{"id":"m","role":"user","parts":[{"type":"text","text":"hi"}]}]RECORD}`
	for _, tt := range []struct{ format, text, parts, record, field string }{
		{"intercom", intercom, `,"pages":{"next":"https://api.example.org/2"}`, ``, "conversation_parts.pages.next"},
		{"intercom", intercom, `,"has_more":true`, ``, "conversation_parts.has_more"},
		{"intercom", intercom, `,"pages":{"next":null},"has_more":false`, ``, ""},
		{"openai-chat", chat, ``, `,"has_more":true`, "has_more"},
		{"openai-chat", chat, ``, `,"meta":{"next":"abc"}`, "meta.next"},
		{"openai-chat", chat, ``, `,"nextPageToken":"abc"`, "nextPageToken"},
		{"openai-chat", chat, ``, `,"nextPageToken":"","has_more":"false","total":9`, ""},
		{"vercel-ai", ui, ``, `,"pagination":{"next_cursor":"abc"}`, "pagination.next_cursor"},
		{"vercel-ai", ui, ``, `,"links":{"next":{"href":"https://api.example.org/2"}}`, "links.next"},
		{"vercel-ai", ui, ``, `,"links":{"next":{}},"page":{"number":1}`, ""},
	} {
		t.Run(tt.format+tt.parts+tt.record, func(t *testing.T) {
			t.Parallel()
			text := strings.NewReplacer("PARTS", tt.parts, "RECORD", tt.record).Replace(tt.text)
			s, err := OpenMapped(JSONLConfig{Paths: []string{writeSample(t, "export.json", text)}, Now: func() time.Time { return presetNow }}, Mapping{Format: tt.format, Closed: Closing{Rule: ClosedByFile}})
			if err != nil {
				t.Fatal(err)
			}
			got := chats(t, s)
			if refused := strings.Contains(got, "not all there, as "+tt.field+" says"); refused != (tt.field != "") || strings.Contains(got, "user text") == refused {
				t.Errorf("want the field %q:\n%s", tt.field, got)
			}
		})
	}
}
