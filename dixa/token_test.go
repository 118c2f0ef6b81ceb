package dixa

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
)

func makeToken(t testing.TB, claims jwt.MapClaims) string {
	t.Helper()
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte("key"))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestTokenClaims(t *testing.T) {
	t.Parallel()
	const a, b = "cd4ceb58-bb3a-443c-9cd8-4f088feafe5b", "9c2a2cce-699f-4a72-89d9-fda5bc8dec8b"
	raw := base64.RawURLEncoding.EncodeToString
	for name, test := range map[string]struct{ token, agent, organisation string }{
		"agentId":           {makeToken(t, jwt.MapClaims{"agentId": a, "sub": b, "orgId": "acme"}), a, "acme"},
		"agent_id":          {makeToken(t, jwt.MapClaims{"agent_id": a, "organization_id": b}), a, b},
		"sub":               {makeToken(t, jwt.MapClaims{"agentId": "me", "userId": 7, "sub": strings.ToUpper(a)}), a, ""},
		"no UUID":           {makeToken(t, jwt.MapClaims{"sub": "urn:uuid:" + a, "user_id": "{" + a + "}"}), "", ""},
		"odd organisation":  {makeToken(t, jwt.MapClaims{"organizationId": "a\nb", "organisationId": strings.Repeat("x", 65), "org_id": b}), "", b},
		"space around":      {" " + makeToken(t, jwt.MapClaims{"agentId": a}) + "\n", a, ""},
		"expired":           {makeToken(t, jwt.MapClaims{"agentId": a, "exp": 1}), a, ""},
		"unknown algorithm": {raw([]byte(`{"alg":"ZZ9"}`)) + "." + raw([]byte(`{"agentId":"`+a+`"}`)) + ".x", a, ""},
		"opaque":            {"0123456789abcdef", "", ""},
		"dots":              {"a.b.c", "", ""},
		"no object":         {raw([]byte(`{"alg":"HS256"}`)) + "." + raw([]byte(`[1]`)) + ".x", "", ""},
		"empty":             {"", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got, ok := TokenAgentID(test.token); got != test.agent || ok != (test.agent != "") {
				t.Errorf("agent %q %v, want %q", got, ok, test.agent)
			}
			if got, ok := TokenOrganization(test.token); got != test.organisation || ok != (test.organisation != "") {
				t.Errorf("organisation %q %v, want %q", got, ok, test.organisation)
			}
		})
	}
}

func TestTokenHash(t *testing.T) {
	t.Parallel()
	if got := TokenHash("abc\n"); got != "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" {
		t.Error(got)
	}
}

func FuzzToken(f *testing.F) {
	f.Add(makeToken(f, jwt.MapClaims{"agentId": "cd4ceb58-bb3a-443c-9cd8-4f088feafe5b", "orgId": "acme"}))
	f.Add("a.b.c")
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Fuzz(func(t *testing.T, token string) {
		if id, ok := TokenAgentID(token); ok && uuid.Validate(id) != nil {
			t.Errorf("agent %q", id)
		}
		if id, ok := TokenOrganization(token); ok == (id == "") {
			t.Errorf("organisation %q %v", id, ok)
		}
	})
}
