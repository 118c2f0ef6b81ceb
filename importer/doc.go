// Package importer performs runs: it reads transcripts from a source, claims them in the checkpoint, resolves their end-users, imports
// them into Dixa exactly once, sets their attributes and records the outcome of each. steps.go lists the steps of a transcript.
//
// # Packages
//
// Imports point down only, never up or sideways:
//
//	cmd/dixa-import
//	   |
//	importer   importer/plan   importer/verify     a run; what a run would do; Dixa compared with the source
//	importer/live                                  what comes in over HTTP: transcripts, for the source.Feed of a live run, and what
//	                                               Dixa reports about imported conversations
//	   |
//	people                                         end-users: identifiers, look-up, creation, the directory
//	   |
//	mark   reading                                 the mark of a source; its records, in batches and within memory
//	   |
//	session                                        configuration, log, organisation, database retries, shutdown
//	   |
//	rules   shape   batch                          pure: record and row; transcript and conversation; work in groups
//	   |
//	checkpoint   source   dixa
//
// # Goroutines
//
// A run has two halves. The Importer reads and triages records, selects what earlier runs left, and claims transcripts. It does so in the
// goroutine that called Run, one phase after the other (see phases), and waits for all tasks after each phase. The pipeline takes the
// claimed transcripts through their steps, each in a task of its own. The Importer calls the pipeline, never the reverse: a task that
// loses its claim puts its record into the backlog, which the Importer processes.
//
//	caller of Run     lives until the run ends
//	tasks             launch starts one for each claimed transcript, at most cap(openSlots) at a time; runSteps takes the transcript
//	                  through its steps. pipeline.tasks waits for them
//	reader            reading.Records reads ahead of the caller; it ends with the source, or with Starting
//	batches           reading.Batches starts two, and one for each batch whose complete transcripts it asks for; they end like the reader
//	heartbeat         work starts it, and waits for it once everything is written
//	followers         learning.follow and followCreation start a few, to measure how long Dixa's lists lag; learning.stop ends and
//	                  waits for them
//	creations         of package people; Resolver.Wait waits for them
//	drain             Session.Begin starts it: it ends Working after Starting, and Recording after Working
//
// Nothing waits for a reader that was interrupted, because a read of standard input cannot be cancelled.
//
// # Channels
//
// The reader hands over records through the channel of reading.Records, and reading.Batches hands them to the caller of Run. Three channels are semaphores: a task holds a place in openSlots
// until it is settled, and one in aheadSlots while it is prepared for a worker or one in workerSlots while it has one. A task gives up
// its place in aheadSlots or workerSlots before a long wait, but never the one in openSlots. The semaphores of package mark's Gate and of
// firstRun.lock are locks that a stop can interrupt.
//
// # Locks
//
// No goroutine holds two of these at once, except that logEnd takes tally.mu while it holds tally.endMu. None is held during a call to
// Dixa or to the checkpoint.
//
//	tally.mu          causes, skips, problems, ignored values, and what was logged; the counters beside them are atomic
//	tally.endMu       serializes the log lines about the ends of transcripts, so that the line with the full reason comes first
//	backlog.mu        records that cannot be decided yet
//	stepTimes.mu      times of the steps
//	conversations.mu  contents of conversations that were read
//	shared.mu         what several searches read together
//	doubtful.mu       transcripts in doubt that are being searched for
//	refusals.mu       refusals that may concern one transcript or all
//	learning.mu       facts about Dixa's answers
//	firstRun.mu       end-users that existed before a first run
//	unmarked.mu       end-users that a run without a mark created
//
// The triage, seen, unreported and countedUnreported need no lock: only the goroutine that called Run uses them.
//
// # Contexts
//
// Package session provides three. Each call uses the one whose guarantee it needs:
//
//	Starting    calls that only prepare new work: reading, look-ups, claims, searches for transcripts in doubt. Once the run stops,
//	            nothing needs their results
//	Working     requests to Dixa that change something. They may finish while the run stops, because an import without an answer
//	            leaves a doubt; they are cancelled when the drain is over
//	Recording   changes of transcripts (write), facts about Dixa, the heartbeat. What Dixa answered is recorded even after Working
//	            has ended; otherwise the next run would have to find it out again
//
// In addition, the end of the run is recorded within ten seconds that no stop shortens (finish).
package importer
