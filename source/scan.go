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
	s := outlineOf(line)
	return s.id, s.open
}

// outline is what a quick scan of an object finds.
type outline struct {
	id   string
	open bool
	bare bool // it has none of the fields that tell a transcript from other objects
	end  int  // where the object ends, -1 if it does not
}

func outlineOf(line []byte) outline {
	i := afterSpace(line, 0)
	if i >= len(line) || line[i] != '{' {
		return outline{bare: true, end: -1}
	}
	s := outline{bare: true, end: -1}
	var rawID, closedAt, handover []byte
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
			closedAt, s.bare = value, false
		case "handover":
			handover = value
		case "messages", "end_user":
			s.bare = false
		}
	}
	if rest := fields.data; len(rest) > 0 {
		at := 0
		if rest[0] == '{' {
			at = afterSpace(rest, 1)
		}
		if at < len(rest) && rest[at] == '}' {
			s.end = len(line) - len(rest) + at + 1
		}
	}
	if given(rawID) {
		s.id, _ = decodeID(rawID)
	}
	s.open = !given(closedAt) && !handsOver(handover)
	return s
}

// decodeID returns the id that a JSON value stands for. The problem, if there is one, goes with RejectInvalidID.
func decodeID(value []byte) (id string, problem string) {
	if number(value) {
		if !integer(value) || len(value) > maxID {
			return "", "is a number but not a plain integer: write it as a string"
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

// checkID returns what is wrong with an id, "" if nothing is. U+FFFD is refused because it stands for lost bytes: two ids could have become one.
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
