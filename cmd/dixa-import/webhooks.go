package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/urfave/cli/v2"

	"dixa-import/cmd/dixa-import/internal/advice"
	"dixa-import/cmd/dixa-import/internal/config"
	"dixa-import/cmd/dixa-import/internal/term"
	"dixa-import/dixa"
	"dixa-import/importer/subscription"
)

// The events that serve needs, and the one that create --typing adds.
var (
	neededEvents = []string{"ConversationMessageAdded", "ConversationClosed"}
	typingEvent  = "TypingStarted"
)

// webhooksCmd is the command webhooks.
type webhooksCmd struct {
	*program
	id, name, url       string
	events              []string // for create
	channel, secretFile string
	yes                 bool
	since, until        time.Time
}

func webhooksCommand(p *program) *cli.Command {
	return &cli.Command{
		Name:      "webhooks",
		Usage:     "list, create and delete the webhook subscriptions that `serve` needs, and take in what they did not deliver",
		ArgsUsage: "list | create | delete [ID] | replay",
		Args:      true,
		Description: "`create --url URL` creates the subscription for `dixa-import serve` once: it sends added messages and closed conversations of the channel of imported chats. Its " +
			"secret is printed as WEBHOOK_SECRET=…, for serve.webhook_secrets; called again, it prints the secret of the subscription that is there. `delete` deletes one by its id, " +
			"or by --name or --url. `replay --since T` reads Dixa's delivery logs and takes in the events that the checkpoint does not have; `serve` does so " +
			"by itself at its start and every 10 minutes.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "url", Usage: "create: where Dixa sends events, the https address under which /webhooks/dixa of `serve` is reached, `URL`; delete: the subscription with this one"},
			&cli.StringFlag{Name: "name", Usage: "create: what the subscription is called, `N` (dixa-import); delete: the subscription with this one"},
			&cli.BoolFlag{Name: "typing", Usage: "create: send TypingStarted, too"},
			&cli.BoolFlag{Name: "all-channels", Usage: "create: without a filter on the channel, should Dixa not accept it; `serve` ignores what is not about imported chats"},
			&cli.StringFlag{Name: "secret-file", Usage: "create: write the secret to `FILE`, which only you may read, instead of printing it; never over an existing file"},
			&cli.BoolFlag{Name: "yes", Usage: "delete: do not ask"},
			&cli.StringFlag{Name: "since", Usage: "replay: only deliveries from `T` on: RFC 3339 or a date (UTC)"},
			&cli.StringFlag{Name: "until", Usage: "replay: only deliveries before `T`"},
			&cli.StringFlag{Name: "id", Usage: "replay: only those to the subscription `ID`"},
		},
		Action: action(p.readWebhooks),
	}
}

// webhooksFlags are the flags of each of the commands.
var webhooksFlags = map[string][]string{
	"list": nil, "create": {"url", "name", "typing", "all-channels", "secret-file"}, "delete": {"url", "name", "yes"}, "replay": {"since", "until", "id"},
}

func (p *program) readWebhooks(c *cli.Context) (command, error) {
	args := c.Args().Slice()
	if len(args) == 0 {
		return nil, config.Usagef("webhooks needs one of list, create, delete and replay")
	}
	do := args[0]
	flags, known := webhooksFlags[do]
	if !known {
		return nil, config.Usagef("webhooks knows list, create, delete and replay, not %q", do)
	}
	for _, f := range c.Command.Flags {
		name := f.Names()[0]
		if c.IsSet(name) && name != "help" && !slices.Contains(flags, name) && slices.ContainsFunc([]string{"create", "delete", "replay"}, func(other string) bool {
			return slices.Contains(webhooksFlags[other], name)
		}) {
			return nil, config.Usagef("--%s is not for webhooks %s", name, do)
		}
	}
	if len(args) > 2 || len(args) == 2 && do != "delete" {
		return nil, config.Usagef("webhooks %s takes no argument %q", do, args[len(args)-1])
	}
	w := &webhooksCmd{program: p, name: c.String("name"), url: c.String("url"), secretFile: c.String("secret-file"), yes: c.Bool("yes"), id: c.String("id")}
	switch do {
	case "list":
		return w.listing(), nil
	case "create":
		return w.creating(c)
	case "delete":
		if w.id = c.Args().Get(1); (w.id == "") == (w.name == "" && w.url == "") {
			return nil, config.Usagef("webhooks delete needs the id of a subscription, or --name or --url; `dixa-import webhooks list` lists them")
		}
		return commandFunc(w.remove), needUUID(w.id)
	}
	return w.replaying(c)
}

// commandFunc is a command that a function does.
type commandFunc func(ctx context.Context) error

// Run does the command.
func (f commandFunc) Run(ctx context.Context) error { return f(ctx) }

func needUUID(id string) error {
	if id != "" && uuid.Validate(id) != nil {
		return config.Usagef("%q is not the id of a webhook subscription, which is a UUID: `dixa-import webhooks list` lists them", id)
	}
	return nil
}

type webhookJSON struct {
	ID      string              `json:"id"`
	Name    string              `json:"name"`
	URL     string              `json:"url"` // without what may be a credential
	Enabled bool                `json:"enabled"`
	Events  []string            `json:"events"`
	Filters []webhookFilterJSON `json:"filters"`
	Suits   bool                `json:"suits_serve"`
	Lacks   []string            `json:"lacks"` // why it does not
}

type webhookFilterJSON struct {
	About      string                  `json:"about"`    // Conversation
	Strategy   string                  `json:"strategy"` // All or Any
	Conditions []dixa.WebhookCondition `json:"conditions"`
}

func newWebhookJSON(w dixa.Webhook) webhookJSON {
	lacks := append([]string{}, subscription.Lacks(w, neededEvents)...)
	out := webhookJSON{w.ID, w.Name, shownURL(w.URL), w.Enabled, append([]string{}, w.Events...), []webhookFilterJSON{}, len(lacks) == 0, lacks}
	for about, f := range w.Filters {
		out.Filters = append(out.Filters, webhookFilterJSON{about, f.Strategy, append([]dixa.WebhookCondition{}, f.Conditions...)})
	}
	slices.SortFunc(out.Filters, func(a, b webhookFilterJSON) int { return strings.Compare(a.About, b.About) })
	return out
}

// shownURL is a URL without what may be a credential: user, password, query and fragment.
func shownURL(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "(unreadable)"
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

func (p *webhooksCmd) listing() command {
	return commandFunc(func(ctx context.Context) error {
		client, err := p.configuredClient()
		if err != nil {
			return err
		}
		defer client.Close()
		hooks, err := client.ListWebhooks(ctx)
		if err != nil {
			return onWebhookAnswer(err)
		}
		out := make([]webhookJSON, len(hooks))
		for i, w := range hooks {
			out[i] = newWebhookJSON(w)
		}
		if p.json {
			return p.stdout.JSON(out)
		}
		if len(out) == 0 {
			p.stdout.Say("", fmt.Sprintf("The organisation has no webhook subscriptions. `%s` creates one for `dixa-import serve`.", p.commandLine("webhooks create --url URL")))
			return nil
		}
		for i, w := range out {
			if i > 0 {
				p.stdout.Line("")
			}
			p.printWebhook(w)
		}
		return nil
	})
}

func (p *webhooksCmd) printWebhook(w webhookJSON) {
	p.stdout.Line(w.ID + "  " + w.Name)
	detail := func(head, text string) { p.stdout.Say("  "+term.Padded(head, 10), text) }
	detail("url", w.URL)
	detail("enabled", map[bool]string{true: "yes", false: "no"}[w.Enabled])
	detail("events", strings.Join(w.Events, ", "))
	for _, f := range w.Filters {
		var parts []string
		for _, c := range f.Conditions {
			is := map[string]string{"IsOneOf": " is one of ", "IsNotOneOf": " is none of "}[c.Type]
			if is == "" {
				is = " " + c.Type + " "
			}
			parts = append(parts, c.Field+is+strings.Join(c.Values, ", "))
		}
		detail("filter", f.About+": "+strings.Join(parts, map[bool]string{true: " or ", false: " and "}[f.Strategy == "Any"]))
	}
	if w.Suits {
		detail("for serve", "yes: it reports added messages and closed conversations of imported chats")
	} else {
		detail("for serve", "no: "+strings.Join(w.Lacks, "; "))
	}
}

// remove deletes a subscription.
func (p *webhooksCmd) remove(ctx context.Context) error {
	client, err := p.configuredClient()
	if err != nil {
		return err
	}
	defer client.Close()
	hooks, err := client.ListWebhooks(ctx)
	if err != nil {
		return onWebhookAnswer(err)
	}
	hooks = slices.DeleteFunc(hooks, func(w dixa.Webhook) bool {
		return p.id != "" && !strings.EqualFold(p.id, w.ID) || p.name != "" && p.name != w.Name || p.url != "" && !subscription.SameURL(p.url, w.URL)
	})
	if len(hooks) > 1 {
		for _, w := range hooks {
			p.printWebhook(newWebhookJSON(w))
		}
		return fmt.Errorf("%d subscriptions have this name or URL, so none was deleted: give the id of one", len(hooks))
	}
	gone := len(hooks) == 0
	if !gone {
		w := hooks[0]
		if !p.yes {
			question := fmt.Sprintf("Delete the webhook subscription %s, %s, for %s? Nothing is delivered to it any more, and its delivery logs are gone.", w.ID, w.Name, shownURL(w.URL))
			if sure, err := p.confirm(ctx, question, "Nothing was deleted."); err != nil || !sure {
				return err
			}
		}
		if err := client.DeleteWebhook(ctx, w.ID); dixa.Absent(err) && !dixa.NotOffered(err) {
			gone = true
		} else if err != nil {
			return onWebhookAnswer(err)
		}
		p.id = w.ID
	}
	switch {
	case p.json:
		return p.stdout.JSON(struct {
			ID      string `json:"id,omitempty"`
			Deleted bool   `json:"deleted"`
		}{p.id, !gone})
	case gone:
		p.stdout.Line("There is no such webhook subscription: it is gone already.")
	default:
		p.stdout.Line("Deleted the webhook subscription " + p.id + ".")
	}
	return nil
}

// onWebhookAnswer adds to an answer about webhook subscriptions what can be done about it.
func onWebhookAnswer(err error) error {
	if !dixa.NotOffered(err) {
		return advice.OnAnswer(err)
	}
	api, _ := errors.AsType[*dixa.APIError](err)
	cause := "this token may not manage webhook subscriptions"
	if api.Status == http.StatusUnauthorized {
		cause = "the token is wrong or was revoked, or may not manage webhook subscriptions"
	}
	return fmt.Errorf("%w: %s. An administrator of Dixa can give you an API token that may (Settings > Integrations > API tokens), to be put into dixa.token for this command, or manage the "+
		"subscription by hand (Settings > Integrations > Webhooks): events %s; a filter on the channel %s; without a filter that excludes the operation origin ApiImport. "+
		"Put its secret into serve.webhook_secrets", err, cause, strings.Join(neededEvents, " and "), dixa.ChannelName)
}

// checkWebhookURL says what is wrong with the address of a subscription, without repeating it.
func checkWebhookURL(raw string) error {
	u, err := url.Parse(raw)
	switch {
	case raw == "":
		return config.Usagef("webhooks create needs --url: the https address under which Dixa reaches /webhooks/dixa of `dixa-import serve`")
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.Fragment != "":
		return config.Usagef("--url must be an address such as https://hooks.example.org/webhooks/dixa")
	case u.User != nil:
		return config.Usagef("--url must not contain a user name or a password: deliveries are signed")
	}
	addr, err := netip.ParseAddr(u.Hostname())
	if u.Scheme == "http" && !strings.EqualFold(u.Hostname(), "localhost") && (err != nil || !addr.Unmap().IsLoopback()) {
		return config.Usagef("--url must begin with https://: what customers write would travel in clear (http:// is for this machine only)")
	}
	return nil
}
