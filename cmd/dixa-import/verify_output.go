package main

import (
	"bytes"
	"fmt"
	"strings"

	"dixa-import/cmd/dixa-import/internal/advice"
	"dixa-import/cmd/dixa-import/internal/report"
	"dixa-import/cmd/dixa-import/internal/term"
	"dixa-import/importer"
	"dixa-import/importer/verify"
)

// verifyOutput writes the differences as they come, however many there are, and at the end what they add up to.
type verifyOutput struct {
	p     *program
	url   string // of a conversation, with {id}
	only  bool   // second conversations were looked for, and nothing was compared
	begun bool
}

func (p *program) verifyOutput(conversationURL string, doublesOnly bool) *verifyOutput {
	return &verifyOutput{p: p, url: conversationURL, only: doublesOnly}
}

// verifiedJSON is what --json prints after the differences.
type verifiedJSON struct {
	Outcome   importer.Outcome                `json:"outcome"`
	Reason    string                          `json:"reason,omitempty"`
	Checked   int64                           `json:"checked"`
	Differing int64                           `json:"differing"`
	Earlier   int64                           `json:"checked_earlier"`
	Known     int64                           `json:"known_partial"`
	NotHeld   int64                           `json:"not_in_source"`
	Anonymous int64                           `json:"anonymized"`
	Corrected int64                           `json:"mended"`
	Unknown   int64                           `json:"not_imported"`
	Bad       int64                           `json:"bad_records"`
	Kinds     map[verify.DifferenceKind]int64 `json:"kinds"`
	EndUsers  int64                           `json:"end_users_listed"`
	Unlisted  int64                           `json:"end_users_not_listed"`
	Unread    int64                           `json:"conversations_not_read"`
	Requests  int64                           `json:"requests"`
	Throttled int64                           `json:"throttled"`
	Seconds   float64                         `json:"seconds"`
	Bulk      *verify.Bulk                    `json:"bulk,omitempty"`
}

// differing writes one transcript that differs.
func (o *verifyOutput) differing(d verify.Differing) {
	o.p.console.Aside(func() {
		if o.p.json {
			o.differingJSON(d)
			return
		}
		o.begun = true
		o.p.stdout.Printf("%s  conversation %d%s\n", d.ID, d.ConversationID, report.Link("  ", o.url, d.ConversationID))
		for _, x := range d.Differences {
			where := x.Attribute
			if at := strings.LastIndexByte(x.Message, ':'); at >= 0 {
				where = "message " + x.Message[at+1:]
			}
			if where != "" {
				where += ": "
			}
			o.p.stdout.Say(fmt.Sprintf("  %-15s  ", x.Kind), where+x.Detail)
		}
	})
}

func (o *verifyOutput) differingJSON(d verify.Differing) {
	before := ",\n    "
	if !o.begun {
		o.begun = true
		before = "{\n  \"differences\": [\n    "
	}
	o.p.stdout.Printf("%s%s", before, term.CompactJSON(struct {
		verify.Differing
		Link string `json:"link,omitempty"`
	}{d, report.Link("", o.url, d.ConversationID)}))
}

// end writes what the comparison has found out.
func (o *verifyOutput) end(source string, s verify.Verification) {
	if o.p.json {
		o.endJSON(s)
		return
	}
	out := o.p.stdout
	if o.begun {
		out.Line("")
	}
	compared := term.Plural(s.Checked, "transcript") + " compared"
	if o.only {
		compared = term.Plural(s.Checked, "transcript") + " looked at"
	}
	if s.Earlier > 0 {
		compared += fmt.Sprintf(" (%s of them before the stop)", term.Thousands(s.Earlier))
	}
	verdict := "no difference"
	switch {
	case s.Differing > 0 && o.only:
		verdict = term.Thousands(s.Differing) + " with unknown conversations"
	case o.only:
		verdict = "none has two conversations"
	case s.Differing > 0:
		verdict = term.Thousands(s.Differing) + " differ"
	}
	out.Printf("%s: %s, %s\n", source, compared, verdict)
	t := term.Table{Heads: []string{">", "", ""}}
	for _, kind := range verify.DifferenceKinds {
		if n := s.Kinds[kind]; n > 0 {
			t.Row(term.Thousands(n), kind, advice.Difference[kind])
		}
	}
	if len(t.Rows) > 0 {
		out.Line("")
		t.Write(out, "  ")
	}
	if s.Earlier > 0 && s.Differing > 0 {
		out.Line("")
		out.Say("", "The differences found before the stop were listed then: `"+o.p.commandLine("verify --restart")+"` lists all.")
	}
	if s.KnownPartial > 0 {
		out.Line("")
		have := " of these conversations have"
		if s.KnownPartial == 1 {
			have = " of these conversations has"
		}
		out.Say("", term.Thousands(s.KnownPartial)+have+" partial errors that the checkpoint knows: `"+o.p.commandLine("errors --status partial")+"`")
	}
	if b := s.Bulk; b != nil {
		out.Line("")
		text := fmt.Sprintf("Through the Exports API: %s the same, %s different or missing there, %s that it cannot compare (attachments, hand-overs, changed or partial ones).",
			term.Thousands(b.Same), term.Thousands(b.Differ), term.Thousands(b.Unfit))
		if b.WithoutAttributes > 0 {
			text += fmt.Sprintf(" Its answers have no custom attributes, so %s had to be read.", term.Plural(b.WithoutAttributes, "transcript"))
		}
		out.Say("", text+" All but the same were compared one by one. Formats of messages and external ids are not in exports.")
	}
	o.unseen(s)
	for _, left := range []struct {
		n   int64
		why string
	}{
		{s.NotHeld, "the source does not have them; for corrected ones: `" + o.p.commandLine("verify --jsonl FILE") + "`"},
		{s.Anonymized, "they are anonymized in Dixa"},
		{s.Corrected, "the record is bad, but a corrected one was imported: `" + o.p.commandLine("verify --jsonl FILE") + "`"},
		{s.Unknown, "they are not imported"},
	} {
		if left.n > 0 {
			out.Line("")
			out.Say("", term.Plural(left.n, "transcript")+" not compared: "+left.why+".")
		}
	}
	if s.Bad > 0 {
		out.Line("")
		are := " of the file are bad"
		if s.Bad == 1 {
			are = " of the file is bad"
		}
		out.Say("", term.Plural(s.Bad, "record")+are+": `"+o.p.commandLine("run --jsonl FILE --dry-run")+"` says why.")
	}
	out.Printf("\n%s in %s.\n", term.Plural(s.Requests, "request"), term.RoughDuration(s.Duration))
	if s.Outcome == importer.OutcomeStopped {
		out.Printf("Stopped early (%s): the same command continues from here.\n", s.Reason)
	}
}

// unseen says where second conversations may be that could not be looked for.
func (o *verifyOutput) unseen(s verify.Verification) {
	if s.Unlisted > 0 {
		o.p.stdout.Line("")
		o.p.stdout.Say("", "Could not look for second conversations of "+term.Plural(s.Unlisted, "end-user")+
			": Dixa did not list them. Verify again when Dixa responds normally, with a token that may list conversations.")
	}
	if s.Unread > 0 {
		o.p.stdout.Line("")
		o.p.stdout.Say("", term.Plural(s.Unread, "conversation")+" that the checkpoint does not have could not be read, and may be duplicates: verify again when Dixa responds normally.")
	}
}

func (o *verifyOutput) endJSON(s verify.Verification) {
	before := "\n  ],\n  "
	if !o.begun {
		before = "{\n  \"differences\": [],\n  "
	}
	rest := term.CompactJSON(verifiedJSON{s.Outcome, s.Reason, s.Checked, s.Differing, s.Earlier, s.KnownPartial, s.NotHeld, s.Anonymized, s.Corrected, s.Unknown, s.Bad, s.Kinds, s.EndUsers, s.Unlisted, s.Unread,
		s.Requests, s.Throttled, s.Duration.Seconds(), s.Bulk})
	o.p.stdout.Printf("%s%s\n}\n", before, bytes.Trim(rest, "{}"))
}
