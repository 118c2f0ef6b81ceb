package reading

import (
	"context"

	"golang.org/x/sync/semaphore"
)

// heldBytes bounds what a run holds of source records, in bytes: of those that were read ahead, wait in a batch or for another
// run, or are worked on. A larger record is held alone. What is made of a record takes about three times its size.
const heldBytes = 8 << 20

// Memory counts the bytes that are held. Transcripts in doubt, which wait for long, have a bound of their own, so that the others go
// on.
type Memory struct {
	records *semaphore.Weighted
	doubts  *semaphore.Weighted
}

// NewMemory returns the bounds with nothing held.
func NewMemory() *Memory {
	return &Memory{semaphore.NewWeighted(heldBytes), semaphore.NewWeighted(heldBytes)}
}

// Hold is the right to hold the bytes of one record. The zero value holds none.
type Hold struct {
	of    *semaphore.Weighted
	bytes int64
}

// Hold waits until there is room for a record of so many bytes, or returns the error of the context.
func (m *Memory) Hold(ctx context.Context, size int64) (Hold, error) {
	h := Hold{m.records, min(size, heldBytes)}
	if err := h.of.Acquire(ctx, h.bytes); err != nil {
		return Hold{}, err
	}
	return h, nil
}

// TryHold is Hold without waiting.
func (m *Memory) TryHold(size int64) (Hold, bool) {
	h := Hold{m.records, min(size, heldBytes)}
	if !h.of.TryAcquire(h.bytes) {
		return Hold{}, false
	}
	return h, true
}

// Wait moves what is held to the transcripts in doubt, if there is room.
func (m *Memory) Wait(h *Hold) {
	if h.of == m.records && m.doubts.TryAcquire(h.bytes) {
		h.of.Release(h.bytes)
		h.of = m.doubts
	}
}

// Release gives the bytes back, once.
func (h *Hold) Release() {
	if h.of != nil {
		h.of.Release(h.bytes)
		*h = Hold{}
	}
}
