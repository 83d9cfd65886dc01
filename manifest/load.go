package manifest

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// Load reads a folder into a bundle: its YAML files, and the OpenAPI documents that they name. It follows no links out of
// the folder and stops at MaxBundle bytes. It says only what Parse cannot see.
func Load(dir string) (Bundle, []Diagnostic) {
	var ds diagnostics
	root, err := os.OpenRoot(dir)
	if err != nil {
		ds.add("", 0, "", "the manifest's folder cannot be read: %s", plain(err))
		return Bundle{}, ds.sorted()
	}
	defer root.Close()
	l := loader{ds: &ds, root: root, b: Bundle{}}
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		ds.add("", 0, "", "the manifest's folder cannot be read: %s", plain(err))
		return l.b, ds.sorted()
	}
	for _, e := range entries {
		if isManifestName(e.Name()) && !e.IsDir() {
			l.read(e.Name())
		}
	}
	if len(l.b) == 0 && !Fatal(ds.list) {
		ds.add("", 0, "", "%s holds no .yaml file", dir)
	}
	for _, name := range documentNames(l.b) {
		if _, ok := l.b[name]; !ok && checkFileName(name) == nil {
			l.read(name)
		}
	}
	return l.b, ds.sorted()
}

type loader struct {
	ds   *diagnostics
	root *os.Root
	b    Bundle
	size int
	full bool
}

func (l *loader) read(name string) {
	if l.full {
		return
	}
	if err := checkFileName(name); err != nil {
		l.ds.add(name, 0, "", "%s", err)
		return
	}
	info, err := l.root.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, err := l.root.Lstat(name); err == nil {
			l.ds.add(name, 0, "", "is a link to nothing")
		}
		return // Parse says who names it
	case err != nil:
		l.ds.add(name, 0, "", "cannot be read: %s", plain(err))
		return
	case !info.Mode().IsRegular():
		l.ds.add(name, 0, "", "is not a file")
		return
	}
	f, err := l.root.Open(name)
	if err != nil {
		l.ds.add(name, 0, "", "cannot be read: %s", plain(err))
		return
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, int64(MaxBundle-l.size)+1))
	switch {
	case err != nil:
		l.ds.add(name, 0, "", "cannot be read: %s", plain(err))
	case len(data) > MaxBundle-l.size || len(l.b) >= maxFiles:
		l.ds.add(name, 0, "", "the manifest's files are more than %d or larger than %d bytes together", maxFiles, MaxBundle)
		l.full = true
	default:
		l.size += len(data)
		l.b[name] = data
	}
}

// documentNames is the files that the APIs of a bundle name, in order.
func documentNames(b Bundle) []string {
	var out []string
	for _, a := range readManifest(&diagnostics{}, b).APIs {
		if a.OpenAPI != "" {
			out = append(out, a.OpenAPI)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// plain is an error of the file system in its own words, without what was called.
func plain(err error) string {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		err = e.Err
	}
	text := err.Error()
	if strings.Contains(text, "escapes") {
		return "it is a link out of the manifest's folder"
	}
	return text
}
