package main

import (
	"dixa-import/cmd/dixa-import/internal/term"
	"dixa-import/importer/checkpoint"
)

// maxHandovers is how many lines about hand-overs status shows.
const maxHandovers = 20

// eventTexts are the states of events in words, in the order in which they are shown.
var eventTexts = []struct {
	state checkpoint.EventState
	text  string
}{
	{checkpoint.EventWaiting, "not forwarded to the bot yet"}, {checkpoint.EventDead, "given up: `dixa-import events --dead` lists them"},
	{checkpoint.EventForwarded, "forwarded to the bot"}, {checkpoint.EventKept, "kept, not to be forwarded"},
}

// printHandovers writes what became of the chats that were handed over, and of what Dixa reported about them.
func (p *statusCmd) printHandovers(totals []checkpoint.HandoverTotal, events map[checkpoint.EventState]int64) {
	if len(totals) > 0 {
		p.stdout.Printf("\nHanded over\n\n")
		t := term.Table{Heads: []string{"SOURCE", "STATE", ">CHATS", "QUEUE", "CLOSED BY"}}
		for _, x := range totals[:min(len(totals), maxHandovers)] {
			t.Row(x.Source, x.State, term.Thousands(x.Count), x.QueueID, x.ClosedBy)
		}
		t.Write(p.stdout, "  ")
		if more := len(totals) - maxHandovers; more > 0 {
			p.stdout.Printf("  and %d more: --json has them all\n", more)
		}
	}
	if len(events) == 0 {
		return
	}
	p.stdout.Printf("\nReported by Dixa\n\n")
	t := term.Table{Heads: []string{">", ""}}
	for _, e := range eventTexts {
		if n := events[e.state]; n > 0 {
			t.Row(term.Thousands(n), e.text)
		}
	}
	t.Write(p.stdout, "  ")
}
