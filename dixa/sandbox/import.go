package sandbox

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// channelName is the one channel of imports that the sandbox has, and genericAttributes the type of its messages' attributes.
const (
	channelName       = "genericapimessaging"
	genericAttributes = "GenericAttributes"
)

// The hosts of attachments that stand for trouble: of the first, the import is accepted with a partial error; of the
// second, the import is refused.
const (
	InvalidHost     = "invalid.example"
	UnreachableHost = "unreachable.example"
)

// importRequest is a decoded import.
type importRequest struct {
	conversation Conversation
	// agents are those whom the request names, each once.
	agents        []string
	partialErrors []string
	// problem is the message of a refusal that does not depend on what exists, "" if there is none.
	problem string
}

// importConversation is not idempotent, like the API: the same externalId twice makes two conversations.
func (s *Server) importConversation(x *exchange) outcome {
	v, refused, ok := s.readBody(x)
	if !ok {
		return refused
	}
	if ext, ok := optional(&v, "externalId"); ok && ext.kind == kindString {
		x.externalID = strings.Clone(ext.text)
	}
	var d decoder
	in := d.importRequest(&v)
	if refused, ok := s.settle(x, &d); !ok {
		return refused
	}
	c := &storedConversation{Conversation: in.conversation}
	now := time.Now()
	c.ImportedAt = now.UTC()
	c.visibleAt, c.messagesAt = now.Add(s.opts.ListLag), now.Add(s.opts.MessageLag)
	c.stateUpdatedAt = c.CreatedAt
	if !c.ClosedAt.IsZero() {
		c.stateUpdatedAt = c.ClosedAt
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	if problem := s.refuseImport(&in); problem != "" {
		return refuse(http.StatusBadRequest, problem)
	}
	s.imports++
	every := s.opts.PartialErrorEvery
	if a := c.Assignment; a != nil && (s.agents[a.AgentID] == unassignable || every > 0 && s.imports%every == 0) {
		c.Assignment = nil
		in.partialErrors = append([]string{msgUnassigned}, in.partialErrors...)
	}
	c.ID = s.data.nextID
	for i := range c.Messages {
		c.Messages[i].ID = s.newUUID()
	}
	s.data.addConversation(c)
	s.emitImport(c)
	return answer(http.StatusCreated, obj{"data": showImport(c.ID, in.partialErrors)})
}

// refuseImport returns the message of the refusal, "" if the import is accepted; s.mu is held.
func (s *Server) refuseImport(in *importRequest) string {
	if in.problem == msgChannel {
		return in.problem
	}
	if _, ok := s.data.userByID[in.conversation.RequesterID]; !ok {
		return msgRequester
	}
	for _, id := range in.agents {
		if s.agents[id] == unknownAgent {
			return msgAgent
		}
	}
	return in.problem
}

func showImport(id int64, partialErrors []string) obj {
	data := obj{"id": id}
	switch {
	case len(partialErrors) > 0:
		list := make([]obj, len(partialErrors))
		for i, m := range partialErrors {
			list[i] = obj{"message": m}
		}
		data["partialErrors"] = list
	case id%3 == 0: // none: an empty list, null or absent
		data["partialErrors"] = []obj{}
	case id%3 == 1:
		data["partialErrors"] = nil
	}
	return data
}

var (
	importRequired = []string{"_type", "genericChannelName", "requesterId", "direction", "createdAt"}
	importOptional = []string{"requesterConnectionStatus", "messages", "assignment", "externalId", "closing", "attributes"}
)

func (d *decoder) importRequest(v *value) importRequest {
	const at = "import"
	var in importRequest
	if !d.object(v, at, importRequired, importOptional) {
		return in
	}
	d.enum(v, at, "_type", "GenericConversationImport")
	d.enum(v, at, "requesterConnectionStatus", "Connected", "Disconnected")
	c := &in.conversation
	c.Type, c.Channel = "GenericConversation", channelName
	c.RequesterID = d.uuid(v, at, "requesterId")
	c.Direction = d.enum(v, at, "direction", "Inbound", "Outbound")
	c.CreatedAt = d.time(v, at, "createdAt")
	c.ExternalID = d.str(v, at, "externalId")
	if m, ok := optional(v, "assignment"); ok {
		const at = "import.assignment"
		if d.object(m, at, []string{"agentId", "assignedAt"}, nil) {
			c.Assignment = &Assignment{AgentID: in.agent(d.uuid(m, at, "agentId")), AssignedAt: d.time(m, at, "assignedAt")}
		}
	}
	if m, ok := optional(v, "closing"); ok {
		const at = "import.closing"
		if d.object(m, at, []string{"closedAt", "closedBy"}, nil) {
			c.ClosedAt, c.ClosedBy = d.time(m, at, "closedAt"), in.agent(d.uuid(m, at, "closedBy"))
		}
	}
	if list := d.list(v, at, "messages"); len(list) > 0 {
		c.Messages = make([]Message, len(list))
		for i := range list {
			d.message(&list[i], &in, &c.Messages[i])
		}
	}
	if name := d.str(v, at, "genericChannelName"); name != channelName {
		in.problem = msgChannel
		d.note("import.genericChannelName is not " + channelName)
	}
	if d.refusal == "" {
		d.judgeImport(c)
	}
	return in
}

// agent remembers that the request names an agent, and returns one string for all mentions.
func (in *importRequest) agent(id string) string {
	for _, known := range in.agents {
		if known == id {
			return known
		}
	}
	if id != "" {
		in.agents = append(in.agents, id)
	}
	return id
}

var (
	contentRequired  = []string{"_type", "value"}
	inboundRequired  = []string{"_type", "content", "createdAt"}
	outboundRequired = []string{"_type", "content", "createdAt", "agentId"}
	messageOptional  = []string{"attachments", "externalId", "attributes"}
)

func (d *decoder) message(v *value, in *importRequest, m *Message) {
	const at = "import.messages[]"
	required := inboundRequired
	m.Direction, m.Type, m.AuthorID = "Inbound", genericAttributes, in.conversation.RequesterID
	if v.kind == kindObject && d.enum(v, at, "_type", "InboundImport", "OutboundImport") == "OutboundImport" {
		required, m.Direction = outboundRequired, "Outbound"
	}
	if !d.object(v, at, required, messageOptional) {
		return
	}
	if m.Direction == "Outbound" {
		m.AuthorID = in.agent(d.uuid(v, at, "agentId"))
	}
	m.CreatedAt = d.time(v, at, "createdAt")
	m.ExternalID = d.str(v, at, "externalId")
	if content, _ := v.member("content"); d.object(content, at+".content", contentRequired, nil) {
		m.ContentType = d.enum(content, at+".content", "_type", "Text", "Html", "Markdown")
		m.Text = d.str(content, at+".content", "value")
	}
	files := d.list(v, at, "attachments")
	for i := range files {
		d.attachment(&files[i], in, m)
	}
	if d.refusal == "" && len(files) == 0 && strings.TrimSpace(m.Text) == "" && in.problem == "" {
		in.problem = msgMessage
		d.note(at + " has neither text nor attachment")
	}
}

func (d *decoder) attachment(v *value, in *importRequest, m *Message) {
	const at = "import.messages[].attachments[]"
	if !d.object(v, at, []string{"url"}, []string{"prettyName"}) {
		return
	}
	a := Attachment{URL: d.str(v, at, "url"), PrettyName: d.str(v, at, "prettyName")}
	u, err := url.Parse(a.URL)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.Hostname() == InvalidHost:
		in.partialErrors = append(in.partialErrors, msgAttachment+m.ExternalID)
	case u.Hostname() == UnreachableHost:
		if in.problem == "" {
			in.problem = msgDownload
		}
	default:
		m.Attachments = append(m.Attachments, a)
	}
}

// judgeImport notes what the API accepts and what nevertheless breaks the order, the times or the identity of what is
// imported.
func (d *decoder) judgeImport(c *Conversation) {
	if c.ExternalID == "" {
		d.note("import.externalId is missing: the conversation cannot be recognised later")
	}
	if len(c.Messages) == 0 {
		d.note("import.messages is empty")
	}
	if !c.ClosedAt.IsZero() && c.ClosedAt.Before(c.CreatedAt) {
		d.note("import.closing.closedAt is before createdAt")
	}
	for i := range c.Messages {
		m := &c.Messages[i]
		if m.CreatedAt.Before(c.CreatedAt) {
			d.note("import.createdAt is after a message")
		}
		if !c.ClosedAt.IsZero() && c.ClosedAt.Before(m.CreatedAt) {
			d.note("import.closing.closedAt is before a message")
		}
		if i > 0 && m.CreatedAt.Equal(c.Messages[i-1].CreatedAt) {
			d.note("import.messages[]: two have the same time, so that their order is lost")
		}
		if i > 0 && m.CreatedAt.Before(c.Messages[i-1].CreatedAt) {
			d.note("import.messages[] are not in the order of time")
		}
		if m.ExternalID == "" {
			d.note("import.messages[].externalId is missing")
		} else if !isNth(m.ExternalID, c.ExternalID, i+1) {
			d.note("import.messages[].externalId is not <externalId of the conversation>:<n> with n from 1")
		}
	}
}

// isNth reports whether id is "<conversation>:<n>".
func isNth(id, conversation string, n int) bool {
	rest, ok := strings.CutPrefix(id, conversation)
	if !ok || rest == "" || rest[0] != ':' {
		return false
	}
	return rest[1:] == strconv.Itoa(n)
}
