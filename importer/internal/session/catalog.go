package session

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"dixa-import/dixa"
)

// catalog remembers the queues and tags of the organisation. The zero value has read nothing yet.
type catalog struct {
	mu        sync.Mutex // held during requests: everybody else needs the same answer
	queues    []dixa.Queue
	haveQueue bool
	tags      map[string]string // ids by name
	available map[string]availability
}

type availability struct {
	available bool
	at        time.Time
}

// availabilityAge is how old a known availability may be.
const availabilityAge = 30 * time.Second

// Unknown means that Dixa has no queue or tag of a name, and says which ones there are.
type Unknown struct{ Text string }

func (e *Unknown) Error() string { return e.Text }

// QueueID returns the id of a queue by its name or UUID. An *Unknown error lists the queues.
func (s *Session) QueueID(ctx context.Context, queue string) (string, error) {
	c := &s.catalog
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.haveQueue {
		queues, err := s.API.ListQueues(ctx)
		switch {
		case err != nil && RefusedOptional(err) && uuid.Validate(queue) == nil:
			return queue, nil
		case err != nil && RefusedOptional(err):
			return "", &Unknown{"the token may not list the queues: name the queue by its UUID"}
		case err != nil:
			return "", fmt.Errorf("ask Dixa for its queues: %w", err)
		}
		c.queues, c.haveQueue = queues, true
	}
	var found, names []string
	for _, q := range c.queues {
		names = append(names, fmt.Sprintf("%q", q.Name))
		if strings.EqualFold(q.ID, queue) {
			return q.ID, nil
		}
		if strings.EqualFold(strings.TrimSpace(q.Name), queue) {
			found = append(found, q.ID)
		}
	}
	slices.Sort(names)
	switch len(found) {
	case 0:
		return "", &Unknown{fmt.Sprintf("Dixa has no such queue: correct its name; there are %s", strings.Join(names, ", "))}
	case 1:
		return found[0], nil
	}
	return "", &Unknown{"Dixa has several queues of that name: name the queue by its UUID, which `dixa-import queues` lists"}
}

// QueueAvailable reports whether somebody takes the conversations of a queue. It asks at most once in half a minute for each queue.
func (s *Session) QueueAvailable(ctx context.Context, queueID string) (bool, error) {
	c := &s.catalog
	c.mu.Lock()
	defer c.mu.Unlock()
	if known, ok := c.available[queueID]; ok && time.Since(known.at) < availabilityAge {
		return known.available, nil
	}
	answer, err := s.API.QueueAvailability(ctx, queueID)
	if err != nil {
		return false, err
	}
	if c.available == nil {
		c.available = map[string]availability{}
	}
	c.available[queueID] = availability{answer.Available, time.Now()}
	return answer.Available, nil
}

// TagID returns the id of a tag by its name. If Dixa has no such tag, it creates one with Config.CreateTags, otherwise the error is an
// *Unknown.
func (s *Session) TagID(ctx context.Context, name string) (string, error) {
	c := &s.catalog
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tags == nil {
		if err := s.readTags(ctx); err != nil {
			return "", err
		}
	}
	key := strings.ToLower(name)
	if id, ok := c.tags[key]; ok {
		return id, nil
	}
	if !s.CreateTags {
		return "", &Unknown{"Dixa has no active tag of that name: create it in Dixa, or set create_tags"}
	}
	tag, err := s.API.CreateTag(ctx, name)
	if err == nil {
		c.tags[key] = tag.ID
		return tag.ID, nil
	}
	// It may have been created by this request, or by somebody else meanwhile.
	if readErr := s.readTags(ctx); readErr == nil && c.tags[key] != "" {
		return c.tags[key], nil
	}
	return "", err
}

// readTags reads the active tags; catalog.mu is held.
func (s *Session) readTags(ctx context.Context) error {
	tags, err := s.API.ListTags(ctx)
	if err != nil {
		return err
	}
	s.catalog.tags = make(map[string]string, len(tags))
	for _, tag := range tags {
		if strings.EqualFold(tag.State, "Active") || tag.State == "" {
			s.catalog.tags[strings.ToLower(tag.Name)] = tag.ID
		}
	}
	return nil
}

// ResolveNames finds the queue and the tags that the configuration names. A *ConfigError says which one Dixa does not have.
func (s *Session) ResolveNames(ctx context.Context) error {
	if s.Handover.Queue != "" {
		if _, err := s.QueueID(ctx, s.Handover.Queue); err != nil {
			return configProblem(fmt.Sprintf("handover.queue %q", s.Handover.Queue), err)
		}
	}
	for _, name := range s.Tags {
		if _, err := s.TagID(ctx, name); err != nil {
			return configProblem(fmt.Sprintf("the tag %q", name), err)
		}
	}
	return nil
}

// CheckNames is ResolveNames for commands that change nothing: it creates no tags.
func (s *Session) CheckNames(ctx context.Context) error {
	plain := Session{Config: s.Config}
	if plain.CreateTags {
		plain.Tags = nil
	}
	return plain.ResolveNames(ctx)
}

func configProblem(what string, err error) error {
	if unknown, ok := err.(*Unknown); ok { //nolint:errorlint // it is never wrapped
		return &ConfigError{what + ": " + unknown.Text}
	}
	return err
}
