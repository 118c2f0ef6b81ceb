package importer

import (
	"net/mail"
	"strings"

	"github.com/nyaruka/phonenumbers"

	"dixa-import/dixa"
	"dixa-import/importer/checkpoint"
	"dixa-import/source"
)

// person is an end-user as a transcript describes it, with the identifiers that can be used.
type person struct {
	ids       []checkpoint.Identifier // by which it is looked up, in the order of look-up; never empty
	also      []checkpoint.Identifier // others, for its creation and when Dixa says that it exists
	name      string
	anonymous bool // its only identifier is made from the transcript's id
}

// personOf takes the identifiers from a transcript: email addresses trimmed and in lower case, phone numbers in E.164.
// What cannot be read as an address or a number is not used. Without any identifier the transcript's own name is one.
func (im *Importer) personOf(t *source.Transcript) person {
	values := map[checkpoint.IdentifierKind]string{
		checkpoint.ExternalID: strings.TrimSpace(t.EndUser.ExternalID),
		checkpoint.Email:      readEmail(t.EndUser.Email),
		checkpoint.Phone:      readPhone(t.EndUser.Phone, im.cfg.Region),
	}
	p := person{name: strings.TrimSpace(t.EndUser.Name)}
	for _, kind := range im.cfg.Match {
		if v := values[kind]; v != "" {
			p.ids = append(p.ids, checkpoint.Identifier{Kind: kind, Value: v})
			delete(values, kind)
		}
	}
	if len(p.ids) == 0 {
		p.anonymous = true
		p.ids = []checkpoint.Identifier{{Kind: checkpoint.ExternalID, Value: im.externalID(t.ID)}}
		return p
	}
	for _, kind := range []checkpoint.IdentifierKind{checkpoint.ExternalID, checkpoint.Email, checkpoint.Phone} {
		if v := values[kind]; v != "" {
			p.also = append(p.also, checkpoint.Identifier{Kind: kind, Value: v})
		}
	}
	return p
}

// externalID is the name of a transcript in Dixa.
func (im *Importer) externalID(transcriptID string) string { return im.cfg.Source + "/" + transcriptID }

func readEmail(s string) string {
	s = strings.ToLower(strings.TrimSpace(s))
	a, err := mail.ParseAddress(s)
	if err != nil || a.Address != s || strings.ContainsAny(s, " \"") {
		return ""
	}
	return s
}

func readPhone(s, region string) string {
	if s = strings.TrimSpace(s); s == "" {
		return ""
	}
	if rest, ok := strings.CutPrefix(s, "00"); ok && !strings.HasPrefix(rest, "0") {
		s = "+" + rest
	}
	n, err := phonenumbers.Parse(s, region)
	if err != nil || !phonenumbers.IsPossibleNumber(n) {
		return ""
	}
	return phonenumbers.Format(n, phonenumbers.E164)
}

// newEndUser is what Dixa is told of a person that it does not know.
func (p person) newEndUser() dixa.NewEndUser {
	u := dixa.NewEndUser{DisplayName: p.name}
	for _, id := range p.all() {
		switch id.Kind {
		case checkpoint.ExternalID:
			u.ExternalID = id.Value
		case checkpoint.Email:
			u.Email = id.Value
		case checkpoint.Phone:
			u.PhoneNumber = id.Value
		}
	}
	return u
}

// all are the identifiers of a person, those of the look-up first.
func (p person) all() []checkpoint.Identifier {
	return append(append(make([]checkpoint.Identifier, 0, len(p.ids)+len(p.also)), p.ids...), p.also...)
}

// Identifiers returns identifiers of a person as the checkpoint knows them, and what cannot be read as an identifier: an
// external id is taken as it is written, email addresses and phone numbers as transcripts give them, in the given region.
func Identifiers(externalIDs, emails, phones []string, region string) (ids []checkpoint.Identifier, unreadable []checkpoint.IdentifierKind) {
	add := func(kind checkpoint.IdentifierKind, value string) {
		if value == "" {
			unreadable = append(unreadable, kind)
			return
		}
		ids = append(ids, checkpoint.Identifier{Kind: kind, Value: value})
	}
	for _, id := range externalIDs {
		add(checkpoint.ExternalID, strings.TrimSpace(id))
	}
	for _, email := range emails {
		add(checkpoint.Email, readEmail(email))
	}
	for _, phone := range phones {
		add(checkpoint.Phone, readPhone(phone, region))
	}
	return ids, unreadable
}
