package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

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
		r.UpdatedAt, make([]partialErrorJSON, len(partial))}
	for i, p := range partial {
		t.PartialErrors[i] = partialErrorJSON(p)
	}
	return t
}

// csvHeads are the columns of --format csv.
var csvHeads = []string{"source", "transcript_id", "status", "error_code", "error", "conversation_id", "end_user_id", "attempts",
	"run_id", "updated_at", "partial_errors"}

func (t transcriptJSON) csv() []string {
	conversation := ""
	if t.ConversationID != 0 {
		conversation = strconv.FormatInt(t.ConversationID, 10)
	}
	return []string{t.Source, t.TranscriptID, string(t.Status), t.ErrorCode, t.Error, conversation, t.EndUserID,
		strconv.Itoa(t.Attempts), strconv.FormatInt(t.RunID, 10), t.UpdatedAt.UTC().Format("2006-01-02T15:04:05.000Z07:00"),
		strings.Join(partialTexts(t), "\n")}
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
func (p *program) writeRows(ctx context.Context, store checkpoint.Store, sources []string, f checkpoint.Filter, format string) error {
	out := bufio.NewWriter(p.stdout)
	table, lines := csv.NewWriter(out), lineEncoder(out)
	if format == "csv" {
		if err := table.Write(csvHeads); err != nil {
			return err
		}
	}
	for _, source := range sources {
		err := p.eachTrouble(ctx, store, source, f, troublePage, func(rows []checkpoint.Row, partial map[string][]checkpoint.PartialError) error {
			for _, r := range rows {
				t := newTranscriptJSON(source, r, partial[r.ID])
				write := func() error { return lines.Encode(t) }
				if format == "csv" {
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

func lineEncoder(w io.Writer) *json.Encoder {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc
}

// mendPage is how many transcripts are fetched from the source in one pass over its files.
const mendPage = 20_000

// recordError is what the field _error of a record says. A reader takes the transcript's id from it, to settle what is mended.
type recordError struct {
	TranscriptID string            `json:"transcript_id"`
	Status       checkpoint.Status `json:"status"`
	Code         string            `json:"code"`
	Reason       string            `json:"reason"`
	Place        string            `json:"place"`
}

// writeMendable writes the source records of what failed, each with its reason, ready to be mended and read again.
func (p *program) writeMendable(ctx context.Context, c *cli.Context, file *configFile, store checkpoint.Store, f checkpoint.Filter) error {
	overrideSource(file, c)
	settings, sourceErr := file.source()
	imports, importsErr := file.importing()
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
	err = p.eachTrouble(ctx, store, settings.Name, f, mendPage, func(rows []checkpoint.Row, partial map[string][]checkpoint.PartialError) error {
		left, err := writeRecords(ctx, out, reader, rows, partial)
		gone, bad, moved = append(gone, left.gone...), append(bad, left.bad...), moved+left.moved
		return err
	})
	if err != nil {
		return err
	}
	if len(gone) > 0 {
		p.log.Warn("the source does not hold these transcripts any more, so they were left out", "count", len(gone), "ids", some(gone))
	}
	if len(bad) > 0 {
		p.log.Warn("these transcripts are in Dixa, and the source has a bad record of them, so they were left out: name the file of mended ones with --jsonl",
			"count", len(bad), "ids", some(bad))
	}
	if moved > 0 {
		p.log.Warn("records that are known by their place only have changed since, so they were left out: run again first", "count", moved)
	}
	return out.Flush()
}

// leftOut are records that cannot be handed out.
type leftOut struct {
	gone  []string // ids of those that the source does not hold any more
	bad   []string // of those of which a mended version was imported
	moved int      // places that hold another record by now
}

// writeRecords writes the records of rows.
func writeRecords(ctx context.Context, out *bufio.Writer, reader importer.Reader, rows []checkpoint.Row,
	partial map[string][]checkpoint.PartialError) (left leftOut, err error) {
	byID := make(map[string]checkpoint.Row, len(rows))
	keys := make([]string, len(rows))
	for i, r := range rows {
		byID[r.ID], keys[i] = r, r.ID
	}
	for rec, err := range reader.Fetch(ctx, keys) {
		if err != nil {
			return left, fmt.Errorf("read the source: %w", err)
		}
		key := rec.Key()
		if _, named := byID[key]; !named {
			key = rec.Place.String() // a record that is known by its place has got an id of its own
		}
		r, wanted := byID[key]
		if !wanted {
			continue
		}
		delete(byID, key)
		if key == rec.Place.String() && r.ContentHash != rec.Hash.String() {
			left.moved++
			continue
		}
		if _, err := rec.Transcript(); err != nil && r.Status.HasConversation() {
			left.bad = append(left.bad, r.ID)
			continue
		}
		reason := recordError{r.ID, r.Status, r.ErrorCode, r.Error, rec.Place.String()}
		if r.Status == checkpoint.Rejected {
			reason.Reason = withoutPlace(r)
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
	raw := bytes.TrimSpace(rec.Raw())
	why, err := jsonLine(reason)
	if err != nil {
		return nil, err
	}
	line := append([]byte(`{"_error":`), why...)
	if len(raw) == 0 || raw[0] != '{' || !json.Valid(raw) {
		text, err := jsonLine(string(raw))
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
		quoted, err := jsonLine(key)
		if err != nil {
			return nil, err
		}
		members = append(members, slices.Concat(quoted, []byte(": "), value))
	}
	return append(bytes.Join(members, []byte(", ")), '}'), nil
}

// jsonLine writes a value as JSON in one line.
func jsonLine(v any) ([]byte, error) {
	var b bytes.Buffer
	err := lineEncoder(&b).Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte{'\n'}), err
}
