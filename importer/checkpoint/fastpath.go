package checkpoint

// fastPathChange is a change of a transcript without problems: a Send, Found or Finish, or a Found together with its Finish. A store
// applies it by a conditional update, which has the effect of apply without reading the row first. If no row matches (the claim was lost,
// or the answer to an earlier attempt was), the change takes the slow path, like all other changes: read, apply, save.
type fastPathChange struct {
	Change
	from, to Status
	at       []int // its indexes among the changes
}

// conversation returns the conversation of the row after the change.
func (u fastPathChange) conversation() int64 {
	if u.to == Sending {
		return 0
	}
	return u.ConversationID
}

// row returns the row with this status: the one after the change, or, for a Found with its Finish, the one between the two.
func (u fastPathChange) row(run int64, status Status) Row {
	row := Row{ID: u.ID, Status: status, ConversationID: u.conversation(), EndUserID: u.EndUserID, Attempts: u.Attempts, ContentHash: u.ContentHash,
		ClosedAt: u.ClosedAt, Sent: u.Sent, RunID: run, Claim: u.Claim}
	if status != Complete {
		row.ClaimedBy = run
	} else {
		row.SetValues = u.SetValues
	}
	if status == Sending {
		row.SendIn = u.SendFor
	}
	return row
}

// onFastPath returns the changes that take the fast path: at most one for each transcript and for each conversation.
func onFastPath(changes []Change) []fastPathChange {
	fast := make([]fastPathChange, 0, len(changes))
	indexes, conversations := make(map[string]int, len(changes)), map[int64]bool{} // of each transcript's change in fast; -1: none
	for i, c := range changes {
		before, again := indexes[c.ID]
		if again && before >= 0 && c.Event == Finish && fast[before].Event == Found && sameButEvent(c, fast[before].Change) {
			fast[before].to, fast[before].at = Complete, append(fast[before].at, i)
			indexes[c.ID] = -1 // later changes take the slow path
			continue
		}
		u := fastPathChange{Change: c, at: []int{i}}
		switch c.Event {
		case Send:
			u.from, u.to = Pending, Sending
		case Found:
			u.from, u.to = Sending, Imported
		case Finish:
			u.from, u.to = Imported, Complete
		}
		indexes[c.ID] = -1
		taken := c.Event == Found && conversations[c.ConversationID]
		if c.Event == Found {
			conversations[c.ConversationID] = true
		}
		if again || taken || !u.plain() {
			continue
		}
		indexes[c.ID] = len(fast)
		fast = append(fast, u)
	}
	return fast
}

// plain reports whether the change is one of the three events, has all values of the row, and has no errors.
func (u fastPathChange) plain() bool {
	return u.to != "" && u.ErrorCode == "" && u.Error == "" && u.Reason == "" && (u.PartialErrors == nil || u.Event == Finish && len(u.PartialErrors) == 0) &&
		u.EndUserID != "" && u.ContentHash != "" && !u.ClosedAt.IsZero() && (u.Event != Finish || u.ConversationID != 0)
}

// sameButEvent reports whether a Finish and a Found of a transcript differ only in the event.
func sameButEvent(finish, found Change) bool {
	return finish.Claim == found.Claim && finish.EndUserID == found.EndUserID && finish.Attempts == found.Attempts && finish.ErrorCode == "" &&
		finish.Error == "" && finish.Reason == "" && len(finish.PartialErrors) == 0 && finish.ContentHash == found.ContentHash && finish.ClosedAt.Equal(found.ClosedAt) && finish.SetValues == found.SetValues
}

// unapplied returns the changes that were not applied yet, and their indexes.
func unapplied(changes []Change, results []Result) (rest []Change, at []int) {
	for i, c := range changes {
		if !results[i].Applied {
			rest, at = append(rest, c), append(at, i)
		}
	}
	return rest, at
}

// setApplied sets the results of a change that was applied on the fast path.
func (u fastPathChange) setApplied(run int64, results []Result) {
	last := len(u.at) - 1
	for _, i := range u.at[:last] {
		results[i] = Result{Applied: true, Row: u.row(run, Imported)}
	}
	results[u.at[last]] = Result{Applied: true, Row: u.row(run, u.to)}
}
