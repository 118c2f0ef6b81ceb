package importer

import (
	"math"
	"slices"
	"sync"

	"dixa-import/importer/internal/batch"
)

// shared lets callers share what they read: those that ask while the same is being read share the next read, which begins after they asked. Many
// transcripts of one end-user may be in doubt at once, and the end-user may have a million conversations.
type shared[K comparable, R any] struct {
	mu sync.Mutex
	of map[K]*sharing[R]
}

type sharing[R any] struct {
	group *batch.Group[func() (R, error), R]
	users int // callers that have not returned
}

// do returns the result of read, or of another caller's that began after do was called. The result must not be changed.
func (s *shared[K, R]) do(key K, read func() (R, error)) (R, error) {
	s.mu.Lock()
	x := s.of[key]
	if x == nil {
		x = &sharing[R]{group: batch.New(math.MaxInt, func(waiting []func() (R, error)) ([]R, error) {
			result, err := waiting[0]()
			return slices.Repeat([]R{result}, len(waiting)), err
		})}
		if s.of == nil {
			s.of = map[K]*sharing[R]{}
		}
		s.of[key] = x
	}
	x.users++
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if x.users--; x.users == 0 {
			delete(s.of, key)
		}
	}()
	return x.group.Do(read)
}
