package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"gatehouse/fault"
)

// Overlay is a folder with changed and new files laid over it. It is never changed itself.
type Overlay struct {
	fsys  fs.FS
	files map[string][]byte
}

// NewOverlay lays nothing over fsys yet.
func NewOverlay(fsys fs.FS) *Overlay { return &Overlay{fsys: fsys, files: map[string][]byte{}} }

func (o *Overlay) with(files map[string][]byte) *Overlay {
	n := &Overlay{o.fsys, maps.Clone(o.files)}
	maps.Copy(n.files, files)
	return n
}

// Text is a file's text.
func (o *Overlay) Text(name string) ([]byte, error) {
	if b, ok := o.files[name]; ok {
		return b, nil
	}
	if o.fsys == nil {
		return nil, fault.New(fault.NotFound, "%s cannot be read", name)
	}
	b, err := fs.ReadFile(o.fsys, name)
	if err != nil {
		return nil, fault.New(fault.NotFound, "%s cannot be read", name).Because(err)
	}
	return b, nil
}

// Open implements fs.FS.
func (o *Overlay) Open(name string) (fs.File, error) {
	b, ok := o.files[name]
	if !ok {
		return o.fsys.Open(name)
	}
	return &file{info: info{path.Base(name), int64(len(b))}, text: strings.NewReader(string(b))}, nil
}

// ReadDir implements fs.ReadDirFS: new files stand among the others.
func (o *Overlay) ReadDir(name string) ([]fs.DirEntry, error) {
	list, err := fs.ReadDir(o.fsys, name)
	if err != nil {
		return list, err
	}
	for f, b := range o.files {
		if path.Dir(f) == name && !slices.ContainsFunc(list, func(d fs.DirEntry) bool { return d.Name() == path.Base(f) }) {
			list = append(list, fs.FileInfoToDirEntry(info{path.Base(f), int64(len(b))}))
		}
	}
	slices.SortFunc(list, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return list, nil
}

type info struct {
	name string
	size int64
}

func (i info) Name() string     { return i.name }
func (i info) Size() int64      { return i.size }
func (info) Mode() fs.FileMode  { return 0o644 }
func (info) ModTime() time.Time { return time.Time{} }
func (info) IsDir() bool        { return false }
func (info) Sys() any           { return nil }

type file struct {
	info info
	text *strings.Reader
}

func (f *file) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f *file) Read(b []byte) (int, error) { return f.text.Read(b) }
func (f *file) Close() error               { return nil }

var _ io.Reader = (*file)(nil)

// File is how one file is changed, both ways: the guard is the digest of what was read.
type File struct {
	Environment string `json:"environment"`
	Name        string `json:"file"`
	Before      string `json:"sha256_before,omitempty"` // "": the file is new
	After       string `json:"sha256_after"`
	Edits       []Edit `json:"edits"`

	diff func(name string) string
}

// Diff is the file's difference under a name, masked; "" for a plan that was read back.
func (f File) Diff(name string) string {
	if f.diff == nil {
		return ""
	}
	return f.diff(name)
}

// Edit replaces Old, at the byte Offset of the file as it was, by New.
type Edit struct {
	Offset int    `json:"offset"`
	Old    string `json:"old"`
	New    string `json:"new"`
}

func digest(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

// changes are all files that differ from those of the folder.
func (o *Overlay) changes(environment string) []File {
	var out []File
	for _, name := range slices.Sorted(maps.Keys(o.files)) {
		text := o.files[name]
		f := File{Environment: environment, Name: name, After: digest(text)}
		var old []byte
		if o.fsys != nil {
			b, err := fs.ReadFile(o.fsys, name)
			if err == nil {
				old, f.Before = b, digest(b)
			} else if !errors.Is(err, fs.ErrNotExist) {
				continue
			}
		}
		f.Edits = edits(old, text)
		f.diff = func(name string) string { return Unified(name, old, text) }
		if len(f.Edits) > 0 {
			out = append(out, f)
		}
	}
	return out
}

// Done makes the edits. It refuses when the text is not the one that was planned for; done already is fine, and changes nothing.
func (f File) Done(text []byte) ([]byte, error) {
	if d := digest(text); d == f.After {
		return text, nil
	} else if d != f.Before && !(f.Before == "" && len(text) == 0) {
		return nil, fault.New(fault.Stale, "%s: %s has changed since it was read, so the plan does not fit it; plan again", f.Environment, f.Name)
	}
	out := replaced(text, f.Edits, false)
	if digest(out) != f.After {
		return nil, fault.New(fault.Conflict, "%s: the edits of %s do not lead to what was proven; plan again", f.Environment, f.Name)
	}
	return out, nil
}

// Undone takes the edits back. It refuses when the text is not the one that they left; undone already is fine.
func (f File) Undone(text []byte) ([]byte, error) {
	if d := digest(text); d == f.Before || f.Before == "" && len(text) == 0 {
		return text, nil
	} else if d != f.After {
		return nil, fault.New(fault.Stale, "%s: %s has changed since the plan was carried out, so it is not taken back; undo it by hand", f.Environment, f.Name)
	}
	out := replaced(text, f.Edits, true)
	if f.Before != "" && digest(out) != f.Before {
		return nil, fault.New(fault.Conflict, "%s: the edits of %s cannot be taken back", f.Environment, f.Name)
	}
	return out, nil
}

func replaced(text []byte, list []Edit, back bool) []byte {
	var out []byte
	at, moved := 0, 0
	for _, e := range list {
		from, old, fresh := e.Offset, e.Old, e.New
		if back {
			from, old, fresh = from+moved, fresh, old
			moved += len(e.New) - len(e.Old)
		}
		if from < at || from+len(old) > len(text) || string(text[from:from+len(old)]) != old {
			return nil
		}
		out = append(out, text[at:from]...)
		out = append(out, fresh...)
		at = from + len(old)
	}
	return append(out, text[at:]...)
}
