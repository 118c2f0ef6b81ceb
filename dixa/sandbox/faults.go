package sandbox

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// FaultKind describes what goes wrong.
type FaultKind string

// The kinds of faults. "Effect" is whatever the request would have done: a fault after the effect leaves the client in
// doubt about it. A request that the sandbox refuses has none, and the fault replaces the refusal.
const (
	ErrorBefore FaultKind = "error_before" // no effect; Status (default 500) with a JSON message
	ErrorAfter  FaultKind = "error_after"  // effect, then Status (default 500) with a JSON message
	DropBefore  FaultKind = "drop_before"  // no effect; the connection is reset
	DropAfter   FaultKind = "drop_after"   // effect, then the connection is reset
	HangBefore  FaultKind = "hang_before"  // no effect; no answer until the client goes away or Duration is over, then a reset
	HangAfter   FaultKind = "hang_after"   // effect, then as HangBefore
	BrokenBody  FaultKind = "broken_body"  // effect; the JSON of the answer stops half-way, the HTTP around it is right
	CutBody     FaultKind = "cut_body"     // effect; the connection is reset in the middle of the answer's body
	EmptyBody   FaultKind = "empty_body"   // effect; the answer's status with an empty body
	SlowBody    FaultKind = "slow_body"    // effect; the body of the answer trickles over Duration
	HTMLBody    FaultKind = "html_body"    // no effect; Status (default 502) with a page of HTML, as a gateway or, with 403, a firewall shows it
	HTMLAfter   FaultKind = "html_after"   // effect, then Status (default 502) with a page of HTML
	Throttle    FaultKind = "throttle"     // no effect; 429, with Retry-After of Duration if that is not 0
)

// before reports whether the fault keeps the request from having its effect.
func (k FaultKind) before() bool {
	switch k {
	case ErrorBefore, DropBefore, HangBefore, HTMLBody, Throttle:
		return true
	}
	return false
}

// Valid reports whether there is such a kind of faults.
func (k FaultKind) Valid() bool {
	switch k {
	case ErrorAfter, DropAfter, HangAfter, BrokenBody, CutBody, EmptyBody, SlowBody, HTMLAfter:
		return true
	}
	return k.before()
}

// Fault is something that goes wrong with requests that the token and the bucket let through. If several want the same
// request, the first in the list has it.
type Fault struct {
	// Name is the key in Fired. Default: "<operation or any>:<kind>", with "#2" and so on if that is taken.
	Name      string
	Operation Operation // "": any
	Kind      FaultKind
	Status    int    // for kinds with a status of their own
	Message   string // of ErrorBefore and ErrorAfter; default: that of a server error
	// Match chooses among the requests of the operation by their body, or, of those without one, by their path and decoded query.
	// nil: all.
	Match func(body []byte) bool
	// Nth makes the fault fire on the n-th request that matches, from 1, counted since the fault was set; with Times above
	// 1, on the Times-1 after it too. 0: by Probability.
	Nth int
	// Probability of firing, drawn for each request that matches. 0 without Nth: always.
	Probability float64
	// Times is how often the fault fires at most. 0: no limit, but once with Nth.
	Times    int
	Duration time.Duration // of hangs, slow bodies and Retry-After
}

type armedFault struct {
	Fault
	seen, fired int
}

// SetFaults replaces the faults. It panics if a kind is unknown. What Fired counted stays.
func (s *Server) SetFaults(faults []Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	armed := make([]*armedFault, len(faults))
	names := map[string]bool{}
	for i, f := range faults {
		if !f.Kind.Valid() {
			panic(fmt.Sprintf("sandbox: unknown kind of fault %q", f.Kind))
		}
		if f.Name == "" {
			f.Name = f.defaultName(names)
		}
		names[f.Name] = true
		s.fired[f.Name] += 0 // so that a fault that never fires is seen, too
		armed[i] = &armedFault{Fault: f}
	}
	s.faults = armed
}

func (f Fault) defaultName(taken map[string]bool) string {
	op := f.Operation
	if op == "" {
		op = "any"
	}
	base := string(op) + ":" + string(f.Kind)
	name := base
	for n := 2; taken[name]; n++ {
		name = fmt.Sprintf("%s#%d", base, n)
	}
	return name
}

// Fired returns how often each fault has fired, by name, for all faults that were set since the start or the last Reset.
func (s *Server) Fired() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	fired := make(map[string]int, len(s.fired))
	for name, n := range s.fired {
		fired[name] = n
	}
	return fired
}

// fire returns the fault that the request meets, nil if there is none.
func (s *Server) fire(x *exchange) *Fault {
	s.mu.Lock()
	faults := s.faults
	s.mu.Unlock()
	if len(faults) == 0 {
		return nil
	}
	matching := make([]bool, len(faults)) // Match is foreign code: not called with the lock held
	said := x.said()
	for i, f := range faults {
		matching[i] = (f.Operation == "" || f.Operation == x.op) && (f.Match == nil || f.Match(said))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var first *armedFault
	for i, f := range faults {
		if !matching[i] {
			continue
		}
		f.seen++
		if s.wants(f) && first == nil {
			first = f
		}
	}
	if first == nil {
		return nil
	}
	first.fired++
	s.fired[first.Name]++
	return &first.Fault
}

// said is what a fault can match: the body, or the path and the query of a request without one.
func (x *exchange) said() []byte {
	if len(x.body) > 0 {
		return x.body
	}
	text := x.request.URL.Path
	for name, values := range x.request.URL.Query() {
		text += " " + name + "=" + strings.Join(values, ",")
	}
	return []byte(text)
}

// MatchText returns a Match for requests that hold a text.
func MatchText(text string) func([]byte) bool {
	part := []byte(text)
	return func(said []byte) bool { return bytes.Contains(said, part) }
}

func (s *Server) wants(f *armedFault) bool {
	if f.Nth > 0 {
		return f.seen >= f.Nth && f.seen < f.Nth+max(f.Times, 1)
	}
	if f.Times > 0 && f.fired >= f.Times {
		return false
	}
	return f.Probability <= 0 || s.random.Float64() < f.Probability
}

func (f *Fault) status(otherwise int) int {
	if f.Status != 0 {
		return f.Status
	}
	return otherwise
}

func (f *Fault) message() string {
	if f.Message != "" {
		return f.Message
	}
	return msgServerError
}

// instead is the outcome of a fault before the effect.
func (f *Fault) instead() outcome {
	switch f.Kind {
	case ErrorBefore:
		return refuse(f.status(http.StatusInternalServerError), f.message())
	case HTMLBody:
		return gatewayPage(f.status(http.StatusBadGateway))
	case Throttle:
		return tooMany(f.Duration)
	case HangBefore:
		return outcome{delivery: held, duration: f.Duration}
	default: // DropBefore
		return outcome{delivery: dropped}
	}
}

// after is the outcome of a fault after the effect, whose answer would have been out.
func (f *Fault) after(out outcome) outcome {
	switch f.Kind {
	case ErrorAfter:
		return refuse(f.status(http.StatusInternalServerError), f.message())
	case HTMLAfter:
		return gatewayPage(f.status(http.StatusBadGateway))
	case DropAfter:
		return outcome{delivery: dropped}
	case HangAfter:
		return outcome{delivery: held, duration: f.Duration}
	case BrokenBody:
		out.body = out.body[:len(out.body)/2]
	case CutBody:
		out.delivery = cut
	case EmptyBody:
		out.body = nil
	case SlowBody:
		out.delivery, out.duration = slow, f.Duration
	}
	return out
}
