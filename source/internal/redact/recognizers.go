package redact

import (
	"math/big"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/nyaruka/phonenumbers"
)

// recognizers are ordered: where two find the same text, the first wins. The checks are those of the issuers: Luhn (ISO/IEC 7812), mod 97
// (ISO 13616), and the check digits and dates of the Nordic personal numbers.
var recognizers = sync.OnceValue(func() []recognizer {
	return []recognizer{
		{"EMAIL_ADDRESS", regexp.MustCompile(`(?i)[\p{L}\p{N}._%+'\-]+@(?:[\p{L}\p{N}](?:[\p{L}\p{N}\-]*[\p{L}\p{N}])?\.)+\p{L}{2,24}`), plain(emailAddress), func(text string, _ int) bool { return strings.Contains(text, "@") }},
		{"IBAN_CODE", regexp.MustCompile(`(?i)[A-Z]{2}\d{2}(?:[ \-]?[A-Z0-9]){11,30}`), iban, digits(6)},
		{"CREDIT_CARD", regexp.MustCompile(`\d(?:[ \-]?\d){12,18}`), plain(creditCard), digits(13)},
		{"FI_HETU", regexp.MustCompile(`(?i)\d{6}[+\-A-FU-Y]\d{3}[0-9A-Y]`), plain(hetu), digits(9)},
		{"SE_PERSONNUMMER", regexp.MustCompile(`(?:19|20)?\d{6}[\-+ ]?\d{4}`), plain(personnummer), digits(10)},
		{"DK_CPR", regexp.MustCompile(`\d{6}[ \-]?\d{4}`), plain(cpr), digits(10)},
		{"IP_ADDRESS", regexp.MustCompile(`\d{1,3}(?:\.\d{1,3}){3}|(?i:(?:[0-9a-f]{0,4}:){2,7}[0-9a-f]{0,4}(?:\.\d{1,3}){0,3})`), plain(ipAddress), func(text string, digits int) bool { return digits >= 4 || strings.Contains(text, ":") && digits > 0 }},
		{"PHONE_NUMBER", regexp.MustCompile(`(?:\+|00)?\(?\d(?:[ \x{a0}().\-/]{0,3}\d){5,16}`), phoneNumber, digits(7)},
	}
})

// digits is a quick look: texts with fewer have no hit.
func digits(n int) func(string, int) bool {
	return func(_ string, digits int) bool { return digits >= n }
}

// plain is a check of hits that end where the pattern ends.
func plain(is func(text string, from, to int) (string, bool)) func(string, int, int, string) (string, int, bool) {
	return func(text string, from, to int, _ string) (string, int, bool) {
		value, ok := is(text, from, to)
		return value, to, ok
	}
}

// apart reports whether neither a letter nor a digit touches text[from:to].
func apart(text string, from, to int) bool {
	before, _ := utf8.DecodeLastRuneInString(text[:from])
	after, _ := utf8.DecodeRuneInString(text[to:])
	word := func(r rune) bool {
		return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_')
	}
	return !word(before) && !word(after)
}

// linked reports whether text[from:to] is a part of a longer chain of digits, such as 1.234.567 or 2024-1234.
func linked(text string, from, to int) bool {
	joins := func(r rune) bool { return strings.ContainsRune(".-/:,", r) }
	if before, size := utf8.DecodeLastRuneInString(text[:from]); joins(before) {
		if r, _ := utf8.DecodeLastRuneInString(text[:from-size]); unicode.IsDigit(r) {
			return true
		}
	}
	if after, size := utf8.DecodeRuneInString(text[to:]); joins(after) {
		if r, _ := utf8.DecodeRuneInString(text[to+size:]); unicode.IsDigit(r) {
			return true
		}
	}
	return false
}

func digitsOf(text string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, text)
}

// context returns the words before a hit, in lower case.
func context(text string, from int) string {
	begin := max(0, from-40)
	for begin < from && !utf8.RuneStart(text[begin]) {
		begin++
	}
	return strings.ToLower(text[begin:from])
}

func emailAddress(text string, from, to int) (string, bool) {
	local, _, _ := strings.Cut(text[from:to], "@")
	return strings.ToLower(text[from:to]), strings.Trim(local, ".'%+-_") != ""
}

// ibanLengths are those of the IBAN registry.
var ibanLengths = func() map[string]int {
	lengths := map[string]int{}
	for country := range strings.FieldsSeq("AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 " +
		"GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 " +
		"SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30") {
		n, err := strconv.Atoi(country[2:])
		if err != nil {
			panic(err)
		}
		lengths[country[:2]] = n
	}
	return lengths
}()

// iban takes as much of a hit as the country's IBANs have: the pattern takes words behind it, too.
func iban(text string, from, to int, _ string) (value string, end int, ok bool) {
	want := ibanLengths[strings.ToUpper(text[from:from+2])]
	var plain string
	for end = from; end < to && len(plain) < want; end++ {
		if c := text[end]; c != ' ' && c != '-' {
			plain += strings.ToUpper(string(c))
		}
	}
	if want == 0 || len(plain) < want || !apart(text, from, end) {
		return "", 0, false
	}
	var numeric strings.Builder
	for _, r := range plain[4:] + plain[:4] {
		if r >= 'A' {
			numeric.WriteString(strconv.Itoa(int(r-'A') + 10))
		} else {
			numeric.WriteRune(r)
		}
	}
	n, ok := new(big.Int).SetString(numeric.String(), 10)
	return plain, end, ok && new(big.Int).Mod(n, big.NewInt(97)).Int64() == 1
}

func luhn(digits string) bool {
	sum := 0
	for i := range digits {
		d := int(digits[len(digits)-1-i] - '0')
		if i%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return sum%10 == 0
}

// cardLengths are the numbers of digits of the card networks, by how their numbers begin.
func cardNetwork(digits string) bool {
	n := len(digits)
	two, _ := strconv.Atoi(digits[:2])
	four, _ := strconv.Atoi(digits[:4])
	switch {
	case digits[0] == '4':
		return n == 13 || n == 16 || n == 19
	case two >= 51 && two <= 55, four >= 2221 && four <= 2720:
		return n == 16
	case two == 34, two == 37:
		return n == 15
	case two == 36, two == 38, two == 39, digits[:2] == "30":
		return n >= 14
	case two == 35, two == 60, two == 62, two == 64, two == 65, digits[:4] == "5019", two == 50, two >= 56 && two <= 69:
		return n >= 15
	}
	return false
}

func creditCard(text string, from, to int) (string, bool) {
	digits := digitsOf(text[from:to])
	return digits, apart(text, from, to) && !linked(text, from, to) && cardNetwork(digits) && luhn(digits) && strings.Trim(digits, digits[:1]) != ""
}

// date reports whether there is such a day in the year, of two digits or four.
func date(year, month, day string) bool {
	if len(year) == 2 {
		year = "20" + year
		if month == "02" && day == "29" {
			y, _ := strconv.Atoi(year)
			return y%4 == 0
		}
	}
	_, err := time.Parse("20060102", year+month+day)
	return err == nil
}

func hetu(text string, from, to int) (string, bool) {
	const check = "0123456789ABCDEFHJKLMNPRSTUVWXY"
	t := strings.ToUpper(text[from:to])
	n, err := strconv.Atoi(t[:6] + t[7:10])
	ok := err == nil && apart(text, from, to) && date(t[4:6], t[2:4], t[:2]) && check[n%31] == t[10]
	return t, ok
}

var cprWords = regexp.MustCompile(`cpr|personnummer|fødsels|social security|civil registration|person ?nr`)

func cpr(text string, from, to int) (string, bool) {
	digits := digitsOf(text[from:to])
	if !apart(text, from, to) || linked(text, from, to) || !date(digits[4:6], digits[2:4], digits[:2]) || digits[6:] == "0000" {
		return "", false
	}
	if text[from+6] == '-' || cprWords.MatchString(context(text, from)) {
		return digits, true
	}
	sum := 0
	for i, weight := range []int{4, 3, 2, 7, 6, 5, 4, 3, 2, 1} {
		sum += weight * int(digits[i]-'0')
	}
	return digits, sum%11 == 0 && text[from+6] == ' ' // of numbers given since 2007 many have no check digit
}

var personnummerWords = regexp.MustCompile(`person ?nummer|personnr|pnr|samordningsnummer|personal (?:identity )?number`)

func personnummer(text string, from, to int) (string, bool) {
	digits := digitsOf(text[from:to])
	long := len(digits) == 12
	if long {
		if !date(digits[:4], digits[4:6], day(digits[6:8])) {
			return "", false
		}
		digits = digits[2:]
	} else if !date(digits[:2], digits[2:4], day(digits[4:6])) {
		return "", false
	}
	if !apart(text, from, to) || linked(text, from, to) || !luhn(digits) {
		return "", false
	}
	marked := strings.ContainsAny(text[from:to], "-+")
	return digits, long || marked || personnummerWords.MatchString(context(text, from))
}

// day is that of a coordination number, too, which has 60 added.
func day(digits string) string {
	if n, err := strconv.Atoi(digits); err == nil && n > 60 {
		return strconv.Itoa(100 + n - 60)[1:]
	}
	return digits
}

var versionWords = regexp.MustCompile(`(?:\bv|version|release|firmware|build)[ .:]*$`)

func ipAddress(text string, from, to int) (string, bool) {
	raw := strings.TrimRight(text[from:to], ".")
	addr, err := netip.ParseAddr(raw)
	if err != nil || addr.IsUnspecified() || len(raw) < to-from {
		return "", false
	}
	if addr.Is6() && strings.Count(raw, ":") < 3 && !strings.Contains(raw, "::") || raw == "::1" {
		return "", false
	}
	return addr.String(), apart(text, from, to) && !linked(text, from, to) && !versionWords.MatchString(context(text, from))
}

var (
	phoneWords = regexp.MustCompile(`phone|\btel\b|\btel[.:]|tlf|telefon|mobil|\bcell|\bcall|\bring|\bsms\b|whatsapp|\bfax|reach me|contact me|kontakt mig|\btext me|my number|mit nummer|nummer er|number is`)
	otherWords = regexp.MustCompile(`(?:order|ordre|invoice|faktura|case|sags?|ticket|tracking|parcel|pakke|booking|bestilling|reference|\bref|kunde|customer|konto|account|cvr|vat|serial|serie|\bean|article|vare|product|produkt|model|\bpo)[ \-]?(?:nummer|number|nr|no|id|code|kode)?[.: #]*(?:er|is)?[ :#]*$`)
	dates      = regexp.MustCompile(`^(?:\d{4}[.\-/ ]\d{1,2}[.\-/ ]\d{1,2}|\d{1,2}[.\-/ ]\d{1,2}[.\-/ ]\d{4})(?:\D|$)`)
	amounts    = regexp.MustCompile(`^\d{1,3}(?:[. ]\d{3})+$`)
	units      = regexp.MustCompile(`^ ?(?i:kr|dkk|sek|nok|eur|usd|gbp|€|\$|%|km|kg|mb|gb|stk|pcs)`)
)

// phoneNumber tries the whole hit, then shorter ones: several numbers may stand behind each other.
func phoneNumber(text string, from, to int, region string) (value string, end int, ok bool) {
	for end = to; end > from; end-- {
		if end < to && !splits(text[from:end], text[end:to]) {
			continue
		}
		if value, ok = phoneNumberAt(text, from, end, region); ok {
			return value, end, true
		}
	}
	return "", 0, false
}

// splits reports whether one number may end where others follow: at more than a blank, or without blanks within.
func splits(number, rest string) bool {
	if c := number[len(number)-1]; c < '0' || c > '9' {
		return false
	}
	gap := len(rest) - len(strings.TrimLeft(rest, separators))
	return gap > 1 || gap == 1 && !strings.ContainsAny(number, separators)
}

const separators = " \u00a0().-/"

func phoneNumberAt(text string, from, to int, region string) (string, bool) {
	raw := text[from:to]
	digits := digitsOf(raw)
	international := raw[0] == '+' || strings.HasPrefix(raw, "00")
	if raw[0] == '(' && !strings.Contains(raw, ")") {
		return "", false
	}
	if len(digits) < 7 || !apart(text, from, to) || linked(text, from, to) && !international || dates.MatchString(raw) {
		return "", false
	}
	before := context(text, from)
	named := phoneWords.MatchString(before)
	if raw[0] == '0' && otherWords.MatchString(before) {
		return "", false
	}
	if !international {
		grouped := strings.ContainsAny(raw, separators)
		switch {
		case otherWords.MatchString(before):
			return "", false
		case named && !chained(text, from):
		case chained(text, from):
			return "", false
		case !grouped, units.MatchString(text[to:]), amounts.MatchString(raw), strings.HasSuffix(before, "$"), strings.HasSuffix(before, "€"):
			return "", false
		case cprLike.MatchString(raw):
			return "", false
		}
	}
	if strings.HasPrefix(raw, "00") {
		raw = "+" + raw[2:]
	}
	number, err := phonenumbers.Parse(raw, region)
	if err != nil {
		return "", false
	}
	ok := phonenumbers.IsValidNumber(number) || (named || international) && phonenumbers.IsPossibleNumber(number)
	return phonenumbers.Format(number, phonenumbers.E164), ok
}

// chained reports whether other digits stand before a blank before the hit.
func chained(text string, from int) bool {
	before := text[:from]
	rest := strings.TrimRight(before, separators)
	return len(before)-len(rest) == 1 && rest != "" && rest[len(rest)-1] >= '0' && rest[len(rest)-1] <= '9'
}

// cprLike are the spellings of personal numbers, which are no phone numbers.
var cprLike = regexp.MustCompile(`^\d{6}[ \-]\d{4}$`)
