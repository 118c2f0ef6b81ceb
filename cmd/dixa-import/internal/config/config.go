package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"
)

// File is the configuration as the file has it; its methods in settings.go give each section its types. Defaults
// are there, too, and in config.example.yaml for people.
type File struct {
	raw    sections
	Path   string
	lookup func(string) (string, bool) // of environment variables
}

// sections are the keys of the file.
type sections struct {
	Dixa struct {
		BaseURL         setting `yaml:"base_url"`
		ExportsURL      setting `yaml:"exports_url"`
		Token           setting `yaml:"token"`
		Auth            setting `yaml:"auth"`
		AgentID         setting `yaml:"agent_id"`
		Mark            setting `yaml:"mark"`
		Rate            setting `yaml:"rate"`
		Burst           setting `yaml:"burst"`
		Timeout         setting `yaml:"timeout"`
		ConversationURL setting `yaml:"conversation_url"`
	} `yaml:"dixa"`
	Database setting `yaml:"database"`
	Source   struct {
		Name       setting           `yaml:"name"`
		TimeZone   setting           `yaml:"time_zone"`
		JSONL      *jsonlSection     `yaml:"jsonl"`
		CSV        *csvSection       `yaml:"csv"`
		Format     setting           `yaml:"format"`
		Transform  *transformSection `yaml:"transform"`
		GroupBy    setting           `yaml:"group_by"`
		SortBy     setting           `yaml:"sort_by"`
		SessionGap setting           `yaml:"session_gap"`
		Closed     setting           `yaml:"closed"`
		Postgres   *struct {
			URL     setting `yaml:"url"`
			Query   setting `yaml:"query"`
			Overlap setting `yaml:"overlap"`
		} `yaml:"postgres"`
	} `yaml:"source"`
	Transcripts struct {
		Empty setting `yaml:"empty"`
		Grown setting `yaml:"grown"`
	} `yaml:"transcripts"`
	EndUsers struct {
		Match         []setting `yaml:"match"`
		DefaultRegion setting   `yaml:"default_region"`
		Anonymous     setting   `yaml:"anonymous"`
		Preload       setting   `yaml:"preload"`
		Ignore        []setting `yaml:"ignore"`
		AnonymousName setting   `yaml:"anonymous_name"`
	} `yaml:"end_users"`
	Redact     []redactSection `yaml:"redact"`
	Attributes mappings        `yaml:"attributes"`
	Tags       []setting       `yaml:"tags"`
	CreateTags setting         `yaml:"create_tags"`
	Handover   struct {
		Queue           setting `yaml:"queue"`
		WhenUnavailable setting `yaml:"when_unavailable"`
	} `yaml:"handover"`
	Import struct {
		Workers          setting `yaml:"workers"`
		MaxAttempts      setting `yaml:"max_attempts"`
		MaxFailures      setting `yaml:"max_failures"`
		Settle           setting `yaml:"settle"`
		DatabasePatience setting `yaml:"database_patience"`
		TimeZone         setting `yaml:"time_zone"`
	} `yaml:"import"`
	Serve struct {
		Address        setting   `yaml:"address"`
		Token          setting   `yaml:"token"`
		WebhookSecrets []setting `yaml:"webhook_secrets"`
		ForwardURL     setting   `yaml:"forward_url"`
		ForwardSecret  setting   `yaml:"forward_secret"`
		Keep           setting   `yaml:"keep"`
	} `yaml:"serve"`
}

// jsonlSection is the section source.jsonl.
type jsonlSection struct {
	Paths    []setting `yaml:"paths"`
	Records  setting   `yaml:"records"`
	Encoding setting   `yaml:"encoding"`
}

// csvSection is the section source.csv.
type csvSection struct {
	Paths     []setting `yaml:"paths"`
	Delimiter setting   `yaml:"delimiter"`
	Encoding  setting   `yaml:"encoding"`
	Columns   entries   `yaml:"columns"`
}

// redactSection is one entry of the section redact: the name of a kind, or a name with a pattern.
type redactSection struct {
	Name    setting `yaml:"name"`
	Pattern setting `yaml:"pattern"`
}

// transformSection is the key source.transform: the program itself, or the file that it is in.
type transformSection struct {
	text setting
	File setting `yaml:"file"`
}

// Load reads a configuration file. Its values are looked at when a section is asked for.
func Load(path string, lookup func(string) (string, bool)) (*File, error) {
	data, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("there is no configuration file %s: copy config.example.yaml to it and fill it in, or name another with --config", path)
	case err != nil:
		var pathError *fs.PathError
		if errors.As(err, &pathError) {
			err = pathError.Err
		}
		return nil, fmt.Errorf("read the configuration %s: %w: name a file that can be read with --config", path, err)
	}
	c := &File{Path: path, lookup: lookup}
	if err := decodeYAML(path, data, &c.raw); err != nil {
		return nil, err
	}
	return c, nil
}

// Overrides are flags that stand in for what the file says. Those that were not given are nil.
type Overrides struct {
	Rate, Workers, MaxFailures *string
	TimeZone                   *string  // of the times of day
	JSONL                      []string // paths that replace the configured source, save its name
}

// Override puts flags in the place of settings.
func (c *File) Override(o Overrides) {
	for _, x := range []struct {
		setting *setting
		flag    string
		value   *string
	}{{&c.raw.Dixa.Rate, "rate", o.Rate}, {&c.raw.Import.Workers, "workers", o.Workers}, {&c.raw.Import.MaxFailures, "max-failures", o.MaxFailures},
		{&c.raw.Import.TimeZone, "time-zone", o.TimeZone}} {
		if x.value != nil {
			x.setting.override(x.flag, *x.value)
		}
	}
	if len(o.JSONL) == 0 {
		return
	}
	if c.raw.Source.Postgres != nil && !c.raw.Source.TimeZone.set { // what came out of it is read as it was
		c.raw.Source.TimeZone.override("jsonl", time.UTC.String())
	}
	// What comes in this way are transcripts, such as those that `dixa-import errors` wrote for correction.
	c.raw.Source.Format, c.raw.Source.Transform, c.raw.Source.Closed = setting{}, nil, setting{}
	c.raw.Source.GroupBy, c.raw.Source.SortBy, c.raw.Source.SessionGap = setting{}, setting{}, setting{}
	c.raw.Source.CSV = nil
	c.raw.Source.Postgres, c.raw.Source.JSONL = nil, &jsonlSection{Paths: make([]setting, len(o.JSONL))}
	for i, path := range o.JSONL {
		c.raw.Source.JSONL.Paths[i].override("jsonl", path)
	}
}

// override replaces a setting by the value of a flag.
func (s *setting) override(flag, value string) {
	*s = setting{raw: value, set: true, given: "--" + flag}
}

// reader gives the settings of a section their values and collects what is wrong with them.
type reader struct {
	c        *File
	problems []error
}

func (r *reader) fail(s setting, key, format string, args ...any) {
	problem := fmt.Sprintf(format, args...)
	if s.given != "" {
		r.problems = append(r.problems, Usagef("%s: %s", s.given, problem))
		return
	}
	r.problems = append(r.problems, &configError{r.c.Path, s.line, key, problem})
}

// text returns the value with its variables expanded, or the default where it is absent or empty.
func (r *reader) text(s setting, key, def string) string {
	if !s.set {
		return def
	}
	if s.given != "" {
		return s.raw
	}
	value, err := expand(s.raw, r.c.lookup)
	if err != nil {
		r.fail(s, key, "%s", err.Error())
		return def
	}
	if strings.TrimSpace(value) == "" {
		return def
	}
	return value
}

// required is text without a default.
func (r *reader) required(s setting, key, cure string) string {
	before := len(r.problems)
	value := r.text(s, key, "")
	if value == "" && len(r.problems) == before {
		r.fail(s, key, "is empty: %s", cure)
	}
	return value
}

func (r *reader) err() error { return errors.Join(r.problems...) }
