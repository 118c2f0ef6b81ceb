package config

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"dixa-import/importer/connect"
	"dixa-import/importer/live"
	"dixa-import/source"
)

const defaultAddress = "127.0.0.1:8080"

// Serve is the section serve.
type Serve struct {
	Address        string
	Token          string           // that senders of transcripts must have; "": none are taken in
	TimeZone       *time.Location   // of times in such transcripts without one; nil: they are rejected
	Redact         *source.Redactor // of such transcripts; nil: nothing is replaced
	WebhookSecrets []string         // none: no deliveries are taken in
	ForwardURL     string           // "": events are only stored
	ForwardSecret  string
	Keep           time.Duration
}

// Serve reads the section serve. Its errors do not contain secrets.
func (c *File) Serve() (Serve, error) {
	r := &reader{c: c}
	raw := c.raw.Serve
	s := Serve{
		Address:    strings.TrimSpace(r.text(raw.Address, "serve.address", defaultAddress)),
		Token:      connect.Unwrapped(r.text(raw.Token, "serve.token", "")),
		TimeZone:   r.timeZone(c.raw.Source.TimeZone, "source.time_zone"),
		Redact:     r.redact(),
		ForwardURL: connect.Unwrapped(r.text(raw.ForwardURL, "serve.forward_url", "")),
		Keep:       r.keep(raw.Keep),
	}
	if _, port, err := net.SplitHostPort(s.Address); err != nil || !validPort(port) {
		r.fail(raw.Address, "serve.address", "must be a host and a port, such as %s, or :8080 for all addresses of this machine", defaultAddress)
	}
	for i, secret := range raw.WebhookSecrets {
		key := fmt.Sprintf("serve.webhook_secrets[%d]", i)
		value := connect.Unwrapped(r.required(secret, key, "give the secret of a webhook subscription, best as ${WEBHOOK_SECRET}, or remove the entry"))
		if value != "" && live.CheckWebhookSecret(value) != nil {
			r.fail(secret, key, "%s", live.CheckWebhookSecret(value).Error())
		}
		s.WebhookSecrets = append(s.WebhookSecrets, value)
	}
	if s.ForwardURL == "" {
		return s, r.err()
	}
	if err := live.CheckForwardURL(s.ForwardURL); err != nil {
		r.fail(raw.ForwardURL, "serve.forward_url", "%s", err.Error())
	}
	s.ForwardSecret = connect.Unwrapped(r.required(raw.ForwardSecret, "serve.forward_secret", "give the secret with which events for serve.forward_url are signed, best as ${FORWARD_SECRET}"))
	if err := live.CheckForwardSecret(s.ForwardSecret); s.ForwardSecret != "" && err != nil {
		r.fail(raw.ForwardSecret, "serve.forward_secret", "%s", err.Error())
	}
	return s, r.err()
}

// Keep is the key serve.keep.
func (c *File) Keep() (time.Duration, error) {
	r := &reader{c: c}
	d := r.keep(c.raw.Serve.Keep)
	return d, r.err()
}

func validPort(port string) bool {
	n, err := strconv.Atoi(port)
	return err == nil && n >= 0 && n <= 65535
}

// keep reads a duration that may be in days.
func (r *reader) keep(s setting) time.Duration {
	text := strings.TrimSpace(r.text(s, "serve.keep", "30d"))
	d, err := time.ParseDuration(text)
	if days, ok := strings.CutSuffix(text, "d"); ok {
		var n int
		n, err = strconv.Atoi(days)
		d = time.Duration(min(n, 36500)) * 24 * time.Hour
	}
	if err != nil || d < time.Hour {
		r.fail(s, "serve.keep", "must be a duration of at least 1h, such as 30d, with a unit: d, h or m")
	}
	return d
}
