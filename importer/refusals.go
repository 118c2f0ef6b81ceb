package importer

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"dixa-import/dixa"
	"dixa-import/importer/checkpoint"
	"dixa-import/importer/internal/batch"
	"dixa-import/importer/internal/session"
)

const (
	maxDenied      = 10          // distinct records that get 401 or 403 until the refusal concerns all
	maxRefused     = 5           // distinct imports refused for a cause they share, such as the agent, until it concerns all
	maxVerdictWait = time.Minute // the longest that a refused record waits for the answers to others
)

// refusals find out whom a refusal concerns. If the token or the configuration is wrong, every transcript gets a 401, a 403 or one of some
// documented answers to imports. But a firewall may also object to the words of one customer. So the run tries the token on another
// request, and the refused record waits for others: the next success of the operation shows that only this record is refused, and many
// refusals in a row show that all are. If nothing more happens, what is known so far decides.
type refusals struct {
	s        *session.Session
	inFlight *atomic.Int64                 // transcripts that are being worked on
	token    *batch.Group[error, struct{}] // checks of the token; one serves all tasks that wait

	mu           sync.Mutex
	open         map[refusalKind]*refusal
	succeededOps map[dixa.Operation]bool // operations that succeeded in this run
	noMoreTasks  bool                    // no other transcript will start
	waiters      int64                   // transcripts that wait for a verdict
	patchErr     error                   // why the run no longer sets attributes; nil: it does
}

// refusalKind is the refused operation and the documented reason; 401 and 403 have ReasonUnknown.
type refusalKind struct {
	op     dixa.Operation
	reason dixa.Reason
}

// refusal collects the refusals of one kind since the last success of the operation.
type refusal struct {
	subjects   map[string]bool // transcripts or persons that were refused
	documented bool            // all of them with an error text that Dixa documents
	last       error
	decided    chan struct{} // closed once the verdict is known
	everyone   bool          // the verdict: it concerns all transcripts
}

func newRefusals(s *session.Session, inFlight *atomic.Int64) *refusals {
	r := &refusals{s: s, inFlight: inFlight, open: map[refusalKind]*refusal{}, succeededOps: map[dixa.Operation]bool{}}
	r.token = batch.New(1<<20, func(all []error) ([]struct{}, error) {
		return make([]struct{}, len(all)), s.TryToken(s.Starting)
	})
	return r
}

// undecidedError is a refusal that may concern one transcript or all, because the check of the token failed.
type undecidedError struct{ err error }

func (e *undecidedError) Error() string {
	return e.err.Error() + ", and it is not known whether Dixa accepts the token elsewhere"
}
func (e *undecidedError) Unwrap() error { return e.err }

// askToken returns nil if Dixa still accepts the token after the refusal err. Otherwise it returns session.ErrStopped, an *undecidedError
// or a fatal error.
func (r *refusals) askToken(err error) error {
	switch _, tokenErr := r.token.Do(err); {
	case tokenErr == nil:
		return nil
	case r.s.Starting.Err() != nil:
		return session.ErrStopped
	case session.Denied(tokenErr):
		return session.FatalAnswer(err)
	}
	return &undecidedError{err}
}

// judge waits for the verdict on a refusal. It returns nil if it concerns only the subject: a transcript, or a person by an identifier.
// Otherwise it returns session.ErrStopped, an *undecidedError, or a fatal error if it concerns all.
func (r *refusals) judge(t *task, subject string, err error) error {
	if session.Denied(err) {
		if tokenErr := r.askToken(err); tokenErr != nil {
			return tokenErr
		}
	}
	t.releaseSlot()
	x := r.note(subject, err)
	defer r.release()
	patience := time.NewTimer(maxVerdictWait)
	defer patience.Stop()
	select {
	case <-x.decided:
	case <-r.s.Starting.Done():
		return session.ErrStopped
	case <-patience.C:
		r.mu.Lock()
		r.decideOpen()
		r.mu.Unlock()
	}
	if x.everyone {
		return session.FatalAnswer(err)
	}
	if r.s.Starting.Err() != nil { // the run may be stopping for the same refusal
		return session.ErrStopped
	}
	return nil
}

// note records a refusal whose task waits for the verdict.
func (r *refusals) note(subject string, err error) *refusal {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiters++
	x := r.add(subject, err)
	r.settleIfIdle()
	return x
}

// add records a refusal. r.mu must be held.
func (r *refusals) add(subject string, err error) *refusal {
	api, _ := errors.AsType[*dixa.APIError](err)
	kind, limit, documented := refusalKind{op: api.Operation}, maxDenied, api.Reason.Documented()
	if !session.Denied(err) {
		kind.reason, limit = api.Reason, maxRefused
	}
	x := r.open[kind]
	if x == nil {
		x = &refusal{subjects: map[string]bool{}, documented: true, decided: make(chan struct{})}
		r.open[kind] = x
	}
	x.subjects[subject] = true
	x.documented, x.last = x.documented && documented, err
	if len(x.subjects) >= limit {
		r.decide(kind, x, true)
	}
	return x
}

// decide sets the verdict and wakes the tasks that wait for it. r.mu must be held.
func (r *refusals) decide(kind refusalKind, x *refusal, everyone bool) {
	x.everyone = everyone
	if everyone && kind.op == dixa.OpPatchAttributes && r.patchErr == nil {
		r.patchErr = session.FatalAnswer(x.last)
	}
	delete(r.open, kind)
	close(x.decided)
}

// decideOpen decides all open refusals: two or more with documented error texts, and no success of the operation in this run, concern all
// transcripts. r.mu must be held.
func (r *refusals) decideOpen() {
	for kind, x := range r.open {
		r.decide(kind, x, x.documented && len(x.subjects) > 1 && !r.succeededOps[kind.op])
	}
}

// succeeded records that operations succeeded.
func (r *refusals) succeeded(ops ...dixa.Operation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, op := range ops {
		r.succeededOps[op] = true
		for kind, x := range r.open {
			if kind.op == op {
				r.decide(kind, x, false)
			}
		}
	}
}

// setNoMoreTasks records whether other transcripts may still start.
func (r *refusals) setNoMoreTasks(noMore bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.noMoreTasks = noMore
	r.settleIfIdle()
}

// taskEnded is called when a task has ended.
func (r *refusals) taskEnded() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.settleIfIdle()
}

// waiting returns the number of transcripts that wait for a verdict.
func (r *refusals) waiting() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.waiters
}

func (r *refusals) release() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiters--
}

// settleIfIdle decides if all tasks wait for a verdict and no other will start. r.mu must be held.
func (r *refusals) settleIfIdle() {
	if r.noMoreTasks && r.waiters > 0 && r.inFlight.Load() <= r.waiters {
		r.decideOpen()
	}
}

// notePatch records that attributes of a transcript were refused. No task waits for the verdict: the conversation exists, and its
// attributes are left to the next run either way.
func (r *refusals) notePatch(subject string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.add(subject, err)
}

// patchDenied returns why the run no longer sets attributes, or nil if it does.
func (r *refusals) patchDenied() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.patchErr
}

// close decides what is open at the end of the work, and returns a fatal error if the token may not set attributes at all.
func (r *refusals) close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.decideOpen()
	return r.patchErr
}

// rests reports whether an operation of Dixa keeps failing at present while others succeed.
func (p *pipeline) rests(op dixa.Operation) bool {
	return slices.ContainsFunc(p.s.API.Rests(), func(r dixa.Rest) bool { return r.Operation == op && r.Resting })
}

// settleRefused settles a transcript if only it or its end-user was refused, or returns the error that stops the run.
func (p *pipeline) settleRefused(t *task, subject string, err error) (step, error) {
	verdict := p.refusals.judge(t, subject, err)
	if verdict == nil {
		code, cause := refusedAlone(err)
		return p.settleFailed(t, code, cause)
	}
	if unclear, ok := errors.AsType[*undecidedError](verdict); ok {
		return p.settle(t, checkpoint.Release, codeUnavailable, unclear.Error())
	}
	return stepEnd, verdict
}

// refusedAlone returns the code and the error to record for a transcript that alone was refused.
func refusedAlone(err error) (code string, cause error) {
	switch dixa.ReasonOf(err) {
	case dixa.ReasonAgentUnknown:
		return codeAgentUnknown, err
	case dixa.ReasonChannelUnsupported:
		return codeRefused, fmt.Errorf("%w, although other transcripts did not get this answer", err)
	}
	return codeForbidden, acceptedElsewhere(err)
}

// acceptedElsewhere adds to a 401 or 403 that Dixa accepts the token elsewhere.
func acceptedElsewhere(err error) error {
	return fmt.Errorf("%w, although Dixa accepts the token elsewhere", err)
}
