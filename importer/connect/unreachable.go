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

// unreachable says in plain words why the Postgres that a key of the configuration names could not be connected to, and what to do about it.
// An error of another kind comes back as it is.
func unreachable(key string, err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	cause, cure := refusalOf(err)
	if cure == "" {
		if cause, cure = lossOf(err); cure == "" {
			return err
		}
	}
	doing := key
	if said := checkpointAt.FindString(err.Error()); said != "" {
		doing = said
	}
	return &unreachableError{fmt.Sprintf("%s: %s: %s", doing, strings.ReplaceAll(cause, "{key}", key), strings.ReplaceAll(cure, "{key}", key)), err}
}

// checkpointAt is what the checkpoint says of where it wanted to connect to.
var checkpointAt = regexp.MustCompile(`^[a-z ]+ checkpoint: connect to Postgres at [^,]*, database "[^"]*"`)

var (
	withoutTLS   = regexp.MustCompile(`(?i)no encryption|ssl off`)
	wantsTLS     = regexp.MustCompile(`(?i)\b(ssl|tls)\b.*\b(required|require|only)\b|\b(required|require|requires)\b.*\b(ssl|tls)\b|insecure|sslmode=require`)
	badParameter = regexp.MustCompile(`(?i)unrecognized configuration parameter|unsupported startup parameter|invalid value for parameter|cannot be changed`)
	tooMany      = regexp.MustCompile(`(?i)too many|max_client_conn|remaining connection slots|connection limit|max clients`)
)

// dialledAddress finds the address where pgx puts it before the name of the host.
var dialledAddress = regexp.MustCompile(`(\S+:[0-9]+) \([^)]*\): `)

const addTLS = "the server wants TLS: add sslmode=require to {key}"

// refusalOf returns what a server answered instead of letting us in, and the cure; "" if it has not answered, or let us in.
func refusalOf(err error) (cause, cure string) {
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
		cure = "remove or correct this parameter in {key}; a time zone is that of source.time_zone"
	case has("command-line argument"):
		cure = "remove or correct the parameter options in {key}; endpoint= in it is for hosts of Neon alone"
	case tooMany.MatchString(says), code == "53300":
		cure = "close other connections, raise the server's limit, or connect through a pooler"
	case has("no pg_hba.conf entry") && withoutTLS.MatchString(says):
		cure = "add sslmode=require to {key}, as it may take TLS only; else have this machine admitted in the server's pg_hba.conf"
	case has("pg_hba.conf"):
		cure = "have this machine, user and database admitted in the server's pg_hba.conf, or in the list of allowed addresses"
	case wantsTLS.MatchString(says):
		cure = addTLS
	case has("no such user"), has("does not exist") && strings.HasPrefix(code, "28"):
		cure = "correct the user in {key}, or create the role"
	case has("not permitted to log in"):
		cure = "let the role log in: alter role ... login"
	case strings.HasPrefix(code, "28"):
		cure = "correct user and password in {key}"
	case code == "42501" && has("database"):
		cure = "grant the user the right to connect to the database, or correct {key}"
	case code == "57P03":
		cure = "wait until the server is up, then try again"
	case strings.HasPrefix(code, "08"), code == "0A000":
		cure = "correct {key}, or see the log of the server or pooler"
	}
	return says, cure
}

// lossOf returns why no server answered, and the cure; "" if that is none of the reasons that it knows.
func lossOf(err error) (cause, cure string) {
	const start = "start Postgres there, or correct {key}"
	const other = "what answers there is no Postgres, or something between ends the connection: correct host and port in {key}"
	where := ""
	if dialled := dialledAddress.FindStringSubmatch(err.Error()); dialled != nil {
		where = dialled[1] + ": "
	}
	if name, ok := errors.AsType[*net.DNSError](err); ok && name.IsNotFound {
		return fmt.Sprintf("there is no host %s", name.Name), "correct the host in {key}; where it is known only in a container's network, run this in there, too"
	}
	if cause, cure := certificateOf(err); cure != "" {
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
		return where + "there is no way to this address", "correct the host in {key}, or connect to its network"
	case errors.Is(err, fs.ErrNotExist) && strings.Contains(says, ".s.PGSQL."):
		return "there is no Postgres on this machine, and {key} names no host", "write postgres://user:password@host:5432/database"
	case strings.Contains(says, "channel binding"):
		return "the server offers no channel binding", "take channel_binding out of {key}, or set it to prefer"
	case strings.Contains(says, "failed SASL auth"):
		return "the password cannot be used", "correct user and password in {key}"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE),
		strings.Contains(says, "unexpected EOF"), strings.Contains(says, "failed to receive message"), strings.Contains(says, "unknown message type"), strings.Contains(says, "invalid message"):
		return where + "no answer in the protocol of Postgres", other
	case strings.Contains(says, "server refused TLS connection"):
		return where + "the server offers no TLS", "turn on TLS there, or set sslmode=disable in {key} if the network between can be trusted; if that is no Postgres, correct host and port"
	case pgconn.Timeout(err), errors.Is(err, context.DeadlineExceeded):
		return where + "no answer in time", "correct host and port in {key}, or see what keeps this machine from reaching it, such as a firewall or a list of allowed addresses"
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return where + bareNetError(err).Error(), start
	}
	return "", ""
}

// certificateOf returns what is wrong with the certificate of a server, or that it wants one from us.
func certificateOf(err error) (cause, cure string) {
	const trust = "name the authority's certificate by sslrootcert in {key}"
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "the server's certificate is of an authority that this machine does not know", trust + ", or set sslmode=require, which does not check it"
	}
	if bad, ok := errors.AsType[x509.HostnameError](err); ok {
		return fmt.Sprintf("the server's certificate is not for the host %s", bad.Host), "write the host as the certificate has it, or set sslmode=verify-ca in {key}"
	}
	if bad, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		why := "is not valid"
		if bad.Reason == x509.Expired {
			why = "has expired, or is not valid yet"
		}
		return "the server's certificate " + why, "have it renewed, and check the clock of this machine"
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "the server's certificate could not be verified", trust
	}
	if alert, ok := errors.AsType[tls.AlertError](err); ok {
		return "the server ended the TLS handshake: " + alert.Error(), "see whether it wants a certificate of ours, which sslcert and sslkey in {key} name"
	}
	if strings.Contains(err.Error(), "remote error: tls:") {
		return "the server ended the TLS handshake", "see whether it wants a certificate of ours, which sslcert and sslkey in {key} name"
	}
	return "", ""
}

// bareNetError returns the cause of an error of package net, which says operation and address once more.
func bareNetError(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}
