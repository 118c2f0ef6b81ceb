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

// searcher searches Dixa for transcripts that may be there.
type searcher struct {
	s        *session.Session
	learning *learning     // what searches can see
	known    conversations // contents of conversations
	inDoubt  doubtful
	lists    shared[string, []dixa.Conversation] // candidates, by end-user
	reads    shared[int64, shape.Contents]       // by conversation
}

// conversations caches the contents of conversations.
type conversations struct {
	mu    sync.Mutex
	known map[int64]shape.Contents
	// byLikeness holds, by likeness, the transcripts that were found by content alone before they were sent.
	byLikeness map[uint64]string
}

// maxConversations bounds the cache of conversations. When it is full, it is emptied.
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

// claimLikeness records a transcript for its likeness if found is set and no other one is recorded. It returns the recorded one, or "".
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

// errNoMessages means that a conversation which may be the transcript has no messages yet.
var errNoMessages = errors.New("a conversation of the end-user has no messages yet")

// searchResult is what a search saw. If found and unclear are empty, nothing in Dixa can be the transcript.
type searchResult struct {
	found     []int64 // the conversations of the transcript, lowest id first
	byContent bool    // found by content: it does not name the transcript
	unclear   string  // why it is unclear whether the transcript is there; otherwise ""
}

// search reads the conversations of the transcript's end-user and looks for the transcript among them.
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
		case errors.Is(err, errNoMessages) && t.transcript != nil && c.CreatedAt.Sub(t.transcript.CreatedAt).Abs() >= shape.TimeTolerance, session.HasStatus(err, http.StatusNotFound):
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
	case len(like) == 1: // all others differ from it in something
		return searchResult{found: like, byContent: true}, nil
	}
	return searchResult{unclear: unclear}, nil
}

// identity is how a conversation relates to a transcript.
type identity int

const (
	different   identity = iota
	possible             // it may be the transcript
	sameContent          // it has the transcript's content, and no external ids
	exact                // it has the transcript's external id
)

// identify finds out whether a conversation is the transcript. For possible it says why it is unclear.
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
		// It was cached: it may have more messages now.
	}
}

func (l *searcher) classify(ctx context.Context, t *task, c dixa.Conversation, read shape.Contents) (is identity, why string) {
	name, prefix := l.s.ExternalID(t.key), l.s.ExternalID("")
	switch {
	case slices.Contains(read.Names, name):
		return exact, ""
	case len(read.Unnamed) == 0, slices.ContainsFunc(read.Names, func(n string) bool { return strings.HasPrefix(n, prefix) }):
		return different, ""
	}
	resemblance := shape.Unlike
	if t.transcript != nil {
		resemblance = shape.Resembles(l.s.Bot().Payload(t.transcript, t.row.EndUserID, false), l.s.Bot().Payload(t.transcript, t.row.EndUserID, true), c.CreatedAt, read.Unnamed)
	}
	if resemblance == shape.Unlike && t.hasSentVersion() {
		return different, ""
	}
	returned := l.learning.returnsExternalIDs(ctx)
	switch {
	case resemblance == shape.Matches && !returned:
		return sameContent, ""
	case resemblance == shape.Matches:
		return possible, fmt.Sprintf("conversation %d has the content of this transcript, but no external ids, although Dixa returns those of others", c.ID)
	case returned:
		return different, ""
	case !t.hasSentVersion():
		return possible, fmt.Sprintf("conversation %d of its end-user has no external ids, and cannot be compared: the source no longer has the version that was sent", c.ID)
	}
	return possible, fmt.Sprintf("conversation %d has no external ids, and resembles this transcript without matching it in all times, directions and texts", c.ID)
}

// candidates returns the conversations of the transcript's end-user that may be the transcript and that the checkpoint does not have. Those
// that began at the same time as the transcript come first.
func (l *searcher) candidates(ctx context.Context, t *task) ([]dixa.Conversation, error) {
	var listed []dixa.Conversation
	for _, id := range append([]string{t.row.EndUserID}, t.user.Others...) { // earlier versions of this tool treated people who share an identifier as one person
		more, err := l.lists.do(id, func() ([]dixa.Conversation, error) {
			all, err := l.s.API.ListConversations(ctx, id)
			if err != nil {
				return nil, err
			}
			return l.s.Candidates(ctx, all)
		})
		if err != nil {
			return nil, err
		}
		listed = append(listed, more...)
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

// sameStart reports whether a conversation and the transcript began at the same time.
func (t *task) sameStart(c dixa.Conversation) bool {
	var created time.Time
	if t.transcript != nil {
		created = t.transcript.CreatedAt
	}
	return c.CreatedAt.Equal(created)
}

// namesOf returns the external ids in a conversation's messages, usually one or none.
func (l *searcher) namesOf(ctx context.Context, c dixa.Conversation) ([]string, error) {
	if read, ok := l.known.get(c.ID); ok {
		return read.Names, nil
	}
	read, err := l.readContents(ctx, c)
	return read.Names, err
}

// readContents reads the messages of a conversation. If it has none yet, it returns errNoMessages.
func (l *searcher) readContents(ctx context.Context, c dixa.Conversation) (shape.Contents, error) {
	return l.reads.do(c.ID, func() (shape.Contents, error) {
		messages, err := l.s.API.ListMessages(ctx, c.ID)
		if err != nil {
			return shape.Contents{}, err
		}
		if len(messages) == 0 {
			return shape.Contents{}, errNoMessages
		}
		read := shape.ContentsOf(messages)
		l.known.put(c.ID, read)
		return read, nil
	})
}
