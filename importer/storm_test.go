//go:build unix

package importer_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"dixa-import/dixa"
	"dixa-import/dixa/sandbox"
	"dixa-import/importer"
	"dixa-import/importer/checkpoint"
	"dixa-import/importer/checkpoint/pgtest"
)

var (
	stormDuration    = flag.Duration("storm.duration", 12*time.Second, "duration of TestStorm")
	stormKills       = flag.Int64("storm.kills", 0, "kill this many processes, instead of running for storm.duration")
	stormSeed        = flag.Uint64("storm.seed", 0, "seed of kills and faults; 0: random")
	stormTranscripts = flag.Int("storm.transcripts", 250, "transcripts that TestStorm imports")
)

// storm kills, suspends and restarts the processes of an import.
type storm struct {
	*world
	path                        string
	tags                        []string
	grown                       importer.Grown
	onDeath                     func()
	transcripts, persons, slots int
	cluster                     *pgtest.Server // nil: SQLite
	over                        context.Context
	end                         context.CancelFunc

	kills, working, stops, restarts atomic.Int64
	restarting                      sync.Mutex

	mu      sync.Mutex
	waiting map[chan struct{}]int64 // closed when this many requests have arrived
}

// The times of the processes in a storm. A doubt lasts a little longer than all of them together.
const (
	stormTimeout = time.Second
	stormSettle  = 300 * time.Millisecond
	stormWindow  = time.Second
)

// TestStorm kills and suspends processes at random times, while every twentieth request fails and the database crashes. In the end,
// every transcript and every person must be in Dixa once.
//
//	go test ./importer -run Storm -storm.kills 1000 -storm.transcripts 5000 -storm.seed 1 -timeout 1h -v
func TestStorm(t *testing.T) {
	skipIfShort(t)
	t.Parallel()
	seed := *stormSeed
	if seed == 0 {
		seed = rand.Uint64N(1 << 32)
	}
	onEveryStore(t, func(t *testing.T, store string) {
		t.Logf("-storm.seed=%d", seed)
		s := newStorm(t, store, seed)
		began := time.Now()
		var slots sync.WaitGroup
		for slot := range s.slots {
			slots.Go(func() { s.killLoop(rand.New(rand.NewPCG(seed, uint64(slot)))) })
		}
		slots.Wait()
		took := time.Since(began)
		s.finalRun()
		t.Logf("%d processes killed (%d of them before all was done), %d put to sleep, %d crashes of the database, in %v; then %v until all was done",
			s.kills.Load(), s.working.Load(), s.stops.Load(), s.restarts.Load(), took.Round(time.Millisecond), (time.Since(began) - took).Round(time.Millisecond))
	})
}

func newStorm(t *testing.T, store string, seed uint64, changes ...func(*sandbox.Options)) *storm {
	t.Helper()
	// Dixa is so slow that the import lasts as long as the kills.
	latency := min(3*time.Millisecond+time.Duration(float64(*stormKills)/float64(*stormTranscripts)*float64(450*time.Millisecond)), 400*time.Millisecond)
	opts := sandbox.Options{Seed: seed, Faults: everyFault(0.05), ListLag: 200 * time.Millisecond, EndUserLag: 100 * time.Millisecond,
		Latency: latency, Jitter: latency / 2}
	for _, change := range changes {
		change(&opts)
	}
	w := setup(t, "sqlite", opts)
	s := &storm{world: w, transcripts: *stormTranscripts, persons: *stormTranscripts/4 + 1, slots: 1, waiting: map[chan struct{}]int64{}}
	if store == "postgres" {
		s.cluster, s.slots = pgtest.Cluster(t), 3
		w.url = s.cluster.URL()
		db := w.open()
		if _, _, err := db.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	lines := make([]string, s.transcripts)
	for i := range lines {
		person := i % s.persons
		user := fields{"email": fmt.Sprintf("p%d@example.org", person)}
		if i%3 == 0 {
			user["external_id"] = fmt.Sprintf("c-%d", person)
		}
		record := fields{"end_user": user}
		if i%10 == 9 { // anonymous
			record["end_user"] = nil
		}
		if i%2 == 0 {
			record["attributes"] = fields{"order_number": fmt.Sprint(i)}
		}
		lines[i] = chat(fmt.Sprintf("t-%d", i), record)
	}
	s.path = w.file("c.jsonl", lines...)
	if *stormKills > 0 {
		s.over, s.end = context.WithCancel(t.Context())
	} else {
		s.over, s.end = context.WithTimeout(t.Context(), *stormDuration)
	}
	t.Cleanup(s.end)
	w.onRequest(s.arrived)
	return s
}

// arrived wakes the goroutines that wait for the n-th request.
func (s *storm) arrived(n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for woken, at := range s.waiting {
		if n >= at {
			close(woken)
			delete(s.waiting, woken)
		}
	}
}

// requestsLater returns a channel that is closed after n more requests have arrived.
func (s *storm) requestsLater(n int64) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	woken := make(chan struct{})
	s.waiting[woken] = s.requests.Load() + n
	return woken
}

// killLoop starts one process after the other and kills it.
func (s *storm) killLoop(random *rand.Rand) {
	for s.over.Err() == nil {
		c := s.spawn(s.path, func(spec *childSpec) {
			spec.Timeout, spec.Settle, spec.Window, spec.Workers, spec.MaxAttempts = stormTimeout, stormSettle, stormWindow, 4, 1000
			spec.Attributes, spec.Tags, spec.Grown = numbered, s.tags, s.grown
		})
		s.letRun(c, random)
		if random.IntN(6) == 0 && s.freeze(c, random) {
			s.letRun(c, random)
		}
		done := s.transcripts == len(s.api.Conversations())
		c.kill()
		s.expireLease(c.run.Load())
		if c.status.Signaled() {
			kills := s.kills.Add(1)
			if s.onDeath != nil {
				s.onDeath()
			}
			if !done {
				s.working.Add(1)
			}
			if *stormKills > 0 && kills >= *stormKills {
				s.end()
			}
			s.crashDatabase(kills)
		}
	}
}

// letRun lets a process run: for a number of requests, so that the kills are spread over the import, or for a time.
func (s *storm) letRun(c *child, random *rand.Rand) {
	share := int64(8)
	if *stormKills > 0 { // a transcript takes a little more than two requests
		share = max(1, 2*int64(s.transcripts)/(*stormKills))
	}
	later := s.requestsLater(1 + random.Int64N(2*share*int64(s.slots)))
	patience := time.Duration(random.Int64N(int64(700 * time.Millisecond)))
	if random.IntN(12) == 0 { // long enough to settle doubts
		patience, later = patience+stormTimeout+stormWindow+2*stormSettle, nil
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-later:
	case <-timer.C:
	case <-c.ended:
	case <-s.over.Done():
	}
}

// freeze suspends a process and wakes it, in half of the cases after its lease has ended. It reports whether the process was still alive.
func (s *storm) freeze(c *child, random *rand.Rand) bool {
	c.signal(syscall.SIGSTOP)
	select {
	case <-c.stopped:
	case <-c.ended:
		return false
	}
	s.stops.Add(1)
	if random.IntN(2) == 0 {
		s.expireLease(c.run.Load())
	}
	timer := time.NewTimer(time.Duration(random.Int64N(int64(3 * time.Second))))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.over.Done():
	}
	c.signal(syscall.SIGCONT)
	return true
}

// crashDatabase crashes the database from time to time.
func (s *storm) crashDatabase(kills int64) {
	every := int64(6)
	if *stormKills > 0 {
		every = max(*stormKills/20, every)
	}
	if s.cluster == nil || kills%every != every/2 {
		return
	}
	s.restarting.Lock()
	defer s.restarting.Unlock()
	s.cluster.Restart(pgtest.Immediate)
	s.restarts.Add(1)
}

// expireLease ends the lease of a run, even while the database starts.
func (s *storm) expireLease(run int64) {
	if s.cluster == nil || run == 0 {
		return
	}
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		err := s.tryExpireLease(run)
		if err == nil {
			return
		}
		select {
		case <-again.C:
		case <-s.Context().Done():
			s.Errorf("end a lease: %v", err)
			return
		}
	}
}

func (s *storm) tryExpireLease(run int64) error {
	ctx, cancel := context.WithTimeout(s.Context(), 5*time.Second)
	defer cancel()
	db, err := pgx.Connect(ctx, s.url)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close(ctx) }()
	_, err = db.Exec(ctx, `update dixa_import.runs set lease_until = clock_timestamp() where id = $1 and finished_at is null`, run)
	return err
}

// finalRun performs a run without faults, and counts the results.
func (s *storm) finalRun() {
	s.Helper()
	if s.kills.Load() == 0 || s.cluster != nil && s.restarts.Load() == 0 {
		s.Errorf("%d processes were killed, and the database crashed %d times", s.kills.Load(), s.restarts.Load())
	}
	fired := 0
	for _, n := range s.api.Fired() {
		fired += n
	}
	if fired == 0 {
		s.Error("no request failed")
	}
	requests, done := s.requests.Load(), len(s.api.Conversations())
	s.api.SetFaults(nil)
	s.expireLeases()
	client := s.client(func(c *dixa.Config) { c.Timeout = 5 * time.Second })
	patient := func(c *importer.Config) {
		withNumbers(c)
		c.API, c.RequestTimeout, c.Settle, c.SendWindow, c.MaxAttempts = client, stormTimeout, stormSettle, stormWindow, 1000
	}
	s.mustRun(importer.OutcomeOK, s.jsonl(s.path), patient)
	failed := importer.Selection{Statuses: []checkpoint.Status{checkpoint.Failed, checkpoint.InDoubt}}
	s.mustRun(importer.OutcomeOK, s.jsonl(s.path), retrying(failed, patient))
	for _, duplicate := range s.api.Duplicates() {
		s.Errorf("%s has %d conversations: %v", duplicate.ExternalID, len(duplicate.Conversations), duplicate.Conversations)
	}
	there := map[string]sandbox.Conversation{}
	for _, c := range s.api.Conversations() {
		there[c.ExternalID] = c
	}
	anonymous, lost, known := 0, 0, map[int]bool{}
	for i := range s.transcripts {
		c, ok := there[fmt.Sprintf("%s/t-%d", testSource, i)]
		if !ok {
			lost++
			s.Errorf("transcript t-%d is lost", i)
		}
		if got := c.Attributes[sandbox.OrderNumberID]; i%2 == 0 && got != fmt.Sprint(i) {
			s.Errorf("transcript t-%d has the order number %v", i, got)
		}
		if i%10 == 9 {
			anonymous++
		} else {
			known[i%s.persons] = true
		}
	}
	s.wantTotals(s.transcripts, anonymous+len(known))
	s.Logf("during the storm: %d requests, %d of them with a fault, %d conversations; at the end: %d conversations, %d lost, %d duplicates, %d end-users of %d persons",
		requests, fired, done, len(s.api.Conversations()), lost, len(s.api.Duplicates()), len(s.api.EndUsers()), anonymous+len(known))
}
