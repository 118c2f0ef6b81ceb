package checkpoint

import "slices"

// Status is what is known of a transcript.
type Status string

// The statuses of a transcript. Exactly Imported, Complete and Partial have a conversation id.
const (
	Pending  Status = "pending"  // known, not sent
	Sending  Status = "sending"  // an import request may be on its way
	Imported Status = "imported" // the conversation exists, its attributes are not set yet
	Complete Status = "complete" // done
	Partial  Status = "partial"  // done, with partial errors
	Failed   Status = "failed"   // refused, or not found after the last attempt; needs a person
	InDoubt  Status = "in_doubt" // may or may not be in Dixa; a person decides
	Rejected Status = "rejected" // never sent: the transcript is bad
	Skipped  Status = "skipped"  // open, anonymous by configuration, or dropped by a person
)

// Statuses are all statuses, in the order in which they are shown.
var Statuses = []Status{Complete, Partial, Imported, Pending, Sending, InDoubt, Failed, Rejected, Skipped}

// HasConversation says whether transcripts of this status have a conversation id.
func (s Status) HasConversation() bool { return s == Imported || s == Complete || s == Partial }

// Event names a step in the life of a claimed transcript.
type Event string

// The events. Each one but Found is applied only while the writer's claim is the current one.
const (
	// Send is recorded before an import request leaves.
	Send Event = "send"
	// SendAgain is recorded before the request leaves once more after a definite refusal (429) or after proof that nothing
	// of the last one was written to the network.
	SendAgain Event = "send_again"
	// Unsent takes a send back: it was definitely refused, or nothing of it was written.
	Unsent Event = "unsent"
	// NotFound takes a send back: a reconcile looked for the conversation, often enough and for long enough, and it is not there.
	NotFound Event = "not_found"
	// Found records the conversation that a 201 or a reconcile named. It needs no claim.
	Found Event = "found"
	// Finish ends an imported transcript, without partial errors.
	Finish Event = "finish"
	// FinishPartial ends an imported transcript that has partial errors.
	FinishPartial Event = "finish_partial"
	// Fail ends a transcript that Dixa refused, or that was not found after its last attempt.
	Fail Event = "fail"
	// Reject ends a transcript that is bad.
	Reject Event = "reject"
	// Skip ends a transcript that is not to be imported.
	Skip Event = "skip"
	// GiveUp leaves a transcript that could not be reconciled to a person.
	GiveUp Event = "give_up"
	// Release gives the claim back and leaves the rest to a later run.
	Release Event = "release"
)

// Transition is what an event does to a transcript of one of the statuses From. An empty To keeps the status.
type Transition struct {
	Event Event
	From  []Status
	To    Status
	// Ends says that the claim is given back.
	Ends bool
}

// Transitions is the state machine of a claimed transcript. A claim itself makes a new, failed, rejected, skipped or (by a
// person's decision) in-doubt transcript Pending; Pending, Sending and Imported ones keep their status.
var Transitions = []Transition{
	{Event: Send, From: []Status{Pending}, To: Sending},
	{Event: SendAgain, From: []Status{Sending}, To: Sending},
	{Event: Unsent, From: []Status{Sending}, To: Pending},
	{Event: NotFound, From: []Status{Sending}, To: Pending},
	{Event: Found, From: []Status{Pending, Sending, InDoubt, Failed, Rejected, Skipped}, To: Imported},
	{Event: Finish, From: []Status{Imported}, To: Complete, Ends: true},
	{Event: FinishPartial, From: []Status{Imported}, To: Partial, Ends: true},
	{Event: Fail, From: []Status{Pending, Sending}, To: Failed, Ends: true},
	{Event: Reject, From: []Status{Pending}, To: Rejected, Ends: true},
	{Event: Skip, From: []Status{Pending}, To: Skipped, Ends: true},
	{Event: GiveUp, From: []Status{Sending}, To: InDoubt, Ends: true},
	{Event: Release, From: []Status{Pending, Sending, Imported}, Ends: true},
}

// TransitionOf returns the transition of an event, and false for an event that is none.
func TransitionOf(e Event) (Transition, bool) {
	i := slices.IndexFunc(Transitions, func(t Transition) bool { return t.Event == e })
	if i < 0 {
		return Transition{}, false
	}
	return Transitions[i], true
}
