package checkpoint

// usual says that a change is one that a transcript goes through when nothing is wrong with it. A store applies such a change
// by one conditional update, which does what apply would do and costs half as much. The change that meets no row that is as
// it should be (the claim is lost, the answer to an earlier attempt was) goes the long way: read, apply, save.
func usual(c Change) bool {
	switch c.Event {
	case Send, Found:
		return c.ErrorCode == "" && c.Error == "" && c.PartialErrors == nil
	case Finish:
		return c.ErrorCode == "" && c.Error == "" && len(c.PartialErrors) == 0
	}
	return false
}

// usualOnes returns which of the changes are tried that way, whatever their order: no two of one transcript, but for a Finish after a
// Found, and no two that record one conversation.
func usualOnes(changes []Change) []bool {
	quick, last, conversations := make([]bool, len(changes)), make(map[string]Event, len(changes)), map[int64]bool{}
	for i, c := range changes {
		before, seen := last[c.ID]
		quick[i] = usual(c) && (!seen || before == Found && c.Event == Finish) && (c.Event != Found || !conversations[c.ConversationID])
		if last[c.ID] = c.Event; !quick[i] {
			last[c.ID] = "" // and what follows goes the long way, too
		}
		if c.Event == Found {
			conversations[c.ConversationID] = true
		}
	}
	return quick
}

// pick returns the changes at these places.
func pick(changes []Change, at []int) []Change {
	picked := make([]Change, len(at))
	for j, i := range at {
		picked[j] = changes[i]
	}
	return picked
}
