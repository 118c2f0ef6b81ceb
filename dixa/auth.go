package dixa

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"time"
)

// Auth is how the token is sent. Dixa's guides say "Authorization: Bearer <token>", its API description the bare token.
type Auth string

// The ways to send the token.
const (
	AuthBearer Auth = "bearer"
	AuthRaw    Auth = "raw"
	AuthAuto   Auth = "auto" // the one that Dixa accepts: Bearer is tried first
)

// ParseAuth reads the name of a way to send the token.
func ParseAuth(name string) (Auth, error) {
	switch a := Auth(name); a {
	case AuthBearer, AuthRaw, AuthAuto:
		return a, nil
	}
	return "", errors.New("must be auto, bearer or raw")
}

// header returns the value of the header Authorization.
func (a Auth) header(token string) string {
	if a == AuthRaw {
		return token
	}
	return "Bearer " + token
}

// authFinder finds out how the token is sent. Until Dixa has accepted it one way, only one request is under way at a time.
type authFinder struct {
	found atomic.Pointer[Auth]
	alone chan struct{} // full while a request finds it out
}

func newAuthFinder(a Auth) *authFinder {
	f := &authFinder{alone: make(chan struct{}, 1)}
	if a != AuthAuto {
		f.found.Store(&a)
	}
	return f
}

// Auth returns how the token is sent, AuthAuto while that is not known.
func (c *Client) Auth() Auth {
	if a := c.auth.found.Load(); a != nil {
		return *a
	}
	return AuthAuto
}

// once makes one attempt, which does not begin after notAfter unless that is zero. While it is not known how the token is sent, a refusal
// of the token is followed by a request with the bare token: a 401 proves that the first one was not applied.
func once[T any](ctx context.Context, c *Client, in call[T], payload []byte, notAfter time.Time) (result T, err error) {
	if auth := c.Auth(); auth != AuthAuto {
		return send(ctx, c, in, auth, payload, notAfter)
	}
	select {
	case c.auth.alone <- struct{}{}:
	case <-ctx.Done():
		return result, &unsentError{op: in.op, err: ctx.Err()}
	}
	defer func() { <-c.auth.alone }()
	if auth := c.Auth(); auth != AuthAuto {
		return send(ctx, c, in, auth, payload, notAfter)
	}
	result, err = send(ctx, c, in, AuthBearer, payload, notAfter)
	if showsAccepted(err) {
		c.settleAuth(AuthBearer)
	}
	if !refusesToken(err) {
		return result, err
	}
	if err := c.limiter.Wait(ctx); err != nil {
		return result, &unsentError{op: in.op, err: err}
	}
	bare, bareErr := send(ctx, c, in, AuthRaw, payload, notAfter)
	if showsAccepted(bareErr) {
		c.settleAuth(AuthRaw)
		return bare, bareErr
	}
	if Refused(bareErr) { // neither is accepted: the first answer is the one that people know
		return result, err
	}
	return bare, bareErr
}

func (c *Client) settleAuth(a Auth) {
	c.auth.found.Store(&a)
	if a == AuthRaw {
		c.log.Info(`Dixa accepts the token only without "Bearer": with dixa.auth: raw, no request is spent on finding that out`)
	}
}

// refusesToken reports whether an answer of Dixa itself is 401. A page is that of a firewall or a proxy, and says nothing of the token.
func refusesToken(err error) bool {
	api, ok := errors.AsType[*APIError](err)
	return ok && api.Status == http.StatusUnauthorized && api.Reason != ReasonPage
}

// showsAccepted reports whether what became of a request shows that Dixa accepts the token as it was sent. 400 and 403 do not: gateways
// answer them to a header that they cannot read.
func showsAccepted(err error) bool {
	if err == nil {
		return true
	}
	api, ok := errors.AsType[*APIError](err)
	if !ok || api.Reason == ReasonPage {
		return false
	}
	if api.Reason.Documented() && api.Reason != ReasonUnauthorised {
		return true
	}
	switch api.Status {
	case http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity:
		return true
	}
	return false
}
