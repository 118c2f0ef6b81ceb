package report

import (
	"testing"
	"time"

	"dixa-import/importer/checkpoint"
)

func TestBuckets(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 19, 8, 0, 0, 0, time.UTC)
	var samples []checkpoint.Sample
	for i := range 1001 {
		samples = append(samples, checkpoint.Sample{At: at.Add(time.Duration(i) * 10 * time.Second), Imported: int64(20 * i), Partial: int64(i), Requests: int64(50 * i), Throttled: int64(i / 500)})
	}
	for _, most := range []int{1, 7, 200, 1000, 5000} {
		all := buckets(samples, most)
		if len(all) == 0 || len(all) > most+1 {
			t.Errorf("%d buckets, want at most %d", len(all), most)
		}
		var sum bucket
		for i, b := range all {
			sum.transcripts += b.transcripts
			sum.requests += b.requests
			sum.throttled += b.throttled
			if i > 0 && !b.from.Equal(all[i-1].to) || !b.to.After(b.from) {
				t.Errorf("a bucket from %v to %v follows one that ends at %v", b.from, b.to, all[max(i, 1)-1].to)
			}
			if got := b.perSecond(b.transcripts); got != 2.1 {
				t.Errorf("%v transcripts a second, want 2.1", got)
			}
		}
		if sum.transcripts != 21000 || sum.requests != 50000 || sum.throttled != 2 {
			t.Errorf("the buckets add up to %+v", sum)
		}
	}
	if got := buckets(samples[:1], 10); got != nil {
		t.Errorf("one sample makes %v", got)
	}
	if charts, moments := reportCharts([]checkpoint.Sample{{At: at}, {At: at}}); charts != nil || moments != nil {
		t.Errorf("no time makes %v, %v", charts, moments)
	}
	charts, moments := reportCharts(samples)
	if len(charts) != 3 || len(moments) > momentRows+1 || charts[0].Note != "on average 2.1, at most 2.1" || charts[0].From != "08:00" {
		t.Errorf("charts are %+v", charts)
	}
}
