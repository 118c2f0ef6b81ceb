package importer

import (
	"context"

	"dixa-import/importer/checkpoint"
	"dixa-import/importer/internal/mark"
)

type (
	// Mark is what a look for the mark of a source has found.
	Mark = mark.Mark
	// MarkState says whose mark of a source is in Dixa.
	MarkState = mark.State
	// MarkError says that an end-user has the external id of a source's mark, and not the name of one.
	MarkError = mark.NameError
	// LostCheckpointError says that another checkpoint has imported transcripts of the source.
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

// LookForMark asks Dixa for the mark of a source, and returns whose it is for the checkpoint that has the mark own. It writes nothing.
func LookForMark(ctx context.Context, api API, source string) (whose func(own checkpoint.SourceMark) Mark) {
	return mark.Look(ctx, api, source)
}

// admit returns when the run may send. An error ends the run.
func (p *pipeline) admit() error { return p.gate.Admit() }

// admitFirst is admit as the first part of a run that looks in Dixa before every send: what it finds decides where reading begins.
func (im *Importer) admitFirst(context.Context) error { return ignoreLimit(im.pipeline.admit()) }

// inPart says that the run does not read the whole source.
func (im *Importer) readsPart() bool {
	return im.s.Limit > 0 || im.s.Excerpt || !im.s.Since.IsZero()
}

// takeOver has the mark name this checkpoint, once a run that looked before every send has come to the end of the whole source.
func (im *Importer) takeOverMark(context.Context) error {
	return ignoreLimit(im.pipeline.gate.TakeOver(!im.readsPart() && !im.pipeline.unsearched.Load()))
}
