package main

import (
	"testing"

	"dixa-import/dixa/sandbox"
)

func TestFaultsOfTheCommandLine(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct {
		fault      sandbox.Fault
		hits, miss string
	}{
		"patch_attributes:error_before:500":        {fault: sandbox.Fault{Operation: sandbox.PatchAttributes, Kind: sandbox.ErrorBefore, Status: 500}},
		"any:throttle:0.1":                         {fault: sandbox.Fault{Kind: sandbox.Throttle, Probability: 0.1}},
		"import:html_body:403:match=<script>":      {sandbox.Fault{Operation: sandbox.Import, Kind: sandbox.HTMLBody, Status: 403}, `{"value":"<script>"}`, "script"},
		"find_end_users:html_body:403:1:match=a:b": {sandbox.Fault{Operation: sandbox.FindEndUsers, Kind: sandbox.HTMLBody, Status: 403, Probability: 1}, "x a:b", "a b"},
	} {
		got, err := parseFault(text)
		if err != nil || got.Operation != want.fault.Operation || got.Kind != want.fault.Kind || got.Status != want.fault.Status || got.Probability != want.fault.Probability {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
		if (got.Match != nil) != (want.hits != "") || got.Match != nil && (!got.Match([]byte(want.hits)) || got.Match([]byte(want.miss))) {
			t.Errorf("%s matches the wrong requests", text)
		}
	}
	for _, text := range []string{"import", "nothing:error_before", "import:nothing", "import:error_before:7", "match=x", "import:match=x"} {
		if _, err := parseFault(text); err == nil {
			t.Errorf("%s is taken", text)
		}
	}
}
