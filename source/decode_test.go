package source

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// testNow is the clock of the tests.
var testNow = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

func testClock() time.Time { return testNow }

// at returns 2026-11-19T08:00:00Z plus some milliseconds.
func at(millis int) time.Time {
	return time.Date(2026, 11, 19, 8, 0, 0, 0, time.UTC).Add(time.Duration(millis) * time.Millisecond)
}

const oneMessage = `"messages":[{"role":"user","text":"hi","created_at":"2026-11-19T08:00:01Z"}]`

// closed returns a closed chat with some more fields.
func closed(fields string) string {
	return `{"id":"t-1","closed_at":"2026-11-19T08:10:00Z",` + fields + `}`
}

func mustDecode(t *testing.T, line string) *Transcript {
	t.Helper()
	got, failure := decode([]byte(line), testNow, nil)
	if failure != nil {
		t.Fatalf("decode %s: %v", line, failure)
	}
	return got
}

// TestDecodeMore requires what a record may say about the conversation beside the chat.
func TestDecodeMore(t *testing.T) {
	t.Parallel()
	got := mustDecode(t, closed(`"tags":["refund"," vip ","refund",""],"rating":{"type":"CSAT","value":4,"comment":"Quick","at":"2026-11-19T08:09:00Z"},
		"notes":[{"text":"Called back","at":"2026-11-19T09:00:00Z"},"plain",{"text":" "}],"handover":{"queue":"Support"},"follow_up_of":1000,`+oneMessage))
	want := &Transcript{
		ID: "t-1", CreatedAt: at(1000), ClosedAt: at(600_000), Direction: Inbound, Messages: got.Messages,
		Tags: []string{"refund", "vip"}, Rating: &Rating{CSAT, 4, "Quick", at(540_000)},
		Notes:    []Note{{"Called back", at(3_600_000)}, {"plain", at(600_000)}},
		Handover: &Handover{"Support"}, FollowUpOf: "1000",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for rating, want := range map[string]Rating{
		`{"type":"nps","value":"10"}`:                             {NPS, 10, "", at(600_000)},
		`{"type":"ThumbsUpOrDown","value":true}`:                  {Thumbs, 1, "", at(600_000)},
		`{"type":"thumbs_up_or_down","value":"Down"}`:             {Thumbs, 0, "", at(600_000)},
		`{"type":"csat","value":5.0,"at":"2020-01-01T00:00:00Z"}`: {CSAT, 5, "", at(1000)},
	} {
		if got := mustDecode(t, closed(`"rating":`+rating+`,`+oneMessage)).Rating; got == nil || *got != want {
			t.Errorf("%s is %+v", rating, got)
		}
	}
	for _, none := range []string{`"tags":null,"rating":null,"notes":null,"handover":null,"follow_up_of":null,`, `"tags":[],"notes":[],"handover":false,`} {
		if got := mustDecode(t, closed(none+oneMessage)); len(got.Tags)+len(got.Notes) > 0 || got.Rating != nil || got.Handover != nil || got.FollowUpOf != "" {
			t.Errorf("%s gives %+v", none, got)
		}
	}
}

// TestHandoverIsNotOpen requires that a chat which is handed over counts as ended, whether or not it has closed_at.
func TestHandoverIsNotOpen(t *testing.T) {
	t.Parallel()
	for line, open := range map[string]bool{
		`{"id":"t-1","handover":true,` + oneMessage + `}`:                                 false,
		`{"id":"t-1","handover":{"queue":"Support"},"closed_at":null,` + oneMessage + `}`: false,
		`{"id":"t-1","handover":false,` + oneMessage + `}`:                                true,
		`{"id":"t-1","handover":null,` + oneMessage + `}`:                                 true,
	} {
		_, scanned := scan([]byte(line))
		got := mustDecode(t, line)
		if scanned != open || got.ClosedAt.IsZero() != open || !open && (!got.ClosedAt.Equal(at(1000)) || got.Handover == nil) {
			t.Errorf("%s: open %v, %+v", line, scanned, got)
		}
	}
}

func TestDecodeWhole(t *testing.T) {
	t.Parallel()
	got := mustDecode(t, `{"id": "t-1001",
 "created_at": "2026-11-19T08:00:00Z",
 "closed_at": "2026-11-19T08:12:30Z",
 "end_user": {"external_id": "c-42", "email": "ann@example.org", "phone": "+4512345678", "name": "Ann Lee"},
 "messages": [
   {"id": "1", "role": "user", "text": "Where is my order?", "created_at": "2026-11-19T08:00:01Z"},
   {"id": "2", "role": "bot", "text": "It ships **today**.", "format": "markdown", "created_at": "2026-11-19T08:00:03Z",
    "attachments": [{"url": "https://cdn.example.org/label.pdf", "name": "Label"}]}],
 "attributes": {"order_number": "1234", "contact_reason": ["payment", "card"]}}`)
	want := &Transcript{
		ID: "t-1001", CreatedAt: at(0), ClosedAt: at(750_000), Direction: Inbound,
		EndUser: EndUser{"c-42", "ann@example.org", "+4512345678", "Ann Lee"},
		Messages: []Message{
			{Role: RoleUser, Text: "Where is my order?", Format: FormatText, At: at(1000)},
			{Role: RoleBot, Text: "It ships **today**.", Format: FormatMarkdown, At: at(3000), Attachments: []Attachment{{"https://cdn.example.org/label.pdf", "Label"}}},
		},
		Attributes: map[string]Value{"order_number": {Text: "1234"}, "contact_reason": {List: []string{"payment", "card"}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestDecodeID(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		value string
		want  string
		code  RejectCode
	}{
		{`"a b"`, "a b", ""}, {`17`, "17", ""}, {`-5`, "-5", ""}, {`9007199254740993`, "9007199254740993", ""},
		{`"\u00e6\ud83d\ude00"`, "æ😀", ""}, {`"a\/b"`, "a/b", ""},
		{`"` + strings.Repeat("x", 512) + `"`, strings.Repeat("x", 512), ""},
		{`null`, "", RejectMissingID},
		{`""`, "", RejectInvalidID}, {`" a"`, "", RejectInvalidID}, {`"a\u00a0"`, "", RejectInvalidID}, {`"a\nb"`, "", RejectInvalidID},
		{`"a\u0000b"`, "", RejectInvalidID}, {"\"a\xffb\"", "", RejectInvalidID}, {`"a\ud800"`, "", RejectInvalidID},
		{`"` + strings.Repeat("x", 513) + `"`, "", RejectInvalidID},
		{`1.5`, "", RejectInvalidID}, {`1e3`, "", RejectInvalidID}, {`true`, "", RejectInvalidID}, {`["a"]`, "", RejectInvalidID},
		{strings.Repeat("1", 513), "", RejectInvalidID},
	} {
		line := []byte(`{"id":` + tt.value + `,"closed_at":1763539200,` + oneMessage + `}`)
		got, failure := decode(line, testNow, nil)
		switch {
		case tt.code != "":
			if failure == nil || failure.Code != tt.code {
				t.Errorf("id %.40s: got %v, want %s", tt.value, failure, tt.code)
			}
		case failure != nil || got.ID != tt.want:
			t.Errorf("id %.40s: got %v, %v", tt.value, got, failure)
		}
	}
	if _, failure := decode([]byte(`{"ID":"a","Id":"b",`+oneMessage+`}`), testNow, nil); failure == nil || failure.Code != RejectMissingID {
		t.Errorf("names in another case: got %v", failure)
	}
}

func TestDecodeTimes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		value string
		want  time.Time
		code  RejectCode
	}{
		{`"2026-11-19T08:00:00Z"`, at(0), ""},
		{`"2026-11-19T10:00:00+02:00"`, at(0), ""},
		{`"2026-11-19T10:00:00\u002B02:00"`, at(0), ""},
		{`"2026-11-19t08:00:00z"`, at(0), ""},
		{`"2026-11-19 08:00:00Z"`, at(0), ""},
		{`"2026-11-19T08:00:00.1Z"`, at(100), ""},
		{`"2026-11-19T08:00:00.1239999Z"`, at(123), ""},
		{`"2026-11-19T08:00:00.123456789012345Z"`, at(123), ""},
		{`1795075200`, at(0), ""},
		{`1795075200.123`, at(123), ""},
		{`1795075200.1239999999999`, at(123), ""},
		{`1795075200123`, at(123), ""},
		{`1795075200123.9`, at(123), ""},
		{`1.7950752e9`, at(0), ""},
		{`1.7950752001239E12`, at(123), ""},
		{`946684800`, time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), ""},
		{`946684800000`, time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), ""},
		{`946684799`, time.Time{}, RejectInvalidTime},
		{`100000000000`, time.Time{}, RejectInvalidTime},
		{`45000.5`, time.Time{}, RejectInvalidTime}, // a day of a spreadsheet
		{`4.50005e4`, time.Time{}, RejectInvalidTime},
		{`0`, time.Time{}, RejectInvalidTime},
		{`"2026-11-21T11:59:59Z"`, testNow.Add(24*time.Hour - time.Second), ""},
		{`"2026-11-21T12:00:01Z"`, time.Time{}, RejectTimeInFuture},
		{`99999999999`, time.Time{}, RejectTimeInFuture},
		{`"2026-11-19T08:00:00"`, time.Time{}, RejectTimeWithoutZone},
		{`"2026-11-19 08:00:00.123"`, time.Time{}, RejectTimeWithoutZone},
		{`"1795075200"`, time.Time{}, RejectInvalidTime},
		{`"2026-11-19"`, time.Time{}, RejectInvalidTime},
		{`"2026-02-30T08:00:00Z"`, time.Time{}, RejectInvalidTime},
		{`"2026-11-19T24:00:00Z"`, time.Time{}, RejectInvalidTime},
		{`"2026-11-19T08:00:00,5Z"`, time.Time{}, RejectInvalidTime},
		{`"yesterday"`, time.Time{}, RejectInvalidTime},
		{`""`, time.Time{}, RejectInvalidTime},
		{`"1969-12-31T23:59:59.999Z"`, time.Time{}, RejectInvalidTime},
		{`"9999-12-31T23:59:59-01:00"`, time.Time{}, RejectInvalidTime},
		{`-1`, time.Time{}, RejectInvalidTime},
		{`-0.5`, time.Time{}, RejectInvalidTime},
		{`1e15`, time.Time{}, RejectInvalidTime},
		{`1795075200000000`, time.Time{}, RejectInvalidTime},
		{`1e999999999`, time.Time{}, RejectInvalidTime},
		{`1` + strings.Repeat("0", 5000), time.Time{}, RejectInvalidTime},
		{`true`, time.Time{}, RejectInvalidTime},
		{`{}`, time.Time{}, RejectInvalidTime},
	}
	for _, tt := range tests {
		for field, line := range map[string]string{
			"closed_at":              `{"id":1,"closed_at":` + tt.value + `,"messages":[{"role":"user","text":"x","created_at":946684800}]}`,
			"messages[0].created_at": `{"id":1,"closed_at":946684800,"messages":[{"role":"user","text":"x","created_at":` + tt.value + `}]}`,
		} {
			got, failure := decode([]byte(line), testNow, nil)
			if tt.code != "" {
				if failure == nil || failure.Code != tt.code || !strings.HasPrefix(failure.Reason, field+" ") {
					t.Errorf("%s %.40s: got %v, want %s", field, tt.value, failure, tt.code)
				}
				continue
			}
			if failure != nil || !got.ClosedAt.Equal(tt.want) {
				t.Errorf("%s %.40s: got %v, %v", field, tt.value, got, failure)
			}
		}
		// A created_at after the first message is set back to it, but must be a time.
		_, failure := decode([]byte(closed(`"created_at":`+tt.value+`,`+oneMessage)), testNow, nil)
		if got := failure != nil; got != (tt.code != "") {
			t.Errorf("created_at %.40s: got %v", tt.value, failure)
		}
	}
}

func TestArrange(t *testing.T) {
	t.Parallel()
	type m struct {
		text string
		at   time.Time
	}
	tests := []struct {
		name, fields, messages string // messages: text@milliseconds, no time without @; ~ for system messages
		want                   []m
		created, closed        time.Time
	}{
		{"kept", "", "a@1000 b@2000", []m{{"a", at(1000)}, {"b", at(2000)}}, at(1000), at(600_000)},
		{"sorted", "", "a@2000 b@1000", []m{{"b", at(1000)}, {"a", at(2000)}}, at(1000), at(600_000)},
		{"spread", "", "a@5 b@5 c@5 d@6", []m{{"a", at(5)}, {"b", at(6)}, {"c", at(7)}, {"d", at(8)}}, at(5), at(600_000)},
		{"missing follow", "", "a@5 b c d@9000", []m{{"a", at(5)}, {"b", at(6)}, {"c", at(7)}, {"d", at(9000)}}, at(5), at(600_000)},
		{"first missing, created_at", `"created_at":1795075200.5`, "a b@9000", []m{{"a", at(500)}, {"b", at(9000)}}, at(500), at(600_000)},
		{"all missing, created_at", `"created_at":1795075200.5`, "a b", []m{{"a", at(500)}, {"b", at(501)}}, at(500), at(600_000)},
		{"all missing", "", "a b c", []m{{"a", at(599_997)}, {"b", at(599_998)}, {"c", at(599_999)}}, at(599_997), at(600_000)},
		{"first missing, others known", "", "a b c@5000", []m{{"a", at(4998)}, {"b", at(4999)}, {"c", at(5000)}}, at(4998), at(600_000)},
		{"created_at too late", `"created_at":1795075299`, "a@5", []m{{"a", at(5)}}, at(5), at(600_000)},
		{"created_at before", `"created_at":1795075200`, "a@5", []m{{"a", at(5)}}, at(0), at(600_000)},
		{"closed_at too early", "", "a@5 b@700000 c@700000", []m{{"a", at(5)}, {"b", at(700_000)}, {"c", at(700_001)}}, at(5), at(700_001)},
		{"dropped do not take room", "", "a@5 ~x@5 b@5", []m{{"a", at(5)}, {"b", at(6)}}, at(5), at(600_000)},
		{"dropped give their time", "", "~x@5 a b", []m{{"a", at(6)}, {"b", at(7)}}, at(6), at(600_000)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var messages []string
			for _, spec := range strings.Fields(tt.messages) {
				text, millis, timed := strings.Cut(spec, "@")
				role := "user"
				if strings.HasPrefix(text, "~") {
					role = "system"
				}
				raw := fmt.Sprintf(`{"role":%q,"text":%q`, role, text)
				if timed {
					var n int
					_, _ = fmt.Sscan(millis, &n)
					raw += fmt.Sprintf(`,"created_at":%d`, at(n).UnixMilli())
				}
				messages = append(messages, raw+"}")
			}
			fields := `"messages":[` + strings.Join(messages, ",") + `]`
			if tt.fields != "" {
				fields += "," + tt.fields
			}
			got := mustDecode(t, closed(fields))
			var ms []m
			for _, g := range got.Messages {
				ms = append(ms, m{g.Text, g.At})
			}
			if diff := cmp.Diff(tt.want, ms, cmp.AllowUnexported(m{})); diff != "" {
				t.Error(diff)
			}
			if !got.CreatedAt.Equal(tt.created) || !got.ClosedAt.Equal(tt.closed) {
				t.Errorf("got %v to %v, want %v to %v", got.CreatedAt, got.ClosedAt, tt.created, tt.closed)
			}
		})
	}
}

func TestDecodeMessages(t *testing.T) {
	t.Parallel()
	const agent = "0f8fad5b-d9cb-469f-a165-70867728950e"
	tests := []struct {
		message string // a message beside a good one, or several
		want    *Message
	}{
		{`{"role":"user","text":"x"}`, &Message{Role: RoleUser, Text: "x", Format: FormatText}},
		{`{"role":"customer","content":"x"}`, &Message{Role: RoleUser, Text: "x", Format: FormatText}},
		{`{"role":"end_user","text":null,"content":"x"}`, &Message{Role: RoleUser, Text: "x", Format: FormatText}},
		{`{"role":"assistant","text":"x","content":"y","format":"html"}`, &Message{Role: RoleBot, Text: "x", Format: FormatHTML}},
		{`{"r\u006fle":"b\u006ft","text":"x","format":null}`, &Message{Role: RoleBot, Text: "x", Format: FormatText}},
		{`{"role":"user","role":"bot","text":1,"text":"x"}`, &Message{Role: RoleBot, Text: "x", Format: FormatText}},
		{`{"role":"agent","text":"x"}`, &Message{Role: RoleAgent, Text: "x", Format: FormatText}},
		{`{"role":"agent","text":"x","agent_id":"` + strings.ToUpper(agent) + `"}`, &Message{Role: RoleAgent, AgentID: agent, Text: "x", Format: FormatText}},
		{`{"role":"bot","text":"x","agent_id":"not looked at"}`, &Message{Role: RoleBot, Text: "x", Format: FormatText}},
		{`{"role":"user","text":" x\n"}`, &Message{Role: RoleUser, Text: " x\n", Format: FormatText}},
		{`{"role":"user","text":"a\u0000b\ud800c` + "\xff" + `d😀\ud83d\ude00 שלום"}`, &Message{Role: RoleUser, Text: "a\uFFFDb\uFFFDc\uFFFDd😀😀 שלום", Format: FormatText}},
		{`{"role":"bot","text":" ","attachments":[{"url":" https://a.example/x ","name":null}]}`,
			&Message{Role: RoleBot, Format: FormatText, Attachments: []Attachment{{URL: "https://a.example/x"}}}},
		{`{"role":"user","text":" \t\u00a0"}`, nil}, {`{"role":"user"}`, nil}, {`{"role":"user","attachments":[]}`, nil},
		{`{"role":"system","text":"x"}`, nil}, {`{"role":"function","text":{"a":[1]}}`, nil},
		{`{"role":"tool","content":[1]}`, nil}, {`{"role":"event","attachments":7}`, nil},
	}
	for _, tt := range tests {
		got := mustDecode(t, closed(`"messages":[{"role":"bot","text":"first"},`+tt.message+`]`)).Messages[1:]
		var want []Message
		if tt.want != nil {
			want = []Message{*tt.want}
		}
		for i := range got {
			got[i].At = time.Time{}
		}
		if diff := cmp.Diff(want, append([]Message(nil), got...)); diff != "" {
			t.Errorf("%s: %s", tt.message, diff)
		}
	}
}

func TestDecodeRejects(t *testing.T) {
	t.Parallel()
	const secret = "Sekret"
	message := func(fields string) string { return closed(`"messages":[{"role":"bot","text":"x"},{` + fields + `}]`) }
	tests := []struct {
		line   string
		code   RejectCode
		reason string // what it begins with
	}{
		{`{"id":"Sekret","closed`, RejectInvalidJSON, "the record is not valid JSON from byte 22 on"},
		{`{"id":"a"} {"id":"b"}`, RejectInvalidJSON, "the record is not valid JSON from byte 12 on"},
		{`["Sekret"]`, RejectInvalidJSON, "the record is not a JSON object"},
		{"\x00\x01\x02Sekret\xff", RejectInvalidJSON, "the record is not valid JSON"},
		{`{"closed_at":1}`, RejectMissingID, "id is missing"},
		{closed(`"end_user":{}`), RejectInvalidField, "messages is missing"},
		{closed(`"messages":null`), RejectNoMessages, "messages holds nothing to send"},
		{closed(`"messages":{"Sekret":1}`), RejectInvalidField, "messages is not an array"},
		{closed(`"messages":["Sekret"]`), RejectInvalidField, "messages[0] is not an object"},
		{closed(`"messages":[]`), RejectNoMessages, "messages holds nothing to send"},
		{closed(`"messages":[{"role":"system","text":"Sekret"}]`), RejectNoMessages, "messages holds"},
		{closed(`"messages":[{"role":"user","text":" "}]`), RejectNoMessages, "messages holds"},
		{message(`"text":"Sekret"`), RejectInvalidRole, "messages[1].role is none of"},
		{message(`"role":"Sekret"`), RejectInvalidRole, "messages[1].role is none of"},
		{message(`"role":"supervisor"`), RejectInvalidRole, `messages[1].role is "supervisor", which is none of`},
		{message(`"role":1`), RejectInvalidRole, "messages[1].role is none of"},
		{message(`"role":""`), RejectInvalidRole, "messages[1].role is none of"},
		{message(`"role":"user","text":17`), RejectInvalidField, "messages[1].text is neither a string"},
		{message(`"role":"user","content":{"Sekret":1}`), RejectInvalidField, "messages[1].content is neither a string"},
		{message(`"role":"user","content":["Sekret",["Sekret"]]`), RejectInvalidField, "messages[1].content[1] is neither a string nor an object"},
		{message(`"role":"user","text":[{"type":"text","text":{"Sekret":1}},{"type":"text","text":["Sekret"]}]`), RejectInvalidField, "messages[1].text[0].text is not a string"},
		{message(`"role":"user","text":"x","format":"Sekret"`), RejectInvalidField, "messages[1].format is none of"},
		{message(`"role":"agent","text":"x","agent_id":"Sekret"`), RejectInvalidField, "messages[1].agent_id is not a UUID"},
		{message(`"role":"agent","text":"x","agent_id":"{0f8fad5b-d9cb-469f-a165-70867728950e}"`), RejectInvalidField, "messages[1].agent_id is not a UUID"},
		{message(`"role":"user","attachments":{"url":"Sekret"}`), RejectInvalidField, "messages[1].attachments is not an array"},
		{message(`"role":"user","attachments":["Sekret"]`), RejectInvalidField, "messages[1].attachments[0] is not an object"},
		{message(`"role":"user","attachments":[{"url":"x"},{"name":"Sekret"}]`), RejectInvalidField, "messages[1].attachments[1].url is not a URL"},
		{message(`"role":"user","attachments":[{"url":" "}]`), RejectInvalidField, "messages[1].attachments[0].url is not a URL"},
		{message(`"role":"user","attachments":[{"url":"x","name":1}]`), RejectInvalidField, "messages[1].attachments[0].name is not a string"},
		{closed(`"direction":"Sekret",` + oneMessage), RejectInvalidField, "direction is neither"},
		{closed(`"direction":1,` + oneMessage), RejectInvalidField, "direction is neither"},
		{closed(`"end_user":"Sekret",` + oneMessage), RejectInvalidField, "end_user is not an object"},
		{closed(`"end_user":{"email":1},` + oneMessage), RejectInvalidField, "end_user.email is not a string"},
		{closed(`"end_user":{"phone":1.5},` + oneMessage), RejectInvalidField, "end_user.phone is not a string"},
		{closed(`"end_user":{"external_id":true},` + oneMessage), RejectInvalidField, "end_user.external_id is not a string"},
		{closed(`"end_user":{"name":["Sekret"]},` + oneMessage), RejectInvalidField, "end_user.name is not a string"},
		{closed(`"attributes":["Sekret"],` + oneMessage), RejectInvalidField, "attributes is not an object"},
		{closed(`"attributes":{"a":1,"order_number":{"Sekret":1}},` + oneMessage), RejectInvalidAttribute, "attribute order_number is no"},
		{closed(`"attributes":{"a":1,"Sekret mail":{}},` + oneMessage), RejectInvalidAttribute, "attribute number 2 is no"},
		{closed(`"attributes":{"list":["a",1]},` + oneMessage), RejectInvalidAttribute, "attribute list is no"},
		{closed(`"attributes":{"list":[null]},` + oneMessage), RejectInvalidAttribute, "attribute list is no"},
		{closed(`"closed_at":"Sekret",` + oneMessage), RejectInvalidTime, "closed_at is not a time"},
		{closed(`"tags":"Sekret",` + oneMessage), RejectInvalidField, "tags is not an array of texts"},
		{closed(`"tags":["a",1],` + oneMessage), RejectInvalidField, "tags is not an array of texts"},
		{closed(`"rating":4,` + oneMessage), RejectInvalidField, "rating is not an object"},
		{closed(`"rating":{"type":"Sekret","value":4},` + oneMessage), RejectInvalidField, "rating.type is none of"},
		{closed(`"rating":{"type":"csat","value":6},` + oneMessage), RejectInvalidField, "rating.value is not a whole number from 1 to 5"},
		{closed(`"rating":{"type":"nps","value":"Sekret"},` + oneMessage), RejectInvalidField, "rating.value is not a whole number from 0 to 10"},
		{closed(`"rating":{"type":"csat"},` + oneMessage), RejectInvalidField, "rating.value is not a whole number"},
		{closed(`"rating":{"type":"csat","value":4,"comment":["Sekret"]},` + oneMessage), RejectInvalidField, "rating.comment is not a text"},
		{closed(`"rating":{"type":"csat","value":4,"at":"Sekret"},` + oneMessage), RejectInvalidTime, "rating.at is not a time"},
		{closed(`"notes":"Sekret",` + oneMessage), RejectInvalidField, "notes is not an array"},
		{closed(`"notes":[{"text":1}],` + oneMessage), RejectInvalidField, "notes[0] is neither a text"},
		{closed(`"notes":["a",{"text":"x","at":"Sekret"}],` + oneMessage), RejectInvalidTime, "notes[1].at is not a time"},
		{closed(`"handover":"Sekret",` + oneMessage), RejectInvalidField, "handover is neither true nor an object"},
		{closed(`"handover":{"queue":["Sekret"]},` + oneMessage), RejectInvalidField, "handover.queue is not a text"},
		{closed(`"follow_up_of":{"Sekret":1},` + oneMessage), RejectInvalidField, "follow_up_of is neither"},
		{closed(`"follow_up_of":"t-1",` + oneMessage), RejectInvalidField, "follow_up_of is the id of the record itself"},
		{`{"id":"t-1","handover":true,"messages":[{"role":"user","text":"hi"}]}`, RejectInvalidTime, "neither the chat nor any of its messages has a time"},
	}
	for _, tt := range tests {
		_, failure := decode([]byte(tt.line), testNow, nil)
		if failure == nil || failure.Code != tt.code || !strings.HasPrefix(failure.Reason, tt.reason) {
			t.Errorf("%s: got %v, want %s: %s", tt.line, failure, tt.code, tt.reason)
			continue
		}
		if !strings.Contains(failure.Reason, ": ") {
			t.Errorf("%s: no cure in %q", tt.line, failure.Reason)
		}
		if strings.Contains(failure.Error(), secret) {
			t.Errorf("%s: %q quotes the record", tt.line, failure)
		}
	}
}

func TestDecodeEndUserAndAttributes(t *testing.T) {
	t.Parallel()
	got := mustDecode(t, closed(`"end_user":{"email":"old"},"end_user":{"external_id":42,"phone":4512345678,"name":" A\u0000n \n","email":null},
		"attributes":{"s":"x\u0000","n":1.50,"b":true,"l":["a","b"],"e":[],"gone":null,"twice":{},"twice":"ok","":"empty"},"direction":"outbound",`+oneMessage))
	if diff := cmp.Diff(EndUser{ExternalID: "42", Phone: "4512345678", Name: "A\uFFFDn"}, got.EndUser); diff != "" {
		t.Error(diff)
	}
	want := map[string]Value{"s": {Text: "x\uFFFD"}, "n": {Text: "1.50"}, "b": {Text: "true"}, "l": {List: []string{"a", "b"}},
		"e": {List: []string{}}, "twice": {Text: "ok"}, "": {Text: "empty"}}
	if diff := cmp.Diff(want, got.Attributes); diff != "" {
		t.Error(diff)
	}
	if got.Direction != Outbound {
		t.Errorf("direction %q", got.Direction)
	}
	for _, absent := range []string{"", `"end_user":null,"attributes":null,"direction":null,"created_at":null,`} {
		if got := mustDecode(t, closed(absent+oneMessage)); !got.EndUser.Anonymous() || got.Attributes != nil || got.Direction != Inbound {
			t.Errorf("%s: got %+v", absent, got)
		}
	}
}

func TestDecodeUnknown(t *testing.T) {
	t.Parallel()
	got := mustDecode(t, closed(`"_error":{"code":"x"},"_raw":"y","mood":1,"Closed_at":2,"ann@example.org":3,"end_user":{"age":1},
		"messages":[{"role":"user","text":"x","mood":1,"attachments":[{"url":"u","size":1}]},{"role":"bot","text":"y","mood":2}]`))
	want := []string{"Closed_at", "end_user.age", "messages.attachments.size", "messages.mood", "mood"}
	if diff := cmp.Diff(want, got.Unknown); diff != "" {
		t.Error(diff)
	}
	var many []string
	for i := range 50 {
		many = append(many, fmt.Sprintf(`"field%d":1`, i))
	}
	if got := mustDecode(t, closed(strings.Join(many, ",")+","+oneMessage)); len(got.Unknown) != maxUnknown {
		t.Errorf("%d unknown fields", len(got.Unknown))
	}
}

func TestDecodeOpen(t *testing.T) {
	t.Parallel()
	for _, line := range []string{`{"id":"a"}`, `{"id":"a","closed_at":null,"messages":[]}`} {
		if got := mustDecode(t, line); got.ID != "a" || !got.ClosedAt.IsZero() {
			t.Errorf("%s: got %+v", line, got)
		}
	}
}

func TestDecodeManyMessages(t *testing.T) {
	t.Parallel()
	messages := strings.Repeat(`{"role":"user","text":"x","created_at":1795075200},`, 10_000)
	got := mustDecode(t, closed(`"messages":[`+strings.TrimSuffix(messages, ",")+`]`))
	if n := len(got.Messages); n != 10_000 || !got.Messages[n-1].At.Equal(at(9999)) {
		t.Errorf("%d messages", n)
	}
}

// FuzzDecode holds the walker against encoding/json: what decodes is valid, its texts are the same, the order of time
// holds, and the quick scan agrees.
func FuzzDecode(f *testing.F) {
	f.Add(typicalLine(1))
	f.Add([]byte(closed(`"attributes":{"a":"\ud83d\ude00\u0000","\u0062":1e3},` + oneMessage)))
	f.Add([]byte(`{"id":"a","i\u0064":7,"closed_at":null,"closed_at":1,"messages":[{"role":"user","text":"\ud800x"},{"role":"bot","content":" y"}]}`))
	f.Add([]byte(`{"id":1,"closed_at":1e9,"messages":[{"role":"user","text":"\\\"","created_at":"2026-11-19t08:00:00.5z"}]}`))
	f.Add([]byte(closed(`"messages":[{"role":" Human","content":["a",{"type":"text","text":"b"},{"type":"image_url","image_url":{"url":"https://a.example"}},{"type":"tool_use"},null]}]`)))
	f.Add([]byte(closed(`"messages":[{"role":"developer"},{"role":"ai","text":"\u200b","content":"x","created_at":"2026-10-25 02:30:00"},{"role":"model","text":[{"type":"text","text":{"value":"y"}}],"created_at":"2026-10-25 02:10:00+00"}]`)))
	f.Add([]byte(`{"id":1,"created_at":2,"closedAt":3,"messages":[{"role":"visitor","text":"x"}]}`))
	f.Add([]byte(`{"id":1,"messages":[{"role":"user","parts":[]}],"end_user":{"email":1}}`))
	zone, err := time.LoadLocation("Europe/Copenhagen")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		got, failure := decode(line, testNow, zone)
		if (failure != nil && failure.Code == RejectInvalidJSON && bytes.HasPrefix(bytes.TrimLeft(line, " \t\r\n"), []byte("{"))) && json.Valid(line) {
			t.Fatalf("valid JSON is refused: %v", failure)
		}
		if failure != nil {
			return
		}
		original(line) // comes to an end
		id, open := scan(line)
		if id != got.ID || open != got.ClosedAt.IsZero() {
			t.Fatalf("scan says %q, %v; decode %q, %v", id, open, got.ID, got.ClosedAt)
		}
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(line, &fields); err != nil {
			t.Fatal(err)
		}
		var want string
		if json.Unmarshal(fields["id"], &want) != nil {
			want = string(fields["id"])
		}
		if want != got.ID {
			t.Fatalf("id %q, want %q", got.ID, want)
		}
		compareTexts(t, got, fields["messages"])
		for i := range got.Messages {
			if i > 0 && !got.Messages[i].At.After(got.Messages[i-1].At) {
				t.Fatal("messages are out of order")
			}
		}
		if n := len(got.Messages); n > 0 && (got.CreatedAt.After(got.Messages[0].At) || got.ClosedAt.Before(got.Messages[n-1].At)) {
			t.Fatal("the chat is shorter than its messages")
		}
	})
}

// compareTexts compares the texts of a transcript with what encoding/json reads, in any order.
func compareTexts(t *testing.T, got *Transcript, raw json.RawMessage) {
	if got.ClosedAt.IsZero() {
		return
	}
	var messages []map[string]any
	if err := json.Unmarshal(raw, &messages); err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for _, m := range messages {
		for _, field := range []string{"text", "content"} {
			switch text := m[field].(type) {
			case string:
				count[strings.ReplaceAll(text, "\x00", "\uFFFD")]++
			case []any:
				return // put together from parts
			}
		}
	}
	for _, m := range got.Messages {
		if m.Text == "" {
			continue
		}
		if count[m.Text]--; count[m.Text] < 0 {
			t.Fatalf("text %q is not in the record", m.Text)
		}
	}
}

// FuzzScan feeds the quick scan what may be no JSON at all, and what is JSON must give its last id.
func FuzzScan(f *testing.F) {
	for _, seed := range []string{`{"id":"a","closed_at":null}`, `{"id":"\"`, `{"`, `{"id`, `{"id":`, `{"id":{"id":[1,"]"]},"id":7}`, "\xff\xfe", `[{"id":1}]`, `{"a":"\\","id":"b"}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		original(line) // comes to an end
		id, open := scan(line)
		if id != "" && checkID(id) != "" {
			t.Fatalf("unusable id %q", id)
		}
		var fields map[string]json.RawMessage
		if json.Unmarshal(line, &fields) != nil || fields == nil {
			return
		}
		closedAt := fields["closed_at"]
		if want := closedAt == nil || string(closedAt) == "null"; open != want {
			t.Fatalf("open %v, want %v", open, want)
		}
		var text string
		if raw := fields["id"]; json.Unmarshal(raw, &text) == nil && checkID(text) == "" && id != text {
			t.Fatalf("id %q, want %q", id, text)
		}
	})
}
