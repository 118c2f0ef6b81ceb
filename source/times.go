package source

import (
	"bytes"
	"math/big"
	"strconv"
	"strings"
	"time"
)

// maxTime is the last millisecond of the year 9999, the last that RFC 3339 can write.
const maxTime = 253402300799999

// Numbers from here up are milliseconds since 1970, those below are seconds.
const firstMillis = 100_000_000_000

const zoneCure = "has no time zone: write it as 2006-01-02T15:04:05Z"

const timeCure = "is no time: write it as 2006-01-02T15:04:05Z, or as a number of seconds or milliseconds since 1970"

const rangeCure = "is a time before 1970 or after the year 9999: correct it, numbers are seconds or milliseconds since 1970"

// decodeTime reads a JSON value as a time, in milliseconds since 1970, rounded down. The problem is "" if there is none.
func decodeTime(value []byte) (millis int64, code RejectCode, problem string) {
	if number(value) {
		return decodeUnix(value)
	}
	inner := inside(value)
	t, ok := parseRFC3339(inner)
	if !ok {
		if _, ok := parseRFC3339(append(bytes.Clone(inner), 'Z')); ok {
			return 0, RejectTimeWithoutZone, zoneCure
		}
		return 0, RejectInvalidTime, timeCure
	}
	return inRange(t.Unix()*1000 + int64(t.Nanosecond())/int64(time.Millisecond))
}

func inRange(millis int64) (int64, RejectCode, string) {
	if millis < 0 || millis > maxTime {
		return 0, RejectInvalidTime, rangeCure
	}
	return millis, "", ""
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
