package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// configFile is the configuration as the file has it; its methods in settings.go give each section its types. Defaults
// are there, too, and in config.example.yaml for people.
type configFile struct {
	Dixa struct {
		BaseURL         setting `yaml:"base_url"`
		Token           setting `yaml:"token"`
		AgentID         setting `yaml:"agent_id"`
		Rate            setting `yaml:"rate"`
		Burst           setting `yaml:"burst"`
		Timeout         setting `yaml:"timeout"`
		ConversationURL setting `yaml:"conversation_url"`
	} `yaml:"dixa"`
	Database setting `yaml:"database"`
	Source   struct {
		Name     setting       `yaml:"name"`
		JSONL    *jsonlSection `yaml:"jsonl"`
		Postgres *struct {
			URL     setting `yaml:"url"`
			Query   setting `yaml:"query"`
			Overlap setting `yaml:"overlap"`
		} `yaml:"postgres"`
	} `yaml:"source"`
	EndUsers struct {
		Match         []setting `yaml:"match"`
		DefaultRegion setting   `yaml:"default_region"`
		Anonymous     setting   `yaml:"anonymous"`
		Preload       setting   `yaml:"preload"`
	} `yaml:"end_users"`
	Attributes mappings `yaml:"attributes"`
	Import     struct {
		Workers          setting `yaml:"workers"`
		MaxAttempts      setting `yaml:"max_attempts"`
		MaxFailures      setting `yaml:"max_failures"`
		Settle           setting `yaml:"settle"`
		DatabasePatience setting `yaml:"database_patience"`
	} `yaml:"import"`

	path   string
	lookup func(string) (string, bool) // of environment variables
}

// jsonlSection is the section source.jsonl.
type jsonlSection struct {
	Paths []setting `yaml:"paths"`
}

// loadConfig reads a configuration file. Its values are looked at when a section is asked for.
func loadConfig(path string, lookup func(string) (string, bool)) (*configFile, error) {
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
	c := &configFile{path: path, lookup: lookup}
	if err := decodeYAML(path, data, c); err != nil {
		return nil, err
	}
	return c, nil
}

// override replaces a setting by the value of a flag.
func (s *setting) override(flag, value string) {
	*s = setting{raw: value, set: true, given: "--" + flag}
}

// reader gives the settings of a section their values and collects what is wrong with them.
type reader struct {
	c        *configFile
	problems []error
}

func (r *reader) fail(s setting, key, format string, args ...any) {
	problem := fmt.Sprintf(format, args...)
	if s.given != "" {
		r.problems = append(r.problems, usagef("%s: %s", s.given, problem))
		return
	}
	r.problems = append(r.problems, &configError{r.c.path, s.line, key, problem})
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
