package checkpoint

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"dixa-import/importer/checkpoint/pgtest"

	"golang.org/x/sync/errgroup"
)

// TestCallsSurviveClosedIdleConnections: a call succeeds although the server, or a device in between, has closed the idle connections.
func TestCallsSurviveClosedIdleConnections(t *testing.T) {
	if testing.Short() {
		t.Skip("with -short")
	}
	t.Parallel()
	for name, setTimeout := range map[string]string{
		"idle_session_timeout of the role":     `alter role idle_%[1]s set idle_session_timeout = '400ms'`,
		"idle_session_timeout of the database": `alter database %[1]s set idle_session_timeout = '400ms'`,
		"ended by an administrator":            ``,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := pgtest.New(t)
			admin := connectPostgres(t, url)
			database := admin.Config().Database
			if strings.HasPrefix(setTimeout, "alter role ") {
				if _, err := admin.Exec(t.Context(), fmt.Sprintf(`create role idle_%s superuser login`, database)); err != nil {
					t.Fatal(err)
				}
				url = strings.Replace(url, "postgres@", "idle_"+database+"@", 1)
			}
			s := setup(t, url)
			store := s.database.(*postgresStore)
			run := s.start(t)
			put(t, s, run, "a", Sending, 0)
			if setTimeout != "" {
				if _, err := admin.Exec(t.Context(), fmt.Sprintf(setTimeout, database)); err != nil {
					t.Fatal(err)
				}
				store.pool.Reset() // the setting applies to new sessions
			}
			calls := map[string]func() error{
				"read": func() error { _, err := s.Lookup(t.Context(), bot, run, []string{"a"}); return err },
				"write": func() error {
					c := change("a", 1, SendAgain)
					c.SendFor = time.Second
					results, err := s.Write(t.Context(), bot, run, []Change{c})
					if err == nil && !results[0].Applied {
						return fmt.Errorf("not applied: %+v", results)
					}
					return err
				},
				"renew": func() error { return s.RenewRun(t.Context(), run, Beat{}) },
			}
			for doing, call := range calls {
				var several errgroup.Group // so that several connections are idle
				for range 4 {
					several.Go(func() error { _, err := s.Lookup(t.Context(), bot, run, []string{"a"}); return err })
				}
				if err := several.Wait(); err != nil {
					t.Fatal(err)
				}
				const others = `from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`
				if setTimeout == "" {
					if _, err := admin.Exec(t.Context(), `select pg_terminate_backend(pid) `+others); err != nil {
						t.Fatal(err)
					}
				}
				for left := 1; left > 0; {
					if err := admin.QueryRow(t.Context(), `select count(*) `+others).Scan(&left); err != nil {
						t.Fatal(err)
					}
				}
				if idle := store.pool.Stat().IdleConns(); idle == 0 {
					t.Fatal("the pool has no idle connections")
				}
				err := call()
				if setTimeout == "" && Lost(err) { // the call may have had an effect: the caller repeats it
					err = call()
				}
				if err != nil {
					t.Errorf("%s: %v", doing, err)
				}
			}
		})
	}
}
