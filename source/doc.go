// Package source reads chatbot transcripts from where a bot recorded them: files with JSON, and the rows of a Postgres query. A [Reader]
// yields each as a [Record], and [Record.Transcript] decodes that. The package knows neither Dixa nor the checkpoint.
//
// # From a path to a record: JSONL
//
// Each stage hands what it finds to the next.
//
//	paths.go      patterns and folders become the names of files
//	inputs.go     OpenJSONL checks every file before anything is read
//	jsonl.go      Read and Fetch go through the files and make records of frames
//	unpack.go     one file: detects gzip, zstd, bzip2 and archives by their first bytes, and turns damage into a rejected record
//	archive.go    the files in a zip or tar archive
//	stream.go     standard input and pipes, read so that a cancelled context ends the wait
//	charset.go    UTF-16, windows-1252 and others become UTF-8
//	encoding.go   recognises the encoding of a text that is not UTF-8
//	unread.go     finds what may be the text of a message that has none
//	format.go     refuses files that hold something other than JSON, and says what they are
//	text.go       a window on the text, which counts lines
//	framer.go     finds the records: one a line, over several lines, one after the other, in an array
//	envelope.go   finds the array of records within an object
//	recover.go    finds the next record after one that is broken
//	checker.go    checks JSON that arrives in pieces
//
// Tables of values (csv.go) become JSON objects, a row each, before that.
//
// # From records of another format to records: mappings
//
//	presets.go        the formats, each a jq program in presets/ with what has to be known to read it
//	mapping.go        Mapping: a format, or programs of one's own, compiled
//	mapped.go         Mapped: reads the records and runs the programs
//	mapped_groups.go  groups, gathered on disk (internal/spill) and mapped on several goroutines
//	mapped_record.go  what a program returned becomes a Record; when a chat counts as closed
//	shape.go          tells the records of a format from the objects around them
//	detect.go         Detect: which format files have
//	postgres_rows.go  rows of a query for a mapping
//	redact.go         Redacted: replaces personal data (internal/redact) in the transcripts of any reader
//
// # From a query to a record: Postgres
//
//	query.go      finds @since in the query and removes what ends it
//	postgres.go   OpenPostgres connects; transactions and connections
//	columns.go    checks which columns the query has
//	idtype.go     how ids of each type are compared and looked up
//	pages.go      Read goes through the rows a page at a time, Fetch looks them up by id
//	row.go        a row, its hash, and the same as JSON
//	plan.go       warns of a query that is slow to read in pages
//	pgerror.go    which errors pass, and what a person can do about the others
//
// # From a record to a transcript: both
//
//	record.go     Record: its place, its key, its raw bytes
//	scan.go       a quick look for the id, before it is known whether the record is worth decoding
//	decode.go     the fields of a transcript; enduser.go, message.go, content.go and times.go decode parts of it
//	foreign.go    recognises records that are not transcripts, and fields with another spelling
//	json.go       walks valid JSON
//	transcript.go what comes out: Transcript, Place, RejectError
//
// # Where something new goes
//
// A new reader, such as one for Parquet files, implements Reader in a file of its own and gets an entry in readerKinds of reader_test.go: the
// tests there hold it to what Reader promises. A new compression is a case in unpack.go, a new container of records one in framer.go
// or envelope.go. Another vendor's format is a file in presets/, with exports in testdata/presets/ and what has to become of them.
package source
