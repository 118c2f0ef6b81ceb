package dixa

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// readData reads the answer to a request for one thing.
func readData[T any](body []byte) (T, error) {
	var answer struct {
		Data *T `json:"data"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		var zero T
		return zero, err
	}
	if answer.Data == nil {
		var zero T
		return zero, errors.New("it has no data")
	}
	return *answer.Data, nil
}

// readAny reads an answer of which nothing is needed. It insists on JSON: the page of a proxy or of a captive portal, which
// has status 200 too, must not pass for success.
func readAny(body []byte) (none struct{}, err error) {
	if !json.Valid(body) {
		err = errors.New("it is no valid JSON")
	}
	return none, err
}

// describeJSON returns what is wrong with a body without quoting it, which the errors of encoding/json do.
func describeJSON(err error) error {
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("it is no valid JSON at byte %d", syntax.Offset)
	}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		kind, _, _ := strings.Cut(wrong.Value, " ")
		return fmt.Errorf("its JSON has a %s where it should have a %s, before byte %d", kind, wrong.Type.Kind(), wrong.Offset)
	}
	return err
}

// readAPIError reads an answer that is neither success nor a 429. Whatever becomes of its body, the status stands.
func readAPIError(op Operation, resp *http.Response, said private) *APIError {
	var body struct {
		Message string `json:"message"`
	}
	data, whole, err := readCapped(resp.Body, maxErrorBody)
	if err == nil && whole && json.Unmarshal(data, &body) == nil {
		if e := newAPIError(op, resp.StatusCode, body.Message, said); e.Message != "" {
			return e
		}
	}
	e := &APIError{Operation: op, Status: resp.StatusCode, Message: bareMessage(resp)}
	if isPage(resp.Header.Get("Content-Type"), data) {
		e.Reason = ReasonPage
	}
	return e
}

// mediaType is what may be repeated of a Content-Type.
var mediaType = regexp.MustCompile(`^[a-z]+/[a-z0-9.+-]{1,40}$`)

// bareMessage describes an answer without its text.
func bareMessage(resp *http.Response) string {
	text := fmt.Sprintf("%d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
	text = strings.TrimSpace(text)
	if kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err == nil && mediaType.MatchString(kind) {
		text += " (" + kind + ")"
	}
	if resp.StatusCode >= 300 && resp.StatusCode < 400 {
		text += ", and redirects are not followed: check the base URL"
	}
	return text
}

// quoted is what other packages' errors quote of foreign text.
var quoted = regexp.MustCompile(`"(?:[^"\\]|\\.)*"?|'[^']*'`)

// cause returns why a request got no answer, as text alone: the errors of net/http carry the URL, which may hold an email
// address, and parts of what the server sent.
func (c *Client) cause(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), errTooLate) {
		return errTooLate
	}
	if ctx.Err() != nil {
		return fmt.Errorf("no complete answer within %s", c.timeout)
	}
	if outer, ok := errors.AsType[*url.Error](err); ok {
		err = outer.Err
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the connection was closed before the whole answer had come")
	}
	_, network := errors.AsType[*net.OpError](err)
	_, certificate := errors.AsType[*tls.CertificateVerificationError](err)
	if network || certificate {
		return errors.New(err.Error())
	}
	return errors.New(cleanMessage(quoted.ReplaceAllString(err.Error(), `"..."`)))
}
