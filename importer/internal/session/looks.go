package session

import "time"

// MinLooks is how many looks must find nothing before something counts as absent.
const MinLooks = 3

// Looks counts consecutive looks with the same result. The zero value has none.
type Looks struct {
	n     int
	first time.Time
}

// Add adds a look that began at the given time.
func (l *Looks) Add(at time.Time) {
	if l.n++; l.n == 1 {
		l.first = at
	}
}

// Enough reports whether there were at least MinLooks, and the first began at least spread ago.
func (l *Looks) Enough(spread time.Duration) bool {
	return l.n >= MinLooks && time.Since(l.first) >= spread
}
