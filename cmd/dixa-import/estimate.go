package main

import (
	"time"

	"dixa-import/importer"
	"dixa-import/importer/checkpoint"
)

// settled is how many of the records that were read are done with.
func settled(c checkpoint.Counts) int64 {
	return c.Imported + c.Partial + c.Failed + c.Rejected + c.Skipped + c.AlreadyDone + c.Duplicate + c.InDoubt + c.Pending
}

// fraction is how much of the source is done, from 0 to 1; false while that is not known. The source is read ahead of the
// work, so its own progress counts only in the measure in which what was read is settled.
func fraction(p importer.Progress) (float64, bool) {
	if p.Source.Total <= 0 || p.Counts.Read <= 0 {
		return 0, false
	}
	f := float64(p.Source.Done) / float64(p.Source.Total) * float64(settled(p.Counts)) / float64(p.Counts.Read)
	return min(max(f, 0), 1), true
}

// window is how far back an estimate looks: long enough to be steady, short enough to follow a 429.
const window = time.Minute

// estimate tells speed and time left from the last minute of a run.
type estimate struct{ samples []sample }

type sample struct {
	at       time.Duration // since the start
	settled  int64
	fraction float64
}

// add takes in how far the run is, and returns transcripts a second and the time left, 0 if that is not known.
func (e *estimate) add(p importer.Progress) (perSecond float64, left time.Duration) {
	f, known := fraction(p)
	now := sample{p.Elapsed, settled(p.Counts), f}
	e.samples = append(e.samples, now)
	for len(e.samples) > 2 && now.at-e.samples[1].at >= window {
		e.samples = e.samples[1:]
	}
	first := e.samples[0]
	seconds := (now.at - first.at).Seconds()
	if seconds <= 0 {
		return 0, 0
	}
	perSecond = float64(now.settled-first.settled) / seconds
	if gained := now.fraction - first.fraction; known && gained > 0 && now.fraction < 1 {
		left = time.Duration((1 - now.fraction) / gained * seconds * float64(time.Second))
	}
	return perSecond, left
}
