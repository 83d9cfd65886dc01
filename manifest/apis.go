package manifest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

func (c *check) apis() {
	first := map[string]string{}
	upstreams := make([]string, len(c.Upstreams))
	for i, u := range c.Upstreams {
		upstreams[i] = u.Name
	}
	if len(c.APIs) == 0 {
		c.none("apis", "no API is declared: there is nothing to offer")
	}
	for i := range c.APIs {
		a, at := &c.APIs[i], pointer("apis", i)
		c.named(at, "API", a.Name, nameForm, first)
		c.words(at+"/title", a.Title, maxTitle)
		c.document(a, at)
		switch {
		case a.Path == "":
			c.bad(at, "the API needs a path, such as \"path: /%s/v1\"", a.Name)
		default:
			if err := checkPath(a.Path); err != nil {
				c.bad(at+"/path", "%s", err)
			}
		}
		if a.UpstreamPath != "" {
			if err := checkPath(a.UpstreamPath); err != nil || a.UpstreamPath == "/" {
				c.bad(at+"/upstream_path", "%q is not a path to stand before others: leave it out, or write it like /internal/v2", clip(a.UpstreamPath))
			}
		}
		for k, h := range a.Hosts {
			if err := checkHost(strings.TrimPrefix(h, "*.")); err != nil {
				c.bad(fmt.Sprintf("%s/hosts/%d", at, k), "%s", err)
			} else if slices.Contains(a.Hosts[:k], h) {
				c.bad(fmt.Sprintf("%s/hosts/%d", at, k), "%s stands twice", h)
			}
		}
		c.conditions(at+"/headers", a.Headers)
		switch {
		case a.Upstream == "":
			c.bad(at, "the API needs an upstream")
		case !slices.Contains(upstreams, a.Upstream):
			c.dangling(at+"/upstream", "upstreams", "there is no upstream %q%s", clip(a.Upstream), meant(a.Upstream, upstreams))
		}
		c.operations(i, a, at)
	}
	c.routes()
}

func (c *check) document(a *API, at string) {
	switch err := checkFileName(a.OpenAPI); {
	case a.OpenAPI == "":
		c.bad(at, "the API needs its document, such as \"openapi: openapi.yaml\"")
	case err != nil:
		c.bad(at+"/openapi", "%s", err)
	default:
		if _, ok := c.b[a.OpenAPI]; !ok {
			c.bad(at+"/openapi", "there is no file %s in the manifest's folder", clip(a.OpenAPI))
		}
	}
	if d := c.Documents[a.Name]; d != nil && a.Title == "" {
		a.Title = d.Title
	}
	if a.Title == "" {
		a.Title = a.Name
	}
}

func (c *check) operations(i int, a *API, at string) {
	doc := c.Documents[a.Name]
	first := map[string]bool{}
	for k, o := range a.Operations {
		below := fmt.Sprintf("%s/operations/%d", at, k)
		switch {
		case o.ID == "":
			c.bad(below, "the operation needs the id that the document gives it")
		case first[o.ID]:
			c.bad(below+"/id", "%s stands twice", clip(o.ID))
		case doc != nil && !doc.has(o.ID):
			c.bad(below+"/id", "the document has no operation %q%s", clip(o.ID), meant(o.ID, doc.ids()))
		}
		first[o.ID] = true
		c.webSocket(below+"/websocket", a, doc, o)
		for n, s := range o.Scopes {
			c.scope(fmt.Sprintf("%s/scopes/%d", below, n), s)
		}
		for n, kind := range o.Remove {
			if !slices.ContainsFunc(a.Policies, func(p Policy) bool { return p.Kind == kind }) {
				c.bad(fmt.Sprintf("%s/remove/%d", below, n), "the API has no policy %s", clip(kind))
			}
		}
	}
	if doc == nil || a.Name == "" {
		return
	}
	for _, op := range doc.Operations {
		if !a.Operation(op.ID).Exposed() {
			continue
		}
		open := slices.ContainsFunc(c.Policies(i, op.ID), func(l PlacedPolicy) bool { return l.Kind == "anonymous" })
		where := at
		if k := a.index(op.ID); k >= 0 {
			where = fmt.Sprintf("%s/operations/%d", at, k)
		}
		switch {
		case open && !op.Open:
			c.warn(where, "%s is open to anybody here (anonymous), but the document says that it needs authentication (%s line %d)", op.ID, a.OpenAPI, op.Line)
		case !open && op.Open:
			c.warn(where, "the document says that %s needs no authentication (%s line %d), but the manifest does not say anonymous: partners need a key for it", op.ID, a.OpenAPI, op.Line)
		}
	}
}

// Bounds of WebSockets.
const (
	maxWebSocket  = 7 * 24 * time.Hour
	maxWebSockets = 1_000_000
)

// webSocket checks that an operation's connections can become WebSockets, and sets what was left out.
func (c *check) webSocket(at string, a *API, doc *Document, o Operation) {
	w := o.WebSocket
	if w == nil {
		return
	}
	if doc != nil {
		for _, op := range doc.Operations {
			if op.ID == o.ID && op.Method != "GET" {
				c.bad(at, "a WebSocket begins with GET, and %s is called by %s", clip(o.ID), op.Method)
			}
		}
	}
	for _, u := range c.Upstreams {
		if u.Name == a.Upstream && u.Protocol != "" && u.Protocol != HTTP1 {
			c.bad(at, "a WebSocket needs an upstream of %s, and %s speaks %s", HTTP1, u.Name, clip(u.Protocol))
		}
	}
	c.span(at+"/idle", w.Idle, time.Second, maxWebSocket)
	c.span(at+"/longest", w.Longest, time.Second, maxWebSocket)
	c.count(at+"/most", w.Most, 1, maxWebSockets)
	or(&w.Idle, Duration(5*time.Minute))
	or(&w.Longest, Duration(24*time.Hour))
	or(&w.Most, 100)
}

// routes finds operations that would answer at the same method and path.
func (c *check) routes() {
	first := map[string][]int{} // method and path without names of parameters -> APIs
	for i := range c.APIs {
		a := &c.APIs[i]
		doc := c.Documents[a.Name]
		if doc == nil || checkPath(a.Path) != nil {
			continue
		}
		others := map[int]int{} // so many operations of which other API
		example := map[int]string{}
		for _, op := range doc.Operations {
			if !a.Operation(op.ID).Exposed() {
				continue
			}
			route := op.Method + " " + a.FullPath(bare(op.Path))
			for _, k := range first[route] {
				if k != i && sameHosts(a.Hosts, c.APIs[k].Hosts) && Ambiguous(a.Headers, c.APIs[k].Headers) {
					if others[k]++; others[k] == 1 {
						example[k] = op.Method + " " + a.FullPath(op.Path)
					}
				}
			}
			first[route] = append(first[route], i)
		}
		for _, k := range slices.Sorted(maps.Keys(others)) {
			more := ""
			if others[k] > 1 {
				more = fmt.Sprintf(", and so are %d others", others[k]-1)
			}
			if len(a.Headers) > 0 {
				more += ": a request could have the headers of both, so give one of them the other's as well"
			}
			c.bad(pointer("apis", i, "path"), "%s is an operation of the API %s, too%s", example[k], c.APIs[k].Name, more)
		}
	}
}

// maxConditions is how many header fields an API may ask for.
const maxConditions = 8

// conditions checks the header fields that an API is for.
func (c *check) conditions(at string, headers map[string]string) {
	if len(headers) > maxConditions {
		c.bad(at, "has more than %d header fields", maxConditions)
	}
	first := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		below, value := at+"/"+escape(name), headers[name]
		if err := checkHeader(name); err != nil {
			c.bad(below, "%s", err)
		} else if other := first[strings.ToLower(name)]; other != "" {
			c.bad(below, "%s and %s are the same field", other, name)
		}
		first[strings.ToLower(name)] = name
		if value == "" || value != strings.TrimSpace(value) || strings.IndexFunc(value, func(r rune) bool { return r < ' ' || r > '~' }) >= 0 {
			c.bad(below, "%q is not a value to compare with: use ASCII, without blanks around it", clip(value))
		}
	}
}

// Ambiguous reports whether a request could have the header fields of both, and neither asks for more than the other:
// then nobody could say which of two routes is meant.
func Ambiguous(a, b map[string]string) bool {
	if len(a) != len(b) {
		return false
	}
	for name, value := range a {
		for other, v := range b {
			if strings.EqualFold(name, other) && v != value {
				return false
			}
		}
	}
	return true
}

// bare is a path template without the names of its parameters.
func bare(template string) string {
	var b strings.Builder
	for {
		i := strings.IndexByte(template, '{')
		k := strings.IndexByte(template, '}')
		if i < 0 || k < i {
			b.WriteString(template)
			return b.String()
		}
		b.WriteString(template[:i] + "{}")
		template = template[k+1:]
	}
}

// sameHosts reports whether one request could be for both. An API for named hosts goes before one for all.
func sameHosts(a, b []string) bool {
	if len(a) == 0 || len(b) == 0 {
		return len(a) == len(b)
	}
	return slices.ContainsFunc(a, func(h string) bool { return slices.Contains(b, h) })
}
