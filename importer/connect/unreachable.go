package connect

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"regexp"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"
)

// unreachableError describes why there is no connection to a database.
type unreachableError struct {
	text  string
	cause error
}

func (e *unreachableError) Error() string { return e.text }

func (e *unreachableError) Unwrap() error { return e.cause }

// unreachable explains a connection error of the Postgres that a key of the configuration names, and what to do about it. It returns errors
// of other kinds unchanged.
func unreachable(key string, err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	cause, cure := explainRefusal(err)
	if cure == "" {
		if cause, cure = explainFailure(err); cure == "" {
			return err
		}
	}
	doing := key
	if prefix := checkpointPrefix.FindString(err.Error()); prefix != "" {
		doing = prefix
	}
	return &unreachableError{fmt.Sprintf("%s: %s: %s", doing, strings.ReplaceAll(cause, "{key}", key), strings.ReplaceAll(cure, "{key}", key)), err}
}

// checkpointPrefix matches the beginning of the checkpoint's connection errors, which names the server and the database.
var checkpointPrefix = regexp.MustCompile(`^[a-z ]+ checkpoint: connect to Postgres at [^,]*, database "[^"]*"`)

var (
	withoutTLS   = regexp.MustCompile(`(?i)no encryption|ssl off`)
	wantsTLS     = regexp.MustCompile(`(?i)\b(ssl|tls)\b.*\b(required|require|only)\b|\b(required|require|requires)\b.*\b(ssl|tls)\b|insecure|sslmode=require`)
	badParameter = regexp.MustCompile(`(?i)unrecognized configuration parameter|unsupported startup parameter|invalid value for parameter|cannot be changed`)
	tooMany      = regexp.MustCompile(`(?i)too many|max_client_conn|remaining connection slots|connection limit|max clients`)
)

// dialledAddress matches the network address in pgx's errors, which the host's name in parentheses follows.
var dialledAddress = regexp.MustCompile(`(\S+:[0-9]+) \([^)]*\): `)

const addTLS = "the server requires TLS: add sslmode=require to {key}"

// explainRefusal returns a server's error message and what to do about it. cure is "" if the server sent none, or an unknown one.
func explainRefusal(err error) (cause, cure string) {
	answer, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return "", ""
	}
	says := answer.Message
	has := func(words string) bool { return strings.Contains(says, words) }
	switch code := answer.Code; {
	case code == "28P01":
		cure = "correct user and password in {key}; characters such as @ / : # % in them are written as %XX"
	case code == "3D000", has("no such database"):
		cure = "correct the name of the database in {key}, or create it"
	case badParameter.MatchString(says):
		cure = "remove or correct this parameter in {key}; a time zone is set by source.time_zone"
	case has("command-line argument"):
		cure = "remove or correct the parameter options in {key}; endpoint= in it works only with hosts at Neon"
	case tooMany.MatchString(says), code == "53300":
		cure = "close other connections, raise the server's limit, or connect through a pooler"
	case has("no pg_hba.conf entry") && withoutTLS.MatchString(says):
		cure = "add sslmode=require to {key}, because the server may accept only TLS; if that doesn't help, allow this machine in the server's pg_hba.conf"
	case has("pg_hba.conf"):
		cure = "allow this machine, user and database in the server's pg_hba.conf, or in its list of allowed addresses"
	case wantsTLS.MatchString(says):
		cure = addTLS
	case has("no such user"), has("does not exist") && strings.HasPrefix(code, "28"):
		cure = "correct the user in {key}, or create the role"
	case has("not permitted to log in"):
		cure = "allow the role to log in: alter role ... login"
	case strings.HasPrefix(code, "28"):
		cure = "correct user and password in {key}"
	case code == "42501" && has("database"):
		cure = "grant the user the right to connect to the database, or correct {key}"
	case code == "57P03":
		cure = "wait until the server is up, then try again"
	case strings.HasPrefix(code, "08"), code == "0A000":
		cure = "correct {key}, or look at the log of the server or pooler"
	}
	return says, cure
}

// explainFailure returns why there is no usable answer from a server, and what to do about it. cure is "" if the reason is unknown.
func explainFailure(err error) (cause, cure string) {
	const start = "start Postgres there, or correct {key}"
	const other = "either this is not a Postgres server, or something in between closes the connection: correct host and port in {key}"
	where := ""
	if dialled := dialledAddress.FindStringSubmatch(err.Error()); dialled != nil {
		where = dialled[1] + ": "
	}
	if name, ok := errors.AsType[*net.DNSError](err); ok && name.IsNotFound {
		return fmt.Sprintf("there is no host %s", name.Name), "correct the host in {key}; if the name exists only in a container network, run this command there too"
	}
	if cause, cure := explainTLS(err); cure != "" {
		return cause, cure
	}
	says := err.Error()
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &record):
		return where + "no TLS", other
	case errors.Is(err, syscall.ECONNREFUSED):
		return where + "connection refused", start
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return where + "there is no route to this address", "correct the host in {key}, or connect to its network"
	case errors.Is(err, fs.ErrNotExist) && strings.Contains(says, ".s.PGSQL."):
		return "there is no Postgres on this machine, and {key} names no host", "write postgres://user:password@host:5432/database"
	case strings.Contains(says, "channel binding"):
		return "the server does not support channel binding", "remove channel_binding from {key}, or set it to prefer"
	case strings.Contains(says, "failed SASL auth"):
		return "authentication failed", "correct user and password in {key}"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE),
		strings.Contains(says, "unexpected EOF"), strings.Contains(says, "failed to receive message"), strings.Contains(says, "unknown message type"), strings.Contains(says, "invalid message"):
		return where + "no answer in the Postgres protocol", other
	case strings.Contains(says, "server refused TLS connection"):
		return where + "the server does not support TLS", "turn on TLS there, or set sslmode=disable in {key} if you trust the network in between; if this is not a Postgres server, correct host and port"
	case pgconn.Timeout(err), errors.Is(err, context.DeadlineExceeded):
		return where + "no answer in time", "correct host and port in {key}, or find out what blocks the connection, such as a firewall or a list of allowed addresses"
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return where + bareNetError(err).Error(), start
	}
	return "", ""
}

// explainTLS returns what is wrong with the server's certificate or with the TLS handshake, and what to do about it.
func explainTLS(err error) (cause, cure string) {
	const trust = "set sslrootcert in {key} to the authority's certificate"
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "the server's certificate is from an authority that this machine does not trust", trust + ", or set sslmode=require, which does not check it"
	}
	if bad, ok := errors.AsType[x509.HostnameError](err); ok {
		return fmt.Sprintf("the server's certificate is not for the host %s", bad.Host), "use the host name in the certificate, or set sslmode=verify-ca in {key}"
	}
	if bad, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		why := "is not valid"
		if bad.Reason == x509.Expired {
			why = "has expired or is not valid yet"
		}
		return "the server's certificate " + why, "renew it, or correct the clock of this machine"
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "the server's certificate could not be verified", trust
	}
	if alert, ok := errors.AsType[tls.AlertError](err); ok {
		return "the server ended the TLS handshake: " + alert.Error(), "if it requires a client certificate, set sslcert and sslkey in {key}"
	}
	if strings.Contains(err.Error(), "remote error: tls:") {
		return "the server ended the TLS handshake", "if it requires a client certificate, set sslcert and sslkey in {key}"
	}
	return "", ""
}

// bareNetError returns the cause of a net.OpError, which would repeat the operation and the address.
func bareNetError(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}
