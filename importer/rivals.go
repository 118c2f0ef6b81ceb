package importer

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"dixa-import/importer/checkpoint"
	"dixa-import/importer/internal/rules"
	"dixa-import/importer/internal/session"
	"dixa-import/importer/internal/shape"
	"dixa-import/source"
)

// doubtful holds the transcripts in doubt that this run searches for, with the content that was sent; nil if that is not known.
type doubtful struct {
	mu   sync.Mutex
	sent map[string]*source.Transcript
}

// enter adds a transcript, and returns a function that removes it.
func (d *doubtful) enter(t *task) (leave func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.sent == nil {
		d.sent = map[string]*source.Transcript{}
	}
	d.sent[t.key] = nil
	if t.hasSentVersion() {
		d.sent[t.key] = t.transcript
	}
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.sent, t.key)
	}
}

func (d *doubtful) get(key string) (sent *source.Transcript, is bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	sent, is = d.sent[key]
	return sent, is
}

// hasSentVersion reports whether the task's transcript is the version that was sent, or no version was sent.
func (t *task) hasSentVersion() bool {
	return t.transcript != nil && (t.row.Status != checkpoint.Sending || rules.SameHash(t.row.ContentHash, t.rec.Hash) || t.current != nil)
}

// rivalStatuses are the statuses of transcripts that may have a conversation which the checkpoint does not have.
var rivalStatuses = []checkpoint.Status{checkpoint.Sending, checkpoint.InDoubt, checkpoint.Failed, checkpoint.Skipped}

// rivalReason returns why a conversation with the content of a transcript may belong to another transcript, or "" if it cannot: no other
// transcript with this end-user and content may be in Dixa without the checkpoint's knowledge.
func (l *searcher) rivalReason(ctx context.Context, t *task, conversation int64) (why string, err error) {
	rows, err := l.rivals(ctx, t)
	if err != nil {
		return "", err
	}
	unknown, left := map[string]checkpoint.Row{}, []checkpoint.Row{}
	for _, row := range rows {
		sent, doubt := l.inDoubt.get(row.ID)
		switch {
		case !doubt && row.ClaimedBy == l.s.RunID && row.Status == checkpoint.Sending, // its answer will decide
			doubt && (sent == nil || l.sameContent(sent, t)):
			return rivalText(conversation, row.ID), nil
		case !doubt:
			unknown[row.ID], left = row, append(left, row)
		}
	}
	if len(unknown) == 0 {
		return "", nil
	}
	for rec, err := range session.Fetch(ctx, l.s.Reader, left) {
		if errors.Is(err, source.ErrCannotReread) {
			break
		}
		if err != nil {
			return "", fmt.Errorf("read the source: %w", err)
		}
		row, ok := unknown[rec.Key()]
		other, err := rec.Transcript()
		if !ok || err != nil {
			continue
		}
		sent, is := rules.SentVersion(other, row)
		if (is || rules.SameHash(row.ContentHash, rec.Hash)) && !l.sameContent(sent, t) {
			delete(unknown, row.ID)
		}
	}
	for _, row := range left {
		if _, is := unknown[row.ID]; is {
			return rivalText(conversation, row.ID), nil
		}
	}
	return "", nil
}

func rivalText(conversation int64, other string) string {
	return fmt.Sprintf("conversation %d has the content of this transcript and no external ids, but it may be transcript %s, "+
		"which has the same end-user and may have the same content", conversation, other)
}

// rivals returns the other transcripts of the task's end-user that may have a conversation which the checkpoint does not have.
func (l *searcher) rivals(ctx context.Context, t *task) ([]checkpoint.Row, error) {
	var out []checkpoint.Row
	for after := ""; ; {
		var rows []checkpoint.Row
		err := l.s.Patiently(ctx, "read the checkpoint", func(ctx context.Context) (err error) {
			rows, err = l.s.Store.Select(ctx, l.s.Source, l.s.RunID, checkpoint.Filter{Statuses: rivalStatuses, After: after, Limit: fetchPage})
			return err
		})
		if err != nil || len(rows) == 0 {
			return out, err
		}
		after = rows[len(rows)-1].ID
		for _, row := range rows {
			sent := row.Attempts > 0 || row.Status == checkpoint.Sending || row.Status == checkpoint.InDoubt
			if sent && row.ID != t.key && row.EndUserID == t.row.EndUserID {
				out = append(out, row)
			}
		}
	}
}

// sameContent reports whether two transcripts of one end-user make the same conversation.
func (l *searcher) sameContent(other *source.Transcript, t *task) bool {
	return shape.Fingerprint("", l.s.Bot().Payload(other, "", false)) == shape.Fingerprint("", l.s.Bot().Payload(t.transcript, "", false))
}

// likenessOf returns a hash that is equal for transcripts with the same end-user and content.
func (l *searcher) likenessOf(t *task) uint64 {
	return shape.Fingerprint(t.row.EndUserID, l.s.Bot().Payload(t.transcript, "", false))
}
