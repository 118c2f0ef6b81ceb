package sandbox

import (
	"crypto/subtle"
	"net/http"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

// Token returns an HS256 JWT like the one of a bot user: its claims carry agentId and organizationId. The same ids give
// the same token.
func Token(agentID, organizationID string) string {
	claims := jwt.MapClaims{"agentId": agentID, "organizationId": organizationID}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte("sandbox"))
	if err != nil {
		panic("sign the token: " + err.Error()) // cannot happen: two strings, a key of bytes
	}
	return token
}

type agentKind uint8

const (
	unknownAgent agentKind = iota
	assignable
	unassignable
)

// Token returns the token that the server accepts.
func (s *Server) Token() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.token
}

// SetToken changes the token that is accepted: requests with the old one are answered 401 from now on.
func (s *Server) SetToken(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.token = token
}

// AddAgent makes an agent known.
func (s *Server) AddAgent(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.agents[strings.ToLower(id)] = assignable
}

// RemoveAgent makes an agent unknown: imports that name it are refused with "Agent does not exist".
func (s *Server) RemoveAgent(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.agents, strings.ToLower(id))
}

// Forbid makes the server answer status (401, 403, or 404 as if there were no such operation) to an operation; 0 allows it again.
func (s *Server) Forbid(op Operation, status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if status == 0 {
		delete(s.forbidden, op)
		return
	}
	s.forbidden[op] = status
}

// Auth is how a token has to be sent.
type Auth string

// The ways to send a token. Dixa documents both.
const (
	AuthAny    Auth = "any"
	AuthBearer Auth = "bearer"
	AuthRaw    Auth = "raw" // the bare token
)

// authenticate checks the token.
func (s *Server) authenticate(x *exchange) (outcome, bool) {
	header := x.request.Header.Values("Authorization")
	if len(header) != 1 {
		s.violate(x, "there is not one Authorization header")
		return refuse(http.StatusUnauthorized, msgUnauthenticated), false
	}
	given, bearer := strings.CutPrefix(header[0], "Bearer ")
	if strings.ContainsAny(given, " \t") {
		s.violate(x, "the Authorization header is neither a bearer token nor a bare one")
	}
	fits := s.opts.Auth == AuthAny || bearer == (s.opts.Auth == AuthBearer)
	if subtle.ConstantTimeCompare([]byte(given), []byte(s.Token())) != 1 || !fits {
		return refuse(http.StatusUnauthorized, msgUnauthenticated), false
	}
	return outcome{}, true
}

// authorise checks whether the token may call the operation.
func (s *Server) authorise(x *exchange) (outcome, bool) {
	s.mu.Lock()
	status := s.forbidden[x.op]
	s.mu.Unlock()
	switch status {
	case 0:
		return outcome{}, true
	case http.StatusNotFound:
		return refuse(status, http.StatusText(status)), false
	}
	return refuse(status, msgUnauthorised), false
}
