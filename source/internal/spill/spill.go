// Package spill gathers rows by their keys on disk, however they are interleaved, in bounded memory.
package spill

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"slices"
)

const (
	parts     = 64       // files that rows are spread over
	partBytes = 24 << 20 // a larger file is spread again
	maxDepth  = 4        // how often; what is still larger then has one key
	// MaxGroup is how many bytes the rows of one key may have.
	MaxGroup = 64 << 20
)

// Row is one record of a source.
type Row struct {
	Key   string
	Seq   int64  // its number in the source
	Place []byte // where it stands, in a form that only the caller reads
	Data  []byte
}

// Groups gathers rows. Close removes what it has on disk.
type Groups struct {
	depth  int
	all    *part // all rows, as long as they are few
	spread bool  // the rows are in files instead, by the hash of their keys
	files  [parts]*part
}

type part struct {
	file *os.File
	w    *bufio.Writer
	size int64
	head []byte // of a row, while it is written
}

// New returns an empty set of groups.
func New() *Groups { return &Groups{} }

// Add adds a row. The error is that of the disk, and says what to do.
func (g *Groups) Add(r Row) error {
	to := &g.all
	if g.spread {
		to = &g.files[g.hash(r.Key)%parts]
	}
	if *to == nil {
		p, err := newPart()
		if err != nil {
			return err
		}
		*to = p
	}
	if err := (*to).add(r); err != nil {
		return err
	}
	if g.spread || g.all.size <= partBytes || g.depth == maxDepth {
		return nil
	}
	all := g.all
	g.all, g.spread = nil, true
	defer all.close()
	if err := all.w.Flush(); err != nil {
		return diskError(err)
	}
	return all.each(context.Background(), g.Add)
}

// hash is another one at each depth, so that what fell together is spread.
func (g *Groups) hash(key string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte{byte(g.depth)})
	_, _ = io.WriteString(h, key)
	n := h.Sum64()
	return n ^ n>>29
}

func newPart() (*part, error) {
	file, err := os.CreateTemp("", "dixa-import-groups-")
	if err != nil {
		return nil, diskError(err)
	}
	// Nothing stays behind after a crash, except on systems that do not remove open files: there Close does it.
	_ = os.Remove(file.Name())
	return &part{file: file, w: bufio.NewWriterSize(file, 32<<10)}, nil
}

func (p *part) add(r Row) error {
	p.head = binary.AppendUvarint(p.head[:0], uint64(len(r.Key)))
	p.head = append(p.head, r.Key...)
	p.head = binary.AppendVarint(p.head, r.Seq)
	p.head = binary.AppendUvarint(p.head, uint64(len(r.Place)))
	p.head = append(p.head, r.Place...)
	p.head = binary.AppendUvarint(p.head, uint64(len(r.Data)))
	if _, err := p.w.Write(p.head); err != nil {
		return diskError(err)
	}
	if _, err := p.w.Write(r.Data); err != nil {
		return diskError(err)
	}
	p.size += int64(len(p.head) + len(r.Data))
	return nil
}

func diskError(err error) error {
	return fmt.Errorf("group the rows on disk in %s: %w: make room there, or set TMPDIR to a folder that has it", os.TempDir(), err)
}

// Each calls visit with the rows of each key, in the order in which they were added. oversized is true if there are more than MaxGroup bytes: then
// only the first rows are there. As long as the rows are few, the keys come in the order of their first
// rows, else in one that depends on the keys alone.
func (g *Groups) Each(ctx context.Context, visit func(rows []Row, oversized bool) error) error {
	for _, p := range append([]**part{&g.all}, pointers(&g.files)...) {
		if *p == nil {
			continue
		}
		if err := (*p).w.Flush(); err != nil {
			return diskError(err)
		}
		var err error
		if (*p).size > partBytes && g.depth < maxDepth {
			err = g.spreadAgain(ctx, *p, visit)
		} else {
			err = gather(ctx, *p, visit)
		}
		if err != nil {
			return err
		}
		(*p).close()
		*p = nil
	}
	return nil
}

func pointers(files *[parts]*part) []**part {
	out := make([]**part, parts)
	for n := range files {
		out[n] = &files[n]
	}
	return out
}

// spreadAgain distributes a file over others.
func (g *Groups) spreadAgain(ctx context.Context, p *part, visit func([]Row, bool) error) error {
	within := &Groups{depth: g.depth + 1, spread: true}
	defer within.Close()
	if err := p.each(ctx, within.Add); err != nil {
		return err
	}
	return within.Each(ctx, visit)
}

type group struct {
	rows      []Row
	size      int
	oversized bool
}

func gather(ctx context.Context, p *part, visit func([]Row, bool) error) error {
	groups := map[string]*group{}
	var order []*group
	err := p.each(ctx, func(r Row) error {
		g := groups[r.Key]
		if g == nil {
			g = &group{}
			groups[r.Key] = g
			order = append(order, g)
		}
		if g.size += len(r.Data); g.size > MaxGroup {
			g.oversized = true
			return nil
		}
		r.Data, r.Place = slices.Clone(r.Data), slices.Clone(r.Place)
		g.rows = append(g.rows, r)
		return nil
	})
	if err != nil {
		return err
	}
	clear(groups)
	for n, g := range order {
		if err := visit(g.rows, g.oversized); err != nil {
			return err
		}
		order[n] = nil
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

// each reads the rows of a file. Their slices are valid until take returns.
func (p *part) each(ctx context.Context, take func(Row) error) error {
	if _, err := p.file.Seek(0, io.SeekStart); err != nil {
		return diskError(err)
	}
	in := bufio.NewReaderSize(p.file, 256<<10)
	var key, place, data []byte
	read := func(buf []byte) ([]byte, error) {
		n, err := binary.ReadUvarint(in)
		if err != nil {
			return buf, err
		}
		buf = slices.Grow(buf[:0], int(n))[:n] //nolint:gosec // Add wrote it
		_, err = io.ReadFull(in, buf)
		return buf, err
	}
	for n := 0; ; n++ {
		var err error
		if key, err = read(key); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return diskError(err)
		}
		seq, err := binary.ReadVarint(in)
		if err == nil {
			if place, err = read(place); err == nil {
				data, err = read(data)
			}
		}
		if err != nil {
			return diskError(err)
		}
		if err := take(Row{Key: string(key), Seq: seq, Place: place, Data: data}); err != nil {
			return err
		}
		if n%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

func (p *part) close() {
	_ = p.file.Close()
	_ = os.Remove(p.file.Name())
}

// Close removes the files.
func (g *Groups) Close() {
	for _, p := range append([]**part{&g.all}, pointers(&g.files)...) {
		if *p != nil {
			(*p).close()
			*p = nil
		}
	}
}
