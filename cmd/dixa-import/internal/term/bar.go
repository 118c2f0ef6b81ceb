package term

import (
	"time"
	"unicode/utf8"

	"github.com/schollz/progressbar/v3"
)

// How often and how finely progress is shown.
const (
	LogInterval = 30 * time.Second       // between progress lines in a log
	BarInterval = 250 * time.Millisecond // between updates of the bar
	barSteps    = 1000
)

const (
	barWidth = 16
	barRoom  = 12 // how many columns the bar takes besides, with the percentage
)

// Bar is a bar on a terminal: a spinner while the size of the source is not known.
type Bar struct {
	bar   *progressbar.ProgressBar
	sized bool
}

// Set draws the bar: a part of the whole, or a spinner where that is not known, and as many parts of a text as there is
// room for: a line that wraps cannot be cleared.
func (b *Bar) Set(c *Console, f float64, sized bool, parts []string) {
	if b.bar == nil || sized != b.sized {
		b.sized = sized
		total := int64(-1)
		if sized {
			total = barSteps
		}
		if b.bar != nil {
			b.clear()
		}
		b.bar = progressbar.NewOptions64(total, progressbar.OptionSetWriter(c.out), progressbar.OptionUseANSICodes(true),
			progressbar.OptionSetPredictTime(false), progressbar.OptionSetElapsedTime(false), progressbar.OptionSetWidth(barWidth),
			progressbar.OptionSpinnerType(14), progressbar.OptionSetSpinnerChangeInterval(0))
		c.bar = b
	}
	if sized { // never full: a full bar is final
		_ = b.bar.Set64(min(int64(f*barSteps), barSteps-1))
	} else {
		_ = b.bar.Add(1)
	}
	b.bar.Describe(fitting(parts, c.width()-barWidth-barRoom))
}

// fitting joins the first parts of a text, as many as have room.
func fitting(parts []string, width int) string {
	text := ""
	for i, part := range parts {
		if i > 0 {
			part = ", " + part
		}
		if utf8.RuneCountInString(text+part) > width {
			break
		}
		text += part
	}
	return text
}

func (b *Bar) clear() { _ = b.bar.Clear() }

func (b *Bar) draw() { _ = b.bar.RenderBlank() }

// Every calls show now and then until stop is called, which also removes what stands on the last line of a terminal.
func (c *Console) Every(interval time.Duration, show func()) (stop func()) {
	quit, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		tick := time.NewTicker(interval)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				c.Show(nil)
				return
			case <-tick.C:
				show()
			}
		}
	}()
	return func() {
		close(quit)
		<-gone
	}
}
