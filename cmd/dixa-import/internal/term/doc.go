// Package term writes to people: results on standard output, logs and a progress bar on standard error, tables, wrapped text, numbers and
// durations in words, and JSON. It knows nothing of imports.
package term
