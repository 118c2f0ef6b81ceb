package pgtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	embeddedpostgres "github.com/fergusstrange/embedded-postgres"
	"github.com/gofrs/flock"
)

// usualFolders are patterns of the folders where packages install the programs.
var usualFolders = []string{
	"/usr/lib/postgresql/*/bin",
	"/usr/pgsql-*/bin",
	"/usr/local/pgsql/bin",
	"/usr/local/lib/postgresql/*/bin",
	"/usr/libexec/postgresql*",
	"/opt/homebrew/opt/postgresql*/bin",
	"/usr/local/opt/postgresql*/bin",
	"/Applications/Postgres.app/Contents/Versions/*/bin",
	`C:\Program Files\PostgreSQL\*\bin`,
}

// findPrograms returns the folder with initdb and postgres.
func findPrograms() (string, error) {
	for _, dir := range candidates() {
		if isProgram(filepath.Join(dir, "initdb")) && isProgram(filepath.Join(dir, "postgres")) {
			return dir, nil
		}
	}
	if os.Geteuid() == 0 {
		return "", fmt.Errorf("%w; install Postgres (Debian: postgresql), or run the tests as an ordinary user to have it downloaded", errNoPrograms)
	}
	dir, err := download()
	if err != nil {
		return "", fmt.Errorf("%w; download: %w", errNoPrograms, err)
	}
	return dir, nil
}

// candidates returns folders where the programs may be, best first.
func candidates() []string {
	var dirs []string
	if out, err := exec.Command("pg_config", "--bindir").Output(); err == nil {
		dirs = append(dirs, strings.TrimSpace(string(out)))
	}
	if path, err := exec.LookPath("postgres"); err == nil {
		// The name in PATH may be a link to a program in a folder that is not in PATH.
		if target, err := filepath.EvalSymlinks(path); err == nil {
			dirs = append(dirs, filepath.Dir(target))
		}
	}
	for _, pattern := range usualFolders {
		found, _ := filepath.Glob(pattern)
		slices.SortFunc(found, func(a, b string) int { return version(b) - version(a) })
		dirs = append(dirs, found...)
	}
	return dirs
}

// version returns the first number in a path, or 0. Packages put the release into the folder's name.
func version(path string) int {
	digits := strings.TrimLeftFunc(path, func(r rune) bool { return r < '0' || r > '9' })
	end := strings.IndexFunc(digits, func(r rune) bool { return r < '0' || r > '9' })
	if end >= 0 {
		digits = digits[:end]
	}
	n, _ := strconv.Atoi(digits)
	return n
}

func isProgram(path string) bool {
	if runtime.GOOS == "windows" {
		path += ".exe"
	}
	fi, err := os.Stat(path)
	return err == nil && fi.Mode().IsRegular()
}

// download downloads Postgres into the user's cache, unless it is there already, and returns the folder of its programs.
func download() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	const release = embeddedpostgres.V17
	dir := filepath.Join(cache, "dixa-import-postgres", string(release))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	lock := flock.New(filepath.Join(dir, "lock"))
	if err := lock.Lock(); err != nil {
		return "", err
	}
	defer func() { _ = lock.Unlock() }()
	bin := filepath.Join(dir, "bin")
	if isProgram(filepath.Join(bin, "postgres")) {
		return bin, nil
	}
	// The library has no function that only downloads: start the server once, in a folder of its own.
	run, err := os.MkdirTemp("", dirPrefix)
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(run) }()
	port, err := freePort()
	if err != nil {
		return "", err
	}
	db := embeddedpostgres.NewDatabase(embeddedpostgres.DefaultConfig().Version(release).Port(uint32(port)).
		BinariesPath(dir).CachePath(dir).RuntimePath(run).DataPath(filepath.Join(run, "data")).Logger(os.Stderr))
	if err := db.Start(); err != nil {
		return "", err
	}
	return bin, db.Stop()
}
