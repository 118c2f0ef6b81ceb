package source

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestFeed(t *testing.T) {
	t.Parallel()
	f := NewFeed(time.UTC)
	parse := func(text string) *Record {
		t.Helper()
		r, err := f.Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	const chat = `{"id":"t-1","closed_at":"2026-11-19T08:10:00","messages":[{"role":"user","text":"<Hi> & \u2028","created_at":1795075200.25}]}`
	first := parse(chat)
	for _, same := range []string{
		" " + strings.ReplaceAll(chat, ",", " ,\n") + " ",
		`{"messages":[{"created_at":1795075200.25,"role":"user","text":"\u003cHi> & \u2028"}],"closed_at":"2026-11-19T08:10:00","id":"t-1"}`,
	} {
		if r := parse(same); r.Hash != first.Hash || r.ID != "t-1" {
			t.Errorf("%s has another hash or the id %q", same, r.ID)
		}
	}
	for _, other := range []string{strings.Replace(chat, "Hi", "Ho", 1), strings.Replace(chat, "200.25", "200.250", 1)} {
		if parse(other).Hash == first.Hash {
			t.Errorf("%s has the same hash", other)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	got := make(chan *Record)
	ended := make(chan struct{})
	read := func() {
		for r, err := range f.Read(ctx, time.Time{}) {
			if err != nil {
				t.Error(err)
			}
			got <- r
		}
		ended <- struct{}{}
	}
	go read()
	offer := func(r *Record) <-chan struct{} {
		t.Helper()
		done, err := f.Offer(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		return done
	}
	done := offer(first)
	if r := <-got; r != first {
		t.Error("another record was read")
	}
	select {
	case <-done:
		t.Error("it is done before anybody said so")
	default:
	}
	first.Done()
	first.Done()
	<-done
	left := offer(parse(strings.Replace(chat, "t-1", "t-2", 1)))
	<-got
	stop()
	<-ended
	f.Abandon()
	<-left
	if _, err := f.Offer(ctx, first); !errors.Is(err, context.Canceled) {
		t.Errorf("nobody reads: %v", err)
	}
	ctx, stop = context.WithCancel(t.Context())
	go read()
	again := offer(first)
	(<-got).Done()
	<-again
	stop()
	<-ended
}

func TestFeedRejects(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]RejectCode{
		"":   RejectInvalidJSON,
		"[]": RejectInvalidJSON, "null": RejectInvalidJSON, `{"id":"a"} {}`: RejectInvalidJSON, "{\"id\":\"\xff\"}": RejectInvalidJSON,
		`{"id":"a","messages":[{"role":"user","text":"x","created_at":1795075200}]}`:                                   rejectStillOpen,
		`{"id":"a","closed_at":1795075300,"messages":[{"role":"wizard","text":"x","created_at":1795075200}]}`:          RejectInvalidRole,
		`{"id":"a","closed_at":"2026-11-19T08:10:00","messages":[{"role":"user","text":"x","created_at":1795075200}]}`: RejectTimeWithoutZone,
		`{"closed_at":1795075300,"messages":[{"role":"user","text":"x","created_at":1795075200}]}`:                     RejectMissingID,
		`{"id":"a","closed_at":1795075300,"messages":[]}`:                                                              RejectNoMessages,
		strings.Repeat(`{"a":`, 20000) + "1" + strings.Repeat("}", 20000):                                              RejectInvalidJSON,
	} {
		r, err := NewFeed(nil).Parse([]byte(text))
		var rejected *RejectError
		if r != nil || !errors.As(err, &rejected) || rejected.Code != want {
			t.Errorf("%.60s: %v, want %s", text, err, want)
		}
	}
}
