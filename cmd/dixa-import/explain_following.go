package main

import (
	"context"
	"strings"
	"time"

	"dixa-import/cmd/dixa-import/internal/report"
	"dixa-import/importer/checkpoint"
)

// handoverJSON is what became of a conversation after its import.
type handoverJSON struct {
	State         string    `json:"state,omitempty"` // waiting, assigned or closed
	QueueID       string    `json:"queue_id,omitempty"`
	ClosedBy      string    `json:"closed_by,omitempty"`
	AgentClosedAt time.Time `json:"agent_closed_at,omitzero"`
	FollowUpOf    string    `json:"follow_up_of,omitempty"`
	FollowedBy    []string  `json:"followed_by,omitempty"`
}

// stepJSON is a step that follows an import.
type stepJSON struct {
	Step      checkpoint.StepName  `json:"step"`
	State     checkpoint.StepState `json:"state"`
	Detail    string               `json:"detail,omitempty"`
	UpdatedAt time.Time            `json:"updated_at"`
}

// addFollowing reads what the checkpoint has of what follows the import.
func (e *explanationJSON) addFollowing(ctx context.Context, store *checkpoint.Store) error {
	if !e.Known {
		return nil
	}
	h, err := store.Handover(ctx, e.Source, e.TranscriptID)
	if err != nil {
		return err
	}
	if h.State+h.QueueID+h.FollowUpOf != "" || len(h.FollowedBy) > 0 {
		e.Handover = &handoverJSON{h.State, h.QueueID, h.ClosedBy, h.AgentClosedAt, h.FollowUpOf, h.FollowedBy}
	}
	steps, err := store.StepsOf(ctx, e.Source, e.TranscriptID)
	if err != nil {
		return err
	}
	for _, s := range steps {
		e.Steps = append(e.Steps, stepJSON{s.Name, s.State, s.Detail, s.UpdatedAt})
	}
	events, err := store.Events(ctx, checkpoint.EventFilter{Source: e.Source, TranscriptID: e.TranscriptID})
	if err == nil && len(events) > 0 {
		e.Events = newEventsJSON(events)
	}
	return err
}

// stepTexts say what the states of steps mean.
var stepTexts = map[checkpoint.StepState]string{
	checkpoint.StepPlanned: "to be done", checkpoint.StepSending: "on its way, or unclear", checkpoint.StepDone: "done", checkpoint.StepRefused: "refused by Dixa",
	checkpoint.StepSkipped: "left out: nobody was available",
}

// explainFollowing writes what followed the import.
func (p *explainCmd) explainFollowing(out explanationJSON) {
	if h := out.Handover; h != nil {
		p.section("Hand-over")
		p.detail("state", h.State)
		p.detail("queue", h.QueueID)
		if h.ClosedBy != "" || !h.AgentClosedAt.IsZero() {
			text := "agent " + h.ClosedBy
			if h.ClosedBy == "" {
				text = "nobody that Dixa names"
			}
			p.detail("closed by", text+", "+h.AgentClosedAt.UTC().Format(report.TimeLayout))
		}
		p.detail("follow-up of", h.FollowUpOf)
		p.detail("followed by", strings.Join(h.FollowedBy, ", "))
	}
	if len(out.Steps) > 0 {
		p.section("After the import")
	}
	for _, s := range out.Steps {
		text := stepTexts[s.State] + ", " + s.UpdatedAt.UTC().Format(report.TimeLayout)
		if s.Detail != "" {
			text += " (" + s.Detail + ")"
		}
		p.detail(string(s.Step), text)
	}
	if len(out.Events) > 0 {
		p.section("Reported by Dixa")
	}
	for _, e := range out.Events {
		text := e.kind() + ", " + string(e.State)
		if e.LastError != "" {
			text += ": " + e.LastError
		}
		p.detail(e.At.UTC().Format("01-02 15:04:05"), text)
	}
}
