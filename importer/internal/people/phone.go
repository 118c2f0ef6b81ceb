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

// plainDigits returns a text with the digits of all scripts as 0 to 9, and all dashes as hyphens.
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

// readPhones returns the numbers in a text, in E.164 and in order.
func readPhones(s, region string) (found []string) {
	s = plainDigits(plain(s))
	add := func(part string) bool {
		number := readPhone(part, region)
		if number != "" {
			found = append(found, number)
		}
		return number != ""
	}
	if phoneExtension.MatchString(s) && add(s) { // its own commas are no list
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

// readPhone returns a number in E.164, without an extension, or "" if the text is not a number or could be two people's.
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
		if international && s != "" && s[0] >= '1' && s[0] <= '9' { // such links name a number with its country
			s = "+" + s
		}
	}
	s = strings.TrimSpace(strings.ReplaceAll(phoneLabel.ReplaceAllString(s, ""), "%2B", "+"))
	s = phoneTail.ReplaceAllString(phoneExtension.ReplaceAllString(s, ""), "")
	if floatTail.MatchString(s) { // a table's number
		s, _, _ = strings.Cut(s, ".")
	}
	if !phoneRest.MatchString(s) {
		return ""
	}
	// (0) is dialled within the country alone; where it belongs to the number, only that is one.
	if without := trunkZero.ReplaceAllString(s, ""); without != s {
		number := readDigits(without, region)
		if with := readDigits(s, region); with != "" && with != number && isValid(with) && !isValid(number) {
			return with
		}
		return number
	}
	return readDigits(s, region)
}

// readDigits reads a number that has no more than digits and punctuation.
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
	switch meant := clearest(own); {
	case len(own) == 0 && !isValid(foreign) && !dialsDouble0(region):
		return "" // whatever was dialled, it was no country code after 00
	case len(own) == 0:
		return foreign
	case foreign != meant && isValid(foreign) && isOwn(foreign, region):
		return "" // a number abroad as the region dials, or its own one as others dial it
	default:
		return meant
	}
}

// clearest chooses among the readings of a number, the longest prefix last: the one that is in service, the last one if none is, none if
// several are.
func clearest(readings []string) string {
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

// international reads digits that begin with a country code. Nothing but a zero that is dialled within the country alone may be
// missing from what they become.
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

// domestic reads digits as they are dialled within a region, or without the plus sign of its own country code.
func domestic(bare, region string) string {
	code := phonenumbers.GetCountryCodeForRegion(region)
	if code == 0 || bare == "" {
		return ""
	}
	text := bare
	if prefix := internationalPrefix(region); prefix != nil && len(prefix.FindString(bare)) > 0 || strings.HasPrefix(bare, "00") {
		text = "+" + strconv.Itoa(code) + bare // else the library takes them for an international prefix
	}
	number, ok := parse(text, region)
	if !ok || int(number.GetCountryCode()) != code {
		return ""
	}
	return phonenumbers.Format(number, phonenumbers.E164)
}

// abroad reads digits as those of an international call from a region, one reading for each length of its international prefix.
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
	// A number without its area code could be anybody's.
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

// isNobodysPhone reports whether a number in E.164 is one that nobody has.
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
		// A tilde is a pause for the dial tone. Only the longest match tells whether all digits belong to the prefix.
		if p := strings.ReplaceAll(m.GetInternationalPrefix(), "~", ""); p != "" {
			if compiled, err := regexp.Compile("^(?:" + p + ")"); err == nil {
				compiled.Longest()
				out[m.GetId()] = compiled
			}
		}
	}
	return out
})

// dialsDouble0 reports whether 00 is all that is dialled before a country code in a region, or does not begin what is.
func dialsDouble0(region string) bool {
	prefix := internationalPrefix(region)
	if prefix == nil || prefix.FindString("00") == "00" {
		return true
	}
	pattern := strings.TrimPrefix(prefix.String(), "^(?:")
	return !strings.HasPrefix(pattern, "00") && !strings.HasPrefix(pattern, "0[0")
}

// internationalPrefix returns what is dialled before a country code in a region, nil if that is not known.
func internationalPrefix(region string) *regexp.Regexp { return internationalPrefixes()[region] }
