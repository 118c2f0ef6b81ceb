package checkpoint

import "slices"

// endUserRow is what is recorded of an identifier in an organisation.
type endUserRow struct {
	endUserID  string // "" while it is reserved
	reservedBy int64
}

// reserve decides on the request to create a person. The person's identifiers are as stored, in the order in which they are
// looked up; rows holds those that are recorded for the organisation, alive the runs that are alive.
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

// reserveAll decides on all persons and returns the identifiers that are granted, sorted.
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

// ownerships returns whose each identifier is, in the order of the primary key; the last of several owners counts.
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

// joins reports whether an end-user that was found by the last of its identifiers may have the others as well: nothing is known of it
// that is another one of their kinds, beside what was seen.
func joins(user EndUser, known, seen []Identifier) bool {
	if len(user.Identifiers) == 0 {
		return true
	}
	theirs := append(storedIdentifiers(seen), storedIdentifiers(user.Identifiers)...)
	stronger := user.Identifiers[:len(user.Identifiers)-1]
	return !slices.ContainsFunc(known, func(id Identifier) bool {
		return slices.ContainsFunc(stronger, func(s Identifier) bool { return s.Kind == id.Kind }) && !slices.Contains(theirs, id)
	})
}

// byIdentifier returns what was found by stored identifiers by those that were asked for.
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
