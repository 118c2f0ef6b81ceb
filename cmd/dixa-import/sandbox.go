package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"dixa-import/cmd/dixa-import/internal/config"
	"dixa-import/cmd/dixa-import/internal/term"
	"dixa-import/dixa/sandbox"
)

// sandboxCmd is the command sandbox.
type sandboxCmd struct {
	*program
	listen  string // the address
	options sandbox.Options
}

func sandboxCommand(p *program) *cli.Command {
	return &cli.Command{
		Name:  "sandbox",
		Usage: "serve a stand-in for the Dixa API, for rehearsals",
		Description: "It keeps everything in memory and listens on this machine only. GET /_sandbox/state shows what it " +
			"holds. A fault is OPERATION:KIND[:STATUS][:PROBABILITY][:match=TEXT], such as import:error_after:502:0.05; " +
			"operations and kinds are named in an error if one is wrong. Without a probability it happens always: " +
			"patch_attributes:error_before:500. With match= only to requests that hold the text, such as a firewall " +
			"objects to: import:html_body:403:match=<script>.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "listen", Value: "127.0.0.1:8787", Usage: "the `ADDRESS` to listen on, a loopback one"},
			&cli.Float64Flag{Name: "rate", Value: 10, Usage: "requests a second before a 429, `R`; 0 is unlimited"},
			&cli.IntFlag{Name: "burst", Value: config.DefaultBurst, Usage: "the capacity `N` of the token bucket"},
			&cli.DurationFlag{Name: "latency", Usage: "how long each answer takes, `D`"},
			&cli.DurationFlag{Name: "jitter", Usage: "by how much that varies, `D`"},
			&cli.BoolFlag{Name: "latency-before", Usage: "wait before the rate limit is looked at, as on a slow network"},
			&cli.DurationFlag{Name: "list-lag", Usage: "how long a new conversation is missing from lists, `D`"},
			&cli.DurationFlag{Name: "end-user-lag", Usage: "how long a new end-user is missing from look-ups, `D`"},
			&cli.DurationFlag{Name: "anonymize-delay", Usage: "how long a request to anonymize waits in the queue, `D`"},
			&cli.BoolFlag{Name: "no-external-ids", Usage: "the messages of imported chats come back without their external ids"},
			&cli.StringFlag{Name: "auth", Value: string(sandbox.AuthAny), Usage: "how the token has to be sent: any, bearer or raw, `HOW`"},
			&cli.StringSliceFlag{Name: "faults", Usage: "a `FAULT`; may be given several times"},
			&cli.StringSliceFlag{Name: "unavailable", Usage: "a `QUEUE`, Support or Complaints, in which nobody is available; may be given several times"},
			&cli.Float64Flag{Name: "delivery-repeat", Usage: "the probability `P` that a webhook delivery is made twice"},
			&cli.Float64Flag{Name: "delivery-loss", Usage: "the probability `P` that a webhook delivery never arrives"},
			&cli.DurationFlag{Name: "delivery-spread", Usage: "how long webhook deliveries are held back at most, at random, `D`"},
			&cli.StringFlag{Name: "delivery-conversation", Value: "id", Usage: "the field of a delivery that has the conversation's number: id, csid or both, `FIELD`"},
			&cli.Uint64Flag{Name: "seed", DefaultText: "another one at each start", Usage: "decides all random choices, `N`"},
		},
		Action: action(p.readSandbox),
	}
}

func (p *program) readSandbox(c *cli.Context) (command, error) {
	seed := c.Uint64("seed")
	if !c.IsSet("seed") { // so that the ids of two rehearsals are not the same
		seed = rand.Uint64()
	}
	options := sandbox.Options{
		Rate: c.Float64("rate"), Burst: c.Int("burst"), Latency: c.Duration("latency"), Jitter: c.Duration("jitter"),
		LatencyBefore: c.Bool("latency-before"),
		ListLag:       c.Duration("list-lag"), EndUserLag: c.Duration("end-user-lag"), NoExternalIDs: c.Bool("no-external-ids"),
		AnonymizeDelay: c.Duration("anonymize-delay"), Auth: sandbox.Auth(c.String("auth")), Seed: seed, Log: p.log,
	}
	if !(options.Rate >= 0) || options.Burst < 1 || options.Latency < 0 || options.Jitter < 0 || options.ListLag < 0 || options.EndUserLag < 0 || options.AnonymizeDelay < 0 {
		return nil, config.Usagef("--rate, --latency, --jitter, --list-lag, --end-user-lag and --anonymize-delay must not be negative, and --burst must be at least 1")
	}
	if !slices.Contains([]sandbox.Auth{sandbox.AuthAny, sandbox.AuthBearer, sandbox.AuthRaw}, options.Auth) {
		return nil, config.Usagef("--auth must be any, bearer or raw, not %q", options.Auth)
	}
	for _, f := range c.StringSlice("faults") {
		fault, err := parseFault(f)
		if err != nil {
			return nil, err
		}
		options.Faults = append(options.Faults, fault)
	}
	if err := readDeliveries(c, &options); err != nil {
		return nil, err
	}
	address := c.String("listen")
	if !isLoopback(address) {
		return nil, config.Usagef("--listen must be an address of this machine alone, such as 127.0.0.1:8787: the sandbox has no protection")
	}
	return &sandboxCmd{p, address, options}, nil
}

// readDeliveries reads what the flags say of queues and webhook deliveries.
func readDeliveries(c *cli.Context, options *sandbox.Options) error {
	options.Queues = sandbox.DefaultQueues()
	for _, name := range c.StringSlice("unavailable") {
		i := slices.IndexFunc(options.Queues, func(q sandbox.Queue) bool { return strings.EqualFold(q.Name, name) || q.ID == name })
		if i < 0 {
			return config.Usagef("--unavailable: the sandbox has no queue %q; there are Support and Complaints", name)
		}
		options.Queues[i].Unavailable = true
	}
	d := sandbox.Deliveries{Repeat: c.Float64("delivery-repeat"), Loss: c.Float64("delivery-loss"), Spread: c.Duration("delivery-spread"),
		Conversation: c.String("delivery-conversation")}
	if !(d.Repeat >= 0 && d.Repeat <= 1 && d.Loss >= 0 && d.Loss <= 1) || d.Spread < 0 {
		return config.Usagef("--delivery-repeat and --delivery-loss are from 0 to 1, and --delivery-spread must not be negative")
	}
	if !slices.Contains([]string{"id", "csid", "both"}, d.Conversation) {
		return config.Usagef("--delivery-conversation must be id, csid or both, not %q", d.Conversation)
	}
	options.Deliveries = d
	return nil
}

// Run does the command.
func (p *sandboxCmd) Run(ctx context.Context) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", p.listen)
	if op, ok := errors.AsType[*net.OpError](err); ok {
		err = op.Err // it names operation and address once more
	}
	if err != nil {
		return fmt.Errorf("listen on %s: %w: choose a free port with --listen", p.listen, err)
	}
	server := sandbox.New(p.options)
	defer server.Close()
	stop := serve(listener, server)
	if err := p.printSandbox("http://"+listener.Addr().String(), server.Token()); err != nil {
		return err
	}
	<-ctx.Done()
	p.log.Log(context.Background(), slog.LevelInfo, "the sandbox ends", "conversations", len(server.Conversations()),
		"duplicates", len(server.Duplicates()), "violations", server.ViolationCount(), "throttled", server.Throttled())
	return stop()
}

func (p *sandboxCmd) printSandbox(url, token string) error {
	if p.json {
		return p.stdout.JSON(struct {
			BaseURL string `json:"base_url"`
			Token   string `json:"token"`
		}{url, token})
	}
	p.stdout.Printf(`The sandbox serves a Dixa API in memory until it is interrupted.

  dixa.base_url   %s
  dixa.token      %s
  what it holds   %s/_sandbox/state

Use a source.name and a database of their own for rehearsals.
`, url, token, url)
	return p.stdout.Failure()
}

// isLoopback reports whether an address to listen on can be reached from this machine only.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// faultKinds are the kinds that a fault can have.
var faultKinds = []sandbox.FaultKind{
	sandbox.ErrorBefore, sandbox.ErrorAfter, sandbox.DropBefore, sandbox.DropAfter, sandbox.HangBefore, sandbox.HangAfter,
	sandbox.BrokenBody, sandbox.CutBody, sandbox.EmptyBody, sandbox.SlowBody, sandbox.HTMLBody, sandbox.HTMLAfter, sandbox.Throttle,
}

var faultOperations = []sandbox.Operation{
	sandbox.FindEndUsers, sandbox.ListEndUsers, sandbox.CreateEndUser, sandbox.CreateEndUsers, sandbox.GetEndUser,
	sandbox.ListConversations, sandbox.GetConversation, sandbox.ListMessages, sandbox.Import, sandbox.PatchAttributes,
	sandbox.ListAttributes, sandbox.ListQueues, sandbox.GetOrganization, sandbox.ListWebhooks,
	sandbox.GetAvailability, sandbox.Transfer, sandbox.Reopen, sandbox.ListTags, sandbox.CreateTag, sandbox.AddTag, sandbox.ListConversationTags,
	sandbox.OfferRating, sandbox.SubmitRating, sandbox.ListRatings, sandbox.CreateNotes, sandbox.ListNotes, sandbox.LinkConversation,
	sandbox.ListLinked, sandbox.CreateWebhook, sandbox.GetWebhook, sandbox.DeleteWebhook, sandbox.DeliveryStatus, sandbox.ListDeliveries,
}

// parseFault reads OPERATION:KIND[:STATUS][:PROBABILITY][:match=TEXT]; the operation any stands for all. A number from 100 up is a
// status, one up to 1 a probability. The text may hold colons.
func parseFault(s string) (sandbox.Fault, error) {
	s, text, matches := strings.Cut(s, ":match=")
	parts := strings.Split(s, ":")
	if len(parts) < 2 || len(parts) > 4 {
		return sandbox.Fault{}, config.Usagef("--faults must be OPERATION:KIND[:STATUS][:PROBABILITY][:match=TEXT], such as import:error_after:502:0.05, not %q", s)
	}
	f := sandbox.Fault{Operation: sandbox.Operation(parts[0]), Kind: sandbox.FaultKind(parts[1])}
	if f.Operation == "any" {
		f.Operation = ""
	} else if !slices.Contains(faultOperations, f.Operation) {
		return f, config.Usagef("--faults: there is no operation %q; there are any, %s", parts[0], term.List(faultOperations))
	}
	if !slices.Contains(faultKinds, f.Kind) {
		return f, config.Usagef("--faults: there is no kind %q; there are %s", parts[1], term.List(faultKinds))
	}
	if matches {
		f.Match = sandbox.MatchText(text)
	}
	for _, number := range parts[2:] {
		n, err := strconv.ParseFloat(number, 64)
		switch {
		case err == nil && n > 0 && n <= 1 && f.Probability == 0:
			f.Probability = n
		case err == nil && n >= 100 && n <= 599 && n == float64(int(n)) && f.Status == 0:
			f.Status = int(n)
		default:
			return f, config.Usagef("--faults: %q is neither a status from 100 to 599 nor a probability up to 1", number)
		}
	}
	return f, nil
}
