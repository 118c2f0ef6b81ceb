package importer

import (
	"strconv"
	"testing"
)

func TestIDSet(t *testing.T) {
	t.Parallel()
	const n = 300_000
	s := newIDSet()
	if s.has("0") {
		t.Error("an empty set has an id")
	}
	for i := range n {
		if s.add(strconv.Itoa(i)) {
			t.Fatalf("%d was there before it was added", i)
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
		if id := strconv.Itoa(i); !s.has(id) || !s.add(id) || s.has("x"+id) {
			t.Fatalf("%d is lost, or there without having been added", i)
		}
	}
}

func BenchmarkIDSet(b *testing.B) {
	s := newIDSet()
	for i := 0; b.Loop(); i++ {
		s.add(strconv.Itoa(i))
	}
}
