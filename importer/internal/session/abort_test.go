package session

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
)

// TestAbortLogsOnce: the first of many workers logs, and none if the run was stopped before.
func TestAbortLogsOnce(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		workers int
		stopped bool
		want    int
	}{{1, false, 1}, {32, false, 1}, {32, true, 0}} {
		var log bytes.Buffer
		s := &Session{Log: slog.New(slog.NewTextHandler(&log, nil))}
		end := s.Begin(t.Context())
		if tt.stopped {
			s.Stop("enough")
		}
		var all sync.WaitGroup
		for i := range tt.workers {
			all.Go(func() { s.Abort(fmt.Errorf("reason %d", i)) })
		}
		all.Wait()
		cause := context.Cause(s.Starting)
		end()
		if n := strings.Count(log.String(), "the run cannot continue"); n != tt.want {
			t.Errorf("%+v: it is logged %d times", tt, n)
		}
		var stop *StopError
		if tt.stopped != errors.As(cause, &stop) || !tt.stopped && !strings.Contains(log.String(), `"`+cause.Error()+`"`) {
			t.Errorf("%+v: the cause is %v, the log %s", tt, cause, log.String())
		}
	}
}
