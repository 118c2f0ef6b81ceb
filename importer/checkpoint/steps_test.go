package checkpoint

import (
	"testing"
	"time"
)

// TestSteps requires that only the holder of the claim records steps, that a step that is on its way has a time until which it may leave, and that a
// transfer is recorded with the transcript.
func TestSteps(t *testing.T) {
	each(t, func(t *testing.T, s *fixture) {
		run, err := s.StartRun(t.Context(), bot, "run")
		if err != nil {
			t.Fatal(err)
		}
		rows, err := s.Claim(t.Context(), bot, run, []ClaimRequest{{ID: "a", Seen: -1, ContentHash: "h", ClosedAt: t0}})
		if err != nil || rows[0].Claim != 1 {
			t.Fatal(rows, err)
		}
		save := func(c StepChange) bool {
			t.Helper()
			saved, err := s.SaveStep(t.Context(), bot, run, c)
			if err != nil {
				t.Fatal(err)
			}
			return saved
		}
		if !save(StepChange{ID: "a", Claim: 1, Step: Step{Name: StepTransfer, State: StepSending, Detail: "q-1", SendIn: time.Minute}}) {
			t.Error("the holder of the claim cannot record a step")
		}
		for name, c := range map[string]StepChange{
			"an earlier claim": {ID: "a", Claim: 0, Step: Step{Name: StepTransfer, State: StepDone}},
			"no transcript":    {ID: "b", Claim: 1, Step: Step{Name: StepTransfer, State: StepDone}},
		} {
			if save(c) {
				t.Errorf("%s: it records a step", name)
			}
		}
		if saved, err := s.SaveStep(t.Context(), bot, run+1, StepChange{ID: "a", Claim: 1, Step: Step{Name: StepTransfer, State: StepDone}}); saved || err != nil {
			t.Errorf("another run records a step: %v, %v", saved, err)
		}
		steps, err := s.StepsOf(t.Context(), bot, "a")
		if err != nil || len(steps) != 1 || steps[0].State != StepSending || steps[0].Detail != "q-1" || steps[0].SendIn < 50*time.Second || steps[0].SendIn > time.Minute || steps[0].UpdatedAt.IsZero() {
			t.Errorf("%+v, %v", steps, err)
		}
		if !save(StepChange{ID: "a", Claim: 1, Step: Step{Name: StepTransfer, State: StepDone, Detail: "q-1"}, QueueID: "q-1"}) ||
			!save(StepChange{ID: "a", Claim: 1, Step: Step{Name: StepLink, State: StepDone}, FollowUpOf: "t-0"}) {
			t.Error("a step cannot be ended")
		}
		if steps, err = s.StepsOf(t.Context(), bot, "a"); err != nil || len(steps) != 2 || steps[0].State != StepDone || steps[0].SendIn != 0 {
			t.Errorf("%+v, %v", steps, err)
		}
		var queue, state, parent string
		err = s.db.QueryRowContext(t.Context(), "select queue_id, handover_state, follow_up_of from "+map[bool]string{true: "", false: "dixa_import."}[s.sqlite()]+"transcripts").Scan(&queue, &state, &parent)
		if err != nil || queue != "q-1" || state != "waiting" || parent != "t-0" {
			t.Error(queue, state, parent, err)
		}
		if steps, err := s.StepsOf(t.Context(), bot, "b"); err != nil || len(steps) != 0 {
			t.Errorf("%+v, %v", steps, err)
		}
	})
}
