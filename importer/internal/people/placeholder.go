package people

import (
	"regexp"
	"strings"
	"unicode"

	"dixa-import/importer/checkpoint"
)

// Bots write values such as "undefined" when they do not know the customer. If such a placeholder were used as an identifier, all customers
// who have it would become one. If a real value is mistaken for a placeholder, its transcript only gets an end-user of its own. The README
// describes the placeholders.

// nobody lists placeholder words in lower case, reduced to letters and digits. They apply to external ids, and to the local part of an
// email address at any domain.
var nobody = set(`undefined null none nil noone nobody anonymous anon anonym anonyme anonymo anonimo anónimo anônimo guest unknown
	unidentified noemail nomail nophone noid nouser noname novalue notset notprovided notavailable notapplicable notknown notfound
	missing empty blank placeholder dummy fake invalid redacted anonymized anonymised deleted removed masked hidden mailerdaemon
	unbekannt anonymer gast keine keineangabe inconnu invité invite desconocido invitado sconosciuto ospite desconhecido convidado
	onbekend anoniem ukendt gæst okänd gäst ukjent gjest tuntematon vieras nieznany gość brak ismeretlen vendég neznámý bilinmeyen
	misafir неизвестно неизвестный аноним гость невідомо гість 不明 匿名 ゲスト なし 游客 访客 未知 訪客 없음 손님 알수없음 مجهول ضيف زائر`)

// nobodyElse lists words that are placeholders as external ids, but may be the local part of a real address.
var nobodyElse = set(`na nan false true default user customer client visitor contact enduser subscriber member person sender
	id uid uuid guid test tester testing example sample demo foo bar foobar asdf qwerty void error infinity nothing tbd todo
	optionalempty promisepending objectobject objectnull objectundefined yourid youruserid sinnombre`)

// suffixes are words that may follow a placeholder, as in "anonymous user".
var suffixes = []string{"user", "customer", "client", "visitor", "person", "id"}

// sampleLocals are the local parts of example addresses in forms, and sampleDomains their domains.
var (
	sampleLocals = set(`example sample test testing tester testuser testmail testemail user username name firstname lastname email mail myemail
		youremail yourname yourmail someone somebody customer client no non foo bar foobar asdf qwerty abc xyz demo visitor default`)
	sampleDomains = set(`example test tests testing domain mydomain yourdomain email company yourcompany mycompany website sample
		placeholder dummy fake invalid localhost none null undefined nowhere somewhere noemail nomail foo bar foobar asdf qwerty abc xyz`)
)

// sampleIDs are identifiers from documentation, and values that people type to get past a form.
var sampleIDs = set(`123e4567e89b12d3a456426614174000 123e4567e89b12d3a456426655440000 3fa85f6457174562b3fc2c963f66afa6
	550e8400e29b41d4a716446655440000 00000000000040008000000000000000 12345678 123456789 1234567890 0123456789 987654321 9876543210`)

func set(words string) map[string]bool {
	out := map[string]bool{}
	for _, w := range strings.Fields(words) {
		out[w] = true
	}
	return out
}

// template matches placeholders of common template languages that a program failed to fill in, and what programs print for a missing
// value.
var template = regexp.MustCompile(`\{\{.*\}\}|\$\{.*\}|#\{.*\}|@\{.*\}|%\{.*\}|\$\(.*\)|<%.*%>|\{%.*%\}|\[\[.*\]\]|\*\|.*\|\*|%%.+%%|\[object |%!|` +
	`^\{[A-Za-z_][\w. -]*\}$|^\{\d?\}$|^\[[A-Za-z_][A-Za-z_. -]*\]$|^<[A-Za-z_][A-Za-z_. -]*>$|^<\w+ .*>$|^%[-+0-9.]*[sdviuq@]$|` +
	`^%[A-Za-z_]\w*%$|^\$[A-Za-z_][\w.]*$|^:[A-Za-z_]+$|^__[A-Za-z]\w*__$`)

var bracedID = regexp.MustCompile(`^\{[0-9A-Fa-f]{8}-[0-9A-Fa-f-]{27}\}$`)

// isTemplate reports whether a value is a template that was never filled in.
func isTemplate(s string) bool { return template.MatchString(s) && !bracedID.MatchString(s) }

// meansNobody reports whether a value of any kind is a placeholder for an unknown customer.
func meansNobody(s string) bool {
	s = strings.ToLower(s)
	bare := lettersAndDigits(s)
	if strings.Trim(bare, "0") == "" || s == "-1" || s == `\n` || isTemplate(s) || isWordFor(bare) {
		return true
	}
	if sampleIDs[bare] || repeated(bare) && (len(bare) == 32 || len(bare) >= 3 && !unicode.IsDigit(rune(bare[0])) || len(bare) >= 8) {
		return true
	}
	words := strings.FieldsFunc(s, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	all := true
	for _, w := range words {
		if len(words) > 1 && (w == "undefined" || w == "null") {
			return true
		}
		all = all && isWordFor(w)
	}
	return all
}

func isWordFor(bare string) bool {
	if nobody[bare] || nobodyElse[bare] {
		return true
	}
	for _, suffix := range suffixes {
		if rest, ok := strings.CutSuffix(bare, suffix); ok && (nobody[rest] || nobodyElse[rest]) {
			return true
		}
	}
	return false
}

func lettersAndDigits(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) {
			return r
		}
		return -1
	}, s)
}

// repeated reports whether a text is one character repeated.
func repeated(s string) bool {
	return s != "" && strings.Trim(s, s[:1]) == ""
}

// isNobodysAddress reports whether an address in lower case is a placeholder or an example.
func isNobodysAddress(address string) bool {
	local, domain, ok := strings.Cut(address, "@")
	if !ok {
		return false
	}
	local, _, _ = strings.Cut(local, "+")
	bare := lettersAndDigits(local)
	for _, w := range []string{"noreply", "donotreply", "dontreply", "nepasrepondre", "nichtantworten"} {
		if strings.Contains(bare, w) {
			return true
		}
	}
	if nobody[bare] || bare == "test" || bare == "" || isTemplate(local) || strings.Trim(bare, "0") == "" || repeated(bare) && len(bare) >= 3 {
		return true
	}
	labels := strings.Split(domain, ".")
	top, name := labels[len(labels)-1], labels[max(0, len(labels)-2)]
	if bare == name && len(bare) <= 3 || len(bare) == 1 && len(name) == 1 {
		return true
	}
	if strings.HasPrefix(name, "test") && strings.TrimRight(bare, "0123456789") == "test" {
		return true
	}
	return sampleLocals[bare] && (sampleDomains[name] || top == "test" || top == "example" || top == "invalid" || top == "localhost")
}

// isNobodysNumber reports whether a number, with or without its country code, is a placeholder: one digit repeated, or a sequence.
func isNobodysNumber(digits string) bool {
	const up, down = "01234567890123456789", "98765432109876543210"
	return len(digits) >= 6 && repeated(digits) || len(digits) >= 9 && (strings.Contains(up, digits) || strings.Contains(down, digits))
}

// IsPlaceholder reports whether a normalised identifier identifies nobody: by its form, or because the configuration says so.
func (m *Matcher) IsPlaceholder(id checkpoint.Identifier) bool {
	if m.ignored[checkpoint.Identifier{Kind: id.Kind, Value: strings.ToLower(id.Value)}] {
		return true
	}
	switch id.Kind {
	case checkpoint.Email:
		return isNobodysAddress(id.Value)
	case checkpoint.Phone:
		return isNobodysPhone(id.Value)
	}
	return meansNobody(id.Value) || strings.Contains(id.Value, "@") && isNobodysAddress(strings.ToLower(id.Value))
}

// ignoredValues returns the placeholders from the configuration, normalised for each kind of identifier.
func ignoredValues(values []string, region string) map[checkpoint.Identifier]bool {
	out := map[checkpoint.Identifier]bool{}
	for _, v := range values {
		add := func(kind checkpoint.IdentifierKind, value string) {
			if value != "" {
				out[checkpoint.Identifier{Kind: kind, Value: strings.ToLower(value)}] = true
			}
		}
		add(checkpoint.ExternalID, readExternalID(v))
		for _, r := range readEmails(v) {
			add(checkpoint.Email, r.address)
		}
		for _, p := range readPhones(v, region) {
			add(checkpoint.Phone, p)
		}
	}
	return out
}
