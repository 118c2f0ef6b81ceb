package sandbox

import (
	"maps"
	"sync"
	"time"
)

// Request is an entry in the log of requests.
type Request struct {
	Time      time.Time
	Operation Operation
	Method    string
	Path      string // without the query
	Status    int    // 0: the connection was dropped, or hangs
	Throttled bool   // the bucket, or a fault, refused it with 429
	// ExternalID is that of the conversation of an import.
	ExternalID string
}

// Second is how many requests the bucket let through in one second.
type Second struct {
	Second   time.Time
	Accepted int
}

// histogramSeconds is how far back the histogram goes.
const histogramSeconds = 600

// ledger counts requests.
type ledger struct {
	record bool
	limit  int

	mu        sync.Mutex
	counts    map[Operation]int
	throttled int
	requests  []Request // a ring once it has limit entries
	oldest    int
	seconds   []Second // those with a request, the last histogramSeconds of them
}

func newLedger(opts Options) *ledger {
	return &ledger{record: opts.RecordRequests, limit: opts.MaxRequests, counts: map[Operation]int{}}
}

func (l *ledger) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counts, l.throttled, l.requests, l.oldest, l.seconds = map[Operation]int{}, 0, nil, 0, nil
}

// arrived counts a request and returns which one of its operation it is, from 1.
func (l *ledger) arrived(op Operation) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counts[op]++
	return l.counts[op]
}

// decided takes down what became of a request.
func (l *ledger) decided(x *exchange, began time.Time, out outcome) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if x.throttled {
		l.throttled++
	}
	if !x.acceptedAt.IsZero() {
		l.accepted(x.acceptedAt)
	}
	if !l.record {
		return
	}
	entry := Request{
		Time: began, Operation: x.op, Method: x.request.Method, Path: x.request.URL.Path, Status: out.status,
		Throttled: x.throttled, ExternalID: x.externalID,
	}
	if len(l.requests) < l.limit {
		l.requests = append(l.requests, entry)
		return
	}
	l.requests[l.oldest] = entry
	l.oldest = (l.oldest + 1) % l.limit
}

func (l *ledger) accepted(at time.Time) {
	second := at.UTC().Truncate(time.Second)
	for i := len(l.seconds) - 1; i >= 0; i-- {
		if l.seconds[i].Second.Equal(second) {
			l.seconds[i].Accepted++
			return
		}
		if l.seconds[i].Second.Before(second) {
			break
		}
	}
	l.seconds = append(l.seconds, Second{Second: second, Accepted: 1})
	if n := len(l.seconds); n > 2*histogramSeconds {
		l.seconds = append([]Second(nil), l.seconds[n-histogramSeconds:]...)
	}
}

// Requests returns the log of requests, the oldest first, if Options.RecordRequests is set.
func (s *Server) Requests() []Request {
	l := s.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	return append(append([]Request{}, l.requests[l.oldest:]...), l.requests[:l.oldest]...)
}

// Counts returns how many requests of each operation have arrived, whatever became of them.
func (s *Server) Counts() map[Operation]int {
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	return maps.Clone(s.ledger.counts)
}

// Throttled returns how many requests were answered 429.
func (s *Server) Throttled() int {
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	return s.ledger.throttled
}

// PerSecond returns how many requests the bucket let through in each of the last seconds in which there were any.
func (s *Server) PerSecond() []Second {
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	all := s.ledger.seconds
	return append([]Second{}, all[max(0, len(all)-histogramSeconds):]...)
}
