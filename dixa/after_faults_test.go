package dixa

import (
	"errors"
	"testing"

	"dixa-import/dixa/sandbox"
)

func TestAfterSuccess(t *testing.T) {
	t.Parallel()
	each(t, sandbox.Fault{}, func(s *stage, a after) {
		already := s.api.Counts()[a.op]
		if err := a.call(s.Context(), s, s.id); err != nil {
			s.Fatal(err)
		}
		a.done(s, 1, already+1)
		s.clean()
	})
}

// TestAfterLostAnswer requires that an operation which had its effect is repeated only if that is harmless.
func TestAfterLostAnswer(t *testing.T) {
	t.Parallel()
	for _, kind := range []sandbox.FaultKind{sandbox.DropAfter, sandbox.ErrorAfter, sandbox.HTMLAfter} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			each(t, sandbox.Fault{Kind: kind, Times: 1}, func(s *stage, a after) {
				err := a.call(s.Context(), s, s.id)
				if a.repeated {
					if err != nil {
						s.Error(err)
					}
					a.done(s, 1, 2)
				} else {
					if err == nil || NotApplied(err) {
						s.Errorf("it is not in doubt: %v", err)
					}
					leaksNothing(s.T, err)
					a.done(s, 1, 1)
				}
				s.clean()
			})
		})
	}
}

// TestAfterNothingHappened requires that what may not be repeated is left to the caller even if nothing happened: a server does not say so.
func TestAfterNothingHappened(t *testing.T) {
	t.Parallel()
	for _, kind := range []sandbox.FaultKind{sandbox.DropBefore, sandbox.ErrorBefore} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			each(t, sandbox.Fault{Kind: kind, Times: 1, Message: secretWords + " at " + secretURL}, func(s *stage, a after) {
				err := a.call(s.Context(), s, s.id)
				if a.repeated {
					if err != nil {
						s.Error(err)
					}
					a.done(s, 1, 2)
					return
				}
				if err == nil || NotApplied(err) {
					s.Errorf("it is not in doubt: %v", err)
				}
				a.done(s, 0, 1)
			})
		})
	}
}

// TestAfterThrottled requires that every operation waits for its turn.
func TestAfterThrottled(t *testing.T) {
	t.Parallel()
	each(t, sandbox.Fault{Kind: sandbox.Throttle, Times: 1}, func(s *stage, a after) {
		if err := a.call(s.Context(), s, s.id); err != nil {
			s.Fatal(err)
		}
		a.done(s, 1, 2)
	})
}

// TestAfterMalformed requires that an answer which cannot be read is not taken for success.
func TestAfterMalformed(t *testing.T) {
	t.Parallel()
	for _, kind := range []sandbox.FaultKind{sandbox.BrokenBody, sandbox.CutBody, sandbox.EmptyBody} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			each(t, sandbox.Fault{Kind: kind, Times: 1}, func(s *stage, a after) {
				err := a.call(s.Context(), s, s.id)
				switch {
				case a.repeated && err == nil, a.empty && err == nil && kind != sandbox.CutBody:
				case a.repeated || NotApplied(err):
					s.Errorf("%v", err)
				default:
					if _, unusable := errors.AsType[*AnswerError](err); !unusable && !a.empty {
						s.Errorf("%v", err)
					}
				}
				leaksNothing(s.T, err)
				if a.effects != nil && a.effects(s) != 1 {
					s.Errorf("done %d times", a.effects(s))
				}
			})
		})
	}
}

// TestAfterOddAnswers requires that a page, or JSON of another form, is not taken for success.
func TestAfterOddAnswers(t *testing.T) {
	t.Parallel()
	for _, body := range []string{`<html>Sign in`, `{"data":null}`, `{"data":7}`, `{"items":[]}`, `[]`} {
		t.Run(body, func(t *testing.T) {
			t.Parallel()
			for _, a := range afters {
				if a.empty && body[0] != '<' { // its answer says nothing
					continue
				}
				s := onStage(t, sandbox.Options{})
				if a.prepare != nil {
					a.prepare(s)
				}
				s.c, _ = answering(t, 200, body)
				s.c.maxAttempts = 1
				err := a.call(t.Context(), s, s.id)
				if _, unusable := errors.AsType[*AnswerError](err); !unusable || NotApplied(err) {
					t.Errorf("%s: %v", a.op, err)
				}
			}
		})
	}
}

// TestAfterNotOffered requires that an operation which Dixa does not serve, or does not allow, is told from a conversation that is not there.
func TestAfterNotOffered(t *testing.T) {
	t.Parallel()
	each(t, sandbox.Fault{}, func(s *stage, a after) {
		for _, status := range []int{401, 403, 404} {
			s.api.Forbid(a.op, status)
			if err := a.call(s.Context(), s, s.id); !NotOffered(err) || !NotApplied(err) || ReasonOf(err) == ReasonNotFound {
				s.Errorf("%d: %v", status, err)
			}
		}
		s.api.Forbid(a.op, 0)
		if !a.noID {
			err := a.call(s.Context(), s, missingID)
			s.want(err, 404, ReasonNotFound)
			if NotOffered(err) {
				s.Errorf("a conversation that is not there: %v", err)
			}
		}
	})
	for _, status := range []int{405, 410, 501} {
		if !NotOffered(&APIError{Status: status}) {
			t.Errorf("%d is not seen", status)
		}
	}
	if NotOffered(nil) || NotOffered(&APIError{Status: 400}) || NotOffered(&APIError{Status: 500}) {
		t.Error("other errors are taken for it")
	}
}
