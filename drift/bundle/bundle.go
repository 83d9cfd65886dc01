// Package bundle reads folders of configuration that come as one file, zip or tar, as if they stood on the disk, and no more safely
// than that is wanted: within bounds, without links, and with nothing outside of the folder.
package bundle

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"gatehouse/drift"
	"gatehouse/fault"
)

// The bounds. Nobody's configuration comes near them; what is made to hurt does.
const (
	MaxBytes = 20 << 20  // of the bundle itself
	maxWhole = 128 << 20 // of all its files, unpacked
	maxFile  = 16 << 20  // of one of them, as of a file on the disk
	maxCount = 20_000    // of entries, of whatever kind
)

// files gathers what is unpacked.
type files struct {
	text     map[string][]byte
	problems []drift.Problem
	whole    int64
	count    int
}

func (f *files) problem(name, format string, args ...any) {
	f.problems = append(f.problems, drift.Problem{File: drift.Mask(name), Text: fmt.Sprintf(format, args...), Partial: true})
}

// Open unpacks a bundle in memory: a zip, or a tar that may be gzipped. What stands in it and is not a file within the folder (a link, a
// device, a path that leads outside) is left out and said, like what is too large. A bundle that unpacks to more than the bounds is
// refused whole. A single folder around everything, as archives of repositories have it, is taken away. Faults: Invalid, TooLarge.
func Open(data []byte) (fs.FS, []drift.Problem, error) {
	if len(data) > MaxBytes {
		return nil, nil, fault.New(fault.TooLarge, "the bundle has more than %d MB", MaxBytes>>20)
	}
	f := &files{text: map[string][]byte{}}
	var err error
	switch {
	case bytes.HasPrefix(data, []byte("PK\x03\x04")), bytes.HasPrefix(data, []byte("PK\x05\x06")):
		err = f.zip(data)
	case bytes.HasPrefix(data, []byte{0x1f, 0x8b}):
		var z *gzip.Reader
		if z, err = gzip.NewReader(bytes.NewReader(data)); err != nil {
			return nil, nil, fault.Bad("", "the bundle is gzipped, and cannot be unpacked").Because(err)
		}
		err = f.tar(&bounded{r: z, left: maxWhole + maxCount*1024})
	case len(data) > 262 && string(data[257:262]) == "ustar":
		err = f.tar(bytes.NewReader(data))
	default:
		return nil, nil, fault.Bad("", "the bundle is neither a zip nor a tar")
	}
	if err != nil {
		return nil, nil, err
	}
	fsys, err := f.fs()
	return fsys, f.problems, err
}

// errWhole says that the bounds of the whole are passed.
func errWhole() error {
	return fault.New(fault.TooLarge, "the bundle unpacks to more than %d MB, or to more than %d entries", maxWhole>>20, maxCount)
}

// bounded reads no more than is left, whatever a compressed stream grows to.
type bounded struct {
	r    io.Reader
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errWhole()
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

// takes reports whether an entry is one to read; what is not is said.
func (f *files) takes(name string, mode fs.FileMode) (string, bool, error) {
	if f.count++; f.count > maxCount {
		return "", false, errWhole()
	}
	clean := strings.TrimPrefix(strings.TrimSuffix(name, "/"), "./")
	switch {
	case mode.IsDir() || strings.HasSuffix(name, "/"):
		return "", false, nil
	case mode&fs.ModeSymlink != 0:
		f.problem(name, "is a link, which is not followed")
	case !mode.IsRegular():
		f.problem(name, "is not a regular file")
	case strings.Contains(name, "\\") || !fs.ValidPath(clean) || clean == ".":
		f.problem(name, "does not lie within the folder")
	case f.text[clean] != nil:
		f.problem(name, "stands in the bundle twice, and the first is read")
	default:
		return clean, true, nil
	}
	return "", false, nil
}

// keep reads one file, as far as the bounds go.
func (f *files) keep(name string, r io.Reader) error {
	b, err := io.ReadAll(io.LimitReader(r, min(maxFile, maxWhole-f.whole)+1))
	f.whole += int64(len(b))
	switch {
	case f.whole > maxWhole:
		return errWhole()
	case len(b) > maxFile:
		f.problem(name, "is larger than %d MB", maxFile>>20)
	case errors.Is(err, fault.TooLarge):
		return err
	case err != nil:
		f.problem(name, "cannot be unpacked")
	default:
		f.text[name] = b
	}
	return nil
}

func (f *files) zip(data []byte) error {
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		return fault.Bad("", "the bundle is no zip that can be read").Because(err)
	}
	for _, e := range z.File {
		name, ok, err := f.takes(e.Name, e.Mode())
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		const encrypted = 1 // the first of the flags
		if e.Flags&encrypted != 0 {
			f.problem(name, "is encrypted")
			continue
		}
		r, err := e.Open()
		if err != nil {
			f.problem(name, "cannot be unpacked")
			continue
		}
		err = f.keep(name, r)
		_ = r.Close() // nothing is written
		if err != nil {
			return err
		}
	}
	return nil
}

func (f *files) tar(r io.Reader) error {
	t := tar.NewReader(r)
	for {
		h, err := t.Next()
		switch {
		case err == io.EOF:
			return nil
		case errors.Is(err, fault.TooLarge):
			return err
		case err != nil && !errors.Is(err, tar.ErrInsecurePath):
			if len(f.text) == 0 {
				return fault.Bad("", "the bundle is no tar that can be read").Because(err)
			}
			f.problem("", "the bundle breaks off, and what stands before is read")
			return nil
		}
		if h.Typeflag == tar.TypeXGlobalHeader {
			continue // of the archive, no entry
		}
		mode := h.FileInfo().Mode()
		if h.Typeflag == tar.TypeLink {
			mode |= fs.ModeSymlink
		}
		name, ok, err := f.takes(h.Name, mode)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		if err := f.keep(name, t); err != nil {
			return err
		}
	}
}

// fs makes the folder: an archive in memory, which is one of the file systems that there are.
func (f *files) fs() (fs.FS, error) {
	top := ""
	for name := range f.text {
		first, _, deep := strings.Cut(name, "/")
		if !deep || top != "" && top != first {
			top = ""
			break
		}
		top = first
	}
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	var names []string
	for name := range f.text {
		names = append(names, name)
	}
	slices.Sort(names)
	for i, name := range names {
		if i+1 < len(names) && strings.HasPrefix(names[i+1], name+"/") {
			f.problem(name, "is a file and a folder")
			continue
		}
		w, err := z.CreateHeader(&zip.FileHeader{Name: strings.TrimPrefix(name, path.Clean(top)+"/"), Method: zip.Store})
		if err != nil {
			return nil, fmt.Errorf("unpack the bundle: %w", err)
		}
		if _, err := w.Write(f.text[name]); err != nil {
			return nil, fmt.Errorf("unpack the bundle: %w", err)
		}
	}
	if err := z.Close(); err != nil {
		return nil, fmt.Errorf("unpack the bundle: %w", err)
	}
	out, err := zip.NewReader(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		return nil, fmt.Errorf("unpack the bundle: %w", err)
	}
	return out, nil
}
