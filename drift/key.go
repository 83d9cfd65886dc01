package drift

import (
	"regexp"
	"strings"

	"gatehouse/fault"
)

// Key names an operation over environments: a method and a canonical path, never a name or a host.
type Key struct {
	Method string // upper case; "*" for any
	Path   string // canonical: parameters are {}, a prefix ends in /**, a pattern that could not be converted starts with ~
}

func (k Key) String() string { return k.Method + " " + k.Path }

// MarshalText writes "GET /items/{}".
func (k Key) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (k *Key) UnmarshalText(b []byte) error {
	m, p, ok := strings.Cut(string(b), " ")
	if !ok || m == "" || p == "" {
		return fault.Bad("", "%q is not a method and a path", b)
	}
	k.Method, k.Path = m, p
	return nil
}

// MatchKind says how a path is matched.
type MatchKind string

// The kinds of match.
const (
	Exact    MatchKind = "exact"
	Template MatchKind = "template"
	Prefix   MatchKind = "prefix"
	Regex    MatchKind = "regex" // kept raw
)

// Match is what an operation answers to, beside its key.
type Match struct {
	Kind     MatchKind `json:"kind"`
	Path     string    `json:"path"` // as the source writes it
	Open     bool      `json:"open_ended,omitempty"`
	Slash    bool      `json:"trailing_slash,omitempty"`
	Hosts    []string  `json:"hosts,omitempty"`
	Headers  []string  `json:"headers,omitempty"` // name=value, name for any value
	Query    []string  `json:"query,omitempty"`
	Priority int       `json:"priority,omitempty"`
}

// NewKey makes the key and match for a method and a path of the kind. A template's parameters may be written {name}, :name or
// <name>; a regex is converted into a template or prefix where that is certain, and else kept raw.
func NewKey(method string, kind MatchKind, path string) (Key, Match) {
	m := Match{Kind: kind, Path: path}
	method = strings.ToUpper(strings.TrimSpace(method))
	if method == "" || method == "ANY" || method == "X-AMAZON-APIGATEWAY-ANY-METHOD" {
		method = "*"
	}
	if kind == Regex {
		p, k, open, ok := FromRegex(path)
		if !ok {
			return Key{method, "~" + path}, m
		}
		path, m.Kind, m.Open = p, k, open
	}
	p := canonical(path, m.Kind == Template)
	m.Slash = len(path) > 1 && strings.HasSuffix(path, "/")
	switch {
	case m.Kind == Prefix && p == "/":
		p = "/**"
	case m.Kind == Prefix:
		p += "/**"
	case m.Kind == Template && strings.HasSuffix(p, "/**"):
		m.Kind = Prefix
	case m.Kind == Template && !strings.Contains(p, "{}"):
		m.Kind = Exact
	}
	return Key{method, p}, m
}

// Join puts a base path before a path.
func Join(base, path string) string {
	base = "/" + strings.Trim(base, "/")
	if base == "/" {
		base = ""
	}
	if path == "" || path == "/" {
		if base == "" {
			return "/"
		}
		return base + path
	}
	return base + "/" + strings.TrimLeft(path, "/")
}

func canonical(path string, template bool) string {
	if i := strings.IndexAny(path, "?#"); i >= 0 {
		path = path[:i] // APIM templates may carry required query parameters
	}
	segments := strings.Split(strings.Trim(path, "/"), "/")
	out := make([]string, 0, len(segments))
	for i, s := range segments {
		last := i == len(segments)-1
		switch {
		case s == "" || s == ".":
			continue
		case !template:
			out = append(out, s)
		case last && (s == "*" || s == "**" || s == "{*}" || strings.HasPrefix(s, "{*") || strings.HasSuffix(s, "+}") || strings.HasSuffix(s, "...}") || strings.HasSuffix(s, "**}")):
			out = append(out, "**")
		case strings.HasPrefix(s, ":") && len(s) > 1 || s == "*":
			out = append(out, "{}")
		default:
			out = append(out, anonymise(s))
		}
	}
	return "/" + strings.Join(out, "/")
}

var parameter = regexp.MustCompile(`\{[^{}]*\}`)

func anonymise(segment string) string { return parameter.ReplaceAllString(segment, "{}") }

var (
	group  = regexp.MustCompile(`\((?:\?<[A-Za-z0-9_]+>|\?P<[A-Za-z0-9_]+>|\?:)?(\[\^[^\]]*\]\+|\[\^[^\]]*\]\*|\\[wd]\+|\[[A-Za-z0-9_\\.-]+\]\+|\.\+|\.\*)\)`)
	bare   = regexp.MustCompile(`(\[\^[^\]]*\]\+|\[[A-Za-z0-9_\\.-]+\]\+|\\[wd]\+)`)
	simple = regexp.MustCompile(`^[A-Za-z0-9_/.~%{}:@!$&',;=+-]*$`)
)

// FromRegex converts a pattern over paths into a template or prefix. open says that the pattern has no end anchor, so that more
// than the template matches. ok is false when it cannot be converted with certainty.
func FromRegex(re string) (path string, kind MatchKind, open, ok bool) {
	s := strings.TrimPrefix(re, "^")
	s = strings.TrimSuffix(s, "(?:/)?$")
	switch {
	case strings.HasSuffix(s, "\\$"):
	case strings.HasSuffix(s, "$"):
		s = strings.TrimSuffix(s, "$")
	default:
		open = true
	}
	s = strings.TrimSuffix(s, "/?")
	if !open && strings.HasSuffix(s, "/.*") || strings.HasSuffix(s, "(/.*)?") || strings.HasSuffix(s, "(?:/.*)?") || strings.HasSuffix(s, "/.*") {
		s = strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(s, "(/.*)?"), "(?:/.*)?"), "/.*")
		open = true
	}
	if strings.HasSuffix(s, "(.*)") || strings.HasSuffix(s, ".*") {
		s = strings.TrimSuffix(strings.TrimSuffix(s, "(.*)"), ".*")
		open = true
	}
	s = group.ReplaceAllString(s, "{}")
	s = bare.ReplaceAllString(s, "{}")
	s = strings.NewReplacer(`\.`, ".", `\-`, "-", `\/`, "/", `\_`, "_", `\~`, "~").Replace(s)
	if !simple.MatchString(s) || !strings.HasPrefix(s, "/") && s != "" || strings.ContainsAny(strings.ReplaceAll(s, "{}", ""), "{}+") || strings.Contains(strings.ReplaceAll(s, "{}", ""), "..") {
		return "", "", false, false
	}
	switch {
	case open && !strings.Contains(s, "{}"):
		return s, Prefix, true, true
	case strings.Contains(s, "{}"):
		return s, Template, open, true
	}
	return s, Exact, false, true
}

// serves reports whether an operation with the key and match answers a request shaped like want, which names one operation.
func serves(k Key, m Match, want Key) bool {
	if k.Method != "*" && k.Method != want.Method {
		return false
	}
	if k.Path == want.Path {
		return true
	}
	if strings.HasPrefix(k.Path, "~") {
		return rawServes(m.Path, want.Path)
	}
	base, prefix := strings.CutSuffix(k.Path, "/**")
	if !prefix && m.Open {
		base, prefix = k.Path, true
	}
	ks, ws := segments(base), segments(want.Path)
	if family := strings.HasSuffix(want.Path, "/**"); family && !prefix || want.Path[0] == '~' {
		return false // a family of paths is served only by a wider one
	}
	if prefix && len(ws) > len(ks) {
		ws = ws[:len(ks)]
	}
	if len(ks) != len(ws) {
		return false
	}
	for i, s := range ks {
		if s != ws[i] && s != "{}" && !(strings.Contains(s, "{}") && partServes(s, ws[i])) {
			return false
		}
	}
	return true
}

func segments(p string) []string {
	p = strings.Trim(p, "/")
	if p == "" {
		return nil
	}
	return strings.Split(p, "/")
}

func partServes(pattern, s string) bool {
	pre, rest, _ := strings.Cut(pattern, "{}")
	if i := strings.LastIndex(rest, "{}"); i >= 0 {
		rest = rest[i+2:]
	}
	return len(s) >= len(pre)+len(rest) && strings.HasPrefix(s, pre) && strings.HasSuffix(s, rest)
}

// rawServes tries a raw pattern on an example of the wanted path. Patterns come from configurations, and Go's regular
// expressions run in linear time whatever they hold.
func rawServes(pattern, want string) bool {
	if len(pattern) > 1<<10 {
		return false
	}
	re, err := regexp.Compile(strings.TrimPrefix(pattern, "~"))
	return err == nil && re.MatchString(strings.ReplaceAll(want, "{}", "1"))
}

// narrower orders matches that serve the same request: the one a gateway would pick first. It returns true when a is picked before b.
func narrower(a, b *Operation) bool {
	if (a.Key.Method == "*") != (b.Key.Method == "*") && a.Key.Path == b.Key.Path {
		return b.Key.Method == "*"
	}
	if a.Match.Priority != b.Match.Priority {
		return a.Match.Priority > b.Match.Priority
	}
	ra, rb := matchRank(a.Match.Kind), matchRank(b.Match.Kind)
	if ra != rb {
		return ra < rb
	}
	if len(a.Key.Path) != len(b.Key.Path) {
		return len(a.Key.Path) > len(b.Key.Path)
	}
	return a.Key.Path < b.Key.Path
}

func matchRank(k MatchKind) int {
	switch k {
	case Exact:
		return 0
	case Template:
		return 1
	case Regex:
		return 2
	}
	return 3
}
