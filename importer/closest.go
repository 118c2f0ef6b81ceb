package importer

import "dixa-import/importer/internal/shape"

// Closest returns the candidate that word was probably meant to be, or "" if none is close.
func Closest(word string, candidates []string) string { return shape.Closest(word, candidates) }
