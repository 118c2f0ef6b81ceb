package dixa

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
)

const (
	maxErrorBody  = 64 << 10  // bytes of an error's body that are read
	maxAnswerBody = 64 << 20  // bytes that an answer may have
	maxDrain      = 256 << 10 // bytes that are read beyond, so that the connection can be used again
	longestWait   = 15 * time.Second
)

// errTooLarge is not worth a repetition, unlike other unreadable answers.
var errTooLarge = fmt.Errorf("it has more than %d MiB", maxAnswerBody>>20)

// call is one operation with its arguments.
type call[T any] struct {
	op     Operation
	method string
	url    string
	body   requestBody // nil: none
	before func(ctx context.Context, attempt int, previous error) (notAfter time.Time, err error)
	read   func(body []byte) (T, error) // of an answer of success
	sink   func(io.Reader) error        // in the place of read, for an answer that is too large to hold; each attempt calls it once

	notAgain bool // it is no POST, and must not be sent again blindly either
}

// mayRepeat reports whether the call may be sent again after the error. A POST, and what is as delicate, may only if nothing of it was
// written.
func (in call[T]) mayRepeat(err error) bool {
	if in.method == http.MethodPost || in.notAgain {
		transport, ok := errors.AsType[*TransportError](err)
		return ok && !transport.Written
	}
	return Transient(err) && !errors.Is(err, errTooLarge)
}

// do performs a call: the only place from which requests leave, and the only loop that repeats them.
func do[T any](ctx context.Context, c *Client, in call[T]) (T, error) {
	var zero T
	payload, err := encodeBody(in.body)
	if err != nil {
		return zero, &unsentError{op: in.op, err: err}
	}
	waits := &backoff.ExponentialBackOff{InitialInterval: c.backoff, RandomizationFactor: 0.5, Multiplier: 2, MaxInterval: longestWait}
	var previous error
	doubtful := false // an earlier attempt may have been applied
	me := &caller{op: in.op}
	defer c.rests.leave(me)
	for attempt, failures := 1, 0; ; attempt++ {
		if err := c.admit(ctx, me); err != nil {
			return zero, interrupted(in.op, previous, err, doubtful)
		}
		notAfter, err := in.prepare(ctx, c, me, attempt, previous)
		if err != nil {
			return zero, err
		}
		c.rests.begin(me)
		result, err := once(ctx, c, in, payload, notAfter)
		c.gate.note(err)
		c.rests.note(me, err)
		if err == nil {
			return result, nil
		}
		previous = err
		if _, throttled := errors.AsType[*RateLimitError](err); throttled {
			continue // the limiter makes everybody wait
		}
		doubtful = doubtful || !NotApplied(err)
		if !in.mayRepeat(err) {
			return zero, final(err, doubtful)
		}
		wasDown, waitErr := c.gate.wait(ctx)
		if waitErr != nil {
			return zero, interrupted(in.op, previous, waitErr, doubtful)
		}
		if !wasDown { // an outage is no fault of the request
			failures++
		}
		if failures >= c.maxAttempts || c.rests.bars(me) {
			return zero, final(err, doubtful)
		}
		wait := waits.NextBackOff()
		c.log.LogAttrs(ctx, slog.LevelDebug, "request is repeated", slog.String("operation", string(in.op)),
			slog.Int("attempt", attempt), slog.Duration("wait", wait), slog.String("error", err.Error()))
		if err := Sleep(ctx, wait); err != nil {
			return zero, interrupted(in.op, previous, err, doubtful)
		}
		c.retries.Add(1)
	}
}

// stalled is how long before may take until requests that it held up would leave together, in spite of the limiter.
const stalled = 150 * time.Millisecond

// prepare calls before. If that stalls (a database that is away holds all requests up at once), the request takes another turn.
func (in call[T]) prepare(ctx context.Context, c *Client, me *caller, attempt int, previous error) (notAfter time.Time, err error) {
	for in.before != nil {
		began := time.Now()
		if notAfter, err = in.before(ctx, attempt, previous); err != nil || time.Since(began) < stalled {
			return notAfter, err
		}
		// Nothing has left since before was called.
		previous = &TransportError{Operation: in.op, Err: errTooLate}
		if err := c.admit(ctx, me); err != nil {
			return notAfter, interrupted(in.op, previous, err, false)
		}
		if !isOver(notAfter) {
			return notAfter, nil
		}
	}
	return notAfter, nil
}

// interrupted is the error of a call that ended while it waited for its next attempt.
func interrupted(op Operation, previous, cause error, doubtful bool) error {
	if _, resting := errors.AsType[*RestingError](cause); resting && previous == nil {
		return cause
	}
	if previous == nil {
		return &unsentError{op: op, err: cause}
	}
	return final(fmt.Errorf("%w, and before it could be repeated: %w", previous, cause), doubtful)
}

// final keeps the last attempt's error from proving what it cannot.
func final(err error, doubtful bool) error {
	if doubtful && NotApplied(err) {
		return &repeatedError{err}
	}
	return err
}

// send sends a request once, unless notAfter is not zero and over.
func send[T any](ctx context.Context, c *Client, in call[T], auth Auth, payload []byte, notAfter time.Time) (T, error) {
	var zero T
	if err := ctx.Err(); err != nil {
		return zero, &unsentError{op: in.op, err: err}
	}
	status, body, err := c.exchange(ctx, in.op, in.method, in.url, auth, payload, notAfter, in.private, in.sink)
	if err != nil || in.sink != nil {
		return zero, err
	}
	result, err := in.read(body)
	if err != nil {
		return zero, &AnswerError{Operation: in.op, Status: status, Err: describeJSON(err)}
	}
	return result, nil
}

// change performs a call that must not be repeated blindly and whose answer may be empty.
func change(ctx context.Context, c *Client, op Operation, method, path string, body requestBody, before Before) error {
	_, err := do(ctx, c, call[struct{}]{op: op, method: method, url: c.url(path, nil), body: body, before: before, read: readNothing, notAgain: true})
	return err
}

// readNothing accepts an empty answer. One that is not empty must be JSON.
func readNothing(body []byte) (none struct{}, err error) {
	if len(bytes.TrimSpace(body)) == 0 {
		return none, nil
	}
	return readAny(body)
}

// exchange sends a request and returns an answer of success; every other outcome is an error of this package.
func (c *Client) exchange(parent context.Context, op Operation, method, target string, auth Auth, payload []byte, notAfter time.Time,
	said func() private, sink func(io.Reader) error) (status int, body []byte, err error) {
	timed, cancel := context.WithTimeout(parent, c.timeout)
	defer cancel()
	ctx, giveUp := context.WithCancelCause(timed)
	defer giveUp(nil)
	first := &beginning{method: method, notAfter: notAfter, giveUp: giveUp}
	req, err := c.request(httptrace.WithClientTrace(ctx, first.trace()), method, target, auth, payload)
	if err != nil {
		return 0, nil, &unsentError{op: op, err: errors.New("the request's URL is unusable")}
	}
	if isOver(notAfter) {
		return 0, nil, &TransportError{Operation: op, Err: errTooLate}
	}
	started := time.Now()
	resp, err := c.http.Do(req)
	left := first.end()
	if left {
		c.requests.Add(1)
		if resp != nil {
			status = resp.StatusCode
		}
		defer func() { c.observe(op, status, time.Since(started)) }()
	}
	if err != nil {
		return 0, nil, c.noAnswer(parent, ctx, op, err, left)
	}
	if resp.StatusCode < 200 {
		// 101: the body would be the connection itself, to be read for ever.
		_ = resp.Body.Close()
		return status, nil, &APIError{Operation: op, Status: resp.StatusCode, Message: bareMessage(resp)}
	}
	defer func() {
		_, _ = io.CopyN(io.Discard, resp.Body, maxDrain)
		_ = resp.Body.Close()
	}()
	date := c.noteDate(resp.Header)
	if resp.StatusCode == http.StatusTooManyRequests {
		return status, nil, c.pause(op, started, retryAfter(resp.Header, date))
	}
	if resp.StatusCode > 299 {
		return status, nil, readAPIError(op, resp, append(said(), c.token()))
	}
	whole := true
	if sink != nil {
		err = sink(resp.Body)
	} else {
		body, whole, err = readCapped(resp.Body, maxAnswerBody)
	}
	switch {
	case err != nil && parent.Err() != nil:
		err = &TransportError{Operation: op, Err: parent.Err(), Written: true}
	case err != nil:
		err = &AnswerError{Operation: op, Status: resp.StatusCode, Err: c.cause(ctx, err)}
	case !whole:
		err = &AnswerError{Operation: op, Status: resp.StatusCode, Err: errTooLarge}
	}
	return resp.StatusCode, body, err
}

// request builds a request. It must never carry an Idempotency-Key, upon which net/http would repeat a POST by itself.
func (c *Client) request(ctx context.Context, method, target string, auth Auth, payload []byte) (*http.Request, error) {
	var body io.Reader
	if payload != nil {
		body = bytes.NewReader(payload)
	}
	req, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return nil, err
	}
	if payload != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", c.userAgent)
	req.Header.Set("Authorization", auth.header(c.token()))
	return req, nil
}

// noAnswer is the error of a request that got no answer.
func (c *Client) noAnswer(parent, ctx context.Context, op Operation, err error, written bool) error {
	if ended := parent.Err(); ended != nil {
		if !written {
			return &unsentError{op: op, err: ended}
		}
		return &TransportError{Operation: op, Err: ended, Written: true}
	}
	return &TransportError{Operation: op, Err: c.cause(ctx, err), Written: written}
}

// pause hands a 429 to the limiter. It is logged once for all requests that left before the pause began.
func (c *Client) pause(op Operation, started time.Time, after time.Duration) *RateLimitError {
	c.throttled.Add(1)
	c.limiter.Throttled(after)
	last, now := c.paused.Load(), time.Now()
	if (last == nil || started.After(*last)) && c.paused.CompareAndSwap(last, &now) {
		c.log.Warn("Dixa throttles this token: all requests pause, then go on a little slower",
			slog.String("operation", string(op)), slog.Duration("retry_after", after))
	}
	return &RateLimitError{Operation: op, RetryAfter: after}
}

// retryAfter reads the header Retry-After, seconds or a date by the server's clock. 0: it is not there or unreadable.
func retryAfter(h http.Header, now time.Time) time.Duration {
	text := strings.TrimSpace(h.Get("Retry-After"))
	if seconds, err := strconv.ParseFloat(text, 64); err == nil && seconds > 0 {
		return time.Duration(min(seconds, 86400) * float64(time.Second))
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}

// url returns the address of an operation. A space is written as %20, which nobody takes for a plus.
func (c *Client) url(path string, query url.Values) string {
	target := c.base.String() + versionPrefix + path
	if len(query) > 0 {
		target += "?" + strings.ReplaceAll(query.Encode(), "+", "%20")
	}
	return target
}

// encode writes JSON as it is meant to be read: with < and & as they are.
func encode(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}

func encodeBody(v requestBody) ([]byte, error) {
	if v == nil {
		return nil, nil
	}
	return encode(v)
}
