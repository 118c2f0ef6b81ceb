// Package people decides who the end-user of a transcript is. A Matcher reads the identifiers that a record gives and tells people apart by
// them. A Resolver finds the end-user that a person is, in the checkpoint or in Dixa, or creates it.
//
// Where Resolve looks, in order; it ends where it finds the end-user:
//
//	cache -> wait in the lines -> cache -> checkpoint -> directory, or look-up in Dixa -> creator
//
// # Goroutines
//
// A Resolution belongs to one goroutine at a time: first to the one that reads the source, which calls Recall and JoinLines in the order of
// the transcripts, then to the one that works on the transcript, which calls Resolve and LeaveLines.
//
// The package has one kind of goroutine of its own: creator.serve reserves up to CreationMost persons in the checkpoint and creates them in
// one request. creator.next starts it when there is somebody to create, at most creationsAtOnce at a time. It ends when each of its persons
// has an answer, or is in the queue again because Dixa refuses to create several together. Resolver.Wait awaits that.
//
// The first Resolve that needs the directory lists it, and all others wait for that. The first that has found an end-user records those of
// the others with its own, in one transaction.
//
// A channel in creationRequest carries one answer from serve to the transcript. A channel in Resolver.lines carries nothing: it is closed
// when its transcript leaves the line, which lets the next one go on.
//
// # Locks
//
//	Resolver.mu      lines, cache and gone. It is never held while something waits.
//	creator.mu       the queue, how many creations are under way, and how many persons one request holds
//	memo.mu          what that memo keeps
//	directory.listed all of the directory, which does not change afterwards
//
// No goroutine holds two of the mutexes at once.
//
// Only the first transcript in the line for an identifier looks it up or creates somebody with it. Other processes are kept away by
// reservations in the checkpoint.
//
// # Contexts
//
// What the package asks, of Dixa as of the checkpoint, it asks with Session.Starting: nobody needs the answer once the run stops. A creation
// leaves only while Starting lasts, and is then awaited with Session.Working, because a creation without an answer is in doubt. What Dixa has
// said is recorded with Session.Recording: else the next run has to find it out again, at worst over a long search. A reservation is made
// with Starting, as nothing depends on it before the creation leaves, and given back with Recording.
//
// # A new kind of identifier
//
// Matcher.identifier reads it, Matcher.MeansNobody recognises values that stand for nobody, LookUpBy and the functions beside it say what
// Dixa calls it, compared says when two values are the same, directoryKinds gives it a bit, and kindNames and companionKinds give it a name.
package people
