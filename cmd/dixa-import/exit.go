package main

import (
	"context"
	"errors"

	"dixa-import/cmd/dixa-import/internal/config"
	"dixa-import/importer"
)

// The exit codes; exitHelp explains them to people.
const (
	exitOK         = 0
	exitFailure    = 1
	exitUsage      = 2
	exitIncomplete = 3
	exitStopped    = 4
)

const exitHelp = `Exit codes:
  0  all transcripts of this run are imported (partial ones too: without what Dixa refused), or there was nothing to do
  1  it could not start or continue: a person must act; the checkpoint is consistent
  2  wrong usage
  3  it finished, but some transcripts failed, were rejected, are in doubt, or wait for attributes that could not be set
  4  it stopped early (signal, --for, max-failures); the next run continues`

// outcomeError carries how a command ended after it has told everything there is to tell.
type outcomeError struct{ outcome importer.Outcome }

func (e *outcomeError) Error() string { return "the run ended: " + string(e.outcome) }

// ended is how a run ended, nil if all is well.
func ended(outcome importer.Outcome) error {
	if outcome == importer.OutcomeOK {
		return nil
	}
	return &outcomeError{outcome}
}

// exitCode is the one place that says which exit code an error becomes.
func exitCode(err error) int {
	var usage *config.UsageError
	var ended *outcomeError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &usage):
		return exitUsage
	case errors.As(err, &ended):
		switch ended.outcome {
		case importer.OutcomeIncomplete:
			return exitIncomplete
		case importer.OutcomeStopped:
			return exitStopped
		}
	}
	return exitFailure
}

// message is what a person reads about an error, "" if everything was said already.
func message(err error) string {
	if err == nil {
		return ""
	}
	var usage *config.UsageError
	var ended *outcomeError
	switch {
	case errors.As(err, &ended):
		return ""
	case errors.Is(err, context.Canceled):
		return "interrupted"
	case errors.As(err, &usage):
		return err.Error() + "\nRun `dixa-import --help` or `dixa-import COMMAND --help` for help."
	}
	return err.Error()
}
