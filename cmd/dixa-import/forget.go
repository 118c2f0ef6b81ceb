package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/urfave/cli/v2"

	"dixa-import/cmd/dixa-import/internal/config"
	"dixa-import/cmd/dixa-import/internal/report"
	"dixa-import/cmd/dixa-import/internal/term"
	"dixa-import/importer"
	"dixa-import/importer/checkpoint"
	"dixa-import/importer/connect"
	"dixa-import/importer/withdraw"
)

// forgetCmd is the command forget.
type forgetCmd struct {
	*program
	externalIDs, emails, phones []string
	yes                         bool // do not ask
	anonymize                   bool // ask Dixa, too
	options                     withdraw.Options
}

func forgetCommand(p *program) *cli.Command {
	return &cli.Command{
		Name:  "forget",
		Usage: "remove a person from the checkpoint",
		Description: "It removes all identifiers of the end-users found by these identifiers, and from their transcripts who the end-user " +
			"was and what Dixa answered. What is in Dixa and in the source stays, and is listed.\n\n" +
			"With --anonymize it first asks Dixa to anonymize the end-users with all of their conversations, waits until that is done, and only then " +
			"removes them from the checkpoint. Repeated, it goes on where it was. Exit code 3: Dixa has not done it yet, or refused, and nothing was removed.",
		Flags: []cli.Flag{
			&cli.GenericFlag{Name: "email", Value: &texts{}, Usage: "the person with the email address `X`; may be repeated"},
			&cli.GenericFlag{Name: "phone", Value: &texts{}, Usage: "the person with the phone number `X`; may be repeated"},
			&cli.GenericFlag{Name: "external-id", Value: &texts{}, Usage: "the person with the external id `X`; may be repeated"},
			&cli.BoolFlag{Name: "anonymize", Usage: "ask Dixa to anonymize the person, with all conversations"},
			&cli.BoolFlag{Name: "force", Usage: "with --anonymize: close conversations that are open, which Dixa refuses otherwise"},
			&cli.DurationFlag{Name: "wait", Value: defaultWait, Usage: "with --anonymize: wait up to `D` until it is done"},
			&cli.BoolFlag{Name: "yes", Usage: "do not ask"},
		},
		Action: draining(func(c *cli.Context) (command, error) {
			f := &forgetCmd{p, textsOf(c, "external-id"), textsOf(c, "email"), textsOf(c, "phone"), c.Bool("yes"), c.Bool("anonymize"),
				withdraw.Options{Force: c.Bool("force"), Wait: c.Duration("wait")}}
			switch {
			case !f.anonymize && (f.options.Force || c.IsSet("wait")):
				return nil, config.Usagef("--force and --wait are for --anonymize")
			case f.options.Wait < 0:
				return nil, config.Usagef("--wait must not be negative")
			}
			return f, nil
		}),
	}
}

// forgottenJSON is what was removed and what remains.
type forgottenJSON struct {
	Outcome     importer.Outcome   `json:"outcome"`
	Identifiers int64              `json:"identifiers"` // removed
	EndUsers    []string           `json:"end_users"`   // they remain in Dixa
	Transcripts []forgottenOneJSON `json:"transcripts"` // conversations remain in Dixa
	// Anonymization says, with --anonymize, what became of the requests.
	Anonymization []anonymizedJSON `json:"anonymization,omitempty"`
}

// anonymizedJSON is what became of a request to anonymize an end-user.
type anonymizedJSON struct {
	EndUser   string                     `json:"end_user"`
	State     checkpoint.WithdrawalState `json:"state"` // "" if it could not be asked
	RequestID string                     `json:"request_id,omitempty"`
	Detail    string                     `json:"detail,omitempty"`
}

func anonymizedJSONs(asked withdraw.EndUsers) (out []anonymizedJSON) {
	for _, x := range asked.List {
		out = append(out, anonymizedJSON{x.Target, x.State, x.RequestID, x.Detail})
	}
	for _, id := range asked.Elsewhere {
		out = append(out, anonymizedJSON{EndUser: id, Detail: "it belongs to another organisation: use a configuration with a token of that one"})
	}
	return out
}

// printAsked says why nobody was forgotten yet.
func (p *forgetCmd) printAsked(asked withdraw.EndUsers) error {
	if p.json {
		return p.stdout.JSON(forgottenJSON{Outcome: asked.Outcome, EndUsers: []string{}, Transcripts: []forgottenOneJSON{}, Anonymization: anonymizedJSONs(asked)})
	}
	for _, x := range anonymizedJSONs(asked) {
		text := withdrawalTexts[x.State]
		if text == "" {
			text = "not asked"
		}
		p.stdout.Line("end-user " + x.EndUser)
		p.stdout.Say("  ", text+colon(x.Detail))
	}
	p.stdout.Line("")
	p.stdout.Say("", "Nothing was removed from the checkpoint, so that the person can still be found: repeat the command, which goes on from here.")
	return nil
}

type forgottenOneJSON struct {
	Source         string            `json:"source"`
	TranscriptID   string            `json:"transcript_id"`
	Status         checkpoint.Status `json:"status"`
	ConversationID int64             `json:"conversation_id,omitempty"`
	URL            string            `json:"url,omitempty"`
}

// Run does the command.
func (p *forgetCmd) Run(ctx context.Context) (err error) {
	j, err := p.openWithdraw(ctx, nil, connect.Read)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, j.store.Close()) }()
	users, err := j.file.EndUsers()
	if err != nil {
		return err
	}
	ids, unreadable := importer.Identifiers(p.externalIDs, p.emails, p.phones, users.Region)
	switch {
	case len(unreadable) > 0:
		return config.Usagef("an identifier is not a %s that an import would use: correct it", unreadable[0])
	case len(ids) == 0:
		return config.Usagef("forget needs at least one of --email, --phone and --external-id")
	}
	deciding, stop := interruptible(ctx)
	defer stop()
	endUsers, theirs, err := j.store.FindPerson(deciding, ids)
	if err != nil {
		return err
	}
	if err := unfinished(theirs); err != nil {
		return err
	}
	if sure, err := p.sure(deciding, len(endUsers), len(theirs)); err != nil || !sure {
		return err
	}
	stop()
	var asked withdraw.EndUsers
	if p.anonymize && len(endUsers) > 0 {
		asked, err = p.ask(ctx, j, endUsers)
		if err != nil || asked.Outcome != importer.OutcomeOK {
			return cmp.Or(err, p.printAsked(asked), ended(asked.Outcome))
		}
	}
	erasing, stop := interruptible(ctx)
	defer stop()
	if p.anonymize {
		if now, _, err := j.store.FindPerson(erasing, ids); err != nil || slices.ContainsFunc(now, func(id string) bool { return !slices.Contains(endUsers, id) }) {
			return cmp.Or(err, errors.New("a run has found another end-user with these identifiers meanwhile: repeat the command"))
		}
	}
	forgotten, removed, err := j.store.ForgetPerson(erasing, ids)
	if err != nil {
		return err
	}
	if len(forgotten) > len(endUsers) {
		endUsers = forgotten // somebody was found meanwhile
	}
	return p.printForgotten(removed, endUsers, theirs, asked, j.file.ConversationURL())
}

// ask asks Dixa to anonymize the end-users. A signal stops it.
func (p *forgetCmd) ask(ctx context.Context, j *withdrawJob, endUsers []string) (withdraw.EndUsers, error) {
	w, end, err := j.open(p.options)
	if err != nil {
		return withdraw.EndUsers{}, err
	}
	defer end()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer p.drainOnSignal(w.Stop, cancel)()
	return w.AnonymizeEndUsers(ctx, endUsers)
}

// sure asks whether to go on.
func (p *forgetCmd) sure(ctx context.Context, endUsers, transcripts int) (bool, error) {
	if p.yes {
		return true, nil
	}
	what := "Forget %s with %s in the checkpoint?"
	if p.anonymize {
		what = "Ask Dixa to anonymize %s, which cannot be undone, and forget them with %s in the checkpoint?"
	}
	return p.confirm(ctx, fmt.Sprintf(what, term.Plural(int64(endUsers), "end-user"), term.Plural(int64(transcripts), "transcript")), "Nothing was removed.")
}

// unfinished is why a person cannot be forgotten yet: a transcript that is still to be worked on needs its end-user, and the
// next run would look it up again.
func unfinished(theirs []checkpoint.OfPerson) error {
	var ids []string
	for _, t := range theirs {
		switch t.Status {
		case checkpoint.Pending, checkpoint.Sending, checkpoint.Imported, checkpoint.InDoubt:
			ids = append(ids, t.Source+"/"+t.ID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	return fmt.Errorf("%s of this person %s not finished, so nothing was removed: let `dixa-import run` finish them, or settle them with "+
		"`dixa-import retry`, and forget the person then (%s)", term.Plural(int64(len(ids)), "transcript"),
		map[bool]string{true: "is", false: "are"}[len(ids) == 1], term.Some(ids))
}

const conversationsShown = 50

func (p *forgetCmd) printForgotten(removed int64, endUsers []string, theirs []checkpoint.OfPerson, asked withdraw.EndUsers, url string) error {
	out := forgottenJSON{Outcome: importer.OutcomeOK, Anonymization: anonymizedJSONs(asked), Identifiers: removed, EndUsers: append([]string{}, endUsers...), Transcripts: []forgottenOneJSON{}}
	var conversations []forgottenOneJSON
	for _, t := range theirs {
		one := forgottenOneJSON{t.Source, t.ID, t.Status, t.ConversationID, report.Link("", url, t.ConversationID)}
		out.Transcripts = append(out.Transcripts, one)
		if t.ConversationID != 0 {
			conversations = append(conversations, one)
		}
	}
	if p.json {
		return p.stdout.JSON(out)
	}
	if removed == 0 && len(endUsers) == 0 {
		p.stdout.Line("No end-user in the checkpoint has these identifiers: nothing was removed.")
		return nil
	}
	p.stdout.Say("", fmt.Sprintf("Removed from the checkpoint: %s of %s, and the end-user of %s.", term.Plural(removed, "identifier"),
		term.Plural(int64(len(endUsers)), "end-user"), term.Plural(int64(len(theirs)), "transcript")))
	if p.anonymize {
		p.stdout.Line("\nAnonymized in Dixa, which deletes nothing:")
	} else {
		p.stdout.Line("\nWhat remains in Dixa, and must be erased there (`--anonymize` asks Dixa for that):")
	}
	for _, id := range endUsers {
		p.stdout.Line("  end-user " + id)
	}
	for i, one := range conversations {
		if i == conversationsShown {
			p.stdout.Printf("  and %s more\n", term.Plural(int64(len(conversations)-i), "conversation"))
			break
		}
		p.stdout.Printf("  conversation %d%s\n", one.ConversationID, report.Link("  ", url, one.ConversationID))
	}
	p.stdout.Line("")
	p.stdout.Say("", "What remains in the source: its records. As long as the person is in them, a run that imports a new or changed one "+
		"looks the person up again.")
	return nil
}
