package checkpoint

import (
	"testing"
	"time"
)

func TestSamplesAndSteps(t *testing.T) {
	each(t, func(t *testing.T, s *fixture) {
		ctx := t.Context()
		run, other := s.start(t), s.start(t)
		first := Beat{Counts: Counts{Read: 10, Imported: 4, Partial: 3, Failed: 2, Rejected: 1, Requests: 50}, Throttled: 6,
			Steps: []StepTime{{"import", 8, 2 * time.Second, 900*time.Millisecond + time.Microsecond}, {"attributes", 1, time.Microsecond, time.Microsecond}}}
		last := Beat{Counts: Counts{Read: 20, Imported: 14, Partial: 3, Failed: 2, Rejected: 1, Requests: 90}, Throttled: 7,
			Steps: []StepTime{{"import", 1, 0, 0}, {"import", 18, time.Hour, time.Minute}, {"end\x00user", 1, time.Second, time.Second}}}
		r, _, err := s.Run(ctx, run)
		if err != nil {
			t.Fatal(err)
		}
		samples, err := s.Samples(ctx, run)
		if err != nil || len(samples) != 1 || !samples[0].At.Equal(r.StartedAt) {
			t.Fatalf("samples of a run that began at %v: %v, %v", r.StartedAt, samples, err)
		}
		at := t0.AddDate(-10, 0, 0) // move the sample to the past, because SQLite keeps only one for each millisecond
		s.sql(t, "update dixa_import.run_samples set at = $1 where run_id = $2", at.Format(sqliteTimeLayout), run)
		if err := s.RenewRun(ctx, run, first); err != nil {
			t.Fatal(err)
		}
		s.sql(t, "update dixa_import.run_samples set at = $1 where run_id = $2 and requests = 50", at.Add(time.Hour).Format(sqliteTimeLayout), run)
		for range 2 { // there is only one sample at the end
			if err := s.FinishRun(ctx, run, "ok", last); err != nil {
				t.Fatal(err)
			}
		}
		if s.RenewRun(ctx, run, first) == nil {
			t.Error("a run that has ended was renewed")
		}

		if samples, err = s.Samples(ctx, run); err != nil {
			t.Fatal(err)
		}
		if r, _, err = s.Run(ctx, run); err != nil {
			t.Fatal(err)
		}
		want := []Sample{{At: at}, {At: at.Add(time.Hour), Imported: 4, Partial: 3, Failed: 2, Rejected: 1, Requests: 50, Throttled: 6},
			{At: r.FinishedAt, Imported: 14, Partial: 3, Failed: 2, Rejected: 1, Requests: 90, Throttled: 7}}
		equal(t, "samples", samples, want)
		steps, err := s.Steps(ctx, run)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "steps", steps, []StepTime{{"attributes", 1, time.Microsecond, time.Microsecond},
			{"end\uFFFDuser", 1, time.Second, time.Second}, {"import", 18, time.Hour, time.Minute}})

		if samples, err = s.Samples(ctx, other); err != nil || len(samples) != 1 {
			t.Errorf("samples of a run that has begun: %v, %v", samples, err)
		}
		if steps, err = s.Steps(ctx, other); err != nil || len(steps) > 0 {
			t.Errorf("steps of a run that has begun: %v, %v", steps, err)
		}
	})
}
