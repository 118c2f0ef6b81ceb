package shape

import (
	"fmt"
	"html"
	"strconv"
	"strings"

	"dixa-import/dixa"
	"dixa-import/source"
)

// Bot identifies the bot whose conversations are imported: Source is the namespace of the transcripts' ids, AgentID the bot's UUID in Dixa.
type Bot struct{ Source, AgentID string }

// ExternalID returns the external id of a transcript in Dixa.
func (b Bot) ExternalID(transcriptID string) string { return b.Source + "/" + transcriptID }

// Payload returns the body of the import request for a transcript. With withoutAttachments, attachments become links in the texts.
func (b Bot) Payload(t *source.Transcript, endUserID string, withoutAttachments bool) dixa.ConversationImport {
	in := dixa.ConversationImport{
		RequesterID: endUserID, RequesterConnectionStatus: dixa.Disconnected, Direction: dixa.Inbound,
		CreatedAt: dixa.At(t.CreatedAt), ExternalID: b.ExternalID(t.ID),
		Messages:   make([]dixa.ImportMessage, len(t.Messages)),
		Assignment: &dixa.Assignment{AgentID: b.AgentID, AssignedAt: dixa.At(t.CreatedAt)},
	}
	if t.Handover == nil { // else a person goes on with it
		in.Closing = &dixa.Closing{ClosedAt: dixa.At(t.ClosedAt), ClosedBy: b.AgentID}
	}
	if t.Direction == source.Outbound {
		in.Direction = dixa.Outbound
	}
	for i, m := range t.Messages {
		in.Messages[i] = b.message(m, in.ExternalID+":"+strconv.Itoa(i+1), withoutAttachments)
	}
	return in
}

func (b Bot) message(m source.Message, externalID string, withoutAttachments bool) dixa.ImportMessage {
	out := dixa.ImportMessage{Type: dixa.InboundImport, ExternalID: externalID, CreatedAt: dixa.At(m.At),
		Content: dixa.Content{Type: contentTypes[m.Format], Value: m.Text}}
	if m.Role != source.RoleUser {
		out.Type, out.AgentID = dixa.OutboundImport, b.AgentID
		if m.AgentID != "" {
			out.AgentID = m.AgentID
		}
	}
	for _, a := range m.Attachments {
		if withoutAttachments {
			out.Content.Value = withLink(out.Content.Value, m.Format, a)
		} else {
			out.Attachments = append(out.Attachments, dixa.Attachment{URL: a.URL, PrettyName: a.Name})
		}
	}
	return out
}

var contentTypes = map[source.Format]dixa.ContentType{
	source.FormatText: dixa.Text, source.FormatHTML: dixa.HTML, source.FormatMarkdown: dixa.Markdown,
}

// withLink appends an attachment to a text as a link in the text's format.
func withLink(text string, f source.Format, a source.Attachment) string {
	name := a.Name
	if name == "" {
		name = a.URL
	}
	var link, gap string
	switch f {
	case source.FormatHTML:
		link, gap = fmt.Sprintf(`<a href="%s">%s</a>`, html.EscapeString(a.URL), html.EscapeString(name)), "<br>"
	case source.FormatMarkdown:
		link, gap = fmt.Sprintf("[%s](<%s>)", strings.NewReplacer("[", `\[`, "]", `\]`).Replace(name), a.URL), "\n\n"
	default:
		link, gap = a.URL, "\n"
		if a.Name != "" {
			link = a.Name + ": " + a.URL
		}
	}
	if text == "" {
		return link
	}
	return text + gap + link
}

// NamesAgents reports whether the transcript gives an agent id for any of its messages.
func NamesAgents(t *source.Transcript) bool {
	for _, m := range t.Messages {
		if m.AgentID != "" {
			return true
		}
	}
	return false
}
