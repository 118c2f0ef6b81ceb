package live

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"dixa-import/importer/checkpoint"
	"dixa-import/source"
)

const (
	// MaxTranscript is the largest body of a posted transcript, in bytes.
	MaxTranscript = 16 << 20
	maxBodies     = 4 * MaxTranscript // of all bodies that are being read
	maxFlights    = 1000              // transcripts that are worked on at once
)

// Rows is what a Poster needs of the checkpoint.
type Rows interface {
	Lookup(ctx context.Context, source string, run int64, ids []string) (map[string]checkpoint.Row, error)
	PartialErrors(ctx context.Context, source, id string) ([]checkpoint.PartialError, error)
}

// PosterConfig is how a Poster answers.
type PosterConfig struct {
	Store  Rows
	Source string
	Feed   *source.Feed  // read by a run that lasts as long as the Poster
	Token  string        // what the Authorization header must bear
	Wait   time.Duration // how long a request waits until the transcript is settled; default 30s
	Logger *slog.Logger  // default: discard
}

// Poster is the http.Handler of POST /transcripts. It hands a transcript to the run that reads Feed, and answers with what became of it. The run and the
// checkpoint see to it that it is imported once, however often it is posted.
//
//	201   it is imported now
//	200   it was imported before
//	401   the token is missing or wrong
//	409   another version of it was imported, or is being imported
//	413   it is too large
//	422   it cannot be imported as it is
//	503   it is not settled yet: post it again
type Poster struct {
	PosterConfig
	token  [sha256.Size]byte
	bodies *semaphore.Weighted

	mu      sync.Mutex
	flights map[string]*flight // by transcript
}

// flight is a transcript that a run works on for one or more requests.
type flight struct {
	hash    source.Hash
	settled chan struct{}
	known   bool // it had a conversation before
}

// NewPoster returns a Poster.
func NewPoster(c PosterConfig) *Poster {
	c.Wait = cmp.Or(c.Wait, 30*time.Second)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return &Poster{PosterConfig: c, token: sha256.Sum256([]byte(c.Token)), bodies: semaphore.NewWeighted(maxBodies), flights: map[string]*flight{}}
}

// Answer is the body of an answer. Code and Message say why a transcript is not imported, or not wholly.
type Answer struct {
	TranscriptID   string    `json:"transcript_id,omitempty"`
	Status         string    `json:"status,omitempty"`
	ConversationID int64     `json:"conversation_id,omitempty"`
	Code           string    `json:"code,omitempty"`
	Message        string    `json:"message,omitempty"`
	Problems       []Problem `json:"problems,omitempty"`
}

// Problem is a partial error.
type Problem struct {
	Kind      string `json:"kind"`
	Attribute string `json:"attribute,omitempty"`
	Message   string `json:"message"`
}

func (p *Poster) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	status, answer := p.answer(w, req)
	switch status {
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", strconv.Itoa(retryIn(answer)))
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer)
}

// retryIn returns how many seconds a sender should wait. What a person or another system must do takes longer than an import.
func retryIn(a Answer) int {
	if a.Code == "" || a.Code == codeBusy {
		return 2
	}
	return 30
}

// The codes of answers about a transcript that the run has not decided about.
const (
	codeBusy         = "busy"          // too many at once
	codeOtherContent = "other_content" // another version was imported
	codeTooLarge     = "too_large"
	codeUnauthorized = "unauthorized"
	codeIncomplete   = "incomplete" // the body ended early
	codeNotImporting = "not_importing"
)

func (p *Poster) answer(w http.ResponseWriter, req *http.Request) (int, Answer) {
	scheme, token, _ := strings.Cut(req.Header.Get("Authorization"), " ")
	given := sha256.Sum256([]byte(strings.TrimSpace(token)))
	if !strings.EqualFold(scheme, "Bearer") || subtle.ConstantTimeCompare(given[:], p.token[:]) != 1 {
		return http.StatusUnauthorized, Answer{Code: codeUnauthorized, Message: "the Authorization header must be: Bearer, a space, and serve.token"}
	}
	rec, status, failed := p.receive(w, req)
	if rec == nil {
		return status, failed
	}
	status, a := p.settle(req.Context(), rec)
	a.TranscriptID = rec.ID
	return status, a
}

// receive reads the transcript. If there is none, it returns the answer.
func (p *Poster) receive(w http.ResponseWriter, req *http.Request) (*source.Record, int, Answer) {
	size := req.ContentLength
	tooLarge := Answer{Code: codeTooLarge, Message: fmt.Sprintf("the transcript is larger than %d MiB", MaxTranscript>>20)}
	if size > MaxTranscript {
		return nil, http.StatusRequestEntityTooLarge, tooLarge
	}
	if size < 0 {
		size = MaxTranscript
	}
	if p.bodies.Acquire(req.Context(), size) != nil {
		return nil, http.StatusServiceUnavailable, Answer{Code: codeBusy, Message: "too many transcripts arrive at once: post it again"}
	}
	defer p.bodies.Release(size)
	var body bytes.Buffer
	_, err := io.Copy(&body, http.MaxBytesReader(w, req.Body, MaxTranscript))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return nil, http.StatusRequestEntityTooLarge, tooLarge
	}
	if err != nil {
		return nil, http.StatusBadRequest, Answer{Code: codeIncomplete, Message: "the body ended early: post it again"}
	}
	rec, err := p.Feed.Parse(body.Bytes())
	if rejected, ok := errors.AsType[*source.RejectError](err); ok {
		return nil, http.StatusUnprocessableEntity, Answer{Code: string(rejected.Code), Message: rejected.Reason}
	}
	return rec, 0, Answer{}
}

// settle has the transcript imported, unless it was, and waits for that.
func (p *Poster) settle(ctx context.Context, rec *source.Record) (int, Answer) {
	ctx, cancel := context.WithTimeout(ctx, p.Wait)
	defer cancel()
	row, err := p.row(ctx, rec.ID)
	switch {
	case err != nil:
		return p.unavailable(err)
	case done(row):
		return p.outcome(ctx, rec, row, true)
	}
	f, ours, err := p.flight(rec, row)
	if err != nil {
		return http.StatusServiceUnavailable, Answer{Code: codeBusy, Message: err.Error()}
	}
	if f.hash != rec.Hash {
		return http.StatusConflict, Answer{Code: codeOtherContent, Message: "another version of the transcript is being imported"}
	}
	if ours {
		go p.carry(context.WithoutCancel(ctx), f, rec)
	}
	select {
	case <-f.settled:
	case <-ctx.Done():
		return http.StatusServiceUnavailable, Answer{Status: string(row.Status), Message: "the transcript is not settled yet: post it again"}
	}
	after, cancel := context.WithTimeout(context.WithoutCancel(ctx), readyPatience)
	defer cancel()
	if row, err = p.row(after, rec.ID); err != nil {
		return p.unavailable(err)
	}
	return p.outcome(after, rec, row, f.known)
}

// done reports whether nothing is left to do for a transcript.
func done(row checkpoint.Row) bool {
	return row.Status == checkpoint.Complete || row.Status == checkpoint.Partial
}

// flight returns the work on a transcript, and whether the caller is to begin it.
func (p *Poster) flight(rec *source.Record, row checkpoint.Row) (f *flight, ours bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if f := p.flights[rec.ID]; f != nil {
		return f, false, nil
	}
	if len(p.flights) >= maxFlights {
		return nil, false, errors.New("too many transcripts are being imported at once: post it again")
	}
	f = &flight{hash: rec.Hash, settled: make(chan struct{}), known: row.ConversationID != 0}
	p.flights[rec.ID] = f
	return f, true, nil
}

// carry hands a transcript to the run, and waits until the run has finished with it. It outlives the request.
func (p *Poster) carry(ctx context.Context, f *flight, rec *source.Record) {
	offering, cancel := context.WithTimeout(ctx, p.Wait)
	defer cancel()
	if finished, err := p.Feed.Offer(offering, rec); err == nil {
		<-finished
	}
	p.mu.Lock()
	delete(p.flights, rec.ID)
	p.mu.Unlock()
	close(f.settled)
}

func (p *Poster) row(ctx context.Context, id string) (checkpoint.Row, error) {
	rows, err := p.Store.Lookup(ctx, p.Source, 0, []string{id})
	return rows[id], err
}

func (p *Poster) unavailable(err error) (int, Answer) {
	p.Logger.Warn("a posted transcript could not be looked up in the checkpoint; its sender is asked to repeat it", "error", err.Error())
	return http.StatusServiceUnavailable, Answer{Message: "the checkpoint is unavailable: post it again"}
}

// outcome returns the answer for a transcript by its row.
func (p *Poster) outcome(ctx context.Context, rec *source.Record, row checkpoint.Row, before bool) (int, Answer) {
	a := Answer{Status: string(row.Status), ConversationID: row.ConversationID, Code: row.ErrorCode, Message: row.Error}
	if row.Status.HasConversation() && row.ContentHash != rec.Hash.String() {
		a.Code, a.Message = codeOtherContent, "another version of this transcript was imported, as this conversation: give a new chat an id of its own"
		return http.StatusConflict, a
	}
	switch row.Status {
	case checkpoint.Complete, checkpoint.Partial:
		return p.imported(ctx, rec, a, before)
	case checkpoint.Failed, checkpoint.Rejected, checkpoint.Skipped:
		return http.StatusUnprocessableEntity, a
	case "":
		a.Code, a.Message = codeNotImporting, "nothing is imported at present; the log of dixa-import says why: post it again"
	default:
		a.Message = cmp.Or(a.Message, "the transcript is not settled yet: post it again")
	}
	return http.StatusServiceUnavailable, a
}

// imported returns the answer for an imported transcript, with its partial errors.
func (p *Poster) imported(ctx context.Context, rec *source.Record, a Answer, before bool) (int, Answer) {
	status := http.StatusCreated
	if before {
		status = http.StatusOK
	}
	if a.Status != string(checkpoint.Partial) {
		return status, a
	}
	problems, err := p.Store.PartialErrors(ctx, p.Source, rec.ID)
	if err != nil {
		return p.unavailable(err)
	}
	for _, e := range problems {
		a.Problems = append(a.Problems, Problem{Kind: string(e.Kind), Attribute: e.Attribute, Message: e.Message})
	}
	return status, a
}
