package importer

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"dixa-import/importer/checkpoint"
)

// stepCommit is the name of the time spent in checkpoint transactions. The times of the steps that wait for them include it.
const stepCommit = "write the checkpoint"

// stepTimes measures the time spent in each step, by name.
type stepTimes struct {
	mu sync.Mutex
	by map[string]checkpoint.StepTime
}

func (s *stepTimes) add(name string, took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.by == nil {
		s.by = map[string]checkpoint.StepTime{}
	}
	t := s.by[name]
	s.by[name] = checkpoint.StepTime{Name: name, Count: t.Count + 1, Total: t.Total + took, Max: max(t.Max, took)}
}

// list returns the times, sorted by name.
func (s *stepTimes) list() []checkpoint.StepTime {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.SortedFunc(maps.Values(s.by), func(a, b checkpoint.StepTime) int { return cmp.Compare(a.Name, b.Name) })
}

// beat returns the progress that the heartbeat stores in the checkpoint.
func (im *Importer) beat() checkpoint.Beat {
	return checkpoint.Beat{Counts: im.pipeline.counts(), Throttled: im.s.API.Stats().Throttled, Changed: im.tally.changed.Load(), Grown: im.tally.grown.Load(), Steps: im.pipeline.times.list()}
}
