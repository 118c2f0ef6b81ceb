package importer

// slot is the place of a task among those that are made ready for workers, or among those that have one.
type slot struct {
	in     chan struct{} // Importer.ahead or Importer.slots; nil: it has no place
	worker bool          // in is Importer.slots
}

func (s *slot) enter(in chan struct{}, worker bool) {
	s.Leave()
	s.in, s.worker = in, worker
}

// Leave gives the slot back.
func (s *slot) Leave() {
	if s.in != nil {
		<-s.in
		*s = slot{}
	}
}

// HasWorker reports whether the task keeps a worker busy.
func (s *slot) HasWorker() bool { return s.worker }
