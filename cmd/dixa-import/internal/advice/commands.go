package advice

import (
	"dixa-import/cmd/dixa-import/internal/term"
	"dixa-import/importer/checkpoint"
	"dixa-import/importer/plan"
)

// nextCommands are the command lines that go on with the transcripts of a cause.
func nextCommands(line Commander, c Cause, goesOn Next) []string {
	only, file := "", "fix-"+string(c.Status)
	if c.ErrorCode != "" {
		only, file = " --code "+c.ErrorCode, "fix-"+c.ErrorCode
	}
	if c.ErrorCode == "" || c.Status == checkpoint.InDoubt || c.Status == checkpoint.Imported && goesOn == ByCorrection {
		only = " --status " + string(c.Status) + only
	}
	file += ".jsonl"
	out := line("errors" + only + " --format transcripts > " + file)
	switch {
	case goesOn == ByCorrection:
		return []string{out, line("run --jsonl " + file)}
	case c.Status == checkpoint.Partial && goesOn == ByRetry:
		return []string{out, line("retry" + only + " --jsonl " + file)}
	case goesOn == ByRetry, goesOn == ByDecision:
		return []string{line("retry" + only)}
	case goesOn == ByRun:
		return []string{line("run")}
	}
	return []string{}
}

// Commander makes a command line of a command and its flags, such as "retry --code refused": that which calls this program as it was
// called, with the same configuration.
type Commander func(command string) string

// CommandsWith is the commander of a configuration file.
func CommandsWith(configPath string) Commander {
	return func(command string) string {
		if configPath == "config.yaml" {
			return "dixa-import " + command
		}
		return "dixa-import --config " + term.ShellQuoted(configPath) + " " + command
	}
}

// CommandsFor are the command lines that go on with a transcript.
func CommandsFor(line Commander, row checkpoint.Row, e plan.Explanation, goesOn Next) []string {
	retry := line("retry --id " + term.ShellQuoted(row.ID))
	correct := func() []string {
		return nextCommands(line, Cause{Status: row.Status, ErrorCode: row.ErrorCode}, goesOn)
	}
	switch {
	case e.Next == plan.NextWaits:
	case e.Next == plan.NextFinishes && goesOn == ByCorrection:
		return append([]string{line("run")}, correct()...)
	case e.Next != plan.NextIgnores && e.Next != plan.NextSkips && e.Next != plan.NextRejects:
		return []string{line("run")}
	case row.Status == checkpoint.InDoubt:
		return []string{retry, retry + " --resend", retry + " --drop", retry + " --conversation N"}
	case row.Status == checkpoint.Rejected:
		return append(correct(), retry+" --drop")
	case row.Status == checkpoint.Failed && goesOn == ByCorrection:
		return append(correct(), retry+" --drop")
	case row.Status == checkpoint.Failed && e.Record != nil, row.Status == checkpoint.Partial && goesOn == ByRetry:
		return []string{retry}
	}
	return []string{}
}
