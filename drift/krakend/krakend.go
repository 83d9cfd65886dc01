// Package krakend reads configurations of KrakenD: what it enforces on each endpoint. Nothing about authentication is inherited there, so
// that an endpoint without a validator of its own is open.
package krakend

import (
	"io/fs"
	"path"
	"regexp"
	"strings"

	"gatehouse/drift"
	"gatehouse/drift/source"
)

// Read reads the rendered configuration files of a folder. Templates are not rendered: they are gaps.
func Read(fsys fs.FS, o drift.Options) (*drift.Environment, []drift.Problem) {
	f := source.Open(fsys)
	r := &reader{Folder: f, env: drift.NewEnvironment("krakend", o), opt: o}
	for _, name := range f.Names() {
		switch strings.ToLower(path.Ext(name)) {
		case ".json", ".yaml", ".yml":
			r.file(name)
		case ".tmpl", ".tpl":
			if b, ok := f.Text(name); ok {
				r.template(name, string(b))
			}
		case ".toml":
			if strings.Contains(strings.ToLower(path.Base(name)), "krakend") {
				f.Problem(drift.Problem{File: name, Text: "TOML is not read; write the configuration as JSON or YAML", Partial: true})
			} else {
				f.Skip()
			}
		default:
			f.Skip()
		}
	}
	return r.env, f.Finish(r.env)
}

type reader struct {
	*source.Folder
	env *drift.Environment
	opt drift.Options

	service *source.Node // of the configuration that is read
	extra   map[string]*source.Node
	configs int
}

// structural finds a template's action where JSON or YAML has none, which is what makes a file not parse.
var structural = regexp.MustCompile(`(?m)^\s*\{\{|[:,\[]\s*\{\{`)

func (r *reader) file(name string) {
	b, ok := r.Text(name)
	if !ok {
		return
	}
	if text := string(b); structural.MatchString(text) {
		if _, _, err := source.Parse(name, b); err != nil {
			r.template(name, text)
			return
		}
	}
	for _, doc := range r.Parsed(name, b) {
		if Is(doc) {
			r.config(doc)
		} else {
			r.Skip()
		}
	}
}

// template notes a file that KrakenD renders with settings before it reads it.
func (r *reader) template(name, text string) {
	if !strings.Contains(text, "endpoint") && !strings.Contains(text, "extra_config") && !strings.Contains(text, "backend") && !strings.Contains(text, "{{") {
		r.Skip()
		return
	}
	r.env.Gaps = append(r.env.Gaps, drift.Gap{What: "template", Name: name, Origin: drift.Origin{File: name}})
	r.Problem(drift.Problem{File: name, Text: "is a template that is not rendered; read what KrakenD writes to FC_OUT", Partial: true})
}

// Is tells a configuration of KrakenD from other documents.
func Is(doc *source.Node) bool {
	e := doc.Get("endpoints")
	if e == nil || e.Kind != source.List || doc.Has("apiVersion") || doc.Has("openapi") || doc.Has("swagger") {
		return false
	}
	if strings.Contains(doc.Get("$schema").Str(), "krakend") || doc.Has("extra_config") {
		return true
	}
	for _, n := range e.Items() {
		if n.Has("endpoint") && (n.Has("backend") || n.Has("extra_config")) {
			return true
		}
	}
	return len(e.Items()) == 0 && doc.Has("version")
}

// aliases are the names that components had before version 2, without the host's dots, which were written in two ways.
var aliases = map[string]string{
	"devopsfaith/krakend/transport/http/server/handler":  "plugin/http-server",
	"devopsfaith/krakend/transport/http/client/executor": "plugin/http-client",
	"devopsfaith/krakend/proxy/plugin":                   "plugin/req-resp-modifier",
	"devopsfaith/krakend/proxy":                          "proxy",
	"devopsfaith/krakend/http":                           "backend/http",
	"luraproject/lura/router/gin":                        "router",
	"devopsfaith/krakend-ratelimit/juju/router":          "qos/ratelimit/router",
	"devopsfaith/krakend-ratelimit/juju/proxy":           "qos/ratelimit/proxy",
	"devopsfaith/krakend-httpcache":                      "qos/http-cache",
	"devopsfaith/krakend-circuitbreaker/gobreaker":       "qos/circuit-breaker",
	"devopsfaith/krakend-oauth2-clientcredentials":       "auth/client-credentials",
	"devopsfaith/krakend-jose/validator":                 "auth/validator",
	"devopsfaith/krakend-jose/signer":                    "auth/signer",
	"devopsfaith/bloomfilter":                            "auth/revoker",
	"devopsfaith/krakend-botdetector":                    "security/bot-detector",
	"devopsfaith/krakend-httpsecure":                     "security/http",
	"devopsfaith/krakend-cors":                           "security/cors",
	"devopsfaith/krakend-cel":                            "validation/cel",
	"devopsfaith/krakend-jsonschema":                     "validation/json-schema",
	"devopsfaith/krakend-lua/router":                     "modifier/lua-endpoint",
	"devopsfaith/krakend-lua/proxy":                      "modifier/lua-proxy",
	"devopsfaith/krakend-lua/proxy/backend":              "modifier/lua-backend",
	"devopsfaith/krakend-martian":                        "modifier/martian",
	"devopsfaith/krakend-gelf":                           "telemetry/gelf",
	"devopsfaith/krakend-gologging":                      "telemetry/logging",
	"devopsfaith/krakend-logstash":                       "telemetry/logstash",
	"devopsfaith/krakend-metrics":                        "telemetry/metrics",
	"letgoapp/krakend-influx":                            "telemetry/influx",
	"devopsfaith/krakend-opencensus":                     "telemetry/opencensus",
}

// canonical is the name of a component as it is written today.
func canonical(name string) string {
	for _, host := range []string{"github.com/", "github_com/"} {
		if rest, ok := strings.CutPrefix(name, host); ok {
			rest = strings.Replace(rest, "/v2/", "/", 1)
			if now, ok := aliases[rest]; ok {
				return now
			}
		}
	}
	return name
}

// components are the parts of an extra_config under their names of today.
func components(n *source.Node) map[string]*source.Node {
	out := map[string]*source.Node{}
	n.Get("extra_config").Each(func(k string, v *source.Node) {
		if !strings.HasPrefix(k, "@") && v.Kind != source.Null {
			out[canonical(k)] = v
		}
	})
	return out
}

func (r *reader) config(doc *source.Node) {
	if r.configs++; r.configs > 1 {
		r.Doubt(doc.Origin("service"), "the folder holds several configurations; KrakenD runs one, and all of them are read")
	}
	r.service, r.extra = doc, components(doc)
	for _, n := range doc.Get("endpoints").Items() {
		if n.Get("endpoint").Str() == "" {
			r.Problem(drift.Problem{File: n.File, Line: n.Line, Pointer: n.Pointer(), Text: "an endpoint has no path", Partial: true})
			continue
		}
		r.endpoint(n)
	}
	r.debugging()
	r.certificates()
	r.leftovers()
}

func (r *reader) endpoint(n *source.Node) {
	method, raw := n.Get("method").Str(), n.Get("endpoint").Str()
	if method == "" {
		method = "GET"
	}
	scope := "endpoint " + strings.ToUpper(method) + " " + drift.Mask(raw)
	if cause, is := unrendered(raw + method); is {
		r.Problem(drift.Problem{File: n.File, Line: n.Line, Pointer: n.Pointer(), Text: "the endpoint's path or method is a " + cause, Partial: true})
		return
	}
	key, match := drift.NewKey(method, drift.Template, raw)
	if base, ok := strings.CutSuffix(raw, "/*"); ok {
		key, match = drift.NewKey(method, drift.Prefix, base)
	}
	e := &endpoint{reader: r, node: n, extra: components(n), scope: scope}
	r.env.Operations = append(r.env.Operations, drift.Operation{Key: key, Match: match, Name: raw, API: drift.Mask(r.service.Get("name").Str()), Origin: n.Origin(scope),
		Effective: []drift.Effective{{Policy: e.policy()}}})
}

// unrendered reports a value that a template would have filled in.
func unrendered(s string) (cause string, is bool) {
	if strings.Contains(s, "{{") {
		return "template that is not rendered", true
	}
	return "", false
}
