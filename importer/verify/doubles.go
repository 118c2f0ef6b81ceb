package verify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"

	"dixa-import/dixa"
	"dixa-import/importer/internal/reading"
	"dixa-import/importer/internal/session"
	"dixa-import/importer/internal/shape"
)

// doubles holds the state of the search for conversations that are not in the checkpoint. It lists each end-user's conversations once.
type doubles struct {
	seen     *reading.IDSet // end-users whose list was requested; only the goroutine that reads uses it
	listed   atomic.Int64   // end-users
	unlisted atomic.Int64   // end-users whose conversations could not be listed
	unread   atomic.Int64   // possible second conversations whose messages could not be read
}

// needsList reports whether this comparison is the first of its end-user, and so lists the end-user's conversations.
func (d *doubles) needsList(c *comparison) bool {
	return c.row.EndUserID != "" && !d.seen.Add(c.row.EndUserID)
}

// findDoubles returns the transcripts of this source for which the end-user has a conversation that is not in the checkpoint.
func (v *Verifier) findDoubles(endUserID string) ([]Differing, error) {
	listed, err := v.s.API.ListConversations(v.s.Working, endUserID)
	switch {
	case v.s.Working.Err() != nil:
		return nil, session.ErrStopped
	case session.HasStatus(err, http.StatusUnauthorized), session.HasStatus(err, http.StatusForbidden) && v.opts.DoublesOnly:
		return nil, session.Advise(err, "to find second conversations, the token must be allowed to list end-users' conversations: put such a token into dixa.token")
	case err != nil:
		v.doubles.unlisted.Add(1)
		return nil, nil //nolint:nilerr // it is counted
	}
	v.doubles.listed.Add(1)
	held, others, err := v.splitHeld(listed)
	if err != nil || len(others) == 0 {
		return nil, err
	}
	seconds := map[string][]second{} // by transcript
	for _, c := range others {
		id, byContent, err := v.transcriptOf(c, held)
		if err != nil {
			return nil, err
		}
		if id != "" {
			seconds[id] = append(seconds[id], second{c.ID, byContent})
		}
	}
	return v.differingFrom(seconds)
}

// second is a conversation of a transcript that is not in the checkpoint.
type second struct {
	conversation int64
	byContent    bool // identified by its messages, because it has no external ids
}

// splitHeld separates the conversations in the checkpoint from the others that may have been imported.
func (v *Verifier) splitHeld(listed []dixa.Conversation) (held, others []dixa.Conversation, err error) {
	known, err := v.s.Held(v.s.Working, listed)
	for _, c := range listed {
		switch {
		case known[c.ID]:
			held = append(held, c)
		case c.MayBeImported():
			others = append(others, c)
		}
	}
	return held, others, err
}

// transcriptOf returns the transcript of this source that a conversation contains: the one that its messages name, or, if they have no
// external ids, the one of a conversation in the checkpoint with the same messages. The id is "" if there is no such transcript.
func (v *Verifier) transcriptOf(c dixa.Conversation, held []dixa.Conversation) (id string, byContent bool, err error) {
	messages, err := v.messagesOf(c.ID)
	if err != nil || len(messages) == 0 {
		return "", false, err
	}
	unnamed := true
	for _, m := range messages {
		if name, ok := shape.TranscriptOf(m); ok {
			if id, ours := strings.CutPrefix(name, v.s.ExternalID("")); ours {
				return id, false, nil
			}
		}
		unnamed = unnamed && m.ExternalID == ""
	}
	if !unnamed {
		return "", false, nil
	}
	for _, h := range held {
		if !h.CreatedAt.Equal(c.CreatedAt.Time) {
			continue
		}
		first, err := v.messagesOf(h.ID)
		if err != nil {
			return "", false, err
		}
		if slices.EqualFunc(messages, first, sameMessage) {
			id, err = v.holderOf(h.ID)
			return id, true, err
		}
	}
	return "", false, nil
}

// sameMessage reports whether two messages without external ids are identical, as after a second import.
func sameMessage(a, b dixa.Message) bool {
	return a.ExternalID == "" && b.ExternalID == "" && a.CreatedAt.Equal(b.CreatedAt.Time) &&
		a.Attributes.Direction == b.Attributes.Direction && a.Attributes.Content == b.Attributes.Content
}

// messagesOf returns the messages of a conversation, none if it is gone or could not be read. It counts unreadable ones.
func (v *Verifier) messagesOf(id int64) ([]dixa.Message, error) {
	messages, err := v.s.API.ListMessages(v.s.Working, id)
	switch {
	case v.s.Working.Err() != nil:
		return nil, session.ErrStopped
	case session.HasStatus(err, http.StatusUnauthorized):
		return nil, session.FatalAnswer(err)
	case session.HasStatus(err, http.StatusNotFound):
		return nil, nil
	case err != nil:
		v.doubles.unread.Add(1)
		return nil, nil //nolint:nilerr // it is counted
	}
	return messages, nil
}

func (v *Verifier) holderOf(conversation int64) (id string, err error) {
	err = v.s.Patiently(v.s.Working, "read the checkpoint", func(ctx context.Context) error {
		holders, err := v.s.Store.Holders(ctx, v.s.Source, []int64{conversation})
		id = holders[conversation]
		return err
	})
	return id, err
}

// differingFrom returns the differences of transcripts that have these conversations besides the ones in the checkpoint.
func (v *Verifier) differingFrom(seconds map[string][]second) ([]Differing, error) {
	if len(seconds) == 0 {
		return nil, nil
	}
	ids := make([]string, 0, len(seconds))
	for id := range seconds {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	rows, err := v.s.Lookup(v.s.Working, ids...)
	if err != nil {
		if v.s.Working.Err() != nil {
			err = errors.Join(session.ErrStopped, err)
		}
		return nil, err
	}
	out := make([]Differing, 0, len(ids))
	for _, id := range ids {
		conversations := seconds[id]
		slices.SortFunc(conversations, func(a, b second) int { return cmp.Compare(a.conversation, b.conversation) })
		d := Differing{ID: id, ConversationID: rows[id].ConversationID}
		if d.ConversationID == 0 { // the checkpoint has none
			d.ConversationID, conversations = conversations[0].conversation, conversations[1:]
			d.Differences = append(d.Differences, Difference{Kind: DiffNotRecorded, Other: d.ConversationID,
				Detail: "the checkpoint does not hold this conversation, which is this transcript"})
		}
		for _, other := range conversations {
			detail := "conversation %d is this transcript, too"
			if other.byContent {
				detail = "conversation %d has the same messages at the same times, and Dixa returns no external ids: it is this transcript, too, or another one that is the same"
			}
			d.Differences = append(d.Differences, Difference{Kind: DiffDouble, Other: other.conversation, Detail: fmt.Sprintf(detail, other.conversation)})
		}
		out = append(out, d)
	}
	return out, nil
}
