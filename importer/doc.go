// Package importer makes runs: it reads transcripts from a source, claims them in the checkpoint, resolves their end-users, imports them
// into Dixa exactly once, sets their attributes and records what became of each. The way of one transcript is the list of steps in
// steps.go.
//
// # Rooms
//
// Imports point down, and nothing points up or sideways:
//
//	cmd/dixa-import
//	   |
//	importer   importer/plan   importer/verify     a run; what a run would do; Dixa compared with the source
//	   |
//	people                                         end-users: identifiers, look-up, creation, the directory
//	   |
//	mark   reading                                 the mark of a source; its records, in batches and within memory
//	   |
//	session                                        configuration, log, organisation, patience with the database, the end of work
//	   |
//	rules   shape   batch                          pure: record and row; transcript and conversation; work in groups
//	   |
//	checkpoint   source   dixa
//
// # Goroutines
//
// A run has two halves. The Importer reads, triages records, selects what earlier runs left, and claims transcripts; it does so in the
// goroutine of the caller of Run, one part after the other (see parts). The pipeline takes the claimed transcripts through their steps, each
// in a task of its own. After each part the caller waits for all tasks. The Importer calls the pipeline, never the other way round; a task that loses
// its claim puts its record into the backlog, which the Importer looks through.
//
//	caller of Run     ends with the run
//	tasks             begin starts one for each claimed transcript, at most cap(open) at a time; it takes the transcript through its
//	                  steps (work1). pipeline.tasks awaits them
//	reader            reading.Records reads ahead of the caller; it ends with the source, or with Starting
//	heartbeat         work starts it, and awaits it once everything is written
//	followers         learning.follow and followCreation start them, up to a handful, to see how long Dixa's lists lag; learning.stop
//	                  ends and awaits them
//	creations         of package people; Resolver.Wait awaits them
//	drain             Session.Begin starts it: it turns the end of Starting into that of Working, and that into the end of Recording
//
// The only one that nobody awaits is a reader that is broken off: a read of standard input cannot be interrupted.
//
// # Channels
//
// The reader hands records over through the channel of reading.Records. Three channels are counters, a place in each of which a
// task takes and gives back: open (it is not settled), ahead (it is made ready for a worker) and slots (it has a worker). A task that
// has to wait for long leaves ahead or slots, never open. The places of Gate.looking in package mark and of firstRun.looking are locks that a stop can break.
//
// # Locks
//
// No goroutine holds two of these at once, but for tally.mu, which logEnd takes while it holds saying. None is held while something
// waits for Dixa or for the checkpoint.
//
//	tally.mu          causes, skips, problems, ignored values, and what the log has said; the counters beside them are atomic
//	saying            the end of one transcript is logged at a time, so that the line with the whole sentence comes first
//	backlog.mu        the records that cannot be decided yet
//	stepTimes.mu      the times of the steps
//	conversations.mu  what conversations turned out to be
//	inDoubt.mu        the transcripts that are looked for
//	refusals.mu       refusals of which it is not known whom they concern
//	learning.mu       what is known of how Dixa answers
//	firstRun.mu       the end-users that were there before a first run
//	unmarked.mu       the end-users that a run without a mark has created
//
// What the caller of Run alone uses needs none: the triage, seen, unreported and reported.
//
// # Contexts
//
// Package session has three, and a write gets the one whose promise it needs:
//
//	Starting    what only serves to begin something: reading, look-ups, claims, looks for transcripts in doubt. Nobody needs the
//	            answer once the run stops
//	Working     requests to Dixa that change something. They are answered even while the run stops, because an import without an answer is
//	            in doubt; they are given up when the drain is over
//	Recording   changes of transcripts (write), what was learnt of Dixa, the heartbeat. What Dixa has said is recorded even after work
//	            was given up, or the next run would have to find it out again
//
// Beside them, the end of the run itself is recorded within ten seconds that no stop shortens (finish).
package importer
