package term

import (
	"fmt"
	"io"
)

// Output is standard output. It remembers the first error, so that results that could not be written are not taken for
// results that were.
type Output struct {
	w   io.Writer
	err error
}

// NewOutput returns an output that writes to w.
func NewOutput(w io.Writer) *Output { return &Output{w: w} }

// Width is how many columns a line may take.
func (o *Output) Width() int { return widthOf(o.w) }

// Terminal reports whether it is a terminal.
func (o *Output) Terminal() bool { return IsTerminal(o.w) }

// Write writes b, or fails as an earlier write did.
func (o *Output) Write(b []byte) (int, error) {
	if o.err != nil {
		return 0, o.err
	}
	var n int
	n, o.err = o.w.Write(b)
	return n, o.err
}

// Printf writes a formatted text.
func (o *Output) Printf(format string, args ...any) { _, _ = fmt.Fprintf(o, format, args...) }

// Line writes a line.
func (o *Output) Line(text string) { _, _ = fmt.Fprintln(o, text) }

// Failure is what kept the results from being written.
func (o *Output) Failure() error {
	if o.err == nil {
		return nil
	}
	return fmt.Errorf("write the results: %w", o.err)
}

// JSON writes a result as one JSON document.
func (o *Output) JSON(v any) error {
	enc := NewEncoder(o)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
