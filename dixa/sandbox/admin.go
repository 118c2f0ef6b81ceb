package sandbox

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// adminPrefix is where the interface for other processes is; see Server.ServeHTTP.
const adminPrefix = "/_sandbox/"

// maxAdminBody is the largest request in bytes.
const maxAdminBody = 1 << 20

// adminState is the answer to GET /_sandbox/state.
type adminState struct {
	Conversations  int               `json:"conversations"`
	EndUsers       int               `json:"end_users"`
	Duplicates     []Duplicate       `json:"duplicates"`
	Requests       map[Operation]int `json:"requests"`
	Throttled      int               `json:"throttled"`
	ViolationCount int               `json:"violation_count"`
	Violations     []string          `json:"violations"`
	Fired          map[string]int    `json:"fired"`
	// Undelivered is how many events are on their way to webhook subscriptions.
	Undelivered int `json:"undelivered"`
	// Rate is how many requests a second were accepted in the last five full seconds.
	Rate      float64       `json:"rate"`
	PerSecond []adminSecond `json:"per_second"`
}

type adminSecond struct {
	Second   time.Time `json:"second"`
	Accepted int       `json:"accepted"`
}

// jsonFault is a Fault as JSON: {"operation": "import", "kind": "drop_after", "nth": 3}.
type jsonFault struct {
	Name        string    `json:"name"`
	Operation   Operation `json:"operation"`
	Kind        FaultKind `json:"kind"`
	Status      int       `json:"status"`
	Nth         int       `json:"nth"`
	Probability float64   `json:"probability"`
	Times       int       `json:"times"`
	Duration    string    `json:"duration"` // such as "2s"
	Match       string    `json:"match"`    // a part of the request's body, or of its path and query
	Message     string    `json:"message"`  // of the error
}

// adminChange is one change as JSON: {"action": "delete_message", "conversation": 5123456789, "external_id": "bot/t-1:2"}.
type adminChange struct {
	// Action is down (status), forbid (operation, status), token (token), remove_agent (agent), add_agent (agent),
	// withhold_external_ids (value: true or false), or one of these about a conversation: delete_message (external_id), swap_texts (i, j), set_text (i, text), reopen, assign (agent),
	// set_attribute (attribute, value), delete_conversation, agent_takes (agent), agent_types (agent), agent_replies (agent, text), agent_closes
	// (agent); or delete_end_user (end_user), set_availability (queue: its id or name, value: true or false).
	Action       string    `json:"action"`
	Conversation int64     `json:"conversation"`
	ExternalID   string    `json:"external_id"`
	I            int       `json:"i"`
	J            int       `json:"j"`
	Text         string    `json:"text"`
	Agent        string    `json:"agent"`
	Attribute    string    `json:"attribute"`
	Value        any       `json:"value"`
	EndUser      string    `json:"end_user"`
	Status       int       `json:"status"`
	Operation    Operation `json:"operation"`
	Token        string    `json:"token"`
	Queue        string    `json:"queue"`
}

func (s *Server) serveAdmin(w http.ResponseWriter, r *http.Request) {
	switch r.Method + " " + r.URL.Path[len(adminPrefix):] {
	case "GET state":
		writeJSON(w, http.StatusOK, s.state())
	case "GET conversations":
		writeLines(w, s.Conversations())
	case "GET endusers":
		writeLines(w, s.EndUsers())
	case "POST reset":
		s.Reset()
		w.WriteHeader(http.StatusNoContent)
	case "POST faults":
		faults, err := ReadFaults(http.MaxBytesReader(w, r.Body, maxAdminBody))
		if err != nil {
			writeJSON(w, http.StatusBadRequest, obj{"message": err.Error()})
			return
		}
		s.SetFaults(faults)
		w.WriteHeader(http.StatusNoContent)
	case "POST mutate":
		var c adminChange
		if err := readJSON(http.MaxBytesReader(w, r.Body, maxAdminBody), &c); err != nil {
			writeJSON(w, http.StatusBadRequest, obj{"message": err.Error()})
			return
		}
		if !s.apply(c) {
			writeJSON(w, http.StatusNotFound, obj{"message": "there is no such action, or not what it is to change"})
			return
		}
		w.WriteHeader(http.StatusNoContent)
	default:
		writeJSON(w, http.StatusNotFound, obj{"message": "there is no such page under " + adminPrefix})
	}
}

func (s *Server) state() adminState {
	s.mu.Lock()
	conversations, users, undelivered := len(s.data.conversations), len(s.data.users), s.post.pending
	s.mu.Unlock()
	state := adminState{
		Conversations: conversations, EndUsers: users, Duplicates: s.Duplicates(), Requests: s.Counts(),
		Throttled: s.Throttled(), ViolationCount: s.ViolationCount(), Violations: append([]string{}, s.Violations()...),
		Fired: s.Fired(), Undelivered: undelivered, PerSecond: []adminSecond{},
	}
	const window = 5
	now := time.Now().UTC().Truncate(time.Second)
	for _, second := range s.PerSecond() {
		state.PerSecond = append(state.PerSecond, adminSecond(second))
		if age := now.Sub(second.Second); age > 0 && age <= window*time.Second {
			state.Rate += float64(second.Accepted) / window
		}
	}
	return state
}

func (s *Server) apply(c adminChange) bool {
	switch c.Action {
	case "down":
		s.SetDown(c.Status)
	case "forbid":
		s.Forbid(c.Operation, c.Status)
	case "token":
		s.SetToken(c.Token)
	case "add_agent":
		s.AddAgent(c.Agent)
	case "remove_agent":
		s.RemoveAgent(c.Agent)
	case "withhold_external_ids":
		withheld, ok := c.Value.(bool)
		if ok {
			s.WithholdExternalIDs(withheld)
		}
		return ok
	case "delete_message":
		return s.DeleteMessage(c.Conversation, c.ExternalID)
	case "swap_texts":
		return s.SwapTexts(c.Conversation, c.I, c.J)
	case "set_text":
		return s.SetText(c.Conversation, c.I, c.Text)
	case "reopen":
		return s.Reopen(c.Conversation)
	case "assign":
		return s.Assign(c.Conversation, c.Agent)
	case "set_attribute":
		value, ok := attributeValue(c.Value)
		return ok && s.SetAttribute(c.Conversation, c.Attribute, value)
	case "delete_conversation":
		return s.DeleteConversation(c.Conversation)
	case "agent_takes":
		return s.AgentTakes(c.Conversation, c.Agent)
	case "agent_types":
		return s.AgentTypes(c.Conversation, c.Agent)
	case "agent_replies":
		return s.AgentReplies(c.Conversation, c.Agent, c.Text) != ""
	case "agent_closes":
		return s.AgentCloses(c.Conversation, c.Agent)
	case "set_availability":
		available, ok := c.Value.(bool)
		return ok && s.SetAvailability(c.Queue, available)
	case "delete_end_user":
		return s.DeleteEndUser(c.EndUser)
	default:
		return false
	}
	return true
}

// attributeValue turns JSON into what SetAttribute takes.
func attributeValue(v any) (any, bool) {
	list, ok := v.([]any)
	if !ok {
		_, ok = v.(string)
		return v, ok || v == nil
	}
	texts := make([]string, len(list))
	for i := range list {
		if texts[i], ok = list[i].(string); !ok {
			return nil, false
		}
	}
	return texts, true
}

// ReadFaults reads a JSON list of faults, as POST /_sandbox/faults takes it: objects with name, operation, kind, status, nth,
// probability, times, duration (such as "2s"), message (of the error) and match (a part of the request's body, or of the path and query of
// one without a body), all but kind optional.
func ReadFaults(r io.Reader) ([]Fault, error) {
	var list []jsonFault
	if err := readJSON(r, &list); err != nil {
		return nil, err
	}
	faults := make([]Fault, len(list))
	for i, f := range list {
		if !f.Kind.Valid() {
			return nil, fmt.Errorf("fault %d: unknown kind %q", i, f.Kind)
		}
		faults[i] = Fault{
			Name: f.Name, Operation: f.Operation, Kind: f.Kind, Status: f.Status, Nth: f.Nth, Probability: f.Probability, Times: f.Times, Message: f.Message,
		}
		if f.Operation != "" && !f.Operation.Valid() {
			return nil, fmt.Errorf("fault %d: unknown operation %q", i, f.Operation)
		}
		if f.Probability < 0 || f.Probability > 1 {
			return nil, fmt.Errorf("fault %d: probability %v is not between 0 and 1", i, f.Probability)
		}
		if f.Duration != "" {
			d, err := time.ParseDuration(f.Duration)
			if err != nil {
				return nil, fmt.Errorf("fault %d: read duration: %w", i, err)
			}
			faults[i].Duration = d
		}
		if f.Match != "" {
			faults[i].Match = MatchText(f.Match)
		}
	}
	return faults, nil
}

func readJSON(r io.Reader, v any) error {
	dec := json.NewDecoder(r)
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return fmt.Errorf("read JSON: %w", err)
	}
	return nil
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	enc := newEncoder(w)
	enc.SetIndent("", "  ")
	_ = enc.Encode(v)
}

func writeLines[T any](w http.ResponseWriter, list []T) {
	w.Header().Set("Content-Type", "application/x-ndjson")
	enc := newEncoder(w)
	for i := range list {
		if enc.Encode(list[i]) != nil {
			return
		}
	}
}
