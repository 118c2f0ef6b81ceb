package people

import (
	"cmp"
	"net/mail"
	"slices"
	"strings"

	"dixa-import/importer/checkpoint"
	"dixa-import/importer/internal/session"
	"dixa-import/source"
)

// Matcher parses the identifiers of people and distinguishes people by them. It is safe for concurrent use.
type Matcher struct {
	cfg     session.Config
	ignored map[checkpoint.Identifier]bool // values that the configuration declares to be placeholders
}

// NewMatcher returns a Matcher. It uses Source, Match, Region, Ignore and AnonymousName of cfg, whose defaults must be filled in.
func NewMatcher(cfg session.Config) *Matcher {
	return &Matcher{cfg: cfg, ignored: ignoredValues(cfg.Ignore, cfg.Region)}
}

// Person is an end-user as a transcript describes it, with its usable identifiers.
type Person struct {
	IDs       []checkpoint.Identifier // for look-ups, strongest first; empty only in the zero value
	Also      []checkpoint.Identifier // further ones, for its creation and for look-ups when Dixa says that it exists
	Name      string
	Anonymous bool    // its only identifier is derived from the transcript's id
	Ignored   Ignored // values of the transcript that were not used
}

// Person returns the end-user of a transcript. Placeholders, and values that are not a valid address or number, are not used. A person
// without any identifier gets one that is derived from the transcript's id.
func (m *Matcher) Person(t *source.Transcript) Person {
	p := Person{Name: readName(t.EndUser.Name)}
	values := map[checkpoint.IdentifierKind]string{}
	for kind, raw := range map[checkpoint.IdentifierKind]string{
		checkpoint.ExternalID: t.EndUser.ExternalID, checkpoint.Email: t.EndUser.Email, checkpoint.Phone: t.EndUser.Phone,
	} {
		c := m.identifier(kind, raw)
		values[kind] = c.value
		p.Ignored.Add(c.ignored)
		if p.Name == "" {
			p.Name = readName(c.name)
		}
	}
	for _, kind := range m.cfg.Match {
		if v := values[kind]; v != "" {
			p.IDs = append(p.IDs, checkpoint.Identifier{Kind: kind, Value: v})
			delete(values, kind)
		}
	}
	if len(p.IDs) == 0 {
		p.Anonymous = true
		p.IDs = []checkpoint.Identifier{{Kind: checkpoint.ExternalID, Value: m.cfg.Source + "/" + cmp.Or(t.PartOf, t.ID)}}
		if p.Name == "" {
			p.Name = m.cfg.AnonymousName
		}
		return p
	}
	for _, kind := range []checkpoint.IdentifierKind{checkpoint.ExternalID, checkpoint.Email, checkpoint.Phone} {
		if v := values[kind]; v != "" {
			p.Also = append(p.Also, checkpoint.Identifier{Kind: kind, Value: v})
		}
	}
	return p
}

// Anonymous reports whether a transcript has no usable identifier of its end-user.
func (m *Matcher) Anonymous(t *source.Transcript) bool { return m.Person(t).Anonymous }

// readName returns the name of a person, "" for a word that programs write if there is no name.
func readName(s string) string {
	s = trimmed(s)
	if bare := lettersAndDigits(strings.ToLower(s)); noName[bare] || isTemplate(s) {
		return ""
	}
	return s
}

// noName lists values of names that were never filled in, reduced to letters and digits. It includes "", because a name has letters or
// digits.
var noName = map[string]bool{"": true, "undefined": true, "null": true, "none": true, "nil": true, "nan": true, "na": true,
	"undefinedundefined": true, "nullnull": true, "nonenone": true}

// All returns all identifiers of a person: IDs, then Also.
func (p Person) All() []checkpoint.Identifier {
	return append(append(make([]checkpoint.Identifier, 0, len(p.IDs)+len(p.Also)), p.IDs...), p.Also...)
}

// Identifiers returns identifiers of a person in the form that the checkpoint stores, and the kinds of those that are not valid. External
// ids are used as written; email addresses and phone numbers are parsed as in transcripts, in the given region. Placeholders, and addresses
// in the form that earlier versions stored, count as identifiers here, because the checkpoint may contain them.
func Identifiers(externalIDs, emails, phones []string, region string) (ids []checkpoint.Identifier, unreadable []checkpoint.IdentifierKind) {
	add := func(kind checkpoint.IdentifierKind, values ...string) {
		known := false
		for _, v := range values {
			if v == "" {
				continue
			}
			known = true
			if id := (checkpoint.Identifier{Kind: kind, Value: v}); !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
		if !known {
			unreadable = append(unreadable, kind)
		}
	}
	for _, id := range externalIDs {
		add(checkpoint.ExternalID, strings.TrimSpace(id), readExternalID(id))
	}
	for _, email := range emails {
		var values []string
		for _, m := range readEmails(email) {
			values = append(values, m.address)
		}
		written := strings.ToLower(strings.TrimSpace(email))
		if a, err := mail.ParseAddress(written); err == nil && a.Address == written && !strings.ContainsAny(written, " \"") {
			values = append(values, written)
		}
		add(checkpoint.Email, values...)
	}
	for _, phone := range phones {
		add(checkpoint.Phone, readPhones(phone, region)...)
	}
	return ids, unreadable
}
