package main

import (
	"fmt"
	"io"
)

// output is standard output. It remembers the first error, so that results that could not be written are not taken for
// results that were.
type output struct {
	w   io.Writer
	err error
}

// width is how many columns a line may take.
func (o *output) width() int { return widthOf(o.w) }

// Write writes b, or fails as an earlier write did.
func (o *output) Write(b []byte) (int, error) {
	if o.err != nil {
		return 0, o.err
	}
	var n int
	n, o.err = o.w.Write(b)
	return n, o.err
}

func (o *output) printf(format string, args ...any) { _, _ = fmt.Fprintf(o, format, args...) }

func (o *output) line(text string) { _, _ = fmt.Fprintln(o, text) }

// failure is what kept the results from being written.
func (o *output) failure() error {
	if o.err == nil {
		return nil
	}
	return fmt.Errorf("write the results: %w", o.err)
}
