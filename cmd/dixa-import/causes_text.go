package main

import (
	"fmt"
	"regexp"
	"strings"

	"dixa-import/importer/checkpoint"
)

// nextCommands are the command lines that go on with the transcripts of a cause.
func (p *program) nextCommands(c cause, goesOn next) []string {
	only, file := "", "mend-"+string(c.Status)
	if c.ErrorCode != "" {
		only, file = " --code "+c.ErrorCode, "mend-"+c.ErrorCode
	}
	if c.ErrorCode == "" || c.Status == checkpoint.InDoubt {
		only = " --status " + string(c.Status) + only
	}
	file += ".jsonl"
	out := p.commandLine("errors" + only + " --format transcripts > " + file)
	switch {
	case goesOn == byMending:
		return []string{out, p.commandLine("run --jsonl " + file)}
	case c.Status == checkpoint.Partial && goesOn == byRetry:
		return []string{out, p.commandLine("retry" + only + " --jsonl " + file)}
	case goesOn == byRetry, goesOn == byDecision:
		return []string{p.commandLine("retry" + only)}
	case goesOn == byRun:
		return []string{p.commandLine("run")}
	}
	return []string{}
}

// commandLine is how this program was called, with another command.
func (p *program) commandLine(command string) string {
	if p.configPath == "config.yaml" {
		return "dixa-import " + command
	}
	return "dixa-import --config " + shellQuoted(p.configPath) + " " + command
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9_./:=@%+-]+$`)

// shellQuoted writes a word as a shell takes it.
func shellQuoted(s string) string {
	if plainWord.MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// saysNoMore are the codes whose message says nothing that the code does not, but in many ways.
var saysNoMore = map[string]bool{"unavailable": true, "not_found": true, "look_failed": true, "end_user_gone": true,
	"source_missing": true, "end_user_conflict": true, "end_user_missing": true, "unreadable": true, "conversation_taken": true,
	"attributes_unset": true, "file_damaged": true, "duplicate_id": true, "invalid_json": true}

// commonMessage is what the error of a transcript says about others, too.
func commonMessage(r checkpoint.Row) string {
	if saysNoMore[r.ErrorCode] {
		return ""
	}
	if r.Status == checkpoint.Rejected { // the reader's words, with an example of a time in them
		return anyIndex.ReplaceAllString(withoutPlace(r), "[N]")
	}
	return normalise(r.Error)
}

var placePrefix = regexp.MustCompile(`^(?:postgres:\S*|.+?:\d+): `)

// withoutPlace is the reason of a rejection; its place stands before it.
func withoutPlace(r checkpoint.Row) string {
	if rest, ok := strings.CutPrefix(r.Error, r.ID+": "); ok {
		return rest
	}
	return r.Error[len(placePrefix.FindString(r.Error)):]
}

// What differs between messages that mean the same.
var (
	anyUUID   = regexp.MustCompile(`[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}`)
	anyURL    = regexp.MustCompile(`\bhttps?://\S+`)
	anyName   = regexp.MustCompile(`(?i)(external_?id: ?)\S+`)
	anyIndex  = regexp.MustCompile(`\[\d+\]`)
	anyNumber = regexp.MustCompile(`\b\d+\b`)
	status    = regexp.MustCompile(`\b[1-5]\d\d\b`)
)

// messageMax is how many characters of a message tell causes apart.
const messageMax = 200

// normalise leaves out of a message what differs between transcripts. The status of an answer stays.
func normalise(message string) string {
	message = anyUUID.ReplaceAllString(message, "<id>")
	message = anyURL.ReplaceAllString(message, "<url>")
	message = anyName.ReplaceAllString(message, "${1}<id>")
	message = anyNumber.ReplaceAllStringFunc(message, func(n string) string {
		if status.MatchString(n) {
			return n
		}
		return "N"
	})
	if runes := []rune(message); len(runes) > messageMax {
		message = string(runes[:messageMax]) + "..."
	}
	return message
}

func (p *program) printCauseGroups(sources []sourceCauses, chosen bool) {
	if len(sources) == 0 && chosen {
		p.stdout.line("There is nothing with that status or code.")
		return
	}
	if len(sources) == 0 {
		p.stdout.line("There is nothing that needs attention.")
		return
	}
	for i, s := range sources {
		if i > 0 {
			p.stdout.line("")
		}
		needs := "need"
		if s.Count == 1 {
			needs = "needs"
		}
		p.stdout.printf("%s: %s %s attention\n", s.Source, plural(s.Count, "transcript"), needs)
		for _, g := range s.Groups {
			p.printCauseGroup(g)
		}
	}
}

const causeIndent = "           "

func (p *program) printCauseGroup(g *causeGroup) {
	name := string(g.Status)
	for _, part := range []string{g.ErrorCode, string(g.Kind), g.Attribute} {
		if part != "" {
			name += ", " + part
		}
	}
	p.stdout.line("")
	p.stdout.say(fmt.Sprintf("%9s  ", thousands(g.Count)), name+": "+g.Means)
	line := func(head, text string) { p.stdout.say(causeIndent+padded(head, 12), text) }
	if g.Message != "" {
		line("said", g.Message)
	}
	line("what to do", g.Advice)
	line("such as", strings.Join(g.Examples, ", "))
	if g.goesOn == byDecision {
		line("one by one", p.commandLine("retry --id "+shellQuoted(g.Examples[0])+" --conversation N, or --resend, or --drop"))
	}
	head := "command"
	for _, command := range g.Commands {
		p.stdout.command(causeIndent+padded(head, 12), command)
		head = "and then"
	}
	if g.goesOn == byMending && len(g.Commands) > 0 && (g.Status == checkpoint.Rejected || g.Status == checkpoint.Failed) {
		p.stdout.command(causeIndent+padded("or dismiss", 12), p.commandLine("retry --drop --code "+g.ErrorCode))
	}
}

func padded(s string, width int) string { return s + strings.Repeat(" ", max(0, width-len(s))) }
