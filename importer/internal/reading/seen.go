package reading

import "github.com/RoaringBitmap/roaring/v2/roaring64"

// Seen remembers which transcripts a run has read. A complete one is remembered by its conversation: a bitmap of those takes two bytes or less
// for each, and most records of a nightly run are of complete transcripts. All others are remembered by their ids, in an IDSet.
type Seen struct {
	ids           *IDSet
	conversations *roaring64.Bitmap
}

// NewSeen returns an empty set.
func NewSeen() *Seen { return &Seen{NewIDSet(), roaring64.New()} }

// AddDone adds a transcript that has a conversation, see Item.Done, and reports whether it was there already.
func (s *Seen) AddDone(id string, conversation int64) bool {
	return !s.conversations.CheckedAdd(uint64(conversation)) || s.ids.Has(id)
}

// Add adds any other transcript, and reports whether it was there already. conversation is that of its row, 0 if it has none.
func (s *Seen) Add(id string, conversation int64) bool {
	return s.ids.Add(id) || s.hasConversation(conversation)
}

// Has reports whether a transcript was added. conversation is that of its row, 0 if it has none.
func (s *Seen) Has(id string, conversation int64) bool {
	return s.ids.Has(id) || s.hasConversation(conversation)
}

func (s *Seen) hasConversation(conversation int64) bool {
	return conversation != 0 && s.conversations.Contains(uint64(conversation))
}
