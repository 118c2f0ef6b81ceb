package sandbox

import (
	"maps"
	"slices"
	"sort"
	"strings"
	"time"
)

// EndUser is an end-user as the sandbox holds it.
type EndUser struct {
	ID                     string    `json:"id"`
	CreatedAt              time.Time `json:"created_at"`
	DisplayName            string    `json:"display_name,omitempty"`
	Email                  string    `json:"email,omitempty"`
	PhoneNumber            string    `json:"phone_number,omitempty"`
	AdditionalEmails       []string  `json:"additional_emails,omitempty"`
	AdditionalPhoneNumbers []string  `json:"additional_phone_numbers,omitempty"`
	FirstName              string    `json:"first_name,omitempty"`
	LastName               string    `json:"last_name,omitempty"`
	MiddleNames            []string  `json:"middle_names,omitempty"`
	AvatarURL              string    `json:"avatar_url,omitempty"`
	ExternalID             string    `json:"external_id,omitempty"`
}

func (u EndUser) clone() EndUser {
	u.AdditionalEmails = slices.Clone(u.AdditionalEmails)
	u.AdditionalPhoneNumbers = slices.Clone(u.AdditionalPhoneNumbers)
	u.MiddleNames = slices.Clone(u.MiddleNames)
	return u
}

// emails are the primary and the additional addresses, in lower case.
func (u EndUser) emails() []string {
	var all []string
	for _, e := range append([]string{u.Email}, u.AdditionalEmails...) {
		if e = strings.ToLower(e); e != "" && !slices.Contains(all, e) {
			all = append(all, e)
		}
	}
	return all
}

func (u EndUser) phones() []string {
	var all []string
	for _, p := range append([]string{u.PhoneNumber}, u.AdditionalPhoneNumbers...) {
		if p != "" && !slices.Contains(all, p) {
			all = append(all, p)
		}
	}
	return all
}

// Conversation is a conversation as the sandbox holds it.
type Conversation struct {
	ID   int64  `json:"id"`
	Type string `json:"type"` // GenericConversation, or that of a seeded one
	// Channel is genericapimessaging, or that of a seeded one.
	Channel     string      `json:"channel"`
	ExternalID  string      `json:"external_id,omitempty"`
	RequesterID string      `json:"requester_id"`
	Direction   string      `json:"direction"`
	CreatedAt   time.Time   `json:"created_at"`
	ClosedAt    time.Time   `json:"closed_at,omitzero"` // zero: open
	ClosedBy    string      `json:"closed_by,omitempty"`
	Assignment  *Assignment `json:"assignment,omitempty"`
	Messages    []Message   `json:"messages"`
	// Attributes are the custom attributes by UUID: a string, or a []string.
	Attributes map[string]any `json:"attributes,omitempty"`
	ImportedAt time.Time      `json:"imported_at,omitzero"` // zero: seeded
	// AnonymizedAt is when it was anonymized; zero: it was not.
	AnonymizedAt time.Time `json:"anonymized_at,omitzero"`

	QueueID   string   `json:"queue_id,omitempty"`  // in which it waits, or waited last
	Transfers int      `json:"transfers,omitempty"` // how often it was put into a queue
	TagIDs    []string `json:"tags,omitempty"`
	Ratings   []Rating `json:"ratings,omitempty"`
	Notes     []Note   `json:"notes,omitempty"`
	ParentID  int64    `json:"parent_id,omitempty"`
	LinkType  string   `json:"link_type,omitempty"` // Related or SideConversation
}

// Rating is a rating of a conversation.
type Rating struct {
	ID        string    `json:"id"`
	Type      string    `json:"type"` // Csat, Nps or ThumbsUpOrDown
	AgentID   string    `json:"agent_id,omitempty"`
	OfferedAt time.Time `json:"offered_at"`
	Rated     bool      `json:"rated"`
	Value     int       `json:"value,omitempty"`
	Comment   string    `json:"comment,omitempty"`
	RatedAt   time.Time `json:"rated_at,omitzero"`
}

// Note is an internal note of a conversation.
type Note struct {
	ID        string    `json:"id"`
	AuthorID  string    `json:"author_id"`
	Text      string    `json:"text"`
	CreatedAt time.Time `json:"created_at"`
}

// Assignment says to whom a conversation is assigned.
type Assignment struct {
	AgentID    string    `json:"agent_id"`
	AssignedAt time.Time `json:"assigned_at"`
}

// Message is a message of a conversation.
type Message struct {
	ID          string       `json:"id"`
	ExternalID  string       `json:"external_id,omitempty"`
	AuthorID    string       `json:"author_id"`
	Direction   string       `json:"direction"` // Inbound or Outbound
	ContentType string       `json:"content_type"`
	Text        string       `json:"text"`
	CreatedAt   time.Time    `json:"created_at"`
	Attachments []Attachment `json:"attachments,omitempty"`
	// Type is the `_type` of the attributes that the API shows: GenericAttributes, or that of a seeded one.
	Type string `json:"type"`
}

// Attachment is a file at a message.
type Attachment struct {
	URL        string `json:"url"`
	PrettyName string `json:"pretty_name,omitempty"`
}

func (c *Conversation) clone() Conversation {
	out := *c
	if c.Assignment != nil {
		a := *c.Assignment
		out.Assignment = &a
	}
	out.Messages = slices.Clone(c.Messages)
	for i := range out.Messages {
		out.Messages[i].Attachments = slices.Clone(out.Messages[i].Attachments)
	}
	out.Attributes = maps.Clone(c.Attributes)
	out.TagIDs, out.Ratings, out.Notes = slices.Clone(c.TagIDs), slices.Clone(c.Ratings), slices.Clone(c.Notes)
	return out
}

// storedUser and storedConversation are what an organisation holds. Both are reached only under Server.mu.
type storedUser struct {
	EndUser
	seq       int64
	visibleAt time.Time
}

type storedConversation struct {
	Conversation
	visibleAt      time.Time // in lists
	messagesAt     time.Time
	stateUpdatedAt time.Time
}

// organisation holds what exists in Dixa.
type organisation struct {
	users      []*storedUser // by seq
	userByID   map[string]*storedUser
	byEmail    map[string][]*storedUser // by seq, too
	byPhone    map[string][]*storedUser
	byExternal map[string][]*storedUser
	userSeq    int64

	conversations []*storedConversation // by id
	byID          map[int64]*storedConversation
	byRequester   map[string][]*storedConversation // by id, too
	nextID        int64

	anonymizations []Anonymization // requests, the oldest first
	processed      int             // how many of them are processed
}

func newOrganisation(firstID int64) *organisation {
	return &organisation{
		userByID: map[string]*storedUser{}, byEmail: map[string][]*storedUser{}, byPhone: map[string][]*storedUser{},
		byExternal: map[string][]*storedUser{}, byID: map[int64]*storedConversation{},
		byRequester: map[string][]*storedConversation{}, nextID: firstID,
	}
}

func (o *organisation) addUser(u EndUser, visibleAt time.Time) {
	o.userSeq++
	stored := &storedUser{EndUser: u, seq: o.userSeq, visibleAt: visibleAt}
	o.users = append(o.users, stored)
	o.userByID[u.ID] = stored
	for _, e := range u.emails() {
		o.byEmail[e] = append(o.byEmail[e], stored)
	}
	for _, p := range u.phones() {
		o.byPhone[p] = append(o.byPhone[p], stored)
	}
	if u.ExternalID != "" {
		o.byExternal[u.ExternalID] = append(o.byExternal[u.ExternalID], stored)
	}
}

func (o *organisation) deleteUser(id string) bool {
	u, ok := o.userByID[id]
	if !ok {
		return false
	}
	delete(o.userByID, id)
	o.users = without(o.users, u)
	for _, e := range u.emails() {
		o.byEmail[e] = without(o.byEmail[e], u)
	}
	for _, p := range u.phones() {
		o.byPhone[p] = without(o.byPhone[p], u)
	}
	o.byExternal[u.ExternalID] = without(o.byExternal[u.ExternalID], u)
	return true
}

func (o *organisation) addConversation(c *storedConversation) {
	o.byID[c.ID] = c
	o.conversations = insert(o.conversations, c)
	o.byRequester[c.RequesterID] = insert(o.byRequester[c.RequesterID], c)
	o.nextID = max(o.nextID, c.ID+1)
}

func (o *organisation) deleteConversation(id int64) bool {
	c, ok := o.byID[id]
	if !ok {
		return false
	}
	delete(o.byID, id)
	o.conversations = without(o.conversations, c)
	o.byRequester[c.RequesterID] = without(o.byRequester[c.RequesterID], c)
	return true
}

// insert keeps the list in the order of ids; nearly always the new one is the last.
func insert(list []*storedConversation, c *storedConversation) []*storedConversation {
	at := len(list)
	if at > 0 && list[at-1].ID > c.ID {
		at = sort.Search(len(list), func(i int) bool { return list[i].ID > c.ID })
	}
	return slices.Insert(list, at, c)
}

func without[T comparable](list []T, v T) []T {
	if i := slices.Index(list, v); i >= 0 {
		return slices.Delete(list, i, i+1)
	}
	return list
}
