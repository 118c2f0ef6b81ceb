package advice

import (
	"strings"
	"testing"

	"dixa-import/importer/checkpoint"
)

func TestNormalise(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ message, want string }{
		{"", ""},
		{"import: Dixa answered 422: nothing", "import: Dixa answered 422: nothing"},
		{"message 17 of conversation 5000000001", "message N of conversation N"},
		{"agent 7d1f3c52-1f0c-4b52-9c0e-5a4f2f6f9b10 is away", "agent <id> is away"},
		{"Invalid attachment url in message. externalId: bot/t-1:2", "Invalid attachment url in message. externalId: <id>"},
		{"could not fetch https://cdn.example/a?sig=1 in time", "could not fetch <url> in time"},
		{strings.Repeat("ø", 300), strings.Repeat("ø", messageMax) + "..."},
	} {
		if got := normalise(tt.message); got != tt.want {
			t.Errorf("%q became %q, want %q", tt.message, got, tt.want)
		}
	}
}

func TestTheReasonOfARejectionHasNoPlace(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ id, text, want string }{
		{"a", "t.jsonl:3: closed_at has no time zone: write it", "closed_at has no time zone: write it"},
		{"a", "C:/t t/x.jsonl:3: messages[0].role is unknown", "messages[0].role is unknown"},
		{"t.jsonl:3", "t.jsonl:3: id is missing", "id is missing"},
		{"a", "postgres:7: messages is not an array", "messages is not an array"},
		{"a", "no place at all", "no place at all"},
	} {
		if got := WithoutPlace(checkpoint.Row{ID: tt.id, Error: tt.text}); got != tt.want {
			t.Errorf("%q became %q, want %q", tt.text, got, tt.want)
		}
	}
}
