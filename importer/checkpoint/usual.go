package checkpoint

// usualChange is what a transcript goes through when nothing is wrong with it: a Send, Found or Finish, or a Found and the Finish
// that comes with it. A store applies one by a conditional update, which does what apply would do without reading the row
// before. One that meets no row which is as it should be (the claim is lost, the answer to an earlier attempt was) goes the
// long way, like all other changes: read, apply, save.
type usualChange struct {
	Change
	from, to Status
	at       []int // where it is among the changes
}

// conversation returns what the change sets, 0 if it leaves the conversation alone.
func (u usualChange) conversation() int64 {
	if u.from == Sending {
		return u.ConversationID
	}
	return 0
}

// usualOnes returns the usual ones of the changes, no two of one transcript, and no two that record one conversation.
func usualOnes(changes []Change) []usualChange {
	usual := make([]usualChange, 0, len(changes))
	met, conversations := make(map[string]int, len(changes)), map[int64]bool{} // where in usual a transcript's change is; -1: nowhere
	for i, c := range changes {
		before, again := met[c.ID]
		if again && before >= 0 && c.Event == Finish && usual[before].Event == Found && sameButEvent(c, usual[before].Change) {
			usual[before].to, usual[before].at = Complete, append(usual[before].at, i)
			met[c.ID] = -1 // what follows goes the long way
			continue
		}
		u := usualChange{Change: c, at: []int{i}}
		switch c.Event {
		case Send:
			u.from, u.to = Pending, Sending
		case Found:
			u.from, u.to = Sending, Imported
		case Finish:
			u.from, u.to = Imported, Complete
		}
		met[c.ID] = -1
		taken := conversations[u.conversation()]
		if c.Event == Found {
			conversations[c.ConversationID] = true
		}
		if again || taken || !u.plain() {
			continue
		}
		met[c.ID] = len(usual)
		usual = append(usual, u)
	}
	return usual
}

// plain says that the change is one of the three and says everything that its row needs, and nothing of errors.
func (u usualChange) plain() bool {
	return u.to != "" && u.ErrorCode == "" && u.Error == "" && (u.PartialErrors == nil || u.Event == Finish && len(u.PartialErrors) == 0) &&
		u.EndUserID != "" && u.ContentHash != "" && !u.ClosedAt.IsZero()
}

// sameButEvent says that two changes of a transcript leave the same in its row, the event apart.
func sameButEvent(finish, found Change) bool {
	return finish.Claim == found.Claim && finish.EndUserID == found.EndUserID && finish.Attempts == found.Attempts && finish.ErrorCode == "" &&
		finish.Error == "" && len(finish.PartialErrors) == 0 && finish.ContentHash == found.ContentHash && finish.ClosedAt.Equal(found.ClosedAt)
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

// applied notes that a usual change was.
func (u usualChange) applied(results []Result) {
	for _, i := range u.at {
		results[i].Applied = true
	}
}
