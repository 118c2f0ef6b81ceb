package checkpoint

// fastPathChange is what a transcript goes through when nothing is wrong with it: a Send, Found or Finish, or a Found and the Finish
// that comes with it. A store applies one by a conditional update, which does what apply would do without reading the row
// before. One that meets no row which is as it should be (the claim is lost, the answer to an earlier attempt was) goes the
// long way, like all other changes: read, apply, save.
type fastPathChange struct {
	Change
	from, to Status
	at       []int // where it is among the changes
}

// conversation returns the conversation of the row after the change.
func (u fastPathChange) conversation() int64 {
	if u.to == Sending {
		return 0
	}
	return u.ConversationID
}

// row returns the row after the change, or that of the Found alone where a Finish comes with it.
func (u fastPathChange) row(run int64, status Status) Row {
	row := Row{ID: u.ID, Status: status, ConversationID: u.conversation(), EndUserID: u.EndUserID, Attempts: u.Attempts, ContentHash: u.ContentHash,
		ClosedAt: u.ClosedAt, RunID: run, Claim: u.Claim}
	if status != Complete {
		row.ClaimedBy = run
	}
	if status == Sending {
		row.SendIn = u.SendFor
	}
	return row
}

// onFastPath returns the changes that take the fast path, no two of one transcript, and no two that record one conversation.
func onFastPath(changes []Change) []fastPathChange {
	fast := make([]fastPathChange, 0, len(changes))
	met, conversations := make(map[string]int, len(changes)), map[int64]bool{} // where in usual a transcript's change is; -1: nowhere
	for i, c := range changes {
		before, again := met[c.ID]
		if again && before >= 0 && c.Event == Finish && fast[before].Event == Found && sameButEvent(c, fast[before].Change) {
			fast[before].to, fast[before].at = Complete, append(fast[before].at, i)
			met[c.ID] = -1 // what follows goes the long way
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
		met[c.ID] = -1
		taken := c.Event == Found && conversations[c.ConversationID]
		if c.Event == Found {
			conversations[c.ConversationID] = true
		}
		if again || taken || !u.plain() {
			continue
		}
		met[c.ID] = len(fast)
		fast = append(fast, u)
	}
	return fast
}

// plain says that the change is one of the three and says everything that its row needs, and nothing of errors.
func (u fastPathChange) plain() bool {
	return u.to != "" && u.ErrorCode == "" && u.Error == "" && u.Reason == "" && (u.PartialErrors == nil || u.Event == Finish && len(u.PartialErrors) == 0) &&
		u.EndUserID != "" && u.ContentHash != "" && !u.ClosedAt.IsZero() && (u.Event != Finish || u.ConversationID != 0)
}

// sameButEvent says that two changes of a transcript leave the same in its row, the event apart.
func sameButEvent(finish, found Change) bool {
	return finish.Claim == found.Claim && finish.EndUserID == found.EndUserID && finish.Attempts == found.Attempts && finish.ErrorCode == "" &&
		finish.Error == "" && finish.Reason == "" && len(finish.PartialErrors) == 0 && finish.ContentHash == found.ContentHash && finish.ClosedAt.Equal(found.ClosedAt)
}

// theOthers returns the changes that were not applied, and where they were.
func theOthers(changes []Change, results []Result) (others []Change, at []int) {
	for i, c := range changes {
		if !results[i].Applied {
			others, at = append(others, c), append(at, i)
		}
	}
	return others, at
}

// applied notes that a fast-path change was.
func (u fastPathChange) applied(run int64, results []Result) {
	last := len(u.at) - 1
	for _, i := range u.at[:last] {
		results[i] = Result{Applied: true, Row: u.row(run, Imported)}
	}
	results[u.at[last]] = Result{Applied: true, Row: u.row(run, u.to)}
}
