package mark

import (
	"fmt"

	"dixa-import/importer/checkpoint"
)

// LostCheckpointError says that Dixa has imports of a source that this checkpoint does not know: another checkpoint made them.
type LostCheckpointError struct {
	Source       string
	Mark         string // the checkpoint that the source's mark in Dixa names; "" if the evidence is not the mark
	Transcript   string // one that is in Dixa; "" if the evidence is the mark or an earlier run
	Conversation int64  // of Transcript
	Later        bool   // runs of the source have finished in this checkpoint
	Run          int64  // the run that found the evidence, 0: this one
	Command      string // of Run
}

func (e *LostCheckpointError) Error() string {
	seen := fmt.Sprintf("conversation %d in Dixa is already its transcript %s", e.Conversation, e.Transcript)
	const reconcile = "run with --reconcile over the whole source, which looks in Dixa before every send; after that, runs go on as usual"
	switch {
	case e.Command == checkpoint.CommandBackup:
		return fmt.Sprintf("this checkpoint is a restored backup, so Dixa may have more of source %s than it knows: set `database` to the one that the backup was made of, "+
			"or if that is lost, %s", e.Source, reconcile)
	case e.Command == checkpoint.CommandReclaim:
		return fmt.Sprintf("this checkpoint was moved to another database and then reclaimed, so Dixa may have more of source %s than it knows: %s", e.Source, reconcile)
	case e.Run != 0:
		seen = fmt.Sprintf("run %d of source %s found that Dixa has more of it than this checkpoint knows", e.Run, e.Source)
	case e.Mark != "":
		seen = fmt.Sprintf("source %s is imported by another checkpoint: its mark in Dixa, the end-user with external id %s, names checkpoint %s",
			e.Source, Name(e.Source), e.Mark)
	case e.Later:
		seen = fmt.Sprintf("this checkpoint has finished runs of source %s, but no record of this transcript: %s", e.Source, seen)
	default:
		seen = fmt.Sprintf("no run of source %s has finished in this checkpoint, but %s", e.Source, seen)
	}
	return seen + ": was the database lost, or is this another one, such as a relative path in another working directory? " +
		"Set `database` to the right one, or run with --reconcile, which looks in Dixa before every send and takes the source over when it has read all of it"
}
