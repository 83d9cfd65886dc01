package kong

import (
	"strings"

	"gatehouse/drift"
)

// conf is kong.conf, or what of it stands in variables KONG_…: what holds for the whole node.
type conf struct {
	file   string
	values map[string]string
	lines  map[string]int
}

func (r *reader) readConf(name string) {
	b, ok := r.Text(name)
	if !ok {
		return
	}
	if r.conf == nil {
		r.conf = &conf{file: name, values: map[string]string{}, lines: map[string]int{}}
	}
	for i, line := range strings.Split(string(b), "\n") {
		if j := strings.IndexByte(line, '#'); j >= 0 {
			line = line[:j]
		}
		k, v, ok := strings.Cut(line, "=")
		if k = strings.TrimSpace(k); ok && k != "" {
			r.conf.values[k], r.conf.lines[k] = strings.TrimSpace(v), i+1
		}
	}
}

// node is a leaf of kong.conf: unresolved when there is no kong.conf, the default when it does not say.
func node[T any](r *reader, key string, def T, read func(string) (T, bool)) drift.Leaf[T] {
	if r.conf == nil {
		return drift.Unknown[T](fromConf, drift.Origin{Scope: "kong.conf"})
	}
	s, ok := r.conf.values[key]
	o := drift.Origin{File: r.conf.file, Line: r.conf.lines[key], Pointer: key, Scope: "kong.conf"}
	if !ok {
		return drift.ByDefault(def)
	}
	v, ok := read(s)
	if !ok {
		return drift.Unknown[T]("cannot be read: "+key, o)
	}
	return drift.From(v, o)
}

func text(s string) (string, bool) { return s, true }

func onOff(s string) (bool, bool) {
	return s == "on" || s == "true", s == "on" || s == "true" || s == "off" || s == "false"
}

// lowest is the lowest of the versions of TLS that nginx is told to speak.
func lowest(s string) (string, bool) {
	min := ""
	for _, w := range strings.Fields(s) {
		v, err := drift.TLSVersion(w)
		if err != nil {
			return "", false
		}
		if min == "" || drift.CompareTLS(v, min) == drift.Weaker {
			min = v
		}
	}
	return min, min != ""
}

func highest(s string) (string, bool) {
	max := ""
	for _, w := range strings.Fields(s) {
		v, err := drift.TLSVersion(w)
		if err != nil {
			return "", false
		}
		if max == "" || drift.CompareTLS(v, max) == drift.Stronger {
			max = v
		}
	}
	return max, max != ""
}

func colons(s string) ([]string, bool) { return drift.Sorted(strings.Split(s, ":")), true }

// size reads nginx's sizes: 8k, 10m, 0 for no bound.
func size(s string) (int64, bool) {
	s = strings.ToLower(strings.TrimSpace(s))
	factor := int64(1)
	switch {
	case strings.HasSuffix(s, "k"):
		s, factor = strings.TrimSuffix(s, "k"), 1<<10
	case strings.HasSuffix(s, "m"):
		s, factor = strings.TrimSuffix(s, "m"), 1<<20
	case strings.HasSuffix(s, "g"):
		s, factor = strings.TrimSuffix(s, "g"), 1<<30
	}
	n := int64(0)
	for _, c := range s {
		if c < '0' || c > '9' || n > 1<<40 {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n * factor, s != ""
}

// tlsOfNode is the face towards callers as far as the node decides it.
func (r *reader) tlsOfNode(t *drift.ServerTLS) {
	suite := node(r, "ssl_cipher_suite", "intermediate", text)
	min, max := map[string]string{"modern": "1.3", "intermediate": "1.2", "old": "1.0", "fips": "1.2"}[suite.Value], "1.3"
	if suite.Value == "custom" || min == "" {
		min = "1.2"
	}
	t.Min, t.Max = node(r, "ssl_protocols", min, lowest), node(r, "ssl_protocols", max, highest)
	if suite.State == drift.Inherited && suite.Value != "custom" {
		t.Min = drift.From(min, suite.Origin) // the suite overrules ssl_protocols
	}
	t.Ciphers = node(r, "ssl_ciphers", []string(nil), colons)
	t.Curves = node(r, "nginx_http_ssl_ecdh_curve", []string(nil), colons)
	t.ALPN = node(r, "proxy_listen", []string{"h2", "http/1.1"}, func(s string) ([]string, bool) {
		if strings.Contains(s, "http2") {
			return []string{"h2", "http/1.1"}, true
		}
		return []string{"http/1.1"}, true
	})
}
