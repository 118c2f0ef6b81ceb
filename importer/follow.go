package importer

import (
	"context"
	"net/http"
	"slices"
	"time"

	"dixa-import/dixa"
	"dixa-import/importer/checkpoint"
	"dixa-import/importer/internal/people"
	"dixa-import/importer/internal/session"
	"dixa-import/importer/internal/shape"
)

// followedImport is an import whose latest possible time of effect is known.
type followedImport struct {
	name         string // the transcript's external id in Dixa
	conversation int64
	endUserID    string
	messages     int       // messages sent; 0: not known
	since        time.Time // the conversation exists since then at the latest
}

// followImport follows an import that Dixa has just confirmed, unless enough is known.
func (l *learning) followImport(t *task, conversation int64) {
	since := time.Now()
	if l.enough() {
		return
	}
	l.follow(followedImport{name: l.s.ExternalID(t.key), conversation: conversation, endUserID: t.row.EndUserID,
		messages: len(t.transcript.Messages), since: since})
}

// followEarlier follows imports of earlier runs: this run may have only transcripts in doubt.
func (l *learning) followEarlier(ctx context.Context) {
	for _, k := range l.latestImports(ctx) {
		l.follow(followedImport{name: l.s.ExternalID(k.ID), conversation: k.ConversationID, endUserID: k.EndUserID, since: time.Now().Add(-k.Age)})
	}
}

func (l *learning) latestImports(ctx context.Context) (list []checkpoint.KnownImport) {
	err := l.s.Patiently(ctx, "read the checkpoint", func(ctx context.Context) (err error) {
		list, err = l.s.Store.LatestImports(ctx, l.s.Source, maxFollowers)
		return err
	})
	if err != nil && ctx.Err() == nil {
		l.s.Log.Warn("could not read the latest imports", "error", err.Error())
	}
	return list
}

func (l *learning) follow(f followedImport) {
	l.mu.Lock()
	took := l.following.Err() == nil && l.imports.reserve()
	l.mu.Unlock()
	if !took {
		return
	}
	l.tasks.Go(func() {
		l.followUntilKnown(f)
		l.mu.Lock()
		l.imports.active--
		l.mu.Unlock()
	})
}

// followUntilKnown reads a conversation and looks for it in the list of its end-user until both have been seen, at growing intervals.
func (l *learning) followUntilKnown(f followedImport) {
	read, listed, missed := false, false, false
	recent := time.Since(f.since) <= l.s.LearnPatience // an older one may have been deleted
	for pause := l.s.Settle / firstPollDivisor; ; pause *= 2 {
		facts := l.known()
		if read = read || facts.ExternalIDs != checkpoint.IDsUnknown; !read {
			read = l.readBack(f)
		}
		if !listed {
			listed = l.checkList(f, &missed)
		}
		if read && listed {
			return
		}
		if age := time.Since(f.since); age > l.s.LearnPatience {
			if missed && !listed && recent {
				l.noteUnlisted(f, age)
			}
			return
		}
		if !session.Pause(l.following, pause) {
			return
		}
	}
}

// noteUnlisted records for how long an existing conversation has been missing from the list.
func (l *learning) noteUnlisted(f followedImport, age time.Duration) {
	if _, err := l.s.API.ListMessages(l.following, f.conversation); err != nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unlisted = max(l.unlisted, age)
}

// readBack reads the messages of a conversation that is known to be a transcript, and reports whether there is nothing more to learn from
// them.
func (l *learning) readBack(f followedImport) bool {
	messages, err := l.s.API.ListMessages(l.following, f.conversation)
	switch {
	case session.Denied(err):
		l.mu.Lock()
		l.noReading = true
		l.mu.Unlock()
		return true
	case err != nil:
		return session.HasStatus(err, http.StatusNotFound)
	}
	r := shape.ContentsOf(messages)
	switch {
	case slices.Contains(r.Names, f.name):
		l.note(checkpoint.Facts{ExternalIDs: checkpoint.IDsReturned})
		return true
	case len(messages) == 0 || len(messages) < f.messages: // not all of them are visible yet
		return false
	}
	l.note(checkpoint.Facts{ExternalIDs: checkpoint.IDsWithheld})
	return true
}

// checkList looks for a conversation in the list of its end-user, and reports whether there is nothing more to learn from it. It sets
// missed if the list does not have it.
func (l *learning) checkList(f followedImport, missed *bool) bool {
	began := time.Now()
	list, err := l.s.API.ListConversations(l.following, f.endUserID)
	age := l.lagBetween(f.since, began)
	switch {
	case session.Denied(err):
		l.mu.Lock()
		l.noLists = true
		l.mu.Unlock()
		return true
	case err != nil:
		return session.HasStatus(err, http.StatusNotFound)
	}
	for _, c := range list {
		if c.ID != f.conversation {
			continue
		}
		if *missed || age <= l.s.Settle { // otherwise it may have been listed long ago
			l.note(checkpoint.Facts{ListLag: &age})
		}
		return true
	}
	*missed = true
	return false
}

// creation is an end-user that this run created.
type creation struct {
	id    string
	by    checkpoint.Identifier
	since time.Time
}

// noteCreated records an end-user that Dixa has just created, and follows it if the lag of look-ups is needed.
func (l *learning) noteCreated(id string, by checkpoint.Identifier) {
	l.mu.Lock()
	l.latest = creation{id, by, time.Now()}
	needed := l.lookUpLagNeeded
	l.mu.Unlock()
	if needed {
		l.followCreation()
	}
}

// needLookUpLag says that the lag of look-ups is needed from now on.
func (l *learning) needLookUpLag() {
	l.mu.Lock()
	l.lookUpLagNeeded = true
	l.mu.Unlock()
	l.followCreation()
}

// followCreation looks up the end-user that was created last until it is found, unless the lag of look-ups is known.
func (l *learning) followCreation() {
	l.mu.Lock()
	made := l.latest
	took := made.id != "" && l.facts.LookUpLag == nil && l.following.Err() == nil && l.creations.reserve()
	if took {
		l.latest = creation{}
	}
	l.mu.Unlock()
	if !took {
		return
	}
	l.tasks.Go(func() {
		defer func() {
			l.mu.Lock()
			l.creations.active--
			l.mu.Unlock()
		}()
		missed := false
		for pause := l.s.Settle / firstPollDivisor; time.Since(made.since) <= l.s.LearnPatience && l.known().LookUpLag == nil; pause *= 2 {
			began := time.Now()
			users, err := l.s.API.FindEndUsers(l.following, people.LookUpBy[made.by.Kind], made.by.Value)
			age := l.lagBetween(made.since, began)
			if err == nil && slices.ContainsFunc(people.OwnersOf(users, made.by), func(e dixa.EndUser) bool { return e.ID == made.id }) {
				if missed || age <= l.s.Settle {
					l.note(checkpoint.Facts{LookUpLag: &age})
				}
				return
			}
			missed = missed || err == nil
			if session.Denied(err) || !session.Pause(l.following, pause) {
				return
			}
		}
	})
}

// returnsExternalIDs reports whether Dixa returns external ids. If only earlier runs have seen that, it first checks, once per run, a known
// conversation.
func (l *learning) returnsExternalIDs(ctx context.Context) bool {
	if l.known().ExternalIDs != checkpoint.IDsReturned {
		return false
	}
	l.confirmOnce.Do(func() {
		l.mu.Lock()
		confirmed := l.confirmed
		l.mu.Unlock()
		if confirmed {
			return
		}
		for _, k := range l.latestImports(ctx) {
			if l.readBack(followedImport{name: l.s.ExternalID(k.ID), conversation: k.ConversationID, messages: 1}) {
				return
			}
		}
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.confirmed && l.facts.ExternalIDs == checkpoint.IDsReturned
}
