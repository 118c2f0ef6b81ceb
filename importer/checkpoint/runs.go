package checkpoint

import (
	"math"
	"time"
)

// runCounts are the columns of runs that a Beat sets, in the order of its values.
const runCounts = `read, imported, partial, failed, rejected, skipped, already_done, duplicate, in_doubt, pending, requests, throttled`

// values returns the figures of a Beat in the order of runCounts.
func (b Beat) values() []any {
	c := b.Counts
	return []any{c.Read, c.Imported, c.Partial, c.Failed, c.Rejected, c.Skipped, c.AlreadyDone, c.Duplicate, c.InDoubt, c.Pending,
		c.Requests, b.Throttled}
}

// fields returns pointers to the figures of a run in the order of runCounts.
func (r *Run) fields() []any {
	c := &r.Counts
	return []any{&c.Read, &c.Imported, &c.Partial, &c.Failed, &c.Rejected, &c.Skipped, &c.AlreadyDone, &c.Duplicate, &c.InDoubt,
		&c.Pending, &c.Requests, &r.Throttled}
}

// sampleCounts are the columns of run_samples, which are columns of runs too.
const sampleCounts = `imported, partial, failed, rejected, requests, throttled`

func (s *Sample) fields() []any {
	return []any{&s.Imported, &s.Partial, &s.Failed, &s.Rejected, &s.Requests, &s.Throttled}
}

// stored returns the steps with their names as they are stored. Of two with one name, the last counts.
func (b Beat) stored() []StepTime {
	var steps []StepTime
	at := map[string]int{}
	for _, s := range b.Steps {
		s.Name = clean(s.Name)
		if i, ok := at[s.Name]; ok {
			steps[i] = s
			continue
		}
		at[s.Name] = len(steps)
		steps = append(steps, s)
	}
	return steps
}

// toMillis and fromMillis turn durations into what the databases hold, and back, to the microsecond.
func toMillis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func fromMillis(ms float64) time.Duration {
	return time.Duration(math.Round(ms*1000)) * time.Microsecond
}
