package term

import "testing"

// TestTheBarFits: what there is no room for is left out as a whole.
func TestTheBarFits(t *testing.T) {
	t.Parallel()
	parts := []string{"1200 imported", "9.5/s", "3h05m left", "20 partial", "waiting for transcripts in doubt"}
	for width, want := range map[int]string{
		80: "1200 imported, 9.5/s, 3h05m left, 20 partial, waiting for transcripts in doubt", 50: "1200 imported, 9.5/s, 3h05m left, 20 partial",
		33: "1200 imported, 9.5/s, 3h05m left", 5: "",
	} {
		if got := fitting(parts, width); got != want {
			t.Errorf("in %d columns: %q, want %q", width, got, want)
		}
	}
}
