// Package report tells what a run did: as text and as JSON at its end, and later as one HTML file.
package report
