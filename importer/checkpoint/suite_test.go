package checkpoint

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"dixa-import/importer/checkpoint/pgtest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jackc/pgx/v5"
	_ "github.com/jackc/pgx/v5/stdlib"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(pgtest.M{M: m}) }

const bot = "bot"

var t0 = time.Date(2026, 11, 19, 8, 0, 0, 0, time.UTC)

// fixture is a store with an empty checkpoint.
type fixture struct {
	*Store
	url string
	db  *sql.DB // for direct access to the database

	conversations int64 // how many leave has made
}

var backends = map[string]func(t testing.TB) string{
	"postgres": pgtest.New,
	"sqlite":   func(t testing.TB) string { return "sqlite:" + filepath.Join(t.TempDir(), "checkpoint.db") },
}

// each runs a test on both stores, and with -short on SQLite alone.
func each(t *testing.T, f func(t *testing.T, s *fixture)) {
	t.Parallel()
	for name, newURL := range backends {
		if testing.Short() && name == "postgres" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f(t, setup(t, newURL(t)))
		})
	}
}

func setup(t testing.TB, url string) *fixture {
	t.Helper()
	s := &fixture{Store: open(t, url), url: url}
	if _, _, err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.db = openDB(t, url)
	return s
}

// open opens another store with the same checkpoint.
func open(t testing.TB, url string) *Store {
	t.Helper()
	s, err := Open(t.Context(), url, Options{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func openDB(t testing.TB, url string) *sql.DB {
	t.Helper()
	driver, dsn := "pgx", url
	if path, ok := strings.CutPrefix(url, "sqlite:"); ok {
		driver, dsn = "sqlite", sqliteDSN(path)
	}
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func (s *fixture) sqlite() bool { return strings.HasPrefix(s.url, "sqlite:") }

// sql runs a statement that is written for Postgres. For SQLite, it translates the few differences.
func (s *fixture) sql(t testing.TB, query string, args ...any) {
	t.Helper()
	if s.sqlite() {
		for i := range args {
			query = strings.ReplaceAll(query, fmt.Sprintf("$%d", i+1), fmt.Sprintf("?%d", i+1))
		}
		query = strings.ReplaceAll(query, "dixa_import.", "")
		query = strings.ReplaceAll(query, "now() - interval '1 second'", "'2020-01-01T00:00:00.000Z'")
	}
	if _, err := s.db.ExecContext(t.Context(), query, args...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

// expire ends the lease of a run, as if the run had been killed.
func (s *fixture) expire(t testing.TB, run int64) {
	t.Helper()
	s.sql(t, "update dixa_import.runs set lease_until = now() - interval '1 second' where id = $1", run)
}

func (s *fixture) start(t testing.TB) int64 {
	t.Helper()
	run, err := s.StartRun(t.Context(), bot, "run")
	if err != nil {
		t.Fatal(err)
	}
	return run
}

func (s *fixture) row(t testing.TB, id string) Row {
	t.Helper()
	rows, err := s.Lookup(t.Context(), bot, 0, []string{id})
	if err != nil {
		t.Fatal(err)
	}
	return rows[id]
}

func (s *fixture) claim(t testing.TB, run int64, id string, seen int64) int64 {
	t.Helper()
	claims, err := s.Claim(t.Context(), bot, run, []ClaimRequest{{ID: id, Seen: seen, SeenAt: s.row(t, id).UpdatedAt, ContentHash: "h", ClosedAt: t0}})
	if err != nil {
		t.Fatal(err)
	}
	if claims[0] != (Row{}) {
		s.wantRow(t, id, "a claim", claims[0])
	}
	return claims[0].Claim
}

// do writes changes and checks that the rows in the results are those in the database. It returns the results without the rows.
func (s *fixture) do(t testing.TB, run int64, changes ...Change) []Result {
	t.Helper()
	results, err := s.Write(t.Context(), bot, run, changes)
	if err != nil {
		t.Fatal(err)
	}
	if len(results) != len(changes) {
		t.Fatalf("%d results of %d changes", len(results), len(changes))
	}
	last := map[string]Row{}
	for i, c := range changes {
		last[c.ID] = results[i].Row
		results[i].Row = Row{}
	}
	if len(last) > 100 { // smaller tests check the rows
		clear(last)
	}
	for id, row := range last {
		s.wantRow(t, id, "a write", row)
	}
	return results
}

// wantRow checks a row that a claim or a write returned.
func (s *fixture) wantRow(t testing.TB, id, what string, got Row) {
	t.Helper()
	want := s.row(t, id)
	if between := got.SendIn - want.SendIn; between < 0 || between > 20*time.Second {
		t.Errorf("SendIn of %s after %s: want %v, got %v", id, what, want.SendIn, got.SendIn)
	}
	want.Held = false
	equal(t, fmt.Sprintf("row of %s after %s", id, what), got, want)
}

func (s *fixture) partial(t testing.TB, id string) []PartialError {
	t.Helper()
	list, err := s.PartialErrors(t.Context(), bot, id)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func equal[T any](t testing.TB, what string, got, want T) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), ignoreClock); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// ignoreClock ignores the fields that the database's clock sets.
var ignoreClock = cmpopts.IgnoreFields(Row{}, "ImportedAt", "CreatedAt", "UpdatedAt", "SendIn")

func TestLifeOfATranscript(t *testing.T) {
	each(t, func(t *testing.T, s *fixture) {
		before := time.Now().Add(-time.Minute)
		run := s.start(t)
		if got := s.row(t, "a"); got != (Row{}) {
			t.Errorf("unknown transcript: %+v", got)
		}
		claim := s.claim(t, run, "a", -1)
		want := Row{ID: "a", Status: Pending, ContentHash: "h", ClosedAt: t0, RunID: run, Claim: 1, ClaimedBy: run, Held: true}
		equal(t, "claimed", s.row(t, "a"), want)

		c := Change{ID: "a", Claim: claim, Event: Send, EndUserID: "u", Attempts: 1, ContentHash: "h", ClosedAt: t0, SendFor: 10 * time.Second}
		equal(t, "send", s.do(t, run, c), []Result{{Applied: true}})
		want.Status, want.EndUserID, want.Attempts = Sending, "u", 1
		got := s.row(t, "a")
		equal(t, "sending", got, want)
		if got.SendIn <= 5*time.Second || got.SendIn > 10*time.Second {
			t.Errorf("SendIn is %v of 10s", got.SendIn)
		}

		c.Event, c.ConversationID, c.PartialErrors = Found, 100, []PartialError{
			{Kind: KindAttachment, Message: "Invalid attachment url", MessageExternalID: "bot/a:2"}, {Kind: KindAssignment, Message: "not assigned"}}
		c.ErrorCode, c.Error, c.Reason = "code", "text", "reason"
		equal(t, "found", s.do(t, run, c), []Result{{Applied: true}})
		want.Status, want.ConversationID, want.ErrorCode, want.Error, want.Reason = Imported, 100, "code", "text", "reason"
		equal(t, "imported", s.row(t, "a"), want)
		equal(t, "partial errors", s.partial(t, "a"), c.PartialErrors)
		of, err := s.PartialErrorsOf(t.Context(), bot, []string{"b", "a", "a"})
		if err != nil || len(of) != 1 {
			t.Errorf("partial errors of several: %v, %v", of, err)
		}
		equal(t, "partial errors of several", of["a"], c.PartialErrors)

		c = Change{ID: "a", Claim: claim, Event: FinishPartial, EndUserID: "u", Attempts: 1, ContentHash: "h", ClosedAt: t0}
		equal(t, "finish", s.do(t, run, c), []Result{{Applied: true}})
		want.Status, want.ErrorCode, want.Error, want.Reason, want.ClaimedBy, want.Held = Partial, "", "", "", 0, false
		got = s.row(t, "a")
		equal(t, "partial", got, want)
		equal(t, "partial errors kept", len(s.partial(t, "a")), 2)
		for name, at := range map[string]time.Time{"imported": got.ImportedAt, "created": got.CreatedAt, "updated": got.UpdatedAt} {
			if at.Before(before) || at.After(time.Now().Add(time.Minute)) {
				t.Errorf("%s at %v", name, at)
			}
		}
		if got.SendIn != 0 {
			t.Errorf("SendIn is %v of a transcript that is not sent", got.SendIn)
		}
		equal(t, "claim of a finished transcript", s.claim(t, run, "a", claim), int64(0))
	})
}

func TestLargeBatch(t *testing.T) {
	each(t, func(t *testing.T, s *fixture) {
		run := s.start(t)
		const n = 1300
		var ids []string
		var requests []ClaimRequest
		for i := range n {
			ids = append(ids, fmt.Sprintf("t-%d", (i*7919)%n))
			requests = append(requests, ClaimRequest{ID: ids[i], Seen: -1, ContentHash: fmt.Sprint(i)})
		}
		claims, err := s.Claim(t.Context(), bot, run, requests)
		if err != nil {
			t.Fatal(err)
		}
		var changes []Change
		for i, row := range claims {
			equal(t, "claim", row.Claim, int64(1))
			c := Change{ID: ids[i], Claim: row.Claim, Event: Send, Attempts: 1, EndUserID: "u" + ids[i]}
			found, finish := c, c
			found.Event, found.ConversationID = Found, int64(1000+i)
			finish.Event = Finish
			changes = append(changes, c, found, finish)
		}
		for i, r := range s.do(t, run, changes...) {
			if !r.Applied {
				t.Fatalf("%+v was not applied", changes[i])
			}
		}
		rows, err := s.Lookup(t.Context(), bot, run, append(ids, "unknown"))
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "rows", len(rows), n)
		for i, id := range ids {
			if r := rows[id]; r.Status != Complete || r.ConversationID != int64(1000+i) || r.EndUserID != "u"+id {
				t.Fatalf("%s: %+v", id, r)
			}
		}
		totals, err := s.Totals(t.Context(), bot, run)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "totals", totals, []Total{{Source: bot, Status: Complete, Count: n}})
	})
}

// TestUnstorableValuesAreReplaced: Dixa or the name of a file may contain text that Postgres refuses.
func TestUnstorableValuesAreReplaced(t *testing.T) {
	each(t, func(t *testing.T, s *fixture) {
		run := s.start(t)
		id := "bad\xff.jsonl:1\x00"
		claim := s.claim(t, run, id, -1)
		s.do(t, run, Change{ID: id, Claim: claim, Event: Reject, ErrorCode: "x\x00", Error: "broken \xff\x00"})
		got := s.row(t, id)
		equal(t, "status", got.Status, Rejected)
		far := time.UnixMilli(1e15)
		if claims, err := s.Claim(t.Context(), bot, run, []ClaimRequest{{ID: "far", Seen: -1, ClosedAt: far}}); err != nil || claims[0].Claim != 1 {
			t.Fatal(claims, err)
		}
		s.do(t, run, Change{ID: "far", Claim: 1, Event: Reject, ClosedAt: far, PartialErrors: []PartialError{{Kind: "odd", Message: "m"}}})
		equal(t, "a time that cannot be stored", s.row(t, "far").ClosedAt, time.Time{})
		equal(t, "an unknown kind", s.partial(t, "far"), []PartialError{{Kind: KindOther, Message: "m"}})
		equal(t, "error", got.Error, "broken \uFFFD\uFFFD")
		long := Identifier{ExternalID, strings.Repeat("x", 5000)}
		user := EndUser{ID: "u", Identifiers: []Identifier{long, {Email, "a\x00"}}}
		if err := s.SaveEndUsers(t.Context(), "org", []EndUser{user}); err != nil {
			t.Fatal(err)
		}
		found, err := s.FindEndUsers(t.Context(), "org", user.Identifiers)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "found", found, map[Identifier]string{long: "u", {Email, "a\x00"}: "u"})
	})
}

func FuzzClean(f *testing.F) {
	for _, s := range []string{"", "plain", "nul \x00", "bad \xff\xfe", "\xed\xa0\x80", "\u00e9\x00\xc3"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c := clean(s)
		if !utf8.ValidString(c) || strings.ContainsRune(c, 0) || clean(c) != c {
			t.Errorf("%q becomes %q", s, c)
		}
		if utf8.ValidString(s) && !strings.ContainsRune(s, 0) && c != s {
			t.Errorf("%q, which is storable, becomes %q", s, c)
		}
	})
}

func connectPostgres(t testing.TB, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// fill adds n transcripts of an earlier run. One in every has the status, all others are complete.
func (s *fixture) fill(b testing.TB, n, every int, status Status) {
	b.Helper()
	const columns = `insert into dixa_import.transcripts (source, transcript_id, status, conversation_id, end_user_id, attempts, error_code,
		content_hash, closed_at, run_id, imported_at, claim, created_at, updated_at) select 'bot', 't-' || substr(cast(10000000 + i as text), 2),
		case i % $2 when 0 then $3 else 'complete' end, case when i % $2 > 0 then 5000000 + i end,
		'9f86d081-884c-7d65-9a2f-' || cast(100000000000 + i as text), 1, case i % $2 when 0 then 'refused' end,
		substr('9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08', 1, 57) || substr(cast(10000000 + i as text), 2),
		`
	if s.sqlite() {
		s.sql(b, "with recursive n (i) as (select 0 union all select i + 1 from n where i + 1 < $1) "+columns+
			"'2026-11-19T08:00:00.000Z', 1, '2026-11-19T08:00:00.000Z', 1, '2026-11-19T08:00:00.000Z', '2026-11-19T08:00:00.000Z' from n",
			n, every, string(status))
		return
	}
	s.sql(b, columns+"now(), 1, now(), 1, now(), now() from generate_series(0, $1::int - 1) as i", n, every, string(status))
	s.sql(b, "vacuum analyze dixa_import.transcripts")
}

// TestClaimOfStaleRowFails: a run whose lease has expired continues until another run takes its claims. A run that read the row before the
// last write must not get the claim.
func TestClaimOfStaleRowFails(t *testing.T) {
	each(t, func(t *testing.T, s *fixture) {
		old, young := s.start(t), s.start(t)
		claim := s.claim(t, old, "a", -1)
		s.expire(t, old)
		seen := s.row(t, "a")
		time.Sleep(2 * time.Millisecond) // SQLite stores times in milliseconds
		s.do(t, old, change("a", claim, Send))
		request := ClaimRequest{ID: "a", Seen: seen.Claim, SeenAt: seen.UpdatedAt}
		for _, want := range []int64{0, claim + 1} {
			claims, err := s.Claim(t.Context(), bot, young, []ClaimRequest{request})
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "claim", claims[0].Claim, want)
			request.SeenAt = s.row(t, "a").UpdatedAt
		}
	})
}
