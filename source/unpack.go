package source

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"unicode/utf8"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

const (
	// maxWindow bounds the memory that a zstd file can ask for. It is what the zstd command accepts without --long.
	maxWindow = 128 << 20
	// maxLayers is how often a file may be compressed.
	maxLayers = 8
	// headSize is how many bytes show how a file is packed: the magic of a tar archive is near the end of its first header.
	headSize = 512
)

var (
	// errNotCompressed says that a file's content is not what its name promises.
	errNotCompressed = errors.New("its name ends in .gz, .zst or .bz2, but its content is neither compressed nor JSON")
	errNotZip        = errors.New("it begins like a zip archive but is not one")
)

// reader reads one input.
type reader struct {
	in       input
	ctx      context.Context
	count    *atomic.Int64
	charset  charset
	records  []string
	shape    *shape
	tables   *tables
	logger   *slog.Logger
	visit    func(frame) bool
	size     int64
	head     []byte   // how the file begins
	before   int64    // count, when the file was opened
	leftOut  []string // members of an archive that were not read
	reported bool     // damage of a file in an archive was reported
}

// frames calls visit for each record of the input and for each problem with the input itself, until visit returns false. The error is
// that of ctx or of a stream.
func (r *reader) frames() (stopped bool, err error) {
	err = r.read()
	switch {
	case errors.Is(err, errStopped):
		return true, nil
	case r.ctx.Err() != nil:
		return false, r.ctx.Err()
	}
	return false, err
}

func (r *reader) read() error {
	if err := r.ctx.Err(); err != nil {
		return err
	}
	if !r.in.regular {
		p := newPump(r.ctx, r.in.stream)
		defer p.Close()
		return r.file(r.in.path, p)
	}
	f, err := os.Open(r.in.path)
	if err != nil {
		return r.damage(Place{Path: r.in.path, Line: 1}, err, nil)
	}
	defer func() { _ = f.Close() }()
	if info, err := f.Stat(); err == nil {
		r.size = info.Size()
	}
	r.before = r.count.Load()
	if err := r.file(r.in.path, f); err != nil {
		return err
	}
	r.advance(r.before + r.size) // some formats are not read to the last byte
	return nil
}

// advance sets the progress to that many bytes, unless more were read already.
func (r *reader) advance(to int64) { r.count.Store(max(r.count.Load(), to)) }

// file reads the input itself.
func (r *reader) file(path string, raw io.Reader) error {
	packed := bufio.NewReaderSize(&counter{raw, r.count}, 64<<10)
	if r.in.regular {
		head, _ := packed.Peek(64 << 10)
		r.head = bytes.Clone(head)
	}
	return r.contain(path, r.unpack(path, packed, 0))
}

// contain turns an error of a file into a frame, so that the next file is read.
func (r *reader) contain(path string, err error) error {
	var d *damaged
	switch {
	case err == nil, errors.Is(err, errStopped), r.ctx.Err() != nil:
		return err
	case errors.As(err, &d):
		return r.damage(d.place, d.err, d.sample)
	}
	return r.damage(Place{Path: path, Line: 1}, err, nil)
}

// damaged is an error that says from where on a file cannot be read.
type damaged struct {
	place  Place
	err    error
	sample []byte
}

func (d *damaged) Error() string { return d.err.Error() }
func (d *damaged) Unwrap() error { return d.err }

// damage emits a frame that says from where on a file cannot be read. For a stream, it returns that as an error.
func (r *reader) damage(place Place, err error, sample []byte) error {
	err = failure(place, err)
	if !r.in.regular {
		return err
	}
	r.reported = true
	return r.report(place, reject(RejectFileDamaged, "%s", err.Error()), sample)
}

// refuse emits a frame that says why a whole file is not read.
func (r *reader) refuse(path string, failure *RejectError, sample []byte) error {
	return r.report(Place{Path: path, Line: 1}, failure, sample)
}

// report emits a failure at a place. Its hash depends on the beginning and the size of the file: another file with the same name should have
// another hash.
func (r *reader) report(place Place, failure *RejectError, sample []byte) error {
	h := sha256.New()
	_, _ = io.WriteString(h, failure.Error())
	_, _ = h.Write(strconv.AppendInt(r.head, r.size, 10))
	_, _ = h.Write(sample)
	fr := frame{place: place, failure: failure}
	h.Sum(fr.hash[:0])
	return r.emit(fr)
}

func (r *reader) emit(fr frame) error {
	if !r.visit(fr) {
		return errStopped
	}
	return nil
}

func (r *reader) end(path string) error {
	return r.emit(frame{place: Place{Path: path}, end: true})
}

// unpack detects by its first bytes how a file is packed, and reads its content.
func (r *reader) unpack(path string, packed *bufio.Reader, layers int) error {
	head, err := packed.Peek(1)
	if err == nil && (r.in.regular || bytes.IndexByte([]byte("{[ \t\r\n\x1e"), head[0]) < 0) { // a pipe that sends JSON may not have sent more yet
		head, err = packed.Peek(headSize)
	}
	if len(head) == 0 && err != nil && err != io.EOF { //nolint:errorlint // io.EOF inside another error is not the end of the file
		return err
	}
	var text io.Reader
	switch {
	case layers > maxLayers:
		return r.refuse(path, unknownFormat("packed more than eight times over", "unpack it"), head)
	case bytes.HasPrefix(head, []byte("\x1f\x8b")):
		if text, err = gzip.NewReader(packed); err != nil {
			return err
		}
	case bytes.HasPrefix(head, []byte("\x28\xb5\x2f\xfd")), isSkippable(head):
		z, err := zstd.NewReader(packed, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return err
		}
		defer z.Close()
		text = z
	case len(head) > 9 && bytes.HasPrefix(head, []byte("BZh")) && (string(head[4:10]) == "1AY&SY" || string(head[4:10]) == "\x17\x72\x45\x38\x50\x90"):
		text = bzip2.NewReader(packed)
	case bytes.HasPrefix(head, []byte("PK\x03\x04")), bytes.HasPrefix(head, []byte("PK\x05\x06")):
		return r.zip(path, head, layers)
	case len(head) > 262 && string(head[257:262]) == "ustar":
		return r.tar(path, packed, layers)
	default:
		return r.document(path, packed, head)
	}
	return r.unpack(path, bufio.NewReaderSize(text, 64<<10), layers+1)
}

// isSkippable recognises a skippable frame, with which a zstd file may begin.
func isSkippable(head []byte) bool {
	return len(head) > 3 && head[0]&0xf0 == 0x50 && bytes.Equal(head[1:4], []byte{0x2a, 0x4d, 0x18})
}

func namedCompressed(name string) bool {
	return strings.HasSuffix(name, ".gz") || strings.HasSuffix(name, ".zst") || strings.HasSuffix(name, ".bz2")
}

// document reads a file that is not compressed, or whose compression was undone.
func (r *reader) document(path string, packed *bufio.Reader, head []byte) error {
	if len(head) == 0 {
		if namedCompressed(path) && path == r.in.path {
			return io.ErrUnexpectedEOF
		}
		return r.end(path)
	}
	if failure := knownFormat(head); failure != nil {
		return r.refuse(path, failure, head)
	}
	if strings.HasSuffix(strings.ToLower(path), ".br") && (!utf8.Valid(head) || controls(head)) {
		return r.refuse(path, unknownFormat("Brotli, by its name", "unpack it, as in `brotli -dk FILE`"), head)
	}
	if r.tables != nil {
		return r.table(path, packed)
	}
	plain, supposed := r.charset.decode(packed)
	t := newText(plain)
	f := &framer{text: t, ctx: r.ctx, path: path, records: r.records, shape: r.shape, visit: r.visit, watch: &watch{off: !supposed}}
	wrong := r.sample(t, supposed)
	sum := sha256.Sum256(t.buf)
	sample := sum[:]
	if wrong != nil {
		if namedCompressed(path) && wrong.Code == RejectUnknownFormat && path == r.in.path {
			return errNotCompressed
		}
		return r.refuse(path, wrong, sample)
	}
	err := f.run()
	switch {
	case errors.Is(err, errStopped), err != nil && r.ctx.Err() != nil:
		return err
	case err != nil:
		return &damaged{f.here(f.nth + 1), err, sample}
	case len(r.records) > 0 && !f.found && f.pos > 0:
		return r.refuse(path, reject(RejectUnknownFormat, "there is no array at source.jsonl.records, %s: correct it, or remove it if each record is a transcript",
			dotted(r.records)), sample)
	case f.damaged:
		return nil
	}
	return r.end(path)
}

// sample looks at the beginning of a text and returns what is wrong with all of it, if anything. It reads no more of a stream than it
// needs to find JSON.
func (r *reader) sample(t *text, supposed bool) *RejectError {
	for len(t.buf) < sampleSize && t.more() {
		if !r.in.regular && fileFormat(t.buf, t.ended()) == nil && len(bytes.TrimSpace(t.buf)) > 0 {
			break
		}
	}
	if supposed {
		if failure := fileEncoding(t.buf); failure != nil {
			return failure
		}
	}
	if failure := fileFormat(t.buf, true); failure != nil {
		return failure
	}
	if returns(t.buf) {
		t.eol = '\r'
	}
	return nil
}

// returns reports whether the lines of a text end with a carriage return alone.
func returns(sample []byte) bool {
	begin := bytes.TrimLeft(sample, " \t\r\n\x1e")
	if len(begin) == 0 || begin[0] != '{' && begin[0] != '[' || bytes.IndexByte(sample, '\n') >= 0 {
		return false
	}
	first := bytes.IndexByte(begin, '\r')
	return first >= 0 && len(bytes.TrimRight(begin, "\r")) > first // and not a single one at the end, which a line feed may follow
}

// failure describes an error of a file at a place, and what to do.
func failure(place Place, err error) error {
	cure := "the file is truncated or damaged, copy or compress it again"
	var pathError *fs.PathError
	switch {
	case errors.As(err, &pathError):
		err, cure = pathError.Err, "make the file readable and run again"
	case errors.Is(err, zstd.ErrWindowSizeExceeded):
		cure = "compress it again without --long"
	case errors.Is(err, errNotCompressed), errors.Is(err, errNotZip):
		cure = "correct the name or the file"
	case errors.Is(err, errUnclosed), errors.Is(err, errBroken):
		cure = "export it again"
	}
	return fmt.Errorf("read %s up to line %d: %w: %s", place.Path, place.Line, err, cure)
}
