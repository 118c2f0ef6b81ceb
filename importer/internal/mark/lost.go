package mark

import "fmt"

// LostCheckpointError says that Dixa knows of imports of a source of which the checkpoint does not know: another checkpoint has
// made them.
type LostCheckpointError struct {
	Source       string
	Mark         string // the checkpoint that the source's mark in Dixa names; "" where it is not the mark that tells
	Transcript   string // one that is in Dixa, "" where a mark or an earlier run tells
	Conversation int64  // in which it is
	Later        bool   // runs of the source have come to their end in this checkpoint
	Run          int64  // that has seen it, 0: this one
}

func (e *LostCheckpointError) Error() string {
	seen := fmt.Sprintf("conversation %d in Dixa is its transcript %s already", e.Conversation, e.Transcript)
	switch {
	case e.Run != 0:
		seen = fmt.Sprintf("run %d of source %s found that Dixa knows more of it than this checkpoint", e.Run, e.Source)
	case e.Mark != "":
		seen = fmt.Sprintf("source %s is imported by another checkpoint: its mark in Dixa, the end-user with external id %s, names checkpoint %s",
			e.Source, Name(e.Source), e.Mark)
	case e.Later:
		seen = fmt.Sprintf("this checkpoint knows of no import of it, but of source %s %s", e.Source, seen)
	default:
		seen = fmt.Sprintf("no run of source %s has come to its end in this checkpoint, but %s", e.Source, seen)
	}
	return seen + ": was the database lost, or is this another one, such as a relative path in another working directory? " +
		"Set `database` to the right one, or run with --reconcile, which looks in Dixa before every send and takes the source over when it has read all of it"
}
