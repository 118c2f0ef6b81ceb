package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"dixa-import/cmd/dixa-import/internal/report"
	"dixa-import/dixa/sandbox"
)

// requireChromium makes a test that needs a browser fail instead of being skipped where there is none.
const requireChromium = "DIXA_IMPORT_REQUIRE_CHROMIUM"

// chromium runs a browser without a window, and without a way to any network, and returns what it prints.
func chromium(t *testing.T, args ...string) string {
	t.Helper()
	var path string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		if os.Getenv(requireChromium) == "1" {
			t.Fatal("there is no Chromium in PATH")
		}
		t.Skipf("SKIPPED: there is no Chromium in PATH; install it, or set %s=1 to make this a failure", requireChromium)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, append([]string{"--headless", "--no-sandbox", "--disable-gpu", "--user-data-dir=" + t.TempDir(),
		"--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-default-apps",
		"--disable-dev-shm-usage", "--host-resolver-rules=MAP * ~NOTFOUND"}, args...)...)
	cmd.WaitDelay = 10 * time.Second
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		t.Fatalf("the browser ended with %v: %s", err, problems.String())
	}
	return out.String()
}

// reporter is a checkpoint after a run with all sorts of trouble.
type reporter struct {
	*testing.T
	dir, config string
	api         *sandbox.Server
}

const nastyID = `<img src=x onerror="document.title='taken over'">`

// setupReport makes a run over good and bad transcripts, some with nasty names, from a file with a nasty name.
func setupReport(t *testing.T, bad int) *reporter {
	t.Helper()
	r := &reporter{T: t, dir: t.TempDir(), api: sandbox.New(sandbox.Options{Faults: []sandbox.Fault{
		// The first that wants a request has it: this one comes only once, even if the third import is that of t-7.
		{Operation: sandbox.Import, Kind: sandbox.Throttle, Nth: 3},
		{Operation: sandbox.Import, Kind: sandbox.ErrorBefore, Status: 422, Match: func(body []byte) bool { return bytes.Contains(body, []byte(`"bot/t-7"`)) }}}})}
	server := httptest.NewServer(r.api)
	t.Cleanup(server.Close)
	var lines strings.Builder
	chat := func(id, closed, messages string) {
		fmt.Fprintf(&lines, `{"id": %q, "closed_at": %q, "end_user": {"email": "ann@example.org"}, "messages": [%s], "attributes": {"contact_reason": "nonsense"}}`+"\n", id, closed, messages)
	}
	const hello = `{"role": "user", "text": "Hello, secret-word"}`
	for i := range 12 {
		chat(fmt.Sprintf("t-%d", i), "2026-11-19T08:00:00Z", hello)
	}
	chat(nastyID, "2026-11-19 08:00:00", hello)
	for i := range bad {
		chat(fmt.Sprintf("bad-%d", i), "2026-11-19T08:00:00Z", "")
	}
	r.write("t<b>1.jsonl", lines.String())
	r.config = r.write("config.yaml", fmt.Sprintf("dixa: {base_url: %q, token: %q, rate: 0, conversation_url: 'https://acme.dixa.com/conversation/{id}'}\ntranscripts: {empty: reject}\ndatabase: 'sqlite:%s'\n"+
		"source: {name: bot, jsonl: {paths: ['%s']}}\nattributes: {contact_reason: contact_reason}\n",
		server.URL, r.api.Token(), filepath.Join(r.dir, "c.db"), filepath.Join(r.dir, "t<b>1.jsonl")))
	if code := r.run("run"); code != exitIncomplete {
		t.Fatalf("the run ended with %d", code)
	}
	return r
}

func (r *reporter) write(name, text string) string {
	r.Helper()
	path := filepath.Join(r.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		r.Fatal(err)
	}
	return path
}

func (r *reporter) run(args ...string) int {
	r.Helper()
	err := run(context.Background(), append([]string{"--config", r.config, "--log-level", "error"}, args...), strings.NewReader(""), io.Discard, io.Discard)
	return exitCode(err)
}

// report writes a report and returns the file and what is in it.
func (r *reporter) report(args ...string) (path, html string) {
	r.Helper()
	path = filepath.Join(r.dir, "report.html")
	if code := r.run(append([]string{"report", "--output", path}, args...)...); code != exitOK {
		r.Fatalf("the report ended with %d", code)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		r.Fatal(err)
	}
	return path, string(b)
}

func wantIn(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("there is no %q", part)
		}
	}
}

var addresses = regexp.MustCompile(`(?i)(?:https?:)?//[a-z0-9.-]+|(?:src|srcset|@import|url)\s*[=(]\s*\S+`)

func TestAReportNeedsNothingElse(t *testing.T) {
	t.Parallel()
	r := setupReport(t, 3)
	_, html := r.report()
	wantIn(t, html, "Run 1 of bot", "It finished, but not everything was imported", ">partial</dt>", ">answers 429</dt>", "Transcripts a second",
		"Answers 429 a second", "<code>refused</code>", "no_messages", "dixa-import", "errors --code no_messages --format transcripts", "write the checkpoint", "import</th>",
		"&lt;img src=x onerror=", "t&lt;b&gt;1.jsonl:13", "default-src 'none'")
	for _, found := range addresses.FindAllString(html, -1) {
		if found != "//acme.dixa.com" && found != "https://acme.dixa.com" && !strings.HasPrefix(found, `src=x`) {
			t.Errorf("the report refers to %s", found)
		}
	}
	for _, secret := range []string{"secret-word", "ann@example.org", "nonsense", r.api.Token()} {
		if strings.Contains(html, secret) {
			t.Errorf("the report holds %q", secret)
		}
	}
}

func TestAReportInABrowser(t *testing.T) {
	t.Parallel()
	r := setupReport(t, 30)
	path, _ := r.report()
	address := url.URL{Scheme: "file", Path: path}
	dom := chromium(t, "--dump-dom", address.String())
	wantIn(t, dom, "<title>Run 1 of bot: It finished", "&lt;img src=x onerror=")
	if strings.Contains(dom, "<img") || strings.Contains(dom, "<b>1.jsonl") || strings.Contains(dom, "<title>taken over") {
		t.Error("a name from the source became a part of the page")
	}
	if strings.Contains(dom, `class="search" hidden`) {
		t.Error("the script did not run")
	}
	address.Fragment = "search=refused t-7"
	dom = chromium(t, "--dump-dom", address.String())
	wantIn(t, dom, "1 of 32 shown")
	if hidden := strings.Count(dom, `<tr role="row" hidden="">`); hidden != 31 {
		t.Errorf("%d rows are hidden, want 31", hidden)
	}
	pdf := filepath.Join(r.dir, "report.pdf")
	chromium(t, "--print-to-pdf="+pdf, "--no-pdf-header-footer", address.String())
	if b, err := os.ReadFile(pdf); err != nil || !bytes.HasPrefix(b, []byte("%PDF")) {
		t.Errorf("it cannot be printed: %v", err)
	}
}

func TestAReportOfManyFailures(t *testing.T) {
	t.Parallel()
	r := setupReport(t, report.MaxRows+10)
	_, html := r.report("--run", "1")
	wantIn(t, html, "<p>5,012 transcripts that this run was the last to work on; the first 5000 of them are listed")
	if rows := strings.Count(html, `<th role="rowheader"`); rows != report.MaxRows {
		t.Errorf("%d rows, want %d", rows, report.MaxRows)
	}
}
