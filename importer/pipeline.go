package importer

import (
	"sync"
	"sync/atomic"
	"time"

	"dixa-import/importer/checkpoint"
	"dixa-import/importer/internal/batch"
	"dixa-import/importer/internal/mark"
	"dixa-import/importer/internal/people"
	"dixa-import/importer/internal/reading"
	"dixa-import/importer/internal/session"
)

// pipeline takes claimed transcripts through their steps, many at a time. What reads, triages and selects is the Importer's.
type pipeline struct {
	s     *session.Session
	tally *tally
	times stepTimes

	matcher          *people.Matcher
	users            *people.Resolver
	refusals         *refusals
	writes           *batch.Group[[]checkpoint.Change, writeResult] // see write
	searcher         *searcher
	learning         *learning // what looks can see
	gate             *mark.Gate
	unmarked         unmarked
	first            firstRun
	isFirstRun       bool        // no run of the source has come to its end yet
	unsearched       atomic.Bool // a transcript that was to be looked for could not be, and waits for the next run
	checkpointBehind atomic.Bool // the checkpoint knows less than Dixa, as an earlier run or this one has found out
	waitLogged       sync.Once

	started     time.Time
	memory      *reading.Memory
	backlog     backlog // records that wait for another run, or for a transcript of this one
	tasks       sync.WaitGroup
	workerSlots chan struct{} // one for each busy worker
	aheadSlots  chan struct{} // one for each task that is made ready for the workers
	ready       atomic.Int64  // tasks that wait for a worker
	openSlots   chan struct{} // one for each task that is not settled
	inFlight    atomic.Int64
	doubts      atomic.Int64
	reading     atomic.Bool // there may be more to begin
}

func newPipeline(s *session.Session, n *tally) *pipeline {
	p := &pipeline{
		s: s, tally: n, matcher: people.NewMatcher(s.Config), memory: reading.NewMemory(),
		workerSlots: make(chan struct{}, s.Workers), aheadSlots: make(chan struct{}, aheadCapacity(s.Workers)),
		openSlots: make(chan struct{}, s.Workers+aheadCapacity(s.Workers)+maxWaiting),
	}
	p.writes = batch.New(writeBatch, p.write)
	p.gate = mark.NewGate(s, p.continueUnmarked, func() { p.checkpointBehind.Store(true) })
	return p
}

// moreToCome reports whether other transcripts are on their way, of which something may be learnt.
func (p *pipeline) moreToCome() bool {
	return p.inFlight.Load() > p.learning.waiting.Load()+p.refusals.waiting() || p.reading.Load() && len(p.openSlots) < cap(p.openSlots)
}
