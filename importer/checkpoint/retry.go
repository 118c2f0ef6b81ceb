package checkpoint

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// errNoAnswer says that the database did not answer within the store's time limit.
var errNoAnswer = errors.New("the checkpoint database did not answer in time")

// idleTooLong is the SQLSTATE of idle_session_timeout.
const idleTooLong = "57P05"

// retryableStates are the SQLSTATEs, or their classes, of an unavailable database or of a transaction that lost a race.
var retryableStates = []string{
	"08",    // connection exceptions, including those that poolers report
	"53",    // too many connections, out of memory, disk full
	"57P01", // admin_shutdown
	"57P02", // crash_shutdown
	"57P03", // cannot_connect_now
	idleTooLong,
	"25P03", // idle_in_transaction_session_timeout
	"25006", // read_only_sql_transaction: a standby, during failover
	"40001", // serialization_failure
	"40P01", // deadlock_detected
}

// Retryable reports whether a call that failed with this error may succeed if it is repeated: the database is unavailable, or the
// transaction lost a race. Every method may then be called again with the same arguments. A cancelled context is not retryable.
func Retryable(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, ErrDiskFull) {
		return false
	}
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		for _, state := range retryableStates {
			if strings.HasPrefix(pg.Code, state) {
				return true
			}
		}
		return false
	}
	if lite, ok := errors.AsType[*sqlite.Error](err); ok {
		primary := lite.Code() & 0xff
		return primary == sqlite3.SQLITE_BUSY || primary == sqlite3.SQLITE_LOCKED
	}
	for _, target := range []error{errNoAnswer, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed} {
		if errors.Is(err, target) {
			return true
		}
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return dns.IsTemporary || dns.IsTimeout // an unknown host means a wrong URL
	}
	if _, ok := errors.AsType[*net.OpError](err); ok {
		return true
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return true
	}
	return pgconn.SafeToRetry(err) // such as a connection that was closed before anything was sent
}

// Lost reports whether a call failed because its connection was closed, for example by a server or a pooler that closes idle connections.
// Then the call may succeed at once on a new connection. It returns false if the database cannot be reached or does not answer.
func Lost(err error) bool {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return slices.Contains([]string{"57P01", idleTooLong, "08003", "08006", "08P01"}, pg.Code)
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok || err == nil || !Retryable(err) || errors.Is(err, errNoAnswer) {
		return false
	}
	if _, ok := errors.AsType[*sqlite.Error](err); ok {
		return false
	}
	timeout, ok := errors.AsType[net.Error](err)
	return !ok || !timeout.Timeout()
}
