package config_test

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/config"
	"gatehouse/fault"
)

func write(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "gatehouse.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestEnvironmentWinsOverFileOverDefaults(t *testing.T) {
	file := write(t, "data: /srv/gatehouse\ncontrol:\n  listen: 127.0.0.1:9001\n  url: https://portal.example/\nlog: {level: debug}\nsmtp: {host: mail.example, from: a@b.example, port: 25}\n")
	c, err := config.Load(file, []string{"GATEHOUSE_CONTROL_LISTEN=127.0.0.1:9101", "GATEHOUSE_GATEWAY_LISTEN=", "HOME=/root", "GATEHOUSE_DEV=true"})
	if err != nil {
		t.Fatal(err)
	}
	want := config.Default()
	want.Data, want.Dev, want.LogLevel = "/srv/gatehouse", true, slog.LevelDebug
	want.Control = config.Listener{Listen: "127.0.0.1:9101", URL: "https://portal.example"}
	want.SMTP.Host, want.SMTP.From, want.SMTP.Port = "mail.example", "a@b.example", 25
	if d := cmp.Diff(want, c, cmp.FilterPath(func(p cmp.Path) bool {
		return strings.HasSuffix(p.String(), "Password") || strings.HasSuffix(p.String(), "Secrets")
	}, cmp.Ignore())); d != "" {
		t.Error(d)
	}
}

func TestSecretsComeFromValueVariableAndFile(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "key"), []byte("from a file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TEST_SECRET", "from a variable")
	file := filepath.Join(dir, "c.yaml")
	text := "secrets:\n  one: {value: plain}\n  two: {env: TEST_SECRET}\n  three: {file: key}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(file, []string{"GATEHOUSE_SECRET_FOUR_FIVE=direct"})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"one": "plain", "two": "from a variable", "three": "from a file", "four-five": "direct"} {
		if got := c.Secrets[name].Reveal(); got != want {
			t.Errorf("secret %s is %q, not %q", name, got, want)
		}
	}
}

func TestEverythingWrongIsSaidAtOnceWithItsPlace(t *testing.T) {
	file := write(t, "data: x\nnonsense: 1\ncontrol:\n  listen: nowhere\n  tls: {certificate: a.pem}\nsmtp:\n  port: 70000\n  host: m.example\nsecrets:\n  Big: {value: x}\n  none: {file: /does/not/exist}\n  odd: {from: x}\nevents: [a]\n")
	_, err := config.Load(file, []string{"GATEHOUSE_LOG_FORMAT=xml", "GATEHOUSE_CONTORL_LISTEN=127.0.0.1:1", "GATEHOUSE_DEV=perhaps", "GATEHOUSE_LOG_LEVEL=loud"})
	var f *fault.Error
	if !errors.As(err, &f) {
		t.Fatalf("the error is %v", err)
	}
	all := f.Error()
	for _, want := range []string{
		file + ":2: /nonsense: there is no such setting",
		file + ":4: /control/listen: must be host:port, such as 127.0.0.1:8001, not \"nowhere\"",
		file + ":7: /smtp/port: must be a port from 1 to 65535, not \"70000\"",
		file + ":10: /secrets/Big: a secret's name has lower case letters, digits and hyphens",
		file + ":11: /secrets/none: the file of the secret cannot be read: open /does/not/exist: no such file or directory",
		file + ":12: /secrets/odd: \"from\" is not one of value, env and file",
		file + ":13: /events: must be a single value",
		"GATEHOUSE_LOG_FORMAT: must be text or json, not \"xml\"",
		"GATEHOUSE_CONTORL_LISTEN: there is no such setting",
		"GATEHOUSE_DEV: must be true or false, not \"perhaps\"",
		"GATEHOUSE_LOG_LEVEL: must be debug, info, warn or error, not \"loud\"",
		"/control/tls: certificate and key belong together",
		"/smtp/from: is missing",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("it does not say %q, but:\n%s", want, strings.ReplaceAll(all, "; ", "\n"))
		}
	}
}

func TestAFileThatIsNoYAMLOrMissingIsRefused(t *testing.T) {
	for name, text := range map[string]string{"broken": "a: [", "twice": "data: a\ndata: b\n", "two documents": "data: a\n---\ndata: b\n", "list": "- a\n"} {
		if _, err := config.Load(write(t, text), nil); err == nil {
			t.Errorf("%s: it is taken", name)
		}
	}
	broken := write(t, "dev: true\ndata: [\n  a }\n")
	if _, err := config.Load(broken, nil); err == nil || !strings.Contains(err.Error(), broken+":3: is not one YAML document") || strings.Contains(err.Error(), "go-yaml") {
		t.Errorf("where it breaks off is not said: %v", err)
	}
	if _, err := config.Load("/does/not/exist", nil); err == nil || !strings.Contains(err.Error(), "/does/not/exist") {
		t.Errorf("a missing file: %v", err)
	}
	if _, err := config.Load(write(t, ""), nil); err != nil {
		t.Errorf("an empty file: %v", err)
	}
}

func TestNoSecretIsPrinted(t *testing.T) {
	c, err := config.Load("", []string{"GATEHOUSE_SECRET_EID_GATEWAY=hidden-value", "GATEHOUSE_SMTP_PASSWORD=hidden-value"})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{fmt.Sprintf("%v %+v %#v", c, c, c), slog.AnyValue(c).String()} {
		if strings.Contains(s, "hidden-value") {
			t.Errorf("a secret is printed: %s", s)
		}
	}
}

func TestEverySettingHasOneNameAndOneVariable(t *testing.T) {
	var names, variables []string
	for _, s := range config.Settings() {
		names, variables = append(names, s.Name), append(variables, s.Variable())
		if s.Doc == "" {
			t.Errorf("%s has no description", s.Name)
		}
	}
	for _, all := range [][]string{names, variables} {
		slices.Sort(all)
		if n := len(slices.Compact(slices.Clone(all))); n != len(all) {
			t.Errorf("%d of %d are different: %v", n, len(all), all)
		}
	}
}

func FuzzLoad(f *testing.F) {
	f.Add("data: x\ncontrol: {listen: ':0'}\nsecrets: {a: {value: b}}\n")
	f.Add("a: &a [*a]")
	f.Fuzz(func(t *testing.T, text string) {
		file := filepath.Join(t.TempDir(), "c.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, _ = config.Load(file, nil)
	})
}

func TestListenersSettingsFitTogether(t *testing.T) {
	for text, want := range map[string]string{
		"gateway: {tls: {clients: verify}}":                                                                         "/gateway/tls/clients: needs a certificate",
		"gateway: {tls: {certificate: a, key: b, clients: verify}}":                                                 "/gateway/tls/client-authorities: is missing",
		"gateway: {tls: {certificate: a, key: b, clients: request, client-authorities: c}}":                         "/gateway/tls/clients: must be verify or require",
		"gateway: {tls: {certificate: a, key: b, clients: always}}":                                                 "/gateway/tls/clients: must be none or request or verify or require",
		"gateway: {tls: {folder: certs, clients: require, client-authorities: ca.pem}}":                             "",
		"gateway: {dns: 10.0.0.2}":                                                                                  "/gateway/dns: must be an IP address with a port",
		"gateway: {dns: '[fd00::1]:53'}":                                                                            "",
		"gateway: {h2c: true, codec: std}":                                                                          "/gateway/h2c: needs the codec http1",
		"gateway: {h2c: true, tls: {folder: certs}}":                                                                "/gateway/h2c: is for gateways without TLS",
		"gateway: {http3: true}":                                                                                    "/gateway/http3: needs TLS",
		"gateway: {http3: true, tls: {folder: certs}}":                                                              "",
		"gateway: {connections-per-address: -1}":                                                                    "must be a whole number, 0 or more",
		"gateway: {connections-per-address: 500, websockets: 20}":                                                   "",
		"gateway: {h2c: true}":                                                                                      "",
		"gateway: {tls: {certificate: a, key: b, clients: request}}":                                                "",
		"gateway: {tls: {certificate: a, key: b, folder: more, clients: none}}\ncontrol: {tls: {folder: /etc/tls}}": "",
	} {
		_, err := config.Load(write(t, text), nil)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}
