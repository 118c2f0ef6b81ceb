package importer_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"dixa-import/dixa/sandbox"
	"dixa-import/importer"
	"dixa-import/importer/checkpoint"
	"dixa-import/importer/checkpoint/pgtest"
	"dixa-import/source"
)

const botSchema = `
create table sessions (id bigint primary key, started_at timestamptz not null, ended_at timestamptz, customer text, order_no text);
create table messages (id bigserial primary key, session_id bigint not null references sessions, sender text not null, body text, sent_at timestamptz not null);
create index on sessions (ended_at, id);
create index on messages (session_id, id);`

const botQuery = `select s.id, s.started_at as created_at, s.ended_at as closed_at, s.customer as end_user_external_id,
	jsonb_build_object('order', s.order_no) as attributes,
	(select jsonb_agg(jsonb_build_object('role', m.sender, 'text', m.body, 'created_at', m.sent_at) order by m.id)
		from messages m where m.session_id = s.id) as messages
from sessions s; -- the bot's own tables`

// botDatabase creates a normalised database of a bot with n sessions, every tenth of which is still open.
func botDatabase(t *testing.T, n int) (url string, db *pgx.Conn) {
	t.Helper()
	url = pgtest.New(t)
	db, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close(context.Background()) })
	exec(t, db, botSchema)
	addSessions(t, db, 1, n)
	return url, db
}

func addSessions(t *testing.T, db *pgx.Conn, from, to int) {
	t.Helper()
	exec(t, db, fmt.Sprintf(`insert into sessions select i, '2026-10-01Z'::timestamptz + i * interval '1 minute',
		case when i %% 10 <> 0 then '2026-10-01Z'::timestamptz + (i / 3) * interval '3 minutes' + interval '5 minutes' end, 'c-' || i %% 13, 'o-' || i
		from generate_series(%d, %d) i`, from, to))
	exec(t, db, fmt.Sprintf(`insert into messages (session_id, sender, body, sent_at) select i, case when j %% 2 = 0 then 'bot' else 'user' end,
		'message ' || j, '2026-10-01Z'::timestamptz + i * interval '1 minute' + (j / 2) * interval '1 second'
		from generate_series(%d, %d) i, generate_series(1, 5) j order by i, j`, from, to))
}

func exec(t *testing.T, db *pgx.Conn, sql string) {
	t.Helper()
	if _, err := db.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

func (w *world) postgres(url string) *source.Postgres {
	w.Helper()
	r, err := source.OpenPostgres(w.Context(), source.PostgresConfig{URL: url, Query: botQuery, PageSize: 37})
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { r.Close() })
	return r
}

func TestPostgresIsReadFromTheWatermark(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store string) {
		w := setup(t, store, sandbox.Options{})
		url, db := botDatabase(t, 400)
		overlap := func(c *importer.Config) { withOrders(c); c.Overlap = time.Hour }
		s := w.mustRun(importer.OutcomeOK, w.postgres(url), overlap)
		if s.Counts.Read != 360 || s.Counts.Imported != 360 {
			t.Errorf("counts are %+v", s.Counts)
		}
		c := w.wantOnce("123")
		if len(c.Messages) != 5 || c.Messages[4].Text != "message 5" || c.Attributes[sandbox.OrderNumberID] != "o-123" {
			t.Errorf("conversation is %+v", c)
		}
		if n := len(w.api.EndUsers()); n != 13 {
			t.Errorf("Dixa has %d end-users", n)
		}
		addSessions(t, db, 401, 450)
		exec(t, db, `update sessions set ended_at = '2026-10-01Z'::timestamptz + interval '20 hours' where id = 400`) // closed late
		s = w.mustRun(importer.OutcomeOK, w.postgres(url), overlap)
		if s.Counts.Imported != 46 || s.Counts.Read > 46+60 {
			t.Errorf("the second run counts %+v", s.Counts)
		}
		w.wantOnce("400")
		s = w.mustRun(importer.OutcomeOK, w.postgres(url), func(c *importer.Config) { overlap(c); c.Full = true })
		if s.Counts.Read != 406 || s.Counts.AlreadyDone != 406 {
			t.Errorf("a full run counts %+v", s.Counts)
		}
	})
}

// TestFutureRowsDoNotMoveTheWatermark requires that a row closed in the future, accepted or rejected, does not move the watermark past
// chats that close before then.
func TestFutureRowsDoNotMoveTheWatermark(t *testing.T) {
	t.Parallel()
	for name, closed := range map[string]string{
		"year 9999": "'9999-12-31 23:00Z'", "year 2099": "'2099-01-01Z'", "in 20 hours": "now() + interval '20 hours'",
		"year 33658": "'33658-09-27Z'", "infinity": "'infinity'",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onStores(t, storesFor(name == "year 9999" || name == "in 20 hours"), func(t *testing.T, store string) {
				w := setup(t, store, sandbox.Options{})
				url, db := botDatabase(t, 9)
				overlap := func(c *importer.Config) { c.Overlap = time.Hour }
				exec(t, db, "update sessions set ended_at = "+closed+" where id = 9")
				if s, err := w.run(w.postgres(url), overlap); err != nil || s.Counts.Imported < 8 {
					t.Fatalf("the first run: %+v, %v", s.Counts, err)
				}
				addSessions(t, db, 11, 12)
				exec(t, db, "update sessions set ended_at = now() - interval '30 minutes' where id > 10")
				if s, err := w.run(w.postgres(url), overlap); err != nil || s.Counts.Imported != 2 {
					t.Errorf("the next run: %+v, %v", s.Counts, err)
				}
				w.wantOnce("11")
				w.wantOnce("12")
			})
		})
	}
}

// TestWatermarkInTheFutureIsReset requires that a run finds the rows that such a watermark skipped.
func TestWatermarkInTheFutureIsReset(t *testing.T) {
	t.Parallel()
	for name, stored := range map[string]string{"year 9999": "9999-12-31T23:59:59.000Z", "year 33658": "33658-09-27T00:00:00.000Z", "tomorrow": time.Now().UTC().Add(20 * time.Hour).Format("2006-01-02T15:04:05.000Z")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onStores(t, storesFor(name != "tomorrow"), func(t *testing.T, store string) {
				w := setup(t, store, sandbox.Options{})
				url, db := botDatabase(t, 9)
				w.mustRun(importer.OutcomeOK, w.postgres(url), nil)
				w.sql("update dixa_import.sources set watermark = '" + stored + "'")
				addSessions(t, db, 11, 12)
				if s := w.mustRun(importer.OutcomeOK, w.postgres(url), nil); s.Counts.Imported != 2 {
					t.Errorf("the next run: %+v", s.Counts)
				}
				if !strings.Contains(w.logs.String(), "the watermark is in the future") {
					t.Error("the log does not say that the whole source is read again")
				}
				if s := w.mustRun(importer.OutcomeOK, w.postgres(url), nil); s.Counts.Read > 4 {
					t.Errorf("the watermark was not reset, the run after that: %+v", s.Counts)
				}
			})
		})
	}
}

func TestWatermarkStaysBehindUnfinishedRows(t *testing.T) {
	t.Parallel()
	w := setup(t, "sqlite", sandbox.Options{})
	url, _ := botDatabase(t, 100)
	w.api.SetFaults([]sandbox.Fault{{Operation: sandbox.FindEndUsers, Kind: sandbox.ErrorBefore, Match: nil, Nth: 1, Times: 3}})
	s := w.mustRun(importer.OutcomeIncomplete, w.postgres(url), func(c *importer.Config) { c.Workers = 1 })
	if s.Counts.Pending != 1 || s.Counts.Imported != 89 {
		t.Errorf("counts are %+v", s.Counts)
	}
	left := ""
	for i := 1; i <= 100; i++ {
		if id := strconv.Itoa(i); w.row(id).Status == checkpoint.Pending {
			left = id
		}
	}
	w.wantRow(left, checkpoint.Pending, "unavailable")
	s = w.mustRun(importer.OutcomeOK, w.postgres(url), nil)
	if s.Counts.Imported != 1 || s.Counts.AlreadyDone != s.Counts.Read-1 {
		t.Errorf("the second run counts %+v", s.Counts)
	}
	w.wantRow(left, checkpoint.Complete, "")
	s = w.mustRun(importer.OutcomeOK, w.postgres(url), nil)
	if s.Counts.Read > 3 {
		t.Errorf("the third run counts %+v", s.Counts)
	}
}

// TestDatabaseOutageIsWaitedOut requires that a restart during a run loses and doubles nothing.
func TestDatabaseOutageIsWaitedOut(t *testing.T) {
	t.Parallel()
	cluster := pgtest.Cluster(t)
	w := setup(t, "sqlite", sandbox.Options{})
	w.url = cluster.URL()
	store := w.open()
	if _, _, err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	path := w.file("c.jsonl", chats(300)...)
	im := w.importer(w.jsonl(path), func(c *importer.Config) { c.Store = store })
	from := w.requests.Load()
	away, back := make(chan struct{}), make(chan struct{})
	w.onRequest(func(n int64) {
		if n == from+100 {
			close(away)
		}
	})
	go func() {
		defer close(back)
		<-away
		cluster.Stop(pgtest.Immediate)
		cluster.Start()
	}()
	s, err := im.Run(context.Background())
	<-back
	checkCounts(t, s)
	if err != nil || s.Outcome != importer.OutcomeOK {
		t.Fatalf("run ended as %q, %v", s.Outcome, err)
	}
	if len(w.api.Conversations()) != 300 || len(w.api.Duplicates()) != 0 {
		t.Errorf("%d conversations, %d duplicates", len(w.api.Conversations()), len(w.api.Duplicates()))
	}
}

// TestLongDatabaseOutageAborts requires that the run stops, and that the checkpoint covers the requests in flight.
func TestLongDatabaseOutageAborts(t *testing.T) {
	skipIfShort(t)
	t.Parallel()
	cluster := pgtest.Cluster(t)
	w := setup(t, "sqlite", sandbox.Options{})
	w.url = cluster.URL()
	store := w.open()
	if _, _, err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	path := w.file("c.jsonl", chats(300)...)
	im := w.importer(w.jsonl(path), func(c *importer.Config) { c.Store = store; c.DatabasePatience = 300 * time.Millisecond })
	from := w.requests.Load()
	w.onRequest(func(n int64) {
		if n == from+100 {
			cluster.Stop(pgtest.Immediate)
		}
	})
	s, err := im.Run(context.Background())
	checkCounts(t, s)
	if err == nil || s.Outcome != importer.OutcomeAborted {
		t.Fatalf("run ended as %q, %v", s.Outcome, err)
	}
	w.onRequest(func(int64) {})
	_ = store.Close()
	cluster.Start()
	w.expireLeases()
	w.mustRun(importer.OutcomeOK, w.jsonl(path), nil)
	if len(w.api.Conversations()) != 300 || len(w.api.Duplicates()) != 0 {
		t.Errorf("%d conversations, %d duplicates", len(w.api.Conversations()), len(w.api.Duplicates()))
	}
}

// expireLeases ends the leases of runs that did not end, as 30 s would.
func (w *world) expireLeases() {
	w.Helper()
	w.expire(0)
}

// expire ends the lease of one run, or of all if run is 0. On SQLite, a process that is gone holds no lease.
func (w *world) expire(run int64) {
	w.Helper()
	if !strings.HasPrefix(w.url, "postgres") {
		return
	}
	db, err := pgx.Connect(w.Context(), w.url)
	if err != nil {
		w.Fatal(err)
	}
	defer func() { _ = db.Close(context.Background()) }()
	exec(w.T, db, fmt.Sprintf(`update dixa_import.runs set lease_until = now() where finished_at is null and %d in (0, id)`, run))
}
