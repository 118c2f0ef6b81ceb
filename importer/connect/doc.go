// Package connect opens the databases that a configuration names: the checkpoint, and a Postgres that transcripts come from. It takes
// addresses as frameworks and environment files write them, and says why a database cannot be reached and what to do about that.
package connect
