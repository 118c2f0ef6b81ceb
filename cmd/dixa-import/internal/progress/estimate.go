package progress

import (
	"time"

	"dixa-import/importer"
	"dixa-import/importer/checkpoint"
)

// settled is how many of the records that were read are done with, what is given back to the next run aside.
func settled(c checkpoint.Counts) int64 {
	return worked(c) + c.Rejected + c.Skipped + c.AlreadyDone + c.Duplicate
}

// worked is how many of them took requests.
func worked(c checkpoint.Counts) int64 { return c.Imported + c.Partial + c.Failed + c.InDoubt }

// fraction is how much of the work is done, from 0 to 1; false while that is not known. The source is read ahead of the
// work, so its own progress counts only in the measure in which what was read is settled.
func fraction(p importer.Progress) (float64, bool) {
	if p.Expected > 0 {
		return min(float64(settled(p.Counts))/float64(p.Expected), 1), true
	}
	if p.Source.Total <= 0 || p.Counts.Read <= 0 {
		return 0, false
	}
	f := float64(p.Source.Done) / float64(p.Source.Total) * float64(settled(p.Counts)) / float64(p.Counts.Read)
	return min(max(f, 0), 1), true
}

// bound is what a run waits for most at a moment, and so what decides its speed.
type bound string

// What a run may wait for.
const (
	boundUnknown   bound = ""
	boundDown      bound = "api_down"
	boundDoubts    bound = "doubts"
	boundOthers    bound = "another_process"
	boundThrottled bound = "throttled"
	boundLimit     bound = "rate_limit"
	boundAnswers   bound = "answers"
	boundSource    bound = "source"
)

// boundTexts are for people.
var boundTexts = map[bound]string{
	boundDown: "Dixa is down: waiting", boundDoubts: "waiting for transcripts in doubt", boundOthers: "waiting for another process",
	boundThrottled: "slowed down by 429s", boundLimit: "at the rate limit", boundAnswers: "waiting for Dixa's answers", boundSource: "reading the source",
}

const (
	window     = time.Minute      // how far back an estimate looks: long enough to be steady, short enough to follow a 429
	windowSure = 10 * time.Second // how much of it has to have passed before what was observed counts more than what is allowed
	fewSettled = 20               // transcripts that say too little about the requests that one takes
)

// estimate tells the speed of a run, what it waits for and the time that is left, from the last minute of it.
type estimate struct {
	samples []sample
	begun   bool
}

type sample struct {
	at        time.Duration // since the start
	settled   int64
	worked    int64
	requests  int64
	throttled int64
	fraction  float64
	paced     time.Duration
	busy      float64 // part of the workers
}

// forecast is what an estimate says. Left is 0 if that is not known.
type forecast struct {
	perSecond float64 // transcripts
	left      time.Duration
	bound     bound
}

// add takes in how far the run is.
func (e *estimate) add(p importer.Progress) forecast {
	f, known := fraction(p)
	now := sample{p.Elapsed, settled(p.Counts), worked(p.Counts), p.Counts.Requests, p.Throttled, f, p.Paced,
		float64(p.Busy) / float64(max(p.Workers, 1))}
	if !e.begun {
		e.begun = true
		e.samples = []sample{{busy: now.busy}} // the start of the run
	}
	if p.Down {
		e.samples = nil // an outage says nothing about the speed after it
	}
	e.samples = append(e.samples, now)
	for len(e.samples) > 2 && now.at-e.samples[1].at >= window {
		e.samples = e.samples[1:]
	}
	first := e.samples[0]
	out := forecast{bound: e.bound(p)}
	seconds := (now.at - first.at).Seconds()
	if seconds > 0 {
		out.perSecond = float64(now.worked-first.worked) / seconds
	}
	switch {
	case !known || f >= 1 || p.Down:
	case now.requests > 0 && now.worked > 0:
		out.left = e.byRequests(p)
	case p.InFlight == 0 && seconds > 0 && now.fraction > first.fraction: // nothing but reading so far
		out.left = time.Duration((1 - f) / (now.fraction - first.fraction) * seconds * float64(time.Second))
	}
	return out
}

// unread estimates how many records of the source are still to be read, by how much of it the ones that were read take up.
func unread(p importer.Progress) float64 {
	read := float64(p.Counts.Read)
	return read*float64(p.Source.Total)/float64(max(p.Source.Done, 1)) - read
}

// Remaining estimates how many records a run has yet to settle; false while that is not known.
func Remaining(p importer.Progress) (float64, bool) {
	if p.Expected > 0 {
		return float64(max(p.Expected-settled(p.Counts), 0)), true
	}
	if p.Source.Total <= 0 || p.Source.Done <= 0 {
		return 0, false
	}
	return max(float64(p.Counts.Read-settled(p.Counts))+unread(p), 0), true
}

// byRequests is the time that the requests take which are still expected, at the rate that they leave at. Without enough
// observations that is the one that the configuration allows. Records that were imported earlier take none.
func (e *estimate) byRequests(p importer.Progress) time.Duration {
	first, now := e.samples[0], e.samples[len(e.samples)-1]
	share := func(part, whole, allPart, all int64) float64 {
		if whole < fewSettled {
			part, whole = allPart, all
		}
		return float64(part) / float64(max(whole, 1))
	}
	each := share(now.requests-first.requests, now.worked-first.worked, now.requests, now.worked)
	left := float64(p.Expected - now.settled)
	if p.Expected == 0 {
		recent := e.samples[e.lastly(fewSettled)]
		left = float64(p.Counts.Read-now.settled) + unread(p)*share(now.worked-recent.worked, now.settled-recent.settled, now.worked, now.settled)
	}
	seconds := (now.at - first.at).Seconds()
	rate := p.Rate
	if sent := float64(now.requests - first.requests); sent > 0 && (rate == 0 || seconds >= windowSure.Seconds()) {
		rate = sent / seconds
		if p.Rate > 0 {
			rate = min(rate, p.Rate)
		}
	}
	if rate <= 0 || each <= 0 || left <= 0 {
		return 0
	}
	return time.Duration(left * each / rate * float64(time.Second))
}

// lastly returns the last sample since which so many records were settled, the first one if there is none: what a resumed run
// skips at the start of its source says nothing about the rest.
func (e *estimate) lastly(records int64) int {
	now := e.samples[len(e.samples)-1]
	for i := len(e.samples) - 2; i > 0; i-- {
		if now.settled-e.samples[i].settled >= records {
			return i
		}
	}
	return 0
}

// bound returns what the run waits for most.
func (e *estimate) bound(p importer.Progress) bound {
	first, now := e.samples[0], e.samples[len(e.samples)-1]
	busy := 0.0
	for _, s := range e.samples {
		busy += s.busy / float64(len(e.samples))
	}
	elapsed := now.at - first.at
	switch {
	case p.Down:
		return boundDown
	case p.InFlight > 0 && p.Doubts == p.InFlight:
		return boundDoubts
	case p.InFlight == 0 && p.Held > 0:
		return boundOthers
	case elapsed <= 0:
		return boundUnknown
	case now.throttled > first.throttled:
		return boundThrottled
	case now.paced-first.paced >= elapsed/2: // a request waits for its turn at half of all moments, or more
		return boundLimit
	case busy >= 0.9:
		return boundAnswers
	case p.Expected == 0 && (p.Source.Total == 0 || p.Source.Done < p.Source.Total):
		return boundSource
	}
	return boundUnknown
}
