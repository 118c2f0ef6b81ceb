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
	"dixa-import/importer/internal/session"
	"dixa-import/importer/internal/shape"
)

// looker looks in Dixa for transcripts that may be there.
type searcher struct {
	s        *session.Session
	learning *learning     // what looks can see
	known    conversations // what conversations turned out to be
	inDoubt  doubtful
}

// conversations remembers what the messages of conversations say of them.
type conversations struct {
	mu    sync.Mutex
	known map[int64]shape.Contents
	// taken are the transcripts that were found by their content alone before they were sent, by their likeness.
	byLikeness map[uint64]string
}

// conversationsMax bounds the memory of conversations; it starts over when it is full.
const maxConversations = 50_000

func (c *conversations) get(id int64) (shape.Contents, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	known, ok := c.known[id]
	return known, ok
}

func (c *conversations) put(id int64, read shape.Contents) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil || len(c.known) >= maxConversations {
		c.known = map[int64]shape.Contents{}
	}
	c.known[id] = read
}

// take takes down that a transcript was found by its content, if found says so and no other one of that likeness was before. It
// returns which one was, "" if none.
func (c *conversations) claimLikeness(likeness uint64, transcript string, found bool) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.byLikeness[likeness]; !ok && found {
		if c.byLikeness == nil {
			c.byLikeness = map[uint64]string{}
		}
		c.byLikeness[likeness] = transcript
	}
	return c.byLikeness[likeness]
}

// errUnclear says that a look saw a conversation that may be the one, without its messages.
var errUnclear = errors.New("a conversation of the end-user has no messages yet")

// sight is what a look saw. Without found and unclear that is nothing that may be the transcript.
type searchResult struct {
	found     []int64 // conversations that are the transcript, lowest id first
	byContent bool    // none of them names it: they have its content
	unclear   string  // why it cannot be said whether it is there, "" if it can
}

// look reads the conversations of the transcript's end-user.
func (l *searcher) search(ctx context.Context, t *task) (searchResult, error) {
	listed, err := l.candidates(ctx, t)
	if err != nil {
		return searchResult{}, err
	}
	var named, like []int64
	var unclear string
	var failed error
	for _, c := range listed {
		is, why, err := l.identify(ctx, t, c)
		switch {
		case errors.Is(err, errUnclear) && t.transcript != nil && c.CreatedAt.Sub(t.transcript.CreatedAt).Abs() >= shape.Nearly, session.HasStatus(err, http.StatusNotFound):
		case err != nil && (session.Denied(err) || ctx.Err() != nil):
			return searchResult{}, err
		case err != nil:
			failed = err
		case is == exact:
			named = append(named, c.ID)
		case is == sameContent:
			like = append(like, c.ID)
		case is == possible:
			unclear = why
		}
	}
	slices.Sort(named)
	slices.Sort(like)
	switch {
	case len(named) > 0:
		l.learning.note(checkpoint.Facts{ExternalIDs: checkpoint.IDsReturned})
		return searchResult{found: named}, nil
	case failed != nil:
		return searchResult{}, failed
	case len(like) > 1:
		return searchResult{unclear: fmt.Sprintf("conversations %d and %d both have the content of this transcript, and no external ids", like[0], like[1])}, nil
	case len(like) == 1: // the others differ from it in something
		return searchResult{found: like, byContent: true}, nil
	}
	return searchResult{unclear: unclear}, nil
}

// identity is what a conversation is to a transcript.
type identity int

const (
	different   identity = iota
	possible             // it may be it
	sameContent          // it has its content, and no external ids
	exact                // it names it
)

// identify finds out whether a conversation is the transcript, and if it only may be, why.
func (l *searcher) identify(ctx context.Context, t *task, c dixa.Conversation) (is identity, why string, err error) {
	for fresh := false; ; fresh = true {
		read, cached := l.known.get(c.ID)
		if !cached || fresh {
			if read, err = l.readContents(ctx, c); err != nil {
				return different, "", err
			}
			fresh = true
		}
		if is, why = l.classify(ctx, t, c, read); is == exact || is == different || fresh {
			return is, why, nil
		}
		// More of it may be there by now than was read before.
	}
}

func (l *searcher) classify(ctx context.Context, t *task, c dixa.Conversation, read shape.Contents) (is identity, why string) {
	name, prefix := l.s.ExternalID(t.key), l.s.ExternalID("")
	switch {
	case slices.Contains(read.Names, name):
		return exact, ""
	case len(read.Bare) == 0, slices.ContainsFunc(read.Names, func(n string) bool { return strings.HasPrefix(n, prefix) }):
		return different, ""
	}
	like := shape.Unlike
	if t.transcript != nil {
		like = shape.Resembles(l.s.Bot().Payload(t.transcript, t.row.EndUserID, false), l.s.Bot().Payload(t.transcript, t.row.EndUserID, true), c.CreatedAt, read.Bare)
	}
	if like == shape.Unlike && t.hasSentVersion() {
		return different, ""
	}
	returned := l.learning.returnsExternalIDs(ctx)
	switch {
	case like == shape.Matches && !returned:
		return sameContent, ""
	case like == shape.Matches:
		return possible, fmt.Sprintf("conversation %d has the content of this transcript, but no external ids, which Dixa returns for others", c.ID)
	case returned:
		return different, ""
	case !t.hasSentVersion():
		return possible, fmt.Sprintf("conversation %d of its end-user has no external ids, and cannot be compared: the source does not hold the version that was sent", c.ID)
	}
	return possible, fmt.Sprintf("conversation %d has no external ids, and is like this transcript without being the same in all times, directions and texts", c.ID)
}

// candidates returns the conversations of the transcript's end-user that may be the transcript and that the checkpoint does not
// hold: first those that began when it did.
func (l *searcher) candidates(ctx context.Context, t *task) ([]dixa.Conversation, error) {
	var listed []dixa.Conversation
	for _, id := range append([]string{t.row.EndUserID}, t.user.Others...) { // earlier versions took those who share an identifier for one person
		more, err := l.s.API.ListConversations(ctx, id)
		if err != nil {
			return nil, err
		}
		listed = append(listed, more...)
	}
	listed, err := l.s.Candidates(ctx, listed)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(listed, func(a, b dixa.Conversation) int {
		switch {
		case t.sameStart(a) && !t.sameStart(b):
			return -1
		case t.sameStart(b) && !t.sameStart(a):
			return 1
		}
		return 0
	})
	return listed, nil
}

// began reports whether a conversation began when the transcript did.
func (t *task) sameStart(c dixa.Conversation) bool {
	var created time.Time
	if t.transcript != nil {
		created = t.transcript.CreatedAt
	}
	return c.CreatedAt.Equal(created)
}

// namesOf returns the transcripts that a conversation's messages name, usually one or none.
func (l *searcher) namesOf(ctx context.Context, c dixa.Conversation) ([]string, error) {
	if read, ok := l.known.get(c.ID); ok {
		return read.Names, nil
	}
	read, err := l.readContents(ctx, c)
	return read.Names, err
}

// readContents reads the messages of a conversation; errUnclear says that there are none yet.
func (l *searcher) readContents(ctx context.Context, c dixa.Conversation) (shape.Contents, error) {
	messages, err := l.s.API.ListMessages(ctx, c.ID)
	if err != nil {
		return shape.Contents{}, err
	}
	if len(messages) == 0 {
		return shape.Contents{}, errUnclear
	}
	read := shape.ReadingOf(messages)
	l.known.put(c.ID, read)
	return read, nil
}
