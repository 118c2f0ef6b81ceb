package config

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/nyaruka/phonenumbers"

	"dixa-import/cmd/dixa-import/internal/term"
	"dixa-import/dixa"
	"dixa-import/importer"
	"dixa-import/importer/checkpoint"
	"dixa-import/importer/connect"
	"dixa-import/source"
)

// The defaults of the configuration; config.example.yaml shows them, too.
const (
	defaultRate        = 8.0
	DefaultBurst       = 4
	DefaultTimeout     = 30 * time.Second
	defaultDatabase    = "sqlite:dixa-import.db"
	defaultOverlap     = 24 * time.Hour
	DefaultRegion      = "DK"
	DefaultMaxAttempts = 5
	defaultSettle      = 30 * time.Second
	defaultPatience    = 5 * time.Minute
)

// Dixa is the section dixa.
type Dixa struct {
	BaseURL         string
	ExportsURL      string
	Token           string
	Auth            dixa.Auth
	AgentID         string // of the configuration, "" if it leaves that to the token
	Mark            bool   // leave a mark in Dixa that names the checkpoint
	Rate            float64
	Burst           int
	Timeout         time.Duration
	ConversationURL string
}

// Dixa reads the section dixa.
func (c *File) Dixa() (Dixa, error) {
	r := &reader{c: c}
	d := c.raw.Dixa
	s := Dixa{
		BaseURL:    strings.TrimRight(connect.Unwrapped(r.text(d.BaseURL, "dixa.base_url", dixa.DefaultBaseURL)), "/"),
		ExportsURL: strings.TrimRight(connect.Unwrapped(r.text(d.ExportsURL, "dixa.exports_url", dixa.DefaultExportsURL)), "/"),
		Token: connect.Unwrapped(r.required(d.Token, "dixa.token",
			"give the API token of the bot user, best as ${DIXA_API_TOKEN} (Dixa: Settings > AI agents)")),
		AgentID:         connect.Unwrapped(r.text(d.AgentID, "dixa.agent_id", "")),
		Mark:            r.boolean(d.Mark, "dixa.mark", true),
		Rate:            r.number(d.Rate, "dixa.rate", defaultRate),
		Burst:           r.integer(d.Burst, "dixa.burst", DefaultBurst, 1),
		Timeout:         r.duration(d.Timeout, "dixa.timeout", DefaultTimeout, time.Millisecond),
		ConversationURL: connect.Unwrapped(r.text(d.ConversationURL, "dixa.conversation_url", "")),
	}
	var err error
	if s.Auth, err = dixa.ParseAuth(r.text(d.Auth, "dixa.auth", string(dixa.AuthAuto))); err != nil {
		r.fail(d.Auth, "dixa.auth", "%s", err.Error())
	}
	if s.AgentID != "" && uuid.Validate(s.AgentID) != nil {
		r.fail(d.AgentID, "dixa.agent_id", "is not a UUID: give the id of the bot user, such as 7d1f3c52-1f0c-4b52-9c0e-5a4f2f6f9b10")
	}
	if s.ConversationURL != "" && !validConversationURL(s.ConversationURL) {
		r.fail(d.ConversationURL, "dixa.conversation_url",
			"must be an http(s) address with {id} in it, such as https://acme.dixa.com/conversation/{id}")
	}
	if err := acceptable(s.ExportsURL, "any"); err != nil {
		r.fail(d.ExportsURL, "dixa.exports_url", "%s", err.Error())
	}
	if err := acceptable(s.BaseURL, "any"); err != nil {
		r.fail(d.BaseURL, "dixa.base_url", "%s", err.Error())
	}
	if s.Token != "" {
		if err := acceptable("", s.Token); err != nil {
			r.fail(d.Token, "dixa.token", "%s", err.Error())
		}
	}
	return s, r.err()
}

// BotUser returns the bot user: the configured one, else the one that the token names.
func (s Dixa) BotUser() (string, error) {
	if s.AgentID != "" {
		return s.AgentID, nil
	}
	if id, ok := dixa.TokenAgentID(s.Token); ok {
		return id, nil
	}
	if strings.Count(s.Token, ".") != 2 {
		return "", errors.New("the token names no bot user, and it is no JWT, as the tokens of bot users are: copy the whole token into dixa.token, " +
			"or, for a general API token, set dixa.agent_id to the UUID of the bot user")
	}
	return "", errors.New("the token names no bot user: set dixa.agent_id to the UUID of the bot user (the agentId that Dixa showed with the bot's token)")
}

// acceptable asks the client whether it would take an address and a token.
func acceptable(baseURL, token string) error {
	client, err := dixa.New(dixa.Config{BaseURL: baseURL, Token: token})
	if err == nil {
		client.Close()
	}
	return err
}

func validConversationURL(s string) bool {
	u, err := url.Parse(strings.ReplaceAll(s, "{id}", "1"))
	return err == nil && strings.Contains(s, "{id}") && (u.Scheme == "https" || u.Scheme == "http") && u.Host != ""
}

// DatabaseURL is the key database.
func (c *File) DatabaseURL() (string, error) {
	r := &reader{c: c}
	s := connect.Address(r.text(c.raw.Database, "database", ""), connect.ForCheckpoint)
	if err := connect.CheckAddress(s, connect.ForCheckpoint); s != "" && err != nil {
		r.fail(c.raw.Database, "database", "%s", err.Error())
	}
	return cmp.Or(s, defaultDatabase), r.err()
}

// DatabaseOf returns the address of another checkpoint, given with a flag; variables in it are expanded as those of the key database are.
func (c *File) DatabaseOf(flag, value string) (string, error) {
	expanded, err := expand(value, c.lookup)
	if err != nil {
		return "", Usagef("--%s: %s", flag, err.Error())
	}
	address := connect.Address(expanded, connect.ForCheckpoint)
	if err := connect.CheckAddress(address, connect.ForCheckpoint); err != nil {
		return "", Usagef("--%s %s", flag, err.Error())
	}
	return address, nil
}

// Source is the section source: either Paths or Query is set.
type Source struct {
	Name     string
	TimeZone *time.Location // of times without one; nil: the reader's default
	Paths    []string
	Records  string
	Encoding string
	CSV      *source.CSVConfig // nil: the files are JSON
	URL      string
	Query    string
	Overlap  time.Duration
	Mapping  source.Mapping   // the zero Mapping: the records are transcripts
	Redact   *source.Redactor // nil: nothing is replaced
}

var sourceName = regexp.MustCompile(`^[a-z0-9._-]{1,64}$`)

// CheckSourceName returns why a source cannot be called that.
func CheckSourceName(name string) error {
	if !sourceName.MatchString(name) {
		return errors.New("must be 1 to 64 characters of a-z, 0-9, dot, underscore and hyphen, such as support-bot")
	}
	return nil
}

func (r *reader) name() string {
	s := r.c.raw.Source.Name
	name := connect.Unwrapped(r.required(s, "source.name", "give the source a name such as support-bot; it becomes part of the ids in Dixa, so do not change it later"))
	if err := CheckSourceName(name); name != "" && err != nil {
		r.fail(s, "source.name", "%s", err.Error())
	}
	return name
}

// timeZone is a key with the name of a time zone, nil where it is not set.
func (r *reader) timeZone(s setting, key string) *time.Location {
	name := connect.Unwrapped(r.text(s, key, ""))
	if name == "" {
		return nil
	}
	zone, err := ParseTimeZone(name)
	if err != nil {
		r.fail(s, key, "%s", err.Error())
	}
	return zone
}

// ParseTimeZone returns the zone with a name in the IANA database.
func ParseTimeZone(name string) (*time.Location, error) {
	zone, err := time.LoadLocation(name)
	if err != nil || name == "Local" { // which is another one on every machine
		return nil, errors.New("is not a time zone: give its name in the IANA database, such as UTC or Europe/Copenhagen")
	}
	return zone, nil
}

// ConversationURL is the key dixa.conversation_url alone, for commands that need no token; "" where it is missing or unfit.
func (c *File) ConversationURL() string {
	if s := connect.Unwrapped((&reader{c: c}).text(c.raw.Dixa.ConversationURL, "dixa.conversation_url", "")); validConversationURL(s) {
		return s
	}
	return ""
}

// SourceName is the key source.name alone.
func (c *File) SourceName() (string, error) {
	r := &reader{c: c}
	name := r.name()
	return name, r.err()
}

// Source reads the section source.
func (c *File) Source() (Source, error) {
	r := &reader{c: c}
	s := Source{Name: r.name(), TimeZone: r.timeZone(c.raw.Source.TimeZone, "source.time_zone"), Mapping: r.mapping(), Redact: r.redact()}
	raw := c.raw.Source
	var kinds []string
	for _, kind := range []struct {
		name  string
		given bool
	}{{"jsonl", raw.JSONL != nil}, {"csv", raw.CSV != nil}, {"postgres", raw.Postgres != nil}} {
		if kind.given {
			kinds = append(kinds, kind.name)
		}
	}
	switch {
	case len(kinds) > 1:
		at := setting{line: raw.Name.line}
		if raw.Postgres != nil {
			at = raw.Postgres.URL
		}
		r.fail(at, "source", "has both %s: keep one, and give each other one a configuration file and a source.name of its own", strings.Join(kinds, " and "))
	case raw.JSONL != nil:
		s.Paths = r.paths(raw.JSONL.Paths, "source.jsonl.paths", "[transcripts/*.jsonl.gz]")
		s.Records = r.text(raw.JSONL.Records, "source.jsonl.records", "")
		if err := source.CheckJSONL(s.Records, ""); err != nil {
			r.fail(raw.JSONL.Records, "source.jsonl.records", "%s", err.Error())
		}
		s.Encoding = r.encoding(raw.JSONL.Encoding, "source.jsonl.encoding")
	case raw.CSV != nil:
		s.Paths = r.paths(raw.CSV.Paths, "source.csv.paths", "[messages.csv]")
		s.Encoding = r.encoding(raw.CSV.Encoding, "source.csv.encoding")
		s.CSV = &source.CSVConfig{Delimiter: r.text(raw.CSV.Delimiter, "source.csv.delimiter", "auto"), Columns: r.columns(raw.CSV.Columns)}
		if err := s.CSV.Check(); err != nil {
			r.fail(raw.CSV.Delimiter, "source.csv.delimiter", "%s", err.Error())
		}
		if s.Mapping.Format == "" && s.Mapping.Transform == "" {
			s.Mapping.Format = "csv"
		}
	case raw.Postgres != nil:
		p := raw.Postgres
		s.URL = connect.Address(r.required(p.URL, "source.postgres.url", "give the address of the bot's database, such as ${BOT_DATABASE_URL}"), connect.ForSource)
		if err := connect.CheckAddress(s.URL, connect.ForSource); s.URL != "" && err != nil {
			r.fail(p.URL, "source.postgres.url", "%s", err.Error())
		}
		s.Query = r.required(p.Query, "source.postgres.query", "give a SELECT of the columns id, closed_at, messages")
		s.Overlap = r.duration(p.Overlap, "source.postgres.overlap", defaultOverlap, 0)
	default:
		r.fail(c.raw.Source.Name, "source", "has none of jsonl, csv and postgres: say where the transcripts are, as config.example.yaml shows")
	}
	return s, r.err()
}

func (r *reader) paths(settings []setting, key, example string) []string {
	var paths []string
	for i, p := range settings {
		paths = append(paths, r.required(p, fmt.Sprintf("%s[%d]", key, i), "name a file, or remove the entry"))
	}
	if len(paths) == 0 {
		r.fail(setting{}, key, "is empty: name at least one file, such as %s, or - for standard input", example)
	}
	return paths
}

func (r *reader) encoding(s setting, key string) string {
	name := r.text(s, key, "auto")
	if err := source.CheckJSONL("", name); err != nil {
		r.fail(s, key, "%s", err.Error())
	}
	return name
}

// redact reads the section redact.
func (r *reader) redact() *source.Redactor {
	var rules []source.RedactRule
	for i, rule := range r.c.raw.Redact {
		key := fmt.Sprintf("redact[%d]", i)
		name := r.required(rule.Name, key, "write one of "+strings.Join(source.RedactKinds(), ", ")+", or {name: ORDER_NUMBER, pattern: '...'}")
		if name == "" {
			return nil
		}
		rules = append(rules, source.RedactRule{Name: strings.TrimSpace(name), Pattern: rule.Pattern.raw}) // a pattern has $ in it
	}
	region := strings.ToUpper(r.text(r.c.raw.EndUsers.DefaultRegion, "end_users.default_region", DefaultRegion))
	red, err := source.NewRedactor(rules, region)
	if err != nil {
		r.fail(r.c.raw.Redact[0].Name, "redact", "%s", err.Error())
	}
	return red
}

// columns are the new names of columns.
func (r *reader) columns(all entries) map[string]string {
	columns, taken := map[string]string{}, map[string]string{}
	for _, e := range all {
		key := "source.csv.columns." + e.name
		name := r.required(e.value.text, key, "give the column's new name, such as text")
		if other := taken[name]; other != "" && name != "" {
			r.fail(e.value.text, key, "is called %s, as the column %s already is: rename one column only", name, other)
		}
		columns[e.name], taken[name] = name, e.name
	}
	return columns
}

// mapping reads the keys that say how records become transcripts.
func (r *reader) mapping() source.Mapping {
	raw := r.c.raw.Source
	m := source.Mapping{Format: r.text(raw.Format, "source.format", ""), GroupBy: raw.GroupBy.raw, SortBy: raw.SortBy.raw, // programs, in which $ is no variable of the environment
		SessionGap: r.duration(raw.SessionGap, "source.session_gap", 0, 0)}
	if m.Format == "canonical" {
		m.Format = ""
	}
	key := raw.Format
	if raw.Transform != nil {
		if key = raw.Transform.text; key.set { // a program has $ in it
			m.Transform = key.raw
		} else {
			key = raw.Transform.File
			if path := r.required(key, "source.transform", "write a jq program, or {file: mine.jq}"); path != "" {
				program, err := os.ReadFile(path)
				if err != nil {
					r.fail(key, "source.transform.file", "cannot be read: %s", cause(err))
				}
				m.Transform = string(program)
			}
		}
	}
	closed := r.text(raw.Closed, "source.closed", "")
	var err error
	if m.Closed, err = source.ParseClosing(closed); err != nil {
		r.fail(raw.Closed, "source.closed", "%s", err.Error())
	}
	if err := m.Check(); err != nil {
		r.fail(key, "source", "%s", err.Error())
	}
	return m
}

// cause is what went wrong with a file, without its path.
func cause(err error) error {
	if pathError, ok := errors.AsType[*fs.PathError](err); ok {
		return pathError.Err
	}
	return err
}

// Transcripts is what happens to transcripts that are not simply imported.
type Transcripts struct {
	Empty importer.Empty
	Grown importer.Grown
}

// Transcripts reads the keys of transcripts.
func (c *File) Transcripts() (Transcripts, error) {
	r := &reader{c: c}
	raw := c.raw.Transcripts
	t := Transcripts{importer.Empty(r.text(raw.Empty, "transcripts.empty", string(importer.EmptySkip))),
		importer.Grown(r.text(raw.Grown, "transcripts.grown", string(importer.GrownReport)))}
	if t.Empty != importer.EmptySkip && t.Empty != importer.EmptyReject {
		r.fail(raw.Empty, "transcripts.empty", "must be skip or reject")
	}
	if t.Grown != importer.GrownReport && t.Grown != importer.GrownFollowUp {
		r.fail(raw.Grown, "transcripts.grown", "must be report or follow_up")
	}
	return t, r.err()
}

// Finishing is what follows every import.
type Finishing struct {
	Tags       []string
	CreateTags bool
	Handover   importer.Handover
}

// Finishing reads the keys tags, create_tags and handover.
func (c *File) Finishing() (Finishing, error) {
	r := &reader{c: c}
	var s Finishing
	for i, tag := range c.raw.Tags {
		if name := r.required(tag, fmt.Sprintf("tags[%d]", i), "write the name of a tag, or remove the entry"); name != "" {
			s.Tags = append(s.Tags, strings.TrimSpace(name))
		}
	}
	s.CreateTags = r.boolean(c.raw.CreateTags, "create_tags", false)
	s.Handover.Queue = strings.TrimSpace(r.text(c.raw.Handover.Queue, "handover.queue", ""))
	when := c.raw.Handover.WhenUnavailable
	s.Handover.WhenUnavailable = importer.Unavailable(r.text(when, "handover.when_unavailable", string(importer.UnavailableQueue)))
	switch s.Handover.WhenUnavailable {
	case importer.UnavailableQueue, importer.UnavailableWait, importer.UnavailableSkip:
	default:
		r.fail(when, "handover.when_unavailable", "must be queue, wait or skip")
	}
	return s, r.err()
}

// EndUsers is the section end_users.
type EndUsers struct {
	Match     []checkpoint.IdentifierKind
	Region    string
	Anonymous importer.Anonymous
	Preload   bool
	Ignore    []string
	// AnonymousName is what an end-user without identifier and name is called.
	AnonymousName string
}

// EndUsers reads the section end_users.
func (c *File) EndUsers() (EndUsers, error) {
	r := &reader{c: c}
	kinds := []checkpoint.IdentifierKind{checkpoint.ExternalID, checkpoint.Email, checkpoint.Phone}
	var s EndUsers
	for i, m := range c.raw.EndUsers.Match {
		key := fmt.Sprintf("end_users.match[%d]", i)
		kind := checkpoint.IdentifierKind(r.required(m, key, "write external_id, email or phone"))
		switch {
		case kind == "":
		case !slices.Contains(kinds, kind):
			r.fail(m, key, "must be external_id, email or phone%s", DidYouMean(string(kind), []string{"external_id", "email", "phone"}))
		case slices.Contains(s.Match, kind):
			r.fail(m, key, "%s is in the list twice: remove one", kind)
		}
		s.Match = append(s.Match, kind)
	}
	if c.raw.EndUsers.Match == nil {
		s.Match = kinds
	} else if len(c.raw.EndUsers.Match) == 0 {
		r.fail(setting{}, "end_users.match", "is empty: list at least one of external_id, email, phone, or remove the key")
	}
	region := c.raw.EndUsers.DefaultRegion
	if s.Region = strings.ToUpper(r.text(region, "end_users.default_region", DefaultRegion)); !knownRegion(s.Region) {
		r.fail(region, "end_users.default_region", "is not a country: give two letters such as DK")
	}
	anonymous := c.raw.EndUsers.Anonymous
	s.Anonymous = importer.Anonymous(r.text(anonymous, "end_users.anonymous", string(importer.AnonymousCreate)))
	if s.Anonymous != importer.AnonymousCreate && s.Anonymous != importer.AnonymousSkip {
		r.fail(anonymous, "end_users.anonymous", "must be create or skip")
	}
	for i, v := range c.raw.EndUsers.Ignore {
		if value := r.required(v, fmt.Sprintf("end_users.ignore[%d]", i), "write a value that means nobody, or remove it"); value != "" {
			s.Ignore = append(s.Ignore, value)
		}
	}
	s.AnonymousName = strings.TrimSpace(r.text(c.raw.EndUsers.AnonymousName, "end_users.anonymous_name", importer.DefaultAnonymousName))
	s.Preload = r.boolean(c.raw.EndUsers.Preload, "end_users.preload", false)
	return s, r.err()
}

// knownRegion reports whether phone numbers of a country can be read.
func knownRegion(region string) bool { return phonenumbers.GetSupportedRegions()[region] }

// Attributes reads the section attributes.
func (c *File) Attributes() ([]importer.AttributeMapping, error) {
	r := &reader{c: c}
	var out []importer.AttributeMapping
	for _, m := range c.raw.Attributes {
		key := "attributes." + m.name
		cure := "give the identifier, label or UUID of an attribute in Dixa; `dixa-import attributes` lists them"
		at := m.Attribute
		at.line = max(at.line, m.line)
		if !m.short {
			key += ".attribute"
		}
		mapped := importer.AttributeMapping{Name: m.name, Attribute: strings.TrimSpace(r.required(at, key, cure))}
		switch v := m.Value; {
		case m.short:
		case v.set && (m.Values != nil || m.Else.set):
			r.fail(at, "attributes."+m.name, "has both a constant value and a table of values: keep one")
		case v.set:
			constant := r.value(v, "attributes."+m.name+".value")
			mapped.Constant = &constant
		case m.Values == nil && !m.Else.set:
			r.fail(at, "attributes."+m.name+".value", "is missing: give the constant, a table under values, or write the attribute's name alone")
		default:
			mapped.Values = map[string]source.Value{}
			for _, e := range m.Values {
				mapped.Values[e.name] = r.value(e.value, "attributes."+m.name+".values."+e.name)
			}
			mapped.Else = r.otherwise(m.Else, "attributes."+m.name+".else")
		}
		out = append(out, mapped)
	}
	return out, r.err()
}

// value reads a value of an attribute.
func (r *reader) value(v constant, key string) source.Value {
	if !v.isList {
		return source.Value{Text: r.text(v.text, key, "")}
	}
	list := make([]string, len(v.list))
	for i, item := range v.list {
		list[i] = r.required(item, fmt.Sprintf("%s[%d]", key, i), "give a string")
	}
	return source.Value{List: list}
}

// otherwise reads what becomes of values that Dixa does not take.
func (r *reader) otherwise(v constant, key string) importer.Else {
	if !v.set {
		return importer.Else{}
	}
	value := r.value(v, key)
	switch {
	case value.List == nil && value.Text == "error":
		return importer.Else{}
	case value.List == nil && value.Text == "omit":
		return importer.Else{Omit: true}
	}
	return importer.Else{Value: &value}
}

// Import is the section import.
type Import struct {
	Workers          int
	MaxAttempts      int
	MaxFailures      importer.Failures
	Settle           time.Duration
	DatabasePatience time.Duration
	TimeZone         *time.Location // of the times of day at which runs work
}

// Importing reads the section import.
func (c *File) Importing() (Import, error) {
	r := &reader{c: c}
	i := c.raw.Import
	s := Import{
		Workers:          r.integer(i.Workers, "import.workers", 0, 0),
		MaxAttempts:      r.integer(i.MaxAttempts, "import.max_attempts", DefaultMaxAttempts, 1),
		Settle:           r.duration(i.Settle, "import.settle", defaultSettle, time.Millisecond),
		DatabasePatience: r.duration(i.DatabasePatience, "import.database_patience", defaultPatience, time.Millisecond),
		TimeZone:         cmp.Or(r.timeZone(i.TimeZone, "import.time_zone"), time.Local),
	}
	var err error
	if s.MaxFailures, err = parseFailures(r.text(i.MaxFailures, "import.max_failures", "0")); err != nil {
		r.fail(i.MaxFailures, "import.max_failures", "%s", err.Error())
	}
	return s, r.err()
}

// parseFailures reads a number of failures or a percentage such as 5%.
func parseFailures(s string) (importer.Failures, error) {
	s = strings.TrimSpace(s)
	if percent, ok := strings.CutSuffix(s, "%"); ok {
		p, err := strconv.ParseFloat(strings.TrimSpace(percent), 64)
		if err != nil || !(p > 0 && p <= 100) {
			return importer.Failures{}, errors.New("a percentage must be above 0% and at most 100%, such as 5%")
		}
		return importer.Failures{Percent: p}, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return importer.Failures{}, errors.New("must be a whole number of failed transcripts, 0 for no limit, or a percentage such as 5%")
	}
	return importer.Failures{Count: n}, nil
}

func (r *reader) number(s setting, key string, def float64) float64 {
	text := r.text(s, key, "")
	if text == "" {
		return def
	}
	n, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err != nil || math.IsNaN(n) || n < 0 || n > 1e6 {
		r.fail(s, key, "must be a number from 0 up, such as %g", def)
		return def
	}
	return n
}

func (r *reader) integer(s setting, key string, def, least int) int {
	text := r.text(s, key, "")
	if text == "" {
		return def
	}
	n, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil || n < least || n > 1e6 {
		r.fail(s, key, "must be a whole number from %d up", least)
		return def
	}
	return n
}

func (r *reader) boolean(s setting, key string, def bool) bool {
	switch r.text(s, key, strconv.FormatBool(def)) {
	case "true":
		return true
	case "false":
		return false
	}
	r.fail(s, key, "must be true or false")
	return def
}

func (r *reader) duration(s setting, key string, def, least time.Duration) time.Duration {
	text := r.text(s, key, "")
	if text == "" {
		return def
	}
	d, err := time.ParseDuration(strings.TrimSpace(text))
	if err != nil || d < least {
		r.fail(s, key, "must be a duration of at least %s, such as %s, with a unit: s, m or h", term.Short(least), term.Short(cmp.Or(def, max(least, 30*time.Minute))))
		return def
	}
	return d
}
