package dixa

import (
	"fmt"
	"strings"
	"time"
)

// wireTime is how Dixa wants times: UTC, with milliseconds.
const wireTime = "2006-01-02T15:04:05.000Z"

// answerTimes are the forms in which answers write times, without the zone's name. Forms like
// 2021-12-01T12:46:36.581Z[GMT] are what Java prints, which leaves out the seconds of a full minute.
var answerTimes = []string{time.RFC3339Nano, "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05.999999999Z0700"}

// Time is a time in a request or an answer. It reads RFC 3339 and 2021-12-01T12:46:36.581Z[GMT]; null, and whatever else
// is no time, is the zero time, so that one odd field does not spoil an answer. It is written in UTC with milliseconds.
type Time struct{ time.Time }

// At returns t as Dixa's requests carry it.
func At(t time.Time) Time { return Time{Time: t} }

// MarshalJSON writes the time, and null for the zero time.
func (t Time) MarshalJSON() ([]byte, error) {
	if t.IsZero() {
		return []byte("null"), nil
	}
	utc := t.UTC()
	if y := utc.Year(); y < 0 || y > 9999 {
		return nil, fmt.Errorf("the year %d cannot be written as a time", y)
	}
	return utc.AppendFormat(make([]byte, 0, len(wireTime)+2), `"`+wireTime+`"`), nil
}

// UnmarshalJSON reads the time. It returns no error.
func (t *Time) UnmarshalJSON(data []byte) error {
	t.Time = time.Time{}
	text, _, _ := strings.Cut(strings.TrimSpace(readField[string](data)), "[")
	for _, form := range answerTimes {
		if at, err := time.Parse(form, text); err == nil {
			t.Time = at.UTC()
			return nil
		}
	}
	return nil
}
