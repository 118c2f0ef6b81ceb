package source

import (
	"bytes"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxTime is the last millisecond of the year 9999, the last that RFC 3339 can write.
const maxTime = 253402300799999

// Numbers from here up are milliseconds since 1970, those below are seconds.
const firstMillis = 100_000_000_000

const zoneCure = "has no time zone: write it as 2006-01-02T15:04:05Z, or set source.time_zone"

const timeCure = "is not a time: write it as 2006-01-02T15:04:05Z, or as a number of seconds or milliseconds since 1970"

const smallCure = "is a number that would be a time before the year 2000, such as a spreadsheet's day: write the time as 2006-01-02T15:04:05Z, or as seconds or milliseconds since 1970"

// firstUnix is the first second of the year 2000. Numbers before it are counts of something else.
const firstUnix = 946_684_800

const rangeCure = "is a time before 1970 or after the year 9999: correct it, numbers are seconds or milliseconds since 1970"

// decodeTime reads a JSON value as a time, in milliseconds since 1970, rounded down. The problem is "" if there is none. A time
// without a zone is one of zone, and rejected where that is nil; see instant for what after does.
func decodeTime(value []byte, zone *time.Location, after int64) (millis int64, code RejectCode, problem string) {
	if number(value) {
		millis, code, problem = decodeUnix(value)
		if problem == "" && millis < firstUnix*1000 {
			return 0, RejectInvalidTime, smallCure
		}
		return millis, code, problem
	}
	inner := inside(value)
	t, ok := parseTime(inner)
	if !ok {
		wall, ok := parseRFC3339(append(bytes.Clone(inner), 'Z'))
		switch {
		case !ok:
			return 0, RejectInvalidTime, timeCure
		case zone == nil:
			return 0, RejectTimeWithoutZone, zoneCure
		}
		t = instant(wall, zone, after)
	}
	return inRange(t.Unix()*1000 + int64(t.Nanosecond())/int64(time.Millisecond))
}

// instant returns when a clock in zone showed what wall shows in UTC. Where the clock showed it twice, because it was set back, that is
// the first time, unless only the second is not before after (milliseconds since 1970). Where the clock never showed it, because it was set
// forward, it is as long after the change as the clock would have shown without it.
func instant(wall time.Time, zone *time.Location, after int64) time.Time {
	if zone == time.UTC {
		return wall
	}
	// A zone changes its clocks at most once in two days.
	const day = 24 * time.Hour
	offset := func(at time.Time) time.Duration {
		_, seconds := at.In(zone).Zone()
		return time.Duration(seconds) * time.Second
	}
	before, later := offset(wall.Add(-day)), offset(wall.Add(day))
	first, second := wall.Add(-before), wall.Add(-later)
	switch {
	case before == later, offset(second) != later: // or it is in the time that was left out
		return first
	case offset(first) != before, first.UnixMilli() < after && second.UnixMilli() >= after:
		return second
	}
	return first
}

func inRange(millis int64) (int64, RejectCode, string) {
	if millis < 0 || millis > maxTime {
		return 0, RejectInvalidTime, rangeCure
	}
	return millis, "", ""
}

// parseTime reads a time that has a zone: as RFC 3339, or with the zones that databases and languages print: +00, +0000, UTC, with or
// without a blank before them.
func parseTime(text []byte) (t time.Time, ok bool) {
	if t, ok = parseRFC3339(text); ok || len(text) <= len("2006-01-02T15:04") {
		return t, ok
	}
	clock, zone := text, []byte(nil)
	if rest, found := bytes.CutSuffix(text, []byte("UTC")); found {
		clock, zone = rest, []byte("Z")
	} else if i := bytes.LastIndexAny(text, "+-"); i > len("2006-01-02T15:04") {
		clock, zone = text[:i], text[i:]
		switch {
		case len(zone) == len("+00"):
			zone = append(bytes.Clone(zone), ":00"...)
		case len(zone) == len("+0000") && bytes.IndexByte(zone, ':') < 0:
			zone = slices.Concat(zone[:3], []byte(":"), zone[3:])
		}
	}
	return parseRFC3339(slices.Concat(bytes.TrimSuffix(clock, []byte(" ")), zone))
}

// parseRFC3339 also takes the lower-case letters and the space for the T that RFC 3339, section 5.6, allows.
func parseRFC3339(text []byte) (t time.Time, ok bool) {
	const letterT = len("2006-01-02")
	if len(text) <= letterT || bytes.IndexByte(text, ',') >= 0 { // Go takes a comma before the fraction
		return t, false
	}
	if sep, last := text[letterT], text[len(text)-1]; sep == ' ' || sep == 't' || last == 'z' {
		text = bytes.Clone(text)
		if sep != 'T' {
			text[letterT] = 'T'
		}
		if last == 'z' {
			text[len(text)-1] = 'Z'
		}
	}
	err := t.UnmarshalText(text)
	return t, err == nil
}

// decodeUnix reads a number as decimal digits: a float64 would show 1763539200.123 as .122999.
func decodeUnix(value []byte) (int64, RejectCode, string) {
	text := string(value)
	if len(text) > 64 {
		return 0, RejectInvalidTime, timeCure
	}
	whole, fraction, _ := strings.Cut(text, ".")
	if n, err := strconv.ParseUint(whole, 10, 63); err == nil && !strings.ContainsAny(fraction, "eE") {
		if n >= firstMillis {
			return inRange(int64(n))
		}
		millis, _ := strconv.ParseInt((fraction + "000")[:3], 10, 64)
		return inRange(int64(n)*1000 + millis)
	}
	if exponent := strings.IndexAny(text, "eE"); exponent >= 0 {
		// A large exponent would make big.Rat build a number of that many digits.
		if e, err := strconv.Atoi(text[exponent+1:]); err != nil || e > 30 || e < -60 {
			return 0, RejectInvalidTime, rangeCure
		}
	}
	r, ok := new(big.Rat).SetString(text)
	if !ok || r.Sign() < 0 {
		return 0, RejectInvalidTime, rangeCure
	}
	if r.Cmp(big.NewRat(firstMillis, 1)) < 0 {
		r.Mul(r, big.NewRat(1000, 1))
	}
	millis := new(big.Int).Quo(r.Num(), r.Denom())
	if !millis.IsInt64() {
		return 0, RejectInvalidTime, rangeCure
	}
	return inRange(millis.Int64())
}
