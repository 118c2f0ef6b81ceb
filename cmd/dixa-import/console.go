package main

import (
	"io"
	"os"
	"sync"

	"golang.org/x/term"
)

// console is standard error: log lines and a progress bar share it without garbling each other.
type console struct {
	mu  sync.Mutex
	out io.Writer
	bar overlay
}

// overlay is something that stands on the last line of a terminal. Its methods are called under the console's lock.
type overlay interface {
	clear()
	draw()
}

func newConsole(w io.Writer) *console { return &console{out: w} }

// Write writes a log line above the overlay.
func (c *console) Write(b []byte) (int, error) {
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

// show puts an overlay on the last line, in place of the one that is there; nil only removes that.
func (c *console) show(bar overlay) {
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

// redraw updates the overlay under the console's lock.
func (c *console) redraw(update func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	update()
}

// aside has something written that may be on the same terminal, above the overlay.
func (c *console) aside(write func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bar != nil {
		c.bar.clear()
		defer c.bar.draw()
	}
	write()
}

// terminal says whether the console is one.
func (c *console) terminal() bool {
	f, ok := c.out.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// width is how many columns the terminal has; more than any text where that is not known.
func (c *console) width() int {
	if f, ok := c.out.(*os.File); ok {
		if columns, _, err := term.GetSize(int(f.Fd())); err == nil && columns > 0 {
			return columns
		}
	}
	return 1000
}
