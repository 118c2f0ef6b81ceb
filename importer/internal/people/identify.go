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
	Placeholder int64 `json:"placeholder"` // they mean nobody
	Damaged     int64 `json:"damaged"`     // they have lost characters, or have control characters
	Unreadable  int64 `json:"unreadable"`  // they are not an email address or a phone number
}

// Total returns how many values there are.
func (n Ignored) Total() int64 { return n.Placeholder + n.Damaged + n.Unreadable }

// Add adds the counts of m.
func (n *Ignored) Add(m Ignored) {
	n.Placeholder += m.Placeholder
	n.Damaged += m.Damaged
	n.Unreadable += m.Unreadable
}

// isDamaged reports whether a value has lost characters, so that other values may look the same, or has characters that no identifier has.
func isDamaged(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r == unicode.ReplacementChar || unicode.IsControl(r) })
}

// isInvisible reports whether a rune shows nothing: marks of direction, joiners, zero-width spaces.
func isInvisible(r rune) bool {
	return unicode.Is(unicode.Cf, r) || r == '\u034f' || r == '\u115f' || r == '\u1160' || r == '\u3164'
}

// trimmed returns a value without the invisible characters around it.
func trimmed(s string) string {
	return strings.TrimFunc(s, func(r rune) bool { return unicode.IsSpace(r) || isInvisible(r) })
}

// plain returns a value in the characters that were meant: full-width and other forms as the usual ones, any blank as a space, invisible
// characters removed.
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

// readExternalID returns an external id without the invisible characters around it.
func readExternalID(s string) string { return trimmed(s) }

// mailbox is an email address, normalised, and the name that was written with it.
type mailbox struct{ address, name string }

// addressDomain writes domains in the letters of the DNS.
var addressDomain = idna.New(idna.MapForLookup(), idna.StrictDomainName(false), idna.Transitional(false))

var mailScheme = regexp.MustCompile(`(?i)^(?:mailto|e-?mail|smtp)\s*:\s*`)

// readEmails returns the addresses in a text, in order: `Ann Lee <ann@example.org>`, a list, a mailto link.
func readEmails(s string) (found []mailbox) {
	for _, part := range parts(plain(s)) {
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

// parts cuts a list at commas, semicolons, bars and line ends, not within quotes. A name with a comma stays with its address.
func parts(s string) (out []string) {
	quoted, from, comma := false, 0, false
	cut := func(to int) {
		part := strings.TrimSpace(s[from:to])
		// `Lee, Ann <ann@example.org>`: what has no @ begins the name of what follows.
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

// readEmail returns an address in lower case, its domain in the letters of the DNS, or "" if the text is not an address.
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

// reading is what was read from a value that a record gives for an identifier.
type reading struct {
	value   string // "" if none can be used
	name    string // that was written with it
	ignored Ignored
}

// identifier reads a value that a record gives for an identifier. Of a list, the first one that can be used counts.
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
		if m.MeansNobody(checkpoint.Identifier{Kind: kind, Value: v.address}) {
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
