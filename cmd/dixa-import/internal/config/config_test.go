package config

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"dixa-import/importer"
	"dixa-import/importer/checkpoint"
)

// environment is a fixed set of variables.
func environment(pairs ...string) func(string) (string, bool) {
	vars := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		vars[pairs[i]] = pairs[i+1]
	}
	return func(name string) (string, bool) {
		v, ok := vars[name]
		return v, ok
	}
}

// load reads a configuration as c.yaml.
func load(t *testing.T, text string, lookup func(string) (string, bool)) (*File, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(path, lookup)
	if c != nil {
		c.Path = "c.yaml"
	}
	return c, err
}

// everySection returns the problems of all sections, as run sees them.
func everySection(c *File) string {
	_, dixaErr := c.Dixa()
	_, sourceErr := c.Source()
	_, usersErr := c.EndUsers()
	_, attributesErr := c.Attributes()
	_, finishingErr := c.Finishing()
	_, importErr := c.Importing()
	_, databaseErr := c.DatabaseURL()
	var out []string
	for _, err := range []error{dixaErr, databaseErr, sourceErr, usersErr, attributesErr, finishingErr, importErr} {
		if err != nil {
			out = append(out, err.Error())
		}
	}
	return strings.Join(out, "\n")
}

const goodConfig = `dixa:
  token: secret-token
source:
  name: bot
  jsonl: {paths: [a.jsonl]}
`

func TestConfigProblemsNameFileLineAndKey(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, text, want string }{
		{"unknown key", "dixa:\n  tokn: x\n", "c.yaml:2: dixa.tokn: there is no such key, did you mean token?"},
		{"unknown section", "sauce:\n  name: x\n", "c.yaml:1: sauce: there is no such key, did you mean source?"},
		{"unknown key far off", "source:\n  zzzzzzzz: x\n", "c.yaml:2: source.zzzzzzzz: there is no such key; there are name, time_zone, jsonl, csv, format, transform"},
		{"key twice", "dixa:\n  rate: 1\n  rate: 2\n", "c.yaml:3: dixa.rate: the key stands there twice"},
		{"no YAML", "dixa: [\n", "c.yaml:1: this is not YAML: "},
		{"a list for a section", "dixa: [a]\n", "c.yaml:1: dixa: here must be a mapping of keys to values, not a list"},
		{"a mapping for a value", "dixa:\n  token: {a: b}\n", "c.yaml:2: dixa.token: here must be a single value, not a mapping"},
		{"a value for a list", "end_users:\n  match: email\n", "c.yaml:2: end_users.match: here must be a list such as [a, b], not a single value"},
		{"two documents", "dixa:\n---\ndixa:\n", "c.yaml: there are several YAML documents"},
		{"missing variable", "dixa:\n  token: ${NOT_SET}\n", "c.yaml:2: dixa.token: the environment variable NOT_SET is not set"},
		{"open brace", "dixa:\n  token: ${NOT_SET\n", "c.yaml:2: dixa.token: a ${ is not closed"},
		{"no variable name", "dixa:\n  token: ${9}\n", "c.yaml:2: dixa.token: the text between ${ and }"},
		{"no token", "dixa:\n  token:\n", "c.yaml:2: dixa.token: is empty"},
		{"rate", "dixa:\n  rate: fast\n", "c.yaml:2: dixa.rate: must be a number from 0 up"},
		{"negative rate", "dixa:\n  rate: -1\n", "c.yaml:2: dixa.rate: must be a number from 0 up"},
		{"rate is no number", "dixa:\n  rate: .nan\n", "c.yaml:2: dixa.rate: must be a number from 0 up"},
		{"expanded rate", "dixa:\n  rate: ${RATE}\n", "c.yaml:2: dixa.rate: must be a number from 0 up"},
		{"burst", "dixa:\n  burst: 0\n", "c.yaml:2: dixa.burst: must be a whole number from 1 up"},
		{"timeout without a unit", "dixa:\n  timeout: 30\n", "c.yaml:2: dixa.timeout: must be a duration of at least 1ms, such as 30s, with a unit"},
		{"agent", "dixa:\n  agent_id: bot\n", "c.yaml:2: dixa.agent_id: is not a UUID"},
		{"conversation url", "dixa:\n  conversation_url: https://acme.example/c\n", "c.yaml:2: dixa.conversation_url: must be an http(s) address with {id}"},
		{"auth", "dixa:\n  token: x\n  auth: basic\n", "c.yaml:3: dixa.auth: must be auto, bearer or raw"},
		{"http", "dixa:\n  token: x\n  base_url: http://dixa.example\n", "c.yaml:3: dixa.base_url: the base URL of the Dixa API is http://"},
		{"token", "dixa:\n  token: a b\n", "c.yaml:2: dixa.token: the Dixa API token holds spaces"},
		{"no source name", "source:\n  jsonl: {paths: [a]}\n", "c.yaml: source.name: is empty"},
		{"source name", "source:\n  name: Bot\n", "c.yaml:2: source.name: must be 1 to 64 characters"},
		{"no source", "source:\n  name: bot\n", "c.yaml:2: source: has none of jsonl, csv and postgres"},
		{"two sources", "source:\n  jsonl: {paths: [a]}\n  postgres: {url: u, query: q}\n", "c.yaml:3: source: has both jsonl and postgres"},
		{"no paths", "source:\n  jsonl: {paths: []}\n", "c.yaml: source.jsonl.paths: is empty"},
		{"empty path", "source:\n  jsonl:\n    paths:\n      - a\n      - ''\n", "c.yaml:5: source.jsonl.paths[1]: is empty"},
		{"records", "source:\n  jsonl: {paths: [a], records: '.[0]'}\n", "c.yaml:2: source.jsonl.records: .[0] is not a path: write the names that lead to"},
		{"encoding", "source:\n  jsonl: {paths: [a], encoding: utf9}\n", "c.yaml:2: source.jsonl.encoding: \"utf9\" is not known: write auto, utf-8"},
		{"no query", "source:\n  postgres: {url: u}\n", "c.yaml: source.postgres.query: is empty"},
		{"session gap", "source:\n  session_gap: \"5\"\n", "c.yaml:2: source.session_gap: must be a duration of at least 0s, such as 30m, with a unit"},
		{"overlap", "source:\n  postgres: {url: u, query: q, overlap: 1 day}\n", "c.yaml:2: source.postgres.overlap: must be a duration of at least 0s, such as 24h"},
		{"match", "end_users:\n  match: [mail]\n", "c.yaml:2: end_users.match[0]: must be external_id, email or phone, did you mean email?"},
		{"match twice", "end_users:\n  match: [email, email]\n", "c.yaml:2: end_users.match[1]: email is in the list twice"},
		{"match empty", "end_users:\n  match: []\n", "c.yaml: end_users.match: is empty"},
		{"region", "end_users:\n  default_region: Denmark\n", "c.yaml:2: end_users.default_region: is not a country"},
		{"anonymous", "end_users:\n  anonymous: drop\n", "c.yaml:2: end_users.anonymous: must be create or skip"},
		{"ignore", "end_users:\n  ignore: [a, '']\n", "c.yaml:2: end_users.ignore[1]: is empty: write a value that means nobody"},
		{"preload", "end_users:\n  preload: yes\n", "c.yaml:2: end_users.preload: must be true or false"},
		{"attribute", "attributes:\n  a:\n", "c.yaml:2: attributes.a: is empty"},
		{"attribute key", "attributes:\n  a: {attribut: x}\n", "c.yaml:2: attributes.a.attribut: there is no such key, did you mean attribute?"},
		{"constant", "attributes:\n  a: {attribute: x}\n", "c.yaml:2: attributes.a.value: is missing"},
		{"constant of a mapping", "attributes:\n  a: {attribute: x, value: {b: c}}\n", "c.yaml:2: attributes.a.value: here must be a single value"},
		{"tag", "tags: [bot, '']\n", "c.yaml:1: tags[1]: is empty: write the name of a tag"},
		{"create_tags", "create_tags: yes\n", "c.yaml:1: create_tags: must be true or false"},
		{"when_unavailable", "handover: {when_unavailable: never}\n", "c.yaml:1: handover.when_unavailable: must be queue, wait or skip"},
		{"workers", "import:\n  workers: many\n", "c.yaml:2: import.workers: must be a whole number from 0 up"},
		{"attempts", "import:\n  max_attempts: 0\n", "c.yaml:2: import.max_attempts: must be a whole number from 1 up"},
		{"failures", "import:\n  max_failures: 5 %x\n", "c.yaml:2: import.max_failures: must be a whole number"},
		{"percentage", "import:\n  max_failures: 500%\n", "c.yaml:2: import.max_failures: a percentage must be above 0%"},
		{"patience", "import:\n  database_patience: 0\n", "c.yaml:2: import.database_patience: must be a duration of at least 1ms, such as 5m"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, err := load(t, tt.text, environment("RATE", "quick"))
			var got string
			if err != nil {
				got = err.Error()
			} else {
				got = everySection(c)
			}
			got = regexp.MustCompile(`(?m)^/.*/c\.yaml`).ReplaceAllString(got, "c.yaml")
			if !strings.Contains("\n"+got, "\n"+tt.want) {
				t.Errorf("problems are\n%s\nwithout\n%s", got, tt.want)
			}
		})
	}
}

func TestConfigProblemsAreAllNamedAndHoldNoSecret(t *testing.T) {
	t.Parallel()
	c, err := load(t, "dixa:\n  token: my secret\n  rate: x\n  burst: y\nsource:\n  name: A\n", environment())
	if err != nil {
		t.Fatal(err)
	}
	got := everySection(c)
	for _, key := range []string{"dixa.rate", "dixa.burst", "source.name", "source: has none"} {
		if !strings.Contains(got, key) {
			t.Errorf("%s is not named in\n%s", key, got)
		}
	}
	if strings.Contains(got, "secret") {
		t.Errorf("the token is in\n%s", got)
	}
	if _, err := load(t, "dixa:\n  token: my-secret\n   rate: 1\n", environment()); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("an error of YAML is missing or quotes the file: %v", err)
	}
}

func TestConfigValues(t *testing.T) {
	t.Parallel()
	c, err := load(t, `dixa:
  token: " ${TOKEN} "
  base_url: ${URL:-https://eu.dixa.example/}
  rate: ${RATE:-2.5}
  burst: "3"
  timeout: ${T}s
  conversation_url: https://acme.dixa.com/conversation/{id}
database: ${EMPTY:-sqlite:other.db}
source:
  name: bot
  postgres:
    url: postgres://bot@db/bot
    query: |
      select '$${x}' as a, $1
    overlap: 2h
end_users: {match: [phone], default_region: gb, anonymous: skip, preload: true, ignore: [0815, "${KIOSK:-kiosk}"], anonymous_name: " Somebody "}
attributes:
  order: &o order_number
  version: {attribute: Bot version, value: 2.40}
  beta: {attribute: *o, value: true}
  reason: {attribute: contact_reason, value: [payment, "${CARD}"]}
import: {workers: "${W}", max_attempts: 2, max_failures: 2.5%, settle: 1m, database_patience: 1h, time_zone: Europe/Copenhagen}
`, environment("TOKEN", "abc", "T", "12", "EMPTY", "", "CARD", "card", "W", "7"))
	if err != nil {
		t.Fatal(err)
	}
	if got := everySection(c); got != "" {
		t.Fatal(got)
	}
	api, _ := c.Dixa()
	wantAPI := Dixa{BaseURL: "https://eu.dixa.example", ExportsURL: "https://exports.dixa.io", Token: "abc", Auth: "auto", Mark: true, Rate: 2.5, Burst: 3, Timeout: 12 * time.Second,
		ConversationURL: "https://acme.dixa.com/conversation/{id}"}
	if diff := cmp.Diff(wantAPI, api); diff != "" {
		t.Error(diff)
	}
	if db, _ := c.DatabaseURL(); db != "sqlite:other.db" {
		t.Errorf("database is %q", db)
	}
	src, _ := c.Source()
	wantSource := Source{Name: "bot", URL: "postgres://bot@db/bot", Query: "select '${x}' as a, $1\n", Overlap: 2 * time.Hour}
	if diff := cmp.Diff(wantSource, src); diff != "" {
		t.Error(diff)
	}
	users, _ := c.EndUsers()
	if diff := cmp.Diff(EndUsers{Match: []checkpoint.IdentifierKind{checkpoint.Phone}, Region: "GB", Anonymous: importer.AnonymousSkip, Preload: true,
		Ignore: []string{"0815", "kiosk"}, AnonymousName: "Somebody"}, users); diff != "" {
		t.Error(diff)
	}
	copenhagen, err := time.LoadLocation("Europe/Copenhagen")
	if err != nil {
		t.Fatal(err)
	}
	imports, _ := c.Importing()
	if diff := cmp.Diff(Import{7, 2, importer.Failures{Percent: 2.5}, time.Minute, time.Hour, copenhagen}, imports, sameZone); diff != "" {
		t.Error(diff)
	}
	mappings, _ := c.Attributes()
	var got []string
	for _, m := range mappings {
		constant := "-"
		if m.Constant != nil {
			constant = m.Constant.Text + strings.Join(m.Constant.List, ">")
		}
		got = append(got, m.Name+"="+m.Attribute+"="+constant)
	}
	want := []string{"order=order_number=-", "version=Bot version=2.40", "beta=order_number=true", "reason=contact_reason=payment>card"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestConfigNeedsOnlyWhatIsUsed(t *testing.T) {
	t.Parallel()
	c, err := load(t, "dixa:\n  token: ${NOT_SET}\nsource:\n  name: ${NOT_SET}\n", environment())
	if err != nil {
		t.Fatal(err)
	}
	if db, err := c.DatabaseURL(); err != nil || db != defaultDatabase {
		t.Errorf("the database is %q with %v", db, err)
	}
}

func TestFlagsOverrideTheFile(t *testing.T) {
	t.Parallel()
	c, err := load(t, goodConfig+"import:\n  workers: ${NOT_SET}\n", environment())
	if err != nil {
		t.Fatal(err)
	}
	c.raw.Import.Workers.override("workers", "3")
	c.raw.Dixa.Rate.override("rate", "0")
	imports, err := c.Importing()
	if err != nil || imports.Workers != 3 {
		t.Errorf("workers are %d with %v", imports.Workers, err)
	}
	api, err := c.Dixa()
	if err != nil || api.Rate != 0 {
		t.Errorf("rate is %v with %v", api.Rate, err)
	}
	c.raw.Dixa.Rate.override("rate", "-1")
	var usage *UsageError
	if _, err := c.Dixa(); !errors.As(err, &usage) || !strings.HasPrefix(err.Error(), "--rate: ") {
		t.Errorf("a bad flag gives %v", err)
	}
}

var sameZone = cmp.Comparer(func(a, b *time.Location) bool { return a.String() == b.String() })

func TestExampleShowsEveryKeyAndDefault(t *testing.T) {
	t.Parallel()
	const path = "../../../../config.example.yaml"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lookup := environment("DIXA_API_TOKEN", "secret-token")
	example, err := Load(path, lookup)
	if err != nil {
		t.Fatal(err)
	}
	if got := everySection(example); got != "" {
		t.Fatal(got)
	}
	for _, key := range yamlKeys(reflect.TypeFor[sections]()) {
		if !strings.Contains(string(text), key+":") {
			t.Errorf("the key %s is not in the example", key)
		}
	}
	plain, err := load(t, "dixa: {token: secret-token}\nsource: {name: support-bot, jsonl: {paths: [\"transcripts/*.jsonl.gz\"]}}\n", lookup)
	if err != nil {
		t.Fatal(err)
	}
	sections := func(c *File) []any {
		api, _ := c.Dixa()
		src, _ := c.Source()
		users, _ := c.EndUsers()
		attributes, _ := c.Attributes()
		imports, _ := c.Importing()
		database, _ := c.DatabaseURL()
		return []any{api, src, users, len(attributes), imports, database}
	}
	if diff := cmp.Diff(sections(plain), sections(example), sameZone); diff != "" {
		t.Errorf("the example does not show the defaults:\n%s", diff)
	}
}

// yamlKeys returns all keys of the structs of the configuration.
func yamlKeys(t reflect.Type) []string {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return nil
	}
	var keys []string
	for f := range t.Fields() {
		if key := f.Tag.Get("yaml"); key != "" {
			keys = append(append(keys, key), yamlKeys(f.Type)...)
		}
	}
	return keys
}
