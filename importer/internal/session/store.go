package session

import (
	"context"
	"time"

	"dixa-import/importer/checkpoint"
)

// Store is the part of the checkpoint that a session uses; *checkpoint.Store implements it and documents the methods.
type Store interface {
	runStore
	rowStore
	userStore
	factStore
	markStore
	verifyStore
}

// runStore records runs, the binding of their source, and how far it has been read.
type runStore interface {
	Bind(ctx context.Context, source string, b checkpoint.Binding, rebind bool) error
	Binding(ctx context.Context, source string) (checkpoint.Binding, error)
	StartRun(ctx context.Context, source, command string) (int64, error)
	RenewRun(ctx context.Context, run int64, b checkpoint.Beat) error
	FinishRun(ctx context.Context, run int64, outcome string, b checkpoint.Beat) error
	Runs(ctx context.Context, source string, limit int) ([]checkpoint.Run, error)
	Watermark(ctx context.Context, source string) (at time.Time, ahead bool, err error)
	AdvanceWatermark(ctx context.Context, source string, upTo time.Time, overlap time.Duration) (time.Time, error)
}

// rowStore records transcripts.
type rowStore interface {
	StepsOf(ctx context.Context, source, id string) ([]checkpoint.Step, error)
	SaveStep(ctx context.Context, source string, run int64, c checkpoint.StepChange) (saved bool, err error)
	Complete(ctx context.Context, source string, ids, hashes []string) ([]int64, error)
	Lookup(ctx context.Context, source string, run int64, ids []string) (map[string]checkpoint.Row, error)
	Unfinished(ctx context.Context, source string, run int64, after string, limit int) ([]checkpoint.Row, error)
	Select(ctx context.Context, source string, run int64, f checkpoint.Filter) ([]checkpoint.Row, error)
	Claim(ctx context.Context, source string, run int64, requests []checkpoint.ClaimRequest) ([]checkpoint.Row, error)
	Write(ctx context.Context, source string, run int64, changes []checkpoint.Change) ([]checkpoint.Result, error)
	Touch(ctx context.Context, source string, run int64, ids []string) error
	ClearRejected(ctx context.Context, source string, run int64, file string) error
	PartialErrors(ctx context.Context, source, id string) ([]checkpoint.PartialError, error)
	PartialErrorsOf(ctx context.Context, source string, ids []string) (map[string][]checkpoint.PartialError, error)
	Conversations(ctx context.Context, source string, ids []int64) (map[int64]bool, error)
	Holders(ctx context.Context, source string, conversations []int64) (map[int64]string, error)
	Totals(ctx context.Context, source string, run int64) ([]checkpoint.Total, error)
}

// userStore records which end-user each identifier belongs to.
type userStore interface {
	FindEndUsers(ctx context.Context, organisation string, ids []checkpoint.Identifier) (map[checkpoint.Identifier]string, error)
	EndUserIdentifiers(ctx context.Context, organisation, endUserID string) ([]checkpoint.Identifier, error)
	ReserveEndUsers(ctx context.Context, organisation string, run int64, persons [][]checkpoint.Identifier) ([]checkpoint.Reservation, error)
	SaveEndUsers(ctx context.Context, organisation string, users []checkpoint.EndUser) error
	JoinEndUser(ctx context.Context, organisation string, user checkpoint.EndUser, seen []checkpoint.Identifier) (joined bool, err error)
	ReleaseEndUsers(ctx context.Context, organisation string, run int64, ids []checkpoint.Identifier) error
	ForgetEndUser(ctx context.Context, organisation, endUserID string) error
}

// factStore records how Dixa behaves.
type factStore interface {
	Facts(ctx context.Context, of checkpoint.Binding) (checkpoint.Facts, error)
	Learn(ctx context.Context, of checkpoint.Binding, f checkpoint.Facts) (checkpoint.Facts, error)
	LatestImports(ctx context.Context, source string, limit int) ([]checkpoint.KnownImport, error)
}

// markStore records the mark of a source.
type markStore interface {
	SourceMark(ctx context.Context, source string) (checkpoint.SourceMark, error)
	ClaimSourceMark(ctx context.Context, source, id string) (checkpoint.SourceMark, error)
	SetSourceMark(ctx context.Context, source string, m checkpoint.SourceMark) error
}

// verifyStore records the progress of a Verifier.
type verifyStore interface {
	VerifyMark(ctx context.Context, source string) (checkpoint.VerifyMark, error)
	SetVerifyMark(ctx context.Context, source string, m checkpoint.VerifyMark) error
}
