package source

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"errors"
	"io"
	"os"
	"strings"
)

// zip reads the files in a zip archive.
func (r *reader) zip(path string, head []byte, layers int) error {
	if !r.in.regular || layers > 0 {
		return r.refuse(path, unknownFormat("a zip archive in a stream or within another file", "unpack it, as in `unzip -p FILE`"), head)
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	z, err := zip.NewReader(f, r.size)
	if err != nil {
		return errNotZip
	}
	for _, m := range z.File {
		if m.Name == "[Content_Types].xml" || m.Name == "mimetype" {
			return r.refuse(path, unknownFormat("an Excel or other Office document", "export it as JSON, one object a line"), head)
		}
	}
	read, packed := 0, r.before
	for _, m := range z.File {
		if m.FileInfo().IsDir() || !r.wants(m.Name, len(z.File) == 1) {
			continue
		}
		read++
		name := path + "/" + m.Name
		if m.Flags&1 != 0 {
			if err := r.refuse(name, unknownFormat("encrypted with a password", "unpack it, as in `unzip FILE`"), head); err != nil {
				return err
			}
			continue
		}
		if err := r.contain(name, r.member(name, m, layers)); err != nil {
			return err
		}
		packed += int64(m.CompressedSize64)
		r.advance(packed)
	}
	return r.endArchive(path, read, head)
}

func (r *reader) member(name string, m *zip.File, layers int) error {
	raw, err := m.Open()
	if errors.Is(err, zip.ErrAlgorithm) {
		return r.refuse(name, unknownFormat("packed with an unknown method", "unpack it, as in `7z x FILE`"), []byte(m.Name))
	}
	if err != nil {
		return err
	}
	defer func() { _ = raw.Close() }()
	return r.unpack(name, bufio.NewReaderSize(raw, 64<<10), layers+1)
}

// tar reads the files in a tar archive.
func (r *reader) tar(path string, packed io.Reader, layers int) error {
	archive, read := tar.NewReader(packed), 0
	for {
		r.reported = false
		m, err := archive.Next()
		if err == io.EOF { //nolint:errorlint // as in unpack
			return r.endArchive(path, read, []byte(path))
		}
		if err != nil {
			return err
		}
		if m.Typeflag != tar.TypeReg || !r.wants(m.Name, false) {
			continue
		}
		read++
		name := path + "/" + strings.TrimPrefix(m.Name, "./")
		if err := r.contain(name, r.unpack(name, bufio.NewReaderSize(archive, 64<<10), layers+1)); err != nil {
			return err
		}
		if r.reported { // the archive itself may be damaged, which is reported once
			if _, err := io.Copy(io.Discard, archive); err != nil {
				return nil //nolint:nilerr // it was reported
			}
		}
	}
}

// wants reports whether a file in an archive is read: its name has the ending of a transcript file, or none.
func (r *reader) wants(name string, only bool) bool {
	base := name[strings.LastIndexByte(name, '/')+1:]
	if strings.HasPrefix(name, "__MACOSX/") || strings.HasPrefix(base, "._") {
		return false
	}
	if only || namedTranscripts(base, r.tables != nil) || !strings.Contains(base, ".") {
		return true
	}
	r.leftOut = append(r.leftOut, name)
	return false
}

func (r *reader) endArchive(path string, read int, head []byte) error {
	if read == 0 {
		return r.refuse(path, reject(RejectUnknownFormat, "the archive holds no file whose name ends in %s: unpack it, and name the files with the transcripts",
			strings.Join(endingsOf(r.tables != nil), ", ")), head)
	}
	if len(r.leftOut) > 0 {
		r.logger.Warn("files in an archive were skipped because their names do not look like those of transcripts: unpack the archive and name them to read them",
			"archive", path, "count", len(r.leftOut), "files", some(r.leftOut))
		r.leftOut = nil
	}
	return r.end(path)
}
