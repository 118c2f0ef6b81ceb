package main

import "dixa-import/importer"

// markJSON is whose mark of the source is in Dixa, as --json prints it.
type markJSON struct {
	State      importer.MarkState `json:"state"`
	Checkpoint string             `json:"checkpoint,omitempty"`
}

func (r planReport) markJSON() *markJSON {
	if r.Mark.State == "" {
		return nil
	}
	return &markJSON{r.Mark.State, r.Mark.Checkpoint}
}

// aboutMark returns what a run would do about the mark of the source, "" where there is nothing to say.
func (r planReport) aboutMark() string {
	switch r.Mark.State {
	case importer.MarkAbsent:
		return "A run would leave the mark of this source in Dixa: an end-user that names this checkpoint, so that another one is noticed."
	case importer.MarkOthers, importer.MarkUnreadable:
		if r.takes {
			return "The mark of this source in Dixa is not this checkpoint's: a run would take it over when it has read the whole source."
		}
		return "A run would stop: " + r.Mark.Err(r.source).Error()
	case importer.MarkUnknown:
		return "The mark of this source could not be looked up: " + r.Mark.Err(r.source).Error()
	}
	return ""
}

// checkMark says whose mark of the source is in Dixa.
func (f *preflight) checkMark(source string) {
	switch m := f.mark(f.own); m.State {
	case importer.MarkOurs:
		f.add("mark", stateOK, "source %s is imported by this checkpoint, as its mark in Dixa says", source)
	case importer.MarkAbsent:
		f.add("mark", stateOK, "Dixa has none of source %s, the first run leaves it", source)
	case importer.MarkUnknown:
		f.add("mark", stateWarning, "it could not be looked up, so runs look in Dixa before they send: %s", m.Err(source).Error())
	default:
		f.fail("mark", m.Err(source))
	}
}
