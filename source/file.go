package source

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"sync/atomic"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// maxWindow bounds the memory that a zstd file can ask for. It is what the zstd command accepts without --long.
const maxWindow = 128 << 20

// errNotCompressed says that a file's content is not what its name promises.
var errNotCompressed = errors.New("its name ends in .gz or .zst, its content is neither compressed nor JSON")

var (
	gzipMagic = []byte{0x1f, 0x8b}
	zstdMagic = []byte{0x28, 0xb5, 0x2f, 0xfd}
	byteOrder = []byte{0xef, 0xbb, 0xbf} // the UTF-8 byte order mark
)

// opened is an input that is being read: its text, decompressed, behind the byte order mark.
type opened struct {
	io.Reader
	closers []func()
}

func (o *opened) Close() {
	for i := len(o.closers) - 1; i >= 0; i-- {
		o.closers[i]()
	}
}

// open opens the input for reading and counts the bytes that are read from it, before decompression.
func (in input) open(ctx context.Context, count *atomic.Int64) (*opened, error) {
	o := &opened{}
	var raw io.Reader
	if in.regular {
		f, err := os.Open(in.path)
		if err != nil {
			return nil, err
		}
		o.closers = append(o.closers, func() { _ = f.Close() })
		raw = f
	} else {
		p := newPump(ctx, in.stream)
		o.closers = append(o.closers, p.Close)
		raw = p
	}
	if err := o.decompress(in.path, &counter{raw, count}); err != nil {
		o.Close()
		return nil, err
	}
	return o, nil
}

// decompress chooses by the first bytes of the content; the name only tells what to expect.
func (o *opened) decompress(name string, raw io.Reader) error {
	buffered := bufio.NewReaderSize(raw, 64<<10)
	head, err := buffered.Peek(4)
	if err != nil && err != io.EOF {
		return err
	}
	text := buffered
	switch {
	case bytes.HasPrefix(head, gzipMagic):
		z, err := gzip.NewReader(buffered)
		if err != nil {
			return err
		}
		text = bufio.NewReader(z)
	case bytes.Equal(head, zstdMagic), isSkippable(head):
		z, err := zstd.NewReader(buffered, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return err
		}
		o.closers = append(o.closers, z.Close)
		text = bufio.NewReader(z)
	case namedCompressed(name) && len(head) == 0:
		return io.ErrUnexpectedEOF
	case namedCompressed(name) && !bytes.HasPrefix(head, byteOrder) && strings.IndexByte("{ \t\r\n", head[0]) < 0:
		return errNotCompressed
	}
	// An error here comes back at the first Read.
	if mark, _ := text.Peek(len(byteOrder)); bytes.Equal(mark, byteOrder) {
		_, _ = text.Discard(len(byteOrder))
	}
	o.Reader = text
	return nil
}

// isSkippable recognises a skippable frame, with which a zstd file may begin.
func isSkippable(head []byte) bool {
	return len(head) == 4 && head[0]&0xf0 == 0x50 && bytes.Equal(head[1:], []byte{0x2a, 0x4d, 0x18})
}

func namedCompressed(name string) bool {
	return strings.HasSuffix(name, ".gz") || strings.HasSuffix(name, ".zst")
}

// counter counts what is read.
type counter struct {
	r io.Reader
	n *atomic.Int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// pump reads a stream that may block for ever, such as standard input, so that its reader listens to a context. A read
// that blocks when the pump is closed goes on in its goroutine until it returns: nothing can interrupt it.
type pump struct {
	ctx    context.Context
	stop   context.CancelFunc
	chunks chan chunk
	free   chan []byte
	buf    []byte // what the current chunk was read into
	rest   []byte // what is left of it
	err    error
}

type chunk struct {
	buf []byte
	n   int
	err error
}

func newPump(parent context.Context, open func() (io.ReadCloser, error)) *pump {
	ctx, stop := context.WithCancel(parent)
	p := &pump{ctx: ctx, stop: stop, chunks: make(chan chunk), free: make(chan []byte, 2)}
	p.free <- make([]byte, 64<<10)
	p.free <- make([]byte, 64<<10)
	go p.run(open)
	return p
}

func (p *pump) run(open func() (io.ReadCloser, error)) {
	r, err := open()
	if err != nil {
		select {
		case p.chunks <- chunk{err: err}:
		case <-p.ctx.Done():
		}
		return
	}
	defer func() { _ = r.Close() }()
	for err == nil {
		select {
		case buf := <-p.free:
			var n int
			n, err = r.Read(buf)
			select {
			case p.chunks <- chunk{buf, n, err}:
			case <-p.ctx.Done():
				return
			}
		case <-p.ctx.Done():
			return
		}
	}
}

func (p *pump) Read(b []byte) (int, error) {
	for len(p.rest) == 0 {
		if p.err != nil {
			return 0, p.err
		}
		if p.buf != nil {
			p.free <- p.buf
			p.buf = nil
		}
		select {
		case c := <-p.chunks:
			p.buf, p.rest, p.err = c.buf, c.buf[:c.n], c.err
		case <-p.ctx.Done():
			return 0, p.ctx.Err()
		}
	}
	n := copy(b, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

func (p *pump) Close() { p.stop() }
