package live

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
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
		key, err := parseWebhookSecret(secret)
		if err != nil {
			return nil, fmt.Errorf("webhook secret %d %w", i+1, err)
		}
		v = append(v, key)
	}
	if len(v) == 0 {
		return nil, errors.New("there is no webhook secret: without one, no delivery can be told from a forged one")
	}
	return v, nil
}

func parseWebhookSecret(secret string) ([]byte, error) {
	key, err := hex.DecodeString(strings.TrimSpace(secret))
	if err != nil || len(key) < 16 {
		return nil, errors.New("is not a key in hexadecimal digits, as Dixa gives it when a subscription is created")
	}
	return key, nil
}

// CheckWebhookSecret returns what is wrong with a secret of a webhook subscription, without repeating it.
func CheckWebhookSecret(secret string) error {
	_, err := parseWebhookSecret(secret)
	return err
}

// CheckForwardSecret returns what is wrong with a secret for forwarding, without repeating it.
func CheckForwardSecret(secret string) error {
	_, err := parseForwardSecret(secret)
	return err
}

// CheckForwardURL returns what is wrong with an address for forwarding, without repeating it.
func CheckForwardURL(address string) error {
	if u, err := url.Parse(address); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return errors.New("must begin with https:// or http:// and name a host")
	}
	return nil
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
		return nil, errors.New("is not whsec_ and at least 16 bytes in base64, such as from: echo whsec_$(openssl rand -base64 32)")
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
