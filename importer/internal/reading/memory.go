package reading

import (
	"context"

	"golang.org/x/sync/semaphore"
)

// maxHeldBytes limits how many bytes of source records a run holds in memory: records that were read ahead, wait in a batch or for another
// run, or are in progress. A larger record is held alone. Decoding a record takes about three times its size.
const maxHeldBytes = 8 << 20

// Memory counts the bytes of records in memory. Transcripts in doubt wait for a long time, so they have a limit of their own and do not
// hold up the rest.
type Memory struct {
	records *semaphore.Weighted
	doubts  *semaphore.Weighted
}

// NewMemory returns a Memory that holds nothing.
func NewMemory() *Memory {
	return &Memory{semaphore.NewWeighted(maxHeldBytes), semaphore.NewWeighted(maxHeldBytes)}
}

// Hold is a reservation for the bytes of one record. The zero value reserves none.
type Hold struct {
	of    *semaphore.Weighted
	bytes int64
	done  func() // called by Release; nil: nobody needs to know
}

// Hold waits until there is room for a record of size bytes, or returns the context's error.
func (m *Memory) Hold(ctx context.Context, size int64) (Hold, error) {
	h := Hold{of: m.records, bytes: min(size, maxHeldBytes)}
	if err := h.of.Acquire(ctx, h.bytes); err != nil {
		return Hold{}, err
	}
	return h, nil
}

// TryHold is Hold without waiting.
func (m *Memory) TryHold(size int64) (Hold, bool) {
	h := Hold{of: m.records, bytes: min(size, maxHeldBytes)}
	if !h.of.TryAcquire(h.bytes) {
		return Hold{}, false
	}
	return h, true
}

// MoveToDoubts moves a reservation to those of transcripts in doubt, if there is room.
func (m *Memory) MoveToDoubts(h *Hold) {
	if h.of == m.records && m.doubts.TryAcquire(h.bytes) {
		h.of.Release(h.bytes)
		h.of = m.doubts
	}
}

// Release releases the bytes. Only the first call has an effect.
func (h *Hold) Release() {
	if h.of != nil {
		h.of.Release(h.bytes)
		if h.done != nil {
			h.done()
		}
		*h = Hold{}
	}
}
