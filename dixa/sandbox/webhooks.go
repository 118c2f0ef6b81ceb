package sandbox

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Webhook is a webhook subscription. Events are delivered to URLs of this machine only.
type Webhook struct {
	ID     string // default: made from its place in the list
	Name   string
	URL    string
	Events []string // such as ConversationMessageAdded
	// Disabled subscriptions get nothing.
	Disabled bool
	// ExcludesImports says that the filters exclude OperationOrigin ApiImport. The sandbox takes that for the origin of the conversation, so that
	// such a subscription hears nothing of what agents do in imported chats, either.
	ExcludesImports bool
	// Channels are the channels in which the conversations must have begun, by the filters. None: all.
	Channels []string
	// Secret signs the deliveries: hexadecimal digits, or New and AddWebhook panic. Default: made from its place in the list.
	Secret string
}

const (
	msgWebhook   = "Validation failure during Webhook Subscription creation"
	msgWebhookID = "Invalid value for: path parameter webhookSubscriptionId"
)

// eventNames are what a subscription can subscribe to.
var eventNames = []string{
	"SLAEvaluationVoided", "ConversationPending", "SLAEvaluationBreached", "ConversationMessageAdded", "ConversationCustomAttributeUpdated",
	"SLAEvaluationAchieved", "ConversationAssigned", "ConversationMessageDeliveryDelivered", "ConversationMessageDeliveryInfo",
	"ConversationTransferred", "ConversationEnqueued", "AgentUnbannedEnduser", "TypingStarted", "ConversationCreated", "ConversationUnassigned",
	"ConversationOpen", "ConversationAbandoned", "ConversationClosed", "ConversationMessageDeliveryFailed", "ConversationTagAdded",
	"ConversationNoteAdded", "AgentBannedEnduser", "ConversationEndUserReplaced", "ConversationMessageDeliverySeen", "AgentUnbannedIp",
	"ConversationMessageDeliverySent", "AgentBannedIp", "ConversationTagRemoved", "ConversationRated", "SLAEvaluationPending",
	"ConversationMessageDeliverySpamComplaint", "ConversationPendingExpired",
}

// channelNames are the channels of Dixa, in lower case and without the underscores that the vendor's examples of filters have.
var channelNames = []string{
	"email", "contactform", "chat", "widgetchat", "dixamessenger", "messenger", "phone", "pstnphone", "voicemail", "callback", "sms", "facebookmessenger",
	"whatsapp", "twitter", "adachat", "digitalgeniuschat", "kindlychat", channelName, "trustpilot", "yotpo",
}

func plainName(name string) string { return strings.ToLower(strings.ReplaceAll(name, "_", "")) }

// subscription is a webhook subscription with what is delivered to it; reached only under Server.mu.
type subscription struct {
	Webhook
	headers    map[string]string
	strategy   string
	conditions []condition
	createdAt  time.Time

	due     []*dispatch
	logs    map[string][]logEntry // by event, the newest first
	wake    chan struct{}         // there is something new in due
	working bool                  // somebody delivers what is due
	deleted bool
}

// condition is a condition of a filter.
type condition struct {
	field   string
	values  []string
	negated bool
}

func newSubscription(hook Webhook, place int) *subscription {
	if hook.ID == "" {
		hook.ID = fmt.Sprintf("cb452b81-6748-40ab-af85-%012d", place+1)
	}
	if hook.Secret == "" {
		hook.Secret = fmt.Sprintf("%064x", place+1)
	}
	_ = decodeSecret(hook.Secret)
	hook.ID, hook.Events = strings.ToLower(hook.ID), append([]string{}, hook.Events...)
	sub := &subscription{Webhook: hook, strategy: "All", createdAt: definedAt, logs: map[string][]logEntry{}, wake: make(chan struct{}, 1)}
	if len(hook.Channels) > 0 {
		sub.conditions = append(sub.conditions, condition{field: "InitialChannel", values: slices.Clone(hook.Channels)})
	}
	if hook.ExcludesImports {
		if len(hook.Channels) == 0 {
			sub.conditions = append(sub.conditions, condition{field: "InitialChannel", values: []string{"email", "generic_api_messaging"}})
		}
		sub.conditions = append(sub.conditions, condition{field: "OperationOrigin", values: []string{"ApiImport"}, negated: true})
	}
	return sub
}

// wants reports whether an event of a conversation is to be delivered to the subscription.
func (sub *subscription) wants(event string, c *storedConversation) bool {
	if sub.Disabled || sub.URL == "" || !slices.Contains(sub.Events, event) {
		return false
	}
	held := 0
	for _, cond := range sub.conditions {
		if cond.holds(c) {
			held++
		}
	}
	return held == len(sub.conditions) || sub.strategy == "Any" && held > 0
}

func (cond condition) holds(c *storedConversation) bool {
	actual := map[string]string{"InitialChannel": c.Channel, "QueueId": c.QueueID}[cond.field]
	if cond.field == "OperationOrigin" && !c.ImportedAt.IsZero() {
		actual = "ApiImport"
	}
	return cond.negated != slices.ContainsFunc(cond.values, func(v string) bool { return plainName(v) == plainName(actual) })
}

func (cond condition) show() obj {
	kind := "IsOneOf"
	if cond.negated {
		kind = "IsNotOneOf"
	}
	return obj{"_type": kind, "field": cond.field, "values": cond.values}
}

func (s *Server) showSubscription(sub *subscription) obj {
	at := sub.createdAt.UTC().Format(time.RFC3339)
	headers := sub.headers
	if headers == nil {
		headers = map[string]string{}
	}
	o := obj{
		"id": sub.ID, "name": sub.Name, "url": sub.URL, "subscribedEvents": sub.Events,
		"headers": headers, "secretKey": sub.Secret, "enabled": !sub.Disabled,
		"createdAt": at, "createdBy": s.opts.AgentID, "updatedAt": at, "updatedBy": s.opts.AgentID,
	}
	if len(sub.conditions) > 0 {
		conditions := make([]obj, len(sub.conditions))
		for i, cond := range sub.conditions {
			conditions[i] = cond.show()
		}
		o["filters"] = obj{"Conversation": obj{"_type": "CombinedFilters", "strategy": sub.strategy, "conditions": conditions}}
	} else if len(sub.Name)%2 == 0 {
		o["filters"] = obj{}
	}
	return o
}

// Webhooks returns the webhook subscriptions. What their filters say beyond Channels and ExcludesImports is left out.
func (s *Server) Webhooks() []Webhook {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]Webhook, len(s.hooks))
	for i, sub := range s.hooks {
		list[i] = sub.Webhook
		list[i].Events, list[i].Channels = slices.Clone(sub.Events), slices.Clone(sub.Channels)
	}
	return list
}

// AddWebhook adds a webhook subscription and returns it as it was filled in.
func (s *Server) AddWebhook(hook Webhook) Webhook {
	s.mu.Lock()
	defer s.mu.Unlock()
	if hook.ID == "" {
		hook.ID = s.newUUID()
	}
	sub := newSubscription(hook, len(s.hooks))
	s.hooks = append(s.hooks, sub)
	return sub.Webhook
}

func (s *Server) listWebhooks(x *exchange) outcome {
	if _, refused, ok := s.query(x); !ok {
		return refused
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	data := make([]obj, len(s.hooks))
	for i, sub := range s.hooks {
		data[i] = s.showSubscription(sub)
	}
	return answer(http.StatusOK, obj{"data": data})
}

// subscription returns the subscription of a request; s.mu is held.
func (s *Server) subscription(x *exchange) (*subscription, outcome, bool) {
	if !isUUID(x.id) {
		s.violate(x, "the path parameter webhookSubscriptionId is not a UUID")
		return nil, refuse(http.StatusBadRequest, msgWebhookID), false
	}
	i := slices.IndexFunc(s.hooks, func(sub *subscription) bool { return strings.EqualFold(sub.ID, x.id) })
	if i < 0 {
		return nil, refuse(http.StatusNotFound, msgNotFound), false
	}
	return s.hooks[i], outcome{}, true
}

func (s *Server) getWebhook(x *exchange) outcome {
	if _, refused, ok := s.query(x); !ok {
		return refused
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	sub, refused, ok := s.subscription(x)
	if !ok {
		return refused
	}
	return answer(http.StatusOK, obj{"data": s.showSubscription(sub)})
}

func (s *Server) deleteWebhook(x *exchange) outcome {
	s.mu.Lock()
	defer s.mu.Unlock()
	sub, refused, ok := s.subscription(x)
	if !ok {
		return refused
	}
	sub.deleted = true
	s.forgetDeliveries(sub)
	s.hooks = without(s.hooks, sub)
	return outcome{status: http.StatusNoContent}
}

// createWebhook is not idempotent, like the API.
func (s *Server) createWebhook(x *exchange) outcome {
	v, refused, ok := s.readBody(x)
	if !ok {
		return refused
	}
	var d decoder
	sub := d.subscription(&v)
	if refused, ok := s.settle(x, &d); !ok {
		return refused
	}
	if u, err := url.Parse(sub.URL); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || sub.Name == "" {
		return refuse(http.StatusBadRequest, msgWebhook)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	sub.ID = s.newUUID()
	var secret [32]byte
	for i := range secret {
		secret[i] = byte(s.random.Uint32())
	}
	sub.Secret = hex.EncodeToString(secret[:])
	s.hooks = append(s.hooks, sub)
	return answer(http.StatusCreated, obj{"data": s.showSubscription(sub)})
}

func (d *decoder) subscription(v *value) *subscription {
	const at = "webhook"
	sub := newSubscription(Webhook{}, 0)
	sub.createdAt = time.Now().UTC()
	if !d.object(v, at, []string{"name", "url", "authorization", "customHeaders"}, []string{"events", "enabled", "filters"}) {
		return sub
	}
	sub.Name, sub.URL, sub.Events = d.str(v, at, "name"), d.str(v, at, "url"), append([]string{}, d.strings(v, at, "events")...)
	sub.Disabled = !d.boolean(v, at, "enabled", true)
	for i, event := range sub.Events {
		if !slices.Contains(eventNames, event) || slices.Contains(sub.Events[:i], event) {
			d.refuse(at+".events", "names an event that is not known, or one twice")
		}
	}
	sub.headers = d.headers(v, at)
	if filters, ok := optional(v, "filters"); ok && d.object(filters, at+".filters", nil, []string{"Conversation"}) {
		if filter, ok := optional(filters, "Conversation"); ok {
			d.filter(filter, at+".filters.Conversation", sub)
		}
	}
	return sub
}

// headers returns the headers that the deliveries are to carry.
func (d *decoder) headers(v *value, at string) map[string]string {
	headers := map[string]string{}
	if custom, _ := v.member("customHeaders"); custom.kind != kindObject {
		d.refuse(at+".customHeaders", "is "+custom.kind.String()+", not an object")
	} else {
		for _, f := range custom.fields {
			headers[f.name] = d.str(custom, at+".customHeaders", f.name)
		}
	}
	auth, _ := v.member("authorization")
	at += ".authorization"
	fields := map[string][]string{"BasicAuth": {"username", "password"}, "TokenAuth": {"value"}}
	var kind string
	if auth.kind == kindObject {
		kind = d.enum(auth, at, "_type", "BasicAuth", "NoAuth", "TokenAuth")
	}
	if !d.object(auth, at, append([]string{"_type"}, fields[kind]...), nil) {
		return headers
	}
	switch kind {
	case "BasicAuth":
		pair := d.str(auth, at, "username") + ":" + d.str(auth, at, "password")
		headers["Authorization"] = "Basic " + base64.StdEncoding.EncodeToString([]byte(pair))
	case "TokenAuth":
		headers["Authorization"] = "Bearer " + d.str(auth, at, "value")
	}
	return maps.Clone(headers)
}

func (d *decoder) filter(v *value, at string, sub *subscription) {
	if !d.object(v, at, []string{"_type", "strategy", "conditions"}, nil) {
		return
	}
	d.enum(v, at, "_type", "CombinedFilters")
	sub.strategy = d.enum(v, at, "strategy", "All", "Any")
	items := d.list(v, at, "conditions")
	at += ".conditions[]"
	if len(items) == 0 {
		d.refuse(at, "are none, but at least one is required")
	}
	for i := range items {
		item := &items[i]
		if !d.object(item, at, []string{"_type", "field", "values"}, nil) {
			return
		}
		cond := condition{field: d.enum(item, at, "field", "InitialChannel", "OperationOrigin", "QueueId"), values: d.strings(item, at, "values"),
			negated: d.enum(item, at, "_type", "IsOneOf", "IsNotOneOf") == "IsNotOneOf"}
		if len(cond.values) == 0 {
			d.refuse(at+".values", "are none, but at least one is required")
		}
		for _, value := range cond.values {
			if cond.field == "InitialChannel" && !slices.Contains(channelNames, plainName(value)) {
				d.note(at + " names a channel that is not known")
			}
		}
		switch {
		case cond.field == "OperationOrigin" && cond.negated:
			sub.ExcludesImports = sub.ExcludesImports || slices.Contains(cond.values, "ApiImport")
		case cond.field == "InitialChannel" && !cond.negated:
			sub.Channels = cond.values
		}
		sub.conditions = append(sub.conditions, cond)
	}
}
