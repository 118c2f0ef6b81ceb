package source

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// stdinPath is the path that stands for standard input.
const stdinPath = "-"

// input is one file, pipe or standard input.
type input struct {
	path    string
	regular bool                          // a file that can be read again
	stream  func() (io.ReadCloser, error) // opens what is no regular file
}

// OpenJSONL resolves the paths and checks that every file is there and can be read. The error names all paths that are
// not, each with what to do.
func OpenJSONL(config JSONLConfig) (*JSONL, error) {
	if len(config.Paths) == 0 {
		return nil, errors.New("no file to read transcripts from: name at least one path, or - for standard input")
	}
	s := &JSONL{now: config.Now}
	if s.now == nil {
		s.now = time.Now
	}
	var problems []error
	seen := map[string]bool{}
	for _, path := range config.Paths {
		if path == stdinPath {
			if !seen[path] {
				s.inputs = append(s.inputs, stdin(config.Stdin))
			}
			seen[path] = true
			continue
		}
		matches, err := expand(path)
		if err != nil {
			problems = append(problems, err)
		}
		for _, match := range matches {
			in, size, err := inspect(match)
			if err != nil {
				problems = append(problems, err)
				continue
			}
			if name := realName(match); !seen[name] {
				seen[name] = true
				s.inputs = append(s.inputs, in)
				s.total += size
			}
		}
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	if !s.Rereadable() {
		s.total = 0
	}
	return s, nil
}

func stdin(r io.Reader) input {
	if r == nil {
		r = os.Stdin
	}
	return input{path: stdinPath, stream: func() (io.ReadCloser, error) { return io.NopCloser(r), nil }}
}

// expand returns the files that a path stands for: itself where it exists, although it may look like a glob.
func expand(path string) ([]string, error) {
	if _, err := os.Lstat(path); err == nil || !strings.ContainsAny(path, `*?[`) {
		return []string{path}, nil
	}
	matches, err := filepath.Glob(path)
	if err != nil {
		return nil, fmt.Errorf("%s: the pattern is malformed: close each [ with a ]", path)
	}
	if len(matches) == 0 {
		return nil, fmt.Errorf("%s: no file matches the pattern: correct it, or create the files first", path)
	}
	return matches, nil
}

// inspect checks that a file can be read.
func inspect(path string) (in input, size int64, err error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return in, 0, fmt.Errorf("%s: there is no such file: correct the path", path)
	case err != nil:
		return in, 0, fmt.Errorf("%s: %w: correct the path or its permissions", path, bare(err))
	case info.IsDir():
		return in, 0, fmt.Errorf("%s: is a directory: name the files in it, such as %s", path, filepath.Join(path, "*.jsonl"))
	case !info.Mode().IsRegular():
		return input{path: path, stream: func() (io.ReadCloser, error) { return os.Open(path) }}, 0, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return in, 0, fmt.Errorf("%s: %w: make the file readable for the user that runs this", path, bare(err))
	}
	_ = f.Close()
	return input{path: path, regular: true}, info.Size(), nil
}

// bare returns the cause of an error of the os package, which says the path once more.
func bare(err error) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err
	}
	return err
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
