// Package subscription sees to it that Dixa has one webhook subscription for `serve`, whatever fails.
package subscription

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"dixa-import/dixa"
)

// API is what this package needs of Dixa.
type API interface {
	ListWebhooks(ctx context.Context) ([]dixa.Webhook, error)
	CreateWebhook(ctx context.Context, w dixa.NewWebhook) (made dixa.Webhook, secret string, err error)
	WebhookSecret(ctx context.Context, id string) (string, error)
	DeleteWebhook(ctx context.Context, id string) error
}

// Config is what Ensure needs.
type Config struct {
	API  API
	Want dixa.NewWebhook
	// Settle is how long a subscription whose creation is in doubt is looked for before it is created again, and how long
	// another process has to withdraw one that it created at the same time; default 5s.
	Settle time.Duration
}

// Result is the subscription that there is.
type Result struct {
	Webhook dixa.Webhook
	Secret  string
	Created bool     // false: it was there before, or somebody else created it meanwhile
	Others  []string // ids of more subscriptions with the same name and URL: each event is delivered to them, too
	// Unchecked is why it is not known whether there are Others, nil if it is.
	Unchecked error
}

// rounds is how often a subscription may have to be created: after a doubt, or because two processes have both withdrawn theirs.
const rounds = 4

// Ensure finds the subscription with the name and the URL of Config.Want, or creates it. A creation that had no clear answer is
// looked for before it is repeated. If other processes have created one at the same time, all but one are deleted again.
func Ensure(ctx context.Context, c Config) (Result, error) {
	c.Settle = cmp.Or(c.Settle, 5*time.Second)
	var doubt error
	for range rounds {
		same, err := c.find(ctx)
		switch {
		case err != nil && doubt != nil:
			return Result{}, fmt.Errorf("it is unclear whether the subscription was created (%w), and it could not be looked for: %w: run the command again, it looks first", doubt, err)
		case err != nil:
			return Result{}, err
		case len(same) > 0:
			if r, err := c.existing(ctx, same, doubt != nil); err != nil || r.Webhook.ID != "" {
				return r, err
			}
			continue
		}
		made, secret, err := c.API.CreateWebhook(ctx, c.Want)
		if err == nil {
			r, err := c.alone(ctx, Result{Webhook: made, Secret: secret, Created: true})
			if err != nil || r.Webhook.ID != "" {
				return r, err
			}
			continue
		}
		if dixa.NotApplied(err) {
			return Result{}, err
		}
		doubt = err
		if err := c.waitForIt(ctx); err != nil {
			return Result{}, fmt.Errorf("it is unclear whether the subscription was created (%w): run the command again, it looks first", doubt)
		}
	}
	if doubt == nil {
		return Result{}, errors.New("other processes create and delete the same subscription: run the command again, and only once at a time")
	}
	return Result{}, fmt.Errorf("the subscription was not created in %d attempts: %w: run the command again when Dixa responds normally", rounds, doubt)
}

// waitForIt waits until a creation in doubt shows in Dixa, or for Config.Settle. It returns the end of ctx.
func (c Config) waitForIt(ctx context.Context) error {
	for range 2 {
		if same, err := c.find(ctx); err == nil && len(same) > 0 {
			return nil
		}
		if err := dixa.Sleep(ctx, c.Settle/2); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// existing returns the first of some subscriptions. One that is new may be withdrawn by the process that created it, so that is waited for. A
// Result without a subscription means that none is left.
func (c Config) existing(ctx context.Context, same []dixa.Webhook, created bool) (Result, error) {
	for look := 0; look < looks && slices.ContainsFunc(same, isNew); look++ {
		if err := dixa.Sleep(ctx, c.Settle/looks); err != nil {
			return Result{}, err
		}
		var err error
		if same, err = c.find(ctx); err != nil || len(same) == 0 {
			return Result{}, err
		}
	}
	secret, err := c.API.WebhookSecret(ctx, same[0].ID)
	if dixa.Absent(err) && !dixa.NotOffered(err) {
		return Result{}, nil
	}
	return Result{Webhook: same[0], Secret: secret, Created: created, Others: idsWithout(same, same[0].ID)}, err
}

// looks is how often the list is read within Config.Settle.
const looks = 4

// isNew reports whether the processes that may have created the subscription at the same time may still be at it.
func isNew(w dixa.Webhook) bool {
	return !w.CreatedAt.IsZero() && time.Since(w.CreatedAt.Time).Abs() < time.Minute
}

// alone sees to it that a new subscription is the only one. The one with the lowest id stays; who created another one deletes it.
// If another one stays nevertheless, its creator has not seen this one and goes on with it, so this one is deleted, which
// nobody uses yet. A Result without a subscription means that none is left.
func (c Config) alone(ctx context.Context, r Result) (Result, error) {
	for look := 0; ; look++ {
		same, err := c.find(ctx)
		if err != nil {
			r.Unchecked = err
			return r, ctx.Err()
		}
		others := idsWithout(same, r.Webhook.ID)
		switch {
		case len(others) == 0:
			return r, nil
		case others[0] > r.Webhook.ID && look < looks:
			if err := dixa.Sleep(ctx, c.Settle/looks); err != nil {
				return r, err
			}
			continue
		}
		if err := c.API.DeleteWebhook(ctx, r.Webhook.ID); err != nil && !dixa.Absent(err) {
			r.Others = others
			return r, nil
		}
		left, err := c.find(ctx)
		if err != nil {
			return Result{}, fmt.Errorf("another process has created the same subscription, so this one was deleted again: %w: run the command again", err)
		}
		if left = slices.DeleteFunc(left, func(w dixa.Webhook) bool { return w.ID == r.Webhook.ID }); len(left) == 0 {
			return Result{}, nil
		}
		return c.existing(ctx, left, false)
	}
}

// find returns the subscriptions with the name and the URL, by id.
func (c Config) find(ctx context.Context) ([]dixa.Webhook, error) {
	all, err := c.API.ListWebhooks(ctx)
	same := slices.DeleteFunc(all, func(w dixa.Webhook) bool { return w.Name != c.Want.Name || !SameURL(w.URL, c.Want.URL) })
	slices.SortFunc(same, func(a, b dixa.Webhook) int { return strings.Compare(a.ID, b.ID) })
	return same, err
}

func idsWithout(list []dixa.Webhook, id string) (ids []string) {
	for _, w := range list {
		if w.ID != id {
			ids = append(ids, w.ID)
		}
	}
	return ids
}

// SameURL reports whether two URLs lead to the same place: the case of scheme and host, a default port and an empty path make no difference.
func SameURL(a, b string) bool { return plainURL(a) == plainURL(b) }

func plainURL(raw string) string {
	u, err := url.Parse(strings.TrimSpace(raw))
	if err != nil {
		return raw
	}
	u.Scheme, u.Host = strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	if port := u.Port(); u.Scheme == "https" && port == "443" || u.Scheme == "http" && port == "80" {
		u.Host = strings.TrimSuffix(u.Host, ":"+port)
	}
	if u.Path == "" {
		u.Path = "/"
	}
	return u.String()
}

// Lacks returns why a subscription does not report all of these events of imported chats, nothing if it does.
func Lacks(w dixa.Webhook, events []string) (lacks []string) {
	if !w.Enabled {
		lacks = append(lacks, "it is disabled")
	}
	missing := slices.DeleteFunc(slices.Clone(events), func(e string) bool { return slices.Contains(w.Events, e) })
	if len(missing) > 0 {
		lacks = append(lacks, "it does not send "+strings.Join(missing, ", "))
	}
	w.Enabled = true
	if !w.ReceivesImports() {
		lacks = append(lacks, "its filter keeps imported chats out")
	}
	return lacks
}
