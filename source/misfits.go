package source

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Misfit is a file of another format than those around it.
type Misfit struct {
	Path   string
	Format string // "": none fits
	Reason string // why none fits
}

func (m Misfit) String() string {
	if m.Format != "" {
		return m.Path + " is of the format " + m.Format
	}
	return m.Path + " is of no known format: " + m.Reason
}

// maxMisfits is how many files are looked at that are of another format.
const maxMisfits = 20

// misfits returns the files that are not of the detected format, with what they are.
func (s *JSONL) misfits(ctx context.Context, config JSONLConfig, d Detection) ([]Misfit, error) {
	var out []Misfit
	for _, in := range s.inputs {
		if len(out) == maxMisfits {
			break
		}
		if fit, err := s.of([]input{in}, nil).fitsWell(ctx, d.Format); err != nil || fit {
			if err != nil {
				return nil, err
			}
			continue
		}
		config.Paths, config.CSV, config.Encoding = []string{in.path}, nil, ""
		found, err := Detect(ctx, config)
		if err != nil {
			return nil, err
		}
		if found.Format == d.Format && found.Encoding == d.Encoding || found.Format == "" && d.CSV && found.CSV && d.Format != "" { // a table that says little without the others
			continue
		}
		reason := found.Reason
		if found.Format == d.Format {
			found.Format = ""
		}
		out = append(out, Misfit{in.path, found.Format, reason})
	}
	return out, nil
}

// fitsWell reports whether most records of s are of a format, or there are none.
func (s *JSONL) fitsWell(ctx context.Context, format string) (bool, error) {
	var m Match
	var err error
	p, ok := PresetNamed(format)
	switch {
	case ok:
		m, err = s.fits(ctx, p)
	case format == Canonical:
		m, _, _, err = s.fitsCanonical(ctx)
	default:
		return false, nil
	}
	return m.Records == 0 || 2*m.Fits > m.Records, err
}

// severalFormats says that files are of several formats, "" if they are of one at most.
func severalFormats(files []Misfit) string {
	formats := []string{}
	var parts []string
	for _, f := range files {
		if f.Format != "" && !slices.Contains(formats, f.Format) {
			formats = append(formats, f.Format)
		}
		parts = append(parts, f.String())
	}
	if len(formats) < 2 {
		return ""
	}
	return fmt.Sprintf("the files are of several formats (%s): read each format by itself", strings.Join(parts[:min(len(parts), 5)], "; "))
}

// Files returns the files that paths, folders and patterns stand for. tables says that files of tables are meant.
func Files(paths []string, tables bool) ([]string, error) {
	config := JSONLConfig{Paths: paths}
	if tables {
		config.CSV = &CSVConfig{}
	}
	s, err := OpenJSONL(config)
	if err != nil {
		return nil, err
	}
	out := make([]string, len(s.inputs))
	for i, in := range s.inputs {
		out[i] = in.path
	}
	return out, nil
}
