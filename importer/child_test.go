//go:build unix

package importer_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	osexec "os/exec"
	"os/signal"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"dixa-import/dixa"
	"dixa-import/dixa/sandbox"
	"dixa-import/importer"
	"dixa-import/importer/checkpoint"
	"dixa-import/importer/withdraw"
	"dixa-import/source"
)

// childSpec describes a run in a process of its own.
type childSpec struct {
	URL, API, Token, Path   string
	Timeout, Settle, Window time.Duration
	Workers, MaxAttempts    int
	Attributes              []string // with the same name in the transcripts and in Dixa
	Tags                    []string
	Grown                   importer.Grown
	Retry                   *importer.Selection
	Halt                    *halt
	Undo                    int64    // the run to undo; 0: none
	Forget                  []string // the end-users to anonymize
}

// halt is the time at which a child sends itself a signal: before or after its Nth call of one kind.
type halt struct {
	Call   string // a method of the store, "write:" and an event, or "import" or "create" for a request about to leave
	Nth    int64  // default 1
	After  bool
	Signal syscall.Signal
}

func init() { beChild = runChild }

// runChild performs the run that the specification describes, and reports its progress on standard output.
func runChild(text string) int {
	var spec childSpec
	if err := json.Unmarshal([]byte(text), &spec); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	go func() { // the child ends with its parent, which holds the other end
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(3)
	}()
	s, err := spec.run()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	line, err := json.Marshal(s)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	fmt.Printf("end %s\n", line)
	if kib, ok := peakMemory(); ok {
		fmt.Printf("peak %d\n", kib)
	}
	return 0
}

// peakMemory returns the peak memory of this process in KiB, if the system reports it. The value of wait4 for a child would include its
// parent.
func peakMemory() (kib int64, ok bool) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(status)) {
		if n, err := fmt.Sscanf(line, "VmHWM: %d kB", &kib); n == 1 && err == nil {
			return kib, true
		}
	}
	return 0, false
}

func (spec childSpec) run() (importer.Summary, error) {
	ctx := context.Background()
	store, err := checkpoint.Open(ctx, spec.URL, checkpoint.Options{})
	if err != nil {
		return importer.Summary{}, err
	}
	defer func() { _ = store.Close() }()
	client, err := dixa.New(dixa.Config{BaseURL: spec.API, Token: spec.Token, Timeout: spec.Timeout, Backoff: time.Millisecond, MaxAttempts: 3})
	if err != nil {
		return importer.Summary{}, err
	}
	reader, err := source.OpenJSONL(source.JSONLConfig{Paths: []string{spec.Path}})
	if err != nil {
		return importer.Summary{}, err
	}
	halting := &haltingStore{Store: store, halt: spec.Halt}
	if spec.Undo != 0 || spec.Forget != nil {
		cfg := importer.Config{Source: testSource, BaseURL: spec.API, AgentID: sandbox.DefaultAgentID, RequestTimeout: spec.Timeout, Settle: spec.Settle, SendWindow: spec.Window}
		w := withdraw.New(cfg, halting, client, withdraw.Options{Wait: time.Minute})
		if spec.Forget != nil {
			_, err = w.AnonymizeEndUsers(ctx, spec.Forget)
		} else {
			_, err = w.Anonymize(ctx, spec.Undo)
		}
		return importer.Summary{}, err
	}
	im, err := importer.New(importer.Config{
		Empty:  importer.EmptyReject, // so that some records are rejected
		Source: testSource, Reader: reader, Store: halting, API: haltingAPI{client, halting}, BaseURL: spec.API,
		AgentID: sandbox.DefaultAgentID, Region: "DK", Attributes: mappings(spec.Attributes), Tags: spec.Tags, Grown: spec.Grown, Workers: spec.Workers, MaxAttempts: spec.MaxAttempts,
		RequestTimeout: spec.Timeout, Settle: spec.Settle, SendWindow: spec.Window, Retry: spec.Retry,
		Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
	if err != nil {
		return importer.Summary{}, err
	}
	return im.Run(ctx)
}

func mappings(names []string) []importer.AttributeMapping {
	var list []importer.AttributeMapping
	for _, name := range names {
		list = append(list, importer.AttributeMapping{Name: name, Attribute: name})
	}
	return list
}

// haltingStore is the store of a child: it reports the id of the run, and halts the process at the given call.
type haltingStore struct {
	*checkpoint.Store
	halt  *halt
	calls atomic.Int64
}

// do performs a call that has the given kinds.
func (s *haltingStore) do(call func(), kinds ...string) {
	halts := false
	for _, kind := range kinds {
		halts = halts || s.halt != nil && s.halt.Call == kind && s.calls.Add(1) == max(s.halt.Nth, 1)
	}
	if halts && !s.halt.After {
		haltSelf(s.halt.Signal)
	}
	call()
	if halts && s.halt.After {
		haltSelf(s.halt.Signal)
	}
}

// haltingAPI halts the process right before an import or a creation is written to the socket.
type haltingAPI struct {
	importer.API
	store *haltingStore
}

func (a haltingAPI) ImportConversation(ctx context.Context, in dixa.ConversationImport,
	before func(context.Context, int, error) (time.Time, error)) (dixa.ImportResult, error) {
	return a.API.ImportConversation(ctx, in, a.halting("import", before))
}

func (a haltingAPI) CreateEndUser(ctx context.Context, u dixa.NewEndUser,
	before func(context.Context, int, error) (time.Time, error)) (dixa.EndUser, error) {
	return a.API.CreateEndUser(ctx, u, a.halting("create", before))
}

func (a haltingAPI) CreateEndUsers(ctx context.Context, users []dixa.NewEndUser,
	before func(context.Context, int, error) (time.Time, error)) ([]dixa.BulkResult, error) {
	return a.API.CreateEndUsers(ctx, users, a.halting("create", before))
}

func (a haltingAPI) halting(kind string, before func(context.Context, int, error) (time.Time, error)) func(context.Context, int, error) (time.Time, error) {
	return func(ctx context.Context, attempt int, previous error) (notAfter time.Time, err error) {
		a.store.do(func() { notAfter, err = before(ctx, attempt, previous) }, kind)
		return notAfter, err
	}
}

// haltSelf sends the signal to this process. It returns when the process is woken, if ever.
func haltSelf(sig syscall.Signal) {
	woken := make(chan os.Signal, 1)
	signal.Notify(woken, syscall.SIGCONT)
	defer signal.Stop(woken)
	_ = syscall.Kill(os.Getpid(), sig)
	<-woken
}

func (s *haltingStore) StartRun(ctx context.Context, source, command string) (run int64, err error) {
	s.do(func() {
		if run, err = s.Store.StartRun(ctx, source, command); err == nil {
			fmt.Printf("run %d\n", run) // before the run can claim anything
		}
	}, "StartRun")
	return run, err
}

func (s *haltingStore) FinishRun(ctx context.Context, run int64, outcome string, b checkpoint.Beat) (err error) {
	s.do(func() { err = s.Store.FinishRun(ctx, run, outcome, b) }, "FinishRun")
	return err
}

func (s *haltingStore) Bind(ctx context.Context, source string, b checkpoint.Binding, rebind bool) (err error) {
	s.do(func() { err = s.Store.Bind(ctx, source, b, rebind) }, "Bind")
	return err
}

func (s *haltingStore) Claim(ctx context.Context, source string, run int64, requests []checkpoint.ClaimRequest) (rows []checkpoint.Row, err error) {
	s.do(func() { rows, err = s.Store.Claim(ctx, source, run, requests) }, "Claim")
	return rows, err
}

func (s *haltingStore) Write(ctx context.Context, source string, run int64, changes []checkpoint.Change) (results []checkpoint.Result, err error) {
	var kinds []string
	for _, c := range changes {
		kinds = append(kinds, "write:"+string(c.Event))
	}
	s.do(func() { results, err = s.Store.Write(ctx, source, run, changes) }, kinds...)
	return results, err
}

func (s *haltingStore) SaveStep(ctx context.Context, source string, run int64, c checkpoint.StepChange) (saved bool, err error) {
	s.do(func() { saved, err = s.Store.SaveStep(ctx, source, run, c) }, "step:"+string(c.Step.State))
	return saved, err
}

func (s *haltingStore) BeginWithdrawal(ctx context.Context, w checkpoint.Withdrawal, me string, window time.Duration) (begun bool, err error) {
	s.do(func() { begun, err = s.Store.BeginWithdrawal(ctx, w, me, window) }, "BeginWithdrawal")
	return begun, err
}

func (s *haltingStore) EndWithdrawal(ctx context.Context, w checkpoint.Withdrawal) (err error) {
	s.do(func() { err = s.Store.EndWithdrawal(ctx, w) }, "EndWithdrawal:"+string(w.State))
	return err
}

func (s *haltingStore) ClearRejected(ctx context.Context, source string, run int64, file string) (err error) {
	s.do(func() { err = s.Store.ClearRejected(ctx, source, run, file) }, "ClearRejected")
	return err
}

func (s *haltingStore) Touch(ctx context.Context, source string, run int64, ids []string) (err error) {
	s.do(func() { err = s.Store.Touch(ctx, source, run, ids) }, "Touch")
	return err
}

func (s *haltingStore) ReserveEndUsers(ctx context.Context, organisation string, run int64, persons [][]checkpoint.Identifier) (answers []checkpoint.Reservation, err error) {
	s.do(func() { answers, err = s.Store.ReserveEndUsers(ctx, organisation, run, persons) }, "ReserveEndUsers")
	return answers, err
}

func (s *haltingStore) SaveEndUsers(ctx context.Context, organisation string, users []checkpoint.EndUser) (err error) {
	s.do(func() { err = s.Store.SaveEndUsers(ctx, organisation, users) }, "SaveEndUsers")
	return err
}

func (s *haltingStore) ReleaseEndUsers(ctx context.Context, organisation string, run int64, ids []checkpoint.Identifier) (err error) {
	s.do(func() { err = s.Store.ReleaseEndUsers(ctx, organisation, run, ids) }, "ReleaseEndUsers")
	return err
}

func (s *haltingStore) ForgetEndUser(ctx context.Context, organisation, endUserID string) (err error) {
	s.do(func() { err = s.Store.ForgetEndUser(ctx, organisation, endUserID) }, "ForgetEndUser")
	return err
}

// child is the parent's view of a run in a process of its own.
type child struct {
	*testing.T
	process *os.Process
	run     atomic.Int64  // 0 until it has started; before that it has claimed nothing
	stopped chan struct{} // receives a value whenever the process is suspended
	ended   chan struct{} // closed when it has ended and all its output is read
	status  syscall.WaitStatus
	summary *importer.Summary // of a completed run
	peak    int64             // peak memory in KiB of a completed run, on Linux
}

// spawn starts a child with the same times as world.importer.
func (w *world) spawn(path string, change func(*childSpec)) *child {
	w.Helper()
	spec := childSpec{URL: w.url, API: w.http.URL, Token: w.api.Token(), Path: path,
		Timeout: 400 * time.Millisecond, Settle: 60 * time.Millisecond, Window: sendWindow()}
	if change != nil {
		change(&spec)
	}
	text, err := json.Marshal(spec)
	if err != nil {
		w.Fatal(err)
	}
	stdout, stdoutWriter, err := os.Pipe()
	if err != nil {
		w.Fatal(err)
	}
	logged, logs, err := os.Pipe()
	if err != nil {
		w.Fatal(err)
	}
	stdin, stdinWriter, err := os.Pipe()
	if err != nil {
		w.Fatal(err)
	}
	cmd := osexec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+string(text))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, stdoutWriter, logs
	if err := cmd.Start(); err != nil {
		w.Fatal(err)
	}
	_, _, _ = stdin.Close(), stdoutWriter.Close(), logs.Close()
	c := &child{T: w.T, process: cmd.Process, stopped: make(chan struct{}, 16), ended: make(chan struct{})}
	go func() {
		c.watch(stdout, logged, w.logs)
		_ = stdinWriter.Close()
		close(c.ended)
	}()
	w.Cleanup(func() {
		c.signal(syscall.SIGKILL)
		<-c.ended
	})
	return c
}

// watch reads the output of a child until it has ended.
func (c *child) watch(stdout, logged *os.File, logs io.Writer) {
	done := make(chan struct{}, 2)
	go func() {
		defer func() { done <- struct{}{} }()
		_, _ = io.Copy(logs, logged)
		_ = logged.Close()
	}()
	go func() {
		defer func() { done <- struct{}{} }()
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			c.handleLine(lines.Text())
		}
		_ = stdout.Close()
	}()
	for {
		_, err := syscall.Wait4(c.process.Pid, &c.status, syscall.WUNTRACED, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case err != nil:
			c.Errorf("wait for a child: %v", err)
		case c.status.Stopped():
			c.stopped <- struct{}{}
			continue
		}
		break
	}
	<-done
	<-done
	_ = c.process.Release()
}

func (c *child) handleLine(line string) {
	kind, rest, _ := strings.Cut(line, " ")
	switch kind {
	case "run":
		if id, err := strconv.ParseInt(rest, 10, 64); err == nil {
			c.run.Store(id)
		}
	case "peak":
		c.peak, _ = strconv.ParseInt(rest, 10, 64)
	case "end":
		c.summary = &importer.Summary{}
		if err := json.Unmarshal([]byte(rest), c.summary); err != nil {
			c.Errorf("a child's summary is unreadable: %v", err)
		}
	}
}

func (c *child) signal(sig syscall.Signal) { _ = c.process.Signal(sig) }

// kill kills the child as a crash would, and returns when it is gone.
func (c *child) kill() {
	c.signal(syscall.SIGKILL)
	<-c.ended
}

// wait returns the summary of a child that must end by itself with the outcome.
func (c *child) wait(want importer.Outcome) importer.Summary {
	c.Helper()
	<-c.ended
	if c.summary == nil || c.summary.Outcome != want {
		c.Fatalf("the child ended with status %v and %+v, want %q", c.status, c.summary, want)
	}
	checkCounts(c.T, *c.summary)
	return *c.summary
}

// mustDie waits until the child has killed itself, or was killed.
func (c *child) mustDie() {
	c.Helper()
	<-c.ended
	if !c.status.Signaled() || c.status.Signal() != syscall.SIGKILL {
		c.Fatalf("the child ended with status %v before it was killed: %+v", c.status, c.summary)
	}
}

// mustReach waits until the channel is closed by something that the child does.
func (c *child) mustReach(happened <-chan struct{}) {
	c.Helper()
	select {
	case <-happened:
	case <-c.ended:
		c.Fatalf("the child ended too early, with status %v: %+v", c.status, c.summary)
	}
}

// mustStop waits until the child is suspended.
func (c *child) mustStop() {
	c.Helper()
	select {
	case <-c.stopped:
	case <-c.ended:
		c.Fatalf("the child ended with status %v before it was suspended: %+v", c.status, c.summary)
	}
}
