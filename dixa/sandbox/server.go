// Package sandbox is the Dixa API in memory: a strict stand-in for tests, for the demo and for rehearsals.
//
// What the vendor's description allows, it accepts; what it does not allow, it refuses and notes as a contract
// violation (see Server.Violations). A refusal that only the state of the organisation explains (an end-user that
// exists already, an unknown conversation, an option that an attribute does not have) is no violation. Some things
// that the API accepts silently are violations too, such as messages in the wrong order: see the notes in import.go.
//
// The package decodes and encodes everything by itself and shares nothing with the API client, so that a field name
// that is wrong in the client is wrong here.
package sandbox

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Options configure a Server. The zero value is an unlimited, prompt and faultless Dixa with the default organisation.
type Options struct {
	// Rate and Burst are the token bucket of the API: tokens a second and capacity. Rate 0: unlimited; Burst 0: 4.
	// Dixa's own are 10 and 4. Requests without the right token do not take from the bucket.
	Rate  float64
	Burst int
	// RetryAfter makes 429s of the bucket carry Retry-After, in seconds, rounded up.
	RetryAfter bool

	// Latency and Jitter make every request that the bucket lets through wait Latency±Jitter, uniformly, before it is
	// handled. A client that goes away meanwhile does not stop the request from taking effect.
	Latency, Jitter time.Duration
	// LatencyBefore puts the wait in front of the bucket instead, like a network on the way, for every request.
	LatencyBefore bool

	// ListLag is how long a new conversation stays invisible in the list of its end-user's conversations.
	ListLag time.Duration
	// EndUserLag is how long a new end-user stays invisible in look-ups and in the list of end-users. It can be got by its
	// id, and have conversations, at once.
	EndUserLag time.Duration
	// MessageLag is how long a new conversation has no messages yet.
	MessageLag time.Duration
	// AnonymizeDelay is how long a request to anonymize waits in the queue. Negative: until ProcessAnonymizations.
	AnonymizeDelay time.Duration
	// ExportsPerMinute is the limit of the Exports API, which is served under ExportsPrefix; Dixa's is 10. 0: unlimited.
	ExportsPerMinute int
	// ExportsWithoutAttributes leaves custom attributes out of exports: whether Dixa has them there is not documented.
	ExportsWithoutAttributes bool
	// NoExternalIDs makes the messages of imported chats come back without their externalId; see WithholdExternalIDs.
	NoExternalIDs bool
	// PageLimit is the page size when the client names none, and the largest: a client that asks for more gets this many.
	// Default 100.
	PageLimit int

	// Seed decides every random choice: ids, jitter, probabilities. 0: 1. The ids of two servers with one seed are alike.
	Seed uint64
	// Faults are the faults to begin with; see SetFaults.
	Faults []Fault

	// Token is the token that is accepted; any other is answered 401. Default: Token(AgentID, OrganizationID).
	Token string
	// Auth is how the token has to be sent; otherwise it is answered 401, too. Default AuthAny.
	Auth Auth
	// AgentID is the bot user. Default DefaultAgentID.
	AgentID string
	// OrganizationID is the organisation of the token. Default DefaultOrganizationID.
	OrganizationID string
	// Agents are further agents that exist beside AgentID.
	Agents []string
	// UnassignableAgents exist, but a conversation cannot be assigned to them: such an import has the partial error
	// "The conversation could not be assigned".
	UnassignableAgents []string
	// Forbidden names operations that the token may not call, with the status to answer: 401, 403, or 404 as if there were no such operation.
	Forbidden map[Operation]int

	// Attributes are the custom attributes that are defined. Default (nil): DefaultAttributes().
	Attributes []Attribute
	// Queues of the organisation. Default (nil): DefaultQueues().
	Queues []Queue
	// Tags of the organisation. Default (nil): DefaultTags().
	Tags []Tag
	// Webhooks are the webhook subscriptions of the organisation to begin with. Default: none.
	Webhooks []Webhook
	// Deliveries says how events are delivered to webhook subscriptions.
	Deliveries Deliveries

	// FirstConversationID is the id of the first conversation. Default: above 5,000,000,000 and chosen by Seed, so that ids
	// of a rehearsal are not those of an organisation.
	FirstConversationID int64
	// UniqueExternalID makes externalId unique among end-users, as email and phone always are.
	UniqueExternalID bool
	// PartialErrorEvery gives every n-th import, if it has an assignment, the partial error "The conversation could not be
	// assigned". 0: none.
	PartialErrorEvery int

	// RecordRequests keeps a log of requests, the latest MaxRequests of them (default 100,000); see Requests.
	RecordRequests bool
	MaxRequests    int
	// OnRequest, if set, is called with every API request that has arrived, before anything is decided about it; n counts
	// the requests of the operation from 1. It may block.
	OnRequest func(op Operation, n int)
	// Log receives violations at info and requests at debug level. nil: nothing is logged.
	Log *slog.Logger
}

// The defaults of Options.AgentID and Options.OrganizationID.
const (
	DefaultAgentID        = "7d1f3c52-1f0c-4b52-9c0e-5a4f2f6f9b10"
	DefaultOrganizationID = "2b0c7e64-53a1-4f0e-8f6d-0d9a6d3b7c21"
)

// maxBody is the size in bytes from which on a request body is refused. The vendor documents no limit.
const maxBody = 64 << 20

func (o Options) withDefaults() Options {
	if o.Burst <= 0 {
		o.Burst = 4
	}
	if o.PageLimit <= 0 {
		o.PageLimit = 100
	}
	if o.Seed == 0 {
		o.Seed = 1
	}
	if o.AgentID == "" {
		o.AgentID = DefaultAgentID
	}
	if o.OrganizationID == "" {
		o.OrganizationID = DefaultOrganizationID
	}
	if o.Token == "" {
		o.Token = Token(o.AgentID, o.OrganizationID)
	}
	if o.Auth == "" {
		o.Auth = AuthAny
	}
	if o.Attributes == nil {
		o.Attributes = DefaultAttributes()
	}
	if o.Queues == nil {
		o.Queues = DefaultQueues()
	}
	if o.Tags == nil {
		o.Tags = DefaultTags()
	}
	o.Queues, o.Tags = slices.Clone(o.Queues), slices.Clone(o.Tags)
	o.Deliveries = o.Deliveries.withDefaults()
	if o.MaxRequests <= 0 {
		o.MaxRequests = 100_000
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// Server is the API as an http.Handler. Its methods are safe for concurrent use.
type Server struct {
	opts   Options
	bucket *bucket
	export *bucket // of the Exports API
	notes  *notebook
	ledger *ledger

	mu        sync.Mutex
	random    *rand.Rand
	token     string
	agents    map[string]agentKind
	forbidden map[Operation]int
	withheld  bool // external ids of messages
	down      int
	faults    []*armedFault
	fired     map[string]int
	data      *organisation
	imports   int
	hooks     []*subscription
	post      *postman
}

// New returns a Server.
func New(opts Options) *Server {
	opts = opts.withDefaults()
	s := &Server{
		opts:      opts,
		bucket:    newBucket(opts.Rate, opts.Burst),
		export:    newBucket(float64(opts.ExportsPerMinute)/60, opts.ExportsPerMinute),
		notes:     &notebook{log: opts.Log},
		ledger:    newLedger(opts),
		random:    rand.New(rand.NewPCG(opts.Seed, opts.Seed)),
		token:     opts.Token,
		agents:    map[string]agentKind{},
		forbidden: map[Operation]int{},
		withheld:  opts.NoExternalIDs,
		fired:     map[string]int{},
		post:      newPostman(),
	}
	for _, id := range append([]string{opts.AgentID}, opts.Agents...) {
		s.agents[strings.ToLower(id)] = assignable
	}
	for _, id := range opts.UnassignableAgents {
		s.agents[strings.ToLower(id)] = unassignable
	}
	for op, status := range opts.Forbidden {
		s.forbidden[op] = status
	}
	first := opts.FirstConversationID
	if first <= 0 {
		first = 5_000_000_000 + s.random.Int64N(1_000_000_000)
	}
	s.data = newOrganisation(first)
	for i, hook := range opts.Webhooks {
		s.hooks = append(s.hooks, newSubscription(hook, i))
	}
	s.SetFaults(opts.Faults)
	return s
}

// exchange is one request on its way through the server.
type exchange struct {
	op      Operation
	id      string // the path parameter
	request *http.Request
	body    []byte
	// externalID is that of an import, for the log of requests.
	externalID string
	// acceptedAt is when the bucket let the request through; zero if it did not, or never saw it.
	acceptedAt time.Time
	throttled  bool
}

// ServeHTTP serves the API and an interface for other processes, which needs no token and is neither limited, delayed nor
// counted:
//
//	GET  /_sandbox/state          conversations, end_users, duplicates, requests by operation, throttled, violations, fired,
//	                              undelivered events, rate and per_second (requests that the bucket let through), as JSON
//	GET  /_sandbox/conversations  all conversations, one JSON object a line (see Conversation)
//	GET  /_sandbox/endusers       all end-users, likewise (see EndUser)
//	POST /_sandbox/reset          see Reset
//	POST /_sandbox/faults         replaces the faults by a JSON list; see ReadFaults
//	POST /_sandbox/mutate         changes one thing, such as {"action": "reopen", "conversation": 5123456789}; the actions
//	                              are down, forbid, token, add_agent, remove_agent, withhold_external_ids, delete_message,
//	                              swap_texts, set_text, reopen, assign, set_attribute, delete_conversation, delete_end_user,
//	                              set_availability, and agent_takes, agent_types, agent_replies and agent_closes
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, adminPrefix) {
		s.serveAdmin(w, r)
		return
	}
	began := time.Now()
	x := &exchange{request: r}
	x.op, x.id = route(r)
	// Read to the end first: only then does net/http notice that a client has gone away.
	var err error
	if x.body, err = readAll(http.MaxBytesReader(w, r.Body, maxBody), r.ContentLength); err != nil {
		if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
			refuse(http.StatusRequestEntityTooLarge, "Request body too large").deliver(w, r)
		}
		return // else the request never arrived as a whole
	}
	n := s.ledger.arrived(x.op)
	if s.opts.OnRequest != nil {
		s.opts.OnRequest(x.op, n)
	}
	out := s.decide(x)
	s.ledger.decided(x, began, out)
	if s.opts.Log.Enabled(context.Background(), slog.LevelDebug) {
		s.opts.Log.Debug("request", "operation", string(x.op), "status", out.status, "took", time.Since(began))
	}
	out.deliver(w, r)
}

// readAll reads a body of size bytes; -1: of unknown size.
func readAll(r io.Reader, size int64) ([]byte, error) {
	var buf bytes.Buffer
	if size >= 0 && size <= 1<<20 {
		buf.Grow(int(size) + bytes.MinRead)
	}
	_, err := buf.ReadFrom(r)
	return buf.Bytes(), err
}

// decide handles the request: whatever effect it has, it has had when decide returns.
func (s *Server) decide(x *exchange) outcome {
	s.mu.Lock()
	down := s.down
	s.mu.Unlock()
	if down != 0 {
		return outage(down)
	}
	if s.opts.LatencyBefore {
		s.lag()
	}
	if denied, ok := s.authenticate(x); !ok {
		return denied
	}
	limit := s.bucket
	if strings.HasPrefix(x.request.URL.Path, ExportsPrefix+"/") {
		limit = s.export
	}
	if wait, ok := limit.take(); !ok {
		x.throttled = true
		if !s.opts.RetryAfter {
			wait = 0
		}
		return tooMany(wait)
	}
	x.acceptedAt = time.Now()
	if !s.opts.LatencyBefore {
		s.lag()
	}
	fault := s.fire(x)
	if fault != nil && fault.Kind.before() {
		if fault.Kind == Throttle {
			x.throttled, x.acceptedAt = true, time.Time{}
		}
		return fault.instead()
	}
	answer := s.handle(x)
	if fault != nil {
		return fault.after(answer)
	}
	return answer
}

func (s *Server) handle(x *exchange) outcome {
	if denied, ok := s.authorise(x); !ok {
		return denied
	}
	s.mu.Lock()
	s.anonymizeDue()
	s.mu.Unlock()
	h, ok := handlers[x.op]
	if !ok {
		s.violate(x, "no such operation: "+x.request.Method+" "+plainPath(x.request.URL.Path))
		return refuse(http.StatusNotFound, msgNotFound)
	}
	return h(s, x)
}

// lag waits as long as Latency and Jitter say. It does not listen to the request: a server that works on something
// does not stop because the client has hung up.
func (s *Server) lag() {
	d := s.opts.Latency
	if j := s.opts.Jitter; j > 0 {
		s.mu.Lock()
		d += time.Duration(s.random.Int64N(int64(2*j)+1)) - j
		s.mu.Unlock()
	}
	if d > 0 {
		time.Sleep(d) //nolint:forbidigo // on purpose, as said above
	}
}

// SetDown begins or ends an outage: every request is answered with status and a page of HTML, or, when status is -1,
// its connection is dropped. 0 ends the outage.
func (s *Server) SetDown(status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = status
}

// WithholdExternalIDs begins or ends that the messages of imported chats come back without their externalId. Those of other
// channels keep it.
func (s *Server) WithholdExternalIDs(withheld bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.withheld = withheld
}

// Reset forgets end-users, conversations, counts, recorded requests and violations, ends an outage and replaces the
// faults by those of the Options. Ids go on where they were, so that none is given twice. The token, the agents, what is
// forbidden or withheld, the attributes and the webhook subscriptions stay, but not what is still to be delivered to these.
func (s *Server) Reset() {
	s.mu.Lock()
	s.data = newOrganisation(s.data.nextID)
	s.down = 0
	s.imports = 0
	s.fired = map[string]int{}
	for _, hook := range s.hooks {
		s.forgetDeliveries(hook)
	}
	s.mu.Unlock()
	s.SetFaults(s.opts.Faults)
	s.ledger.reset()
	s.notes.reset()
}
