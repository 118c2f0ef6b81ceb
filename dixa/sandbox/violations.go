package sandbox

import (
	"fmt"
	"log/slog"
	"sync"
)

// maxViolations is how many different violations are kept; further ones are only counted.
const maxViolations = 100

// notebook keeps contract violations.
type notebook struct {
	log *slog.Logger

	mu    sync.Mutex
	total int
	list  []*violation
	index map[string]*violation
}

type violation struct {
	text  string
	first string // the externalId of the first import that had it
	count int
}

// violate notes a violation. The text must not contain what a customer wrote.
func (s *Server) violate(x *exchange, text string) {
	text = string(x.op) + ": " + text
	n := s.notes
	n.mu.Lock()
	n.total++
	known, ok := n.index[text]
	if !ok && len(n.list) < maxViolations {
		if n.index == nil {
			n.index = map[string]*violation{}
		}
		known = &violation{text: text, first: x.externalID}
		n.index[text] = known
		n.list = append(n.list, known)
	}
	if known != nil {
		known.count++
	}
	n.mu.Unlock()
	if !ok {
		n.log.Info("contract violation", "what", text)
	}
}

func (n *notebook) reset() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.total, n.list, n.index = 0, nil, nil
}

// Violations returns the contract violations in the order in which they were first seen, each with its operation, what is
// wrong and how often it was: `import: import.externalId is missing ... (2 times)`. None means a client without a
// fault. After 100 different ones, the last entry says how many more there were.
func (s *Server) Violations() []string {
	n := s.notes
	n.mu.Lock()
	defer n.mu.Unlock()
	var texts []string
	rest := n.total
	for _, v := range n.list {
		text := v.text
		switch {
		case v.count > 1 && v.first != "":
			text += fmt.Sprintf(" (%d times, first in %q)", v.count, v.first)
		case v.count > 1:
			text += fmt.Sprintf(" (%d times)", v.count)
		case v.first != "":
			text += fmt.Sprintf(" (in %q)", v.first)
		}
		texts = append(texts, text)
		rest -= v.count
	}
	if rest > 0 {
		texts = append(texts, fmt.Sprintf("and %d more", rest))
	}
	return texts
}

// ViolationCount returns how many violations there were.
func (s *Server) ViolationCount() int {
	s.notes.mu.Lock()
	defer s.notes.mu.Unlock()
	return s.notes.total
}
