package checkpoint

import (
	"context"
	"time"
)

// Backlog is what is stored of a source's events.
type Backlog struct {
	Counts map[EventState]int64
	Oldest time.Time // when the oldest event that is EventWaiting was received; zero if there is none
}

// StepCount counts the steps of one kind that are in one state.
type StepCount struct {
	Name  StepName
	State StepState
	Count int64
}

var (
	lastSuccess = both(`select {at max(finished_at)} from dixa_import.runs where source = $1::text and command = 'run' and outcome = 'ok'`)
	countSteps  = both(`select step, state, count(*) from dixa_import.steps where source = $1::text group by step, state order by step, state`)
	// A source has no index by these: callers cache what they get.
	countHandovers = both(`select source, handover_state, coalesce(queue_id, ''), coalesce(closed_by, ''), count(*) from dixa_import.transcripts
		where handover_state is not null and ($1::text = '' or source = $1::text) group by source, handover_state, queue_id, closed_by order by 1, 2, 5 desc, 3, 4`)
	countBacklog = both(`select state, count(*), {at min(case when state = 'waiting' then received_at end)} from dixa_import.events
		where source = $1::text group by state`)
)

// LastSuccess returns when the last run of a source ended with the outcome ok, zero if none has. Retries do not count.
func (s *Store) LastSuccess(ctx context.Context, source string) (at time.Time, err error) {
	read := lastSuccess.with(source)
	read.row = func(row scanner) error { return row.Scan(instant{&at}) }
	err = s.read(ctx, "read", read)
	return at, err
}

// StepCounts counts the recorded steps of a source's transcripts.
func (s *Store) StepCounts(ctx context.Context, source string) (list []StepCount, err error) {
	read := countSteps.with(source)
	read.row = func(row scanner) error {
		var c StepCount
		err := row.Scan(&c.Name, &c.State, &c.Count)
		list = append(list, c)
		return err
	}
	err = s.read(ctx, "count", read)
	return list, err
}

// HandoverTotal counts the conversations in one state of the hand-over: waiting, assigned or closed.
type HandoverTotal struct {
	Source   string `json:"source"`
	State    string `json:"state"`
	QueueID  string `json:"queue_id,omitempty"`
	ClosedBy string `json:"closed_by,omitempty"` // the agent
	Count    int64  `json:"count"`
}

// Handovers counts the transcripts of a source that were handed over, of all sources if it is "".
func (s *Store) Handovers(ctx context.Context, source string) (list []HandoverTotal, err error) {
	read := countHandovers.with(source)
	read.row = func(row scanner) error {
		var t HandoverTotal
		err := row.Scan(&t.Source, &t.State, &t.QueueID, &t.ClosedBy, &t.Count)
		list = append(list, t)
		return err
	}
	err = s.read(ctx, "count", read)
	return list, err
}

// Backlog returns what is stored of the events of a source's transcripts.
func (s *Store) Backlog(ctx context.Context, source string) (Backlog, error) {
	b := Backlog{Counts: map[EventState]int64{}}
	read := countBacklog.with(source)
	read.row = func(row scanner) error {
		var state EventState
		var n int64
		var oldest time.Time
		err := row.Scan(&state, &n, instant{&oldest})
		b.Counts[state] = n
		if !oldest.IsZero() {
			b.Oldest = oldest
		}
		return err
	}
	return b, s.read(ctx, "count", read)
}
