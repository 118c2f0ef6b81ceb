package source

import (
	"strings"
	"testing"
	"time"
	_ "time/tzdata"
)

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// TestDecodeTimeZone reads times without a zone, in summer and winter and where clocks change.
func TestDecodeTimeZone(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ zone, text, want string }{
		{"UTC", "2025-11-19T08:00:00", "2025-11-19T08:00:00Z"},
		{"UTC", "2025-11-19 08:00:00.123456", "2025-11-19T08:00:00.123Z"},
		{"Europe/Copenhagen", "2025-01-19T08:00:00", "2025-01-19T07:00:00Z"},
		{"Europe/Copenhagen", "2025-07-19 08:00:00", "2025-07-19T06:00:00Z"},
		{"Europe/Copenhagen", "2025-07-19T08:00:00Z", "2025-07-19T08:00:00Z"},
		{"Europe/Copenhagen", "2025-07-19T08:00:00+05:00", "2025-07-19T03:00:00Z"},
		{"Europe/Copenhagen", "2025-03-30T01:59:59", "2025-03-30T00:59:59Z"},
		{"Europe/Copenhagen", "2025-03-30T02:30:00", "2025-03-30T01:30:00Z"}, // never shown
		{"Europe/Copenhagen", "2025-03-30T03:00:00", "2025-03-30T01:00:00Z"},
		{"Europe/Copenhagen", "2025-10-26T01:59:59", "2025-10-25T23:59:59Z"},
		{"Europe/Copenhagen", "2025-10-26T02:30:00", "2025-10-26T00:30:00Z"}, // shown twice
		{"Europe/Copenhagen", "2025-10-26T03:00:00", "2025-10-26T02:00:00Z"},
		{"America/New_York", "2025-11-02T01:30:00", "2025-11-02T05:30:00Z"},
		{"America/New_York", "2025-03-09T02:30:00", "2025-03-09T07:30:00Z"},
		{"Australia/Lord_Howe", "2025-04-06T01:45:00", "2025-04-05T14:45:00Z"},
		{"Asia/Kathmandu", "2025-04-06T01:45:00", "2025-04-05T20:00:00Z"},
		{"", "2025-07-19 08:00:00+00", "2025-07-19T08:00:00Z"},
		{"", "2025-07-19 08:00:00.5+0530", "2025-07-19T02:30:00.5Z"},
		{"", "2025-07-19 08:00:00 -0300", "2025-07-19T11:00:00Z"},
		{"", "2025-07-19 08:00:00 UTC", "2025-07-19T08:00:00Z"},
		{"", "2025-07-19T08:00:00 +02:00", "2025-07-19T06:00:00Z"},
	} {
		var z *time.Location
		if tt.zone != "" {
			z = zone(t, tt.zone)
		}
		want, err := time.Parse(time.RFC3339, tt.want)
		if err != nil {
			t.Fatal(err)
		}
		for name, line := range map[string]string{
			"closed_at": `{"id":1,"closed_at":"` + tt.text + `","messages":[{"role":"user","text":"x","created_at":946684800}]}`,
			"a message": `{"id":1,"closed_at":946684800,"messages":[{"role":"user","text":"x","created_at":"` + tt.text + `"}]}`,
		} {
			if got, failure := decode([]byte(line), testNow, z); failure != nil || !got.ClosedAt.Equal(want) {
				t.Errorf("%s %s in %q: got %v, %v, want %v", name, tt.text, tt.zone, got, failure, want)
			}
		}
	}
	for _, text := range []string{"2025-07-19", "2025-07-19 08:00", "08:00:00", "2025-07-19 08:00:00 CET", "2025-07-19 08:00:00+0", "2025-07-19 08:00:00+99", "2025-07-19  08:00:00"} {
		if _, failure := decode([]byte(closed(`"created_at":"`+text+`",`+oneMessage)), testNow, time.UTC); failure == nil || failure.Code != RejectInvalidTime {
			t.Errorf("%s: got %v", text, failure)
		}
	}
}

// TestDecodeClocksBack has a chat go through the hour that clocks show twice: its messages stay in their order.
func TestDecodeClocksBack(t *testing.T) {
	t.Parallel()
	got, failure := decode([]byte(`{"id":1,"created_at":"2025-10-26T01:50:00","closed_at":"2025-10-26 02:20:00","messages":[
		{"role":"user","text":"a","created_at":"2025-10-26T01:55:00"},{"role":"bot","text":"b","created_at":"2025-10-26T02:50:00"},
		{"role":"user","text":"c","created_at":"2025-10-26T02:10:00"},{"role":"bot","text":"d","created_at":"2025-10-26T02:15:00"}]}`), testNow, zone(t, "Europe/Copenhagen"))
	if failure != nil {
		t.Fatal(failure)
	}
	text := ""
	for _, m := range got.Messages {
		text += m.Text
	}
	if last := got.Messages[3].At.Format(time.RFC3339); text != "abcd" || last != "2025-10-26T01:15:00Z" || got.ClosedAt.Before(got.Messages[3].At) {
		t.Errorf("got %q, the last at %s, closed at %v", text, last, got.ClosedAt)
	}
}

// TestTimesWithoutAZoneAreNamed requires that a time without a zone is never reported as missing, wherever it stands.
func TestTimesWithoutAZoneAreNamed(t *testing.T) {
	t.Parallel()
	file := Closing{Rule: ClosedByFile}
	idle := Closing{Rule: ClosedIdle, Idle: time.Hour}
	group := Mapping{GroupBy: ".s", SortBy: ".at", SessionGap: time.Hour, Transform: `{id: .[0].s, messages: map({role: "user", text: .t, created_at: .at})}`}
	for name, x := range map[string]struct {
		record string
		m      Mapping
	}{
		"of the chat":         {`{"id":"a","at":"2025-11-19 08:00:00","messages":[{"role":"user","text":"x"}]}`, Mapping{Transform: `{id, created_at: .at, messages}`, Closed: file}},
		"of the chat, idle":   {`{"id":"a","at":"2025-11-19T08:00:00","messages":[{"role":"user","text":"x"}]}`, Mapping{Transform: `{id, created_at: (.at | totime), messages}`, Closed: idle}},
		"of a message":        {`{"id":"a","messages":[{"role":"user","text":"x","created_at":"2025-11-19T08:00:00.5"}]}`, Mapping{Transform: `{id, messages}`, Closed: file}},
		"of a message, idle":  {`{"id":"a","messages":[{"role":"user","text":"x"},{"role":"bot","text":"y","created_at":"2025-11-19 08:00:00"}]}`, Mapping{Transform: `{id, messages}`, Closed: idle}},
		"of a row":            {`{"s":"a","t":"x","at":"2025-11-19 08:00:00"}`, group},
		"of the conversation": {`{"id":"a","at":"2025-11-19 08:00:00","messages":[{"role":"user","text":"x"}]}`, Mapping{Transform: `{id, closed_at: .at, messages}`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			closed, rejected := idsOf(t, mappedText(t, x.record, x.m))
			if len(closed) > 0 || len(rejected) != 1 || !strings.Contains(rejected[0], "time_without_zone") || !strings.Contains(rejected[0], "set source.time_zone") {
				t.Errorf("%v, %q", closed, rejected)
			}
		})
	}
	for preset, want := range map[string]string{"": "have the transform set closed_at", "openai-chat": "export the chat with its times"} {
		_, rejected := idsOf(t, mappedText(t, `{"id":"a","messages":[{"role":"user","content":"x"},{"role":"assistant","content":"y"}]}`, Mapping{Format: preset, Transform: map[bool]string{true: "{id, messages}"}[preset == ""], Closed: file}))
		if len(rejected) != 1 || !strings.Contains(rejected[0], want) || preset != "" && strings.Contains(rejected[0], "transform") {
			t.Errorf("%q: %q", preset, rejected)
		}
	}
}
