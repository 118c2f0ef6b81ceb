package source

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgconn"

	"dixa-import/importer/checkpoint/pgtest"
)

const schema = `
create table sessions (id bigint primary key, started timestamptz, ended timestamptz, customer text, attributes jsonb);
create table messages (id bigserial primary key, session_id bigint not null, role text, body text, at timestamptz);
create index on sessions (ended, id);
create index on messages (session_id);`

// recommended is the shape of a query that the README recommends.
const recommended = `select s.id, s.started as created_at, s.ended as closed_at, s.customer as end_user_external_id, s.attributes,
  (select jsonb_agg(jsonb_build_object('role', m.role, 'text', m.body, 'created_at', m.at) order by m.at, m.id)
   from messages m where m.session_id = s.id) as messages
from sessions s`

// sessions fills the schema with closed sessions, one a second.
func sessions(n int) string {
	return fmt.Sprintf(`insert into sessions select i, timestamptz '2025-01-01Z' + (i-1) * interval '1s', timestamptz '2025-01-01Z' + i * interval '1s', 'c' || i, '{"n": 1}'
	  from generate_series(1, %d) i;
	insert into messages (session_id, role, body, at) select i, 'user', 'text ' || i, timestamptz '2025-01-01Z' + i * interval '1s' from generate_series(1, %[1]d) i;
	analyze;`, n)
}

func database(t *testing.T, sql string) string {
	t.Helper()
	url := pgtest.New(t)
	execute(t, url, sql)
	return url
}

func execute(t *testing.T, url, sql string) {
	t.Helper()
	ctx := context.Background()
	conn, err := pgconn.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := conn.Exec(ctx, sql).ReadAll(); err != nil {
		t.Fatal(err)
	}
}

func openPostgres(t *testing.T, config PostgresConfig) *Postgres {
	t.Helper()
	config.Now = testClock
	s, err := OpenPostgres(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// all returns the keys of the records, with the code of those that are rejected.
func all(t *testing.T, records func(func(*Record, error) bool)) []string {
	t.Helper()
	var got []string
	for r, err := range records {
		if err != nil {
			t.Fatal(err)
		}
		_, failure := r.Transcript()
		key := r.Key()
		if strings.HasPrefix(key, "postgres:") {
			key = "place"
		}
		if reject := (*RejectError)(nil); errors.As(failure, &reject) {
			key += " " + string(reject.Code)
		}
		got = append(got, key)
	}
	return got
}

func TestPostgresRead(t *testing.T) {
	t.Parallel()
	url := database(t, schema+sessions(1234)+"insert into sessions values (9999, now(), null)")
	s := openPostgres(t, PostgresConfig{URL: url, Query: recommended + " where s.ended >= @since - interval '1h'; -- mine", PageSize: 100})
	got := all(t, s.Read(t.Context(), time.Time{}))
	if len(got) != 1234 || got[0] != "1" || got[1233] != "1234" {
		t.Errorf("%d records", len(got))
	}
	if p := s.Progress(); p != (Progress{Done: 1234, Total: p.Total, Unit: "rows"}) || p.Total != 0 && p.Total != 1234 {
		t.Errorf("progress %+v", p)
	}
	since := time.Date(2025, 1, 1, 0, 20, 0, 0, time.UTC)
	if got := all(t, s.Read(t.Context(), since)); len(got) != 35 || got[0] != "1200" {
		t.Errorf("since: %d records, the first %s", len(got), got[0])
	}
	for r, err := range s.Read(t.Context(), since) {
		if err != nil {
			t.Fatal(err)
		}
		want := `{"id":"1200","created_at":"2025-01-01T00:19:59Z","closed_at":"2025-01-01T00:20:00Z","end_user":{"external_id":"c1200"},` +
			`"messages":[{"at":0,"role": "user", "text": "text 1200", "created_at": "2025-01-01T00:20:00+00:00"}],"attributes":{"n": 1}}`
		if got := strings.Replace(want, `"at":0,`, "", 1); string(r.Raw()) != got {
			t.Errorf("got  %s\nwant %s", r.Raw(), got)
		}
		got, err := r.Transcript()
		if err != nil || got.EndUser.ExternalID != "c1200" || got.Attributes["n"].Text != "1" || len(got.Messages) != 1 || !r.ClosedAt.Equal(since) {
			t.Errorf("got %+v, %v", got, err)
		}
		break
	}
	ids := []string{"7", "9999", "5", "0005", "x", "99999999999999999999", "7"}
	s = openPostgres(t, PostgresConfig{URL: url, Query: recommended})
	if got := all(t, s.Fetch(t.Context(), ids)); !slices.Equal(got, []string{"5", "7", "9999"}) {
		t.Errorf("fetched %v", got)
	}
}

func TestPostgresIDTypes(t *testing.T) {
	t.Parallel()
	url := database(t, "")
	const u1, u2 = "00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"
	for typ, ids := range map[string][]string{
		"smallint": {"-3", "2", "10"}, "int": {"-3", "2", "10"}, "bigint": {"-3", "2", "9007199254740993"},
		"text": {`10`, `2"\{,`, "Ø 'x"}, "varchar(20)": {"10", "2"}, "char(5)": {"10", "2"}, "uuid": {u1, u2},
	} {
		for _, zone := range []string{"timestamp", "timestamptz"} {
			var values []string
			for _, id := range ids {
				values = append(values, "('"+strings.ReplaceAll(id, "'", "''")+"'::"+typ+")")
			}
			query := `select v.id, timestamp '2025-01-01 00:00:00.1239'::` + zone + ` as closed_at, '[{"role":"user","text":"x"}]'::json as messages
				from (values ` + strings.Join(values, ",") + `) v(id) where timestamp '2025-01-01 00:00:00.1239' >= @since`
			s := openPostgres(t, PostgresConfig{URL: url, Query: query, PageSize: 1})
			// A timestamp is UTC whatever the zone of the server, and closed_at is read to its last digit.
			got := all(t, s.Read(t.Context(), time.Date(2025, 1, 1, 0, 0, 0, 123_900_000, time.UTC)))
			slices.Sort(got)
			want := slices.Sorted(slices.Values(ids))
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s, %s: %s", typ, zone, diff)
			}
			got = all(t, s.Fetch(t.Context(), ids))
			slices.Sort(got)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("fetch %s, %s: %s", typ, zone, diff)
			}
		}
	}
}

func TestPostgresBadRows(t *testing.T) {
	t.Parallel()
	const good = `'[{"role":"user","text":"x"}]'`
	url := database(t, `create table r (id text, closed_at timestamptz, messages text, created_at text, end_user_email text, attributes json);
		insert into r (id, closed_at, messages) values (null, '2025-01-01', `+good+`), (null, '2025-01-01', `+good+`), ('', '2025-01-02', `+good+`), ('nomsg', '2025-01-03', null),
		('broken', '2025-01-04', '[}'), ('inject', '2025-01-05', `+good[:len(good)-1]+`,"x":1'),
		('far', '20000-01-01', `+good+`), ('inf', 'infinity', `+good+`), ('inf2', 'infinity', `+good+`),
		('bc', '0044-03-15 BC', `+good+`), ('minus', '-infinity', `+good+`);
		insert into r values ('ok', '2025-01-06', E'[\n{"role":"user",\r\n"text":"x"}]', '2025-01-05T00:00:00Z', 'a"<b>@x', '{"a":
		"b"}'), ('zone', '2025-01-07', `+good+`, '2025-01-05 00:00:00', null, null)`)
	for _, size := range []int{1, 2, 100} {
		s := openPostgres(t, PostgresConfig{URL: url, Query: "select * from r", PageSize: size})
		got := all(t, s.Read(t.Context(), time.Time{}))
		want := []string{"minus invalid_time", "bc invalid_time", "place missing_id", "place missing_id", "place invalid_id", "nomsg no_messages", "broken invalid_field",
			"inject invalid_field", "ok", "zone", "far invalid_time", "inf invalid_time", "inf2 invalid_time"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("pages of %d: %s", size, diff)
		}
	}
	s := openPostgres(t, PostgresConfig{URL: url, Query: "select * from r"})
	var places []string
	for r, err := range s.Read(t.Context(), time.Time{}) {
		if err != nil {
			t.Fatal(err)
		}
		if raw := r.Raw(); !json.Valid(raw) || strings.ContainsAny(string(raw), "\n\r") {
			t.Errorf("no line of JSON: %s", raw)
		}
		if r.ID == "ok" && !strings.Contains(string(r.Raw()), `{"email":"a\"<b>@x"}`) {
			t.Errorf("raw: %s", r.Raw())
		}
		if r.ID == "" {
			places = append(places, r.Place.String())
		}
	}
	if got := all(t, s.Fetch(t.Context(), append(places, "ok"))); !slices.Equal(got, []string{"ok", "place missing_id", "place invalid_id"}) {
		t.Errorf("fetched %v", got)
	}
}

func TestPostgresEqualKeys(t *testing.T) {
	t.Parallel()
	// Every row four times: the same id and closed_at, other contents; some without an id.
	url := database(t, `create table r as select nullif(i % 5, 0)::int as id, timestamptz '2025-01-01Z' + (i % 5 / 3) * interval '1s' as closed_at,
		jsonb_build_array(jsonb_build_object('role', 'user', 'text', i)) as messages from generate_series(1, 40) i`)
	for _, size := range []int{1, 3, 8, 40, 41} {
		s := openPostgres(t, PostgresConfig{URL: url, Query: "select * from r", PageSize: size})
		hashes := map[Hash]bool{}
		for r, err := range s.Read(t.Context(), time.Time{}) {
			if err != nil {
				t.Fatal(err)
			}
			if hashes[r.Hash] {
				t.Fatalf("pages of %d: a row twice", size)
			}
			hashes[r.Hash] = true
		}
		if len(hashes) != 40 {
			t.Errorf("pages of %d: %d rows", size, len(hashes))
		}
	}
	s := openPostgres(t, PostgresConfig{URL: url, Query: `select 1 as id, timestamptz '2025-01-01Z' as closed_at, '[]'::text as messages from generate_series(1, 20000)`, PageSize: 4000})
	_, err := collect(t, "", s.Read(t.Context(), time.Time{}))
	if err == nil || !strings.Contains(err.Error(), "one row for each transcript") {
		t.Errorf("20000 equal rows: %v", err)
	}
}

func TestPostgresOpenErrors(t *testing.T) {
	t.Parallel()
	url := database(t, "create table secret (a int)")
	address, _, _ := strings.Cut(url, "?")
	reader := "reader_" + path.Base(address) // roles are the cluster's, not the database's
	execute(t, url, "create role "+reader+" login")
	const good = `select 1 as id, now() as closed_at, '[]'::json as messages`
	for _, tt := range []struct {
		url, query string
		want       []string
	}{
		{url, "select 1 as a", []string{"no column id: make it text", "no column closed_at: make it timestamptz", "no column messages: make it json"}},
		{url, "select now() as id, now()::date as closed_at, 1 as messages, now()::time as created_at, 1 as attributes",
			[]string{"column id has the wrong type", "column closed_at has the wrong type", "column messages has", "column created_at has", "column attributes has"}},
		{url, good + ", 2 as id", []string{"returns the column id twice"}},
		{url, "select * from nothing", []string{"SQLSTATE 42P01", "correct the query"}},
		{url, "selekt", []string{"SQLSTATE 42601", "correct the query"}},
		{url, "", []string{"the query is empty"}},
		{strings.Replace(url, "postgres@", reader+"@", 1), good + " from secret", []string{"SQLSTATE 42501", "grant the user"}},
		{strings.Replace(url, "postgres@", "nobody:Sekret@", 1), good, []string{"SQLSTATE 28000", "check the user and the password"}},
		{"postgres://u:Sekret@127.0.0.1:1/x", good, []string{"connect to the source database: ", "refused", "check that the database runs"}},
		{"postgres://u:Sek/ret#%zz@h:5432/x", good, []string{"malformed"}},
		{"host=h password='Sekret", good, []string{"malformed"}},
	} {
		s, err := OpenPostgres(t.Context(), PostgresConfig{URL: tt.url, Query: tt.query})
		if err == nil {
			s.Close()
			t.Errorf("%s: no error", tt.query)
			continue
		}
		for _, want := range tt.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q lacks %q", tt.query, err, want)
			}
		}
		if strings.Contains(err.Error(), "Sek") {
			t.Errorf("the password is in %q", err)
		}
	}
	s := openPostgres(t, PostgresConfig{URL: url, Query: good + ", 1 as zoo, 2 as mood, 3 as zoo"})
	if diff := cmp.Diff([]string{"mood", "zoo"}, s.unknown); diff != "" {
		t.Error(diff)
	}
}

// TestPostgresReadErrors reads what fails only when rows are read, and must not show their values.
func TestPostgresReadErrors(t *testing.T) {
	t.Parallel()
	url := database(t, "create table r as select 1 as id, now() - interval '1h' as closed_at, 'ann@example.org' as m")
	for query, want := range map[string]string{
		"select id, closed_at, m::json as messages from r":                                "SQLSTATE 22P02",
		"select id, closed_at, m as messages, m::int as end_user_phone from r":            "SQLSTATE 22P02",
		"select id, closed_at, m as messages, pg_sleep(3)::text as end_user_name from r":  "SQLSTATE 57014",
		"select id, closed_at, m as messages, nextval('q')::text as end_user_name from r": "SQLSTATE 25006",
	} {
		execute(t, url, "create sequence if not exists q")
		limited := url + "&options=-cstatement_timeout%3D500"
		s := openPostgres(t, PostgresConfig{URL: limited, Query: query, Patience: 300 * time.Millisecond})
		_, err := collect(t, "", s.Read(t.Context(), time.Time{}))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "ann@") {
			t.Errorf("%s: %v", query, err)
		}
	}
}

func TestPostgresPlan(t *testing.T) {
	skipIfShort(t)
	t.Parallel()
	url := database(t, schema+sessions(20_000)+"create table empty (id text primary key, closed_at timestamptz, messages json); create index on empty (closed_at, id)")
	s := openPostgres(t, PostgresConfig{URL: url, Query: recommended + " where s.customer <> ''"})
	p := pager{s: s, started: true, key: [2][]byte{encodeMicros(time.Date(2025, 1, 1, 3, 0, 0, 0, time.UTC)), []byte("10800")}}
	sql, args := p.statement(500)
	rows, err := s.rows(t.Context(), "", "explain (analyze) "+sql, args...)
	if err != nil {
		t.Fatal(err)
	}
	var explained strings.Builder
	for _, row := range rows {
		explained.WriteString(string(row[0]) + "\n")
	}
	page, _, _ := strings.Cut(explained.String(), "SubPlan")
	if strings.Contains(page, "Sort") || strings.Contains(page, "Seq Scan") || !strings.Contains(page, "Index Cond: (ended >= ") {
		t.Errorf("a page is no range of the index:\n%s", explained.String())
	}
	for _, tt := range []struct {
		query string
		warn  bool
	}{
		{recommended, false},
		{recommended + " where s.ended >= @since", false},
		{"select * from empty", false},
		{"select s.id, s.ended as closed_at, jsonb_agg(m.body) as messages from sessions s join messages m on m.session_id = s.id group by s.id", true},
		{"select s.id, s.ended + interval '1s' as closed_at, '[]'::json as messages from sessions s", true},
	} {
		warning, err := openPostgres(t, PostgresConfig{URL: url, Query: tt.query}).planWarning(t.Context())
		if err != nil || (warning != "") != tt.warn {
			t.Errorf("%s: %q, %v", tt.query, warning, err)
		}
	}
}

// TestPostgresRestart takes the database away in the middle of a read and brings it back.
func TestPostgresRestart(t *testing.T) {
	skipIfShort(t)
	t.Parallel()
	cluster := pgtest.Cluster(t)
	execute(t, cluster.URL(), schema+sessions(1000))
	var warnings atomic.Int64
	away := make(chan struct{})
	logger := slog.New(slog.NewTextHandler(writerFunc(func([]byte) {
		if warnings.Add(1) == 1 {
			close(away)
		}
	}), nil))
	s := openPostgres(t, PostgresConfig{URL: cluster.URL(), Query: recommended, PageSize: 100, Patience: time.Minute, Logger: logger})
	started := make(chan struct{})
	var got []string
	for r, err := range s.Read(t.Context(), time.Time{}) {
		if err != nil {
			t.Fatal(err)
		}
		if got = append(got, r.ID); len(got) == 250 {
			cluster.Stop(pgtest.Immediate)
			go func() {
				defer close(started)
				<-away
				cluster.Start()
			}()
		}
	}
	<-started
	if len(got) != 1000 || len(slices.Compact(got)) != 1000 {
		t.Errorf("%d records", len(got))
	}
	if warnings.Load() == 0 {
		t.Error("nobody was told")
	}
	cluster.Stop(pgtest.Fast)
	s.config.Patience = 300 * time.Millisecond
	_, err := collect(t, "", s.Read(t.Context(), time.Time{}))
	if err == nil || !strings.Contains(err.Error(), "read the source, tried for 300ms: ") {
		t.Errorf("a database that stays away: %v", err)
	}
}

type writerFunc func([]byte)

func (f writerFunc) Write(b []byte) (int, error) {
	f(b)
	return len(b), nil
}

// TestPostgresBrokenConnection cuts connections after a seeded number of bytes.
func TestPostgresBrokenConnection(t *testing.T) {
	skipIfShort(t)
	t.Parallel()
	url := database(t, schema+sessions(2000))
	s := openPostgres(t, PostgresConfig{URL: url, Query: recommended, PageSize: 50})
	s.Close() // the connection that does not break
	var cut atomic.Int64
	dial := s.connection.DialFunc
	s.connection.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		return &brittle{Conn: conn, left: 60_000, cut: &cut}, err
	}
	got := all(t, s.Read(t.Context(), time.Time{}))
	if len(got) != 2000 || len(slices.Compact(got)) != 2000 {
		t.Errorf("%d records", len(got))
	}
	if cut.Load() == 0 {
		t.Error("no connection was cut")
	}
}

type brittle struct {
	net.Conn
	left int
	cut  *atomic.Int64
}

func (b *brittle) Read(p []byte) (int, error) {
	n, err := b.Conn.Read(p)
	if b.left -= n; b.left <= 0 && err == nil {
		b.cut.Add(1)
		_ = b.Close()
		return 0, io.ErrUnexpectedEOF
	}
	return n, err
}

// TestPostgresEncoding reads a database that is not in UTF-8, on a server that is not in UTC.
func TestPostgresEncoding(t *testing.T) {
	t.Parallel()
	utf8 := database(t, "")
	latin := strings.Replace(utf8, "?", "_latin?", 1)
	name := latin[strings.LastIndexByte(latin, '/')+1 : strings.IndexByte(latin, '?')]
	execute(t, utf8, "create database "+name+" encoding 'LATIN1' locale 'C' template template0")
	t.Cleanup(func() { execute(t, utf8, "drop database "+name+" with (force)") })
	execute(t, utf8, "alter database "+name+" set timezone = 'Asia/Tokyo'")
	s := openPostgres(t, PostgresConfig{URL: latin, Query: `select 'bl' || chr(229) || 'bær' as id, timestamp '2025-01-01 00:00:00' as closed_at,
		jsonb_build_array(jsonb_build_object('role', 'user', 'text', timestamptz '2025-01-01 00:00:00Z')) as messages where timestamp '2025-01-01' >= @since`})
	n := 0
	for r, err := range s.Read(t.Context(), time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)) {
		if err != nil {
			t.Fatal(err)
		}
		got, err := r.Transcript()
		if n++; err != nil || got.ID != "blåbær" || got.Messages[0].Text != "2025-01-01T00:00:00+00:00" {
			t.Errorf("got %+v, %v", got, err)
		}
	}
	if n != 1 {
		t.Errorf("%d rows", n)
	}
}

func TestPostgresCancel(t *testing.T) {
	t.Parallel()
	url := database(t, schema+sessions(1000))
	s := openPostgres(t, PostgresConfig{URL: url, Query: recommended, PageSize: 100})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n := 0
	var last error
	for _, err := range s.Read(ctx, time.Time{}) {
		if last = err; err == nil {
			if n++; n == 150 {
				cancel()
			}
		}
	}
	if !errors.Is(last, context.Canceled) || n != 200 {
		t.Errorf("after %d records: %v", n, last)
	}
}

// TestPostgresCancelQuery ends a query that would take a minute.
func TestPostgresCancelQuery(t *testing.T) {
	t.Parallel()
	url := database(t, "")
	s := openPostgres(t, PostgresConfig{URL: url, Query: "select 1 as id, now() as closed_at, pg_sleep(60)::text as messages"})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	start := time.Now()
	if _, err := collect(t, "", s.Read(ctx, time.Time{})); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 20*time.Second {
		t.Errorf("after %v: %v", time.Since(start), err)
	}
}
