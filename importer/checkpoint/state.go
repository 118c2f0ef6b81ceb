package checkpoint

import "slices"

// Status is the state of a transcript.
type Status string

// The statuses of a transcript. Exactly Imported, Complete and Partial have a conversation id.
const (
	Pending  Status = "pending"  // known, not sent
	Sending  Status = "sending"  // an import request may be on its way
	Imported Status = "imported" // the conversation exists; its attributes are not set yet
	Complete Status = "complete" // done
	Partial  Status = "partial"  // done, with partial errors
	Failed   Status = "failed"   // refused, or not found after the last attempt; a person must act
	InDoubt  Status = "in_doubt" // may or may not be in Dixa; a person decides
	Rejected Status = "rejected" // never sent: the transcript is bad
	Skipped  Status = "skipped"  // open, anonymous by configuration, or dropped by a person
)

// Statuses lists all statuses in display order.
var Statuses = []Status{Complete, Partial, Imported, Pending, Sending, InDoubt, Failed, Rejected, Skipped}

// HasConversation reports whether transcripts with this status have a conversation id.
func (s Status) HasConversation() bool { return s == Imported || s == Complete || s == Partial }

// Event is a step in the life of a claimed transcript.
type Event string

// The events. Each one but Found is applied only while the writer's claim is the current one.
const (
	// Send is recorded before an import request is sent.
	Send Event = "send"
	// SendAgain is recorded before the request is sent again after a definite refusal (429), or after proof that nothing of the last one
	// was written to the network.
	SendAgain Event = "send_again"
	// Unsent undoes a send: it was definitely refused, or nothing of it was written.
	Unsent Event = "unsent"
	// NotFound undoes a send: a reconcile looked for the conversation often and long enough, and it is not in Dixa.
	NotFound Event = "not_found"
	// Found records the conversation that a 201 or a reconcile returned. It needs no claim.
	Found Event = "found"
	// Finish ends an imported transcript, without partial errors.
	Finish Event = "finish"
	// FinishPartial ends an imported transcript that has partial errors.
	FinishPartial Event = "finish_partial"
	// Fail ends a transcript that Dixa refused, or that was not found after its last attempt.
	Fail Event = "fail"
	// Reject ends a transcript that is bad.
	Reject Event = "reject"
	// Skip ends a transcript that should not be imported.
	Skip Event = "skip"
	// GiveUp leaves a transcript to a person: it could not be found out whether it is in Dixa.
	GiveUp Event = "give_up"
	// Release releases the claim and leaves the rest to a later run.
	Release Event = "release"
)

// Transition is the effect of an event on a transcript with one of the statuses From. An empty To keeps the status.
type Transition struct {
	Event Event
	From  []Status
	To    Status
	// Ends says that the event releases the claim.
	Ends bool
	// Evidence is how the writer of the event knows that the last import request made no conversation, so that another request may
	// follow. It is "" if the event does not say that.
	Evidence string
}

const (
	refusedOrUnwritten = "a definite refusal, or proof that nothing of the request was written"
	searchedInVain     = "a reconcile that looked for the conversation often and long enough"
)

// Transitions is the state machine of a claimed transcript. ClaimedAs lists how a claim enters it.
//
// No import is sent a second time without evidence: every path from a Send or SendAgain to the next one has a transition or a claim with
// Evidence.
var Transitions = []Transition{
	{Event: Send, From: []Status{Pending}, To: Sending},
	{Event: SendAgain, From: []Status{Sending}, To: Sending, Evidence: refusedOrUnwritten},
	{Event: Unsent, From: []Status{Sending}, To: Pending, Evidence: refusedOrUnwritten},
	{Event: NotFound, From: []Status{Sending}, To: Pending, Evidence: searchedInVain},
	{Event: Found, From: []Status{Pending, Sending, InDoubt, Failed, Rejected, Skipped}, To: Imported},
	{Event: Finish, From: []Status{Imported}, To: Complete, Ends: true},
	{Event: FinishPartial, From: []Status{Imported}, To: Partial, Ends: true},
	{Event: Fail, From: []Status{Pending, Sending}, To: Failed, Ends: true, Evidence: refusedOrUnwritten + ", or " + searchedInVain},
	{Event: Reject, From: []Status{Pending}, To: Rejected, Ends: true},
	{Event: Skip, From: []Status{Pending}, To: Skipped, Ends: true},
	{Event: GiveUp, From: []Status{Pending, Sending}, To: InDoubt, Ends: true},
	{Event: Release, From: []Status{Pending, Sending, Imported}, Ends: true},
}

// transitionOf returns the transition of an event, and false if there is no such event.
func transitionOf(e Event) (Transition, bool) {
	i := slices.IndexFunc(Transitions, func(t Transition) bool { return t.Event == e })
	if i < 0 {
		return Transition{}, false
	}
	return Transitions[i], true
}

// Claiming is a status As that a claim may set on a transcript with the status From. A transcript that becomes Pending loses its errors and
// gets the content hash of the claim; one that becomes Sending or Imported keeps its data.
type Claiming struct {
	From, As Status
	// Default says that a claim that does not ask for a status does this.
	Default bool
	// Evidence is, as for a Transition, why an import request may be sent after this claim.
	Evidence string
}

// ClaimedAs lists the statuses that claims may set. A transcript that is not in the checkpoint yet becomes Pending.
var ClaimedAs = []Claiming{
	{From: Pending, As: Pending, Default: true},
	{From: Sending, As: Sending, Default: true},
	{From: Imported, As: Imported, Default: true},
	{From: Failed, As: Pending, Default: true},
	{From: Rejected, As: Pending, Default: true},
	{From: Skipped, As: Pending, Default: true},
	{From: InDoubt, As: Pending, Default: true, Evidence: "a person's decision"},
	{From: InDoubt, As: Sending},  // to look for the conversation again
	{From: Partial, As: Imported}, // to set attributes that are missing
	{From: Complete, As: Imported},
}

// claimedAs returns the status that a claim sets on a transcript, and false if the claim is not allowed.
func claimedAs(from, as Status) (Status, bool) {
	i := slices.IndexFunc(ClaimedAs, func(c Claiming) bool { return c.From == from && (c.As == as || as == "" && c.Default) })
	if i < 0 {
		return "", false
	}
	return ClaimedAs[i].As, true
}
