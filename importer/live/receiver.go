package live

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// MaxBody is the largest body of a delivery, in bytes.
const MaxBody = 1 << 20

// ReceiverConfig is how a Receiver answers.
type ReceiverConfig struct {
	Secrets  []string      // of the webhook subscriptions, in hexadecimal; a signature may be that of any
	MaxAge   time.Duration // an older signature is logged, but accepted, because retries may be late; default 5m
	Patience time.Duration // how long a delivery waits for a database that is unavailable; default 5s
	Logger   *slog.Logger  // default: discard
}

// Receiver is the http.Handler of webhook deliveries. It answers 200 when an event is stored, or was before, or is not wanted; 4xx when a
// delivery is not genuine or not an event; and 503 when the database is unavailable, so that Dixa repeats the delivery.
type Receiver struct {
	ReceiverConfig
	intake  *Intake
	secrets verifier

	refused, aged, failed rate.Sometimes // when they are logged

	mu      sync.Mutex
	answers map[DeliveryAnswer]int64
}

// DeliveryAnswer is how a delivery was answered: a status, and one of a few sentences that say why.
type DeliveryAnswer struct {
	Status int
	Why    string
}

// retryAfter is how many seconds a sender should wait while the database is unavailable.
const retryAfter = "5"

// NewReceiver returns a Receiver, or an error about the secrets that does not contain them.
func NewReceiver(in *Intake, c ReceiverConfig) (*Receiver, error) {
	secrets, err := newVerifier(c.Secrets)
	if err != nil {
		return nil, err
	}
	c.MaxAge, c.Patience = cmp.Or(c.MaxAge, 5*time.Minute), cmp.Or(c.Patience, 5*time.Second)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	r := &Receiver{ReceiverConfig: c, intake: in, secrets: secrets, answers: map[DeliveryAnswer]int64{}}
	for _, s := range []*rate.Sometimes{&r.refused, &r.aged, &r.failed} {
		s.Interval = time.Minute
	}
	return r, nil
}

// Answers returns how often deliveries were answered so far, and how.
func (r *Receiver) Answers() map[DeliveryAnswer]int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.answers)
}

func (r *Receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	status, why := r.receive(w, req)
	r.mu.Lock()
	r.answers[DeliveryAnswer{status, why}]++
	r.mu.Unlock()
	if status >= 400 && status < 500 {
		r.refused.Do(func() { r.Logger.Warn("a webhook delivery was refused", "status", status, "reason", why) })
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	switch status {
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", retryAfter)
	case http.StatusMethodNotAllowed:
		w.Header().Set("Allow", http.MethodPost)
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, why+"\n")
}

// receive handles a delivery, and returns the answer: a status and one line.
func (r *Receiver) receive(w http.ResponseWriter, req *http.Request) (int, string) {
	if req.Method != http.MethodPost {
		return http.StatusMethodNotAllowed, "only POST"
	}
	signature := strings.Join(req.Header.Values(SignatureHeader), ",")
	if signature == "" {
		return http.StatusUnauthorized, "unsigned"
	}
	if req.ContentLength > MaxBody {
		return http.StatusRequestEntityTooLarge, "too large"
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, MaxBody))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return http.StatusRequestEntityTooLarge, "too large"
	}
	if err != nil {
		return http.StatusBadRequest, "the body ended early"
	}
	at, ok := r.secrets.verify(signature, body)
	if !ok {
		return http.StatusUnauthorized, "the signature is wrong"
	}
	if age := time.Since(at); age > r.MaxAge || age < -r.MaxAge {
		r.aged.Do(func() {
			r.Logger.Warn("a webhook delivery was signed long ago; it is accepted", "age", age.Round(time.Second).String())
		})
	}
	return r.store(req.Context(), body)
}

// store stores the event of a genuine delivery.
func (r *Receiver) store(ctx context.Context, body []byte) (int, string) {
	var outcome Outcome
	err := patiently(ctx, r.Patience, func(ctx context.Context) (err error) {
		outcome, err = r.intake.Take(ctx, body)
		return err
	})
	switch {
	case errors.Is(err, ErrMalformed):
		return http.StatusBadRequest, ErrMalformed.Error()
	case err != nil:
		if ctx.Err() == nil {
			r.failed.Do(func() {
				r.Logger.Error("a webhook delivery could not be stored; Dixa is asked to repeat it in "+retryAfter+"s", "error", err.Error())
			})
		}
		return http.StatusServiceUnavailable, "not now"
	}
	r.Logger.Debug("a webhook delivery was taken in", "outcome", strconv.Itoa(int(outcome)))
	return http.StatusOK, "ok"
}
