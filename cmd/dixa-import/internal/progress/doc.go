// Package progress shows how far a run is, how fast it goes, what it waits for, and how long it will take.
package progress
