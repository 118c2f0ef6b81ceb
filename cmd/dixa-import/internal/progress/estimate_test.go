package progress

import (
	"testing"
	"time"

	"dixa-import/importer"
	"dixa-import/importer/checkpoint"
	"dixa-import/source"
)

func at(elapsed time.Duration, read, imported, done, total int64) importer.Progress {
	return importer.Progress{Counts: checkpoint.Counts{Read: read, Imported: imported},
		Source: source.Progress{Done: done, Total: total, Unit: "bytes"}, Elapsed: elapsed}
}

func TestEstimate(t *testing.T) {
	t.Parallel()
	var e estimate
	if got := e.add(at(0, 0, 0, 0, 1000)); got.perSecond != 0 || got.left != 0 {
		t.Errorf("at the start: %+v", got)
	}
	// All is read at once, a tenth of it is imported.
	if got := e.add(at(10*time.Second, 100, 10, 1000, 1000)); got.perSecond != 1 || got.left.Round(time.Second) != 90*time.Second {
		t.Errorf("after a tenth: %+v", got)
	}
	// An hour later only the last minute counts.
	e.add(at(time.Hour, 1000, 500, 1000, 1000))
	got := e.add(at(time.Hour+time.Minute, 1000, 620, 1000, 1000))
	if got.perSecond != 2 || got.left.Round(time.Second) != 190*time.Second {
		t.Errorf("after an hour: %+v", got)
	}
	if got := e.add(at(2*time.Hour, 1000, 1000, 1000, 1000)); got.left != 0 {
		t.Errorf("at the end: %+v", got)
	}
	if _, known := fraction(at(time.Second, 10, 5, 100, 0)); known {
		t.Error("the fraction of a source without a size is known")
	}
}

// TestEstimateByRequests: what is left depends on the requests that are expected and on the rate at which they may leave.
func TestEstimateByRequests(t *testing.T) {
	t.Parallel()
	working := func(elapsed time.Duration, imported, requests int64, rate float64) importer.Progress {
		p := at(elapsed, 1000, imported, 500, 1000) // half is read
		p.Counts.Requests, p.Rate = requests, rate
		return p
	}
	for _, tt := range []struct {
		name  string
		steps []importer.Progress
		left  time.Duration
	}{
		// 1990 to go at 3 requests each. There was a burst at the beginning: the rate that is allowed counts.
		{"at the start", []importer.Progress{working(0, 0, 2, 10), working(time.Second, 10, 30, 10)}, 597 * time.Second},
		// 1900 to go at 2 requests each, and 4 requests a second do leave.
		{"slower than allowed", []importer.Progress{working(0, 0, 0, 10), working(50*time.Second, 100, 200, 10)}, 950 * time.Second},
		// More left than is allowed in the long run: 1900 * 2 at 10.
		{"not faster than allowed", []importer.Progress{working(0, 0, 0, 10), working(10*time.Second, 100, 200, 10)}, 380 * time.Second},
		{"without a limit", []importer.Progress{working(0, 0, 0, 0), working(time.Second, 100, 200, 0)}, 19 * time.Second},
		// The first 100 took 5 requests each, the next 300 take 2: 1600 * 2 at 10.
		{"what a transcript takes now", []importer.Progress{working(0, 0, 0, 10), working(time.Hour, 100, 500, 10), working(time.Hour+time.Minute, 400, 1100, 10)}, 320 * time.Second},
	} {
		var e estimate
		var got forecast
		for _, p := range tt.steps {
			got = e.add(p)
		}
		if got.left.Round(time.Second) != tt.left {
			t.Errorf("%s: %v left, want %v", tt.name, got.left, tt.left)
		}
	}

	// A resumed run: the first half of the source was imported earlier, and is skipped in a moment.
	resumed := at(time.Second, 5000, 10, 500, 1000)
	resumed.Counts.AlreadyDone, resumed.Counts.Requests, resumed.Rate = 4900, 22, 10
	later := at(11*time.Second, 5060, 50, 506, 1000)
	later.Counts.AlreadyDone, later.Counts.Requests, later.Rate = 4900, 102, 10
	var r estimate
	r.add(resumed)
	if got := r.add(later); got.left.Round(time.Minute) != 19*time.Minute || got.perSecond > 5 { // 5050 to go at 2 each and 9.3 a second
		t.Errorf("a resumed run: %+v", got)
	}
	// What is given back at the end is not done.
	later.Counts.Pending = 110
	if got := settled(later.Counts); got != 4950 {
		t.Errorf("%d are settled", got)
	}

	var e estimate // a retry: of 40 the source's progress says nothing
	e.add(importer.Progress{Expected: 40, Rate: 2})
	got := e.add(importer.Progress{Expected: 40, Rate: 2, Elapsed: 5 * time.Second, Counts: checkpoint.Counts{Read: 40, Imported: 10, Requests: 20}})
	if got.left != 30*time.Second {
		t.Errorf("a retry: %+v", got)
	}
	// An outage: nothing is said, and afterwards it does not count.
	if got := e.add(importer.Progress{Expected: 40, Rate: 2, Down: true, Elapsed: time.Hour, Counts: checkpoint.Counts{Imported: 10, Requests: 20}}); got.left != 0 {
		t.Errorf("during an outage: %+v", got)
	}
	got = e.add(importer.Progress{Expected: 40, Rate: 2, Elapsed: time.Hour + 5*time.Second, Counts: checkpoint.Counts{Imported: 15, Requests: 30}})
	if got.left != 25*time.Second {
		t.Errorf("after an outage: %+v", got)
	}
}

func TestWhatARunIsBoundBy(t *testing.T) {
	t.Parallel()
	before := importer.Progress{Workers: 8, Rate: 8, Elapsed: time.Minute, Source: source.Progress{Done: 10, Total: 100, Unit: "bytes"}}
	for want, change := range map[bound]func(*importer.Progress){
		boundDown:      func(p *importer.Progress) { p.Down, p.InFlight = true, 8 },
		boundDoubts:    func(p *importer.Progress) { p.InFlight, p.Doubts = 3, 3 },
		boundOthers:    func(p *importer.Progress) { p.Held = 5 },
		boundThrottled: func(p *importer.Progress) { p.Throttled, p.InFlight, p.Paced = 2, 8, time.Minute },
		boundLimit:     func(p *importer.Progress) { p.Paced, p.InFlight, p.Busy = 4*30*time.Second, 8, 8 },
		boundAnswers:   func(p *importer.Progress) { p.Paced, p.InFlight, p.Busy = time.Second, 8, 8 },
		boundSource:    func(p *importer.Progress) { p.InFlight, p.Busy = 1, 1 },
		boundUnknown:   func(p *importer.Progress) { p.InFlight, p.Busy, p.Source.Done = 1, 1, 100 },
	} {
		var e estimate
		from := before
		from.Busy = 8
		if want == boundSource || want == boundUnknown {
			from.Busy = 1
		}
		e.add(from)
		now := before
		now.Elapsed += 30 * time.Second
		change(&now)
		if got := e.add(now).bound; got != want {
			t.Errorf("bound by %q, want %q", got, want)
		}
		if want != boundUnknown && boundTexts[want] == "" {
			t.Errorf("there is no text for %s", want)
		}
	}
}
