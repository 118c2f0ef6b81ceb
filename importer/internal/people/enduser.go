package people

import (
	"cmp"
	"slices"
	"strings"

	"dixa-import/dixa"
	"dixa-import/importer/checkpoint"
	"dixa-import/importer/internal/mark"
)

// LookUpBy maps the kinds of identifiers to Dixa's.
var LookUpBy = map[checkpoint.IdentifierKind]dixa.IdentifierKind{
	checkpoint.Email: dixa.ByEmail, checkpoint.Phone: dixa.ByPhone, checkpoint.ExternalID: dixa.ByExternalID,
}

// newEndUser returns the end-user to create for a person.
func newEndUser(name string, ids []checkpoint.Identifier) dixa.NewEndUser {
	u := dixa.NewEndUser{DisplayName: name}
	for _, id := range ids {
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

// IdentifiersIn returns all identifiers of an end-user, as Dixa writes them.
func IdentifiersIn(e dixa.EndUser) (ids []checkpoint.Identifier) {
	add := func(kind checkpoint.IdentifierKind, values ...string) {
		for _, v := range values {
			if v != "" {
				ids = append(ids, checkpoint.Identifier{Kind: kind, Value: v})
			}
		}
	}
	add(checkpoint.ExternalID, e.ExternalID)
	add(checkpoint.Email, e.Email)
	add(checkpoint.Email, e.AdditionalEmails...)
	add(checkpoint.Phone, e.PhoneNumber)
	add(checkpoint.Phone, e.AdditionalPhoneNumbers...)
	return ids
}

// OwnersOf filters the end-users that Dixa found for an identifier: it returns those that really have it, oldest first. It reorders users.
func OwnersOf(users []dixa.EndUser, ident checkpoint.Identifier) []dixa.EndUser {
	users = slices.DeleteFunc(users, func(e dixa.EndUser) bool { return e.ID == "" || mark.Of(e) != "" || !hasIdentifier(e, ident) })
	slices.SortFunc(users, func(a, b dixa.EndUser) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt.Time), cmp.Compare(a.ID, b.ID))
	})
	return users
}

// Differ reports whether an end-user with the identifiers has is not the person with the identifiers stronger: for one of these, the
// end-user has identifiers of the same kind, but none that is equal. Placeholders do not count.
func (m *Matcher) Differ(has, stronger []checkpoint.Identifier) bool {
	return slices.ContainsFunc(stronger, func(s checkpoint.Identifier) bool {
		of := slices.DeleteFunc(slices.Clone(has), func(id checkpoint.Identifier) bool {
			return id.Kind != s.Kind || id.Value != "" && m.IsPlaceholder(id)
		})
		return len(of) > 0 && !slices.ContainsFunc(of, func(id checkpoint.Identifier) bool { return same(id, s) })
	})
}

func hasIdentifier(e dixa.EndUser, ident checkpoint.Identifier) bool {
	return slices.ContainsFunc(IdentifiersIn(e), func(id checkpoint.Identifier) bool { return same(id, ident) })
}

// same reports whether two identifiers are equal, whether Dixa, the checkpoint or a record wrote them.
func same(a, b checkpoint.Identifier) bool { return compared(a) == compared(b) }

// compared returns an identifier in the form for comparisons: addresses in lower case with an ASCII domain, phone numbers as digits.
func compared(id checkpoint.Identifier) checkpoint.Identifier {
	switch id.Kind {
	case checkpoint.Email:
		id.Value = strings.ToLower(strings.TrimSpace(id.Value))
		if strings.ContainsFunc(id.Value, func(r rune) bool { return r > 0x7f }) {
			id.Value = cmp.Or(readEmail(id.Value), id.Value)
		}
	case checkpoint.Phone:
		id.Value = digits(id.Value)
	}
	return id
}

// Key returns a string that identifies an identifier: its kind and value.
func Key(id checkpoint.Identifier) string { return string(id.Kind) + "\x00" + id.Value }

func digits(s string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, s)
}
