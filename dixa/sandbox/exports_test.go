package sandbox

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestExportsStrictly(t *testing.T) {
	t.Parallel()
	s := setup(t, Options{ExportsPerMinute: 10})
	at := time.Date(2026, 11, 19, 8, 0, 0, 0, time.UTC)
	id := s.AddConversation(Conversation{RequesterID: userID, CreatedAt: at, Messages: []Message{{Text: "Hello", ExternalID: "x:1", CreatedAt: at.Add(time.Second)}}})
	day := func(days int) string { return fmt.Sprint(at.AddDate(0, 0, days).UnixMilli()) }
	for _, tt := range []struct {
		request   string
		status    int
		violation string
	}{
		{"conversation_export", 400, "needs a range"},
		{"conversation_export?created_after=" + day(-1), 400, "created_before is neither"},
		{"conversation_export?created_after=" + day(-20) + "&created_before=" + day(20), 400, "longer than 31 days"},
		{"conversation_export?from=" + day(-1), 400, "unknown query parameter from"},
		{"conversation_export?csids=1,x", 400, "no number"},
		{"message_export?closed_after=" + day(-1) + "&closed_before=" + day(1), 400, "unknown query parameter"},
		{"conversation_export?created_after=2026-11-19&created_before=2026-11-20", 200, ""},
		{fmt.Sprintf("conversation_export?csids=%d", id), 200, ""},
		{"message_export?created_after=" + day(-1) + "&created_before=" + day(1), 200, ""},
		{"messages_export", 404, "no such operation"},
	} {
		before := len(s.Violations())
		r := call(t, s, "GET", ExportsPrefix+"/v1/"+tt.request, "")
		noted := strings.Join(s.Violations()[before:], "\n")
		if r.status != tt.status || (noted != "") != (tt.violation != "") || !strings.Contains(noted, tt.violation) {
			t.Errorf("%s: status %d, violations %q", tt.request, r.status, noted)
		}
		if r.status == 200 && (!strings.Contains(r.body, fmt.Sprint(id)) || strings.Contains(r.body, "x:1")) {
			t.Errorf("%s: %s", tt.request, r.body)
		}
	}
	equal(t, "the eleventh in a minute", call(t, s, "GET", ExportsPrefix+"/v1/conversation_export?csids=1", "").status, 429)
	equal(t, "the other API", call(t, s, "GET", "/v1/organization", "").status, 200)
}
