package source

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
)

// CameFrom returns the path of the file that the record was read from, as configured and expanded, or "" for a row of a query and what was
// not read from a file. A home directory, whose name is a person's, becomes ~.
func (r *Record) CameFrom() string {
	if r.Place.Path == postgresPath || r.Place.Path == feedPath {
		return ""
	}
	return withoutHome(r.Place.Path)
}

var homeDir = sync.OnceValue(func() string {
	home, err := os.UserHomeDir()
	if err != nil || filepath.Dir(home) == home {
		return ""
	}
	return home
})

// someHome matches the usual places of home directories.
var someHome = regexp.MustCompile(`^(?i:/home/|/users/|/var/home/|/export/home/|[a-z]:[\\/]users[\\/])[^\\/]+`)

func withoutHome(path string) string {
	if !filepath.IsAbs(path) && !someHome.MatchString(path) {
		return path
	}
	if rest, ok := strings.CutPrefix(path, homeDir()); ok && homeDir() != "" && (rest == "" || os.IsPathSeparator(rest[0])) {
		return "~" + rest
	}
	return someHome.ReplaceAllString(path, "~")
}
