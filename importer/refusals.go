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
	maxDenied      = 10          // records that are answered 401 or 403, before that concerns everybody
	maxRefused     = 5           // imports that are refused for what is the same in all of them, such as the agent
	maxVerdictWait = time.Minute // a refused record waits at most so long for what others are answered
)

// refusals find out whom a refusal concerns. A 401, a 403 and some answers to imports are those that everybody would get, if the token
// or the configuration is wrong; but a firewall may object to the words of one customer, too. So the token is asked about elsewhere, and
// the refused record waits for company: the next success of the operation shows that the refusal is about the record, and many
// refusals in a row show that it is about everybody. Where nothing more comes, what has come decides.
type refusals struct {
	s        *session.Session
	inFlight *atomic.Int64                 // transcripts that are worked on
	token    *batch.Group[error, struct{}] // questions about the token; one answers for all who wait

	mu           sync.Mutex
	open         map[refusalKind]*refusal
	succeededOps map[dixa.Operation]bool // operations that succeeded in this run
	noMoreTasks  bool                    // no other transcript begins
	waiters      int64                   // transcripts that wait
	patchErr     error                   // why attributes are not set any more, nil: they are
}

// objection is what is refused, and why: a documented reason, or 401 and 403 as ReasonUnknown.
type refusalKind struct {
	op     dixa.Operation
	reason dixa.Reason
}

// refusal is one objection, since the last success of its operation.
type refusal struct {
	subjects   map[string]bool // transcripts or persons that met it
	documented bool            // all in Dixa's own words
	last       error
	decided    chan struct{} // closed when it is decided
	everyone   bool          // it concerns everybody
}

func newRefusals(s *session.Session, inFlight *atomic.Int64) *refusals {
	r := &refusals{s: s, inFlight: inFlight, open: map[refusalKind]*refusal{}, succeededOps: map[dixa.Operation]bool{}}
	r.token = batch.New(1<<20, func(all []error) ([]struct{}, error) {
		return make([]struct{}, len(all)), s.TryToken(s.Starting)
	})
	return r
}

// unclearError is a refusal of which it could not be found out whom it concerns.
type undecidedError struct{ err error }

func (e *undecidedError) Error() string {
	return e.err.Error() + ", and whether Dixa accepts the token elsewhere could not be found out"
}
func (e *undecidedError) Unwrap() error { return e.err }

// askToken returns nil if Dixa still accepts the token, after the refusal err; else session.ErrStopped, an *unclearError, or a fatal error.
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

// judge waits until it is known whom a refusal concerns. It returns nil if that is the subject alone: a transcript, or a person by
// an identifier; session.ErrStopped; an *unclearError; or a fatal error if it concerns everybody.
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
	return nil
}

// note takes down one refusal, for which somebody waits.
func (r *refusals) note(subject string, err error) *refusal {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiters++
	x := r.add(subject, err)
	r.settleIfIdle()
	return x
}

// add takes down one refusal. r.mu is held.
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

// decide tells those who wait. r.mu is held.
func (r *refusals) decide(kind refusalKind, x *refusal, everyone bool) {
	x.everyone = everyone
	if everyone && kind.op == dixa.OpPatchAttributes && r.patchErr == nil {
		r.patchErr = session.FatalAnswer(x.last)
	}
	delete(r.open, kind)
	close(x.decided)
}

// decideByWhatCame decides what is open: two refusals or more in Dixa's own words, with no success of the operation in this run,
// are not about one record. r.mu is held.
func (r *refusals) decideOpen() {
	for kind, x := range r.open {
		r.decide(kind, x, x.documented && len(x.subjects) > 1 && !r.succeededOps[kind.op])
	}
}

// succeeded takes down that operations did what they were asked for.
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

// noMore records whether other transcripts may begin.
func (r *refusals) setNoMoreTasks(noMore bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.noMoreTasks = noMore
	r.settleIfIdle()
}

// ended says that the work on a transcript has ended.
func (r *refusals) taskEnded() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.settleIfIdle()
}

// waiting is how many wait for a verdict.
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

// settleIfIdle decides when everybody who is at work waits for a verdict. r.mu is held.
func (r *refusals) settleIfIdle() {
	if r.noMoreTasks && r.waiters > 0 && r.inFlight.Load() <= r.waiters {
		r.decideOpen()
	}
}

// notePatch takes down that attributes of a transcript were refused. Nobody waits for a verdict: the conversation is there, and its
// attributes are left to the next run either way.
func (r *refusals) notePatch(subject string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.add(subject, err)
}

// patchDenied returns why attributes are not set any more, nil if they are.
func (r *refusals) patchDenied() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.patchErr
}

// close decides at the end of the work, and returns a fatal error if attributes may not be set at all.
func (r *refusals) close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.decideOpen()
	return r.patchErr
}

// rests reports whether an operation of Dixa does not answer at present, while others do.
func (p *pipeline) rests(op dixa.Operation) bool {
	return slices.ContainsFunc(p.s.API.Rests(), func(r dixa.Rest) bool { return r.Operation == op && r.Resting })
}

// settleRefused ends the work on a transcript that was refused, as its end-user may have been, or returns why the run cannot go on.
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

// refusedAlone is what is recorded of a record that is refused for itself.
func refusedAlone(err error) (code string, cause error) {
	switch dixa.ReasonOf(err) {
	case dixa.ReasonAgentUnknown:
		return codeAgentUnknown, err
	case dixa.ReasonChannelUnsupported:
		return codeRefused, fmt.Errorf("%w, which other transcripts do not get", err)
	}
	return codeForbidden, acceptedElsewhere(err)
}

// acceptedElsewhere adds to a 401 or 403 what is known besides.
func acceptedElsewhere(err error) error {
	return fmt.Errorf("%w, although Dixa accepts the token elsewhere", err)
}
