package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"dixa-import/cmd/dixa-import/internal/advice"
	"dixa-import/cmd/dixa-import/internal/config"
	"dixa-import/cmd/dixa-import/internal/term"
	"dixa-import/importer"
	"dixa-import/importer/checkpoint"
	"dixa-import/source"
)

// transcriptJSON is what the checkpoint knows of a transcript.
type transcriptJSON struct {
	Source         string             `json:"source"`
	TranscriptID   string             `json:"transcript_id"`
	Status         checkpoint.Status  `json:"status"`
	ErrorCode      string             `json:"error_code"`
	Error          string             `json:"error"`
	ConversationID int64              `json:"conversation_id,omitempty"`
	EndUserID      string             `json:"end_user_id"`
	Attempts       int                `json:"attempts"`
	RunID          int64              `json:"run_id"`
	UpdatedAt      time.Time          `json:"updated_at,omitzero"`
	CameFrom       string             `json:"came_from"`
	PartialErrors  []partialErrorJSON `json:"partial_errors"`
}

type partialErrorJSON struct {
	Kind              checkpoint.PartialErrorKind `json:"kind"`
	Message           string                      `json:"message"`
	MessageExternalID string                      `json:"message_external_id,omitempty"`
	Attribute         string                      `json:"attribute,omitempty"`
}

func newTranscriptJSON(source string, r checkpoint.Row, partial []checkpoint.PartialError) transcriptJSON {
	t := transcriptJSON{source, r.ID, r.Status, r.ErrorCode, r.Error, r.ConversationID, r.EndUserID, r.Attempts, r.RunID,
		r.UpdatedAt, r.CameFrom, make([]partialErrorJSON, len(partial))}
	for i, p := range partial {
		t.PartialErrors[i] = partialErrorJSON(p)
	}
	return t
}

// csvHeads are the columns of --format csv.
var csvHeads = []string{"source", "transcript_id", "status", "error_code", "error", "conversation_id", "end_user_id", "attempts",
	"run_id", "updated_at", "partial_errors", "came_from"}

func (t transcriptJSON) csv() []string {
	conversation := ""
	if t.ConversationID != 0 {
		conversation = strconv.FormatInt(t.ConversationID, 10)
	}
	row := []string{t.Source, t.TranscriptID, string(t.Status), t.ErrorCode, t.Error, conversation, t.EndUserID,
		strconv.Itoa(t.Attempts), strconv.FormatInt(t.RunID, 10), t.UpdatedAt.UTC().Format("2006-01-02T15:04:05.000Z07:00"),
		strings.Join(partialTexts(t), "\n"), t.CameFrom}
	return plainCells(row)
}

// plainCells is plainCell for a row.
func plainCells(row []string) []string {
	for i := range row {
		row[i] = plainCell(row[i])
	}
	return row
}

// plainCell keeps a spreadsheet from taking a value for a formula, with an apostrophe in front of it, as OWASP advises: ids and
// messages come from outside.
func plainCell(value string) string {
	if value != "" && strings.ContainsRune("=+-@\t\r\n\uFF1D\uFF0B\uFF0D\uFF20", firstRune(value)) {
		return "'" + value
	}
	return value
}

func firstRune(s string) rune {
	r, _ := utf8.DecodeRuneInString(s)
	return r
}

// partialTexts writes each partial error in a line.
func partialTexts(t transcriptJSON) []string {
	texts := make([]string, len(t.PartialErrors))
	for i, p := range t.PartialErrors {
		texts[i] = strings.TrimRight(string(p.Kind)+" "+p.Attribute, " ") + ": " + p.Message
	}
	return texts
}

// writeRows writes one row for each transcript that needs attention.
func (p *errorsCmd) writeRows(ctx context.Context, store *checkpoint.Store, sources []string) error {
	out := bufio.NewWriter(p.stdout)
	table, lines := csv.NewWriter(out), term.NewEncoder(out)
	if p.format == "csv" {
		if err := table.Write(csvHeads); err != nil {
			return err
		}
	}
	for _, source := range sources {
		err := advice.EachTrouble(ctx, store, source, p.filter, advice.TroublePage, func(rows []checkpoint.Row, partial map[string][]checkpoint.PartialError) error {
			for _, r := range rows {
				t := newTranscriptJSON(source, r, partial[r.ID])
				write := func() error { return lines.Encode(t) }
				if p.format == "csv" {
					write = func() error { return table.Write(t.csv()) }
				}
				if err := write(); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	table.Flush()
	return errors.Join(table.Error(), out.Flush())
}

// recordsPage is how many transcripts are fetched from the source in one pass over its files.
const recordsPage = 20_000

// recordError is what the field _error of a record says. A reader takes the transcript's id from it, to settle what is corrected.
type recordError struct {
	TranscriptID string            `json:"transcript_id"`
	Status       checkpoint.Status `json:"status"`
	Code         string            `json:"code"`
	Reason       string            `json:"reason"`
	// ContentHash is set where the transcript's id is a place: what is known of a place holds for that content only.
	ContentHash string `json:"content_hash,omitempty"`
	Place       string `json:"place"`
}

// writeCorrectable writes the source records of what failed, each with its reason, ready to be corrected and read again.
func (p *errorsCmd) writeCorrectable(ctx context.Context, file *config.File, store *checkpoint.Store) error {
	file.Override(config.Overrides{JSONL: p.jsonl})
	settings, sourceErr := file.Source()
	imports, importsErr := file.Importing()
	if err := errors.Join(sourceErr, importsErr); err != nil {
		return err
	}
	reader, closeReader, err := p.openSource(ctx, settings, imports.DatabasePatience)
	if err != nil {
		return err
	}
	defer closeReader()
	out := bufio.NewWriter(p.stdout)
	var gone, bad []string
	var moved int
	err = advice.EachTrouble(ctx, store, settings.Name, p.filter, recordsPage, func(rows []checkpoint.Row, partial map[string][]checkpoint.PartialError) error {
		left, err := writeRecords(ctx, out, reader, rows, partial)
		gone, bad, moved = append(gone, left.gone...), append(bad, left.bad...), moved+left.moved
		return err
	})
	if err != nil {
		return err
	}
	if len(gone) > 0 {
		p.log.Warn("the source does not hold these transcripts any more, so they were left out", "count", len(gone), "ids", term.Some(gone))
	}
	if len(bad) > 0 {
		p.log.Warn("these transcripts are in Dixa, and the source has a bad record of them, so they were left out: name the file of corrected ones with --jsonl",
			"count", len(bad), "ids", term.Some(bad))
	}
	if moved > 0 {
		p.log.Warn("records that are known by their place only have changed since, so they were left out: run again first", "count", moved)
	}
	return out.Flush()
}

// leftOut are records that cannot be handed out.
type leftOut struct {
	gone  []string // ids of those that the source does not hold any more
	bad   []string // of those of which a corrected version was imported
	moved int      // places that hold another record by now
}

// writeRecords writes the records of rows.
func writeRecords(ctx context.Context, out *bufio.Writer, reader source.Reader, rows []checkpoint.Row,
	partial map[string][]checkpoint.PartialError) (left leftOut, err error) {
	byID := make(map[string]checkpoint.Row, len(rows))
	for _, r := range rows {
		byID[r.ID] = r
	}
	for rec, err := range importer.FetchRecords(ctx, reader, rows) {
		if err != nil {
			return left, fmt.Errorf("read the source: %w", err)
		}
		place, hash := rec.Place.String(), rec.Hash.String()
		key := rec.Key()
		if _, apart := byID[source.ContentKey(place, hash)]; apart {
			key = source.ContentKey(place, hash)
		} else if _, named := byID[key]; !named {
			key = place // a record that is known by its place has got an id of its own
		}
		r, wanted := byID[key]
		if !wanted {
			continue
		}
		delete(byID, key)
		if key == place && r.ContentHash != hash {
			left.moved++
			continue
		}
		if _, err := rec.Transcript(); err != nil && r.Status.HasConversation() {
			left.bad = append(left.bad, r.ID)
			continue
		}
		reason := recordError{TranscriptID: r.ID, Status: r.Status, Code: r.ErrorCode, Reason: r.Error, Place: place}
		if rec.Whole() != rec { // the record of the chat is corrected, and what follows its import is imported again
			reason.TranscriptID = rec.Whole().Key()
		}
		if known := key == place || key == source.ContentKey(place, hash); known && rec.ID != place {
			reason.ContentHash = hash
		}
		if r.Status == checkpoint.Rejected {
			reason.Reason = advice.WithoutPlace(r)
		}
		if r.Status == checkpoint.Partial {
			reason.Reason = strings.Join(partialTexts(newTranscriptJSON("", r, partial[r.ID])), "; ")
		}
		line, err := withError(rec, reason)
		if err != nil {
			return left, err
		}
		if _, err := out.Write(append(line, '\n')); err != nil {
			return left, err
		}
	}
	for id := range byID {
		left.gone = append(left.gone, id)
	}
	slices.Sort(left.gone)
	return left, nil
}

// withError returns a record with the field _error. One that is no JSON object is the text of the field _raw.
func withError(rec *source.Record, reason recordError) ([]byte, error) {
	raw := bytes.TrimSpace(rec.Shown())
	why, err := term.JSONLine(reason)
	if err != nil {
		return nil, err
	}
	line := append([]byte(`{"_error":`), why...)
	if len(raw) == 0 || raw[0] != '{' || !json.Valid(raw) {
		text, err := term.JSONLine(string(raw))
		return slices.Concat(line, []byte(`,"_raw":`), text, []byte{'}'}), err
	}
	rest := bytes.TrimSpace(raw[1:])
	if bytes.Contains(raw, []byte(`"_error"`)) { // of an earlier time
		if rest, err = withoutMember(raw, "_error"); err != nil {
			return nil, err
		}
	}
	if rest[0] != '}' {
		line = append(line, ',')
	}
	return append(line, rest...), nil
}

// withoutMember returns the members of a JSON object but one, with the closing brace.
func withoutMember(object []byte, name string) ([]byte, error) {
	dec := json.NewDecoder(bytes.NewReader(object))
	if _, err := dec.Token(); err != nil {
		return nil, err
	}
	var members [][]byte
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, err
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, err
		}
		if key == name {
			continue
		}
		quoted, err := term.JSONLine(key)
		if err != nil {
			return nil, err
		}
		members = append(members, slices.Concat(quoted, []byte(": "), value))
	}
	return append(bytes.Join(members, []byte(", ")), '}'), nil
}
