package term

import (
	"io"
	"os"
	"sync"

	"golang.org/x/term"
)

// Console is standard error: log lines and a progress bar share it without garbling each other.
type Console struct {
	mu  sync.Mutex
	out io.Writer
	bar overlay
}

// overlay is something that stands on the last line of a terminal. Its methods are called under the console's lock.
type overlay interface {
	clear()
	draw()
}

// NewConsole returns a console that writes to w.
func NewConsole(w io.Writer) *Console { return &Console{out: w} }

// Write writes a log line above the overlay.
func (c *Console) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bar == nil {
		return c.out.Write(b)
	}
	c.bar.clear()
	n, err := c.out.Write(b)
	c.bar.draw()
	return n, err
}

// Show puts an overlay on the last line, in place of the one that is there; nil only removes that.
func (c *Console) Show(bar overlay) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bar != nil {
		c.bar.clear()
	}
	c.bar = bar
	if bar != nil {
		bar.draw()
	}
}

// Redraw updates the overlay under the console's lock.
func (c *Console) Redraw(update func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	update()
}

// Aside has something written that may be on the same terminal, above the overlay.
func (c *Console) Aside(write func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bar != nil {
		c.bar.clear()
		defer c.bar.draw()
	}
	write()
}

// Terminal reports whether the console is one.
func (c *Console) Terminal() bool { return IsTerminal(c.out) }

// IsTerminal reports whether a stream is a terminal.
func IsTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// width is how many columns the terminal has; more than any text where that is not known.
func (c *Console) width() int {
	if f, ok := c.out.(*os.File); ok {
		if columns, _, err := term.GetSize(int(f.Fd())); err == nil && columns > 0 {
			return columns
		}
	}
	return 1000
}
