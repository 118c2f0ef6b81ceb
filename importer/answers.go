package importer

import (
	"dixa-import/dixa"
	"dixa-import/importer/checkpoint"
	"dixa-import/importer/internal/session"
)

// mayStopRun reports whether an error answer to a look-up, a creation, an import or a PATCH may concern every transcript.
func mayStopRun(err error) bool {
	reason := dixa.ReasonOf(err)
	return session.Denied(err) || reason == dixa.ReasonAgentUnknown || reason == dixa.ReasonChannelUnsupported
}

// partialErrors converts the partial errors of an import, and classifies them by kind.
func partialErrors(found []dixa.PartialError) []checkpoint.PartialError {
	var out []checkpoint.PartialError
	for _, e := range found {
		p := checkpoint.PartialError{Kind: checkpoint.KindOther, Message: e.Message, MessageExternalID: e.ExternalID}
		switch {
		case e.Reason == dixa.ReasonAttachment:
			p.Kind = checkpoint.KindAttachment
		case e.Reason == dixa.ReasonUnassigned:
			p.Kind = checkpoint.KindAssignment
		case e.ExternalID != "":
			p.Kind = checkpoint.KindMessage
		}
		out = append(out, p)
	}
	return out
}
