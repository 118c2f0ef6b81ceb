package connect

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
)

const postgresForm = "postgres://user:password@host:5432/database"

// dotNetForm matches an address in .NET's form: names and values, separated by semicolons.
var dotNetForm = regexp.MustCompile(`(?i)^\s*(?:host|server|data source|port|database|username|user id|user)\s*=[^;]*;`)

// assignment matches a parameter in an address in libpq's keyword/value form.
var assignment = regexp.MustCompile(`(?i)(?:^|\s)(sslmode|sslrootcert|sslcert|sslkey)\s*=\s*('[^']*'|\S+)`)

// CheckAddress checks the form of an address that Address returned. The error says what is wrong and what to write instead. It quotes
// nothing from the address but its scheme and the parameters in question.
func CheckAddress(address string, use Use) error {
	if path, ok := cutPrefixFold(address, "sqlite:"); ok {
		return checkSQLite(path, use)
	}
	wants := "write " + postgresForm
	if use == ForCheckpoint {
		wants = "the database must be sqlite:PATH, such as sqlite:dixa-import.db, or " + postgresForm
	}
	if dotNetForm.MatchString(address) {
		return errors.New("is written for .NET (Host=...;Port=...): " + wants)
	}
	scheme, rest, ok := strings.Cut(address, ":")
	if isScheme := schemeForm.MatchString(scheme); !ok || !isScheme {
		return checkParameters(assignments(address))
	}
	name, driver, _ := strings.Cut(strings.ToLower(scheme), "+")
	switch {
	case name == "ecto":
		return fmt.Errorf("begins with ecto://, which does not say which kind of database it is: if it is Postgres, write %s", postgresForm)
	case !slices.Contains(postgresSchemes, name):
		return fmt.Errorf("begins with %s:, which is not a supported database: %s", scheme, wants)
	case driver != "" || !strings.HasPrefix(rest, "//"):
		return fmt.Errorf("begins with %s: and not with postgres://: %s", scheme, wants)
	}
	at := strings.LastIndexByte(address, '?')
	if at < 0 {
		return nil
	}
	query := address[at+1:]
	if strings.Contains(query, "@") {
		return nil // a question mark in the password
	}
	given, _ := url.ParseQuery(query) // the driver reports parameters that cannot be parsed
	return checkParameters(given)
}

var schemeForm = regexp.MustCompile(`^(?i)[a-z][a-z0-9+.-]*$`)

// checkSQLite checks what follows "sqlite:". Three slashes begin a relative path in SQLAlchemy and programs that copied it, and an absolute
// one in others: a wrong guess would create a second checkpoint beside the right one.
func checkSQLite(path string, use Use) error {
	switch {
	case use == ForSource:
		return errors.New("names a SQLite database, but the source can only be Postgres: write " + postgresForm + ", or export the transcripts to files for source.jsonl")
	case strings.HasPrefix(path, "///") && !strings.HasPrefix(path, "////"):
		file := strings.TrimPrefix(path, "///")
		return fmt.Errorf("has three slashes, which begin a relative path for some programs and an absolute one for others: write sqlite:%s for the file in the "+
			"working directory, or sqlite:/%s for the absolute path, as in earlier versions", file, file)
	}
	return nil
}

// assignments returns the TLS parameters in an address in keyword/value form.
func assignments(address string) url.Values {
	given := url.Values{}
	for _, m := range assignment.FindAllStringSubmatch(address, -1) {
		given.Set(strings.ToLower(m[1]), strings.Trim(m[2], "'"))
	}
	return given
}

var sslModes = []string{"disable", "allow", "prefer", "require", "verify-ca", "verify-full"}

// checkParameters checks the parameters for which the driver's errors do not name the parameter.
func checkParameters(given url.Values) error {
	if given.Has("sslmode") && !slices.Contains(sslModes, given.Get("sslmode")) {
		return fmt.Errorf("has the parameter sslmode with an unknown value: use %s or %s", strings.Join(sslModes[:len(sslModes)-1], ", "), sslModes[len(sslModes)-1])
	}
	for _, name := range []string{"sslrootcert", "sslcert", "sslkey"} {
		path := given.Get(name)
		if path == "" || path == "system" {
			continue
		}
		file, err := os.Open(path)
		if err == nil {
			err = file.Close()
		}
		if bad, ok := errors.AsType[*os.PathError](err); ok {
			return fmt.Errorf("has the parameter %s, whose file %s cannot be read (%w): correct the path, which is relative to the working directory unless it is absolute", name, path, bad.Err)
		}
	}
	return nil
}
