package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"gatehouse/fault"
	"gatehouse/secret"
)

// secretPrefix begins the environment variables that set secrets: GATEHOUSE_SECRET_EID_GATEWAY sets eid-gateway.
const secretPrefix = "GATEHOUSE_SECRET_"

// ours are variables that begin like settings and belong to the command line or the tests.
var ours = []string{"GATEHOUSE_URL", "GATEHOUSE_TOKEN", "GATEHOUSE_LOGIN_FILE", "GATEHOUSE_CONFIG", "GATEHOUSE_VECTORS", "GATEHOUSE_DRIFT"}

var secretName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,62}$`)

// Load reads the defaults, then the file ("" is none), then the environment, whose entries read NAME=value. Everything
// that is wrong is in one fault, each with its place. It reads the file and those that secrets name, and nothing else.
func Load(file string, environ []string) (Config, error) {
	c := Default()
	var wrong []fault.Field
	if file != "" {
		data, err := os.ReadFile(file)
		if err != nil {
			return c, fault.New(fault.Invalid, "the configuration %s cannot be read: %v", file, errors.Unwrap(err))
		}
		wrong = append(wrong, c.file(file, data)...)
	}
	wrong = append(wrong, c.environment(environ)...)
	wrong = append(wrong, c.check()...)
	if wrong != nil {
		f := fault.BadFields(wrong)
		f.Public = "the start-up configuration is not valid"
		return c, f
	}
	return c, nil
}

// file takes the settings of a YAML file.
func (c *Config) file(file string, data []byte) []fault.Field {
	bad := func(line int, format string, args ...any) []fault.Field {
		return []fault.Field{{Pointer: fmt.Sprintf("%s:%d", file, line), Text: fmt.Sprintf(format, args...)}}
	}
	if len(strings.TrimSpace(string(data))) == 0 {
		return nil
	}
	var doc yaml.Node
	if err := yaml.Load(data, &doc); err != nil {
		line, text := 1, err.Error()
		if e, ok := errors.AsType[*yaml.LoadError](err); ok {
			line, text = max(e.Mark.Line, 1), e.Message
		}
		return bad(line, "is not one YAML document: %s", text)
	}
	if len(doc.Content) == 0 {
		return nil
	}
	known := map[string]Setting{}
	for _, s := range Settings() {
		known[s.Name] = s
	}
	var wrong []fault.Field
	seen := map[string]bool{}
	var walk func(n *yaml.Node, at string)
	walk = func(n *yaml.Node, at string) {
		s, isSetting := known[at]
		switch {
		case seen[at]:
			wrong = append(wrong, bad(n.Line, "/%s is set twice", slashed(at))...)
			return
		case at == "secrets":
			wrong = append(wrong, c.secrets(n, filepath.Dir(file), bad)...)
		case at == "sso":
			wrong = append(wrong, c.providers(n, filepath.Dir(file), bad)...)
		case isSetting && n.Kind == yaml.ScalarNode:
			if err := s.set(c, n.Value); err != nil {
				wrong = append(wrong, bad(n.Line, "/%s: %v", slashed(at), err)...)
			}
		case isSetting:
			wrong = append(wrong, bad(n.Line, "/%s: must be a single value", slashed(at))...)
		case n.Kind == yaml.MappingNode && (at == "" || slices.ContainsFunc(Settings(), func(s Setting) bool { return strings.HasPrefix(s.Name, at+".") })):
			for i := 0; i+1 < len(n.Content); i += 2 {
				name := n.Content[i].Value
				if at != "" {
					name = at + "." + name
				}
				walk(n.Content[i+1], name)
			}
		default:
			wrong = append(wrong, bad(n.Line, "/%s: there is no such setting", slashed(at))...)
		}
		seen[at] = true
	}
	walk(doc.Content[0], "")
	return wrong
}

func slashed(name string) string { return strings.ReplaceAll(name, ".", "/") }

// secrets takes a mapping of names to {value: …}, {env: NAME} or {file: PATH}.
func (c *Config) secrets(n *yaml.Node, dir string, bad func(int, string, ...any) []fault.Field) (wrong []fault.Field) {
	if n.Kind != yaml.MappingNode {
		return bad(n.Line, "/secrets: must map names to {value: …}, {env: …} or {file: …}")
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, from := n.Content[i].Value, n.Content[i+1]
		at := "/secrets/" + name
		if !secretName.MatchString(name) {
			wrong = append(wrong, bad(n.Content[i].Line, "%s: a secret's name has lower case letters, digits and hyphens", at)...)
			continue
		}
		if from.Kind != yaml.MappingNode || len(from.Content) != 2 {
			wrong = append(wrong, bad(from.Line, "%s: must be one of {value: …}, {env: …} and {file: …}", at)...)
			continue
		}
		value, err := resolve(from.Content[0].Value, from.Content[1].Value, dir)
		if err != nil {
			wrong = append(wrong, bad(from.Line, "%s: %v", at, err)...)
			continue
		}
		c.Secrets[name] = value
	}
	return wrong
}

func resolve(how, what, dir string) (secret.Value, error) {
	v := what
	switch how {
	case "value":
	case "env":
		v = os.Getenv(what)
	case "file":
		if !filepath.IsAbs(what) {
			what = filepath.Join(dir, what)
		}
		b, err := os.ReadFile(what)
		if err != nil {
			return secret.Value{}, fmt.Errorf("the file of the secret cannot be read: %v", err)
		}
		v = strings.TrimRight(string(b), "\r\n")
	default:
		return secret.Value{}, fmt.Errorf("%q is not one of value, env and file", how)
	}
	if v == "" {
		return secret.Value{}, fmt.Errorf("is empty")
	}
	return secret.New(v), nil
}

// environment takes the settings of environment variables. One that begins like ours and is not known is wrong: it is a
// setting that somebody believes to be in force.
func (c *Config) environment(environ []string) (wrong []fault.Field) {
	known := map[string]Setting{}
	for _, s := range Settings() {
		known[s.Variable()] = s
	}
	for _, e := range environ {
		name, value, _ := strings.Cut(e, "=")
		if !strings.HasPrefix(name, "GATEHOUSE_") || slices.Contains(ours, name) || value == "" {
			continue // an empty variable is one that is not set: files that start containers are full of them
		}
		if rest, ok := strings.CutPrefix(name, secretPrefix); ok {
			if s := strings.ToLower(strings.ReplaceAll(rest, "_", "-")); secretName.MatchString(s) {
				c.Secrets[s] = secret.New(value)
			} else {
				wrong = append(wrong, fault.Field{Pointer: name, Text: "is no name of a secret"})
			}
			continue
		}
		s, ok := known[name]
		if !ok {
			wrong = append(wrong, fault.Field{Pointer: name, Text: "there is no such setting: 'gatehouse serve --help' lists them"})
			continue
		}
		if err := s.set(c, value); err != nil {
			wrong = append(wrong, fault.Field{Pointer: name, Text: err.Error()})
		}
	}
	return wrong
}

// check says what is wrong between settings.
func (c *Config) check() (wrong []fault.Field) {
	for name, l := range map[string]Listener{"control": c.Control, "gateway": c.Gateway} {
		if (l.Certificate == "") != (l.Key == "") {
			wrong = append(wrong, fault.Field{Pointer: "/" + name + "/tls", Text: "certificate and key belong together: set both or neither"})
		}
		verified := l.Clients == "verify" || l.Clients == "require"
		switch {
		case l.Clients != "" && l.Clients != "none" && !l.TLS():
			wrong = append(wrong, fault.Field{Pointer: "/" + name + "/tls/clients", Text: "needs a certificate of the listener's own: without one it does not speak TLS"})
		case verified && l.Authorities == "":
			wrong = append(wrong, fault.Field{Pointer: "/" + name + "/tls/client-authorities", Text: "is missing: clients' certificates are to be verified"})
		case !verified && l.Authorities != "":
			wrong = append(wrong, fault.Field{Pointer: "/" + name + "/tls/clients", Text: "must be verify or require where client-authorities is set"})
		}
	}
	switch {
	case c.H2C && c.Codec != "http1":
		wrong = append(wrong, fault.Field{Pointer: "/gateway/h2c", Text: "needs the codec http1: the other speaks HTTP/1.1 alone"})
	case c.H2C && c.Gateway.TLS():
		wrong = append(wrong, fault.Field{Pointer: "/gateway/h2c", Text: "is for gateways without TLS: over TLS, clients choose HTTP/2 in the handshake"})
	}
	if c.HTTP3 && !c.Gateway.TLS() {
		wrong = append(wrong, fault.Field{Pointer: "/gateway/http3", Text: "needs TLS: set gateway.tls.certificate and gateway.tls.key, or gateway.tls.folder"})
	}
	if !c.Feed.Database.Empty() && c.Database.Empty() {
		wrong = append(wrong, fault.Field{Pointer: "/feed/database", Text: "is a standby of the database of the setting database, which is not set: SQLite has none"})
	}
	if c.SMTP.Host != "" && c.SMTP.From == "" {
		wrong = append(wrong, fault.Field{Pointer: "/smtp/from", Text: "is missing: letters need a sender"})
	}
	if c.Data == "" {
		wrong = append(wrong, fault.Field{Pointer: "/data", Text: "is empty"})
	}
	slices.SortFunc(wrong, func(a, b fault.Field) int { return strings.Compare(a.Pointer, b.Pointer) })
	return wrong
}
