package people

import (
	"maps"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/nyaruka/phonenumbers"
)

// spellings returns at most limit texts that a regular expression matches.
func spellings(t *testing.T, pattern string, limit int) []string {
	t.Helper()
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		t.Fatal(err)
	}
	out := spell(re.Simplify())
	if len(out) > limit {
		out = out[:limit]
	}
	return out
}

func spell(re *syntax.Regexp) []string {
	switch re.Op {
	case syntax.OpLiteral:
		return []string{string(re.Rune)}
	case syntax.OpCharClass:
		var out []string
		for i := 0; i < len(re.Rune); i += 2 {
			for r := re.Rune[i]; r <= re.Rune[i+1]; r++ {
				out = append(out, string(r))
			}
		}
		return out
	case syntax.OpConcat:
		out := []string{""}
		for _, sub := range re.Sub {
			var longer []string
			for _, begin := range out {
				for _, end := range spell(sub) {
					longer = append(longer, begin+end)
				}
			}
			out = longer
		}
		return out
	case syntax.OpAlternate:
		var out []string
		for _, sub := range re.Sub {
			out = append(out, spell(sub)...)
		}
		return out
	case syntax.OpQuest:
		return append([]string{""}, spell(re.Sub[0])...)
	case syntax.OpCapture:
		return spell(re.Sub[0])
	case syntax.OpEmptyMatch:
		return []string{""}
	}
	panic("unsupported expression in a prefix: " + re.String())
}

// examples returns a valid number of each region.
func examples() map[string]string {
	out := map[string]string{}
	for region := range phonenumbers.GetSupportedRegions() {
		for _, kind := range []phonenumbers.PhoneNumberType{phonenumbers.MOBILE, phonenumbers.FIXED_LINE} {
			if n := phonenumbers.GetExampleNumberForType(region, kind); n != nil && phonenumbers.IsValidNumber(n) {
				out[region] = phonenumbers.Format(n, phonenumbers.E164)
				break
			}
		}
	}
	return out
}

// TestForeignNumberIsCorrectOrUnread: a number of another country, as dialled in any region, is read correctly or not at all.
func TestForeignNumberIsCorrectOrUnread(t *testing.T) {
	t.Parallel()
	all, err := phonenumbers.MetadataCollection()
	if err != nil {
		t.Fatal(err)
	}
	numbers := examples()
	regions := slices.Sorted(maps.Keys(numbers))
	tried, read := 0, 0
	for _, m := range all.GetMetadata() {
		region := m.GetId()
		if m.GetInternationalPrefix() == "" || !phonenumbers.GetSupportedRegions()[region] {
			continue
		}
		for i, prefix := range spellings(t, strings.ReplaceAll(m.GetInternationalPrefix(), "~", ""), 40) {
			for n, other := range regions {
				if other == region || (n+i)%7 != 0 { // another seventh of the world for each spelling
					continue
				}
				number := numbers[other]
				tried++
				got := readPhone(prefix+" "+number[1:], region)
				if got == number {
					read++
				} else if got != "" {
					t.Errorf("%s in %s is %s, want %s or nothing", prefix+" "+number[1:], region, got, number)
				}
			}
		}
	}
	t.Logf("%d of %d numbers were read", read, tried)
	if read < tried*9/10 {
		t.Errorf("only %d of %d numbers were read", read, tried)
	}
}

// TestSpellingsGiveOneNumber: every way to write a number in its own country, and with its country code, gives the same number.
func TestSpellingsGiveOneNumber(t *testing.T) {
	t.Parallel()
	kinds := []phonenumbers.PhoneNumberType{phonenumbers.MOBILE, phonenumbers.FIXED_LINE, phonenumbers.TOLL_FREE}
	for region := range phonenumbers.GetSupportedRegions() {
		for _, kind := range kinds {
			n := phonenumbers.GetExampleNumberForType(region, kind)
			if n == nil || !phonenumbers.IsValidNumber(n) || phonenumbers.IsPossibleNumberWithReason(n) != phonenumbers.IS_POSSIBLE {
				continue
			}
			want := phonenumbers.Format(n, phonenumbers.E164)
			code := strconv.Itoa(int(n.GetCountryCode()))
			for _, written := range []string{
				phonenumbers.Format(n, phonenumbers.NATIONAL), phonenumbers.Format(n, phonenumbers.INTERNATIONAL),
				phonenumbers.Format(n, phonenumbers.RFC3966), want, "\u202a" + want + "\u202c", "00" + code + " " + want[1+len(code):],
			} {
				got := readPhone(plainDigits(plain(written)), region)
				if n, err := phonenumbers.Parse(written, region); err == nil && written == phonenumbers.Format(n, phonenumbers.NATIONAL) &&
					phonenumbers.Format(n, phonenumbers.E164) != want {
					continue // the library formats one number in a way that it parses as another
				}
				if got != want && (got != "" || !strings.HasPrefix(written, "00")) {
					t.Errorf("%s in %s is %q, want %s", written, region, got, want)
				}
			}
		}
	}
}

func TestReadPhones(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		region, written string
		want            []string
	}{
		{"AU", "0011 45 12 34 56 78", []string{"+4512345678"}},
		{"SG", "001 45 12 34 56 78", []string{"+4512345678"}},
		{"HK", "001 45 12 34 56 78", []string{"+4512345678"}},
		{"KR", "001 45 12 34 56 78", []string{"+4512345678"}},
		{"KR", "00700 45 12 34 56 78", []string{"+4512345678"}},
		{"TH", "001 45 12 34 56 78", []string{"+4512345678"}},
		{"ID", "001 45 12 34 56 78", nil}, // 001 is dialled there, but is not in the metadata
		{"ID", "008 45 12 34 56 78", []string{"+4512345678"}},
		{"BR", "0021 45 12 34 56 78", []string{"+4512345678"}},
		{"US", "011 45 12 34 56 78", []string{"+4512345678"}},
		{"JP", "010 45 12 34 56 78", []string{"+4512345678"}},
		{"RU", "8~10 45 12 34 56 78", []string{"+4512345678"}},
		{"AU", "0014512345678", nil},
		{"AU", "0061 2 9374 4000", []string{"+61293744000"}},
		{"TH", "0066 2 123 4567", nil}, // could also be a number in Indonesia
		{"DK", "0011 45 12 34 56 78", nil},
		{"DK", "0045 12 34 56 78", []string{"+4512345678"}},
		{"US", "0045 12 34 56 78", []string{"+4512345678"}},
		{"DK", "12 34 56 78", []string{"+4512345678"}},
		{"DK", "4512345678", []string{"+4512345678"}},
		{"DK", "+45 (0) 12 34 56 78", []string{"+4512345678"}},
		{"DK", "+44 (0)20 7946 0958", []string{"+442079460958"}},
		{"DE", "+39 (0)6 6988 4857", []string{"+390669884857"}},
		{"DK", "(+45) 12-34-56-78", []string{"+4512345678"}},
		{"DK", "00+45 12345678", []string{"+4512345678"}},
		{"DK", "+0045 12345678", []string{"+4512345678"}},
		{"DK", "whatsapp:+4512345678", []string{"+4512345678"}},
		{"US", "whatsapp:4512345678", []string{"+4512345678"}},
		{"US", "4512345678@c.us", []string{"+4512345678"}},
		{"US", "https://wa.me/4512345678?text=hi", []string{"+4512345678"}},
		{"DK", "tel:+45-12-34-56-78;ext=9", []string{"+4512345678"}},
		{"DK", "TEL:12345678", []string{"+4512345678"}},
		{"DK", "sms:+4512345678?body=hi", []string{"+4512345678"}},
		{"DK", "Mobile: +45 12 34 56 78 (work)", []string{"+4512345678"}},
		{"DK", "+45 12 34 56 78 ext. 9", []string{"+4512345678"}},
		{"DK", "+45 12 34 56 78x22", []string{"+4512345678"}},
		{"DK", "\u200e+45\u00a012\u00a034\u202f56\u200b78\u202c", []string{"+4512345678"}},
		{"DK", "\ufeff12345678", []string{"+4512345678"}},
		{"DK", "＋４５１２３４５６７８", []string{"+4512345678"}},
		{"EG", "+٤٥١٢٣٤٥٦٧٨", []string{"+4512345678"}},
		{"IR", "+۴۵۱۲۳۴۵۶۷۸", []string{"+4512345678"}},
		{"IN", "+४५१२३४५६७८", []string{"+4512345678"}},
		{"DK", "+45‑12–34—56−78", []string{"+4512345678"}},
		{"DK", "4512345678.0", []string{"+4512345678"}},
		{"DK", "+45 12345678, +45 87654321", []string{"+4512345678", "+4587654321"}},
		{"DK", "+45 12345678 / 87654321", []string{"+4512345678", "+4587654321"}},
		{"DE", "030/12345678", []string{"+493012345678"}},
		{"US", "234-5678", nil}, // without area code
		{"DK", "call me", nil},
		{"DK", "c-12345678", nil},
		{"DK", "1234 home", nil},
		{"DK", "+45 1234567A", nil},
		{"DK", "*12345678#", nil},
		{"DK", "+45 12345678 +45 87654321", nil},
		{"", "12345678", nil},
	} {
		if got := readPhones(tc.written, tc.region); !slices.Equal(got, tc.want) {
			t.Errorf("%q in %q is %q, want %q", tc.written, tc.region, got, tc.want)
		}
	}
}
