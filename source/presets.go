package source

import (
	"embed"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"dixa-import/source/internal/jq"
)

// Preset is a program that makes transcripts of what a product exports, with what has to be known to read that.
type Preset struct {
	Name   string
	Title  string // what is exported, in a line
	Record string // what one record is
	Export string // the endpoint or the export that has such records
	// ExternalID and OtherIDs say which fields become the external id, and the e-mail address, phone number and name. "(*)" is of what counts only if neither
	// another external id nor an address or number is known.
	ExternalID, OtherIDs string
	Notes                string // what to know before using it
	Program              string // jq; gets one record, or the array of one group
	// What follows is as in Mapping.
	Each       string // jq that takes a record apart before it is grouped; "": it is one
	GroupBy    string
	SortBy     string
	SessionGap time.Duration
	Begins     string // jq that yields true for a record with which a new session begins, whether or not there was a pause
	Closed     Closing
	Table      bool     // a record is a row of a table of values
	WholeArray bool     // an array of objects without Marks is one record
	Marks      []string // fields that every record has
	JoinsPages bool     // the program puts the pages of a list together itself
	Lists      string   // jq that yields why a record is none of the format, where the product's lists return such; else null
	Detect     string   // jq that yields true for a record of the format; "": the marks are enough
	Text       string   // the file itself, for people to copy
	SQL        string   // a query for the tables that the product keeps in Postgres, "" if there is none
}

//go:embed presets/*.jq presets/*.sql
var presetFiles embed.FS

// presetList are the formats. They are read when they are first needed, which for most commands is never.
var presetList = sync.OnceValue(func() []Preset {
	files, err := presetFiles.ReadDir("presets")
	if err != nil {
		panic(err)
	}
	list := make([]Preset, 0, len(files))
	for _, file := range files {
		if path.Ext(file.Name()) != ".jq" {
			continue
		}
		text, err := presetFiles.ReadFile("presets/" + file.Name())
		if err != nil {
			panic(err)
		}
		f, err := parsePreset(strings.TrimSuffix(file.Name(), path.Ext(file.Name())), string(text))
		if err != nil {
			panic(err)
		}
		if sql, err := presetFiles.ReadFile("presets/" + f.Name + ".sql"); err == nil {
			f.SQL = string(sql)
		}
		list = append(list, f)
	}
	return list
})

// Presets returns all formats by name.
func Presets() []Preset { return slices.Clone(presetList()) }

// PresetNamed returns a format by its name.
func PresetNamed(name string) (Preset, bool) {
	list := presetList()
	i := slices.IndexFunc(list, func(f Preset) bool { return f.Name == name })
	if i < 0 {
		return Preset{}, false
	}
	return list[i], true
}

func presetNames() []string {
	list := presetList()
	names := make([]string, len(list))
	for i, f := range list {
		names[i] = f.Name
	}
	return names
}

// parsePreset reads the comments at the head of a format's file: a line "# key: value" for each setting, and notes without a key.
func parsePreset(name, text string) (Preset, error) {
	f := Preset{Name: name, Text: text, Program: text}
	for line := range strings.Lines(text) {
		comment, ok := strings.CutPrefix(strings.TrimSpace(line), "#")
		if !ok {
			break
		}
		comment = strings.TrimSpace(comment)
		key, value, _ := strings.Cut(comment, ": ")
		if f.Notes != "" {
			key = "" // settings come first
		}
		var err error
		switch key {
		case "title":
			f.Title = value
		case "record":
			f.Record = value
		case "export":
			f.Export = value
		case "external_id":
			f.ExternalID = value
		case "other_ids":
			f.OtherIDs = value
		case "each":
			f.Each = value
		case "group_by":
			f.GroupBy = value
		case "sort_by":
			f.SortBy = value
		case "session_gap":
			f.SessionGap, err = time.ParseDuration(value)
		case "begins":
			f.Begins = value
		case "closed":
			f.Closed, err = ParseClosing(value)
		case "files":
			f.Table = value == "tables"
		case "arrays":
			f.WholeArray = value == "one record"
		case "pages":
			f.JoinsPages = value == "joined"
		case "lists":
			f.Lists = value
		case "detect":
			f.Detect = value
		case "marks":
			f.Marks = strings.Fields(value)
		default:
			f.Notes += comment + "\n"
		}
		if err != nil {
			return f, fmt.Errorf("format %s: %s: %w", name, key, err)
		}
	}
	f.Notes = strings.TrimSpace(f.Notes)
	return f, nil
}

// Identity says which fields become the external id of an end-user.
func (p Preset) Identity() string {
	return strings.Replace(p.ExternalID, "(*)", "if neither that nor an e-mail address or phone number is known", 1)
}

// PresetFunctions lists the helper functions that a program may use, with what they do.
func PresetFunctions() string { return jq.Functions() }
