package dixa

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"
)

// errTooLate is why a request did not begin after its bound.
var errTooLate = errors.New("the request was held up until after the moment by which it had to begin")

// TooLate reports whether a request was kept back because it could not begin by the moment that its caller had set. Nothing of it
// was sent.
func TooLate(err error) bool { return errors.Is(err, errTooLate) }

// beginning watches over the first byte of one request, on whatever connection net/http writes it to: the last moment at
// which a request that has become too late can be kept back, and the first at which it may have reached the server.
type beginning struct {
	method   string
	notAfter time.Time               // zero: no bound
	giveUp   context.CancelCauseFunc // of the request, or net/http would try one kept connection after the other
	state    atomic.Int32
}

// The states of a beginning.
const (
	unwritten int32 = iota
	written         // some of the request may have left
	refused         // nothing left, and nothing will
)

// begin is called right before the first byte of the request is written. An error keeps it from that.
func (b *beginning) begin() error {
	if isOver(b.notAfter) {
		b.state.CompareAndSwap(unwritten, refused)
		b.giveUp(errTooLate)
		return errTooLate
	}
	if !b.state.CompareAndSwap(unwritten, written) && b.state.Load() == refused {
		return errTooLate
	}
	return nil
}

// end reports whether some of the request may have been written. If nothing was, nothing will be.
func (b *beginning) end() bool {
	return !b.state.CompareAndSwap(unwritten, refused) && b.state.Load() == written
}

// trace finds out which connection the request is written to. What comes before that (dial, name lookup, TLS handshake, a
// proxy's CONNECT) carries nothing of the request.
//
// net/http asks for another connection when it repeats a request by itself, which it does for a POST or PATCH only if
// not one byte was written to the last connection. So this takes the mark back, except for a GET, where it proves less.
func (b *beginning) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GetConn: func(string) {
			if b.method != http.MethodGet {
				b.state.CompareAndSwap(written, unwritten)
			}
		},
		GotConn: func(info httptrace.GotConnInfo) {
			conn := guardOf(info.Conn)
			if conn == nil { // nobody will tell when the first byte leaves
				b.state.CompareAndSwap(unwritten, written)
				return
			}
			conn.next.Store(b)
		},
	}
}

// guardedConn asks the beginning of each request before the first byte of it is written.
type guardedConn struct {
	net.Conn
	next atomic.Pointer[beginning] // of the request that comes next, nil once it has begun
}

func (c *guardedConn) Write(p []byte) (int, error) {
	if b := c.next.Load(); b != nil {
		if err := b.begin(); err != nil {
			return 0, err
		}
		c.next.CompareAndSwap(b, nil)
	}
	return c.Conn.Write(p)
}

// guardOf returns the guard under a connection, nil if there is none.
func guardOf(conn net.Conn) *guardedConn {
	for {
		switch c := conn.(type) {
		case *guardedConn:
			return c
		case *tls.Conn: // two of them, one in the other, through an https:// proxy
			conn = c.NetConn()
		default:
			return nil
		}
	}
}

// dialGuarded returns a dial function whose connections are guarded.
func dialGuarded(dial dialFunc) dialFunc {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &guardedConn{Conn: conn}, nil
	}
}

type dialFunc = func(ctx context.Context, network, addr string) (net.Conn, error)

// isOver reports whether a moment has passed by either clock: the monotonic one stands still while a machine is suspended,
// and the wall clock may be set back. The zero time never is.
func isOver(moment time.Time) bool {
	now := time.Now()
	return !moment.IsZero() && (moment.Before(now) || moment.Round(0).Before(now.Round(0)))
}
