package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"dixa-import/importer"
)

// verifyOutput writes the differences as they come, however many there are, and at the end what they add up to.
type verifyOutput struct {
	p     *program
	url   string // of a conversation, with {id}
	begun bool
}

func (p *program) verifyOutput(conversationURL string) *verifyOutput {
	return &verifyOutput{p: p, url: conversationURL}
}

// verifiedJSON is what --json prints after the differences.
type verifiedJSON struct {
	Outcome   importer.Outcome                  `json:"outcome"`
	Reason    string                            `json:"reason,omitempty"`
	Checked   int64                             `json:"checked"`
	Differing int64                             `json:"differing"`
	Earlier   int64                             `json:"checked_earlier"`
	Known     int64                             `json:"known_partial"`
	NotHeld   int64                             `json:"not_in_source"`
	Mended    int64                             `json:"mended"`
	Unknown   int64                             `json:"not_imported"`
	Bad       int64                             `json:"bad_records"`
	Kinds     map[importer.DifferenceKind]int64 `json:"kinds"`
	Requests  int64                             `json:"requests"`
	Throttled int64                             `json:"throttled"`
	Seconds   float64                           `json:"seconds"`
}

// differing writes one transcript that differs.
func (o *verifyOutput) differing(d importer.Differing) {
	o.p.console.aside(func() {
		if o.p.json {
			o.differingJSON(d)
			return
		}
		o.begun = true
		o.p.stdout.printf("%s  conversation %d%s\n", d.ID, d.ConversationID, link("  ", o.url, d.ConversationID))
		for _, x := range d.Differences {
			where := x.Attribute
			if at := strings.LastIndexByte(x.Message, ':'); at >= 0 {
				where = "message " + x.Message[at+1:]
			}
			if where != "" {
				where += ": "
			}
			o.p.stdout.say(fmt.Sprintf("  %-15s  ", x.Kind), where+x.Detail)
		}
	})
}

// link is the address of a conversation after a gap, "" if none is configured.
func link(gap, url string, conversation int64) string {
	if url == "" || conversation == 0 {
		return ""
	}
	return gap + strings.ReplaceAll(url, "{id}", fmt.Sprint(conversation))
}

func (o *verifyOutput) differingJSON(d importer.Differing) {
	before := ",\n    "
	if !o.begun {
		o.begun = true
		before = "{\n  \"differences\": [\n    "
	}
	o.p.stdout.printf("%s%s", before, compactJSON(struct {
		importer.Differing
		Link string `json:"link,omitempty"`
	}{d, link("", o.url, d.ConversationID)}))
}

func compactJSON(v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(err) // texts and numbers always can be written
	}
	return bytes.TrimRight(b.Bytes(), "\n")
}

// end writes what the comparison has found out.
func (o *verifyOutput) end(source string, s importer.Verification) {
	if o.p.json {
		o.endJSON(s)
		return
	}
	out := o.p.stdout
	if o.begun {
		out.line("")
	}
	compared := plural(s.Checked, "transcript") + " compared"
	if s.Earlier > 0 {
		compared += fmt.Sprintf(" (%s of them before it was stopped)", thousands(s.Earlier))
	}
	verdict := "no difference"
	if s.Differing > 0 {
		verdict = thousands(s.Differing) + " differ"
	}
	out.printf("%s: %s, %s\n", source, compared, verdict)
	t := table{heads: []string{">", "", ""}}
	for _, kind := range importer.DifferenceKinds {
		if n := s.Kinds[kind]; n > 0 {
			t.row(thousands(n), kind, differenceAdvice[kind])
		}
	}
	if len(t.rows) > 0 {
		out.line("")
		t.write(out, "  ")
	}
	if s.Earlier > 0 && s.Differing > 0 {
		out.line("")
		out.say("", "What differs among those that were compared before the stop was listed then: `"+o.p.commandLine("verify --restart")+"` lists all.")
	}
	if s.KnownPartial > 0 {
		out.line("")
		have := " of these conversations have"
		if s.KnownPartial == 1 {
			have = " of these conversations has"
		}
		out.say("", thousands(s.KnownPartial)+have+" partial errors that the checkpoint knows: `"+o.p.commandLine("errors --status partial")+"`")
	}
	for _, left := range []struct {
		n   int64
		why string
	}{
		{s.NotHeld, "the source does not hold them; those that were mended: `" + o.p.commandLine("verify --jsonl FILE") + "`"},
		{s.Mended, "the record is bad, a mended one was imported: `" + o.p.commandLine("verify --jsonl FILE") + "`"},
		{s.Unknown, "they are not imported"},
	} {
		if left.n > 0 {
			out.line("")
			out.say("", plural(left.n, "transcript")+" not compared: "+left.why+".")
		}
	}
	if s.Bad > 0 {
		out.line("")
		are := " of the file are bad"
		if s.Bad == 1 {
			are = " of the file is bad"
		}
		out.say("", plural(s.Bad, "record")+are+": `"+o.p.commandLine("run --jsonl FILE --dry-run")+"` says why.")
	}
	out.printf("\n%s in %s.\n", plural(s.Requests, "request"), roughDuration(s.Duration))
	if s.Outcome == importer.OutcomeStopped {
		out.printf("Stopped early (%s): the same command goes on from here.\n", s.Reason)
	}
}

func (o *verifyOutput) endJSON(s importer.Verification) {
	before := "\n  ],\n  "
	if !o.begun {
		before = "{\n  \"differences\": [],\n  "
	}
	rest := compactJSON(verifiedJSON{s.Outcome, s.Reason, s.Checked, s.Differing, s.Earlier, s.KnownPartial, s.NotHeld, s.Mended, s.Unknown, s.Bad, s.Kinds,
		s.Requests, s.Throttled, s.Duration.Seconds()})
	o.p.stdout.printf("%s%s\n}\n", before, bytes.Trim(rest, "{}"))
}

// differenceAdvice says what a difference may come from, and what can be done.
var differenceAdvice = map[importer.DifferenceKind]string{
	importer.DiffGone:           "the conversation was deleted or merged in Dixa: nothing imports it again",
	importer.DiffUnreadable:     "it could not be compared: verify again when Dixa is well",
	importer.DiffContentChanged: "the record is another one now, and could not be imported",
	importer.DiffNotClosed:      "it was reopened, or the closing failed: close it in Dixa",
	importer.DiffAssignment:     "it is not assigned to the bot: assign it in Dixa if that matters",
	importer.DiffRequester:      "its end-user was merged or exchanged in Dixa",
	importer.DiffDirection:      "Dixa holds another direction",
	importer.DiffAttribute:      "changed in Dixa, or refused at the import: `retry --id ID`",
	importer.DiffMessageMissing: "refused at the import, or deleted in Dixa",
	importer.DiffMessageExtra:   "somebody wrote in the conversation after the import",
	importer.DiffOrder:          "Dixa lists the messages in another order",
	importer.DiffText:           "Dixa holds another text or format",
	importer.DiffAuthor:         "Dixa names another author",
	importer.DiffTime:           "Dixa holds another time",
	importer.DiffAttachment:     "Dixa did not take an attachment, see the partial errors",
}
