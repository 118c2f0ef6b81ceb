package main

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"dixa-import/dixa"
	"dixa-import/importer"
	"dixa-import/importer/checkpoint"
	"dixa-import/importer/live"
	"dixa-import/source"
)

// firstRestart and lastRestart are the shortest and longest pause before a run that could not go on is followed by another one.
const (
	firstRestart = 5 * time.Second
	lastRestart  = 5 * time.Minute
)

// errNotImporting is why a process is not ready that takes in transcripts.
var errNotImporting = errors.New("no transcripts are imported at present")

// takeTranscripts adds what imports posted transcripts. It returns once that has begun.
func (s *serving) takeTranscripts(ctx context.Context) error {
	var first dixa.Limiter
	if s.how.api.Rate > 0 {
		first = importer.NewFirstLimiter(s.store.RateSlots(), dixa.TokenHash(s.how.api.Token), s.how.api.Rate, s.how.api.Burst, s.log)
	}
	client, err := s.newClient(s.how.api, s.how.imports.MaxAttempts, s.how.imports.Workers, first)
	if err != nil {
		return err
	}
	feed := source.NewFeed(s.TimeZone)
	started, ended := make(chan struct{}), make(chan error, 1)
	var importing atomic.Bool
	c := s.how.config
	c.API, c.Reader, c.Command, c.Live, c.Preload, c.MaxFailures = client, source.Redacted(feed, s.Redact), checkpoint.LiveCommand, true, false, importer.Failures{}
	c.Grown = importer.GrownReport // a chat that was posted with other content gets the answer that it needs another id
	c.OnStarted = func() {
		if !importing.Swap(true) {
			select {
			case <-started:
			default:
				close(started)
			}
		}
	}
	working, stop := context.WithCancel(ctx)
	attempt := func() error {
		defer feed.Abandon()
		defer importing.Store(false)
		im, err := importer.New(c)
		if err != nil {
			return err
		}
		defer context.AfterFunc(working, func() { im.Stop("signal") })()
		_, err = im.Run(context.WithoutCancel(ctx))
		return err
	}
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		for pause := firstRestart; ; pause = min(2*pause, lastRestart) {
			began := time.Now()
			err := attempt()
			select {
			case <-started:
			default: // a person is looking
				ended <- err
				return
			}
			if working.Err() != nil {
				return
			}
			if time.Since(began) > lastRestart {
				pause = firstRestart
			}
			s.log.Error("no transcripts are imported until the next attempt", "in", pause.String(), "reason", message(err))
			if dixa.Sleep(working, pause) != nil {
				return
			}
		}
	}()
	s.closers = append(s.closers, client.Close, func() { stop(); <-finished })
	select {
	case err := <-ended:
		if ctx.Err() != nil {
			return context.Canceled
		}
		return err
	case <-started:
	}
	s.ready = append(s.ready, func(context.Context) error {
		if !importing.Load() {
			return errNotImporting
		}
		return nil
	})
	s.handlers["POST /transcripts"] = s.counts.Posts(live.NewPoster(live.PosterConfig{Store: s.store, Source: c.Source, Feed: feed, Token: s.Token, Logger: s.log}))
	return nil
}
