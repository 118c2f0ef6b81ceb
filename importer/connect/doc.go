// Package connect opens the databases that a configuration names: the checkpoint, and a Postgres source. It accepts addresses in the forms
// that frameworks and environment files use, and explains why a database cannot be reached and what to do.
package connect
