package importer

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"dixa-import/importer/checkpoint"
	"dixa-import/importer/internal/session"
)

// TestListLagIsLogged requires that the lag of lists is logged once, and again when it has doubled.
func TestListLagIsLogged(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		lags []int // in seconds, as they become known
		want int
	}{{[]int{1, 5}, 0}, {[]int{15}, 1}, {[]int{15, 16, 18, 29}, 1}, {[]int{15, 20, 30, 40, 60}, 3}, {[]int{5, 15, 100}, 2}} {
		var log bytes.Buffer
		l := &learning{s: &session.Session{Log: slog.New(slog.NewTextHandler(&log, nil)), Config: session.Config{Settle: 30 * time.Second}}}
		for _, seconds := range tt.lags {
			lag := time.Duration(seconds) * time.Second
			l.merge(checkpoint.Facts{ListLag: &lag})
			l.logLag()
		}
		if n := strings.Count(log.String(), "lists lag"); n != tt.want {
			t.Errorf("%v: logged %d times, want %d", tt.lags, n, tt.want)
		}
	}
}
