// Package spill gathers rows by their keys on disk, however they are interleaved, in bounded memory.
package spill

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
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
	seed  maphash.Seed
	depth int
	files [parts]*part
}

type part struct {
	file *os.File
	w    *bufio.Writer
	size int64
}

// New returns an empty set of groups.
func New() *Groups { return &Groups{seed: maphash.MakeSeed()} }

// Add adds a row. The error is that of the disk, and says what to do.
func (g *Groups) Add(r Row) error {
	n := maphash.String(g.seed, r.Key) % parts
	p := g.files[n]
	if p == nil {
		file, err := os.CreateTemp("", "dixa-import-groups-")
		if err != nil {
			return diskError(err)
		}
		// Nothing stays behind after a crash, except on systems that do not remove open files: there Close does it.
		_ = os.Remove(file.Name())
		p = &part{file: file, w: bufio.NewWriterSize(file, 32<<10)}
		g.files[n] = p
	}
	head := binary.AppendUvarint(nil, uint64(len(r.Key)))
	head = append(head, r.Key...)
	head = binary.AppendVarint(head, r.Seq)
	head = binary.AppendUvarint(head, uint64(len(r.Place)))
	head = append(head, r.Place...)
	head = binary.AppendUvarint(head, uint64(len(r.Data)))
	if _, err := p.w.Write(head); err != nil {
		return diskError(err)
	}
	if _, err := p.w.Write(r.Data); err != nil {
		return diskError(err)
	}
	p.size += int64(len(head) + len(r.Data))
	return nil
}

func diskError(err error) error {
	return fmt.Errorf("group the rows on disk in %s: %w: make room there, or set TMPDIR to a folder that has it", os.TempDir(), err)
}

// Each calls visit with the rows of each key, in the order in which they were added. oversized is true if there are more than MaxGroup bytes: then
// only the first rows are there. What visit gets is valid until it returns.
func (g *Groups) Each(ctx context.Context, visit func(rows []Row, oversized bool) error) error {
	for n, p := range g.files {
		if p == nil {
			continue
		}
		if err := p.w.Flush(); err != nil {
			return diskError(err)
		}
		var err error
		if p.size > partBytes && g.depth < maxDepth {
			err = g.spread(ctx, p, visit)
		} else {
			err = gather(ctx, p, visit)
		}
		if err != nil {
			return err
		}
		p.close()
		g.files[n] = nil
	}
	return nil
}

// spread distributes a file over others.
func (g *Groups) spread(ctx context.Context, p *part, visit func([]Row, bool) error) error {
	within := &Groups{seed: maphash.MakeSeed(), depth: g.depth + 1}
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
	for n, p := range g.files {
		if p != nil {
			p.close()
			g.files[n] = nil
		}
	}
}
