package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"dixa-import/dixa"
	"dixa-import/importer"
	"dixa-import/importer/checkpoint"
)

// Link is the address of a conversation after a gap, "" if none is configured.
func Link(gap, url string, conversation int64) string {
	if url == "" || conversation == 0 {
		return ""
	}
	return gap + strings.ReplaceAll(url, "{id}", fmt.Sprint(conversation))
}

// Result is a run and what there is to say after it.
type Result struct {
	importer.Summary
	Retry           bool // it was made by the command retry
	Attributes      bool // it only set attributes and tags again
	Exit            int
	Totals          []checkpoint.Total
	Watermark       time.Time // zero if the source has none
	Canary          *Canary   // nil unless the run was limited
	ConversationURL string    // of a conversation, with {id}
	Files           []string  // given with --jsonl
	Again           string    // the command that goes on with the same work, such as "run --reconcile"
	Lost            bool      // it found that the checkpoint was lost
}

// Canary collects the conversations of a limited run, so that somebody can look at them.
type Canary struct {
	mu    sync.Mutex
	first []importedJSON
	n     int64
}

type importedJSON struct {
	TranscriptID   string `json:"transcript_id"`
	ConversationID int64  `json:"conversation_id"`
	URL            string `json:"url,omitempty"`
}

// canaryMax is how many conversations are shown.
const canaryMax = 100

// Add notes a conversation.
func (c *Canary) Add(id string, conversation int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n++; len(c.first) < canaryMax {
		c.first = append(c.first, importedJSON{TranscriptID: id, ConversationID: conversation})
	}
}

// list returns the conversations with their addresses.
func (c *Canary) list(url string) []importedJSON {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.first {
		c.first[i].URL = Link("", url, c.first[i].ConversationID)
	}
	return c.first
}

// restedJSON is an operation of Dixa that failed again and again while others were answered.
type restedJSON struct {
	Operation dixa.Operation `json:"operation"`
	Left      int64          `json:"left"` // steps that were left to the next run
}

// SummaryJSON is a summary as --json prints it; README.md describes it.
type SummaryJSON struct {
	Run          int64                       `json:"run"`
	Outcome      importer.Outcome            `json:"outcome"`
	ExitCode     int                         `json:"exit_code"`
	Reason       string                      `json:"reason,omitempty"`
	Counts       checkpoint.Counts           `json:"counts"`
	Skipped      map[string]int64            `json:"skipped"` // by error code
	Changed      int64                       `json:"changed"`
	Grown        int64                       `json:"grown"`
	TwiceInDixa  int64                       `json:"twice_in_dixa"`
	Causes       map[string]int64            `json:"causes"`
	Problems     []importer.Problem          `json:"problems"`
	Rested       []restedJSON                `json:"rested,omitempty"`
	Ignored      importer.IgnoredIdentifiers `json:"identifiers_ignored"`
	Redacted     map[string]int64            `json:"redacted,omitempty"` // by kind
	Dropped      map[string]int64            `json:"dropped,omitempty"`  // by kind
	Throttled    int64                       `json:"throttled"`
	Seconds      float64                     `json:"seconds"`
	Watermark    time.Time                   `json:"watermark,omitzero"`
	WatermarkAge float64                     `json:"watermark_age_seconds,omitempty"`
	Totals       []checkpoint.Total          `json:"totals"`
	Imported     []importedJSON              `json:"imported,omitempty"`
}

// JSON returns what --json prints.
func (r Result) JSON() SummaryJSON {
	SortTotals(r.Totals)
	out := SummaryJSON{Run: r.Run, Outcome: r.Outcome, ExitCode: r.Exit, Reason: r.Reason, Counts: r.Counts, Skipped: r.Skipped, Changed: r.Changed, Grown: r.Grown,
		TwiceInDixa: r.Duplicates, Causes: r.Causes, Problems: r.Problems, Ignored: r.Ignored, Redacted: r.Redacted, Dropped: r.Dropped, Throttled: r.Throttled, Seconds: r.Duration.Seconds(), Watermark: r.Watermark,
		Totals: r.Totals, Imported: r.Canary.list(r.ConversationURL)}
	for _, rest := range r.Rests {
		out.Rested = append(out.Rested, restedJSON{rest.Operation, rest.Left})
	}
	if out.Skipped == nil {
		out.Skipped = map[string]int64{}
	}
	if out.Causes == nil {
		out.Causes = map[string]int64{}
	}
	if out.Problems == nil {
		out.Problems = []importer.Problem{}
	}
	if out.Totals == nil {
		out.Totals = []checkpoint.Total{}
	}
	if !r.Watermark.IsZero() {
		out.WatermarkAge = time.Since(r.Watermark).Seconds()
	}
	return out
}

// SortTotals puts totals into the order in which they are shown: by source, status and number.
func SortTotals(totals []checkpoint.Total) {
	slices.SortStableFunc(totals, func(a, b checkpoint.Total) int {
		return cmp.Or(cmp.Compare(a.Source, b.Source),
			cmp.Compare(slices.Index(checkpoint.Statuses, a.Status), slices.Index(checkpoint.Statuses, b.Status)),
			cmp.Compare(b.Count, a.Count), cmp.Compare(a.ErrorCode, b.ErrorCode))
	})
}

// RunOutcome returns how a run ended, or that it has not.
func RunOutcome(r checkpoint.Run) string {
	switch {
	case r.Outcome != "":
		return r.Outcome
	case r.Alive:
		return "running"
	}
	return "killed"
}
