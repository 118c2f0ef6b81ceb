package spill

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
)

// fill adds n rows of a size under so many keys, interleaved.
func fill(t *testing.T, g *Groups, n, size, keys int) {
	t.Helper()
	data := bytes.Repeat([]byte("x"), size)
	for i := range n {
		copy(data, fmt.Sprintf("%08d", i))
		if err := g.Add(Row{Key: fmt.Sprintf("key-%d", i%keys), Seq: int64(i), Place: []byte{byte(i)}, Data: data}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestGroupsAreWhole requires that each key comes once, with all of its rows in their order, however many there are.
func TestGroupsAreWhole(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]struct{ rows, size, keys int }{
		"nothing":                  {0, 1, 1},
		"few":                      {100, 10, 7},
		"spread over files":        {6000, 10_000, 300},
		"spread over files, again": {4000, 400_000 / 8, 3}, // three keys in 64 files: one file is larger than it may be
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := New()
			defer g.Close()
			fill(t, g, x.rows, x.size, x.keys)
			seen, total := map[string]bool{}, 0
			var order []string
			err := g.Each(t.Context(), func(rows []Row, oversized bool) error {
				if seen[rows[0].Key] {
					t.Errorf("%s comes twice", rows[0].Key)
				}
				seen[rows[0].Key] = true
				order = append(order, rows[0].Key)
				if oversized {
					total += x.rows / x.keys
					return nil
				}
				for i, r := range rows {
					if r.Key != rows[0].Key || i > 0 && r.Seq <= rows[i-1].Seq || len(r.Data) != x.size || string(r.Data[:min(8, x.size)]) != fmt.Sprintf("%08d", r.Seq)[:min(8, x.size)] || r.Place[0] != byte(r.Seq) {
						t.Fatalf("row %d of %s is %d", i, r.Key, r.Seq)
					}
				}
				total += len(rows)
				return nil
			})
			if err != nil || total < x.rows-x.keys || len(seen) != min(x.keys, x.rows) {
				t.Errorf("%d rows of %d under %d keys, %v", total, x.rows, len(seen), err)
			}
			if x.rows*x.size < partBytes {
				for i, key := range order {
					if key != fmt.Sprintf("key-%d", i) {
						t.Fatalf("the order is %v", order)
					}
				}
			}
		})
	}
}

func TestAGroupThatIsTooLarge(t *testing.T) {
	t.Parallel()
	g := New()
	defer g.Close()
	fill(t, g, 70, 1<<20, 1)
	n := 0
	err := g.Each(t.Context(), func(rows []Row, oversized bool) error {
		n++
		if !oversized || len(rows) > MaxGroup>>20 {
			t.Errorf("oversized %v with %d rows", oversized, len(rows))
		}
		return nil
	})
	if err != nil || n != 1 {
		t.Errorf("%d groups, %v", n, err)
	}
}

func TestEachEnds(t *testing.T) {
	t.Parallel()
	enough := errors.New("enough")
	g := New()
	defer g.Close()
	fill(t, g, 100, 10, 10)
	if err := g.Each(t.Context(), func([]Row, bool) error { return enough }); !errors.Is(err, enough) {
		t.Error(err)
	}
	g = New()
	defer g.Close()
	fill(t, g, 100, 10, 10)
	ctx, cancel := context.WithCancel(t.Context())
	n := 0
	if err := g.Each(ctx, func([]Row, bool) error { n++; cancel(); return nil }); !errors.Is(err, context.Canceled) || n != 1 {
		t.Error(n, err)
	}
}

func TestADiskThatIsNotThere(t *testing.T) {
	t.Setenv("TMPDIR", "/nowhere")
	if err := New().Add(Row{Key: "a"}); err == nil || !bytes.Contains([]byte(err.Error()), []byte("TMPDIR")) {
		t.Error(err)
	}
}
