package reading

import (
	"strconv"
	"testing"
)

func TestIDSet(t *testing.T) {
	t.Parallel()
	const n = 300_000
	s := NewIDSet()
	if s.Has("0") {
		t.Error("an empty set contains an id")
	}
	for i := range n {
		if s.Add(strconv.Itoa(i)) {
			t.Fatalf("the set contained %d before it was added", i)
		}
	}
	slots := 0
	for _, shard := range s.shards {
		slots += len(shard.slots)
	}
	if each := float64(8*slots) / n; each > 14.5 {
		t.Errorf("%.1f bytes an id", each)
	}
	for i := range n {
		if id := strconv.Itoa(i); !s.Has(id) || !s.Add(id) || s.Has("x"+id) {
			t.Fatalf("the set lost %d, or contains an id that was never added", i)
		}
	}
}

func BenchmarkIDSet(b *testing.B) {
	s := NewIDSet()
	for i := 0; b.Loop(); i++ {
		s.Add(strconv.Itoa(i))
	}
}
