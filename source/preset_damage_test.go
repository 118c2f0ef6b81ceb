package source

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"dixa-import/source/internal/jq"
)

var indexes = regexp.MustCompile(`\[\d+\]`)

// damagedCopies calls visit with copies of a value in which one part is replaced by one of another type. Parts at the same path, but for the places in
// arrays, are replaced twice at most, as visited counts.
func damagedCopies(v any, visited map[string]int, visit func(path string, replaced, copy any)) {
	var walk func(path string, at any, put func(any))
	walk = func(path string, at any, put func(any)) {
		general := indexes.ReplaceAllString(path, "")
		visited[general]++
		if visited[general] > 2 {
			return
		}
		for _, x := range []any{nil, "x", []any{}, map[string]any{}} {
			put(x)
			visit(fmt.Sprintf("%s = %#v", path, x), at, v)
		}
		put(at)
		switch at := at.(type) {
		case map[string]any:
			for name, inner := range at {
				walk(path+"."+name, inner, func(x any) { at[name] = x })
				delete(at, name)
				visit(path+"."+name+" is gone", inner, v)
				at[name] = inner
			}
		case []any:
			for i, inner := range at {
				walk(fmt.Sprintf("%s[%d]", path, i), inner, func(x any) { at[i] = x })
			}
		}
	}
	records, ok := v.([]any)
	if !ok {
		records = []any{v}
	}
	for _, record := range records {
		if record, ok := record.(map[string]any); ok {
			for name, inner := range record {
				walk("."+name, inner, func(x any) { record[name] = x })
			}
		}
	}
}

// TestPresetsLoseNoMessages changes one field after the other of every sample. A program may then refuse the record, fail on it, or drop a message and
// count it: but no message may vanish, unless the field is an array or an object with messages in it.
func TestPresetsLoseNoMessages(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it runs every format thousands of times")
	}
	for _, sample := range presetSamples(t) {
		if info, err := os.Stat(sample.path); err != nil || info.IsDir() || !strings.HasPrefix(filepath.Ext(sample.path), ".json") {
			continue
		}
		t.Run(sample.name(), func(t *testing.T) {
			t.Parallel()
			s := openPreset(t, Mapping{Format: sample.preset}, sample.path)
			var records []any
			_, err := s.frames(t.Context(), s.inputs[0], &s.done, s.logger, func(f frame) bool {
				if v, err := jq.Parse(f.data); err == nil && !f.end {
					records = append(records, v)
				}
				return true
			})
			if err != nil {
				t.Fatal(err)
			}
			visited := map[string]int{}
			for _, v := range records {
				whole, _ := s.mapper.messagesOf(t, v, sample.path)
				damagedCopies(v, visited, func(path string, replaced, copy any) {
					n, ok := s.mapper.messagesOf(t, copy, sample.path)
					if ok && n < whole-holds(replaced)-entries[sample.preset] {
						t.Errorf("%s: %d messages of %d are left", path, n, whole)
					}
				})
			}
		})
	}
}

// entries are how many more than one a message, or a span, of a format may stand for: what is dropped of it is counted apart.
var entries = map[string]int{"ada": 1, "anthropic-messages": 2, "chatwoot": 1, "dialogflow-cx-history": 1, "langfuse": 1, "otel-genai": 5, "vercel-ai": 5}

// holds is how many messages a part of a record may stand for.
func holds(part any) int {
	n := 0
	switch part := part.(type) {
	case []any:
		n = len(part)
		for _, v := range part {
			n += holds(v)
		}
	case map[string]any:
		n = 1
		for _, v := range part {
			n += holds(v)
		}
	case string:
		if strings.HasPrefix(part, "{") || strings.HasPrefix(part, "[") {
			if v, err := jq.Parse([]byte(part)); err == nil {
				n = holds(v)
			}
		}
	}
	return n
}

// messagesOf counts what a mapping makes of one record alone: messages and what is dropped. ok is false if it refuses the record or fails.
func (m *mapper) messagesOf(t *testing.T, v any, file string) (n int, ok bool) {
	t.Helper()
	data, err := jq.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	value, err := jq.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	vars := jq.Vars{File: file, Tables: []any{}, Columns: []any{}}
	rows := []any{value}
	if m.each != nil {
		if rows, err = m.each.Run(t.Context(), value, vars); err != nil {
			return 0, false
		}
	}
	for _, row := range rows {
		if object, ok := row.(map[string]any); ok && object["_drop"] != nil {
			n++
			continue
		}
		input := row
		if m.groupBy != nil {
			key, err := one(t.Context(), m.groupBy, row, vars)
			if err != nil || key == nil {
				return 0, false
			}
			input = []any{row}
		}
		results, err := m.transform.Run(t.Context(), input, vars)
		if err != nil || len(results) == 0 {
			return 0, false
		}
		for _, result := range results {
			object, _ := result.(map[string]any)
			messages, _ := object["messages"].([]any)
			n += len(messages)
			if object["_drop"] != nil {
				n++
			}
		}
	}
	return n, true
}

// zoneOf finds the zones of times that are written as texts.
var zoneOf = regexp.MustCompile(`(\d\d:\d\d(?::\d\d(?:\.\d+)?)?)(?:Z|[+-]\d\d:?\d\d)`)

// TestPresetsSayThatZonesAreMissing takes the zones from the times of every sample. What is rejected for that must say so, and a zone must cure it.
func TestPresetsSayThatZonesAreMissing(t *testing.T) {
	t.Parallel()
	for _, sample := range presetSamples(t) {
		t.Run(sample.name(), func(t *testing.T) {
			t.Parallel()
			read := func(zone *time.Location, strip bool) (chats int, reasons string) {
				var paths []string
				dir := t.TempDir()
				for _, file := range sample.files(t) {
					text, err := os.ReadFile(file)
					if err != nil {
						t.Fatal(err)
					}
					if strip {
						text = zoneOf.ReplaceAll(text, []byte("$1"))
					}
					paths = append(paths, filepath.Join(dir, filepath.Base(file)))
					if err := os.WriteFile(paths[len(paths)-1], text, 0o600); err != nil {
						t.Fatal(err)
					}
				}
				c := presetConfig(paths...)
				c.TimeZone = zone
				s, err := OpenMapped(c, Mapping{Format: sample.preset})
				if err != nil {
					t.Fatal(err)
				}
				closed, rejected := idsOf(t, s)
				return len(closed), strings.Join(rejected, "\n")
			}
			whole, before := read(time.UTC, false)
			without, reasons := read(nil, true)
			if count := strings.Count(reasons, "neither the chat nor any"); count > strings.Count(before, "neither the chat nor any") || strings.Count(reasons, "no time by which") > strings.Count(before, "no time by which") {
				t.Errorf("rejected are\n%s", reasons)
			}
			if without < whole && !strings.Contains(reasons, "has no time zone") {
				t.Errorf("%d of %d chats are left, rejected are\n%s", without, whole, reasons)
			}
			if cured, reasons := read(time.UTC, true); cured < whole {
				t.Errorf("%d of %d chats are left with a zone, rejected are\n%s", cured, whole, reasons)
			}
		})
	}
}
