package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"io"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"dixa-import/dixa/sandbox"
	"dixa-import/importer/checkpoint"
)

// TestNoCellIsAFormula: an id, an error and a partial error that a spreadsheet would compute stay texts.
func TestNoCellIsAFormula(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"=1+1": "'=1+1", "+45 12": "'+45 12", "-2": "'-2", "@sum(a1)": "'@sum(a1)", "\t=1": "'\t=1", "\r=1": "'\r=1", "\n=1": "'\n=1", "＝1": "'＝1",
		"": "", "t-1": "t-1", "a=b": "a=b", "'=1": "'=1",
	} {
		row := transcriptJSON{TranscriptID: value, Error: value, EndUserID: value,
			PartialErrors: []partialErrorJSON{{Kind: checkpoint.PartialErrorKind(value), Message: "x"}}}.csv()
		for _, i := range []int{1, 4, 6} {
			if row[i] != want {
				t.Errorf("%q became %q, want %q", value, row[i], want)
			}
		}
		if last := row[slices.Index(csvHeads, "partial_errors")]; value != "" && !strings.HasPrefix(last, want) {
			t.Errorf("the partial error of %q became %q", value, last)
		}
	}
	api := sandbox.New(sandbox.Options{})
	server := httptest.NewServer(api)
	t.Cleanup(server.Close)
	r := &reporter{T: t, dir: t.TempDir()}
	file := r.write("t.jsonl", `{"id": "=HYPERLINK(\"http://x\")", "closed_at": "2026-11-19T08:00:00Z", "messages": 7}`+"\n"+`{"id": "@x", "closed_at": "soon"}`+"\n")
	r.config = r.write("config.yaml", "database: 'sqlite:"+r.dir+"/c.db'\nsource: {name: bot, jsonl: {paths: ['"+file+"']}}\n"+"dixa: {base_url: '"+server.URL+"', token: '"+api.Token()+"'}\n")
	if code := r.run("run"); code != exitIncomplete {
		t.Fatalf("the run ended with %d", code)
	}
	var out bytes.Buffer
	if err := run(context.Background(), []string{"--config", r.config, "errors", "--format", "csv"}, strings.NewReader(""), &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&out).ReadAll()
	if err != nil || len(rows) != 3 {
		t.Fatalf("%v, %v", rows, err)
	}
	if ids := []string{rows[1][1], rows[2][1]}; !slices.Contains(ids, `'=HYPERLINK("http://x")`) || !slices.Contains(ids, "'@x") {
		t.Errorf("the ids are %q", ids)
	}
}
