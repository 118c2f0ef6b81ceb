package source

import (
	"unicode"
	"unicode/utf8"
)

// maxID is the length of the longest transcript id, in bytes.
const maxID = 512

// scan finds the id of a line and whether the chat is open, without looking at the rest. For a line that decode accepts
// it agrees with decode; a broken line may yield an id as well.
func scan(line []byte) (id string, open bool) {
	i := afterSpace(line, 0)
	if i >= len(line) || line[i] != '{' {
		return "", false
	}
	var rawID, closedAt []byte
	fields := members{line[i:]}
	for {
		name, value, ok := fields.next()
		if !ok {
			break
		}
		switch string(name) {
		case "id":
			rawID = value
		case "closed_at":
			closedAt = value
		}
	}
	if given(rawID) {
		id, _ = decodeID(rawID)
	}
	return id, !given(closedAt)
}

// decodeID returns the id that a JSON value stands for. The problem, if there is one, goes with RejectInvalidID.
func decodeID(value []byte) (id string, problem string) {
	if number(value) {
		if !integer(value) || len(value) > maxID {
			return "", "is a number that is no plain integer: write it as a string"
		}
		return string(value), ""
	}
	id, ok := unquote(value)
	if !ok {
		return "", "is neither a string nor an integer: write it as a string"
	}
	if problem := checkID(id); problem != "" {
		return "", problem
	}
	return id, ""
}

// checkID says what is wrong with an id. U+FFFD is refused because it stands for bytes that got lost: two ids could
// have become one.
func checkID(id string) (problem string) {
	switch {
	case id == "":
		return "is empty: give each transcript an id of its own"
	case len(id) > maxID:
		return "is longer than 512 bytes: use a shorter one"
	}
	for _, r := range id {
		if r == utf8.RuneError || unicode.IsControl(r) {
			return "holds a control character or bytes that are not UTF-8: remove them"
		}
	}
	first, _ := utf8.DecodeRuneInString(id)
	last, _ := utf8.DecodeLastRuneInString(id)
	if unicode.IsSpace(first) || unicode.IsSpace(last) {
		return "begins or ends with white space: remove it"
	}
	return ""
}
