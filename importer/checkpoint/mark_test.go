package checkpoint

import (
	"testing"
	"time"
)

func TestVerifyMarks(t *testing.T) {
	each(t, func(t *testing.T, s *fixture) {
		ctx := t.Context()
		get := func(source string) VerifyMark {
			t.Helper()
			m, err := s.VerifyMark(ctx, source)
			if err != nil {
				t.Fatal(err)
			}
			return m
		}
		set := func(source string, m VerifyMark) {
			t.Helper()
			for range 2 { // may be repeated
				if err := s.SetVerifyMark(ctx, source, m); err != nil {
					t.Fatal(err)
				}
			}
		}
		equal(t, "no mark", get(bot), VerifyMark{})
		set(bot, VerifyMark{After: "t-1\x00", Checked: 10, Differing: 2})
		set("other", VerifyMark{After: "x", Checked: 1})
		first := get(bot)
		if first.StartedAt.IsZero() {
			t.Error("a mark has no start")
		}
		equal(t, "first mark", first, VerifyMark{After: "t-1\uFFFD", Checked: 10, Differing: 2, StartedAt: first.StartedAt})
		set(bot, VerifyMark{After: "t-5", Checked: 50, Differing: 3, StartedAt: t0.Add(time.Hour)})
		equal(t, "second mark", get(bot), VerifyMark{After: "t-5", Checked: 50, Differing: 3, StartedAt: first.StartedAt})
		set(bot, VerifyMark{})
		equal(t, "removed mark", get(bot), VerifyMark{})
		if get("other").After != "x" {
			t.Error("removing a mark removed another source's mark")
		}
	})
}
