package source

import (
	"fmt"
	"os"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

// presetTable is the table of presets/README.md.
func presetTable() string {
	var b strings.Builder
	b.WriteString("| format | expects | external id | e-mail, phone, name | closed |\n| --- | --- | --- | --- | --- |\n")
	for _, p := range Presets() {
		var closed string
		switch {
		case p.SessionGap > 0:
			closed = fmt.Sprintf("sessions end at a pause of %s", strings.TrimSuffix(p.SessionGap.String(), "0s"))
		case p.Closed.Rule == ClosedByFile:
			closed = "always"
		case p.Closed.Rule == ClosedIdle:
			closed = "as the record says, else idle " + strings.TrimSuffix(strings.TrimSuffix(p.Closed.Idle.String(), "0s"), "0m")
		default:
			closed = "as the record says"
		}
		escape := strings.NewReplacer("|", `\|`, "<", `\<`, "*", `\*`).Replace
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", p.Name, escape(p.Export), escape(p.ExternalID), escape(p.OtherIDs), closed)
	}
	return b.String()
}

// TestPresetTable holds presets/README.md against the formats, which say all of it.
func TestPresetTable(t *testing.T) {
	t.Parallel()
	const path = "presets/README.md"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := strings.Index(string(text), "| format |")
	if at < 0 {
		t.Fatalf("%s has no table", path)
	}
	end := at
	for end < len(text) && text[end] == '|' {
		end += strings.Index(string(text[end:]), "\n") + 1
	}
	if *updatePresets {
		if err := os.WriteFile(path, []byte(string(text[:at])+presetTable()+string(text[end:])), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := gocmp.Diff(string(text[at:end]), presetTable()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
	for _, p := range Presets() {
		if p.Export == "" || p.ExternalID == "" || p.OtherIDs == "" {
			t.Errorf("%s does not say what it expects and who the customer is", p.Name)
		}
	}
}
