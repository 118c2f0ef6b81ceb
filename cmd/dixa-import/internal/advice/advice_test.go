package advice

import (
	"os"
	"regexp"
	"testing"
	"unicode/utf8"

	"dixa-import/importer/checkpoint"
)

// Codes that need nothing done.
var wellCodes = map[string]bool{"open": true, "empty": true, "anonymous": true, "dropped": true, "corrected": true}

func TestEveryErrorCodeHasAdvice(t *testing.T) {
	t.Parallel()
	constant := regexp.MustCompile(`(?m)^(?:\s|const )(?:Reject[A-Z]\w*\s+RejectCode|[cC]ode[A-Z]\w*)\s+= "([a-z_]+)"`)
	found := 0
	for _, path := range []string{"../../../../source/transcript.go", "../../../../importer/steps.go", "../../../../importer/internal/rules/judge.go", "../../../../importer/checkpoint/apply.go"} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range constant.FindAllStringSubmatch(string(text), -1) {
			found++
			a := Of(m[1])
			if a == "" && !wellCodes[m[1]] {
				t.Errorf("there is no advice on %s", m[1])
			}
			if n := utf8.RuneCountInString(a); n > 72 {
				t.Errorf("the advice on %s has %d characters, which do not fit a line", m[1], n)
			}
		}
	}
	if found < len(cures) {
		t.Errorf("%d codes were found for %d advices: some are of no code", found, len(cures))
	}
}

func TestEveryKindOfPartialErrorHasAdvice(t *testing.T) {
	t.Parallel()
	for _, kind := range []checkpoint.PartialErrorKind{checkpoint.KindMessage, checkpoint.KindAttachment, checkpoint.KindAssignment,
		checkpoint.KindAttribute, checkpoint.KindAdopted, checkpoint.KindDuplicate, checkpoint.KindOther} {
		if c := Partial[kind]; c.Means == "" || c.Advice == "" {
			t.Errorf("there is no advice on %s", kind)
		}
	}
	for code, c := range cures {
		if c.Means == "" || c.Advice == "" {
			t.Errorf("there is something missing about %s", code)
		}
	}
	for k, c := range reasons {
		if c.Means == "" || c.Advice == "" || cures[k.code].Advice == "" {
			t.Errorf("there is something missing about %v", k)
		}
	}
}

// TestAFactAndItsAdviceAreToldOnce: of rows with a reason, without one, and of earlier versions.
func TestAFactAndItsAdviceAreToldOnce(t *testing.T) {
	t.Parallel()
	const firewall = "have the firewall let it through, or change what it objects to in the record: run `dixa-import retry --code forbidden` when that is done"
	for _, tt := range []struct {
		code, reason, text string
		fact, advice       string
	}{
		{"refused", "", "import: Dixa answered 422: no", "import: Dixa answered 422: no", cures["refused"].Advice},
		{"refused", "attachment", "import: Dixa answered 400: Failure to download attachment", "import: Dixa answered 400: Failure to download attachment", "make the attachment's URL reachable for Dixa, or remove it"},
		{"refused", "unreadable", "import: Dixa answered 400: Decoding failure in request", "import: Dixa answered 400: Decoding failure in request", "Dixa could not read the request: look for unusual ids, times and texts"},
		{"refused", "not_known_here", "import: Dixa answered 422: no", "import: Dixa answered 422: no", cures["refused"].Advice},
		{"refused", "", "import: Dixa answered 422: no: correct the record", "import: Dixa answered 422: no", "correct the record"},
		{"refused", "", "import: Dixa answered 400: Decoding failure in request: Dixa could not read the request: look for unusual ids, times and texts",
			"import: Dixa answered 400: Decoding failure in request", "Dixa could not read the request: look for unusual ids, times and texts"},
		{"forbidden", "", "import: Dixa answered 403 Forbidden (text/html): 403 with an HTML page, probably a firewall that objects to something in it, for Dixa accepts the token elsewhere: " + firewall,
			"import: Dixa answered 403 Forbidden (text/html): 403 with an HTML page, probably a firewall that objects to something in it, for Dixa accepts the token elsewhere", firewall},
		{"forbidden", "page", "import: Dixa answered 403 Forbidden (text/html), although Dixa accepts the token elsewhere",
			"import: Dixa answered 403 Forbidden (text/html), although Dixa accepts the token elsewhere", reasons[key{"forbidden", "page"}].Advice},
	} {
		row := checkpoint.Row{Status: checkpoint.Failed, ErrorCode: tt.code, Reason: tt.reason, Error: tt.text}
		if got := Fact(row); got != tt.fact {
			t.Errorf("%q: the fact is %q", tt.text, got)
		}
		if got := For(row).Advice; got != tt.advice {
			t.Errorf("%q: the advice is %q, want %q", tt.text, got, tt.advice)
		}
	}
	// What is told of a rejected record names the cure itself.
	rejected := checkpoint.Row{ID: "a", Status: checkpoint.Rejected, ErrorCode: "invalid_field", Error: "t.jsonl:3: direction is neither inbound nor outbound: correct the record"}
	if Fact(rejected) != rejected.Error || For(rejected).Advice != cures["invalid_field"].Advice {
		t.Errorf("a rejection became %q with %q", Fact(rejected), For(rejected).Advice)
	}
}
