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

// pipeline takes claimed transcripts through their steps, many at a time. The Importer reads, triages and selects.
type pipeline struct {
	s     *session.Session
	tally *tally
	times stepTimes

	matcher          *people.Matcher
	users            *people.Resolver
	refusals         *refusals
	writes           *batch.Group[[]checkpoint.Change, writeResult] // see write
	searcher         *searcher
	learning         *learning // what searches can see
	gate             *mark.Gate
	unmarked         unmarked
	first            firstRun
	isFirstRun       bool        // no run of the source has completed yet
	unsearched       atomic.Bool // a required search failed, so a transcript is left to the next run
	checkpointBehind atomic.Bool // Dixa has transcripts that the checkpoint does not know, as an earlier run or this one found out
	waitLogged       sync.Once

	started     time.Time
	memory      *reading.Memory
	backlog     backlog // records that wait for another run, or for a transcript of this one
	tasks       sync.WaitGroup
	workerSlots chan struct{} // a place for each task that has a worker
	aheadSlots  chan struct{} // a place for each task that is prepared for a worker
	ready       atomic.Int64  // tasks that wait for a worker
	openSlots   chan struct{} // a place for each task that is not settled
	inFlight    atomic.Int64
	doubts      atomic.Int64
	reading     atomic.Bool // more tasks may start
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

// moreToCome reports whether more transcripts are on their way that may provide facts about Dixa.
func (p *pipeline) moreToCome() bool {
	return p.inFlight.Load() > p.learning.waiting.Load()+p.refusals.waiting() || p.reading.Load() && len(p.openSlots) < cap(p.openSlots)
}
