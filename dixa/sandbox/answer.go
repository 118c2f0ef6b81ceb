package sandbox

import (
	"bytes"
	"math"
	"net/http"
	"strconv"
	"time"
)

// The messages of refusals, as the vendor words them.
const (
	msgNotFound        = "The requested resource could not be found"
	msgUnauthenticated = "Unauthorized"
	msgUnauthorised    = "User is unauthorized to perform an underlying operation"
	msgDecoding        = "Decoding failure in request"
	msgBody            = "Invalid value for: body"
	msgMediaType       = "Unsupported media type"
	msgServerError     = "There was an internal server error while processing the request"
	msgTooMany         = "Too Many Requests"
	msgFilters         = "Invalid filters: Cannot provide more than one filter"
	msgCreation        = "Validation failure during enduser creation"
	msgChannel         = "Unsupported ConversationChannel"
	msgRequester       = "Requester does not exist"
	msgAgent           = "Agent does not exist"
	msgMessage         = "Invalid input for Message"
	msgDownload        = "Failure to download attachment"
	msgPatch           = "Invalid input for patching"
	msgUnassigned      = "The conversation could not be assigned"
	msgAttachment      = "Invalid attachment url in message. externalId: "
)

// page is what a gateway or a firewall before the API shows.
func page(title string) []byte {
	return []byte("<html>\r\n<head><title>" + title + "</title></head>\r\n<body><center><h1>" + title + "</h1></center></body>\r\n</html>\r\n")
}

// obj is a JSON object of an answer.
type obj = map[string]any

// outcome is what a client gets to see.
type outcome struct {
	status     int // 0: no answer at all
	body       []byte
	html       bool
	retryAfter time.Duration
	delivery   delivery
	duration   time.Duration
}

// delivery is the way in which an outcome reaches the client.
type delivery uint8

const (
	plain delivery = iota
	dropped
	held
	cut
	slow
)

func answer(status int, v any) outcome {
	var buf bytes.Buffer
	if err := newEncoder(&buf).Encode(v); err != nil {
		panic("encode an answer: " + err.Error()) // cannot happen: only objects, lists, texts, numbers
	}
	return outcome{status: status, body: bytes.TrimSuffix(buf.Bytes(), []byte("\n"))}
}

func refuse(status int, message string) outcome {
	return answer(status, obj{"message": message})
}

func tooMany(retryAfter time.Duration) outcome {
	out := refuse(http.StatusTooManyRequests, msgTooMany)
	out.retryAfter = retryAfter
	return out
}

func gatewayPage(status int) outcome {
	title := "Bad gateway"
	if status < 500 {
		title = http.StatusText(status)
	}
	return outcome{status: status, body: page(title), html: true}
}

func outage(status int) outcome {
	if status < 0 {
		return outcome{delivery: dropped}
	}
	return gatewayPage(status)
}

// deliver writes the outcome to the client.
func (o outcome) deliver(w http.ResponseWriter, r *http.Request) {
	switch o.delivery {
	case dropped:
		drop(w)
		return
	case held:
		hold(r, o.duration)
		drop(w)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	if o.html {
		h.Set("Content-Type", "text/html")
	}
	if o.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(o.retryAfter.Seconds()))))
	}
	h.Set("Content-Length", strconv.Itoa(len(o.body)))
	w.WriteHeader(o.status)
	switch o.delivery {
	case cut:
		_, _ = w.Write(o.body[:len(o.body)/2])
		_ = http.NewResponseController(w).Flush()
		drop(w)
	case slow:
		trickle(w, r, o.body, o.duration)
	default:
		_, _ = w.Write(o.body)
	}
}

// hold keeps the request until the client goes away or d is over; d 0: no limit.
func hold(r *http.Request, d time.Duration) {
	var over <-chan time.Time
	if d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-r.Context().Done():
	case <-over:
	}
}

// trickle writes body in small pieces, evenly over d.
func trickle(w http.ResponseWriter, r *http.Request, body []byte, d time.Duration) {
	const pieces = 20
	rc := http.NewResponseController(w)
	_ = rc.Flush()
	size := max(1, (len(body)+pieces-1)/pieces)
	for len(body) > 0 {
		hold(r, max(d/pieces, 1))
		if r.Context().Err() != nil {
			return
		}
		n := min(size, len(body))
		if _, err := w.Write(body[:n]); err != nil {
			return
		}
		_ = rc.Flush()
		body = body[n:]
	}
}

// drop breaks the connection: with a reset where that is possible.
func drop(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // net/http closes the connection or resets the stream
	}
	if tcp, ok := conn.(interface{ SetLinger(int) error }); ok {
		_ = tcp.SetLinger(0) // the close becomes a reset
	}
	_ = conn.Close()
}

// The two spellings of times that the vendor's answers have. Both leave out zeros at the end of the fraction.
const (
	timeRFC  = "2006-01-02T15:04:05.999Z"
	timeZone = "2006-01-02T15:04:05.999Z[GMT]"
)

func spellRFC(t time.Time) string  { return t.UTC().Format(timeRFC) }
func spellZone(t time.Time) string { return t.UTC().Format(timeZone) }

// setOptional sets an optional field that may have no value: then it is null or absent, for both occur.
func setOptional(o obj, name, value string, null bool) {
	if value != "" {
		o[name] = value
	} else if null {
		o[name] = nil
	}
}
