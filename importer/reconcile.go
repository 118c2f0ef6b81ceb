package importer

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"dixa-import/dixa"
	"dixa-import/importer/checkpoint"
)

const (
	minLooks  = 3  // that find nothing, before a transcript counts as not sent
	maxErrors = 20 // looks with an error in them, before a person has to decide
)

// reconcile is the step that finds out whether an import arrived. It does not occupy a worker.
func (im *Importer) reconcile(ctx context.Context, t *task) (step, error) {
	t.leave()
	im.doubts.Add(1)
	defer im.doubts.Add(-1)
	if t.due.IsZero() { // found in the checkpoint: its request may have begun as late as send_before
		t.due = time.Now().Add(t.row.SendIn + im.cfg.RequestTimeout)
	}
	if !pauseFor(im.fetching, time.Until(t.due)) {
		return stepEnd, errStopped
	}
	var first time.Time
	looks, failures := 0, 0
	for {
		found, err := im.look(im.fetching, t)
		switch {
		case im.fetching.Err() != nil:
			return stepEnd, errStopped
		case err == nil && len(found) > 0:
			return im.adopt(ctx, t, found)
		case err == nil:
			if looks++; looks == 1 {
				first = time.Now()
			}
			if looks >= minLooks && time.Since(first) >= im.cfg.Settle {
				return im.notThere(t)
			}
		case hasStatus(err, http.StatusNotFound):
			return im.settle(t, checkpoint.GiveUp, codeEndUserGone, "the end-user of the import is not in Dixa any more: look for the conversation by hand, then settle it with `dixa-import retry`")
		case hasStatus(err, http.StatusUnauthorized, http.StatusForbidden):
			return im.settle(t, checkpoint.GiveUp, codeUnreadable, err.Error()+
				": whether the transcript arrived cannot be read with this token: use one with more rights, or look by hand, then settle it with `dixa-import retry`")
		default:
			var database *DatabaseError
			if errors.As(err, &database) {
				return stepEnd, fatal(err)
			}
			im.log.Warn("a look for a transcript in doubt failed", "transcript", t.key, "error", err.Error())
			if failures++; failures >= maxErrors {
				return im.settle(t, checkpoint.GiveUp, codeLookFailed, err.Error()+": run `dixa-import retry` when Dixa answers again")
			}
		}
		if !pauseFor(im.fetching, im.cfg.Settle/(minLooks-1)) {
			return stepEnd, errStopped
		}
	}
}

// notThere goes on with a transcript of which a reconcile has shown that it did not arrive.
func (im *Importer) notThere(t *task) (step, error) {
	switch {
	case t.rec == nil:
		return im.settle(t, checkpoint.Fail, codeSourceMissing, "the import did not arrive, and the source does not hold the transcript any more: put it back and run again")
	case t.row.Attempts >= im.cfg.MaxAttempts:
		return im.settle(t, checkpoint.Fail, codeNotFound, fmt.Sprintf("%d imports got no clear answer and left no conversation: run `dixa-import retry` when Dixa is well", t.row.Attempts))
	}
	im.few(logCause{event: "whose import did not arrive"})("the import did not arrive: sending it again", "transcript", t.key, "attempts", t.row.Attempts)
	t.partial, t.newcomer = nil, false
	c := t.change(checkpoint.NotFound)
	c.ContentHash = t.rec.Hash.String()
	if _, err := im.record(t, c); err != nil {
		return stepEnd, err
	}
	if t.transcript == nil { // it is bad, or open again, in its present version
		return stepValidate, nil
	}
	t.person = im.personOf(t.transcript)
	return stepSend, nil
}

// lookFirst looks for the conversation of a transcript that the checkpoint knows nothing of.
func (im *Importer) lookFirst(ctx context.Context, t *task) (step, error) {
	if !im.cfg.Reconcile && im.first.turn != nil {
		if next, err := im.lookForLost(t); err != nil || !isMendedRecord(t) {
			return next, err
		}
	}
	for failures := 0; ; failures++ {
		// What was sent just before the checkpoint was lost may not be listed yet.
		if wait := time.Until(im.started.Add(im.cfg.Settle)); im.cfg.Reconcile && wait > 0 {
			t.leave()
			if !pauseFor(im.fetching, wait) {
				return stepEnd, errStopped
			}
		}
		found, err := im.look(im.fetching, t)
		switch {
		case im.fetching.Err() != nil:
			return stepEnd, errStopped
		case err == nil && len(found) > 0:
			im.lostBefore.Store(true)
			return im.adopt(ctx, t, found)
		case err == nil:
			return stepSend, nil
		case hasStatus(err, http.StatusNotFound):
			return stepSend, nil // the import says whether Dixa knows the end-user
		case hasStatus(err, http.StatusUnauthorized, http.StatusForbidden) && !im.cfg.Reconcile:
			return stepSend, nil
		case hasStatus(err, http.StatusUnauthorized, http.StatusForbidden):
			return stepEnd, fatal(&advisedError{err, "--reconcile must read conversations and messages: use a token that may"})
		case failures >= minLooks:
			return im.settle(t, checkpoint.Release, codeLookFailed, err.Error())
		}
		if !pauseFor(im.fetching, time.Second) {
			return stepEnd, errStopped
		}
	}
}

// conversations remembers what the messages of conversations say of them: the transcripts that they name.
type conversations struct {
	mu    sync.Mutex
	names map[int64][]string
}

// conversationsMax bounds the memory of conversations; it starts anew when it is full.
const conversationsMax = 50_000

func (c *conversations) get(id int64) ([]string, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	names, ok := c.names[id]
	return names, ok
}

func (c *conversations) put(id int64, names []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.names == nil || len(c.names) >= conversationsMax {
		c.names = map[int64][]string{}
	}
	c.names[id] = names
}

// errUnclear says that a look saw a conversation that may be the one, without its messages.
var errUnclear = errors.New("a conversation of the end-user has no messages yet")

// look reads the conversations of the transcript's end-user and returns those that are the transcript, lowest id first.
func (im *Importer) look(ctx context.Context, t *task) ([]int64, error) {
	listed, err := im.candidates(ctx, t)
	if err != nil {
		return nil, err
	}
	var found []int64
	var unclear error
	name := im.externalID(t.key)
	for _, c := range listed {
		names, err := im.namesOf(ctx, c)
		switch {
		case errors.Is(err, errUnclear) && !t.began(c) && t.transcript != nil, hasStatus(err, http.StatusNotFound):
		case err != nil && hasStatus(err, http.StatusUnauthorized, http.StatusForbidden):
			return nil, err
		case err != nil:
			unclear = err
		case slices.Contains(names, name):
			found = append(found, c.ID)
		}
	}
	if unclear != nil && len(found) == 0 {
		return nil, unclear
	}
	slices.Sort(found)
	return found, nil
}

// candidates returns the conversations of the transcript's end-user that may be the transcript and that the checkpoint does not
// hold: first those that began when it did.
func (im *Importer) candidates(ctx context.Context, t *task) ([]dixa.Conversation, error) {
	listed, err := im.cfg.API.ListConversations(ctx, t.row.EndUserID)
	if err != nil {
		return nil, err
	}
	listed = slices.DeleteFunc(listed, func(c dixa.Conversation) bool { return !c.MayBeImported() })
	ids := make([]int64, len(listed))
	for i, c := range listed {
		ids[i] = c.ID
	}
	if len(ids) > 0 {
		var held map[int64]bool
		err = im.patiently(ctx, "read the checkpoint", func(ctx context.Context) (err error) {
			held, err = im.cfg.Store.Conversations(ctx, im.cfg.Source, ids)
			return err
		})
		if err != nil {
			return nil, err
		}
		listed = slices.DeleteFunc(listed, func(c dixa.Conversation) bool { return held[c.ID] })
	}
	slices.SortStableFunc(listed, func(a, b dixa.Conversation) int {
		switch {
		case t.began(a) && !t.began(b):
			return -1
		case t.began(b) && !t.began(a):
			return 1
		}
		return 0
	})
	return listed, nil
}

// began says whether a conversation began when the transcript did.
func (t *task) began(c dixa.Conversation) bool {
	var created time.Time
	if t.transcript != nil {
		created = t.transcript.CreatedAt
	}
	return c.CreatedAt.Equal(created)
}

// namesOf returns the transcripts that a conversation's messages name, usually one or none.
func (im *Importer) namesOf(ctx context.Context, c dixa.Conversation) ([]string, error) {
	if names, ok := im.known.get(c.ID); ok {
		return names, nil
	}
	messages, err := im.cfg.API.ListMessages(ctx, c.ID)
	if err != nil {
		return nil, err
	}
	if len(messages) == 0 {
		return nil, errUnclear
	}
	var names []string
	for _, m := range messages {
		if i := strings.LastIndexByte(m.ExternalID, ':'); i >= 0 && !slices.Contains(names, m.ExternalID[:i]) {
			names = append(names, m.ExternalID[:i])
		}
	}
	im.known.put(c.ID, names)
	return names, nil
}

// adopt records a conversation that a look has found, and what differs in it from the transcript.
func (im *Importer) adopt(ctx context.Context, t *task, found []int64) (step, error) {
	im.few(logCause{event: "that are in Dixa already"})("the transcript is in Dixa already", "transcript", t.key, "conversation", found[0])
	if len(found) > 1 {
		im.noteDuplicate(t, found[0], found[1])
		t.partial = append(t.partial, checkpoint.PartialError{Kind: checkpoint.KindDuplicate,
			Message: fmt.Sprintf("Dixa has two conversations of this transcript: %d and %d", found[0], found[1])})
	}
	return im.recordFound(t, found[0], im.differences(ctx, t, found[0]))
}

// differences compares a conversation with what would be sent. A problem with reading it back is a difference, too.
func (im *Importer) differences(ctx context.Context, t *task, id int64) []checkpoint.PartialError {
	if t.transcript == nil {
		return nil
	}
	found, err := im.compare(ctx, t.transcript, t.row.EndUserID, id)
	if err != nil {
		found = []Difference{{Kind: DiffUnreadable, Detail: fmt.Sprintf("it could not be compared with the transcript: %v", err)}}
	}
	var out []checkpoint.PartialError
	for _, d := range found {
		out = append(out, checkpoint.PartialError{Kind: checkpoint.KindAdopted, MessageExternalID: d.Message, Message: d.Detail})
	}
	return out
}
