package checkpoint

import "slices"

// endUserRow is the row of an identifier in an organisation.
type endUserRow struct {
	endUserID  string // "" while it is only reserved
	reservedBy int64
}

// reserve decides whether a run may create a person. The person's identifiers are in stored form, in the order of look-up. rows has the
// organisation's rows of them, alive the runs that are alive.
func reserve(person []Identifier, rows map[Identifier]endUserRow, run int64, alive map[int64]bool) Reservation {
	var held, doubt bool
	kept := len(person) > 0
	for _, id := range person {
		row, ok := rows[id]
		kept = kept && ok && row.reservedBy == run
		switch {
		case !ok:
		case row.endUserID != "":
			return Reservation{EndUserID: row.endUserID}
		case row.reservedBy != run && alive[row.reservedBy]:
			held = true
		default:
			doubt = true
		}
	}
	if held {
		return Reservation{Held: true}
	}
	return Reservation{Granted: true, Doubt: doubt, Kept: kept}
}

// reserveAll decides about all persons and returns the granted identifiers, sorted.
func reserveAll(persons [][]Identifier, rows map[Identifier]endUserRow, run int64, alive map[int64]bool) ([]Reservation, []Identifier) {
	answers := make([]Reservation, len(persons))
	var granted [][]Identifier
	for i, person := range persons {
		stored := make([]Identifier, len(person))
		for j, id := range person {
			stored[j] = id.stored()
		}
		if answers[i] = reserve(stored, rows, run, alive); answers[i].Granted {
			granted = append(granted, stored)
		}
	}
	return answers, storedIdentifiers(granted...)
}

// ownerships returns the identifiers in the order of the primary key, and the owner of each. If there are several, the last one counts.
func ownerships(users []EndUser) ([]Identifier, map[Identifier]string) {
	owner := map[Identifier]string{}
	var ids []Identifier
	for _, u := range users {
		for _, id := range u.Identifiers {
			id = id.stored()
			owner[id] = clean(u.ID)
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, compareIdentifiers)
	return slices.Compact(ids), owner
}

// mayJoin reports whether an end-user that was found by the last of its identifiers may also get the other, stronger ones: it may not if
// known has an identifier of one of their kinds that is neither one of them nor in seen.
func mayJoin(user EndUser, known, seen []Identifier) bool {
	if len(user.Identifiers) == 0 {
		return true
	}
	accepted := append(storedIdentifiers(seen), storedIdentifiers(user.Identifiers)...)
	stronger := user.Identifiers[:len(user.Identifiers)-1]
	return !slices.ContainsFunc(known, func(id Identifier) bool {
		return slices.ContainsFunc(stronger, func(s Identifier) bool { return s.Kind == id.Kind }) && !slices.Contains(accepted, id)
	})
}

// byIdentifier replaces the stored identifiers in found with those that the caller gave.
func byIdentifier(ids []Identifier, found map[Identifier]string) map[Identifier]string {
	for _, id := range ids {
		if stored := id.stored(); stored != id {
			if user, ok := found[stored]; ok {
				found[id] = user
				delete(found, stored)
			}
		}
	}
	return found
}
