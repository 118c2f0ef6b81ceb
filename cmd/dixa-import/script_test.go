package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"

	"dixa-import/dixa/sandbox"
	"dixa-import/importer/checkpoint/pgtest"
)

// suite runs the tests, stops the cluster of pgtest and looks for goroutines that were left behind.
type suite struct{ pgtest.M }

func (s suite) Run() int {
	// The tests wait for processes, pauses and answers more than they compute: more of them run side by side than there are processors.
	flag.Parse()
	if at := flag.Lookup("test.parallel"); at.Value.String() == at.DefValue {
		if err := at.Value.Set("4"); err != nil {
			panic(err)
		}
	}
	code := s.M.Run()
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

func TestMain(m *testing.M) {
	testscript.Main(suite{pgtest.M{M: m}}, map[string]func(){"dixa-import": main})
}

// The scripts know these commands beside those of testscript:
//
//	exits CODE PROGRAM ARGS...                runs a program that must end with this exit code
//	interrupted CODE AFTER PROGRAM ARGS...    the same, with SIGINT after so many imports, or after a text on its standard
//	                                          output; the output is in stdout.txt and stderr.txt. With the environment variable
//	                                          THEN, a second SIGINT follows when that text is on its standard error
//	sandbox [KEY=VALUE...]                    starts a Dixa; sets SANDBOX_URL and DIXA_API_TOKEN
//	faults [FAULT...]                         sets the faults of that Dixa, FAULT*N for the first N requests; none: it is well
//	forbid OPERATION [STATUS]                 forbids an operation, or allows it again with the status 0
//	conversation VARIABLE ID                  sets a variable to the conversation of a transcript
//	dixa CONVERSATIONS END-USERS              says how many there must be (_: any number of end-users), marks aside, each transcript once, and no violation of the contract
//	agent DOES ID [TEXT]                      lets an agent take, reply in or close the conversation of a transcript, and waits for the deliveries
//	imports N                                 waits for so many imports to arrive
//	transcripts FILE N [FIRST]                writes N transcripts
//	jsonkeys SECTION [OTHER...]               holds the JSON of the last command against a section of JSON.md, and those that it refers to
//	sql STATEMENT                             runs SQL in the database POSTGRES_URL
var scriptCommands = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	"exits": cmdExits, "interrupted": cmdInterrupted, "sandbox": cmdSandbox, "dixa": cmdDixa, "imports": cmdImports,
	"faults": cmdFaults, "forbid": cmdForbid, "conversation": cmdConversation, "transcripts": cmdTranscripts, "sql": cmdSQL, "jsonkeys": cmdJSONKeys, "agent": cmdAgent,
}

func TestScripts(t *testing.T) {
	t.Parallel()
	docs, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{Dir: "testdata/script", Cmds: scriptCommands, RequireExplicitExec: true, RequireUniqueNames: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("DOCS", docs)
			return nil
		}})
}

func TestScriptsOnPostgres(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/postgres/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			url := pgtest.New(t)
			testscript.Run(t, testscript.Params{Files: []string{file}, Cmds: scriptCommands, RequireExplicitExec: true,
				Setup: func(env *testscript.Env) error {
					env.Setenv("POSTGRES_URL", url)
					return nil
				}})
		})
	}
}

func cmdExits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	if got := exitCodeOf(ts.Exec(args[1], args[2:]...)); got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

func exitCodeOf(err error) int {
	var ended *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &ended):
		return ended.ExitCode()
	}
	return -1
}

// dixaInScript is the Dixa of a script.
type dixaInScript struct {
	*sandbox.Server
	imports chan struct{} // one for each import that has arrived
}

func cmdSandbox(ts *testscript.TestScript, _ bool, args []string) {
	d := &dixaInScript{imports: make(chan struct{}, 100_000)}
	options := sandbox.Options{OnRequest: func(op sandbox.Operation, _ int) {
		if op == sandbox.Import {
			d.imports <- struct{}{}
		}
	}}
	for _, arg := range args {
		key, value, _ := strings.Cut(arg, "=")
		var err error
		switch key {
		case "auth":
			options.Auth = sandbox.Auth(value)
		case "anonymize":
			options.AnonymizeDelay, err = time.ParseDuration(value)
		case "latency":
			options.Latency, err = time.ParseDuration(value)
		case "fault":
			var fault sandbox.Fault
			fault, err = parseFault(value)
			options.Faults = append(options.Faults, fault)
		case "seed": // decides the ids of conversations, too
			options.Seed, err = strconv.ParseUint(value, 10, 64)
		case "organisation":
			options.OrganizationID = value
		case "forbid":
			options.Forbidden = map[sandbox.Operation]int{sandbox.Operation(value): 403}
		case "webhook":
			options.Webhooks = append(options.Webhooks, sandbox.Webhook{Name: value, URL: "https://hooks.example", Events: []string{"ConversationClosed"}})
		default:
			err = fmt.Errorf("unknown key %s", key)
		}
		ts.Check(err)
	}
	d.Server = sandbox.New(options)
	server := httptest.NewServer(d.Server)
	ts.Defer(server.Close)
	ts.Defer(d.Close)
	inScript(ts, d)
	ts.Setenv("SANDBOX_URL", server.URL)
	ts.Setenv("DIXA_API_TOKEN", d.Token())
}

// sandboxes are the Dixas of the scripts that run at the moment.
var sandboxes = make(chan map[*testscript.TestScript]*dixaInScript, 1)

func init() { sandboxes <- map[*testscript.TestScript]*dixaInScript{} }

// inScript sets or, with nil, gets the Dixa of a script.
func inScript(ts *testscript.TestScript, d *dixaInScript) *dixaInScript {
	all := <-sandboxes
	defer func() { sandboxes <- all }()
	if d != nil {
		all[ts] = d
	}
	return all[ts]
}

func cmdDixa(ts *testscript.TestScript, _ bool, args []string) {
	d := inScript(ts, nil)
	if got := strconv.Itoa(len(d.Conversations())); got != args[0] {
		ts.Fatalf("%s conversations, want %s", got, args[0])
	}
	people := slices.DeleteFunc(d.EndUsers(), func(u sandbox.EndUser) bool { return strings.HasPrefix(u.ExternalID, "dixa-import/") })
	if got := strconv.Itoa(len(people)); got != args[1] && args[1] != "_" {
		ts.Fatalf("%s end-users, want %s", got, args[1])
	}
	if twice := d.Duplicates(); len(twice) > 0 {
		ts.Fatalf("imported twice: %v", twice)
	}
	if bad := d.Violations(); len(bad) > 0 {
		ts.Fatalf("violations: %v", bad)
	}
}

func cmdFaults(ts *testscript.TestScript, _ bool, args []string) {
	var faults []sandbox.Fault
	for _, arg := range args {
		text, times, limited := strings.Cut(arg, "*")
		fault, err := parseFault(text)
		ts.Check(err)
		if limited {
			fault.Times, err = strconv.Atoi(times)
			ts.Check(err)
		}
		faults = append(faults, fault)
	}
	inScript(ts, nil).SetFaults(faults)
}

func cmdForbid(ts *testscript.TestScript, _ bool, args []string) {
	status := 403
	if len(args) > 1 {
		var err error
		status, err = strconv.Atoi(args[1])
		ts.Check(err)
	}
	inScript(ts, nil).Forbid(sandbox.Operation(args[0]), status)
}

func cmdConversation(ts *testscript.TestScript, _ bool, args []string) {
	ts.Setenv(args[0], strconv.FormatInt(conversationOf(ts, args[1]), 10))
}

func conversationOf(ts *testscript.TestScript, transcript string) int64 {
	for _, c := range inScript(ts, nil).Conversations() {
		if strings.HasSuffix(c.ExternalID, "/"+transcript) {
			return c.ID
		}
	}
	ts.Fatalf("%s has no conversation", transcript)
	return 0
}

func cmdAgent(ts *testscript.TestScript, _ bool, args []string) {
	const agent = "11111111-2222-4333-8444-555555555555"
	d, id := inScript(ts, nil), conversationOf(ts, args[1])
	done := false
	switch args[0] {
	case "takes":
		done = d.AgentTakes(id, agent)
	case "replies":
		done = d.AgentReplies(id, agent, args[2]) != ""
	case "closes":
		done = d.AgentCloses(id, agent)
	}
	if !done {
		ts.Fatalf("the conversation of %s is not open", args[1])
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	ts.Check(d.Settled(ctx))
}

func cmdInterrupted(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	stdout, err := os.Create(ts.MkAbs("stdout.txt"))
	ts.Check(err)
	defer func() { ts.Check(stdout.Close()) }()
	stderr, err := os.Create(ts.MkAbs("stderr.txt"))
	ts.Check(err)
	defer func() { ts.Check(stderr.Close()) }()
	said := &listener{out: stdout, text: args[1], heard: make(chan struct{}, 1)}
	events, n := (<-chan struct{})(said.heard), 1
	if imports, err := strconv.Atoi(args[1]); err == nil {
		events, n = inScript(ts, nil).imports, imports
	}
	cmd := exec.Command(args[2], args[3:]...)
	warned := &listener{out: stderr, text: ts.Getenv("THEN"), heard: make(chan struct{}, 1)}
	cmd.Dir, cmd.Stdout, cmd.Stderr = ts.MkAbs("."), said, warned
	cmd.Env = append(os.Environ(), "DIXA_API_TOKEN="+ts.Getenv("DIXA_API_TOKEN"), "SANDBOX_URL="+ts.Getenv("SANDBOX_URL"))
	ts.Check(cmd.Start())
	if !waitFor(events, n) {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		ts.Fatalf("waited in vain for %s", args[1])
	}
	ts.Check(cmd.Process.Signal(os.Interrupt))
	if warned.text != "" && waitFor(warned.heard, 1) {
		ts.Check(cmd.Process.Signal(os.Interrupt))
	}
	if got := exitCodeOf(cmd.Wait()); got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

func cmdImports(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	if !waitFor(inScript(ts, nil).imports, n) {
		ts.Fatalf("waited in vain for %d imports", n)
	}
}

// waitFor waits for n events, but not for ever.
func waitFor(events <-chan struct{}, n int) bool {
	patience := time.NewTimer(30 * time.Second)
	defer patience.Stop()
	for range n {
		select {
		case <-events:
		case <-patience.C:
			return false
		}
	}
	return true
}

// listener copies what is written and tells when a text has been in it.
type listener struct {
	out   *os.File
	seen  []byte
	text  string
	heard chan struct{}
}

func (l *listener) Write(b []byte) (int, error) {
	l.seen = append(l.seen, b...)
	if bytes.Contains(l.seen, []byte(l.text)) {
		select {
		case l.heard <- struct{}{}:
		default:
		}
	}
	return l.out.Write(b)
}

func cmdTranscripts(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	first := 1
	if len(args) > 2 {
		first, err = strconv.Atoi(args[2])
		ts.Check(err)
	}
	var out strings.Builder
	for i := first; i < first+n; i++ {
		fmt.Fprintf(&out, `{"id": "t-%d", "closed_at": "2026-11-19T08:%02d:30Z", "end_user": {"external_id": "c-%d"}, `+
			`"messages": [{"role": "user", "text": "Hello"}, {"role": "bot", "text": "Hi, what can I do?"}], "attributes": {"order_number": "%d"}}`+"\n",
			i, i%60, i%5, i)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(out.String()), 0o600))
}

func cmdSQL(ts *testscript.TestScript, _ bool, args []string) {
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, ts.Getenv("POSTGRES_URL"))
	ts.Check(err)
	defer func() { _ = conn.Close(ctx) }()
	_, err = conn.Exec(ctx, strings.Join(args, " "))
	ts.Check(err)
}

// keysOfOthers are members whose own keys are not fields: names, codes, or what Dixa calls things.
var keysOfOthers = map[string]bool{"messages": true, "dropped": true, "redacted": true, "values": true, "rejected": true, "request": true, "import": true, "attributes": true, "dixa": true, "skipped": true, "causes": true, "kinds": true}

// cmdJSONKeys holds the keys of the JSON on the standard output of the last command against what JSON.md says of the command: its section.
func cmdJSONKeys(ts *testscript.TestScript, _ bool, args []string) {
	page, err := os.ReadFile(filepath.Join(ts.Getenv("DOCS"), "JSON.md"))
	ts.Check(err)
	_, section, found := strings.Cut(string(page), "\n## "+args[0]+"\n")
	if !found {
		ts.Fatalf("JSON.md has no section %s", args[0])
	}
	section, _, _ = strings.Cut(section, "\n## ")
	for _, also := range args[1:] { // sections that this one refers to
		_, text, _ := strings.Cut(string(page), "\n## "+also+"\n")
		text, _, _ = strings.Cut(text, "\n## ")
		section += text
	}
	lines := json.NewDecoder(strings.NewReader(ts.ReadFile("stdout")))
	n := 0
	for ; lines.More(); n++ {
		var value any
		ts.Check(lines.Decode(&value))
		for _, key := range unknownKeys(value, section) {
			ts.Fatalf("JSON.md says nothing of the field %q under %s", key, args[0])
		}
	}
	if n == 0 {
		ts.Fatalf("there is no JSON")
	}
}

// unknownKeys are the keys in a JSON value that a text does not have between backquotes.
func unknownKeys(value any, text string) (unknown []string) {
	switch x := value.(type) {
	case []any:
		for _, v := range x {
			unknown = append(unknown, unknownKeys(v, text)...)
		}
	case map[string]any:
		for key, v := range x {
			if !strings.Contains(text, "`"+key+"`") {
				unknown = append(unknown, key)
			}
			object, is := v.(map[string]any)
			switch {
			case is && key == "problems": // by source
				unknown = append(unknown, unknownKeys(slices.Collect(maps.Values(object)), text)...)
			case !is || !keysOfOthers[key]:
				unknown = append(unknown, unknownKeys(v, text)...)
			}
		}
	}
	return unknown
}

func TestAKeyThatIsNotDescribedIsFound(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ in, want string }{
		{`{"a": 1, "GoesOn": 0}`, "GoesOn"},
		{`[{"a": {"b": [{"c": 1}]}}]`, "c"},
		{`{"a": null, "skipped": {"x": 1}, "b": "GoesOn"}`, ""},
		{`{"skipped": {"problems": 1}, "a": {"problems": {"bot": [{"a": 1, "x": 2}]}}}`, "problems x"},
		{`{"request": {"externalId": 1}, "b": {"a": {}}}`, ""},
	} {
		var value any
		if err := json.Unmarshal([]byte(tt.in), &value); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(unknownKeys(value, "`a` `b` `skipped` `request`"), " "); got != tt.want {
			t.Errorf("%s: %q is unknown, want %q", tt.in, got, tt.want)
		}
	}
}
