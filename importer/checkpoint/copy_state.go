package checkpoint

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// CopyState is how far a copy of a checkpoint is, in one of its two databases.
type CopyState string

// The states of copies. In the first three the database refuses every write to its tables, with a *MovedError.
const (
	CopyFrom   CopyState = "copying from" // it is being copied to another database
	CopyTo     CopyState = "copying to"   // it is an unfinished copy
	CopyMoved  CopyState = "moved"        // another database has taken its place
	copyDone   CopyState = "done"         // it is the finished copy of another database
	copyGiven  CopyState = "given up"     // it is usable again
	noSuchCopy CopyState = ""
)

// CopyRecord is what a database knows of a copy. Both databases of a copy have one, with the same id.
type CopyRecord struct {
	ID        string
	State     CopyState
	Other     string // the other database, as it may be shown
	StartedAt time.Time
}

// MovedError says that a checkpoint may not be used, because its contents are in another database, or are on the way from or to it.
type MovedError struct{ text string }

func (e *MovedError) Error() string { return e.text }

// moved returns why the checkpoint may not be used, nil if it may.
func (r CopyRecord) moved() error {
	at := r.StartedAt.UTC().Format("2006-01-02 15:04 MST")
	switch r.State {
	case CopyMoved:
		return &MovedError{fmt.Sprintf("this checkpoint was moved to %s (%s), which has the transcripts that were imported since: set `database` to that one. "+
			"To go back, copy that one to this one; if it is lost, `dixa-import checkpoint reclaim` makes this one usable again", r.Other, at)}
	case CopyFrom:
		return &MovedError{fmt.Sprintf("this checkpoint is being copied to %s (since %s): finish that with `dixa-import checkpoint copy --to` and the same address, "+
			"or give it up with `dixa-import checkpoint reclaim`", r.Other, at)}
	case CopyTo:
		return &MovedError{fmt.Sprintf("this checkpoint is an unfinished copy of %s (since %s): finish it with `dixa-import checkpoint copy`, with the configuration of that one", r.Other, at)}
	}
	return nil
}

var (
	createCopies = query{`create table if not exists dixa_import.copies (
			id         text collate "C" primary key,
			state      text not null,
			other      text not null, -- the other database, without user and password
			started_at timestamptz not null
		)`, `create table if not exists copies (
			id         text primary key,
			state      text not null,
			other      text not null, -- the other database, without user and password
			started_at text not null
		) without rowid`}
	haveCopies = apart(`select to_regclass('dixa_import.copies') is not null`, `select exists (select 1 from sqlite_master where type = 'table' and name = 'copies')`)
	readCopies = both(`select id, state, other, {at started_at} from dixa_import.copies order by started_at, id`)
	saveCopy   = both(`insert into dixa_import.copies (id, state, other, started_at) values ($1::text, $2::text, $3::text, {in $4})
		on conflict (id) do update set state = excluded.state`)
	dropCopy = both(`delete from dixa_import.copies where id = $1::text`)
	// A lease that a killed process has left behind ends by itself.
	readAlive = both(`select id, command from dixa_import.runs where finished_at is null and lease_until > {in $1} order by id`)
)

// copies returns the copies that the database took part in, the earliest first.
func (s *Store) copies(ctx context.Context) (list []CopyRecord, err error) {
	there := false
	have := haveCopies.with()
	have.row = func(row scanner) error { return row.Scan(&there) }
	if err := s.read(ctx, "read", have); err != nil || !there {
		return nil, err
	}
	read := readCopies.with()
	read.row = func(row scanner) error {
		var r CopyRecord
		err := row.Scan(&r.ID, &r.State, &r.Other, instant{&r.StartedAt})
		list = append(list, r)
		return err
	}
	err = s.read(ctx, "read", read)
	return list, err
}

// Copying returns the copy because of which the checkpoint may not be used, the zero CopyRecord if it may.
func (s *Store) Copying(ctx context.Context) (CopyRecord, error) {
	list, err := s.copies(ctx)
	if err != nil {
		return CopyRecord{}, err
	}
	for _, r := range list {
		if slices.Contains([]CopyState{CopyFrom, CopyTo, CopyMoved}, r.State) {
			return r, nil
		}
	}
	return CopyRecord{}, nil
}

// CheckMoved returns a *MovedError if the checkpoint may not be used.
func (s *Store) CheckMoved(ctx context.Context) error {
	r, err := s.Copying(ctx)
	if err != nil {
		return err
	}
	return r.moved()
}
