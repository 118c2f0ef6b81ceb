package source

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"

	"dixa-import/source/internal/jq"
)

// detectRecords is how many records of a source are looked at.
const detectRecords = 200

// Canonical is the name of the format of transcripts themselves.
const Canonical = "canonical"

// Detection is what the records of a source look like.
type Detection struct {
	Format   string   // the name of a preset, Canonical, or "" if none fits
	CSV      bool     // the files are tables of values
	Encoding string   // the likely encoding of files that are not UTF-8, "" for UTF-8
	Also     []Match  // other formats that fit most records, the best first
	Reason   string   // why none fits, or what to know of the one that does
	Misfits  []Misfit // files that are of another format than Format
}

// Match is how well a format fits.
type Match struct {
	Format        string
	Fits, Records int // of the records that were looked at
}

// Detect looks at the first records of files. It cannot read standard input or pipes, which can be read only once.
func Detect(ctx context.Context, config JSONLConfig) (Detection, error) {
	config.Logger = slog.New(slog.DiscardHandler)
	d, err := detectEncoded(ctx, config)
	if err != nil {
		return d, err
	}
	if d.CSV {
		config.CSV = &CSVConfig{}
	}
	config.Encoding = cmp.Or(config.Encoding, d.Encoding)
	s, err := OpenJSONL(config)
	if err != nil {
		return d, err
	}
	if d.Format != "" {
		d.Reason = joined(d.Reason, s.refusals(ctx, d.Format))
	}
	if len(s.inputs) < 2 {
		return d, nil
	}
	if d.Misfits, err = s.misfits(ctx, config, d); err != nil {
		return d, err
	}
	if d.Format == "" {
		d.Reason, d.Misfits = cmp.Or(severalFormats(d.Misfits), d.Reason), nil
	}
	return d, nil
}

// joined puts two reasons together.
func joined(a, b string) string { return strings.Trim(a+"; "+b, "; ") }

// detectEncoded is Detect in UTF-8, or in the encoding that the files seem to have.
func detectEncoded(ctx context.Context, config JSONLConfig) (Detection, error) {
	d, damage, err := detect(ctx, config)
	if damage != nil && damage.encoding != "" && config.Encoding == "" {
		config.Encoding = damage.encoding
		again, damage, err := detect(ctx, config)
		again.Encoding = config.Encoding
		if err == nil && damage == nil && again.Format != "" {
			again.Reason = joined(again.Reason, "the files are in the encoding "+config.Encoding)
			return again, nil
		}
	}
	return d, err
}

// detect is Detect for one encoding. It returns the first thing that is wrong with the files themselves, too.
func detect(ctx context.Context, config JSONLConfig) (Detection, *RejectError, error) {
	s, err := OpenJSONL(config)
	if err != nil && config.CSV == nil { // a folder may hold tables alone
		config.CSV = &CSVConfig{}
		if tables, tableErr := OpenJSONL(config); tableErr == nil {
			s, err = tables, nil
		}
	}
	if err != nil {
		return Detection{}, nil, err
	}
	if !s.Rereadable() {
		return Detection{}, nil, ErrCannotReread
	}
	canonical, closed, damage, err := s.fitsCanonical(ctx)
	if err != nil {
		return Detection{}, nil, err
	}
	if damage != nil && damage.table && config.CSV == nil {
		config.CSV = &CSVConfig{}
		return detect(ctx, config)
	}
	matches := []Match{canonical}
	for _, p := range presetList() {
		if p.Table != (config.CSV != nil) {
			continue
		}
		m, err := s.fits(ctx, p)
		if err != nil {
			return Detection{}, nil, err
		}
		matches = append(matches, m)
	}
	matches = slices.DeleteFunc(matches, func(m Match) bool { return 2*m.Fits <= m.Records || m.Fits == 0 })
	slices.SortStableFunc(matches, func(a, b Match) int {
		return cmp.Or(cmp.Compare(b.Fits*max(a.Records, 1), a.Fits*max(b.Records, 1)), cmp.Compare(len(marksOf(b.Format)), len(marksOf(a.Format))))
	})
	if len(matches) > 1 && matches[0].Format == Canonical && !closed { // what never ends is rather of another format
		matches = append(matches[1:], matches[0])
	}
	if len(matches) == 0 && config.CSV == nil && s.namedTables() { // a table may be a header alone
		config.CSV = &CSVConfig{}
		return detect(ctx, config)
	}
	if len(matches) == 0 {
		return Detection{CSV: config.CSV != nil, Reason: s.unknownReason(ctx, canonical, damage)}, damage, nil
	}
	d := Detection{Format: matches[0].Format, CSV: config.CSV != nil, Also: matches[1:]}
	if m := matches[0]; m.Fits < m.Records {
		d.Reason = fmt.Sprintf("%d of the first %d records are not of this format", m.Records-m.Fits, m.Records)
	}
	return d, damage, nil
}

func marksOf(name string) []string {
	if p, ok := PresetNamed(name); ok {
		return p.Marks
	}
	return []string{"id", "messages", "closed_at"}
}

// of returns a copy of s for some of its files and another shape.
func (s *JSONL) of(inputs []input, shape *shape) *JSONL {
	return &JSONL{inputs: inputs, records: s.records, shape: shape, tables: s.tables, encoding: s.encoding, now: s.now, zone: s.zone, logger: s.logger}
}

// sample calls visit for the first records of a copy of s with another shape.
func (s *JSONL) sample(ctx context.Context, shape *shape, visit func(f frame)) error {
	sampled := s.of(s.inputs, shape)
	n := 0
	for _, in := range sampled.inputs {
		stopped, err := sampled.frames(ctx, in, new(atomic.Int64), s.logger, func(f frame) bool {
			if f.end {
				return true
			}
			visit(f)
			n++
			return n < detectRecords
		})
		if err != nil || stopped {
			return err
		}
	}
	return nil
}

// fitsCanonical counts the records that are transcripts, open ones too, and returns whether any is closed and the first thing that is wrong with the
// files themselves.
func (s *JSONL) fitsCanonical(ctx context.Context) (m Match, closed bool, damage *RejectError, err error) {
	m.Format = Canonical
	err = s.sample(ctx, nil, func(f frame) {
		m.Records++
		r := s.record(f)
		switch t, failure := r.Transcript(); {
		case failure == nil && t.ClosedAt.IsZero() && !messagesLike(member(r.Raw(), "messages")):
		case failure == nil:
			m.Fits++
			closed = closed || !t.ClosedAt.IsZero()
		case f.failure != nil && damage == nil:
			damage = f.failure
		}
	})
	return m, closed, damage, err
}

// fits counts the records that a preset takes.
func (s *JSONL) fits(ctx context.Context, p Preset) (m Match, err error) {
	m.Format = p.Name
	functions, err := jq.Compile(p.Program, jq.Limits{})
	if err != nil {
		return m, fmt.Errorf("format %s: %w", p.Name, err)
	}
	program, err := jq.Compile(cmp.Or(p.Detect, "true"), jq.Limits{}, functions)
	if err != nil {
		return m, fmt.Errorf("format %s: detect: %w", p.Name, err)
	}
	tables, columns := s.tables.known()
	shape := &shape{marks: p.Marks, wholeArray: p.WholeArray}
	err = s.sample(ctx, shape, func(f frame) {
		m.Records++
		start := afterSpace(f.data, 0)
		if f.failure != nil || start == len(f.data) || f.data[start] == '{' && !shape.has(f.data[start:]) || f.data[start] != '{' && !p.WholeArray {
			return
		}
		value, err := jq.Parse(f.data)
		if err != nil {
			return
		}
		if yes, err := one(ctx, program, value, jq.Vars{File: f.place.Path, Tables: tables, Columns: columns}); err == nil && yes == true {
			m.Fits++
		}
	})
	return m, err
}

// refusals says why records of a format cannot be imported, if most cannot; "" where it takes more than one record to tell.
func (s *JSONL) refusals(ctx context.Context, format string) string {
	p, ok := PresetNamed(format)
	if !ok || p.GroupBy != "" || p.Each != "" {
		return ""
	}
	program, err := jq.Compile(p.Program, jq.Limits{})
	if err != nil {
		return ""
	}
	records, refused, reason := 0, 0, ""
	_ = s.sample(ctx, &shape{marks: p.Marks, wholeArray: p.WholeArray}, func(f frame) {
		value, err := jq.Parse(f.data)
		if f.failure != nil || err != nil {
			return
		}
		records++
		if _, err = program.Run(ctx, value, jq.Vars{File: f.place.Path}); err == nil {
			if e := cut(value); e != nil && !p.JoinsPages {
				err = e
			}
		}
		if e, ok := errors.AsType[*jq.Error](err); ok && strings.HasPrefix(e.Raised, jq.Refused) {
			refused++
			reason = cmp.Or(reason, transformFailed("", e).Reason)
		}
	})
	if 2*refused <= records {
		return ""
	}
	return fmt.Sprintf("%d of the first %d records cannot be imported: %s", refused, records, reason)
}

// namedTables reports whether all files are called tables.
func (s *JSONL) namedTables() bool {
	return !slices.ContainsFunc(s.inputs, func(in input) bool {
		name := strings.ToLower(in.path)
		for _, packed := range []string{".gz", ".zst", ".bz2"} {
			name = strings.TrimSuffix(name, packed)
		}
		return !strings.HasSuffix(name, ".csv") && !strings.HasSuffix(name, ".tsv")
	})
}

// nothing says why there are no records.
func (s *JSONL) nothing() string {
	switch known, _ := s.tables.known(); {
	case s.total == 0:
		return "it is empty: check that the export succeeded"
	case len(known) > 0:
		return "it is a table without rows, with a header alone: check that the export succeeded"
	}
	return "there are no records in it: check that the export succeeded"
}

// unknownReason says why no format fits.
func (s *JSONL) unknownReason(ctx context.Context, canonical Match, damage *RejectError) string {
	if canonical.Records == 0 {
		return s.nothing()
	}
	if text := s.listedBy(ctx); text != "" {
		return text
	}
	if damage != nil {
		return damage.Reason
	}
	var reason string
	names := map[string]bool{}
	_ = s.sample(ctx, &shape{}, func(f frame) {
		if reason == "" {
			if _, err := s.record(frame{place: f.place, data: f.data, failure: f.failure, hash: f.hash}).Transcript(); err != nil {
				if e, ok := errors.AsType[*RejectError](err); ok && e.Code != RejectNotATranscript {
					reason = e.Reason
				}
			}
		}
		if start := afterSpace(f.data, 0); start < len(f.data) && f.data[start] == '{' {
			all := members{f.data[start:]}
			for name, _, ok := all.next(); ok; name, _, ok = all.next() {
				if identifier(name) {
					names[string(name)] = true
				}
			}
		}
	})
	fields := make([]string, 0, len(names))
	for name := range names {
		fields = append(fields, name)
	}
	slices.Sort(fields)
	text := "no format fits its records"
	if len(fields) > 0 {
		text += ", which have the fields " + strings.Join(fields[:min(len(fields), 12)], ", ")
		if len(fields) > 12 {
			text += ", …"
		}
	}
	if of, chat := singleMessages(names); of != nil {
		return text + oneMessageEach(of, chat)
	}
	if alike := Resembling(fields); len(alike) > 0 && (names["messages"] || names["closed_at"] || names["id"]) {
		return text + "; if they are transcripts, rename " + strings.Join(alike, ", ")
	}
	if reason != "" && names["messages"] {
		return text + "; as transcripts they are rejected: " + reason
	}
	if s.tables != nil {
		return text + ": name the columns under source.csv.columns, such as id, role, text and created_at, or write a transform for them"
	}
	return text + ": write a transform for them"
}
