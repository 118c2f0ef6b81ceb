package batch_test

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"dixa-import/importer/internal/batch"
)

func TestEachCallerGetsItsResult(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var sizes []int
		under := 0
		g := batch.New(4, func(items []int) ([]int, error) {
			if under++; under > 1 {
				t.Error("two batches at once")
			}
			time.Sleep(time.Second)
			under--
			sizes = append(sizes, len(items))
			out := make([]int, len(items))
			for i, n := range items {
				out[i] = n * n
			}
			return out, nil
		})
		var callers sync.WaitGroup
		do := func(n int) {
			callers.Go(func() {
				if got, err := g.Do(n); got != n*n || err != nil {
					t.Errorf("%d gave %d, %v", n, got, err)
				}
			})
		}
		do(100)
		time.Sleep(time.Second / 2) // a single item does not wait for others
		for n := range 10 {
			do(n)
		}
		callers.Wait()
		if sizes[0] != 1 || len(sizes) != 4 {
			t.Errorf("the batches had %v items: want one alone, then 4, 4 and 2", sizes)
		}
		do(7) // no other caller is left to hand over to it
		callers.Wait()
	})
}

func TestEveryCallerGetsTheError(t *testing.T) {
	t.Parallel()
	errBatch := errors.New("the batch failed")
	g := batch.New(10, func([]string) ([]struct{}, error) { return nil, errBatch })
	var callers sync.WaitGroup
	for range 20 {
		callers.Go(func() {
			if _, err := g.Do("x"); !errors.Is(err, errBatch) {
				t.Error(err)
			}
		})
	}
	callers.Wait()
}
