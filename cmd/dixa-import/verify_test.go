package main

import (
	"strconv"

	"github.com/rogpeppe/go-internal/testscript"

	"dixa-import/dixa/sandbox"
)

// The scripts also know this command, about the conversation of a transcript of the source bot:
//
//	mutate delete_message ID N | swap_texts ID I J | reopen ID | set_attribute ID VALUE | delete ID | double ID
func init() { scriptCommands["mutate"] = cmdMutate }

func cmdMutate(ts *testscript.TestScript, _ bool, args []string) {
	d := inScript(ts, nil)
	externalID := "bot/" + args[1]
	list := d.ConversationsByExternalID(externalID)
	if len(list) != 1 {
		ts.Fatalf("there are %d conversations of %s", len(list), args[1])
	}
	number := func(i int) int {
		n, err := strconv.Atoi(args[i])
		ts.Check(err)
		return n
	}
	id, done := list[0].ID, false
	switch args[0] {
	case "delete_message":
		done = d.DeleteMessage(id, externalID+":"+args[2])
	case "swap_texts":
		done = d.SwapTexts(id, number(2), number(3))
	case "reopen":
		done = d.Reopen(id)
	case "set_attribute":
		done = d.SetAttribute(id, sandbox.OrderNumberID, args[2])
	case "double":
		c := list[0]
		done = d.AddConversation(sandbox.Conversation{RequesterID: c.RequesterID, ExternalID: c.ExternalID, CreatedAt: c.CreatedAt, Messages: c.Messages}) != 0
	case "delete":
		done = d.DeleteConversation(id)
	}
	if !done {
		ts.Fatalf("%v could not be done", args)
	}
}
