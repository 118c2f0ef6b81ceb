package checkpoint

import (
	"testing"
	"time"
)

func TestFacts(t *testing.T) {
	each(t, func(t *testing.T, s *fixture) {
		ctx := t.Context()
		of, other := Binding{"https://dev.dixa.io", "o-1"}, Binding{"https://dev.dixa.io", "o-2"}
		lag := func(d time.Duration) *time.Duration { return &d }
		for _, tc := range []struct{ learnt, want Facts }{
			{Facts{}, Facts{}},
			{Facts{ListLag: lag(1500 * time.Microsecond)}, Facts{ListLag: lag(2 * time.Millisecond)}},
			{Facts{ExternalIDs: IDsWithheld}, Facts{ExternalIDs: IDsWithheld, ListLag: lag(2 * time.Millisecond)}},
			{Facts{ListLag: lag(90 * time.Second), LookUpLag: lag(0)}, Facts{IDsWithheld, lag(90 * time.Second), lag(0)}},
			{Facts{ExternalIDs: IDsReturned, ListLag: lag(time.Second), LookUpLag: lag(time.Hour)}, Facts{IDsReturned, lag(90 * time.Second), lag(time.Hour)}},
			{Facts{}, Facts{IDsReturned, lag(90 * time.Second), lag(time.Hour)}},
		} {
			for range 2 { // a repetition changes nothing
				got, err := s.Learn(ctx, of, tc.learnt)
				if err != nil {
					t.Fatal(err)
				}
				equal(t, "learnt", got, tc.want)
			}
			got, err := open(t, s.url).Facts(ctx, of)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "stored", got, tc.want)
		}
		got, err := s.Facts(ctx, other)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "of another organisation", got, Facts{})
	})
}

func TestLatestImports(t *testing.T) {
	each(t, func(t *testing.T, s *fixture) {
		run := s.start(t)
		for i, status := range Statuses {
			put(t, s, run, string(status), status, int64(i+1))
		}
		s.sql(t, "update dixa_import.transcripts set imported_at = '2020-01-01T00:00:00.000Z' where transcript_id = $1", "complete")
		list, err := s.LatestImports(t.Context(), bot, 2)
		if err != nil || len(list) != 2 {
			t.Fatalf("%+v, %v", list, err)
		}
		all, err := s.LatestImports(t.Context(), bot, 9)
		if err != nil || len(all) != 3 || all[2].ID != "complete" || all[2].EndUserID != "u" || all[2].ConversationID != 1 || all[2].Age < time.Second {
			t.Errorf("%+v, %v", all, err)
		}
		if none, err := s.LatestImports(t.Context(), "other", 9); err != nil || len(none) != 0 {
			t.Errorf("%+v, %v", none, err)
		}
	})
}
