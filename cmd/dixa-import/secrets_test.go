package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"dixa-import/dixa/sandbox"
	"dixa-import/importer/checkpoint/pgtest"
)

// What must not be found anywhere but where it belongs.
const (
	secretText     = "Quokka: where is my parcel, please?"
	secretName     = "Zephyrine Oddfellow"
	secretEmail    = "zephyrine.quimby@hidden.example"
	secretPhone    = "20304050"
	secretID       = "loyalty-QX77"
	secretValue    = "voucher-ZK81"
	secretURL      = "https://cdn.hidden.example/label.pdf?signature=s1gn4tur3"
	secretPassword = "pa55-w0rd-of-the-database"
)

// identifiers may be in the table end_users, and nowhere else.
var (
	identifierSecrets = []string{secretEmail, "zephyrine.quimby", url.QueryEscape(secretEmail), secretPhone, secretID}
	otherSecrets      = []string{secretText, "Quokka", secretName, "Oddfellow", secretValue, secretURL, "s1gn4tur3", secretPassword}
)

// secretTranscripts are transcripts that are good, bad, open and double, with secrets everywhere.
func secretTranscripts(t *testing.T, path string) {
	t.Helper()
	var b strings.Builder
	line := func(v any) {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(append(text, '\n'))
	}
	type object = map[string]any
	people := []object{{"email": secretEmail, "name": secretName}, {"phone": "+45 " + secretPhone}, {"external_id": secretID}, {}, {"email": secretEmail, "phone": secretPhone, "external_id": secretID + "x"}}
	chat := func(id string, n int) object {
		return object{"id": id, "closed_at": "2026-11-19T08:00:00Z", "end_user": people[n%len(people)],
			"messages":   []object{{"role": "user", "text": secretText}, {"role": "bot", "text": secretText, "attachments": []object{{"url": secretURL, "name": secretName}}}},
			"attributes": object{"order_number": secretValue, "contact_reason": []string{"delivery", secretValue}}}
	}
	for i := range 12 {
		line(chat(fmt.Sprintf("t-%d", i), i))
	}
	for i, spoil := range []func(object){
		func(c object) { c["closed_at"] = secretText },
		func(c object) { c["closed_at"] = "2026-11-19T08:00:00" },
		func(c object) { c["closed_at"] = nil },
		func(c object) { c["end_user"] = secretName },
		func(c object) { c["end_user"] = object{"email": []string{secretEmail}, secretEmail: 1} },
		func(c object) { c["messages"] = secretText },
		func(c object) { c["messages"] = []object{{"role": secretName, "text": secretText}} },
		func(c object) { c["messages"] = []object{{"role": "user", "text": []string{secretText}}} },
		func(c object) { c["messages"] = []object{{"role": "user", "text": secretText, "format": secretText}} },
		func(c object) {
			c["messages"] = []object{{"role": "bot", "text": secretText, "attachments": []object{{"url": 7, "name": secretURL}}}}
		},
		func(c object) { c["attributes"] = object{"order_number": object{secretValue: secretValue}} },
		func(c object) { c["attributes"] = object{"order_number": []string{secretValue}} },
		func(c object) { c["direction"] = secretText },
		func(c object) { c["id"] = []string{secretName} },
		func(c object) { delete(c, "id") },
		func(c object) { c[secretEmail], c[secretText] = secretText, 1 },
		func(c object) { c["id"] = "t-1" }, // the same id with other content
		func(c object) {
			c["messages"] = []object{{"role": "agent", "agent_id": secretName, "text": secretText}}
		},
	} {
		c := chat(fmt.Sprintf("bad-%d", i), i)
		spoil(c)
		line(c)
	}
	fmt.Fprintf(&b, `{"id": "broken", "end_user": {"email": "%s"}, "messages": [{"text": "%s`+"\n", secretEmail, secretText)
	fmt.Fprintln(&b, secretText)
	writeFile(t, path, b.String())
}

// echoing answers some of the requests with all that they said.
func echoing(next http.Handler) http.Handler {
	var n atomic.Int64
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		if r.URL.Path == "/v1/organization" || n.Add(1)%3 != 0 {
			next.ServeHTTP(w, r)
			return
		}
		said := r.URL.String() + " " + r.URL.Query().Encode() + fmt.Sprint(r.URL.Query()) + string(body) + fmt.Sprint(r.Header)
		if messages := bytes.Index(body, []byte(`"messages"`)); messages >= 0 { // what comes late in a long answer is cut off
			said = string(body[messages:]) + said
		}
		text, _ := json.Marshal(said)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"message": ` + string(text) + `}`))
	})
}

// TestNothingSecretIsWritten runs every command in every kind of trouble, and looks for secrets in everything that is written.
func TestNothingSecretIsWritten(t *testing.T) {
	t.Parallel()
	type trouble struct {
		options sandbox.Options
		wrap    func(http.Handler) http.Handler
	}
	troubles := map[string]trouble{
		"none": {}, "echo": {wrap: echoing},
		"forbidden import": {options: sandbox.Options{Forbidden: map[sandbox.Operation]int{sandbox.Import: 401}}},
		"forbidden look":   {options: sandbox.Options{Forbidden: map[sandbox.Operation]int{sandbox.FindEndUsers: 403}}},
		"forbidden all":    {options: sandbox.Options{Forbidden: map[sandbox.Operation]int{sandbox.GetOrganization: 403, sandbox.ListAttributes: 403, sandbox.ListMessages: 403, sandbox.ListConversations: 401}}},
		"in doubt": {options: sandbox.Options{Forbidden: map[sandbox.Operation]int{sandbox.ListMessages: 403},
			Faults: []sandbox.Fault{{Operation: sandbox.Import, Kind: sandbox.ErrorAfter, Status: 502}}}},
		"refused": {options: sandbox.Options{Faults: []sandbox.Fault{{Operation: sandbox.Import, Kind: sandbox.ErrorBefore, Status: 422}}}},
		"nobody": {options: sandbox.Options{Faults: []sandbox.Fault{
			{Name: "creation", Operation: sandbox.CreateEndUser, Kind: sandbox.ErrorBefore, Status: 400},
			{Name: "creation", Operation: sandbox.CreateEndUsers, Kind: sandbox.ErrorBefore, Status: 400}}}},
		"no attributes": {options: sandbox.Options{Faults: []sandbox.Fault{{Operation: sandbox.PatchAttributes, Kind: sandbox.ErrorBefore, Status: 400}}}},
	}
	for i, kind := range faultKinds { // in three storms
		name := fmt.Sprintf("storm %d", i%3)
		storm := troubles[name]
		storm.options.Faults = append(storm.options.Faults, sandbox.Fault{Name: string(kind), Kind: kind, Probability: 0.08, Duration: 100 * time.Millisecond})
		troubles[name] = storm
	}
	n := 0
	for name, trouble := range troubles {
		if testing.Short() && (strings.HasPrefix(name, "storm") || name == "in doubt") {
			continue
		}
		format := []string{"text", "json"}[n%2]
		n++
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			api := sandbox.New(trouble.options)
			handler := http.Handler(api)
			if trouble.wrap != nil {
				handler = trouble.wrap(api)
			}
			server := httptest.NewServer(handler)
			defer server.Close()
			v := &vault{dir: t.TempDir(), token: api.Token(), format: format}
			secretTranscripts(t, filepath.Join(v.dir, "t.jsonl"))
			writeFile(t, filepath.Join(v.dir, "config.yaml"), fmt.Sprintf(`
dixa: {base_url: "%s", token: "%s", rate: 0, timeout: 1s}
database: sqlite:%s/bot.db
source: {name: bot, jsonl: {paths: ["%s/t.jsonl"]}}
attributes: {order_number: order_number, contact_reason: contact_reason}
import: {settle: 1s, max_attempts: 2}
`, server.URL, v.token, v.dir, v.dir))
			v.everyCommand(t)
			v.search(t)
			for fault, times := range api.Fired() {
				if times == 0 {
					t.Errorf("the fault %s has never fired", fault)
				}
			}
			if name == "none" && (!strings.Contains(v.shown, secretText) || !strings.Contains(v.shown, secretEmail)) {
				t.Error("what is meant to show secrets shows none: is this looking at anything?")
			}
		})
	}
}

// everyCommand does what a user can do, one after the other.
func (v *vault) everyCommand(t *testing.T) {
	ctx := t.Context()
	v.do(ctx, false, "check")
	v.do(ctx, false, "run", "--dry-run")
	v.do(ctx, false, "run", "--for", "8s")
	v.do(ctx, false, "run", "--for", "5s", "--json")
	v.do(ctx, false, "retry", "--for", "5s", "--status", "failed,rejected,imported,pending")
	v.do(ctx, false, "status")
	v.do(ctx, false, "errors")
	v.do(ctx, false, "errors", "--json")
	v.do(ctx, false, "errors", "--format", "csv")
	v.do(ctx, false, "errors", "--format", "jsonl")
	v.do(ctx, true, "errors", "--format", "transcripts")
	v.do(ctx, true, "explain", "t-1")
	v.do(ctx, true, "explain", "bad-6", "--json")
	v.do(ctx, false, "verify", "--for", "5s")
	v.do(ctx, false, "attributes")
	v.do(ctx, false, "report", "--output", "-")
	v.do(ctx, false, "retry", "--status", "in_doubt", "--drop")
	v.do(ctx, false, "forget", "--email", secretEmail, "--phone", secretPhone+"ab@c", "--yes")
	v.do(ctx, false, "forget", "--email", secretEmail, "--phone", "+45"+secretPhone, "--external-id", secretID, "--yes")
	v.do(ctx, false, "forget", "--email", secretEmail)
}

// TestNoSecretOfADatabaseIsWritten: passwords in URLs, and values that Postgres quotes.
func TestNoSecretOfADatabaseIsWritten(t *testing.T) {
	t.Parallel()
	real := pgtest.New(t)
	conn, err := pgx.Connect(t.Context(), real)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	_, err = conn.Exec(t.Context(), `create table s (id text, closed_at timestamptz, mail text, messages text)`)
	if err == nil {
		_, err = conn.Exec(t.Context(), `insert into s values ('t-1', '2026-11-19', $1, $2)`, secretEmail, `[{"role": "user", "text": "`+secretText+`"}]`)
	}
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(real)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(u.User.Username(), secretPassword)
	withPassword := u.String()
	u.Path = "/no-such-database"
	const away = "postgres://bot:" + secretPassword + "@127.0.0.1:1/bot?connect_timeout=1"
	const good = "select id, closed_at, messages, mail as end_user_email from s"
	for name, c := range map[string][3]string{ // database, source, query
		"away":             {away, away, good},
		"source away":      {"", away, good},
		"no such database": {u.String(), u.String(), good},
		"bad port":         {"postgres://bot:" + secretPassword + "@127.0.0.1:port/bot", "postgres://bot:" + secretPassword + "@127.0.0.1:port/bot", good},
		"bad escape":       {"postgres://bot:%zz" + secretPassword + "@127.0.0.1/bot", "postgres://bot:" + secretPassword + "%zz@127.0.0.1/bot", good},
		"bad scheme":       {"mysql://bot:" + secretPassword + "@127.0.0.1/bot", "mysql://bot:" + secretPassword + "@127.0.0.1/bot", good},
		"bad option":       {"postgres://bot:" + secretPassword + "@127.0.0.1/bot?sslmode=" + secretName, "postgres://bot:" + secretPassword + "@127.0.0.1/bot?sslmode=sometimes", good},
		"no schema":        {withPassword, withPassword, good},
		"a value":          {"", withPassword, "select id, closed_at, messages, mail::int::text as end_user_email from s"},
		"raised":           {"", withPassword, "select id, closed_at, messages, (mail::date)::text as end_user_email from s"},
		"a bad query":      {"", withPassword, "select '" + secretText + "' as id, closed_at, messages from nowhere"},
		"bad messages":     {"", withPassword, "select id, closed_at, mail as messages from s"},
		"good":             {"", withPassword, good},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			api := sandbox.New(sandbox.Options{})
			server := httptest.NewServer(api)
			defer server.Close()
			v := &vault{dir: t.TempDir(), token: api.Token(), format: "text"}
			database := c[0]
			if database == "" {
				database = "sqlite:" + v.dir + "/bot.db"
			}
			writeFile(t, filepath.Join(v.dir, "config.yaml"), fmt.Sprintf(`
dixa: {base_url: "%s", token: "%s", rate: 0, timeout: 1s}
database: "%s"
source: {name: bot, postgres: {url: "%s", query: "%s"}}
import: {settle: 1s, max_attempts: 2, database_patience: 1s}
`, server.URL, v.token, database, c[1], c[2]))
			for _, args := range [][]string{{"check"}, {"run"}, {"retry"}, {"status"}, {"errors"}, {"migrate"}, {"verify"}, {"forget", "--email", secretEmail, "--yes"}} {
				v.do(t.Context(), false, args...)
			}
			v.do(t.Context(), true, "explain", "t-1")
			for i, output := range v.outputs { // what the query says is no secret to whoever wrote it
				v.outputs[i].text = strings.ReplaceAll(output.text, secretText+"' as", "")
			}
			v.search(t)
		})
	}
}

// TestNoSecretOfTheConfigurationIsWritten puts the token where it does not belong.
func TestNoSecretOfTheConfigurationIsWritten(t *testing.T) {
	t.Parallel()
	token := sandbox.Token(sandbox.DefaultAgentID, sandbox.DefaultOrganizationID)
	for i, config := range []string{
		"dixa: {token: [%s]}",
		"dixa: {token: {a: %s}}",
		"dixa: {token: \"%s",
		"dixa: {token: %s}\n  x: y",
		"dixa:\n\ttoken: %s",
		"dixa: {token: \"Bearer %s\"}",
		"dixa: {token: x, agent_id: %s}",
		"dixa: {token: x, base_url: %s}",
		"dixa: {token: x, base_url: \"https://bot:%s@dev.dixa.io\"}",
		"dixa: {token: x, base_url: \"https://dev.dixa.io/?token=%s\"}",
		"dixa: {token: x, conversation_url: %s}",
		"dixa: {token: x, rate: %s, burst: %[1]s, timeout: %[1]s}",
		"dixa: {token: \"${%s}\"}",
		"dixa: {token: \"${%s\"}",
		"dixa: %s",
		"%s",
		"database: %s",
		"source: {name: %s, jsonl: {paths: [x]}}",
		"source: {name: x, jsonl: {paths: %s}}",
		"end_users: {match: [%s], default_region: %[1]s, anonymous: %[1]s}",
		"attributes: [%s]",
		"attributes: {x: {attribute: y, value: {z: %s}}}",
		"import: {workers: %s, settle: %[1]s, max_failures: %[1]s}",
	} {
		v := &vault{dir: t.TempDir(), token: token, format: "text"}
		writeFile(t, filepath.Join(v.dir, "config.yaml"), fmt.Sprintf(config, token))
		for _, args := range [][]string{{"check"}, {"run"}, {"retry"}, {"status"}, {"errors"}, {"explain", "x"}, {"attributes"}, {"forget", "--email", "a@b.c", "--yes"}} {
			v.do(t.Context(), false, args...)
		}
		v.search(t)
		if t.Failed() {
			t.Fatalf("configuration %d: %s", i, config)
		}
	}
}
