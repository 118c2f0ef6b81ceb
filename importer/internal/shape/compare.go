package shape

import (
	"fmt"
	"slices"

	"dixa-import/dixa"
	"dixa-import/importer/checkpoint"
	"dixa-import/source"
)

// DifferenceKind classifies the differences between a transcript and its conversation in Dixa.
type DifferenceKind string

// The kinds of differences.
const (
	DiffGone           DifferenceKind = "gone"            // Dixa has no such conversation any more
	DiffUnreadable     DifferenceKind = "unreadable"      // Dixa refused to let it be read
	DiffContentChanged DifferenceKind = "content_changed" // the record has changed since the import, and could not be imported now
	DiffNotClosed      DifferenceKind = "not_closed"
	DiffAssignment     DifferenceKind = "assignment"
	DiffRequester      DifferenceKind = "requester"
	DiffDouble         DifferenceKind = "double"       // another conversation is this transcript too
	DiffNotRecorded    DifferenceKind = "not_recorded" // Dixa has the transcript, but the checkpoint does not know that
	DiffDirection      DifferenceKind = "direction"    // of the conversation, or of a message
	DiffAttribute      DifferenceKind = "attribute"
	DiffTag            DifferenceKind = "tag"
	DiffRating         DifferenceKind = "rating"
	DiffNote           DifferenceKind = "note"
	DiffTransfer       DifferenceKind = "transfer"
	DiffLink           DifferenceKind = "link"
	DiffMessageMissing DifferenceKind = "message_missing"
	DiffMessageExtra   DifferenceKind = "message_extra"
	DiffOrder          DifferenceKind = "order"
	DiffText           DifferenceKind = "text" // or its format
	DiffAuthor         DifferenceKind = "author"
	DiffTime           DifferenceKind = "time" // of the conversation's beginning, or of a message
	DiffAttachment     DifferenceKind = "attachment"
)

// DifferenceKinds lists all kinds in display order.
var DifferenceKinds = []DifferenceKind{DiffDouble, DiffNotRecorded, DiffGone, DiffUnreadable, DiffContentChanged, DiffNotClosed, DiffAssignment, DiffRequester,
	DiffDirection, DiffAttribute, DiffTag, DiffRating, DiffNote, DiffTransfer, DiffLink, DiffMessageMissing, DiffMessageExtra, DiffOrder, DiffText, DiffAuthor, DiffTime, DiffAttachment}

// Difference is one way in which a conversation differs from what was imported. It never contains text from a message.
type Difference struct {
	Kind      DifferenceKind `json:"kind"`
	Message   string         `json:"message_external_id,omitempty"`   // if it concerns one message
	Attribute string         `json:"attribute,omitempty"`             // its name in the transcripts
	Other     int64          `json:"other_conversation_id,omitempty"` // of DiffDouble and DiffNotRecorded: the conversation that is not in the checkpoint
	Detail    string         `json:"detail"`                          // a sentence about the conversation or the message
}

// stateClosed is the state of a closed conversation in Dixa.
const stateClosed = "Closed"

// Compare returns how a conversation differs from what a transcript would be imported as, except for its attributes. endUserID is its
// requester, "" if unknown.
func (b Bot) Compare(t *source.Transcript, endUserID string, got dixa.Conversation, messages []dixa.Message) []Difference {
	want := b.Payload(t, endUserID, false)
	var out []Difference
	differs := func(kind DifferenceKind, detail string) { out = append(out, Difference{Kind: kind, Detail: detail}) }
	handedOver := t.Handover != nil // whoever took the chat over may have done anything with it since
	if got.State != stateClosed && !handedOver {
		differs(DiffNotClosed, "the conversation is not closed: close it in Dixa")
	}
	if !handedOver && (got.Assignment == nil || got.Assignment.AgentID != b.AgentID) {
		differs(DiffAssignment, "the conversation is not assigned to the bot")
	}
	if endUserID != "" && got.RequesterID != endUserID {
		differs(DiffRequester, "the conversation has another requester")
	}
	if got.Direction != "" && got.Direction != want.Direction {
		differs(DiffDirection, "the conversation has another direction")
	}
	if !got.CreatedAt.Equal(want.CreatedAt.Time) {
		differs(DiffTime, "the conversation began at another time")
	}
	// If Dixa refused attachments, they were sent as links in the texts.
	asLinks := b.Payload(t, endUserID, true)
	differences := compareMessages(want, asLinks, messages)
	if handedOver {
		differences = slices.DeleteFunc(differences, func(d Difference) bool { return d.Kind == DiffMessageExtra })
	}
	return append(out, differences...)
}

// compareMessages finds the messages by their external ids, or by their content if Dixa returned none of those ids. asLinks is
// want with the attachments as links in the texts.
func compareMessages(want, asLinks dixa.ConversationImport, got []dixa.Message) []Difference {
	var out []Difference
	places, named := placesByID(want, got)
	if !named {
		places = placesByContent(want, asLinks, got)
	}
	last, ordered, found := -1, true, 0
	for i, w := range want.Messages {
		at := places[i]
		if at < 0 {
			out = append(out, Difference{Kind: DiffMessageMissing, Message: w.ExternalID, Detail: "this message is missing"})
			continue
		}
		found++
		ordered = ordered && at > last
		last = at
		out = append(out, compareMessage(w, asLinks.Messages[i], want.RequesterID, got[at])...)
	}
	if !ordered {
		out = append(out, Difference{Kind: DiffOrder, Detail: "the messages are in another order"})
	}
	if len(got) > found {
		out = append(out, Difference{Kind: DiffMessageExtra,
			Detail: fmt.Sprintf("it has %d messages, the transcript %d", len(got), len(want.Messages))})
	}
	return out
}

// placesByID returns the index in got of each message by its external id, -1 if it is missing, and whether any was found.
func placesByID(want dixa.ConversationImport, got []dixa.Message) (places []int, named bool) {
	byID := make(map[string]int, len(got))
	for i, m := range got {
		if _, again := byID[m.ExternalID]; !again && m.ExternalID != "" {
			byID[m.ExternalID] = i
		}
	}
	places = make([]int, len(want.Messages))
	for i, w := range want.Messages {
		at, there := byID[w.ExternalID]
		if !there {
			at = -1
		}
		places[i], named = at, named || there
	}
	return places, named
}

// placesByContent returns the index in got of each message, -1 if it is missing. It considers only messages without an external id: first
// an identical one, then one with the same time and direction, then one with the same text and direction; and if both sides have as many
// messages, the one at the same position.
func placesByContent(want, asLinks dixa.ConversationImport, got []dixa.Message) []int {
	read, places, free := ContentsOf(got).Unnamed, make([]int, len(want.Messages)), []int{}
	for i, m := range got {
		if m.ExternalID == "" {
			free = append(free, i)
		}
	}
	sent, linked, taken := unnamedIn(want), unnamedIn(asLinks), make([]bool, len(free))
	for i := range places {
		places[i] = -1
	}
	for _, same := range []func(s Unnamed, i, at int) bool{
		func(s Unnamed, _, at int) bool { return read[at] == s },
		func(s Unnamed, _, at int) bool { return read[at].at == s.at && read[at].outbound == s.outbound },
		func(s Unnamed, _, at int) bool { return read[at].text == s.text && read[at].outbound == s.outbound },
		func(_ Unnamed, i, at int) bool { return len(sent) == len(read) && i == at },
	} {
		for i := range places {
			for at := 0; at < len(free) && places[i] < 0; at++ {
				if !taken[at] && (same(sent[i], i, at) || same(linked[i], i, at)) {
					places[i], taken[at] = free[at], true
				}
			}
		}
	}
	return places
}

func compareMessage(want, asLinks dixa.ImportMessage, requester string, got dixa.Message) []Difference {
	var out []Difference
	differs := func(kind DifferenceKind, detail string) {
		out = append(out, Difference{Kind: kind, Message: want.ExternalID, Detail: detail})
	}
	a := got.Attributes
	if len(want.Attachments) > 0 && len(a.Attachments) == 0 && a.Content.Value == asLinks.Content.Value {
		want = asLinks
	}
	if a.Content.Value != want.Content.Value {
		differs(DiffText, "this message has another text")
	} else if a.Content.Type != "" && a.Content.Type != want.Content.Type {
		differs(DiffText, "this message has another format")
	}
	if !got.CreatedAt.Equal(want.CreatedAt.Time) {
		differs(DiffTime, "this message has another time")
	}
	author, direction := requester, dixa.Inbound
	if want.Type == dixa.OutboundImport {
		author, direction = want.AgentID, dixa.Outbound
	}
	if author != "" && got.AuthorID != "" && got.AuthorID != author {
		differs(DiffAuthor, "this message has another author")
	}
	if a.Direction != "" && a.Direction != direction {
		differs(DiffDirection, "this message has another direction")
	}
	if n, m := len(a.Attachments), len(want.Attachments); n != m {
		differs(DiffAttachment, fmt.Sprintf("this message has %d attachments, the transcript's %d", n, m))
	}
	return out
}

// Compare returns which of a transcript's attributes a conversation lacks, or has with another value. It ignores attributes that are not
// mapped.
func (as Attributes) Compare(t *source.Transcript, got []dixa.CustomAttribute) []Difference {
	values, refused := as.Values(t)
	var out []Difference
	for _, a := range as {
		want, ok := values[a.ID]
		isRefused := slices.ContainsFunc(refused, func(p checkpoint.PartialError) bool { return p.Attribute == a.Name })
		if !isRefused && (!ok || isUnset(want)) {
			continue
		}
		at := slices.IndexFunc(got, func(c dixa.CustomAttribute) bool { return c.ID == a.ID })
		unset := at < 0 || isUnset(got[at].Value)
		switch {
		case isRefused && unset:
			out = append(out, Difference{Kind: DiffAttribute, Attribute: a.Name, Detail: "refused when it was set; see errors"})
		case isRefused: // somebody has set it since
		case unset:
			out = append(out, Difference{Kind: DiffAttribute, Attribute: a.Name, Detail: "this attribute is not set"})
		case !sameValue(want, got[at].Value):
			out = append(out, Difference{Kind: DiffAttribute, Attribute: a.Name, Detail: "this attribute has another value"})
		}
	}
	return out
}

func isUnset(v dixa.AttributeValue) bool { return v.Text == "" && len(v.List) == 0 }

// sameValue reports whether two values are the same. A text equals a list of that text alone: Dixa may return either.
func sameValue(a, b dixa.AttributeValue) bool {
	list := func(v dixa.AttributeValue) []string {
		if v.List == nil {
			return []string{v.Text}
		}
		return v.List
	}
	return slices.Equal(list(a), list(b))
}
