package source

import (
	"context"
	"io"
	"sync/atomic"
)

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

// pump reads a stream that may block forever, such as standard input, in a goroutine, so that its own Read can return when the context is
// cancelled. If the stream blocks when the pump is closed, the goroutine stays until that read returns: nothing can interrupt it.
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
