package manifest

import (
	"bytes"
	"compress/flate"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"unicode/utf8"
)

// Bounds of a manifest.
const (
	MaxBundle = 16 << 20 // bytes of all its files together: 10,000 operations have about 8 MB
	maxFiles  = 1000
	maxName   = 200 // bytes of a file's name with its folders
)

// Bundle is the files of a manifest's folder by their slash-separated path: what is published, digested and stored.
type Bundle map[string][]byte

// magic begins what Encode writes, so that a file that is none is told from a broken one.
const magic = "gatehouse bundle 1\n"

// Encode writes the bundle in one canonical form, compressed. Two bundles are equal when the forms inside are: the
// compression may change with the library that does it.
func (b Bundle) Encode() []byte {
	var out bytes.Buffer
	out.WriteString(magic)
	w, err := flate.NewWriter(&out, flate.DefaultCompression)
	if err == nil {
		_, err = w.Write(b.canonical())
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil { // a buffer takes everything
		panic(err)
	}
	return out.Bytes()
}

// canonical is, in the order of names: length and bytes of the name, length and bytes of the content.
func (b Bundle) canonical() []byte {
	var out []byte
	for _, name := range slices.Sorted(maps.Keys(b)) {
		out = binary.AppendUvarint(out, uint64(len(name)))
		out = append(out, name...)
		out = binary.AppendUvarint(out, uint64(len(b[name])))
		out = append(out, b[name]...)
	}
	return out
}

// Decode reads what Encode wrote and refuses everything else: other orders, names that leave the folder, bytes left over.
func Decode(data []byte) (Bundle, error) {
	rest, ok := bytes.CutPrefix(data, []byte(magic))
	if !ok {
		return nil, fmt.Errorf("read bundle: it does not begin with %q", strings.TrimSpace(magic))
	}
	in := bytes.NewReader(rest)
	const most = MaxBundle + maxFiles*(maxName+2*binary.MaxVarintLen64)
	plain, err := io.ReadAll(io.LimitReader(flate.NewReader(in), most+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read bundle: %w", err)
	case len(plain) > most:
		return nil, fmt.Errorf("read bundle: it is larger than %d bytes", MaxBundle)
	case in.Len() > 0:
		return nil, fmt.Errorf("read bundle: %d bytes follow its end", in.Len())
	}
	b, last := Bundle{}, ""
	for at := plain; len(at) > 0; {
		var name, content []byte
		if name, at, ok = cut(at); !ok {
			return nil, fmt.Errorf("read bundle: it is cut off")
		}
		if content, at, ok = cut(at); !ok {
			return nil, fmt.Errorf("read bundle: it is cut off")
		}
		if err := checkFileName(string(name)); err != nil {
			return nil, fmt.Errorf("read bundle: %w", err)
		}
		if string(name) <= last {
			return nil, fmt.Errorf("read bundle: %q is not in its place", name)
		}
		last = string(name)
		b[last] = content
	}
	if !bytes.Equal(plain, b.canonical()) { // lengths written with more bytes than they need
		return nil, fmt.Errorf("read bundle: it is not in its canonical form")
	}
	if err := b.check(); err != nil {
		return nil, fmt.Errorf("read bundle: %w", err)
	}
	return b, nil
}

// cut takes a length and so many bytes off the front.
func cut(b []byte) (head, rest []byte, ok bool) {
	n, k := binary.Uvarint(b)
	if k <= 0 || n > uint64(len(b)-k) {
		return nil, nil, false
	}
	end := k + int(n)
	return b[k:end:end], b[end:], true
}

// Digest is "sha256:" and the hexadecimal SHA-256 over names and contents, whatever the encoding.
func (b Bundle) Digest() string {
	sum := sha256.Sum256(b.canonical())
	return "sha256:" + hex.EncodeToString(sum[:])
}

// check reports whether the bundle keeps the bounds.
func (b Bundle) check() error {
	if len(b) > maxFiles {
		return fmt.Errorf("the manifest has %d files, more than %d", len(b), maxFiles)
	}
	size := 0
	for name, content := range b {
		if err := checkFileName(name); err != nil {
			return err
		}
		if size += len(content); size > MaxBundle {
			return fmt.Errorf("the manifest's files are larger than %d bytes together", MaxBundle)
		}
	}
	return nil
}

// checkFileName reports whether a name stays in the folder and means one file on every system.
func checkFileName(name string) error {
	switch {
	case name == "" || len(name) > maxName:
		return fmt.Errorf("%q is not a file name: it has %d bytes, 1 to %d may be", clip(name), len(name), maxName)
	case !utf8.ValidString(name):
		return fmt.Errorf("%q is not a file name: it is not UTF-8", clip(name))
	case strings.ContainsAny(name, "\\:") || strings.IndexFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }) >= 0:
		return fmt.Errorf("%q is not a file name: no backslashes, colons or control characters", clip(name))
	case path.Clean(name) != name || path.IsAbs(name) || name == "." || name == ".." || strings.HasPrefix(name, "../"):
		return fmt.Errorf("%q is not a file of the manifest's folder: write the path from that folder down, with slashes and without dots", clip(name))
	}
	return nil
}

// isManifestName reports whether a file can hold a part of the manifest: YAML, in the folder itself.
func isManifestName(name string) bool {
	ext := path.Ext(name)
	return !strings.Contains(name, "/") && !strings.HasPrefix(name, ".") && (ext == ".yaml" || ext == ".yml")
}
