package portal

import (
	"net/url"
	"strings"

	"gatehouse/control"
	"gatehouse/manifest"
)

// placeholderKey stands in examples where a key belongs.
const placeholderKey = "$GATEHOUSE_KEY"

// curl writes a command that calls the operation. key "" writes a shell variable.
func curl(gateway string, o control.CatalogueOperation, key string) string {
	var b strings.Builder
	b.WriteString("curl -i")
	if o.Method != "GET" {
		b.WriteString(" -X " + o.Method)
	}
	b.WriteString(" " + quote(gateway+examplePath(o.FullPath, o.Parameters)+exampleQuery(o.Parameters)))
	if !o.Anonymous {
		b.WriteString(" \\\n  -H " + keyHeader(key))
	}
	if o.Request != nil && o.Request.MediaType != "" {
		b.WriteString(" \\\n  -H " + quote("Content-Type: "+o.Request.MediaType))
		switch {
		case o.Request.Example != "":
			b.WriteString(" \\\n  --data " + quote(o.Request.Example))
		default:
			b.WriteString(" \\\n  --data-binary @FILE") // as it is: --data would take line ends out of a picture
		}
	}
	return b.String()
}

func keyHeader(key string) string {
	if key == "" {
		return `"X-API-Key: ` + placeholderKey + `"` // double quotes: the shell puts the key in
	}
	return quote("X-API-Key: " + key)
}

// examplePath fills the path's parameters with their examples.
func examplePath(path string, ps []manifest.Parameter) string {
	for _, p := range ps {
		if p.In == "path" && p.Example != "" {
			path = strings.ReplaceAll(path, "{"+p.Name+"}", url.PathEscape(p.Example))
		}
	}
	return path
}

func exampleQuery(ps []manifest.Parameter) string {
	q := url.Values{}
	for _, p := range ps {
		if p.In == "query" && p.Required {
			q.Set(p.Name, p.Example)
		}
	}
	if len(q) == 0 {
		return ""
	}
	return "?" + q.Encode()
}

// quote makes one word for a POSIX shell, whatever is in it.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
