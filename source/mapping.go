package source

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"dixa-import/source/internal/jq"
)

// Mapping says how the records of a source become transcripts. The zero Mapping is none: the records are transcripts.
type Mapping struct {
	// Format is the name of one of Presets, "" for none. What it says can be replaced by the other fields.
	Format string
	// Transform is a jq program that gets a record, or the array of the records of a group, and yields transcripts, as many as it likes.
	Transform string
	// GroupBy is a jq program: records for which it yields the same are one group, wherever they are.
	GroupBy string
	// SortBy is a jq program by which the records of a group are sorted; "": they stay in the order of the source.
	SortBy string
	// SessionGap cuts a group where it paused that long: SortBy must be a time then. 0: groups are not cut.
	SessionGap time.Duration
	// Closed says when a transcript without closed_at counts as closed.
	Closed Closing
}

// Closing says when a transcript that does not say so itself is closed: at its last message.
type Closing struct {
	Rule ClosingRule
	Idle time.Duration // of ClosedIdle: how long nobody wrote before the end of the data
}

// ClosingRule is a rule for transcripts without closed_at.
type ClosingRule string

// The rules. The empty one stands for that of the format, or for ClosedByMarker.
const (
	ClosedByMarker ClosingRule = "marker" // they are open
	ClosedByFile   ClosingRule = "file"   // they are closed: the source holds nothing that still goes on
	ClosedIdle     ClosingRule = "idle"   // they are closed if the source has something that is so much later
)

// ParseClosing reads marker, file, or idle and a duration, such as "idle 24h".
func ParseClosing(text string) (Closing, error) {
	rule, rest, _ := strings.Cut(strings.TrimSpace(text), " ")
	c := Closing{Rule: ClosingRule(rule)}
	rest = strings.TrimSpace(rest)
	switch {
	case text == "":
		return Closing{}, nil
	case (c.Rule == ClosedByMarker || c.Rule == ClosedByFile) && rest == "":
		return c, nil
	case c.Rule == ClosedIdle:
		var err error
		if c.Idle, err = time.ParseDuration(rest); err == nil && c.Idle > 0 {
			return c, nil
		}
	}
	return Closing{}, errors.New("is none of marker, file, and idle with a duration: write closed: marker, closed: file, or closed: idle 24h")
}

// mapper is a Mapping that is ready to run.
type mapper struct {
	each       *jq.Program // takes a record apart before it is grouped; nil: it is one
	transform  *jq.Program
	groupBy    *jq.Program
	sortBy     *jq.Program
	begins     *jq.Program // of the array of a group, yields true for each record with which a new session begins; nil: a pause alone tells
	gap        time.Duration
	closed     Closing
	shape      shape
	lists      *jq.Program // Preset.Lists; nil: the format has none, or the transform is not its own
	preset     bool        // the transform is that of a format
	joinsPages bool        // Preset.JoinsPages
}

// Check reports what is wrong with a mapping.
func (m Mapping) Check() error {
	_, err := m.compile(jq.Limits{})
	return err
}

// compile fills a mapping in from its format. It returns nil if there is nothing to map.
func (m Mapping) compile(limits jq.Limits) (*mapper, error) {
	if m == (Mapping{}) {
		return nil, nil //nolint:nilnil // nothing to map is no error
	}
	out := &mapper{gap: m.SessionGap, closed: m.Closed}
	program, each, begins, lists := m.Transform, "", "", ""
	if m.Format != "" && m.Format != "canonical" {
		f, ok := PresetNamed(m.Format)
		if !ok {
			return nil, fmt.Errorf("format %q is not known: it is one of canonical, %s", m.Format, strings.Join(presetNames(), ", "))
		}
		out.preset = program == ""
		program = cmp.Or(program, f.Program)
		m.GroupBy, m.SortBy = cmp.Or(m.GroupBy, f.GroupBy), cmp.Or(m.SortBy, f.SortBy)
		out.gap, out.shape = cmp.Or(out.gap, f.SessionGap), shape{marks: f.Marks, wholeArray: f.WholeArray, explains: out.preset && f.Lists != ""}
		if out.closed.Rule == "" {
			out.closed = f.Closed
		}
		each, begins, out.joinsPages = f.Each, f.Begins, f.JoinsPages
		if out.preset {
			lists = f.Lists
		}
	}
	if out.gap != 0 && (m.GroupBy == "" || m.SortBy == "") {
		return nil, errors.New("session_gap needs group_by, and sort_by with the time of a record")
	}
	if m.SortBy != "" && m.GroupBy == "" {
		return nil, errors.New("sort_by sorts the records of a group: set group_by as well")
	}
	if m.GroupBy != "" && program == "" {
		return nil, errors.New("group_by needs a format or a transform that makes a transcript of a group")
	}
	var err error
	if out.transform, err = jq.Compile(cmp.Or(program, "."), limits); err != nil {
		return nil, fmt.Errorf("transform: %w", err)
	}
	for _, p := range []struct {
		name, text string
		to         **jq.Program
	}{{"group_by", m.GroupBy, &out.groupBy}, {"sort_by", m.SortBy, &out.sortBy}, {"each", each, &out.each}, {"begins", begins, &out.begins}, {"lists", lists, &out.lists}} {
		if p.text == "" {
			continue
		}
		if *p.to, err = jq.Compile(p.text, limits, out.transform); err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
	}
	if out.begins != nil {
		if out.begins, err = out.begins.OfEach(); err != nil {
			return nil, fmt.Errorf("begins: %w", err)
		}
	}
	return out, nil
}

// one runs a program that yields one value.
func one(ctx context.Context, p *jq.Program, value any, vars jq.Vars) (any, error) {
	results, err := p.Run(ctx, value, vars)
	switch {
	case err != nil:
		return nil, err
	case len(results) != 1:
		return nil, &jq.Error{Message: fmt.Sprintf("it yields %d values instead of one", len(results))}
	}
	return results[0], nil
}

// transformFailed is what a failure of a program means for a record.
func transformFailed(program string, err error) *RejectError {
	e, ok := errors.AsType[*jq.Error](err)
	if !ok {
		return reject(RejectTransformFailed, "%s failed: %v", program, err)
	}
	if reason, refused := strings.CutPrefix(e.Raised, jq.Refused); refused {
		return reject(RejectRefused, "%s", reason)
	}
	if lack, foreign := strings.CutPrefix(e.Raised, jq.Foreign); foreign {
		return reject(RejectNotATranscript, "the record is not of this format: %s: correct source.format, or leave the record out", lack)
	}
	where := ""
	if e.Part != "" {
		where = " in " + e.Part
	}
	cure := "correct the program or the record"
	if program == "the format" {
		cure = "correct the record, or leave it out"
	}
	return reject(RejectTransformFailed, "%s failed%s: %s: %s", program, where, e.Message, cure)
}

// Dropped counts what a mapping left out of the transcripts, by kind.
type Dropped map[string]int64

// Kinds returns the kinds, the most frequent first.
func (d Dropped) Kinds() []string {
	kinds := make([]string, 0, len(d))
	for kind := range d {
		kinds = append(kinds, kind)
	}
	slices.SortFunc(kinds, func(a, b string) int { return cmp.Or(cmp.Compare(d[b], d[a]), cmp.Compare(a, b)) })
	return kinds
}
