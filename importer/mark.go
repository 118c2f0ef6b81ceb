package importer

import (
	"context"

	"dixa-import/importer/checkpoint"
	"dixa-import/importer/internal/mark"
)

type (
	// Mark is the result of looking for the mark of a source.
	Mark = mark.Mark
	// MarkState says whether the mark of a source is in Dixa, and whose it is.
	MarkState = mark.State
	// MarkError means that an end-user has the external id of a source's mark, but its name is not that of a mark.
	MarkError = mark.NameError
	// LostCheckpointError means that another checkpoint has imported transcripts of the source.
	LostCheckpointError = mark.LostCheckpointError
)

// The states of a mark.
const (
	MarkAbsent     = mark.Absent
	MarkOurs       = mark.Ours
	MarkOthers     = mark.Others
	MarkUnreadable = mark.Unreadable
	MarkUnknown    = mark.Unknown
)

// LookForMark asks Dixa for the mark of a source, and returns a function that says whose it is for a checkpoint whose mark is own. It
// writes nothing.
func LookForMark(ctx context.Context, api API, source string) (whose func(own checkpoint.SourceMark) Mark) {
	return mark.Look(ctx, api, source)
}

// admit returns when the run may send. An error ends the run.
func (p *pipeline) admit() error { return p.gate.Admit() }

// admitFirst is admit as the first phase of a run with Reconcile: its result decides where reading starts.
func (im *Importer) admitFirst(context.Context) error { return ignoreLimit(im.pipeline.admit()) }

// readsPart reports whether the run reads only part of the source.
func (im *Importer) readsPart() bool {
	return im.s.Limit > 0 || im.s.Excerpt || !im.s.Since.IsZero()
}

// takeOverMark makes the mark name this checkpoint, once a run that searched before every send has read the whole source.
func (im *Importer) takeOverMark(context.Context) error {
	return ignoreLimit(im.pipeline.gate.TakeOver(!im.readsPart() && !im.pipeline.unsearched.Load()))
}
