// Package source reads the files of a configuration folder safely: bounded, without following links, with the place of every value.
package source

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"sort"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"gatehouse/drift"
)

// The bounds. They are far above what people write and far below what hurts.
const (
	maxFile  = 16 << 20  // one file: the largest OpenAPI documents are under 10 MB
	maxTotal = 256 << 20 // all files of a folder
	maxFiles = 20_000
	maxDepth = 24 // folders within folders
	maxNodes = 1 << 20
	maxNest  = 200 // values within values: parsers and readers recurse
)

// Folder is an open folder of configuration files.
type Folder struct {
	fsys     fs.FS
	names    []string // of regular files, sorted
	total    int64
	hash     []string
	problems []drift.Problem
	files    drift.Files
}

// OpenDir opens a folder of the disk so that nothing outside it can be reached through it. Close it.
func OpenDir(dir string) (fs.FS, io.Closer, error) {
	r, err := os.OpenRoot(dir)
	if err != nil {
		return nil, nil, err
	}
	return r.FS(), r, nil
}

// Open lists the files of fsys. Links, hidden folders and what is beyond the bounds are left out, and said so.
func Open(fsys fs.FS) *Folder {
	f := &Folder{fsys: fsys}
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			f.Problem(drift.Problem{File: name, Text: "cannot be read: " + cause(err), Partial: true})
			if d != nil && d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case d.IsDir():
			base := path.Base(name)
			if name != "." && (base == ".git" || base == "node_modules") {
				return fs.SkipDir
			}
			if strings.Count(name, "/") >= maxDepth {
				f.Problem(drift.Problem{File: name, Text: fmt.Sprintf("folders are nested deeper than %d", maxDepth), Partial: true})
				return fs.SkipDir
			}
			return nil
		case d.Type()&fs.ModeSymlink != 0:
			f.Problem(drift.Problem{File: name, Text: "is a link, which is not followed", Partial: true})
			return nil
		case !d.Type().IsRegular():
			f.Problem(drift.Problem{File: name, Text: "is not a regular file", Partial: true})
			return nil
		}
		if len(f.names) == maxFiles {
			f.Problem(drift.Problem{File: name, Text: fmt.Sprintf("the folder holds more than %d files", maxFiles), Partial: true})
			return fs.SkipAll
		}
		f.names = append(f.names, name)
		return nil
	})
	if err != nil {
		f.Problem(drift.Problem{Text: "cannot be listed: " + cause(err), Partial: true})
	}
	sort.Strings(f.names)
	return f
}

func cause(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}

// Names are the files, sorted.
func (f *Folder) Names() []string { return f.names }

// Has reports whether there is a file of the name.
func (f *Folder) Has(name string) bool {
	i := sort.SearchStrings(f.names, name)
	return i < len(f.names) && f.names[i] == name
}

// Skip counts a file that does not belong to the gateway.
func (f *Folder) Skip() { f.files.Skipped++ }

// Problem notes something. A partial one counts a file as not read.
func (f *Folder) Problem(p drift.Problem) {
	if p.Partial {
		f.files.Failed++
	}
	p.Text = drift.Mask(p.Text)
	f.problems = append(f.problems, p)
}

// Doubt notes something that was read with doubt, at its place.
func (f *Folder) Doubt(o drift.Origin, format string, args ...any) {
	f.Problem(drift.Problem{File: o.File, Line: o.Line, Pointer: o.Pointer, Text: fmt.Sprintf(format, args...)})
}

// Text is the contents of a file as UTF-8 without a mark. It notes the problem and returns false when it cannot be read.
func (f *Folder) Text(name string) ([]byte, bool) {
	b, err := f.read(name)
	if err != nil {
		f.Problem(drift.Problem{File: name, Text: cause(err), Partial: true})
		return nil, false
	}
	f.files.Read++
	h := sha256.Sum256(b)
	f.hash = append(f.hash, name+"\x00"+hex.EncodeToString(h[:]))
	t, err := utf8Of(b)
	if err != nil {
		f.files.Read--
		f.Problem(drift.Problem{File: name, Text: err.Error(), Partial: true})
		return nil, false
	}
	return t, true
}

func (f *Folder) read(name string) ([]byte, error) {
	file, err := f.fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	st, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, errors.New("is not a regular file")
	}
	if st.Size() > maxFile {
		return nil, fmt.Errorf("has %d bytes, more than %d", st.Size(), maxFile)
	}
	b, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxFile {
		return nil, fmt.Errorf("has more than %d bytes", maxFile)
	}
	if f.total += int64(len(b)); f.total > maxTotal {
		return nil, fmt.Errorf("the folder's files have more than %d bytes together", maxTotal)
	}
	return b, nil
}

// utf8Of takes UTF-8 with or without a mark, and UTF-16 with one. Anything else is refused.
func utf8Of(b []byte) ([]byte, error) {
	switch {
	case bytes.HasPrefix(b, []byte{0xEF, 0xBB, 0xBF}):
		b = b[3:]
	case bytes.HasPrefix(b, []byte{0xFF, 0xFE}), bytes.HasPrefix(b, []byte{0xFE, 0xFF}):
		big := b[0] == 0xFE
		b = b[2:]
		if len(b)%2 != 0 {
			return nil, errors.New("is cut off in the middle of a UTF-16 character")
		}
		u := make([]uint16, len(b)/2)
		for i := range u {
			lo, hi := b[2*i], b[2*i+1]
			if big {
				lo, hi = hi, lo
			}
			u[i] = uint16(hi)<<8 | uint16(lo)
		}
		b = []byte(string(utf16.Decode(u)))
	}
	if !utf8.Valid(b) {
		return nil, errors.New("is neither UTF-8 nor UTF-16")
	}
	if bytes.IndexByte(b, 0) >= 0 {
		return nil, errors.New("holds zero bytes, so it is not text")
	}
	return b, nil
}

// Finish writes what was read, left out and found wrong into the environment, and returns the problems.
func (f *Folder) Finish(e *drift.Environment) []drift.Problem {
	e.Files = f.files
	e.Problems = f.problems
	sort.Strings(f.hash)
	h := sha256.Sum256([]byte(strings.Join(f.hash, "\n")))
	e.Source.Digest = "sha256:" + hex.EncodeToString(h[:])
	if f.files.Read == 0 && len(f.problems) == 0 {
		f.Problem(drift.Problem{Text: "holds no file of a " + e.Gateway + " configuration", Partial: true})
		e.Files, e.Problems = f.files, f.problems
	}
	drift.Hide(e)
	return e.Problems
}
