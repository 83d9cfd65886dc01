// Package live fetches what running gateways are configured with, from their own interfaces, in the form of the files that the readers
// read. It only ever asks: nothing but GET leaves it towards a gateway. Secrets are masked before anything is kept.
package live

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"io/fs"
	"net/http"
	"slices"
	"strings"
	"time"

	"gatehouse/drift"
	"gatehouse/fault"
	"gatehouse/secret"
)

// Source is one gateway that runs.
type Source struct {
	Gateway string // as review names it
	Address string // of Kong's Admin API, of a service in Azure Resource Manager, or kubernetes:CONTEXT
}

// Options are what reaching it takes.
type Options struct {
	Token      secret.Value         // for Kong's Admin API and for Azure Resource Manager
	Kubeconfig string               // a file; "" is the one of a pod
	Environ    func(string) string  // variables of workload identity; nil: none
	Transport  http.RoundTripper    // nil: the standard one
	Sleep      func(time.Duration)  // between tries; nil: time.Sleep
	Progress   func(requests int64) // told now and then; nil: nobody
}

// The bounds of one fetch.
const (
	maxAnswer = 16 << 20  // one answer: pages are far smaller
	maxTotal  = 256 << 20 // all of them
	maxAsks   = 50_000    // requests
	perAsk    = 30 * time.Second
	overall   = 15 * time.Minute
	tries     = 5 // where a gateway says that it is asked too often
)

// Addressed reports whether an address is that of a running gateway and not of a folder.
func Addressed(s string) bool {
	return strings.HasPrefix(s, "https://") || strings.HasPrefix(s, "http://") || strings.HasPrefix(s, "kubernetes:")
}

// Gateways are the kinds that can be fetched.
func Gateways() []string {
	return []string{"azureapim", "envoygateway", "gatewayapi", "ingressnginx", "kong", "traefik"}
}

// Fetch asks the gateway for its configuration. What is refused or missing is a problem, and the rest is still fetched; an error is said
// when nothing can be fetched at all.
func Fetch(ctx context.Context, s Source, o Options) (fs.FS, []drift.Problem, error) {
	if !slices.Contains(Gateways(), s.Gateway) {
		return nil, nil, fault.Bad("", "%s cannot be read while it runs: %s can", s.Gateway, strings.Join(Gateways(), ", "))
	}
	ctx, cancel := context.WithTimeout(ctx, overall)
	defer cancel()
	f := &fetch{o: o, files: memory{}}
	if f.o.Sleep == nil {
		f.o.Sleep = time.Sleep
	}
	var err error
	switch {
	case s.Gateway == "kong":
		err = f.kong(ctx, s.Address)
	case s.Gateway == "azureapim":
		err = f.azure(ctx, s.Address)
	default:
		err = f.kubernetes(ctx, s.Gateway, s.Address)
	}
	if err != nil {
		return nil, nil, err
	}
	return f.files, f.problems, nil
}

// fetch gathers files.
type fetch struct {
	o        Options
	files    memory
	problems []drift.Problem
}

func (f *fetch) problem(what string, err error) {
	f.problems = append(f.problems, drift.Problem{File: what, Text: drift.Mask(err.Error()), Partial: true})
}

// object is a value of JSON, as its gateway defines it.
type object = map[string]any

func (f *fetch) write(name string, v object) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode(v); err != nil {
		return err
	}
	f.files[name] = b.Bytes()
	return nil
}

// memory is a folder of files without folders.
type memory map[string][]byte

// Open implements fs.FS.
func (m memory) Open(name string) (fs.File, error) {
	if name == "." {
		return &folder{m: m}, nil
	}
	b, ok := m[name]
	if !ok || !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return &file{info: info{name, int64(len(b))}, Reader: bytes.NewReader(b)}, nil
}

type file struct {
	info
	*bytes.Reader
}

func (f *file) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f *file) Close() error               { return nil }
func (f *file) Size() int64                { return f.info.size }

type folder struct {
	m  memory
	at int
}

func (d *folder) Stat() (fs.FileInfo, error) { return info{".", -1}, nil }
func (d *folder) Close() error               { return nil }
func (d *folder) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: ".", Err: fs.ErrInvalid}
}

// ReadDir implements fs.ReadDirFile.
func (d *folder) ReadDir(n int) ([]fs.DirEntry, error) {
	var names []string
	for name := range d.m {
		names = append(names, name)
	}
	slices.Sort(names)
	names = names[min(d.at, len(names)):]
	if n > 0 && len(names) == 0 {
		return nil, io.EOF
	}
	if n > 0 {
		names = names[:min(n, len(names))]
	}
	d.at += len(names)
	out := make([]fs.DirEntry, len(names))
	for i, name := range names {
		out[i] = fs.FileInfoToDirEntry(info{name, int64(len(d.m[name]))})
	}
	return out, nil
}

// info describes a file, or the folder when its size is negative.
type info struct {
	name string
	size int64
}

func (i info) Name() string       { return i.name }
func (i info) Size() int64        { return i.size }
func (i info) ModTime() time.Time { return time.Time{} }
func (i info) IsDir() bool        { return i.size < 0 }
func (i info) Sys() any           { return nil }
func (i info) Mode() fs.FileMode {
	if i.IsDir() {
		return fs.ModeDir | 0o555
	}
	return 0o444
}
