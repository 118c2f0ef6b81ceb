package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"dixa-import/cmd/dixa-import/internal/config"
	"dixa-import/cmd/dixa-import/internal/report"
	"dixa-import/cmd/dixa-import/internal/term"
	"dixa-import/importer"
	"dixa-import/importer/checkpoint"
	"dixa-import/importer/connect"
)

// forgetCmd is the command forget.
type forgetCmd struct {
	*program
	externalIDs, emails, phones []string
	yes                         bool // do not ask
}

func forgetCommand(p *program) *cli.Command {
	return &cli.Command{
		Name:  "forget",
		Usage: "remove a person from the checkpoint",
		Description: "It removes all identifiers of the end-users found by these identifiers, and from their transcripts who the end-user " +
			"was and what Dixa answered. What is in Dixa and in the source stays, and is listed.",
		Flags: []cli.Flag{
			&cli.GenericFlag{Name: "email", Value: &texts{}, Usage: "the person with the email address `X`; may be repeated"},
			&cli.GenericFlag{Name: "phone", Value: &texts{}, Usage: "the person with the phone number `X`; may be repeated"},
			&cli.GenericFlag{Name: "external-id", Value: &texts{}, Usage: "the person with the external id `X`; may be repeated"},
			&cli.BoolFlag{Name: "yes", Usage: "do not ask"},
		},
		Action: action(func(c *cli.Context) (command, error) {
			return &forgetCmd{p, textsOf(c, "external-id"), textsOf(c, "email"), textsOf(c, "phone"), c.Bool("yes")}, nil
		}),
	}
}

// forgottenJSON is what was removed and what remains.
type forgottenJSON struct {
	Identifiers int64              `json:"identifiers"` // removed
	EndUsers    []string           `json:"end_users"`   // they remain in Dixa
	Transcripts []forgottenOneJSON `json:"transcripts"` // conversations remain in Dixa
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
	file, err := config.Load(p.configPath, p.lookup)
	if err != nil {
		return err
	}
	url, databaseErr := file.DatabaseURL()
	users, usersErr := file.EndUsers()
	if err := errors.Join(databaseErr, usersErr); err != nil {
		return err
	}
	ids, unreadable := importer.Identifiers(p.externalIDs, p.emails, p.phones, users.Region)
	switch {
	case len(unreadable) > 0:
		return config.Usagef("an identifier is not a %s that an import would use: correct it", unreadable[0])
	case len(ids) == 0:
		return config.Usagef("forget needs at least one of --email, --phone and --external-id")
	}
	store, err := connect.Checkpoint(ctx, url, connect.Read)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	endUsers, theirs, err := store.FindPerson(ctx, ids)
	if err != nil {
		return err
	}
	if err := unfinished(theirs); err != nil {
		return err
	}
	if !p.yes {
		question := fmt.Sprintf("Forget %s with %s in the checkpoint?", term.Plural(int64(len(endUsers)), "end-user"), term.Plural(int64(len(theirs)), "transcript"))
		if sure, err := p.confirm(ctx, question, "Nothing was removed."); err != nil || !sure {
			return err
		}
	}
	forgotten, removed, err := store.ForgetPerson(ctx, ids)
	if err != nil {
		return err
	}
	if len(forgotten) > len(endUsers) {
		endUsers = forgotten // somebody was found meanwhile
	}
	return p.printForgotten(removed, endUsers, theirs, file.ConversationURL())
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

func (p *forgetCmd) printForgotten(removed int64, endUsers []string, theirs []checkpoint.OfPerson, url string) error {
	out := forgottenJSON{Identifiers: removed, EndUsers: append([]string{}, endUsers...), Transcripts: []forgottenOneJSON{}}
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
	p.stdout.Line("\nWhat remains in Dixa, and must be erased there:")
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
