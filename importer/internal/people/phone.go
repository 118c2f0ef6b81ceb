package people

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"

	"github.com/nyaruka/phonenumbers"
)

var (
	phoneScheme = regexp.MustCompile(`(?i)^(?:[a-z]+://wa\.me/|wa\.me/|[a-z]+://api\.whatsapp\.com/send/?\?phone=|(whatsapp|wa)\s*:|` +
		`(?:tel|sms|smsto|mms|callto|phone|sip|sips|viber|signal|facetime|imessage)\s*:)(?://)?\s*`)
	phoneLabel = regexp.MustCompile(`(?i)^(?:tel|tlf|phone|telephone|telefon|telefono|téléphone|teléfono|mobile|mob|mobil|mobiel|móvil|cell|cellphone|` +
		`handy|gsm|home|work|office|whatsapp|sms|call|ph|no|nr|number|m|t|p|h|w)\b[.:\s]*`)
	phoneExtension = regexp.MustCompile(`(?i)[\s,;(\[-]*(?:;\s*ext\s*=|ext(?:ension|n)?\b[.:\s]*|x|#|anexo|ramal|poste|durchwahl|dw|lokal|lok|int)[.:\s]*\d{1,7}\s*[)\]#]?$`)
	phoneTail      = regexp.MustCompile(`(?i)\s*[(\[]?\s*(?:mobile|mobil|cell|home|work|office|private|privat|whatsapp)\s*[)\]]?$`)
	phoneRest      = regexp.MustCompile(`^[0-9+()\[\] ./~'\x60-]+$`)
	floatTail      = regexp.MustCompile(`^\+?\d{6,}\.0+$`)
	trunkZero      = regexp.MustCompile(`\(\s*0\s*\)|\[\s*0\s*\]`)
	whatsAppID     = regexp.MustCompile(`(?i)^(\d{6,15})(?::\d+)?@(?:c\.us|s\.whatsapp\.net)$`)
)

// plainDigits replaces the digits of all scripts with 0 to 9, and all dashes with hyphens.
func plainDigits(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r < unicode.MaxASCII:
			return r
		case unicode.Is(unicode.Pd, r), r == '\u2212':
			return '-'
		case unicode.Is(unicode.Nd, r):
			for _, block := range unicode.Nd.R16 {
				if rune(block.Lo) <= r && r <= rune(block.Hi) {
					return '0' + (r-rune(block.Lo))%10
				}
			}
			for _, block := range unicode.Nd.R32 {
				if rune(block.Lo) <= r && r <= rune(block.Hi) {
					return '0' + (r-rune(block.Lo))%10
				}
			}
		}
		return r
	}, s)
}

// readPhones returns the phone numbers in a text, in E.164 format and in order.
func readPhones(s, region string) (found []string) {
	s = plainDigits(plain(s))
	add := func(part string) bool {
		number := readPhone(part, region)
		if number != "" {
			found = append(found, number)
		}
		return number != ""
	}
	if phoneExtension.MatchString(s) && add(s) { // a comma before an extension doesn't separate numbers
		return found
	}
	for _, part := range strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(",;|\n\r\t", r) }) {
		if !add(part) && strings.Contains(part, "/") {
			for _, piece := range strings.Split(part, "/") {
				add(piece)
			}
		}
	}
	return found
}

// readPhone returns a number in E.164 format without its extension, or "" if the text is not a number or is ambiguous.
func readPhone(s, region string) string {
	s = strings.TrimSpace(s)
	if m := whatsAppID.FindStringSubmatch(s); m != nil {
		s = "+" + m[1]
	}
	if m := phoneScheme.FindStringSubmatchIndex(s); m != nil {
		international := m[2] >= 0 || strings.Contains(strings.ToLower(s[:m[1]]), "wa.me") || strings.Contains(strings.ToLower(s[:m[1]]), "whatsapp")
		s, _, _ = strings.Cut(s[m[1]:], "?")
		s, _, _ = strings.Cut(s, "@")
		s, _, _ = strings.Cut(s, "&")
		if international && s != "" && s[0] >= '1' && s[0] <= '9' { // such links contain the country code without a plus sign
			s = "+" + s
		}
	}
	s = strings.TrimSpace(strings.ReplaceAll(phoneLabel.ReplaceAllString(s, ""), "%2B", "+"))
	s = phoneTail.ReplaceAllString(phoneExtension.ReplaceAllString(s, ""), "")
	if floatTail.MatchString(s) { // a spreadsheet turned the number into a float
		s, _, _ = strings.Cut(s, ".")
	}
	if !phoneRest.MatchString(s) {
		return ""
	}
	// (0) is usually dialled only within the country. If it is part of the number, only the form with it is valid.
	if without := trunkZero.ReplaceAllString(s, ""); without != s {
		number := readDigits(without, region)
		if with := readDigits(s, region); with != "" && with != number && isValid(with) && !isValid(number) {
			return with
		}
		return number
	}
	return readDigits(s, region)
}

// readDigits parses a number that consists of digits and punctuation.
func readDigits(s, region string) string {
	if at := strings.LastIndexByte(s, '+'); at >= 0 {
		if strings.Trim(digits(s[:at]), "0") != "" { // two numbers
			return ""
		}
		return international(strings.TrimPrefix(digits(s[at:]), "00"))
	}
	bare := digits(s)
	national := domestic(bare, region)
	own, foreign := abroad(bare, region), ""
	if rest, ok := strings.CutPrefix(bare, "00"); ok {
		foreign = international(rest) // as most of the world dials
	}
	if len(own) == 0 && foreign == "" {
		return national
	}
	if national != "" && isValid(national) {
		own, foreign = append(own, national), ""
	}
	switch best := chooseReading(own); {
	case len(own) == 0 && !isValid(foreign) && !dialsDouble0(region):
		return "" // what follows 00 is not a country code
	case len(own) == 0:
		return foreign
	case foreign != best && isValid(foreign) && isOwn(foreign, region):
		return "" // ambiguous: a foreign number with the region's prefix, or one of the region with the prefix 00
	default:
		return best
	}
}

// chooseReading chooses among the readings of a number, which are in order of prefix length: the valid one, the last one if none is valid,
// or "" if several are.
func chooseReading(readings []string) string {
	if len(readings) == 0 {
		return ""
	}
	valid := slices.DeleteFunc(slices.Clone(readings), func(n string) bool { return !isValid(n) })
	slices.Sort(valid)
	switch valid = slices.Compact(valid); len(valid) {
	case 0:
		return readings[len(readings)-1]
	case 1:
		return valid[0]
	}
	return ""
}

// international parses digits that begin with a country code. The result may lack only a trunk zero, which is dialled within the country;
// if the library drops anything else, the result is "".
func international(bare string) string {
	if bare == "" || bare[0] == '0' {
		return ""
	}
	number, ok := parse("+"+bare, "ZZ")
	if !ok {
		return ""
	}
	code := strconv.Itoa(int(number.GetCountryCode()))
	e164 := phonenumbers.Format(number, phonenumbers.E164)
	if e164 != "+"+bare && e164 != "+"+code+strings.TrimPrefix(bare[len(code):], "0") {
		return ""
	}
	return e164
}

// domestic parses digits as dialled within a region, or with the region's country code but without the plus sign.
func domestic(bare, region string) string {
	code := phonenumbers.GetCountryCodeForRegion(region)
	if code == 0 || bare == "" {
		return ""
	}
	text := bare
	if prefix := internationalPrefix(region); prefix != nil && len(prefix.FindString(bare)) > 0 || strings.HasPrefix(bare, "00") {
		text = "+" + strconv.Itoa(code) + bare // otherwise the library strips an international prefix
	}
	number, ok := parse(text, region)
	if !ok || int(number.GetCountryCode()) != code {
		return ""
	}
	return phonenumbers.Format(number, phonenumbers.E164)
}

// abroad parses digits as an international call from a region. It returns a reading for each prefix of the digits that matches the region's
// international prefix.
func abroad(bare, region string) (readings []string) {
	prefix := internationalPrefix(region)
	if prefix == nil {
		return nil
	}
	for n := 1; n < min(len(bare), 8); n++ {
		if prefix.FindString(bare[:n]) != bare[:n] {
			continue
		}
		if number := international(bare[n:]); number != "" {
			readings = append(readings, number)
		}
	}
	return readings
}

func parse(s, region string) (*phonenumbers.PhoneNumber, bool) {
	n, err := phonenumbers.Parse(s, region)
	// A number without its area code is ambiguous.
	return n, err == nil && phonenumbers.IsPossibleNumberWithReason(n) == phonenumbers.IS_POSSIBLE
}

func isValid(e164 string) bool {
	n, err := phonenumbers.Parse(e164, "ZZ")
	return err == nil && phonenumbers.IsValidNumber(n)
}

func isOwn(e164, region string) bool {
	n, err := phonenumbers.Parse(e164, "ZZ")
	return err == nil && int(n.GetCountryCode()) == phonenumbers.GetCountryCodeForRegion(region)
}

// isNobodysPhone reports whether a number in E.164 format is a placeholder.
func isNobodysPhone(e164 string) bool {
	n, err := phonenumbers.Parse(e164, "ZZ")
	return err == nil && (isNobodysNumber(phonenumbers.GetNationalSignificantNumber(n)) || isNobodysNumber(digits(e164)) ||
		strings.HasPrefix(e164, "+123456789"))
}

var internationalPrefixes = sync.OnceValue(func() map[string]*regexp.Regexp {
	out := map[string]*regexp.Regexp{}
	all, err := phonenumbers.MetadataCollection()
	if err != nil {
		return out
	}
	for _, m := range all.GetMetadata() {
		// A tilde is a pause for the dial tone. Only the longest match shows whether all digits belong to the prefix.
		if p := strings.ReplaceAll(m.GetInternationalPrefix(), "~", ""); p != "" {
			if compiled, err := regexp.Compile("^(?:" + p + ")"); err == nil {
				compiled.Longest()
				out[m.GetId()] = compiled
			}
		}
	}
	return out
})

// dialsDouble0 reports whether a region's international prefix is 00, or does not begin with 00, or is unknown.
func dialsDouble0(region string) bool {
	prefix := internationalPrefix(region)
	if prefix == nil || prefix.FindString("00") == "00" {
		return true
	}
	pattern := strings.TrimPrefix(prefix.String(), "^(?:")
	return !strings.HasPrefix(pattern, "00") && !strings.HasPrefix(pattern, "0[0")
}

// internationalPrefix returns what is dialled before a country code in a region, nil if unknown.
func internationalPrefix(region string) *regexp.Regexp { return internationalPrefixes()[region] }
