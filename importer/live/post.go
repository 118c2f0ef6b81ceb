package live

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"dixa-import/importer/checkpoint"
)

// maxAnswer is how much of the bot's answer is read, so that the connection can be used again.
const maxAnswer = 64 << 10

// Forwarded is the body of a request to the bot.
type Forwarded struct {
	Type           string  `json:"type"` // see the constants
	EventID        string  `json:"event_id"`
	EventFQN       string  `json:"event_fqn"` // the type as Dixa calls it
	TranscriptID   string  `json:"transcript_id"`
	ConversationID int64   `json:"conversation_id"`
	Text           *string `json:"text"`
	Author         *Author `json:"author"`
	At             string  `json:"at"` // RFC 3339, UTC, with milliseconds
}

// Author is who wrote a message, closed a conversation or types.
type Author struct {
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`
	Type string `json:"type,omitempty"` // as Dixa says: Member is an agent, Contact an end-user
}

func bodyOf(e checkpoint.WebhookEvent) ([]byte, error) {
	out := Forwarded{Type: e.Type, EventID: e.ID, EventFQN: e.FQN, TranscriptID: e.TranscriptID, ConversationID: e.ConversationID,
		At: e.At.UTC().Format("2006-01-02T15:04:05.000Z07:00")}
	if e.Text != "" {
		out.Text = &e.Text
	}
	if e.AuthorID+e.AuthorName != "" {
		out.Author = &Author{e.AuthorID, e.AuthorName, e.AuthorType}
	}
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(out)
	return bytes.TrimSuffix(body.Bytes(), []byte("\n")), err
}

// answer is what became of a request.
type answer struct {
	status     int           // 0: there was no answer
	problem    string        // without anything of the request, the address or the answer's body; "" if it was accepted
	retryAfter time.Duration // as the bot asks for
}

func (a answer) accepted() bool { return a.status >= 200 && a.status <= 299 }

// post makes one attempt to forward an event.
func (f *Forwarder) post(ctx context.Context, e checkpoint.WebhookEvent) answer {
	ctx, cancel := context.WithTimeout(ctx, f.Timeout)
	defer cancel()
	body, err := bodyOf(e)
	if err != nil {
		return answer{problem: "it cannot be encoded"}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.URL, bytes.NewReader(body))
	if err != nil {
		return answer{problem: "the address is unusable"}
	}
	stamp := strconv.FormatInt(time.Now().Unix(), 10)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "dixa-import")
	req.Header.Set("Webhook-Id", e.ID)
	req.Header.Set("Webhook-Timestamp", stamp)
	req.Header.Set("Webhook-Signature", signForward(f.key, e.ID, stamp, body))
	res, err := f.client.Do(req)
	if err != nil {
		return answer{problem: problemOf(err)}
	}
	defer func() { _ = res.Body.Close() }()
	// The answer's status has arrived, so what follows it does not matter.
	_, _ = io.CopyN(io.Discard, res.Body, maxAnswer)
	a := answer{status: res.StatusCode}
	if !a.accepted() {
		a.problem = fmt.Sprintf("the bot answered %d", res.StatusCode)
		a.retryAfter = parseRetryAfter(res.Header.Get("Retry-After"))
	}
	return a
}

// problemOf describes an error of a request without its address, which may contain secrets.
func problemOf(err error) string {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		if dns.IsNotFound {
			return "the bot's host is unknown"
		}
		return "the bot's host could not be looked up"
	}
	timeout, isNet := errors.AsType[net.Error](err)
	switch {
	case errors.Is(err, context.DeadlineExceeded), isNet && timeout.Timeout():
		return "the bot did not answer in time"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the connection to the bot was refused"
	case strings.Contains(err.Error(), "tls: ") || strings.Contains(err.Error(), "x509: "):
		return "the TLS connection to the bot failed"
	}
	return "the connection to the bot failed"
}

func parseRetryAfter(value string) time.Duration {
	if seconds, err := strconv.Atoi(value); err == nil && seconds > 0 && seconds < 1e6 {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(0, time.Until(at))
	}
	return 0
}
