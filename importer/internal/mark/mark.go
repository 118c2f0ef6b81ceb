// Package mark reads and writes the mark of a source: an end-user in Dixa that is not a customer. Its display name says which checkpoint
// imports the source. A run whose checkpoint is lost or wrong finds the mark before it sends anything.
package mark

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"

	"github.com/google/uuid"

	"dixa-import/dixa"
	"dixa-import/importer/checkpoint"
	"dixa-import/importer/internal/session"
)

const prefix = "dixa-import/"

// Name returns the external id of a source's mark.
func Name(source string) string { return prefix + source }

// Display returns the display name of a source's mark, which agents see and Of parses. id is the checkpoint's.
func Display(source, id string) string {
	return fmt.Sprintf("dixa-import: source %s, checkpoint %s. Do not delete.", source, id)
}

var text = regexp.MustCompile(`^\s*dixa-import: source ([a-z0-9._-]+), checkpoint ([0-9a-fA-F-]{36})\b`)

// Of returns the id of the checkpoint that an end-user names as a mark, "" if the end-user is not a mark.
func Of(e dixa.EndUser) string {
	found := text.FindStringSubmatch(e.DisplayName)
	if found == nil || e.ExternalID != Name(found[1]) {
		return ""
	}
	id, err := uuid.Parse(found[2])
	if err != nil {
		return ""
	}
	return id.String()
}

// State says whose mark of a source is in Dixa.
type State string

// The states of a mark.
const (
	Absent     State = "absent"
	Ours       State = "ours"
	Others     State = "another checkpoint's"
	Unreadable State = "unreadable" // its display name is not that of a mark
	Unknown    State = "unknown"    // it could not be looked up
)

// Mark is the result of a look-up of a source's mark.
type Mark struct {
	State      State
	Checkpoint string // the id that it names, if it can be read
	EndUserID  string // of the end-user that is the mark
	Cause      error  // why it is Unknown, or could not be created
}

// Err returns why a run must not send with this mark, nil if it may.
func (m Mark) Err(source string) error {
	switch m.State {
	case Others:
		return &LostCheckpointError{Source: source, Mark: m.Checkpoint}
	case Unreadable:
		return &NameError{Source: source}
	case Unknown:
		return m.Cause
	}
	return nil
}

// NameError says that an end-user has the external id of a source's mark, but not the display name of a mark.
type NameError struct{ Source string }

func (e *NameError) Error() string {
	return fmt.Sprintf("the end-user with external id %s in Dixa does not name a checkpoint: either it is the mark of this source and somebody has renamed it, or it is a "+
		"customer; so nothing shows whether another checkpoint imports source %s. Rename it to `%s` if you know the id, or give it another external id; "+
		"or run with --reconcile, which looks in Dixa before every send and then leaves a mark of its own", Name(e.Source), e.Source, Display(e.Source, "ID"))
}

// Look asks Dixa for the mark of a source. The function that it returns says whose mark it is, given the checkpoint's own. It writes nothing.
func Look(ctx context.Context, api session.API, source string) (whose func(own checkpoint.SourceMark) Mark) {
	bearers, err := Find(ctx, api, source)
	return func(own checkpoint.SourceMark) Mark {
		if err != nil {
			return Mark{State: Unknown, Cause: err}
		}
		return Judge(bearers, own)
	}
}

// Find returns the end-users that have the external id of the mark, oldest first.
func Find(ctx context.Context, api session.API, source string) ([]dixa.EndUser, error) {
	name := Name(source)
	found, err := api.FindEndUsers(ctx, dixa.ByExternalID, name)
	if err != nil {
		return nil, fmt.Errorf("look for the mark of the source: %w", err)
	}
	found = slices.DeleteFunc(found, func(e dixa.EndUser) bool { return e.ID == "" || e.ExternalID != name })
	slices.SortFunc(found, func(a, b dixa.EndUser) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt.Time), cmp.Compare(a.ID, b.ID))
	})
	return found, nil
}

// Judge decides which of the bearers, oldest first, is the mark: the first whose name can be read. If there is none, one that this
// checkpoint created and somebody has renamed since is still ours: another checkpoint would have written its own id.
func Judge(bearers []dixa.EndUser, own checkpoint.SourceMark) Mark {
	for _, e := range bearers {
		if id := Of(e); id != "" {
			m := Mark{State: Others, Checkpoint: id, EndUserID: e.ID}
			if id == own.ID {
				m.State = Ours
			}
			return m
		}
	}
	for _, e := range bearers {
		if own.EndUserID == e.ID {
			return Mark{State: Ours, Checkpoint: own.ID, EndUserID: e.ID}
		}
	}
	if len(bearers) > 0 {
		return Mark{State: Unreadable, EndUserID: bearers[0].ID}
	}
	return Mark{State: Absent}
}
