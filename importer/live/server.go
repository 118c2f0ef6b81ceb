package live

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/netutil"
	"golang.org/x/sync/errgroup"
)

// ServerConfig is what a Server serves, and its limits.
type ServerConfig struct {
	Address  string                  // host:port
	Handlers map[string]http.Handler // by the patterns of http.ServeMux, such as "/webhooks/dixa" and "POST /transcripts"
	// Ready reports why the process cannot work now, such as the error of a checkpoint that is away. It is called for each GET /readyz.
	Ready func(ctx context.Context) error
	// CertFile and KeyFile, if set, turn on TLS.
	CertFile, KeyFile string

	Connections   int           // how many may be open at once; default 256
	HeaderTimeout time.Duration // for the header of a request; default 10s
	BodyTimeout   time.Duration // for its body; default 30s
	WriteTimeout  time.Duration // for a request as a whole, including what a handler does; default 5m
	IdleTimeout   time.Duration // between requests on a connection; default 2m
	DrainTimeout  time.Duration // for the requests under way when it is stopped; default 20s

	Logger *slog.Logger // default: discard
}

const (
	maxHeader     = 16 << 10
	readyPatience = 3 * time.Second
)

// Server is the HTTP side of the live half, with GET /healthz and GET /readyz beside the given handlers.
type Server struct {
	ServerConfig
	listener net.Listener
	server   *http.Server
}

// Listen takes the address, so that Addr is known and requests queue up until Serve.
func Listen(ctx context.Context, c ServerConfig) (*Server, error) {
	c = c.withDefaults()
	mux := http.NewServeMux()
	for pattern, h := range c.Handlers {
		mux.Handle(pattern, h)
	}
	s := &Server{ServerConfig: c}
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	mux.HandleFunc("GET /readyz", s.ready)
	s.server = &http.Server{
		Handler: timedBody(mux, c.BodyTimeout), ReadHeaderTimeout: c.HeaderTimeout, WriteTimeout: c.WriteTimeout, IdleTimeout: c.IdleTimeout,
		MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(c.Logger.Handler(), slog.LevelDebug),
	}
	if c.CertFile+c.KeyFile != "" {
		certificate, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("read the TLS certificate %s and its key %s: %w", c.CertFile, c.KeyFile, err)
		}
		s.server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", c.Address)
	if err != nil {
		return nil, fmt.Errorf("listen for requests: %w", err)
	}
	s.listener = netutil.LimitListener(listener, c.Connections)
	return s, nil
}

func (c ServerConfig) withDefaults() ServerConfig {
	c.HeaderTimeout = cmp.Or(c.HeaderTimeout, 10*time.Second)
	c.BodyTimeout = cmp.Or(c.BodyTimeout, 30*time.Second)
	c.WriteTimeout = cmp.Or(c.WriteTimeout, 5*time.Minute)
	c.IdleTimeout = cmp.Or(c.IdleTimeout, 2*time.Minute)
	c.DrainTimeout = cmp.Or(c.DrainTimeout, 20*time.Second)
	c.Connections = cmp.Or(c.Connections, 256)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Addr is the address that it listens at.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Serve answers requests until ctx ends. Those under way then get DrainTimeout. The error says why it could not serve.
func (s *Server) Serve(ctx context.Context) error {
	g, stopped := errgroup.WithContext(ctx)
	g.Go(func() error {
		var err error
		if s.server.TLSConfig != nil {
			err = s.server.ServeTLS(s.listener, "", "")
		} else {
			err = s.server.Serve(s.listener)
		}
		if errors.Is(err, http.ErrServerClosed) {
			return nil
		}
		return fmt.Errorf("serve: %w", err)
	})
	g.Go(func() error {
		<-stopped.Done()
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.DrainTimeout)
		defer cancel()
		if s.server.Shutdown(drain) != nil { // senders repeat what is cut off here
			_ = s.server.Close()
		}
		return nil
	})
	return g.Wait()
}

func (s *Server) ready(w http.ResponseWriter, req *http.Request) {
	ctx, cancel := context.WithTimeout(req.Context(), readyPatience)
	defer cancel()
	if s.Ready != nil {
		if err := s.Ready(ctx); err != nil {
			s.Logger.Debug("it is not ready", "error", err.Error())
			http.Error(w, "not ready", http.StatusServiceUnavailable)
			return
		}
	}
	_, _ = io.WriteString(w, "ok\n")
}

// timedBody limits how long the body of a request may take to arrive, but not how long a handler may work after that, as
// http.Server.ReadTimeout would.
func timedBody(h http.Handler, limit time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Body != nil && req.Body != http.NoBody {
			control := http.NewResponseController(w)
			if control.SetReadDeadline(time.Now().Add(limit)) == nil {
				req.Body = &timedReader{req.Body, control}
			}
		}
		h.ServeHTTP(w, req)
	})
}

type timedReader struct {
	io.ReadCloser
	control *http.ResponseController
}

func (r *timedReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) {
		_ = r.control.SetReadDeadline(time.Time{})
	}
	return n, err
}
