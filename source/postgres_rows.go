package source

import (
	"context"
	"crypto/sha256"
	"errors"
	"strconv"
	"time"

	"dixa-import/source/internal/jq"
)

// OpenPostgresMapped connects and checks the query, whose rows may have any columns: a mapping makes transcripts of them. All rows are read, in one
// read-only transaction and as fast as they come, and gathered on disk where the mapping groups them. Close the reader when it is no longer needed.
func OpenPostgresMapped(ctx context.Context, config PostgresConfig, m Mapping) (*Mapped, error) {
	mapper, err := m.compile(jq.Limits{})
	if err != nil {
		return nil, err
	}
	if mapper == nil {
		return nil, errNothingToMap
	}
	s, err := newPostgres(config)
	if err != nil {
		return nil, err
	}
	if s.query.usesSince() {
		return nil, errors.New("@since cannot be used with a format or a transform, which need all rows of a chat: remove it from the query")
	}
	if err := s.each(ctx, "", s.rowsAsJSON("limit 0"), nil, nil, func([][]byte) bool { return true }); err != nil {
		s.Close()
		return nil, s.failure("check the query", err)
	}
	files := &JSONL{now: s.config.Now, zone: s.config.TimeZone, logger: s.config.Logger, shape: &mapper.shape}
	return &Mapped{JSONL: files, mapper: mapper, postgres: s}, nil
}

func (s *Postgres) rowsAsJSON(rest string) string {
	sql, _ := s.wrap("row_to_json(t)::text", rest, time.Time{})
	return sql
}

// frames calls visit with each row as a JSON object, and reports whether that ended it.
func (s *Postgres) frames(ctx context.Context, visit func(frame) bool) (stopped bool, err error) {
	s.done.Store(0)
	err = s.each(ctx, "", s.rowsAsJSON(""), nil, nil, func(values [][]byte) bool {
		s.done.Add(1)
		f := frame{data: values[0], hash: sha256.Sum256(values[0])}
		f.place = Place{Path: postgresPath, Key: f.hash.String()[:contentDigits]}
		if _, err := jq.Parse(f.data); err != nil {
			f.failure = invalidJSON(f.data)
		}
		stopped = !visit(f)
		return !stopped
	})
	if err != nil && ctx.Err() == nil {
		err = s.failure("read row "+strconv.FormatInt(s.done.Load()+1, 10), err)
	}
	return stopped, err
}

// Close closes the connections to the database, if there is one.
func (s *Mapped) Close() {
	if s.postgres != nil {
		s.postgres.Close()
	}
}

// Progress implements Reader.
func (s *Mapped) Progress() Progress {
	if s.postgres != nil {
		return Progress{Done: s.postgres.done.Load(), Unit: "rows"}
	}
	return s.JSONL.Progress()
}
