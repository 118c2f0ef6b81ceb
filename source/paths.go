package source

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// remote recognises an address such as s3://bucket/key.
var remote = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9+.-]+)://`)

// expand returns the files that a path stands for: itself where it exists, although it may look like a pattern, the files
// that match a pattern, and the transcript files in a folder. What it leaves out of a folder is in leftOut.
func expand(path string, table bool) (files, leftOut []string, err error) {
	if m := remote.FindStringSubmatch(path); m != nil {
		return nil, nil, remoteError(strings.ToLower(m[1]), path)
	}
	if _, err := os.Lstat(path); err != nil {
		if path, err = home(path); err != nil {
			return nil, nil, err
		}
	}
	matches := []string{path}
	if _, err := os.Lstat(path); err != nil && strings.ContainsAny(path, `*?[{`) {
		if matches, err = glob(path); err != nil {
			return nil, nil, err
		}
	}
	for _, match := range matches {
		info, err := os.Stat(match)
		if err != nil || !info.IsDir() {
			files = append(files, match)
			continue
		}
		found, rest, err := transcriptFiles(match, table)
		if err != nil {
			return nil, nil, err
		}
		if len(found) == 0 && len(matches) == 1 {
			return nil, nil, fmt.Errorf("%s: is a directory without transcript files: put files into it whose names end in %s, or name other files with a pattern, such as %s",
				match, strings.Join(endingsOf(table), ", "), filepath.Join(match, "*"))
		}
		files, leftOut = append(files, found...), append(leftOut, rest...)
	}
	if len(files) == 0 {
		return nil, nil, fmt.Errorf("%s: the pattern matches only directories without transcript files: correct it, or create the files first", path)
	}
	return files, leftOut, nil
}

// remoteError returns how to read a file that is not on this machine. It leaves out the parts of an address that may be secret.
func remoteError(scheme, path string) error {
	shown, _, _ := strings.Cut(path, "?")
	if at := strings.LastIndexByte(shown, '@'); at >= 0 {
		shown = scheme + "://" + shown[at+1:]
	}
	var fetch string
	switch scheme {
	case "file":
		return fmt.Errorf("%s: is an address: write it as a path", shown)
	case "s3":
		fetch = "aws s3 cp " + shown + " -"
	case "gs":
		fetch = "gcloud storage cat " + shown
	case "http", "https", "ftp", "sftp":
		fetch = "curl -fsSL " + shown
	default:
		return fmt.Errorf("%s: only files on this machine are read: download it first, or pipe it, as in COMMAND | dixa-import run --jsonl -", shown)
	}
	return fmt.Errorf("%s: only files on this machine are read: pipe it, as in `%s | dixa-import run --jsonl -`, or download it first", shown, fetch)
}

// home replaces ~ and ~user at the beginning of a path.
func home(path string) (string, error) {
	if !strings.HasPrefix(path, "~") {
		return path, nil
	}
	name, rest, _ := strings.Cut(path[1:], "/")
	dir, err := os.UserHomeDir()
	if name != "" {
		var u *user.User
		if u, err = user.Lookup(name); err == nil {
			dir = u.HomeDir
		}
	}
	if err != nil {
		return "", fmt.Errorf("%s: the home directory is not known: write the path without ~", path)
	}
	return filepath.Join(dir, rest), nil
}

// glob returns what matches a pattern, sorted.
func glob(pattern string) ([]string, error) {
	if !doublestar.ValidatePathPattern(pattern) {
		return nil, fmt.Errorf("%s: the pattern is malformed: close each [ with a ] and each { with a }", pattern)
	}
	var matches []string
	var err error
	if base, rest := doublestar.SplitPattern(filepath.ToSlash(pattern)); strings.Contains(rest, "**") {
		// doublestar itself would follow a symlink that leads back for as long as the system lets it.
		if base == "." && !strings.HasPrefix(pattern, ".") {
			base = ""
		}
		w := walker{visit: func(path string, _ bool) {
			rel := strings.TrimPrefix(strings.TrimPrefix(path, base), "/")
			if doublestar.MatchUnvalidated(rest, rel) {
				matches = append(matches, path)
			}
		}}
		if err = w.walk(base); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	} else {
		matches, err = doublestar.FilepathGlob(pattern, doublestar.WithFailOnIOErrors())
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w: make the folder readable for the user that runs this", pattern, err)
	}
	if len(matches) == 0 {
		return nil, fmt.Errorf("%s: no file matches the pattern: correct it, or create the files first", pattern)
	}
	slices.Sort(matches)
	return matches, nil
}

// The ends of the names of the files that are read in a folder and in an archive.
var (
	endings = []string{".jsonl", ".ndjson", ".json", ".zip", ".tar", ".tgz"}
	others  = []string{".jsonlines", ".ldjson", ".json-seq", ".geojsonl", ".tbz", ".tbz2"}
	packed  = []string{".gz", ".zst", ".bz2"}
	// of tables of values
	tableEndings = []string{".csv", ".tsv", ".txt", ".zip", ".tar", ".tgz"}
)

// endingsOf are those of a source's files that an error names.
func endingsOf(table bool) []string {
	if table {
		return tableEndings
	}
	return endings
}

// namedTranscripts reports whether a file name has the ending of a transcript file.
func namedTranscripts(name string, table bool) bool {
	name = strings.ToLower(filepath.Base(name))
	if strings.HasPrefix(name, ".") {
		return false
	}
	for _, p := range packed {
		if strings.HasSuffix(name, p) {
			return true
		}
	}
	return slices.ContainsFunc(slices.Concat(endingsOf(table), others), func(e string) bool { return strings.HasSuffix(name, e) })
}

// transcriptFiles returns the files in a folder, and in the folders below it, whose names have the ending of a transcript file, and the
// rest.
func transcriptFiles(folder string, table bool) (files, rest []string, err error) {
	w := walker{hidden: true, visit: func(path string, hidden bool) {
		if !hidden && namedTranscripts(path, table) {
			files = append(files, path)
		} else {
			rest = append(rest, path)
		}
	}}
	if err := w.walk(folder); err != nil {
		return nil, nil, fmt.Errorf("%s: %w: make the folder readable for the user that runs this", folder, err)
	}
	slices.Sort(files)
	return files, rest, nil
}

// walker visits the files below a folder. It follows symlinks, but not to a folder that it is in.
type walker struct {
	hidden bool // hidden folders are visited as if they were files
	visit  func(path string, hidden bool)
	inside []string // the real names of the folders that it is in
}

func (w *walker) walk(folder string) error {
	name := realName(folder)
	if slices.Contains(w.inside, name) {
		return nil
	}
	w.inside = append(w.inside, name)
	defer func() { w.inside = w.inside[:len(w.inside)-1] }()
	read := folder
	if read == "" {
		read = "."
	}
	entries, err := os.ReadDir(read)
	if err != nil {
		return err
	}
	for _, e := range entries {
		path := e.Name()
		if folder != "" {
			path = strings.TrimSuffix(folder, "/") + "/" + e.Name()
		}
		hidden := strings.HasPrefix(e.Name(), ".")
		dir := e.IsDir()
		if e.Type()&fs.ModeSymlink != 0 {
			info, err := os.Stat(path)
			dir = err == nil && info.IsDir()
		}
		if !dir || w.hidden && hidden {
			w.visit(path, hidden)
			continue
		}
		if err := w.walk(path); err != nil {
			return err
		}
	}
	return nil
}

// realName returns a name that is the same for all paths of one file.
func realName(path string) string {
	if resolved, err := filepath.EvalSymlinks(path); err == nil {
		path = resolved
	}
	if absolute, err := filepath.Abs(path); err == nil {
		path = absolute
	}
	return path
}

// some names the first few of many.
func some(names []string) string {
	if len(names) > 5 {
		return strings.Join(names[:5], ", ") + ", ..."
	}
	return strings.Join(names, ", ")
}
