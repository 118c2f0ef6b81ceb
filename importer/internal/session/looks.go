package session

import "time"

// MinLooks is how many looks that find nothing it takes before something counts as not there.
const MinLooks = 3

// Looks are looks in a row that showed the same. The zero value has none.
type Looks struct {
	n     int
	first time.Time
}

// Add adds a look that began at that time.
func (l *Looks) Add(at time.Time) {
	if l.n++; l.n == 1 {
		l.first = at
	}
}

// Enough reports whether so many looks over so long prove what they show.
func (l *Looks) Enough(spread time.Duration) bool {
	return l.n >= MinLooks && time.Since(l.first) >= spread
}
