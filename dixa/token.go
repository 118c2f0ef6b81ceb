package dixa

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"unicode"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
)

// TokenAgentID returns the UUID of the bot user that a bot's token was issued for. The name of the claim is not
// documented, so the likely ones are tried in turn. It is false for a token that names none, as the opaque tokens of the
// organisation's settings do. The signature is not checked: only Dixa can.
func TokenAgentID(token string) (id string, ok bool) {
	claims := tokenClaims(token)
	for _, name := range []string{"agentId", "agent_id", "userId", "user_id", "sub"} {
		text, _ := claims[name].(string)
		if parsed, err := uuid.Parse(text); err == nil && len(text) == 36 {
			return parsed.String(), true
		}
	}
	return "", false
}

// TokenOrganization returns the id of the organisation in a token, false if it names none. The name of the claim is not
// documented.
func TokenOrganization(token string) (id string, ok bool) {
	claims := tokenClaims(token)
	for _, name := range []string{"organizationId", "organisationId", "organization_id", "organisation_id", "orgId", "org_id"} {
		text, _ := claims[name].(string)
		odd := strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) })
		if text != "" && len(text) <= 64 && !odd {
			return text, true
		}
	}
	return "", false
}

// TokenHash returns the SHA-256 of the token in hexadecimal, by which processes that share a token recognise each other
// without storing it.
func TokenHash(token string) string {
	sum := sha256.Sum256([]byte(strings.TrimSpace(token)))
	return hex.EncodeToString(sum[:])
}

// tokenClaims returns what a token says of itself, nil if it is no JWT.
func tokenClaims(token string) jwt.MapClaims {
	claims := jwt.MapClaims{}
	_, _, err := jwt.NewParser().ParseUnverified(strings.TrimSpace(token), claims)
	// An algorithm that the library does not know is no obstacle: nothing is verified here.
	if err != nil && !errors.Is(err, jwt.ErrTokenUnverifiable) {
		return nil
	}
	return claims
}
