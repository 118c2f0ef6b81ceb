package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"dixa-import/importer"
	"dixa-import/importer/checkpoint"
)

func (p *program) forgetCommand() *cli.Command {
	return &cli.Command{
		Name:  "forget",
		Usage: "remove a person from the checkpoint",
		Description: "It removes every identifier of the end-users that these identifiers belong to, and on their transcripts who it " +
			"was and what Dixa said of errors. What is in Dixa and in the source stays, and is named.",
		Flags: []cli.Flag{
			&cli.GenericFlag{Name: "email", Value: &texts{}, Usage: "the person with the email address `X`; may be repeated"},
			&cli.GenericFlag{Name: "phone", Value: &texts{}, Usage: "the person with the phone number `X`; may be repeated"},
			&cli.GenericFlag{Name: "external-id", Value: &texts{}, Usage: "the person with the external id `X`; may be repeated"},
			&cli.BoolFlag{Name: "yes", Usage: "do not ask"},
		},
		Action: action(p.forget),
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

func (p *program) forget(ctx context.Context, c *cli.Context) (err error) {
	file, err := loadConfig(p.configPath, p.lookup)
	if err != nil {
		return err
	}
	url, databaseErr := file.databaseURL()
	users, usersErr := file.endUsers()
	if err := errors.Join(databaseErr, usersErr); err != nil {
		return err
	}
	ids, unreadable := importer.Identifiers(textsOf(c, "external-id"), textsOf(c, "email"), textsOf(c, "phone"), users.Region)
	switch {
	case len(unreadable) > 0:
		return usagef("an identifier is no %s that an import would have used: correct it", unreadable[0])
	case len(ids) == 0:
		return usagef("forget needs at least one of --email, --phone and --external-id")
	}
	store, err := readCheckpoint(ctx, url)
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
	if !c.Bool("yes") {
		if sure, err := p.confirm(ctx, len(endUsers), len(theirs)); err != nil || !sure {
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
	return p.printForgotten(removed, endUsers, theirs, file.conversationURL())
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
		"`dixa-import retry`, and forget the person then (%s)", plural(int64(len(ids)), "transcript"),
		map[bool]string{true: "is", false: "are"}[len(ids) == 1], some(ids))
}

// confirm asks whether to go on. Where nobody can answer, --yes is needed.
func (p *program) confirm(ctx context.Context, endUsers, transcripts int) (bool, error) {
	if f, ok := p.stdin.(*os.File); !ok || !term.IsTerminal(int(f.Fd())) {
		return false, usagef("standard input is no terminal, so nobody can be asked: pass --yes")
	}
	return p.asked(ctx, fmt.Sprintf("Forget %s with %s in the checkpoint? Type yes: ",
		plural(int64(endUsers), "end-user"), plural(int64(transcripts), "transcript")))
}

// asked puts a question and says whether the answer is yes.
func (p *program) asked(ctx context.Context, question string) (bool, error) {
	if _, err := fmt.Fprint(p.console, question); err != nil {
		return false, err
	}
	answers := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(p.stdin).ReadString('\n')
		answers <- line
	}()
	select {
	case <-ctx.Done():
		return false, ctx.Err()
	case line := <-answers:
		if strings.TrimSpace(line) == "yes" {
			return true, nil
		}
	}
	p.stdout.line("Nothing was removed.")
	return false, nil
}

const conversationsShown = 50

func (p *program) printForgotten(removed int64, endUsers []string, theirs []checkpoint.OfPerson, url string) error {
	out := forgottenJSON{Identifiers: removed, EndUsers: append([]string{}, endUsers...), Transcripts: []forgottenOneJSON{}}
	var conversations []forgottenOneJSON
	for _, t := range theirs {
		one := forgottenOneJSON{t.Source, t.ID, t.Status, t.ConversationID, link("", url, t.ConversationID)}
		out.Transcripts = append(out.Transcripts, one)
		if t.ConversationID != 0 {
			conversations = append(conversations, one)
		}
	}
	if p.json {
		return p.printJSON(out)
	}
	if removed == 0 && len(endUsers) == 0 {
		p.stdout.line("The checkpoint knows nobody by these identifiers: nothing was removed.")
		return nil
	}
	p.stdout.say("", fmt.Sprintf("Removed from the checkpoint: %s of %s, and from %s whose it was.", plural(removed, "identifier"),
		plural(int64(len(endUsers)), "end-user"), plural(int64(len(theirs)), "transcript")))
	p.stdout.line("\nWhat remains in Dixa, whose own erasure must be asked for there:")
	for _, id := range endUsers {
		p.stdout.line("  end-user " + id)
	}
	for i, one := range conversations {
		if i == conversationsShown {
			p.stdout.printf("  and %s more\n", plural(int64(len(conversations)-i), "conversation"))
			break
		}
		p.stdout.printf("  conversation %d%s\n", one.ConversationID, link("  ", url, one.ConversationID))
	}
	p.stdout.line("")
	p.stdout.say("", "What remains in the source: its records. As long as the person is in them, a run of one that is new or "+
		"has failed looks the person up again.")
	return nil
}
