package checkpoint

import (
	"sync"
	"testing"

	"github.com/google/uuid"
)

func TestSourceMark(t *testing.T) {
	each(t, func(t *testing.T, s *fixture) {
		ctx := t.Context()
		if m, err := s.SourceMark(ctx, bot); err != nil || m != (SourceMark{}) {
			t.Errorf("before it was claimed: %+v, %v", m, err)
		}
		if m, err := s.ClaimSourceMark(ctx, "unbound", "a"); err == nil {
			t.Errorf("an unbound source got the mark %+v", m)
		}
		if err := s.Bind(ctx, bot, Binding{BaseURL: "https://dixa.example", Organisation: "org"}, false); err != nil {
			t.Fatal(err)
		}
		marks := make([]SourceMark, 8)
		var all sync.WaitGroup
		for i := range marks {
			all.Go(func() {
				var err error
				if marks[i], err = s.ClaimSourceMark(ctx, bot, uuid.NewString()); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		for _, m := range marks {
			if m.ID == "" || m != marks[0] {
				t.Errorf("concurrent claims got %+v and %+v", marks[0], m)
			}
		}
		want := SourceMark{ID: marks[0].ID, EndUserID: "u-1"}
		if err := s.SetSourceMark(ctx, bot, want); err != nil {
			t.Fatal(err)
		}
		for range 2 { // tying the source to another organisation does not change the mark
			if m, err := s.SourceMark(ctx, bot); err != nil || m != want {
				t.Errorf("the mark is %+v, %v, want %+v", m, err, want)
			}
			if err := s.Bind(ctx, bot, Binding{BaseURL: "https://dixa.example", Organisation: "other"}, true); err != nil {
				t.Fatal(err)
			}
		}
	})
}
