package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/secret"
)

// Setting is one thing that can be set: in the file by its name, in the environment by its variable.
type Setting struct {
	Name string // path in the YAML file, such as control.listen
	Doc  string
	set  func(*Config, string) error
}

// Variable is the environment variable of the setting.
func (s Setting) Variable() string {
	return "GATEHOUSE_" + strings.ToUpper(strings.ReplaceAll(strings.ReplaceAll(s.Name, ".", "_"), "-", "_"))
}

// Settings lists everything that can be set, but for the secrets.
func Settings() []Setting {
	all := []Setting{
		{"data", "folder of the database, keys and backups (default data)", text(func(c *Config) *string { return &c.Data })},
		{"database", "PostgreSQL in the place of SQLite in the data folder: postgres://user:password@host:5432/database?sslmode=verify-full; better by variable", func(c *Config, v string) error { c.Database = secret.New(v); return nil }},
		{"manifest", "folder of a manifest: its environments are made at start, and in development it is published", text(func(c *Config) *string { return &c.Manifest })},
		{"dev", "development conveniences: letters are shown, not sent; refused unless every listener is on loopback (default false)", truth(func(c *Config) *bool { return &c.Dev })},
		{"example", "run the example upstream, in development (default false)", truth(func(c *Config) *bool { return &c.Example })},
		{"events", "where each exchange is told as a line of JSON: stdout, none or a file (default stdout; in development events.jsonl in the data folder)", text(func(c *Config) *string { return &c.Events })},
		{"drift.environments", "what the drift review of the portal watches: NAME[@TIER][:GATEWAY]=FOLDER, a gateway that runs (NAME:kong=https://ADMIN:8444,token=SECRET), or NAME:GATEWAY=bundle: for what is uploaded; several with spaces between (default none)", text(func(c *Config) *string { return &c.Drift.Environments })},
		{"drift.every", "how often it reviews by itself, such as 6h; at least 1m (default 0: only when somebody asks)", span(func(c *Config) *time.Duration { return &c.Drift.Every })},
		{"drift.notify", "addresses that are told of new findings, with spaces between", text(func(c *Config) *string { return &c.Drift.Notify })},
		{"counters.address", "Valkey or Redis for limits that gateways share: redis://user:password@host:6379/0, rediss:// with TLS; better by variable", func(c *Config, v string) error { c.Counters = secret.New(v); return nil }},
		{"counters.authorities", "file with the authorities that its certificate is signed by (default: those of the system)", text(func(c *Config) *string { return &c.CountersCA })},
		{"usage.minutes", "for how long calls are known by the minute, such as 72h (default 72h)", span(func(c *Config) *time.Duration { return &c.Usage.Minutes })},
		{"usage.hours", "by the hour (default 2160h: 90 days)", span(func(c *Config) *time.Duration { return &c.Usage.Hours })},
		{"usage.days", "by the day (default 9600h: 400 days)", span(func(c *Config) *time.Duration { return &c.Usage.Days })},
		{"log.level", "debug, info, warn or error (default info)", level},
		{"log.format", "text or json (default text)", oneOf(func(c *Config) *string { return &c.LogFormat }, "text", "json")},
		{"feed.listen", "address where gateways elsewhere dial in, by mutual TLS (default 127.0.0.1:8002 for gatehouse control; none for gatehouse serve)", address(func(c *Config) *string { return &c.Feed.Listen })},
		{"feed.database", "a hot standby of the PostgreSQL of the setting database, only read, that the feed for gateways elsewhere is read of: postgres://…; better by variable (default none: that database itself)", func(c *Config, v string) error { c.Feed.Database = secret.New(v); return nil }},
		{"feed.control", "of gatehouse gateway: address of the control plane's feed, such as control.example:8002", address(func(c *Config) *string { return &c.Feed.Control })},
		{"feed.token", "of gatehouse gateway: the enrolment token, for its first start; better by variable", func(c *Config, v string) error { c.Feed.Token = secret.New(v); return nil }},
		{"feed.environment", "of gatehouse gateway: the environment (in a region: live@eu), when it begins from an image and was never enrolled", text(func(c *Config) *string { return &c.Feed.Environment })},
		{"feed.key", "of gatehouse gateway: the control plane's public key, which 'gatehouse gateways image' prints, for the same", text(func(c *Config) *string { return &c.Feed.Key })},
		{"feed.image", "of gatehouse gateway: file or https address of an image to begin from while the control plane is away", text(func(c *Config) *string { return &c.Feed.Image })},
		{"feed.max-offline", "how long a gateway may serve without a word of the control plane, such as 12h; at least 1m (default 24h)", span(func(c *Config) *time.Duration { return &c.Feed.MaxOffline })},
		{"gateway.codec", "who reads and writes HTTP/1.1 in gateways: http1, our own, or std, Go's net/http (default " + Default().Codec + ")", oneOf(func(c *Config) *string { return &c.Codec }, "http1", "std")},
		{"gateway.io-uring", "serve busy connections without TLS over io_uring, which saves processor time; where the kernel or a container refuses it, gateways do without (default true)", truth(func(c *Config) *bool { return &c.Ring })},
		{"gateway.h2c", "clients of a gateway without TLS may speak HTTP/2 from the first byte (prior knowledge); over TLS they choose it in the handshake (default false)", truth(func(c *Config) *bool { return &c.H2C })},
		{"gateway.http3", "speak HTTP/3 too, on the UDP port of the same number; needs TLS (default false)", truth(func(c *Config) *bool { return &c.HTTP3 })},
		{"gateway.connections-per-address", "connections that one address (of IPv6 a /64) may hold open at a gateway at once; further ones are closed (default 0: no bound, for behind a load balancer all come from its address)", count(func(c *Config) *int { return &c.Peer })},
		{"gateway.websockets", "WebSockets that may be open at a gateway at once; further ones are refused with 503 (default 10000)", count(func(c *Config) *int { return &c.Tunnels })},
		{"gateway.dns", "address of the DNS server that upstreams' names are looked up at, such as 10.0.0.2:53 (default: those of the system)", server(func(c *Config) *string { return &c.DNS })},
		{"fetch.allow", "networks, separated by commas, that may be fetched from and posted to although they are private, such as 10.1.0.0/16; http is taken there too (default none; in development loopback)", networks},
		{"people.second-factor", "whose roles demand a second factor (an authenticator app or a passkey): staff, members or names of roles, with spaces between (default none)", roles},
		{"smtp.host", "server that letters are given to", text(func(c *Config) *string { return &c.SMTP.Host })},
		{"smtp.port", "its port (default 587)", port(func(c *Config) *int { return &c.SMTP.Port })},
		{"smtp.user", "user name there", text(func(c *Config) *string { return &c.SMTP.User })},
		{"smtp.password", "password there; better by variable", func(c *Config, v string) error { c.SMTP.Password = secret.New(v); return nil }},
		{"smtp.from", "sender's address of letters", text(func(c *Config) *string { return &c.SMTP.From })},
		{"smtp.tls", "starttls, tls or none (default starttls)", oneOf(func(c *Config) *string { return &c.SMTP.TLS }, "starttls", "tls", "none")},
	}
	for _, l := range []struct {
		name, what string
		of         func(*Config) *Listener
		tls        bool
	}{
		{"control", "the portal and the admin API", func(c *Config) *Listener { return &c.Control }, true},
		{"gateway", "the gateway of the first environment; each further one listens ten ports higher", func(c *Config) *Listener { return &c.Gateway }, true},
		{"operations", "health, metrics and profiles", func(c *Config) *Listener { return &c.Operations }, false},
	} {
		all = append(all, Setting{l.name + ".listen", "address of " + l.what + " (default " + l.of(new(Default())).Listen + ")",
			address(func(c *Config) *string { return &l.of(c).Listen })})
		if l.tls {
			all = append(all,
				Setting{l.name + ".url", "what others call it, such as https://portal.example", webAddress(func(c *Config) *string { return &l.of(c).URL })},
				Setting{l.name + ".tls.certificate", "PEM file with the certificate and those between it and the root", text(func(c *Config) *string { return &l.of(c).Certificate })},
				Setting{l.name + ".tls.key", "PEM file with the private key", text(func(c *Config) *string { return &l.of(c).Key })},
				Setting{l.name + ".tls.folder", "folder of further certificates, which clients choose by name: NAME.crt or NAME.pem with NAME.key, NAME/tls.crt with NAME/tls.key", text(func(c *Config) *string { return &l.of(c).Folder })})
		}
		if l.name == "control" {
			all = append(all, Setting{"control.tls.clients", "clients' certificates: none is asked for, request takes any, for OAuth clients that prove themselves by one; browsers then ask people for theirs (default none)", oneOf(func(c *Config) *string { return &c.Control.Clients }, "none", "request")})
		}
		if l.name == "gateway" {
			all = append(all,
				Setting{"gateway.tls.clients", "clients' certificates: none is asked for, request takes any for policies to judge, verify takes none or one of the authorities', require takes only those (default none)", oneOf(func(c *Config) *string { return &c.Gateway.Clients }, "none", "request", "verify", "require")},
				Setting{"gateway.tls.client-authorities", "PEM file with the authorities that sign clients' certificates", text(func(c *Config) *string { return &c.Gateway.Authorities })})
		}
	}
	return all
}

type setter = func(*Config, string) error

func text(of func(*Config) *string) setter {
	return func(c *Config, v string) error { *of(c) = v; return nil }
}

// server takes the address of a server, by number: to look its name up we would have to ask it.
func server(of func(*Config) *string) setter {
	return func(c *Config, v string) error {
		if a, err := netip.ParseAddrPort(v); v != "" && (err != nil || a.Port() == 0) {
			return fmt.Errorf("must be an IP address with a port, such as 10.0.0.2:53, not %q", v)
		}
		*of(c) = v
		return nil
	}
}

func span(of func(*Config) *time.Duration) setter {
	return func(c *Config, v string) error {
		d, err := time.ParseDuration(v)
		if v == "" || v == "0" {
			d, err = 0, nil
		}
		if err != nil || d < 0 || d > 0 && d < time.Minute {
			return fmt.Errorf("must be a time span of at least 1m, such as 6h, not %q", v)
		}
		*of(c) = d
		return nil
	}
}

func truth(of func(*Config) *bool) setter {
	return func(c *Config, v string) error {
		switch strings.ToLower(v) {
		case "true", "1", "yes":
			*of(c) = true
		case "false", "0", "no", "":
			*of(c) = false
		default:
			return fmt.Errorf("must be true or false, not %q", v)
		}
		return nil
	}
}

func oneOf(of func(*Config) *string, words ...string) setter {
	return func(c *Config, v string) error {
		for _, w := range words {
			if v == w {
				*of(c) = v
				return nil
			}
		}
		return fmt.Errorf("must be %s, not %q", strings.Join(words, " or "), v)
	}
}

// count takes a whole number that is not negative.
func count(of func(*Config) *int) func(*Config, string) error {
	return func(c *Config, v string) error {
		n, err := strconv.Atoi(v)
		if err != nil || n < 0 {
			return fmt.Errorf("must be a whole number, 0 or more, not %q", v)
		}
		*of(c) = n
		return nil
	}
}

func port(of func(*Config) *int) setter {
	return func(c *Config, v string) error {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 || n > 65535 {
			return fmt.Errorf("must be a port from 1 to 65535, not %q", v)
		}
		*of(c) = n
		return nil
	}
}

func address(of func(*Config) *string) setter {
	return func(c *Config, v string) error {
		_, p, err := net.SplitHostPort(v)
		if err != nil {
			return fmt.Errorf("must be host:port, such as 127.0.0.1:8001, not %q", v)
		}
		if n, err := strconv.Atoi(p); err != nil || n < 0 || n > 65535 {
			return fmt.Errorf("the port must be a number from 0 to 65535, not %q", p)
		}
		*of(c) = v
		return nil
	}
}

func webAddress(of func(*Config) *string) setter {
	return func(c *Config, v string) error {
		u, err := url.Parse(v)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.User != nil {
			return fmt.Errorf("must be an address such as https://portal.example, not %q", v)
		}
		*of(c) = u.Scheme + "://" + u.Host
		return nil
	}
}

// roleWords are what people.second-factor takes.
var roleWords = []string{"staff", "members", "owner", "developer", "viewer", "admin", "approver", "api-owner", "operator", "auditor"}

func roles(c *Config, v string) error {
	c.Second = nil
	for _, word := range strings.Fields(v) {
		if !slices.Contains(roleWords, word) {
			return fmt.Errorf("%q is not one of %s", word, strings.Join(roleWords, ", "))
		}
		c.Second = append(c.Second, word)
	}
	return nil
}

// networks reads prefixes separated by commas.
func networks(c *Config, v string) error {
	c.Fetch = nil
	for one := range strings.SplitSeq(v, ",") {
		p, err := netip.ParsePrefix(strings.TrimSpace(one))
		if err != nil {
			return fmt.Errorf("must be networks such as 10.1.0.0/16, separated by commas, not %q", one)
		}
		c.Fetch = append(c.Fetch, p.Masked())
	}
	return nil
}

// level takes a name of the levels that the log knows.
func level(c *Config, v string) error {
	if c.LogLevel.UnmarshalText([]byte(v)) != nil {
		return fmt.Errorf("must be debug, info, warn or error, not %q", v)
	}
	return nil
}
