package main

import "dixa-import/importer"

// didYouMean returns the end of an error message that names the closest candidate, "" if none is close.
func didYouMean(word string, candidates []string) string {
	if c := importer.Closest(word, candidates); c != "" {
		return ", did you mean " + c + "?"
	}
	return ""
}
