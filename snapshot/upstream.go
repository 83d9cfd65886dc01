package snapshot

import (
	"cmp"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/manifest"
	"gatehouse/policy"
	"gatehouse/secret"
)

// Upstream is a service behind the gateway, as one environment reaches it.
type Upstream struct {
	Name                 string
	Targets              []Target
	Connect, Read, Total time.Duration
	Present              []Present // fields that prove to it that the gateway asks
	Protocol             string    // manifest.HTTP1, H2 or H2C

	Rule         string // how a target is chosen, as the manifest names it
	Key          Key    // for manifest.ByHash
	Health       manifest.Health
	Retries      *manifest.Retries
	Breaker      *manifest.Breaker
	Concurrency  *manifest.Concurrency
	Fresh, Stale time.Duration // how long addresses of names are used at least and at most
	Secure       *Secure       // nil: as the gateway does it by itself

	// Identity is the same for upstreams whose connections, and what is known about their targets, can be shared.
	Identity string
}

// Target is one address of an upstream.
type Target struct {
	Scheme string // http or https
	Host   string // with its port
	Weight int    // from 1 on
}

// Present is a field with a secret for an upstream.
type Present struct {
	Header string
	Value  secret.Value
}

// Secure is how targets are verified, and what they are shown.
type Secure struct {
	Name         string         // in the target's certificate; "": its host
	Roots        *x509.CertPool // nil: the system's
	Certificates []tls.Certificate
	digest       string // of all of it
}

// Key is what requests are told apart by, so that those with the same one are sent to the same target.
type Key struct {
	Of   KeyOf
	Name string // of a field, a parameter or a cookie
}

// KeyOf is where a key comes from.
type KeyOf string

// The keys.
const (
	KeyClient       KeyOf = "client"
	KeyApplication  KeyOf = "application"
	KeyCredential   KeyOf = "credential"
	KeyOrganization KeyOf = "organization"
	KeyPath         KeyOf = "path"
	KeyHeader       KeyOf = "header"
	KeyQuery        KeyOf = "query"
	KeyCookie       KeyOf = "cookie"
)

func readKey(s string) Key {
	of, name, _ := strings.Cut(s, " ")
	return Key{KeyOf(of), name}
}

// safe reports whether a method asks for nothing but an answer (RFC 9110 §9.2.1).
func safe(method string) bool { return method == "GET" || method == "HEAD" || method == "OPTIONS" }

// upstream is one that was read, and why it cannot be asked from here.
type upstream struct {
	*Upstream
	closed error
}

func (c *compiler) readUpstreams() {
	for i, m := range c.p.Upstreams {
		at := fmt.Sprintf("/upstreams/%d", i)
		u := &Upstream{Name: m.Name, Protocol: cmp.Or(m.Protocol, manifest.HTTP1), Connect: span(m.Timeouts.Connect, 2*time.Second),
			Read: span(m.Timeouts.Read, 10*time.Second), Total: span(m.Timeouts.Total, 30*time.Second),
			Health: m.Health, Retries: m.Retries, Breaker: m.Breaker, Concurrency: m.Concurrency,
			Fresh: span(m.DNS.Least, 5*time.Second), Stale: span(m.DNS.Most, 5*time.Minute)}
		u.Rule, u.Key = cmp.Or(m.Balance.By, manifest.ByTurn), readKey(m.Balance.Key)
		targets, weights, where := m.Targets, m.Weights, at+"/targets"
		if o, ok := m.Environments[c.out.Environment]; ok && len(o.Targets) > 0 {
			targets, weights, where = o.Targets, o.Weights, at+"/environments/"+c.out.Environment+"/targets"
		}
		if len(targets) == 0 {
			c.report(c.p.At(at, "the upstream %s has no targets in %s", m.Name, c.out.Environment))
		}
		for j, t := range targets {
			if target, err := parseTarget(t); err != nil {
				c.report(c.p.At(where+"/"+strconv.Itoa(j), "%v", err))
			} else {
				target.Weight = max(1, weights[t])
				u.Targets = append(u.Targets, target)
			}
		}
		read := upstream{Upstream: u}
		for j, f := range m.Present {
			if why := policy.CheckField(f.Header); why != "" {
				c.report(c.p.At(fmt.Sprintf("%s/present/%d/header", at, j), "%s", why))
			}
			v, ok := c.d.Secret(f.Secret)
			if ok && (v.Empty() || policy.CheckValue(v.Reveal()) != "") {
				ok = false // an empty secret proves nothing, and one that no field can carry never arrives
			}
			if !ok {
				c.report(c.p.Warn(fmt.Sprintf("%s/present/%d/secret", at, j),
					"this gateway has no usable secret %q: the routes of upstream %s are closed", f.Secret, m.Name))
				read.closed = closed(fmt.Sprintf("secret %q of upstream %s is missing", f.Secret, m.Name))
			}
			u.Present = append(u.Present, Present{f.Header, v})
		}
		if closed := c.secure(at+"/tls", m, u); closed != nil {
			read.closed = closed
		}
		u.identify(m)
		c.upstreams[m.Name] = read
		c.out.Upstreams = append(c.out.Upstreams, u)
	}
	slices.SortFunc(c.out.Upstreams, func(a, b *Upstream) int { return strings.Compare(a.Name, b.Name) })
}

func span(d manifest.Duration, otherwise time.Duration) time.Duration {
	if d <= 0 {
		return otherwise
	}
	return time.Duration(d)
}

func parseTarget(s string) (Target, error) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Hostname() == "" || u.User != nil ||
		u.RawQuery != "" || u.Fragment != "" || u.Path != "" && u.Path != "/" {
		return Target{}, fmt.Errorf("%q is not a target: write it like http://10.0.0.5:8080, without a path", s)
	}
	host := u.Host
	if u.Port() == "" {
		host += map[string]string{"http": ":80", "https": ":443"}[u.Scheme]
	}
	return Target{Scheme: u.Scheme, Host: host}, nil
}

// secure reads how the targets of an upstream are verified. It returns why they cannot be reached from here.
func (c *compiler) secure(at string, m manifest.Upstream, u *Upstream) error {
	if m.TLS == nil {
		return nil
	}
	s, sum, missing := &Secure{Name: m.TLS.Name}, sha256.New(), ""
	u.Secure = s
	read := func(field, name string) []byte {
		if name == "" {
			return nil
		}
		v, ok := c.d.Secret(name)
		if !ok || v.Empty() {
			c.report(c.p.Warn(at+"/"+field, "this gateway has no secret %q: the routes of upstream %s are closed", name, m.Name))
			missing = name
			return nil
		}
		fmt.Fprintln(sum, field, len(v.Reveal()), v.Reveal())
		return []byte(v.Reveal())
	}
	if ca := read("ca", m.TLS.CA); ca != nil {
		s.Roots = x509.NewCertPool()
		if !s.Roots.AppendCertsFromPEM(ca) {
			c.report(c.p.Warn(at+"/ca", "the secret %q of this gateway holds no certificate (PEM): the routes of upstream %s are closed", m.TLS.CA, m.Name))
			missing = m.TLS.CA
		}
	}
	chain, key := read("certificate", m.TLS.Certificate), read("key", m.TLS.Key)
	if chain != nil && key != nil {
		pair, err := tls.X509KeyPair(chain, key)
		if err != nil {
			c.report(c.p.Warn(at+"/certificate", "the secrets %q and %q of this gateway are no certificate with its key (%v): the routes of upstream %s are closed",
				m.TLS.Certificate, m.TLS.Key, err, m.Name))
			missing = m.TLS.Certificate
		}
		s.Certificates = []tls.Certificate{pair}
	}
	s.digest = hex.EncodeToString(sum.Sum(nil))
	if missing != "" {
		return closed(fmt.Sprintf("secret %q of upstream %s is missing or cannot be used", missing, m.Name))
	}
	return nil
}

// identify sets the upstream's identity.
func (u *Upstream) identify(m manifest.Upstream) {
	same := struct {
		M       manifest.Upstream
		Targets []Target
		Digest  string
	}{M: m, Targets: u.Targets}
	same.M.Targets, same.M.Weights, same.M.Environments, same.M.Present = nil, nil, nil, nil // what they lead to is in Targets; fields belong to requests
	if u.Secure != nil {
		same.Digest = u.Secure.digest
	}
	b, err := json.Marshal(same)
	if err != nil { // of plain values
		panic(fmt.Sprintf("snapshot: the identity of an upstream: %v", err))
	}
	u.Identity = string(b)
}
