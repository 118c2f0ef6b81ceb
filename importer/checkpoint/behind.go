package checkpoint

import (
	"context"
	"errors"

	"github.com/google/uuid"
)

// The commands of runs that tell of a checkpoint that may know less than Dixa.
const (
	CommandBackup  = "backup"  // it was restored from a backup
	CommandReclaim = "reclaim" // it was used again after another database had taken its place
)

// OutcomeLost is the outcome of a run that found, or tells, that Dixa may have more of the source than the checkpoint knows.
const OutcomeLost = "lost"

var (
	readBound  = both(`select source from dixa_import.sources order by source`)
	renewMark  = both(`update dixa_import.sources set mark_id = $2::text, mark_end_user_id = null where source = $1::text and mark_id is not null`)
	recordLost = both(`insert into dixa_import.runs (source, command, started_at, finished_at, outcome, lease_until)
		values ($1::text, $2::text, {in $3}, {in $3}, '` + OutcomeLost + `', {in $3})`)
)

// behind returns the statements that make every source look in Dixa before it sends, until a run over the whole source has done so. The mark
// of each source gets a new id, so that a checkpoint that still has the earlier one notices when this one takes over.
func (s *Store) behind(ctx context.Context, command string) (list []statement, err error) {
	read := readBound.with()
	read.row = func(row scanner) error {
		var source string
		if err := row.Scan(&source); err != nil {
			return err
		}
		list = append(list, renewMark.with(source, uuid.NewString()), recordLost.with(source, command, present))
		return nil
	}
	err = s.read(ctx, "read", read)
	return list, err
}

// Reclaim makes a checkpoint usable again that was moved to another database, or is being copied to one. What the other has imported since
// is unknown to it, so each source gets a new mark, and its first run must look in Dixa before every send. It returns the copy that it
// gave up.
func (s *Store) Reclaim(ctx context.Context) (CopyRecord, error) {
	if err := s.hold(); err != nil {
		return CopyRecord{}, err
	}
	r, err := s.Copying(ctx)
	switch {
	case err != nil:
		return r, err
	case r.State == noSuchCopy:
		return r, errors.New("this checkpoint was not moved: there is nothing to reclaim")
	case r.State == CopyTo:
		return r, r.moved()
	}
	shapes, err := s.shapes(ctx)
	if err != nil {
		return r, err
	}
	statements := s.lift(names(shapes))
	if r.State == CopyMoved {
		behind, err := s.behind(ctx, CommandReclaim)
		if err != nil {
			return r, err
		}
		statements = append(statements, behind...)
	}
	return r, s.write(ctx, "reclaim", append(statements, saveCopy.with(r.ID, string(copyGiven), r.Other, present))...)
}
