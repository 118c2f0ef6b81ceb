package connect

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"dixa-import/importer/checkpoint/pgtest"
	"dixa-import/source"
)

// fakeServer starts a server and returns its address. It calls answer for each connection, with the first 8 bytes from the client.
func fakeServer(t *testing.T, answer func(conn net.Conn, first []byte)) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	t.Cleanup(func() {
		if err := listener.Close(); err != nil {
			t.Error(err)
		}
		all.Wait()
	})
	all.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer func() { _ = conn.Close() }()
				_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
				first := make([]byte, 8)
				if _, err := io.ReadFull(conn, first); err == nil {
					answer(conn, first)
				}
			})
		}
	})
	return listener.Addr().String()
}

// requestsTLS reports whether a client's first message asks for TLS.
func requestsTLS(first []byte) bool { return binary.BigEndian.Uint32(first[4:]) == 80877103 }

// refusing refuses TLS and answers every connection with a Postgres error.
func refusing(code, message string) func(net.Conn, []byte) {
	return func(conn net.Conn, first []byte) {
		if requestsTLS(first) {
			_, _ = conn.Write([]byte("N"))
			if _, err := io.ReadFull(conn, first); err != nil {
				return
			}
		}
		if _, err := io.ReadFull(conn, make([]byte, binary.BigEndian.Uint32(first)-8)); err != nil {
			return
		}
		answer, err := (&pgproto3.ErrorResponse{Severity: "FATAL", Code: code, Message: message}).Encode(nil)
		if err == nil {
			_, _ = conn.Write(answer)
		}
	}
}

// withCertificate answers with TLS and a self-signed certificate.
func withCertificate(t *testing.T, expires time.Time) func(net.Conn, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "db"}, DNSNames: []string{"db.example.org"}, NotAfter: expires, NotBefore: expires.Add(-time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}
	return func(conn net.Conn, _ []byte) {
		_, _ = conn.Write([]byte("S"))
		_ = tls.Server(conn, config).Handshake() //nolint:noctx // it has a deadline
	}
}

func says(text string) func(net.Conn, []byte) {
	return func(conn net.Conn, _ []byte) { _, _ = io.WriteString(conn, text) }
}

// TestConnectionErrorsAreExplained covers the known connection errors, for the source and for the checkpoint.
func TestConnectionErrorsAreExplained(t *testing.T) {
	t.Parallel()
	server := strings.TrimPrefix(pgtest.New(t), "postgres://postgres@")
	server, _, _ = strings.Cut(server, "?")
	realHost, realName, _ := strings.Cut(server, "/")
	postgres := func(code, message string) string {
		return fakeServer(t, refusing(code, message)) + "/db?sslmode=disable"
	}
	for name, tt := range map[string]struct {
		address string
		want    []string
	}{
		"no such database": {realHost + "/nosuch?sslmode=disable", []string{`"nosuch" does not exist`, "correct the name of the database in KEY"}},
		"no TLS there":     {realHost + "/" + realName + "?sslmode=require", []string{"the server does not support TLS", "sslmode=disable"}},
		"unknown setting":  {realHost + "/" + realName + "?sslmode=disable&sslmod=x", []string{`"sslmod"`, "remove or correct this parameter in KEY"}},
		"bad setting":      {realHost + "/" + realName + "?sslmode=disable&statement_timeout=soon", []string{`"statement_timeout"`, "remove or correct this parameter"}},
		"channel binding":  {realHost + "/" + realName + "?sslmode=disable&channel_binding=require", []string{"channel", "channel_binding"}},
		"password":         {postgres("28P01", `password authentication failed for user "bot"`), []string{`authentication failed for user "bot"`, "correct user and password in KEY", "%XX"}},
		"no role":          {postgres("28000", `role "bot" does not exist`), []string{"correct the user in KEY, or create the role"}},
		"no login":         {postgres("28000", `role "bot" is not permitted to log in`), []string{"alter role"}},
		"pg_hba":           {postgres("28000", `no pg_hba.conf entry for host "10.0.0.7", user "bot", database "db", SSL encryption`), []string{"allow this machine, user and database in the server's pg_hba.conf"}},
		"pg_hba, no TLS":   {postgres("28000", `no pg_hba.conf entry for host "10.0.0.7", user "bot", database "db", no encryption`), []string{"sslmode=require", "pg_hba.conf"}},
		"old pg_hba":       {postgres("28000", `no pg_hba.conf entry for host "10.0.0.7", user "bot", database "db", SSL off`), []string{"sslmode=require"}},
		"TLS required":     {postgres("28000", "SSL connection is required. Please specify SSL options and retry."), []string{"add sslmode=require to KEY"}},
		"pooler's TLS":     {postgres("08P01", "SSL required"), []string{"add sslmode=require to KEY"}},
		"Neon":             {postgres("08P01", "connection is insecure (try using `sslmode=require`)"), []string{"add sslmode=require to KEY"}},
		"Neon's endpoint":  {realHost + "/" + realName + "?sslmode=disable&options=endpoint%3Dep-1", []string{"ep-1", "parameter options in KEY"}},
		"too many":         {postgres("53300", "sorry, too many clients already"), []string{"too many clients", "raise the server's limit"}},
		"pooler's limit":   {postgres("08P01", "no more connections allowed (max_client_conn)"), []string{"raise the server's limit"}},
		"pooler's setting": {postgres("08P01", "unsupported startup parameter: jit"), []string{"jit", "remove or correct this parameter"}},
		"starting":         {postgres("57P03", "the database system is starting up"), []string{"wait until the server is up"}},
		"no grant":         {postgres("42501", `permission denied for database "db"`), []string{"right to connect"}},
		"no listener":      {"127.0.0.1:1/db", []string{"127.0.0.1:1: connection refused", "start Postgres there, or correct KEY"}},
		"no host":          {"nosuch.invalid/db", []string{"there is no host nosuch.invalid", "correct the host in KEY"}},
		"web server":       {fakeServer(t, says("HTTP/1.1 400 Bad Request\r\n\r\n")) + "/db", []string{"no answer in the Postgres protocol", "correct host and port in KEY"}},
		"MySQL":            {fakeServer(t, says("J\x00\x00\x00\x0a8.0.36\x00aaaaaaaa")) + "/db?sslmode=disable", []string{"correct host and port in KEY"}},
		"SSH":              {fakeServer(t, says("SSH-2.0-OpenSSH_9.7\r\n")) + "/db?sslmode=require", []string{"correct host and port in KEY"}},
		"closes":           {fakeServer(t, says("")) + "/db", []string{"no answer in the Postgres protocol"}},
		"silence":          {fakeServer(t, func(conn net.Conn, _ []byte) { _, _ = io.Copy(io.Discard, conn) }) + "/db?connect_timeout=1", []string{"no answer in time", "firewall"}},
		"own certificate":  {fakeServer(t, withCertificate(t, time.Now().Add(time.Hour))) + "/db?sslmode=verify-ca", []string{"authority that this machine does not trust", "sslrootcert"}},
		"other host":       {fakeServer(t, withCertificate(t, time.Now().Add(time.Hour))) + "/db?sslmode=verify-full", []string{"certificate"}},
		"no URL":           {":x/", []string{"percent-encode|special characters"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := "postgres://bot:Sekret@" + tt.address
			if strings.HasPrefix(tt.address, realHost) {
				address = "postgres://postgres:Sekret@" + tt.address
			}
			_, closeReader, err := Source(t.Context(), source.PostgresConfig{URL: Address(address, ForSource), Query: "select 1 as id, now() as closed_at, '[]'::json as messages",
				Patience: time.Second, Logger: slog.New(slog.DiscardHandler)}, source.Mapping{})
			if err == nil {
				closeReader()
			}
			checkRefusal(t, err, "source.postgres.url", tt.want)
			database := Address(address, ForCheckpoint)
			store, err := Open(t.Context(), database, false)
			if err == nil {
				err = fmt.Errorf("opened: %w", store.Close())
			}
			checkRefusal(t, err, "database", tt.want)
		})
	}
}

func checkRefusal(t *testing.T, err error, key string, wants []string) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: no error", key)
		return
	}
	text := err.Error()
	for _, want := range wants {
		found := false
		for _, alternative := range strings.Split(strings.ReplaceAll(want, "KEY", key), "|") {
			found = found || strings.Contains(text, alternative)
		}
		if !found {
			t.Errorf("%s: %q lacks %q", key, text, want)
		}
	}
	if strings.Contains(text, "{key}") || strings.Contains(text, "Sekret") || strings.Contains(text, "correct the query") || strings.Contains(text, "\n") {
		t.Errorf("%s: %q", key, text)
	}
}
