package importer_test

import (
	"testing"

	"dixa-import/dixa/sandbox"
	"dixa-import/importer"
)

func TestRunRecordsStepTimes(t *testing.T) {
	t.Parallel()
	w := setup(t, "sqlite", sandbox.Options{})
	s := w.mustRun(importer.OutcomeOK, w.jsonl(w.file("c.jsonl", orders(30)...)), withOrders)
	store := w.open()
	steps, err := store.Steps(t.Context(), s.Run)
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int64{}
	for _, step := range steps {
		counts[step.Name] = step.Count
		if step.Total < step.Max || step.Total <= 0 {
			t.Errorf("the times of a step are %+v", step)
		}
	}
	for _, name := range []string{"validate", "resolve the end-user", "import", "set attributes"} {
		if counts[name] != 30 {
			t.Errorf("the step %q was done %d times, want 30", name, counts[name])
		}
	}
	if n := counts["write the checkpoint"]; n < 1 || n > 120 {
		t.Errorf("there were %d transactions", n)
	}
}
