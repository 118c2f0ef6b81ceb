package live

import (
	"cmp"
	"context"
	"log/slog"
	"time"
)

// KeeperConfig is what a Keeper does, and how often.
type KeeperConfig struct {
	Store Store

	Attach time.Duration // how often it looks for the transcripts of events that came before their import was recorded; default 2s
	Purge  time.Duration // how often it removes what is too old; default 10m
	Hold   time.Duration // how long such events wait; default 1h
	Keep   time.Duration // how long texts are kept; default 30 days

	Attached Signal       // is set when an event has got its transcript; may be nil
	Logger   *slog.Logger // default: discard
}

// DefaultKeep is the default of KeeperConfig.Keep.
const DefaultKeep = 30 * 24 * time.Hour

// Keeper keeps the stored events in order. Any number of them may run on one checkpoint.
type Keeper struct{ KeeperConfig }

// NewKeeper returns a Keeper.
func NewKeeper(c KeeperConfig) *Keeper {
	c.Attach = cmp.Or(c.Attach, 2*time.Second)
	c.Purge = cmp.Or(c.Purge, 10*time.Minute)
	c.Hold = cmp.Or(c.Hold, DefaultHold)
	c.Keep = cmp.Or(c.Keep, DefaultKeep)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return &Keeper{c}
}

// Run works until ctx ends.
func (k *Keeper) Run(ctx context.Context) {
	var purged time.Time
	failing := false
	for {
		attached, err := k.Store.AttachEvents(ctx)
		if attached > 0 {
			k.Attached.Set()
		}
		if err == nil && time.Since(purged) >= k.Purge {
			if err = k.Store.PurgeEvents(ctx, k.Hold, k.Keep); err == nil {
				purged = time.Now()
			}
		}
		if ctx.Err() != nil {
			return
		}
		if err != nil && !failing {
			k.Logger.Warn("the stored events cannot be kept in order for now", "error", err.Error())
		}
		failing = err != nil
		if !pause(ctx, k.Attach) {
			return
		}
	}
}
