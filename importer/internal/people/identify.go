package people

import (
	"net/mail"
	"regexp"
	"strings"
	"unicode"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"

	"dixa-import/importer/checkpoint"
)

// Ignored counts the values of end-users' identifiers that were not used, by reason.
type Ignored struct {
	Placeholder int64 `json:"placeholder"` // placeholders, which identify nobody
	Damaged     int64 `json:"damaged"`     // with lost characters or control characters
	Unreadable  int64 `json:"unreadable"`  // not an email address or phone number
}

// Total returns the sum of the counts.
func (n Ignored) Total() int64 { return n.Placeholder + n.Damaged + n.Unreadable }

// Add adds the counts of m.
func (n *Ignored) Add(m Ignored) {
	n.Placeholder += m.Placeholder
	n.Damaged += m.Damaged
	n.Unreadable += m.Unreadable
}

// isDamaged reports whether a value contains U+FFFD, so that different values may look the same, or control characters.
func isDamaged(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r == unicode.ReplacementChar || unicode.IsControl(r) })
}

// isInvisible reports whether a rune is invisible: a direction mark, a joiner, a zero-width space.
func isInvisible(r rune) bool {
	return unicode.Is(unicode.Cf, r) || r == '\u034f' || r == '\u115f' || r == '\u1160' || r == '\u3164'
}

// trimmed returns a value without white space and invisible characters around it.
func trimmed(s string) string {
	return strings.TrimFunc(s, func(r rune) bool { return unicode.IsSpace(r) || isInvisible(r) })
}

// plain normalises the characters of a value: full-width and similar forms become the usual ones, any blank becomes a space, and invisible
// characters are removed.
func plain(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case isInvisible(r):
			return -1
		case unicode.Is(unicode.Z, r) && r != '\u2028' && r != '\u2029':
			return ' '
		case unicode.Is(unicode.Z, r):
			return '\n'
		}
		return r
	}, s)
	return strings.TrimSpace(norm.NFKC.String(s))
}

// readExternalID returns an external id without white space and invisible characters around it.
func readExternalID(s string) string { return trimmed(s) }

// mailbox is a normalised email address and the name before it.
type mailbox struct{ address, name string }

// addressDomain converts domains to ASCII.
var addressDomain = idna.New(idna.MapForLookup(), idna.StrictDomainName(false), idna.Transitional(false))

var mailScheme = regexp.MustCompile(`(?i)^(?:mailto|e-?mail|smtp)\s*:\s*`)

// readEmails returns the addresses in a text, in order. The text may be `Ann Lee <ann@example.org>`, a list, or a mailto link.
func readEmails(s string) (found []mailbox) {
	for _, part := range splitList(plain(s)) {
		var m mailbox
		text := part
		if before, rest, ok := strings.Cut(part, "<"); ok && strings.Contains(rest, "@") {
			text, _, _ = strings.Cut(rest, ">")
			m.name = strings.Trim(before, " \"'")
			if strings.Contains(m.name, "@") {
				m.name = ""
			}
		}
		for _, word := range strings.Fields(mailScheme.ReplaceAllString(strings.TrimSpace(text), "")) {
			if m.address = readEmail(word); m.address != "" {
				found = append(found, m)
				break
			}
		}
	}
	return found
}

// splitList splits a list at commas, semicolons, vertical bars, tabs and line ends outside quotes. A name with a comma stays with its address.
func splitList(s string) (out []string) {
	quoted, from, comma := false, 0, false
	cut := func(to int) {
		part := strings.TrimSpace(s[from:to])
		// `Lee, Ann <ann@example.org>`: a part without an @ is the beginning of the next part's name.
		if n := len(out); comma && n > 0 && !strings.Contains(out[n-1], "@") && strings.Contains(part, "<") {
			out[n-1] += ", " + part
		} else if part != "" {
			out = append(out, part)
		}
		from, comma = to+1, to < len(s) && s[to] == ','
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' && strings.Count(s, `"`)%2 == 0:
			quoted = !quoted
		case !quoted && (c == ',' || c == ';' || c == '|' || c == '\n' || c == '\r' || c == '\t'):
			cut(i)
		}
	}
	cut(len(s))
	return out
}

// readEmail returns an address in lower case with an ASCII domain, or "" if the text is not an address.
func readEmail(s string) string {
	if rest, ok := cutPrefixFold(s, "mailto:"); ok {
		s = rest
	}
	if at := strings.IndexByte(s, '?'); at > strings.IndexByte(s, '@') {
		s = s[:at] // ?subject=
	}
	s = strings.ToLower(strings.TrimRight(strings.Trim(s, "<>()[]{}\"'`,;:"), ".!"))
	local, domain, ok := strings.Cut(s, "@")
	if !ok || local == "" || isDamaged(s) {
		return ""
	}
	domain, err := addressDomain.ToASCII(domain)
	if err != nil {
		return ""
	}
	s = local + "@" + domain
	a, err := mail.ParseAddress(s)
	if err != nil || a.Address != s || strings.ContainsAny(s, " \"") {
		return ""
	}
	return s
}

func cutPrefixFold(s, prefix string) (string, bool) {
	if len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix) {
		return s[len(prefix):], true
	}
	return s, false
}

// reading is an identifier, parsed from a record's value.
type reading struct {
	value   string // "" if there is no usable one
	name    string // of the person, if the value includes it
	ignored Ignored
}

// identifier parses a record's value for an identifier. If it is a list, the first usable one counts.
func (m *Matcher) identifier(kind checkpoint.IdentifierKind, raw string) (c reading) {
	if trimmed(raw) == "" {
		return c
	}
	text := trimmed(raw)
	if isDamaged(strings.NewReplacer("\n", "", "\r", "", "\t", "").Replace(text)) || kind == checkpoint.ExternalID && isDamaged(text) {
		c.ignored.Damaged++
		return c
	}
	values := []mailbox{{address: readExternalID(raw)}}
	switch kind {
	case checkpoint.Email:
		values = readEmails(raw)
	case checkpoint.Phone:
		values = nil
		for _, p := range readPhones(raw, m.cfg.Region) {
			values = append(values, mailbox{address: p})
		}
	}
	for _, v := range values {
		if m.IsPlaceholder(checkpoint.Identifier{Kind: kind, Value: v.address}) {
			c.ignored.Placeholder++
			continue
		}
		c.value, c.name = v.address, v.name
		return c
	}
	switch bare := digits(plainDigits(plain(raw))); {
	case len(values) > 0:
	case meansNobody(plain(raw)), kind == checkpoint.Phone && isNobodysNumber(bare),
		m.ignored[checkpoint.Identifier{Kind: checkpoint.ExternalID, Value: strings.ToLower(text)}]:
		c.ignored.Placeholder++
	default:
		c.ignored.Unreadable++
	}
	return c
}
