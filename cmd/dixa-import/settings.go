package main

import (
	"errors"
	"fmt"
	"math"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/nyaruka/phonenumbers"

	"dixa-import/dixa"
	"dixa-import/importer"
	"dixa-import/importer/checkpoint"
	"dixa-import/source"
)

// The defaults of the configuration; config.example.yaml shows them, too.
const (
	defaultRate        = 8.0
	defaultBurst       = 4
	defaultTimeout     = 30 * time.Second
	defaultDatabase    = "sqlite:dixa-import.db"
	defaultOverlap     = 24 * time.Hour
	defaultRegion      = "DK"
	defaultMaxAttempts = 5
	defaultSettle      = 30 * time.Second
	defaultPatience    = 5 * time.Minute
)

// dixaSettings is the section dixa.
type dixaSettings struct {
	BaseURL         string
	Token           string
	AgentID         string // of the configuration, "" if it leaves that to the token
	Rate            float64
	Burst           int
	Timeout         time.Duration
	ConversationURL string
}

func (c *configFile) dixa() (dixaSettings, error) {
	r := &reader{c: c}
	d := c.Dixa
	s := dixaSettings{
		BaseURL: strings.TrimRight(r.text(d.BaseURL, "dixa.base_url", dixa.DefaultBaseURL), "/"),
		Token: strings.TrimSpace(r.required(d.Token, "dixa.token",
			"give the API token of the bot user, best as ${DIXA_API_TOKEN} (Dixa: Settings > AI agents)")),
		AgentID:         r.text(d.AgentID, "dixa.agent_id", ""),
		Rate:            r.number(d.Rate, "dixa.rate", defaultRate),
		Burst:           r.integer(d.Burst, "dixa.burst", defaultBurst, 1),
		Timeout:         r.duration(d.Timeout, "dixa.timeout", defaultTimeout, time.Millisecond),
		ConversationURL: r.text(d.ConversationURL, "dixa.conversation_url", ""),
	}
	if s.AgentID != "" && uuid.Validate(s.AgentID) != nil {
		r.fail(d.AgentID, "dixa.agent_id", "is no UUID: give the id of the bot user, such as 7d1f3c52-1f0c-4b52-9c0e-5a4f2f6f9b10")
	}
	if s.ConversationURL != "" && !validConversationURL(s.ConversationURL) {
		r.fail(d.ConversationURL, "dixa.conversation_url",
			"must be an http(s) address with {id} in it, such as https://acme.dixa.com/conversation/{id}")
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

// databaseURL is the key database.
func (c *configFile) databaseURL() (string, error) {
	r := &reader{c: c}
	s := r.text(c.Database, "database", defaultDatabase)
	return s, r.err()
}

// sourceSettings is the section source: either Paths or Query is set.
type sourceSettings struct {
	Name    string
	Paths   []string
	URL     string
	Query   string
	Overlap time.Duration
}

var sourceName = regexp.MustCompile(`^[a-z0-9._-]{1,64}$`)

func (r *reader) name() string {
	s := r.c.Source.Name
	name := r.required(s, "source.name", "give the source a name such as support-bot; it becomes part of the ids in Dixa, so do not change it later")
	if name != "" && !sourceName.MatchString(name) {
		r.fail(s, "source.name", "must be 1 to 64 characters of a-z, 0-9, dot, underscore and hyphen, such as support-bot")
	}
	return name
}

// conversationURL is the key dixa.conversation_url alone, for commands that need no token; "" where it is missing or unfit.
func (c *configFile) conversationURL() string {
	if s := (&reader{c: c}).text(c.Dixa.ConversationURL, "dixa.conversation_url", ""); validConversationURL(s) {
		return s
	}
	return ""
}

// sourceName is the key source.name alone.
func (c *configFile) sourceName() (string, error) {
	r := &reader{c: c}
	name := r.name()
	return name, r.err()
}

func (c *configFile) source() (sourceSettings, error) {
	r := &reader{c: c}
	s := sourceSettings{Name: r.name()}
	switch {
	case c.Source.JSONL != nil && c.Source.Postgres != nil:
		r.fail(c.Source.Postgres.URL, "source", "has both jsonl and postgres: keep one, and give the other a configuration file and a source.name of its own")
	case c.Source.JSONL != nil:
		for i, p := range c.Source.JSONL.Paths {
			key := fmt.Sprintf("source.jsonl.paths[%d]", i)
			s.Paths = append(s.Paths, r.required(p, key, "name a file, or remove the entry"))
		}
		if len(s.Paths) == 0 {
			r.fail(setting{}, "source.jsonl.paths", "is empty: name at least one file, such as [transcripts/*.jsonl.gz], or - for standard input")
		}
	case c.Source.Postgres != nil:
		p := c.Source.Postgres
		s.URL = r.required(p.URL, "source.postgres.url", "give the address of the bot's database, such as ${BOT_DATABASE_URL}")
		s.Query = r.required(p.Query, "source.postgres.query", "give a SELECT of the columns id, closed_at, messages")
		s.Overlap = r.duration(p.Overlap, "source.postgres.overlap", defaultOverlap, 0)
	default:
		r.fail(c.Source.Name, "source", "has neither jsonl nor postgres: say where the transcripts are, as config.example.yaml shows")
	}
	return s, r.err()
}

// endUserSettings is the section end_users.
type endUserSettings struct {
	Match     []checkpoint.IdentifierKind
	Region    string
	Anonymous importer.Anonymous
	Preload   bool
}

func (c *configFile) endUsers() (endUserSettings, error) {
	r := &reader{c: c}
	kinds := []checkpoint.IdentifierKind{checkpoint.ExternalID, checkpoint.Email, checkpoint.Phone}
	var s endUserSettings
	for i, m := range c.EndUsers.Match {
		key := fmt.Sprintf("end_users.match[%d]", i)
		kind := checkpoint.IdentifierKind(r.required(m, key, "write external_id, email or phone"))
		switch {
		case kind == "":
		case !slices.Contains(kinds, kind):
			r.fail(m, key, "must be external_id, email or phone%s", didYouMean(string(kind), []string{"external_id", "email", "phone"}))
		case slices.Contains(s.Match, kind):
			r.fail(m, key, "%s is in the list twice: remove one", kind)
		}
		s.Match = append(s.Match, kind)
	}
	if c.EndUsers.Match == nil {
		s.Match = kinds
	} else if len(c.EndUsers.Match) == 0 {
		r.fail(setting{}, "end_users.match", "is empty: list at least one of external_id, email, phone, or remove the key")
	}
	region := c.EndUsers.DefaultRegion
	if s.Region = strings.ToUpper(r.text(region, "end_users.default_region", defaultRegion)); !knownRegion(s.Region) {
		r.fail(region, "end_users.default_region", "is no country: give two letters such as DK")
	}
	anonymous := c.EndUsers.Anonymous
	s.Anonymous = importer.Anonymous(r.text(anonymous, "end_users.anonymous", string(importer.AnonymousCreate)))
	if s.Anonymous != importer.AnonymousCreate && s.Anonymous != importer.AnonymousSkip {
		r.fail(anonymous, "end_users.anonymous", "must be create or skip")
	}
	switch preload := r.text(c.EndUsers.Preload, "end_users.preload", "false"); preload {
	case "true", "false":
		s.Preload = preload == "true"
	default:
		r.fail(c.EndUsers.Preload, "end_users.preload", "must be true or false")
	}
	return s, r.err()
}

// knownRegion says whether phone numbers of a country can be read.
func knownRegion(region string) bool { return phonenumbers.GetSupportedRegions()[region] }

func (c *configFile) attributes() ([]importer.AttributeMapping, error) {
	r := &reader{c: c}
	var out []importer.AttributeMapping
	for _, m := range c.Attributes {
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
		case !v.set:
			r.fail(at, "attributes."+m.name+".value", "is missing: give the constant, or write the attribute's name alone")
		case v.isList:
			mapped.Constant = &source.Value{List: make([]string, len(v.list))}
			for i, item := range v.list {
				mapped.Constant.List[i] = r.required(item, fmt.Sprintf("attributes.%s.value[%d]", m.name, i), "give a string")
			}
		default:
			mapped.Constant = &source.Value{Text: r.text(v.text, "attributes."+m.name+".value", "")}
		}
		out = append(out, mapped)
	}
	return out, r.err()
}

// importSettings is the section import.
type importSettings struct {
	Workers          int
	MaxAttempts      int
	MaxFailures      importer.Failures
	Settle           time.Duration
	DatabasePatience time.Duration
}

func (c *configFile) importing() (importSettings, error) {
	r := &reader{c: c}
	i := c.Import
	s := importSettings{
		Workers:          r.integer(i.Workers, "import.workers", 0, 0),
		MaxAttempts:      r.integer(i.MaxAttempts, "import.max_attempts", defaultMaxAttempts, 1),
		Settle:           r.duration(i.Settle, "import.settle", defaultSettle, time.Millisecond),
		DatabasePatience: r.duration(i.DatabasePatience, "import.database_patience", defaultPatience, time.Millisecond),
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
		return importer.Failures{}, errors.New("must be a whole number of failed transcripts, 0 for no bound, or a percentage such as 5%")
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

func (r *reader) duration(s setting, key string, def, least time.Duration) time.Duration {
	text := r.text(s, key, "")
	if text == "" {
		return def
	}
	d, err := time.ParseDuration(strings.TrimSpace(text))
	if err != nil || d < least {
		r.fail(s, key, "must be a duration of at least %s, such as %s, with a unit: s, m or h", short(least), short(def))
		return def
	}
	return d
}

// short writes a duration without zero units: 5m instead of 5m0s.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
