// Package config is the start-up configuration: what a process needs before it can read anything else. Nothing that the
// manifest declares is in it.
package config

import (
	"log/slog"
	"net/netip"
	"time"

	"gatehouse/secret"
)

// Config is the start-up configuration of one process.
type Config struct {
	Data       string       // folder of the database, keys and backups; owned by this process alone
	Database   secret.Value // the address of a PostgreSQL database; empty: SQLite in Data
	Manifest   string       // folder whose environments are made at start; in development it is published too
	Dev        bool         // development conveniences; refused unless every listener is on loopback
	Example    bool         // development: run the example upstream beside us
	Control    Listener
	Gateway    Listener       // of the first environment; each further one listens ten ports higher
	HTTP3      bool           // gateways speak HTTP/3 too, on the UDP port of the same number
	H2C        bool           // clients of gateways without TLS may speak HTTP/2 from the first byte
	Ring       bool           // gateways serve busy plain connections over io_uring, where the kernel lets them
	Codec      string         // who reads and writes HTTP/1.1 in gateways: "http1" (ours) or "std" (net/http)
	Peer       int            // connections that one address may hold open at a gateway; 0: no bound
	Tunnels    int            // WebSockets that may be open at a gateway; 0: its default
	DNS        string         // host:port of the server that upstreams' names are looked up at; "": the system's
	Feed       Feed           // between control plane and gateways elsewhere
	Operations Listener       // health, metrics and profiles; no TLS
	Fetch      []netip.Prefix // that may be fetched from and posted to although they are private
	SMTP       SMTP
	Secrets    map[string]secret.Value // by the names that manifests use
	Events     string                  // where exchanges are told: "stdout", "none" or a file; "" is stdout, in development a file in Data
	Drift      Drift
	Usage      Usage
	SSO        []SSO        // OpenID providers that people may sign in with; only the file has them
	Second     []string     // words for the roles that demand a second factor
	Counters   secret.Value // the address of the server where gateways count shared limits; empty: none
	CountersCA string       // a file with the authorities of its certificate; "": those of the system
	LogLevel   slog.Level
	LogFormat  string // "text" or "json"
}

// Listener is an address to listen on, and the one that others call.
type Listener struct {
	Listen      string // host:port; port 0 takes a free one
	URL         string // what to print and put into letters and documents; "" is made from Listen
	Certificate string // PEM file; with Key: TLS
	Key         string // PEM file
	Folder      string // of further certificates, of which clients choose by name; "": none
	Clients     string // "none", "request", "verify" or "require": what is asked of clients' certificates; "" is none
	Authorities string // PEM file with those that sign clients' certificates
}

// TLS reports whether the listener speaks it.
func (l Listener) TLS() bool { return l.Certificate != "" || l.Folder != "" }

// Usage is for how long counts of calls are kept, by the unit of time; 0: the default.
type Usage struct{ Minutes, Hours, Days time.Duration }

// Feed is how control plane and gateways elsewhere meet.
type Feed struct {
	Listen      string        // host:port where the control plane waits for gateways; "": nowhere
	Control     string        // host:port of the control plane, where a gateway dials
	Token       secret.Value  // a gateway's enrolment token, for its first start
	Environment string        // of a gateway that was never enrolled and begins from an image
	Key         string        // the control plane's, in base64, for the same
	Image       string        // file or https address of an image to begin from, while the control plane is away
	Database    secret.Value  // a standby of the database that gateways are told the feed from; empty: Database itself
	MaxOffline  time.Duration // how long a gateway may serve without a word of the control plane
}

// Drift is the review of environments that the control plane makes.
type Drift struct {
	Environments string        // NAME[@TIER][:GATEWAY]=FOLDER, several with spaces between; "": none
	Every        time.Duration // 0: only when somebody asks
	Notify       string        // addresses that are told of new findings, with spaces between
}

// SMTP is the server that letters are given to.
type SMTP struct {
	Host     string
	Port     int
	User     string
	Password secret.Value
	From     string // the sender's address
	TLS      string // "starttls" (default), "tls" or "none"
}

// Default is the configuration of a process that is told nothing.
func Default() Config {
	return Config{
		Data:       "data",
		Control:    Listener{Listen: "127.0.0.1:8001"},
		Gateway:    Listener{Listen: "127.0.0.1:8000"},
		Codec:      "http1",
		Ring:       true,
		Feed:       Feed{MaxOffline: 24 * time.Hour},
		Operations: Listener{Listen: "127.0.0.1:8003"},
		SMTP:       SMTP{Port: 587, TLS: "starttls"},
		Secrets:    map[string]secret.Value{},
		LogFormat:  "text",
	}
}
