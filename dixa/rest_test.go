package dixa

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// sickOnes are operations that fail while all others are well. bound is how many of the requests of a minute may fail.
var sickOnes = map[string]struct {
	kind  string
	only  string
	bound int
}{
	"patch": {"patch", "PATCH ", 60}, "look-up": {"get", "GET /v1/endusers", 60},
	"import": {"import", "/import", 60}, "creation": {"create", "POST /v1/endusers", 60},
}

// TestOneSickOperationStopsNothingElse has eight callers do what fails and eight others what does not, for a minute.
func TestOneSickOperationStopsNothingElse(t *testing.T) {
	t.Parallel()
	for name, sick := range sickOnes {
		for ill, illness := range illnesses {
			if illness.dial != nil || testing.Short() && ill != "503" {
				continue
			}
			t.Run(name+" "+ill, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					a := inMemory(t, func(cfg *Config) { cfg.Limiter = NewLimiter(50, 4) })
					bad := *illness
					bad.only = sick.only
					a.ill.Store(&bad)
					other := map[bool]string{true: "import", false: "patch"}[sick.kind == "patch"]
					var good, resting atomic.Int64
					var wg sync.WaitGroup
					for range 8 {
						wg.Go(func() {
							for start := time.Now(); time.Since(start) < time.Minute; {
								if err := kinds[other].call(t.Context(), a.Client); err != nil {
									t.Errorf("%s: %v", other, err)
								}
								good.Add(1)
							}
						})
						wg.Go(func() {
							for start := time.Now(); time.Since(start) < time.Minute; time.Sleep(100 * time.Millisecond) {
								err := kinds[sick.kind].call(t.Context(), a.Client)
								if rested, ok := errors.AsType[*RestingError](err); ok {
									resting.Add(1)
									if !Transient(err) || sick.kind == "patch" && rested.Operation != OpPatchAttributes {
										t.Errorf("%v", err)
									}
								} else if err == nil {
									t.Error("it is not sick")
								}
							}
						})
					}
					wg.Wait()
					// The rate is 50 a second, of which the sick operation has a part until it rests.
					if good.Load() < 2500 || resting.Load() < 5 {
						t.Errorf("%d others went well, %d were sent away", good.Load(), resting.Load())
					}
					if missed := count(a.allMissed(), sick.only); missed > sick.bound {
						t.Errorf("%d requests failed", missed)
					}
					rests := a.Rests()
					if len(rests) != 1 || !rests[0].Resting || rests[0].Left != resting.Load() {
						t.Errorf("rests are %+v, %d were sent away", rests, resting.Load())
					}
					if log := a.logged.String(); strings.Count(log, "it rests") != 1 {
						t.Errorf("logged %s", log)
					}
					a.ill.Store(nil)
					time.Sleep(restLongest)
					if err := kinds[sick.kind].call(t.Context(), a.Client); err != nil {
						t.Errorf("it does not wake: %v", err)
					}
					if a.Rests()[0].Resting || !strings.Contains(a.logged.String(), "answers the operation again") {
						t.Error("it does not say that it is awake")
					}
				})
			})
		}
	}
}

// TestAnAbsentPatchRests: a 404 of all conversations in a row is that of the operation, one among others is that of a conversation.
func TestAnAbsentPatchRests(t *testing.T) {
	t.Parallel()
	for name, good := range map[string]int{"always": 0, "now and then": 10} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var n int
			c, rec := setup(t, func(w http.ResponseWriter, r *http.Request, _ int) {
				if n++; r.Method == http.MethodPatch && (good == 0 || n%good != 0) {
					reply(w, 404, `{"message":"The requested resource could not be found"}`)
					return
				}
				reply(w, 200, `{"data":[]}`)
			}, func(cfg *Config) { cfg.Backoff = time.Hour })
			for i := range 40 {
				if err := kinds["get"].call(t.Context(), c); err != nil {
					t.Fatal(err)
				}
				err := kinds["patch"].call(t.Context(), c)
				if _, resting := errors.AsType[*RestingError](err); resting != (good == 0 && i >= restAfter) {
					t.Fatalf("number %d: %v", i, err)
				}
			}
			if len(c.Rests()) == 1 != (good == 0) {
				t.Errorf("%d requests, rests %+v", len(rec.all()), c.Rests())
			}
		})
	}
}

// TestOnlyOneTries: while an operation rests, one request at a time finds out whether it is well again.
func TestOnlyOneTries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := inMemory(t)
		var under, most atomic.Int64
		a.ill.Store(&illness{only: "GET /v1/endusers", serve: func(w http.ResponseWriter, _ *http.Request) {
			if n := under.Add(1); a.rests.bars(&caller{op: OpLookUpEndUser}) && n > most.Load() {
				most.Store(n)
			}
			time.Sleep(time.Second)
			under.Add(-1)
			reply(w, 500, "")
		}})
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				for start := time.Now(); time.Since(start) < 5*time.Minute; time.Sleep(500 * time.Millisecond) {
					if err := kinds["get"].call(t.Context(), a.Client); err == nil {
						t.Error("it is not sick")
					}
				}
			})
		}
		wg.Go(func() {
			for start := time.Now(); time.Since(start) < 5*time.Minute; time.Sleep(250 * time.Millisecond) {
				if err := kinds["patch"].call(t.Context(), a.Client); err != nil {
					t.Error(err)
				}
			}
		})
		time.Sleep(30 * time.Second)
		before := count(a.allMissed(), "GET /v1/endusers")
		most.Store(0)
		time.Sleep(4 * time.Minute)
		if tried := count(a.allMissed(), "GET /v1/endusers") - before; tried < 3 || tried > 8 || most.Load() != 1 {
			t.Errorf("%d trials in four minutes, %d at once", tried, most.Load())
		}
		wg.Wait()
	})
}

// TestAnOutageIsNoRest: what fails while everything is down says nothing about one operation.
func TestAnOutageIsNoRest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := inMemory(t)
		var wg sync.WaitGroup
		for i := range 64 {
			wg.Go(func() {
				for start := time.Now(); time.Since(start) < time.Minute; time.Sleep(250 * time.Millisecond) {
					kind := []string{"import", "patch", "get"}[i%3]
					err := kinds[kind].call(t.Context(), a.Client)
					if _, resting := errors.AsType[*RestingError](err); resting || err != nil && kind != "import" {
						t.Errorf("%s: %v", kind, err)
					}
				}
			})
		}
		time.Sleep(5 * time.Second)
		a.ill.Store(illnesses["503"])
		time.Sleep(30 * time.Second)
		a.ill.Store(nil)
		wg.Wait()
		if rests := a.Rests(); len(rests) > 0 {
			t.Errorf("rests are %+v", rests)
		}
	})
}

// TestTheProbeMayBeSickItself: an outage ends although the operation that is asked first does not answer.
func TestTheProbeMayBeSickItself(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := inMemory(t)
		wait := a.fall(t, illnesses["503"])
		a.ill.Store(&illness{only: "/organization", serve: illnesses["503"].serve})
		if err := wait(); err != nil {
			t.Error(err)
		}
		if a.Stats().Down || count(a.allMissed(), "/organization") < probesOfOne {
			t.Errorf("%v", a.allMissed())
		}
	})
}
