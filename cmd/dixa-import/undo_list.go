package main

import (
	"context"
	"encoding/csv"
	"fmt"
	"strconv"
	"strings"
	"time"

	"dixa-import/cmd/dixa-import/internal/report"
	"dixa-import/cmd/dixa-import/internal/term"
	"dixa-import/importer/checkpoint"
)

// undoRow is one conversation of the list.
type undoRow struct {
	TranscriptID   string            `json:"transcript_id"`
	ConversationID int64             `json:"conversation_id"`
	Status         checkpoint.Status `json:"status"`
	ImportedAt     time.Time         `json:"imported_at,omitzero"`
	// State is that of the request to anonymize it, "" if there is none.
	State     checkpoint.WithdrawalState `json:"anonymization,omitempty"`
	RequestID string                     `json:"request_id,omitempty"`
	Detail    string                     `json:"detail,omitempty"`
	URL       string                     `json:"url,omitempty"`
}

// list writes what a run imported, page by page.
func (p *undoCmd) list(ctx context.Context, j *withdrawJob, run checkpoint.Run) error {
	bound, err := j.store.Binding(ctx, run.Source)
	if err != nil {
		return err
	}
	write, end := p.lister(run)
	url, n := j.file.ConversationURL(), 0
	row := func(r undoRow) error {
		n++
		r.URL = report.Link("", url, r.ConversationID)
		return write(r)
	}
	listed := map[int64]bool{} // undone ones that their transcripts still have
	for after := ""; ; {
		page, err := j.store.ImportsOf(ctx, run.Source, run.ID, bound.Organisation, after, listPage)
		if err != nil {
			return err
		}
		if len(page) == 0 {
			break
		}
		after = page[len(page)-1].TranscriptID
		for _, x := range page {
			if x.Withdrawal.State != "" {
				listed[x.ConversationID] = true
			}
			if err := row(undoRow{x.TranscriptID, x.ConversationID, x.Status, x.ImportedAt, x.Withdrawal.State, x.Withdrawal.RequestID, x.Withdrawal.Detail, ""}); err != nil {
				return err
			}
		}
	}
	for after := ""; ; {
		page, err := j.store.WithdrawalsOf(ctx, run.ID, bound.Organisation, checkpoint.WithdrawImport, nil, after, listPage)
		if err != nil {
			return err
		}
		if len(page) == 0 {
			break
		}
		after = page[len(page)-1].Target
		for _, x := range page {
			if listed[x.ConversationID] {
				continue
			}
			if err := row(undoRow{x.TranscriptID, x.ConversationID, checkpoint.Skipped, time.Time{}, x.State, x.RequestID, x.Detail, ""}); err != nil {
				return err
			}
		}
	}
	return end(n)
}

// listPage is how many conversations are read at once.
const listPage = 1000

// lister returns how rows are written, and what follows them.
func (p *undoCmd) lister(run checkpoint.Run) (write func(undoRow) error, end func(n int) error) {
	switch {
	case p.json:
		before := "{\n  \"conversations\": [\n    "
		return func(r undoRow) error {
				p.stdout.Printf("%s%s", before, term.CompactJSON(r))
				before = ",\n    "
				return nil
			}, func(n int) error {
				if n == 0 {
					p.stdout.Printf("{\n  \"conversations\": [],\n  \"run\": %d\n}\n", run.ID)
					return nil
				}
				p.stdout.Printf("\n  ],\n  \"run\": %d\n}\n", run.ID)
				return nil
			}
	case p.format == "csv":
		w := csv.NewWriter(p.stdout)
		_ = w.Write([]string{"transcript_id", "conversation_id", "status", "imported_at", "anonymization", "request_id", "detail", "url"})
		return func(r undoRow) error {
				at := ""
				if !r.ImportedAt.IsZero() {
					at = r.ImportedAt.UTC().Format(time.RFC3339)
				}
				return w.Write([]string{plainCell(r.TranscriptID), strconv.FormatInt(r.ConversationID, 10), string(r.Status), at, string(r.State), r.RequestID, plainCell(r.Detail), r.URL})
			}, func(int) error {
				w.Flush()
				return w.Error()
			}
	}
	return func(r undoRow) error {
			p.stdout.Printf("%s\n", strings.TrimRight(fmt.Sprintf("%s  conversation %d  %s", r.TranscriptID, r.ConversationID, r.URL), " "))
			if r.State != "" {
				p.stdout.Say("  ", withdrawalTexts[r.State]+colon(r.Detail))
			}
			return nil
		}, func(n int) error {
			if n > 0 {
				p.stdout.Line("")
			}
			p.stdout.Say("", fmt.Sprintf("Run %d of %s imported %s.", run.ID, run.Source, term.Plural(int64(n), "conversation")))
			if n > 0 {
				p.stdout.Say("", "`"+p.commandLine(fmt.Sprintf("undo --run %d --tag NAME", run.ID))+"` tags them, `--anonymize` asks Dixa to anonymize them. The API deletes nothing.")
			}
			return nil
		}
}

func colon(detail string) string {
	if detail == "" {
		return ""
	}
	return ": " + detail
}

// withdrawalTexts say how far a request to anonymize is.
var withdrawalTexts = map[checkpoint.WithdrawalState]string{
	checkpoint.WithdrawalSending: "asked to anonymize it, without an answer yet",
	checkpoint.WithdrawalAsked:   "waits in Dixa's queue to be anonymized",
	checkpoint.WithdrawalDone:    "anonymized",
	checkpoint.WithdrawalRefused: "Dixa refused to anonymize it",
	checkpoint.WithdrawalGone:    "not in Dixa any more",
}
