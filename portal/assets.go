package portal

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"regexp"
	"strings"
	"time"

	"gatehouse/fault"
)

//go:embed assets/*.css assets/*.js assets/*.svg assets/*.woff2
var assetFiles embed.FS

// styles are the style sheets in the order in which they are joined into gatehouse.css.
var styles = []string{"tokens.css", "base.css", "layout.css", "parts.css", "forms.css", "pages.css", "print.css"}

// asset is one file as it is served.
type asset struct {
	kind string
	body []byte
	gzip []byte // nil where it would not be shorter
}

// assets are served under names that hold the hash of their content, so that they can be kept for ever.
type assets struct {
	byPath map[string]asset  // gatehouse.1a2b3c4d5e6f.css
	urls   map[string]string // gatehouse.css -> /assets/gatehouse.1a2b3c4d5e6f.css
}

var assetReference = regexp.MustCompile(`asset:[a-z0-9.-]+`)

func loadAssets() (assets, error) {
	a := assets{byPath: map[string]asset{}, urls: map[string]string{}}
	files, err := fs.Glob(assetFiles, "assets/*")
	if err != nil {
		return a, err
	}
	for _, f := range files {
		kind, ok := assetKinds[path.Ext(f)]
		if !ok {
			continue // style sheets are joined below, since they name the others
		}
		body, err := assetFiles.ReadFile(f)
		if err != nil {
			return a, err
		}
		a.add(path.Base(f), kind, body)
	}
	css, err := joinStyles()
	if err != nil {
		return a, err
	}
	var missing error
	css = assetReference.ReplaceAllFunc(css, func(m []byte) []byte {
		name := strings.TrimPrefix(string(m), "asset:")
		if a.urls[name] == "" {
			missing = fmt.Errorf("a style sheet names %s, which is not there", name)
		}
		return []byte(a.urls[name])
	})
	a.add("gatehouse.css", "text/css; charset=utf-8", css)
	return a, missing
}

var assetKinds = map[string]string{
	".js":    "text/javascript; charset=utf-8",
	".svg":   "image/svg+xml",
	".woff2": "font/woff2",
}

func joinStyles() ([]byte, error) {
	var all bytes.Buffer
	for _, name := range styles {
		b, err := assetFiles.ReadFile("assets/" + name)
		if err != nil {
			return nil, err
		}
		all.Write(b)
		all.WriteByte('\n')
	}
	return all.Bytes(), nil
}

func (a *assets) add(name, kind string, body []byte) {
	sum := sha256.Sum256(body)
	ext := path.Ext(name)
	hashed := strings.TrimSuffix(name, ext) + "." + hex.EncodeToString(sum[:6]) + ext
	f := asset{kind: kind, body: body}
	if ext != ".woff2" {
		var b bytes.Buffer
		z, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // the level is a constant that exists
		_, _ = z.Write(body)                                  // into memory
		_ = z.Close()
		if b.Len() < len(body) {
			f.gzip = b.Bytes()
		}
	}
	a.byPath[hashed] = f
	a.urls[name] = "/assets/" + hashed
}

// url is where an asset is served. An unknown name is an error of the template that names it.
func (a assets) url(name string) (string, error) {
	u, ok := a.urls[name]
	if !ok {
		return "", fmt.Errorf("there is no asset %q", name)
	}
	return u, nil
}

// serveAsset is GET /assets/{file}.
func serveAsset(v *visit) error {
	f, ok := v.assets.byPath[v.r.PathValue("file")]
	if !ok {
		return fault.New(fault.NotFound, "there is no such file")
	}
	h := v.w.Header()
	h.Set("Content-Type", f.kind)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Add("Vary", "Accept-Encoding")
	body := f.body
	if f.gzip != nil && strings.Contains(v.r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		body = f.gzip
	}
	v.written = true
	http.ServeContent(v.w, v.r, "", time.Time{}, bytes.NewReader(body))
	return nil
}

// favicon is GET /favicon.ico, which browsers ask for without being told.
func favicon(v *visit) error {
	v.written = true
	http.Redirect(v.w, v.r, v.assets.urls["mark.svg"], http.StatusFound)
	return nil
}
