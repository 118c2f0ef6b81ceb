package importer

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"dixa-import/importer/checkpoint"
	"dixa-import/importer/internal/session"
)

const (
	maxFollowers     = 3  // imports, and as many creations, that are followed at a time
	maxFollowed      = 8  // imports, and as many creations, that a run follows in all
	firstPollDivisor = 20 // a followed import is checked after this fraction of Settle, then after twice as long each time
	// cautiousSettles times Settle is how long a transcript is searched for while the lag of lists is not known.
	cautiousSettles = 4
)

// learning holds what is known about Dixa's answers for the organisation, and finds it out: it reads the first imports back and looks for
// them in lists, while the run works on other transcripts. See checkpoint.Facts.
type learning struct {
	s           *session.Session
	moreToCome  func() bool     // reports whether more transcripts are on their way
	waiting     atomic.Int64    // transcripts that wait for facts
	following   context.Context // ends with stop, or with Session.Starting
	unfollow    context.CancelFunc
	tasks       sync.WaitGroup
	earlierOnce sync.Once // for followEarlier
	confirmOnce sync.Once // for returnsExternalIDs

	mu        sync.Mutex
	facts     checkpoint.Facts
	imports   followers
	creations followers
	// latest is the end-user that was created last and is not followed yet. lookUpLagNeeded means that noteCreated must follow it.
	latest          creation
	lookUpLagNeeded bool
	noLists         bool          // the token may not list conversations
	noReading       bool          // the token may not read messages
	unlisted        time.Duration // the longest time that an import had been missing from the list when following it ended
	loggedLag       time.Duration // the lag that was last logged
	refreshed       time.Time
	confirmed       bool // this run has seen that external ids are returned
}

// followers counts the goroutines that follow imports, or creations.
type followers struct{ active, started int }

// reserve takes a place and reports whether there was one.
func (f *followers) reserve() bool {
	if f.active >= maxFollowers || f.started >= maxFollowed {
		return false
	}
	f.active++
	f.started++
	return true
}

func newLearning(s *session.Session, moreToCome func() bool) *learning {
	l := &learning{s: s, moreToCome: moreToCome}
	l.following, l.unfollow = context.WithCancel(s.Starting)
	return l
}

// refresh loads what other runs have found out, unless it was just loaded: many tasks may wait.
func (l *learning) refresh(ctx context.Context) error {
	l.mu.Lock()
	fresh := !l.refreshed.IsZero() && time.Since(l.refreshed) < l.pollInterval()/2
	l.refreshed = time.Now()
	l.mu.Unlock()
	if fresh {
		return nil
	}
	var facts checkpoint.Facts
	err := l.s.Patiently(ctx, "read the checkpoint", func(ctx context.Context) (err error) {
		facts, err = l.s.Store.Facts(ctx, l.s.Binding())
		return err
	})
	if err == nil {
		l.merge(facts)
	}
	return err
}

func (l *learning) merge(f checkpoint.Facts) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if f.ExternalIDs != checkpoint.IDsUnknown {
		l.facts.ExternalIDs = f.ExternalIDs
	}
	l.facts.ListLag = longer(l.facts.ListLag, f.ListLag)
	l.facts.LookUpLag = longer(l.facts.LookUpLag, f.LookUpLag)
}

func longer(a, b *time.Duration) *time.Duration {
	if a == nil || b != nil && *b > *a {
		return b
	}
	return a
}

// known returns the facts known so far.
func (l *learning) known() checkpoint.Facts {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.facts
}

// note records new facts for this run and the others. If recording fails, a later run finds them out again.
func (l *learning) note(f checkpoint.Facts) {
	l.mu.Lock()
	old := l.facts
	if f.ExternalIDs == checkpoint.IDsReturned {
		l.confirmed = true
	}
	l.mu.Unlock()
	if f.ExternalIDs == old.ExternalIDs {
		f.ExternalIDs = checkpoint.IDsUnknown
	}
	if longer(old.ListLag, f.ListLag) == old.ListLag {
		f.ListLag = nil
	}
	if longer(old.LookUpLag, f.LookUpLag) == old.LookUpLag {
		f.LookUpLag = nil
	}
	if f == (checkpoint.Facts{}) {
		return
	}
	l.merge(f)
	ctx, cancel := context.WithTimeout(l.s.Recording, session.DatabaseTimeout)
	defer cancel()
	all, err := l.s.Store.Learn(ctx, l.s.Binding(), f)
	if err != nil {
		l.s.Log.Warn("could not record facts about Dixa's answers", "error", err.Error())
		return
	}
	l.merge(all)
	if f.ExternalIDs == checkpoint.IDsWithheld {
		l.s.Log.Info("Dixa returns messages without the external ids they were sent with: transcripts in doubt are compared by content")
	}
	l.logLag()
}

// logLag logs how long doubts take if lists lag for long, and again when the lag has doubled.
func (l *learning) logLag() {
	l.mu.Lock()
	lag := l.facts.ListLag
	news := lag != nil && 3**lag > l.s.Settle && (l.loggedLag == 0 || *lag >= 2*l.loggedLag)
	if news {
		l.loggedLag = *lag
	}
	l.mu.Unlock()
	if news {
		l.s.Log.Warn("Dixa's lists lag: transcripts in doubt take longer to settle", "lag", roughTime(*lag), "take_about", roughTime(l.doubtDuration()))
	}
}

// roughTime formats a duration for people, rounded.
func roughTime(d time.Duration) string {
	switch {
	case d >= 10*time.Minute:
		d = d.Round(time.Minute)
	case d >= time.Second:
		d = d.Round(time.Second)
	default:
		d = d.Round(time.Millisecond)
	}
	return d.String()
}

// window returns how long after the end of an import a search can see its conversation (lag), and over what time such searches are spread
// before they prove that it is not there (spread).
func (l *learning) window() (lag, spread time.Duration) {
	return windowOf(l.known().ListLag, l.s.Settle)
}

// lookUpWindow is window for look-ups of end-users. If their lag is not known, the lag of lists is a hint.
func (l *learning) lookUpWindow() (lag, spread time.Duration) {
	facts := l.known()
	lag, spread = windowOf(facts.LookUpLag, l.s.Settle)
	if facts.LookUpLag == nil && facts.ListLag != nil {
		spread = max(spread, 3**facts.ListLag)
	}
	return lag, spread
}

func windowOf(known *time.Duration, settle time.Duration) (lag, spread time.Duration) {
	if known == nil {
		return 0, cautiousSettles * settle
	}
	return *known, max(settle, 2**known)
}

// doubtDuration estimates how long a transcript is in doubt if its import got no answer and is not in Dixa.
func (l *learning) doubtDuration() time.Duration {
	lag, spread := l.window()
	return l.s.SendWindow + l.s.RequestTimeout + lag + spread
}

// pollInterval is how long a doubt waits before it checks for new facts.
func (l *learning) pollInterval() time.Duration { return min(time.Second, l.s.Settle/8) }

// lagBetween returns how long something that exists since the given time took to become visible, if a request that began at began shows it
// now. The time that a request waits, such as while Dixa is down, is not part of a lag.
func (l *learning) lagBetween(since, began time.Time) time.Duration {
	return min(time.Since(since), began.Sub(since)+l.s.RequestTimeout)
}

// enough reports whether everything that searches depend on is known, or cannot be found out with this token.
func (l *learning) enough() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return (l.facts.ListLag != nil || l.noLists) && (l.facts.ExternalIDs != checkpoint.IDsUnknown || l.noReading || l.noLists)
}

// blind reports whether lists do not show imports, however long one waits, and the longest time that one was missing.
func (l *learning) blind() (unlisted time.Duration, is bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.unlisted, l.facts.ListLag == nil && l.unlisted > 0
}

// mayLearnMore reports whether this run may still find out what is unknown: it follows an import, or more transcripts are on their way.
func (l *learning) mayLearnMore() bool {
	l.mu.Lock()
	active, spent := l.imports.active > 0, l.imports.started >= maxFollowed
	l.mu.Unlock()
	switch {
	case active:
		return true
	case spent:
		return false
	}
	return l.moreToCome()
}

// await returns when enough is known to judge searches, or when this run cannot find it out.
func (l *learning) await(ctx context.Context) error {
	if l.enough() {
		return nil
	}
	l.waiting.Add(1)
	defer l.waiting.Add(-1)
	for begin := time.Now(); ; {
		if err := l.refresh(ctx); err != nil {
			return err
		}
		if l.enough() {
			return nil
		}
		l.earlierOnce.Do(func() { l.followEarlier(ctx) })
		if !l.mayLearnMore() || time.Since(begin) > l.s.LearnPatience {
			return nil
		}
		if !session.Pause(ctx, l.pollInterval()) {
			return session.ErrStopped
		}
	}
}

// stop ends all following. It waits a moment first for facts that are about to be found.
func (l *learning) stop() {
	done := make(chan struct{})
	go func() {
		l.tasks.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-l.following.Done():
	case <-time.After(l.s.Settle / 6):
	}
	l.unfollow()
	<-done
}
