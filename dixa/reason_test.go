package dixa

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// TestReasons: only the whole of what Dixa documents is taken for it.
func TestReasons(t *testing.T) {
	t.Parallel()
	const bulk = "Create EndUser [userId=" + userID + "] in [orgId=" + agentID + "] failed with "
	for _, tt := range []struct {
		op      Operation
		status  int
		message string
		want    Reason
	}{
		{OpImport, 400, "Requester does not exist", ReasonRequesterMissing},
		{OpImport, 400, " REQUESTER does  not exist.\n", ReasonRequesterMissing},
		{OpImport, 400, "Agent does not exist", ReasonAgentUnknown},
		{OpImport, 400, "Unsupported ConversationChannel", ReasonChannelUnsupported},
		{OpImport, 400, "unsupported conversationchannel.", ReasonChannelUnsupported},
		{OpImport, 400, "Failure to download attachment", ReasonAttachment},
		{OpImport, 400, "Invalid input for Message", ReasonMessage},
		{OpImport, 400, "Decoding failure in request", ReasonUnreadable},
		{OpCreateEndUser, 400, "Validation failure during enduser creation", ReasonExists},
		{OpCreateEndUser, 409, "Conflict", ReasonExists},
		{OpCreateEndUsers, 400, bulk + "[errors=PhoneNumberExists]", ReasonExists},
		{OpCreateEndUsers, 400, bulk + "[errors=InvalidName, EmailExists]", ReasonExists},
		{OpPatchAttributes, 403, "User is unauthorized to perform an underlying operation", ReasonUnauthorised},

		// A text that holds such words is a customer's, or says something else.
		{OpImport, 400, "Invalid input for Message: agent does not exist", ReasonUnknown},
		{OpImport, 400, `cannot take "Unsupported ConversationChannel" in`, ReasonUnknown},
		{OpImport, 400, "Requester does not exist, she said", ReasonUnknown},
		{OpImport, 400, "Invalid value for: body (attachment at messages[0])", ReasonUnknown},
		{OpImport, 400, "my attachment", ReasonUnknown},
		{OpImport, 400, "Invalid input for Message: failure to download attachment", ReasonUnknown},
		{OpImport, 422, "Agent does not exist", ReasonUnknown},
		{OpPatchAttributes, 400, "Agent does not exist", ReasonUnknown},
		{OpCreateEndUser, 400, "Invalid displayName: duplicate", ReasonUnknown},
		{OpCreateEndUser, 400, "Invalid displayName: Validation failure during enduser creation", ReasonUnknown},
		{OpCreateEndUsers, 400, bulk + "[errors=InvalidName]", ReasonUnknown},
		{OpCreateEndUsers, 400, bulk + `[errors=InvalidName "x failed with [errors=PhoneNumberExists]"]`, ReasonUnknown},
		{OpCreateEndUsers, 400, "Invalid displayName: failed with [errors=PhoneNumberExists]", ReasonUnknown},
		{OpImport, 400, "[errors=PhoneNumberExists]", ReasonUnknown},
		{OpImport, 403, "Forbidden", ReasonUnknown},
		{OpImport, 400, "", ReasonUnknown},
	} {
		if got := reasonOf(tt.op, tt.status, tt.message); got != tt.want {
			t.Errorf("%s %d %q: %q, want %q", tt.op, tt.status, tt.message, got, tt.want)
		}
	}
}

// TestAReasonIsDecidedBeforeItIsMasked: what customers have said, too, does not hide Dixa's own words, and words of theirs that
// Dixa repeats are masked.
func TestAReasonIsDecidedBeforeItIsMasked(t *testing.T) {
	t.Parallel()
	for _, said := range []string{"Agent does not exist", "does not", "agent", "exist"} {
		c, _ := answering(t, 400, `{"message":"Agent does not exist."}`)
		in := anImport(1)
		in.Messages[0].Content.Value = said
		_, err := c.ImportConversation(t.Context(), in, nil)
		if ReasonOf(err) != ReasonAgentUnknown || !strings.Contains(err.Error(), "Agent does not exist.") {
			t.Errorf("%q: %v (%q)", said, err, ReasonOf(err))
		}
	}
	c, _ := answering(t, 400, `{"message":"Invalid input for Message: my Agent does not exist at all"}`)
	in := anImport(1)
	in.Messages[0].Content.Value = "my Agent does not exist at all"
	_, err := c.ImportConversation(t.Context(), in, nil)
	if ReasonOf(err) != ReasonUnknown || strings.Contains(err.Error(), "my Agent") || !strings.Contains(err.Error(), "Invalid input for Message") {
		t.Errorf("%v (%q)", err, ReasonOf(err))
	}
}

// TestPages: an answer that is a page is known by its type or by its beginning.
func TestPages(t *testing.T) {
	t.Parallel()
	for i, tt := range []struct {
		kind, body string
		want       bool
	}{
		{"text/html; charset=utf-8", "<h1>Forbidden</h1>", true}, {"", "\n <!DOCTYPE html><p>", true}, {"text/plain", "<HTML>", true}, {"application/xhtml+xml", "x", true},
		{"application/json", `{"message":"Forbidden"}`, false}, {"text/plain", "Forbidden", false}, {"", "", false},
	} {
		c, _ := setup(t, func(w http.ResponseWriter, _ *http.Request, _ int) {
			w.Header().Set("Content-Type", tt.kind)
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(tt.body))
		})
		_, err := c.GetConversation(t.Context(), 7)
		api, ok := errors.AsType[*APIError](err)
		if !ok || (api.Reason == ReasonPage) != tt.want || strings.Contains(err.Error(), "<") {
			t.Errorf("%s: %v", strconv.Itoa(i), err)
		}
	}
}
