package dixa

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"
)

const (
	restAfter   = 15          // attempts at one operation that fail in a row, with no answer to it between them, before it rests
	restCalls   = 3           // calls that they must belong to: one call that fails for ever is about itself
	restOthers  = 3           // answers to other operations that must have come meanwhile: else Dixa is down as a whole
	restLongest = time.Minute // between two trials
	restBackoff = 4           // times Config.Backoff is how long an operation rests first; that doubles with each trial that fails
)

// restWaits is how many trials of an operation may fail before nobody waits for it any more. Attributes are not waited for: their
// conversations are there already, and others are to follow. Every transcript needs the import, so it is waited for longer.
func restWaits(op Operation) int {
	switch op {
	case OpPatchAttributes:
		return 0
	case OpImport:
		return 5
	}
	return 2
}

// caller is a call, to know its attempts by.
type caller struct {
	op    Operation
	began int64 // rests.began when its present attempt left
}

// RestingError says that a request did not leave because its operation rests: it has failed again and again while others were
// answered. Another run may find it well.
type RestingError struct {
	Operation Operation
	Failed    int   // attempts in a row
	Err       error // of the last one
}

func (e *RestingError) Error() string {
	return fmt.Sprintf("%s: not sent: Dixa answers other operations, and %d requests of this one failed in a row, the last one with: %v", e.Operation, e.Failed, e.Err)
}

// NotApplied is true: the request did not leave.
func (e *RestingError) NotApplied() bool { return true }

// Rest is an operation that has rested.
type Rest struct {
	Operation Operation
	Left      int64 // calls that were sent away; the caller has to make them another time
	Resting   bool  // it does at present
}

// rests holds single operations back that fail again and again while others are answered, so that these go on at the full rate. One
// call at a time tries an operation that rests, ever more rarely; the first answer wakes it.
type rests struct {
	backoff time.Duration
	log     *slog.Logger

	mu    sync.Mutex
	ops   map[Operation]*rest
	began int64 // attempts of all operations
}

// rest is what is known of one operation.
type rest struct {
	failed int       // attempts in a row
	calls  []*caller // some of the calls that they belong to
	since  int64     // rests.began when the row began
	others int       // answers to attempts at other operations that began after that: earlier ones may be from before an outage
	last   error

	lasts  bool
	trials int           // that have failed
	pause  time.Duration // until the next one
	until  time.Time
	trial  *caller       // the call that tries it, nil: none
	over   chan struct{} // closed when the rest ends or a trial has failed
	left   int64
}

func (r *rests) of(op Operation) *rest {
	if r.ops == nil {
		r.ops = map[Operation]*rest{}
	}
	if r.ops[op] == nil {
		r.ops[op] = &rest{}
	}
	return r.ops[op]
}

// admit returns as soon as a call may make an attempt, or with a *RestingError. While a rest is young the call waits for what comes
// of the trials; see restWaits.
func (r *rests) admit(ctx context.Context, call *caller) error {
	for {
		over, wait, err := r.ask(call)
		if over == nil || err != nil {
			return err
		}
		timer := time.NewTimer(wait)
		select {
		case <-over:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// ask returns what a call is to do: to go (over is nil), to wait until over is closed or for so long, or to give up.
func (r *rests) ask(call *caller) (over <-chan struct{}, wait time.Duration, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	o := r.ops[call.op]
	if o == nil || !o.lasts || o.trial == call {
		return nil, 0, nil
	}
	wait = time.Until(o.until)
	if o.trial == nil && wait <= 0 {
		o.trial = call
		return nil, 0, nil
	}
	if o.trials < restWaits(call.op) {
		if o.trial != nil {
			wait = restLongest
		}
		return o.over, wait, nil
	}
	o.left++
	return nil, 0, &RestingError{Operation: call.op, Failed: o.failed, Err: o.last}
}

// begin is called when an attempt leaves.
func (r *rests) begin(call *caller) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.began++
	call.began = r.began
}

// note takes in what became of an attempt.
func (r *rests) note(call *caller, err error) {
	if err != nil && saysNothing(err) {
		return
	}
	if _, throttled := errors.AsType[*RateLimitError](err); throttled {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !isFailure(err) && !isAbsent(call.op, err) {
		for op, o := range r.ops {
			if op != call.op && call.began > o.since {
				o.others++
			}
		}
		r.wake(call.op)
		return
	}
	o := r.of(call.op)
	if o.lasts {
		if o.trial == call {
			o.last = err
			r.fellAgain(o)
		}
		return
	}
	if o.failed++; o.failed == 1 {
		o.since, o.others, o.calls = r.began, 0, nil
	}
	if len(o.calls) < restCalls && !slices.Contains(o.calls, call) {
		o.calls = append(o.calls, call)
	}
	o.last = err
	if o.failed >= restAfter && len(o.calls) >= restCalls && o.others >= restOthers {
		o.lasts, o.trials, o.over = true, 0, make(chan struct{})
		o.pause = restBackoff * r.backoff
		o.until = time.Now().Add(o.pause)
		r.log.Warn("Dixa answers other operations, but not this one: it rests, and is tried again now and then",
			slog.String("operation", string(call.op)), slog.Int("failed", o.failed), slog.String("error", err.Error()))
	}
}

// fellAgain ends a trial that has failed. r.mu is held.
func (r *rests) fellAgain(o *rest) {
	o.failed++
	o.trials++
	o.trial = nil
	o.pause = min(2*o.pause, restLongest)
	o.until = time.Now().Add(o.pause)
	close(o.over)
	o.over = make(chan struct{})
}

// wake ends the row of failures of an operation, and its rest. r.mu is held.
func (r *rests) wake(op Operation) {
	o := r.ops[op]
	if o == nil {
		return
	}
	o.failed, o.calls = 0, nil
	if o.lasts {
		o.lasts, o.trial = false, nil
		close(o.over)
		r.log.Info("Dixa answers the operation again", slog.String("operation", string(op)), slog.Int64("left", o.left))
	}
}

// leave ends a call. If it was a trial that told nothing, another one may try.
func (r *rests) leave(call *caller) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if o := r.ops[call.op]; o != nil && o.lasts && o.trial == call {
		o.trial = nil
		close(o.over)
		o.over = make(chan struct{})
	}
}

// bars reports whether the operation of a call rests, and the call does not try it.
func (r *rests) bars(call *caller) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	o := r.ops[call.op]
	return o != nil && o.lasts && o.trial != call
}

// forget starts over after an outage, which says nothing about single operations.
func (r *rests) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for op := range r.ops {
		r.wake(op)
	}
}

// list returns the operations that have rested, in the order of their names.
func (r *rests) list() []Rest {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []Rest
	for op, o := range r.ops {
		if o.over != nil {
			out = append(out, Rest{Operation: op, Left: o.left, Resting: o.lasts})
		}
	}
	slices.SortFunc(out, func(a, b Rest) int { return cmp.Compare(a.Operation, b.Operation) })
	return out
}

// isAbsent reports whether an answer may say that the operation as a whole is not there. A 404 of a PATCH is that of one conversation, too: it
// only counts in a row.
func isAbsent(op Operation, err error) bool {
	return op == OpPatchAttributes && Absent(err)
}

// Absent reports whether Dixa answered that what was asked for is not there, or that it cannot be asked there: 404, 405 or 410. Of an operation
// whose address names nothing that may be gone, that says nothing about the request.
func Absent(err error) bool {
	api, ok := errors.AsType[*APIError](err)
	return ok && slices.Contains([]int{http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusGone}, api.Status)
}
