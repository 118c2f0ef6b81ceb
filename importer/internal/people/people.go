// Package people determines the end-user of a transcript. A Matcher parses the identifiers that a record gives and distinguishes people by
// them. A Resolver finds the person's end-user in the checkpoint or in Dixa, or creates it.
//
// Resolve looks in these places, in order, until it finds the end-user:
//
//	cache -> wait in the lines -> cache -> checkpoint -> directory, or look-up in Dixa -> creator
//
// # Goroutines
//
// One goroutine at a time owns a Resolution: first the one that reads the source, which calls Recall and JoinLines in the order of
// the transcripts, then the one that works on the transcript, which calls Resolve and LeaveLines.
//
// The package starts one kind of goroutine: creator.serve reserves up to MaxCreationBatch persons in the checkpoint and creates them in
// one request. creator.dispatch starts it when there is a person to create, at most maxCreations at a time. It ends when each of its
// persons has a result, or is back in the queue because Dixa refused to create several in one request. Resolver.Wait waits for all of them.
//
// The first Resolve that needs the directory lists it, and all later ones wait for that. End-users that were found at the same time are
// recorded in one transaction.
//
// A channel in creationRequest carries one result from serve to the transcript. A channel in Resolver.lines carries nothing: it is closed
// when its transcript leaves the line, which lets the next one continue.
//
// # Locks
//
//	Resolver.mu      lines, cache and gone. It is never held during a wait
//	creator.mu       the queue, the number of creations in progress, and the number of persons in one request
//	memo.mu          the values of that memo
//	directory.listed the whole directory, which does not change afterwards
//
// No goroutine holds two of the mutexes at once.
//
// Only the first transcript in the line for an identifier looks it up or creates an end-user with it. Reservations in the checkpoint keep
// other processes from doing the same.
//
// # Contexts
//
// Reads and look-ups, in Dixa and in the checkpoint, use Session.Starting: nobody needs the answer once the run stops. A creation is sent
// only before Starting ends, and then runs under Session.Working, because a creation without an answer is in doubt. Answers of Dixa are
// recorded with Session.Recording: otherwise the next run has to find them out again, at worst in a long search. A reservation is made
// with Starting, because nothing depends on it before the creation is sent, and released with Recording.
//
// # Adding a kind of identifier
//
// Matcher.identifier parses it, Matcher.IsPlaceholder recognises values that identify nobody, LookUpBy and the functions beside it map it
// to Dixa's kinds, compared defines when two values are equal, directoryKinds gives it a bit, and kindNames and companionKinds give it a
// name.
package people
