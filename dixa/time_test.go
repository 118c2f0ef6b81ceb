package dixa

import (
	"encoding/json"
	"testing"
	"time"
)

func TestTimesAreRead(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`"2021-12-01T12:46:36.581Z[GMT]"`:              "2021-12-01T12:46:36.581Z",
		`"2023-02-01T09:01:52.2Z[GMT]"`:                "2023-02-01T09:01:52.2Z",
		`"2021-12-01T13:46:36.5+01:00[Europe/Berlin]"`: "2021-12-01T12:46:36.5Z",
		`"2021-12-01T12:46Z[GMT]"`:                     "2021-12-01T12:46:00Z",
		`"2020-12-16T09:41:43Z"`:                       "2020-12-16T09:41:43Z",
		`"2020-12-16T09:41:43.123456789+02:00"`:        "2020-12-16T07:41:43.123456789Z",
		`"2020-12-16T09:41:43+0000"`:                   "2020-12-16T09:41:43Z",
		`null`:                                         "0001-01-01T00:00:00Z", `"soon"`: "0001-01-01T00:00:00Z", `""`: "0001-01-01T00:00:00Z",
		`1638362796581`: "0001-01-01T00:00:00Z", `{"at":1}`: "0001-01-01T00:00:00Z",
	} {
		got := struct{ At Time }{At(time.Now())}
		if err := json.Unmarshal([]byte(`{"At":`+in+`}`), &got); err != nil {
			t.Errorf("%s: %v", in, err)
		}
		if text := got.At.Format(time.RFC3339Nano); text != want || got.At.Location() != time.UTC {
			t.Errorf("%s: %s, want %s", in, text, want)
		}
	}
}

func TestTimesAreWritten(t *testing.T) {
	t.Parallel()
	berlin := time.FixedZone("", 3600)
	for want, at := range map[string]time.Time{
		`"2021-12-01T12:46:36.000Z"`: time.Date(2021, 12, 1, 13, 46, 36, 0, berlin),
		`"2021-12-01T12:46:36.581Z"`: time.Date(2021, 12, 1, 12, 46, 36, 581999999, time.UTC),
		`null`:                       {},
	} {
		if got, err := json.Marshal(At(at)); err != nil || string(got) != want {
			t.Errorf("%v: %s %v, want %s", at, got, err, want)
		}
	}
	if _, err := json.Marshal(At(time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC))); err == nil {
		t.Error("the year 10000 was written")
	}
}

func FuzzTime(f *testing.F) {
	for _, seed := range []string{`"2021-12-01T12:46:36.581Z[GMT]"`, `"2020-12-16T09:41:43Z"`, `null`, `"`, `[]`, `"[GMT]"`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var at Time
		if err := at.UnmarshalJSON(data); err != nil {
			t.Fatal(err)
		}
		written, err := at.MarshalJSON()
		if err != nil {
			return
		}
		var again Time
		if err := json.Unmarshal(written, &again); err != nil || !again.Equal(at.Truncate(time.Millisecond)) {
			t.Errorf("%q was read as %v, and %s as %v (%v)", data, at, written, again, err)
		}
	})
}
