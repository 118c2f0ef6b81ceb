package source

import (
	"cmp"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
)

var updatePresets = flag.Bool("presets.update", false, "write what presets make of their samples to the .want files, for a person to read")

// presetNow is the present in the tests of presets.
var presetNow = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

// presetSample is an export below testdata/presets: a file, or a folder whose files belong together.
type presetSample struct {
	preset, path string
}

func (s presetSample) name() string { return s.preset + "/" + filepath.Base(s.path) }

// files returns the paths of the sample's files.
func (s presetSample) files(t testing.TB) []string {
	t.Helper()
	info, err := os.Stat(s.path)
	if err != nil {
		t.Fatal(err)
	}
	if !info.IsDir() {
		return []string{s.path}
	}
	files, err := filepath.Glob(s.path + "/*")
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// presetSamples returns all samples.
func presetSamples(t testing.TB) []presetSample {
	t.Helper()
	paths, err := filepath.Glob("testdata/presets/*/*")
	if err != nil {
		t.Fatal(err)
	}
	paths = slices.DeleteFunc(paths, func(path string) bool { return filepath.Ext(path) == ".want" })
	samples := make([]presetSample, len(paths))
	for i, path := range paths {
		samples[i] = presetSample{filepath.Base(filepath.Dir(path)), path}
	}
	return samples
}

// openPreset opens files in a format.
func openPreset(t testing.TB, m Mapping, paths ...string) *Mapped {
	t.Helper()
	s, err := OpenMapped(presetConfig(paths...), m)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// presetConfig says how files are read: tables by their names.
func presetConfig(paths ...string) JSONLConfig {
	c := JSONLConfig{Paths: paths, Now: func() time.Time { return presetNow }}
	if ext := filepath.Ext(paths[0]); ext == ".csv" || ext == ".tsv" {
		c.CSV, c.TimeZone = &CSVConfig{}, time.UTC
	}
	if strings.Contains(paths[0], ".windows-1252.") {
		c.Encoding = "windows-1252"
	}
	return c
}

// mappedText opens a file with a text under a mapping.
func mappedText(t testing.TB, text string, m Mapping) *Mapped {
	t.Helper()
	path := filepath.Join(t.TempDir(), "export.json")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return openPreset(t, m, path)
}

// chats writes what a reader yields as a text: every field of every transcript, the rejected records, and what was dropped.
func chats(t testing.TB, s Reader) string {
	t.Helper()
	var b strings.Builder
	for r, err := range s.Read(t.Context(), time.Time{}) {
		if err != nil {
			t.Fatal(err)
		}
		if r.EndOfFile {
			continue
		}
		tr, err := r.Transcript()
		if err != nil {
			fmt.Fprintf(&b, "%s line %d: %v\n\n", filepath.Base(r.Place.Path), r.Place.Line, err)
			continue
		}
		writeChat(&b, tr)
	}
	if m, ok := s.(*Mapped); ok {
		c := m.Counts()
		fmt.Fprintf(&b, "records %d, groups %d, transcripts %d\n", c.Records, c.Groups, c.Transcripts)
		for _, kind := range c.Dropped.Kinds() {
			fmt.Fprintf(&b, "dropped %s: %d\n", kind, c.Dropped[kind])
		}
	}
	return b.String()
}

func writeChat(b *strings.Builder, tr *Transcript) {
	const layout = "2006-01-02 15:04:05.000"
	if tr.ClosedAt.IsZero() {
		fmt.Fprintf(b, "%s: open\n\n", tr.ID)
		return
	}
	fmt.Fprintf(b, "%s: %s to %s%s\n", tr.ID, tr.CreatedAt.Format(layout), tr.ClosedAt.Format(layout), map[bool]string{true: ", outbound"}[tr.Direction == Outbound])
	u := tr.EndUser
	for _, field := range [][2]string{{"external_id", u.ExternalID}, {"email", u.Email}, {"phone", u.Phone}, {"name", u.Name}} {
		if field[1] != "" {
			fmt.Fprintf(b, "  %s: %s\n", field[0], field[1])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(tr.Attributes)) {
		v := tr.Attributes[name]
		fmt.Fprintf(b, "  attribute %s: %s\n", name, cmp.Or(strings.Join(v.List, ", "), v.Text))
	}
	for _, name := range tr.Unknown {
		fmt.Fprintf(b, "  unknown field %s\n", name)
	}
	for _, m := range tr.Messages {
		fmt.Fprintf(b, "  %s %s %s %q", m.At.Format(layout), strings.TrimSpace(string(m.Role)+" "+m.AgentID), m.Format, m.Text)
		for _, a := range m.Attachments {
			fmt.Fprintf(b, " [%s %s]", a.Name, a.URL)
		}
		b.WriteString("\n")
	}
	b.WriteString("\n")
}

// TestPresets compares what each preset makes of its samples with what a person has read and found right.
func TestPresets(t *testing.T) {
	t.Parallel()
	sampled := map[string]bool{}
	for _, sample := range presetSamples(t) {
		sampled[sample.preset] = true
		t.Run(sample.name(), func(t *testing.T) {
			t.Parallel()
			got := chats(t, openPreset(t, Mapping{Format: sample.preset}, sample.files(t)...))
			want := strings.TrimSuffix(sample.path, filepath.Ext(sample.path)) + ".want"
			if *updatePresets {
				if err := os.WriteFile(want, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			text, err := os.ReadFile(want)
			if err != nil {
				t.Fatal(err)
			}
			if diff := gocmp.Diff(string(text), got); diff != "" {
				t.Errorf("the transcripts (-want +got):\n%s", diff)
			}
		})
	}
	for _, p := range Presets() {
		if !sampled[p.Name] {
			t.Errorf("there is no sample of %s below testdata/presets", p.Name)
		}
	}
}

// TestPresetsAreDetected requires that each sample is taken for what it is, and for nothing else that is as likely.
func TestPresetsAreDetected(t *testing.T) {
	t.Parallel()
	for _, sample := range presetSamples(t) {
		t.Run(sample.name(), func(t *testing.T) {
			t.Parallel()
			d, err := Detect(t.Context(), JSONLConfig{Paths: sample.files(t), Now: func() time.Time { return presetNow }})
			if err != nil || d.Format != sample.preset {
				t.Errorf("%+v, %v", d, err)
			}
		})
	}
}
