package live

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// SignatureHeader carries the signature of a delivery: t=<Unix milliseconds>,v1=<hex>, with one v1 for each of the sender's secrets.
const SignatureHeader = "X-Dixa-Signature"

// verifier checks signatures against secrets.
type verifier [][]byte

// newVerifier decodes secrets, which are hexadecimal. Its errors do not contain them.
func newVerifier(secrets []string) (verifier, error) {
	var v verifier
	for i, secret := range secrets {
		key, err := hex.DecodeString(strings.TrimSpace(secret))
		if err != nil || len(key) < 16 {
			return nil, fmt.Errorf("webhook secret %d is not a key in hexadecimal digits, as Dixa gives it when a subscription is created", i+1)
		}
		v = append(v, key)
	}
	if len(v) == 0 {
		return nil, errors.New("there is no webhook secret: without one, no delivery can be told from a forged one")
	}
	return v, nil
}

// verify reports whether one of the signatures in a header is that of one of the secrets over the body, and when it was made.
func (v verifier) verify(header string, body []byte) (at time.Time, ok bool) {
	stamp, signatures := parseSignature(header)
	at, valid := stampTime(stamp)
	if !valid {
		return time.Time{}, false
	}
	matches := 0
	for _, key := range v {
		mac := hmac.New(sha256.New, key)
		_, _ = mac.Write([]byte(stamp + "."))
		_, _ = mac.Write(body)
		want := mac.Sum(nil)
		for _, got := range signatures {
			matches |= subtle.ConstantTimeCompare(got, want)
		}
	}
	return at, matches == 1
}

// parseSignature returns the parts of a header. It leaves out signatures of other versions and unreadable ones.
func parseSignature(header string) (stamp string, signatures [][]byte) {
	for part := range strings.SplitSeq(header, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch name {
		case "t":
			stamp = value
		case "v1":
			if sum, err := hex.DecodeString(value); err == nil && len(sum) == sha256.Size {
				signatures = append(signatures, sum)
			}
		}
	}
	return stamp, signatures
}

func stampTime(stamp string) (time.Time, bool) {
	n, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil || n <= 0 || stamp[0] == '+' {
		return time.Time{}, false
	}
	return unixTime(float64(n)), true
}

// unixTime returns the time of Unix seconds or, from 1e11 up, milliseconds.
func unixTime(n float64) time.Time {
	if n >= 1e11 {
		return time.UnixMilli(int64(n)).UTC()
	}
	return time.UnixMilli(int64(n * 1000)).UTC()
}

// parseForwardSecret decodes a secret as Standard Webhooks writes it. Its errors do not contain it.
func parseForwardSecret(secret string) ([]byte, error) {
	encoded := strings.TrimRight(strings.TrimPrefix(strings.TrimSpace(secret), "whsec_"), "=")
	key, err := base64.RawStdEncoding.DecodeString(encoded)
	if err != nil || len(key) < 16 {
		return nil, errors.New("the secret for forwarding is not whsec_ and at least 16 bytes in base64, such as from: echo whsec_$(openssl rand -base64 32)")
	}
	return key, nil
}

// signForward returns the value of the header webhook-signature.
func signForward(key []byte, id, stamp string, body []byte) string {
	mac := hmac.New(sha256.New, key)
	_, _ = mac.Write([]byte(id + "." + stamp + "."))
	_, _ = mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
