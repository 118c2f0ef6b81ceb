package importer

// slot is a task's place among the tasks that are prepared for workers, or among those that have one.
type slot struct {
	in     chan struct{} // pipeline.aheadSlots or pipeline.workerSlots; nil: it has no place
	worker bool          // in is pipeline.workerSlots
}

func (s *slot) enter(in chan struct{}, worker bool) {
	s.Leave()
	s.in, s.worker = in, worker
}

// Leave gives the place back.
func (s *slot) Leave() {
	if s.in != nil {
		<-s.in
		*s = slot{}
	}
}

// HasWorker reports whether the task has a worker.
func (s *slot) HasWorker() bool { return s.worker }
