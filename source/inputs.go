package source

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"time"
)

// stdinPath is the path that stands for standard input.
const stdinPath = "-"

// input is one file, pipe or standard input.
type input struct {
	path    string
	regular bool                          // a file that can be read again
	stream  func() (io.ReadCloser, error) // opens standard input or a pipe
}

// OpenJSONL resolves the paths and checks that every file exists and can be read. The error names every path that fails, with what to do.
func OpenJSONL(config JSONLConfig) (*JSONL, error) {
	if len(config.Paths) == 0 {
		return nil, errors.New("no file to read transcripts from: name at least one path, or - for standard input")
	}
	s := &JSONL{now: config.Now, zone: config.TimeZone, logger: config.Logger}
	if s.logger == nil {
		s.logger = slog.New(slog.DiscardHandler)
	}
	var err error
	if s.records, err = parseRecords(config.Records); err != nil {
		return nil, fmt.Errorf("records %w", err)
	}
	if s.encoding, err = encodingNamed(config.Encoding); err != nil {
		return nil, fmt.Errorf("encoding %w", err)
	}
	if s.now == nil {
		s.now = time.Now
	}
	if config.CSV != nil {
		if s.tables, err = newTables(*config.CSV); err != nil {
			return nil, err
		}
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
		matches, leftOut, err := expand(path, config.CSV != nil)
		if err != nil {
			problems = append(problems, err)
		}
		if len(leftOut) > 0 {
			s.logger.Warn("files in a folder were skipped because their names do not look like those of transcripts: name them with a pattern to read them",
				"folder", path, "count", len(leftOut), "files", some(leftOut))
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

// CheckJSONL reports what is wrong with JSONLConfig.Records and JSONLConfig.Encoding.
func CheckJSONL(records, encoding string) error {
	_, recordsErr := parseRecords(records)
	_, encodingErr := encodingNamed(encoding)
	return errors.Join(recordsErr, encodingErr)
}

func stdin(r io.Reader) input {
	if r == nil {
		r = os.Stdin
	}
	return input{path: stdinPath, stream: func() (io.ReadCloser, error) { return io.NopCloser(r), nil }}
}

// inspect checks that a file can be read.
func inspect(path string) (in input, size int64, err error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return in, 0, fmt.Errorf("%s: there is no such file: correct the path", path)
	case err != nil:
		return in, 0, fmt.Errorf("%s: %w: correct the path or its permissions", path, bare(err))
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
