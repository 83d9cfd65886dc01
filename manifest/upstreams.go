package manifest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

func (c *check) upstreams() {
	first := map[string]string{}
	used := map[string]bool{}
	for _, a := range c.APIs {
		used[a.Upstream] = true
	}
	for i := range c.Upstreams {
		u, at := &c.Upstreams[i], pointer("upstreams", i)
		c.named(at, "upstream", u.Name, nameForm, first)
		if len(u.Targets) == 0 {
			c.bad(at, "the upstream needs targets, such as \"targets: [http://127.0.0.1:8009]\"")
		}
		c.targets(at, u.Targets, u.Weights)
		for _, name := range slices.Sorted(maps.Keys(u.Environments)) {
			below := at + "/environments/" + escape(name)
			if !slices.Contains(c.environmentNames(), name) {
				c.dangling(below, "environments", "there is no environment %q%s", clip(name), meant(name, c.environmentNames()))
			}
			if len(u.Environments[name].Targets) == 0 {
				c.bad(below, "needs targets of its own: leave it out to use the upstream's")
			}
			c.targets(below, u.Environments[name].Targets, u.Environments[name].Weights)
		}
		c.protocol(at+"/protocol", u)
		c.timeouts(at+"/timeouts", &u.Timeouts)
		c.present(at+"/present", u.Present)
		c.balance(at+"/balance", &u.Balance)
		c.health(at+"/health", &u.Health)
		c.trouble(at, u)
		c.secure(at, u)
		if !used[u.Name] && u.Name != "" {
			c.warn(at, "no API uses the upstream %s", u.Name)
		}
	}
}

func (c *check) targets(at string, targets []string, weights map[string]int) {
	for i, t := range targets {
		below := fmt.Sprintf("%s/targets/%d", at, i)
		if err := checkAddress(t); err != nil {
			c.bad(below, "%s", err)
		} else if slices.Contains(targets[:i], t) {
			c.bad(below, "%s stands twice", clip(t))
		}
	}
	if len(targets) > maxTargets {
		c.bad(at+"/targets", "has more than %d targets", maxTargets)
	}
	for _, t := range slices.Sorted(maps.Keys(weights)) {
		below := at + "/weights/" + escape(t)
		if !slices.Contains(targets, t) {
			c.bad(below, "there is no target %q%s", clip(t), meant(t, targets))
		}
		c.count(below, weights[t], 1, maxWeight)
	}
}

// Protocols of upstreams.
const (
	HTTP1 = "http/1.1"
	H2    = "h2"
	H2C   = "h2c"
)

// protocol checks that an upstream's targets can be asked in its protocol.
func (c *check) protocol(at string, u *Upstream) {
	scheme := ""
	switch u.Protocol {
	case "", HTTP1:
	case H2:
		scheme = "https://"
	case H2C:
		scheme = "http://"
	default:
		c.bad(at, "must be %s, %s or %s, not %q", HTTP1, H2, H2C, clip(u.Protocol))
	}
	all := slices.Clone(u.Targets)
	for _, name := range slices.Sorted(maps.Keys(u.Environments)) {
		all = append(all, u.Environments[name].Targets...)
	}
	for _, t := range all {
		if !strings.HasPrefix(t, scheme) {
			c.bad(at, "%s is spoken with %s targets only, and there is %s", u.Protocol, strings.TrimSuffix(scheme, "://"), clip(t))
			return
		}
	}
}

func (c *check) timeouts(at string, t *Timeouts) {
	c.span(at+"/connect", t.Connect, time.Millisecond, maxTimeout)
	c.span(at+"/read", t.Read, time.Millisecond, maxTimeout)
	c.span(at+"/total", t.Total, time.Millisecond, maxTimeout)
	if t.Total <= 0 {
		t.Total = max(Duration(30*time.Second), t.Read, t.Connect)
	}
	if t.Read > t.Total {
		c.bad(at+"/read", "%s is longer than the total of %s", t.Read, t.Total)
	}
	if t.Connect > t.Total {
		c.bad(at+"/connect", "%s is longer than the total of %s", t.Connect, t.Total)
	}
	if t.Read <= 0 {
		t.Read = min(Duration(10*time.Second), t.Total)
	}
	if t.Connect <= 0 {
		t.Connect = min(Duration(2*time.Second), t.Total)
	}
}

func (c *check) present(at string, list []Present) {
	for i, p := range list {
		below := fmt.Sprintf("%s/%d", at, i)
		if err := checkHeader(p.Header); err != nil {
			c.bad(below+"/header", "%s", err)
		}
		if slices.ContainsFunc(list[:i], func(q Present) bool { return strings.EqualFold(q.Header, p.Header) }) {
			c.bad(below+"/header", "%s stands twice", clip(p.Header))
		}
		if !nameForm.MatchString(p.Secret) {
			c.bad(below+"/secret", "%q is not a name of a secret: use lower case letters, digits and hyphens. The secret itself is set in the gateway's start-up configuration, never here", clip(p.Secret))
		}
	}
}

// Bounds of upstreams.
const (
	maxTargets     = 256
	maxWeight      = 100
	maxAttempts    = 5
	maxConcurrency = 1_000_000
	maxInterval    = time.Hour
)

// Rules of balance.by.
const (
	ByTurn          = "round_robin"
	ByLeastRequests = "least_requests"
	ByHash          = "hash"
)

// count checks a number that is set.
func (c *check) count(at string, n, least, most int) {
	if _, written := c.places[at]; written && (n < least || n > most) {
		c.bad(at, "must be from %d to %d, not %d", least, most, n)
	}
}

// or sets what was left out.
func or[T int | Duration](v *T, otherwise T) {
	if *v <= 0 {
		*v = otherwise
	}
}

func (c *check) balance(at string, b *Balance) {
	switch b.By {
	case "", ByTurn, ByLeastRequests:
		if b.Key != "" {
			c.bad(at+"/key", "a key is for \"by: hash\"")
		}
	case ByHash:
		if b.Key == "" {
			c.bad(at, "hash needs a key, such as \"key: client\"")
			return
		}
		if why := checkKey(b.Key); why != "" {
			c.bad(at+"/key", "%s", why)
		}
	default:
		c.bad(at+"/by", "there is no %q%s: use %s, %s or %s", clip(b.By), meant(b.By, []string{ByTurn, ByLeastRequests, ByHash}), ByTurn, ByLeastRequests, ByHash)
	}
}

// keyNames are the keys without a name of their own.
var keyNames = []string{"client", "application", "credential", "organization", "path"}

func checkKey(key string) string {
	kind, name, named := strings.Cut(key, " ")
	switch {
	case !named && slices.Contains(keyNames, key):
		return ""
	case named && (kind == "header" || kind == "cookie") && headerForm.MatchString(name):
		return ""
	case named && kind == "query" && scopeForm.MatchString(name) && !strings.ContainsAny(name, "&=+%#"):
		return ""
	}
	return fmt.Sprintf("%q is not a key: use client, application, credential, organization, path, \"header NAME\", \"query NAME\" or \"cookie NAME\"", clip(key))
}

func (c *check) statuses(at string, list []int) {
	for i, n := range list {
		below := fmt.Sprintf("%s/%d", at, i)
		if n < 200 || n > 599 {
			c.bad(below, "must be from 200 to 599, not %d", n)
		} else if slices.Contains(list[:i], n) {
			c.bad(below, "%d stands twice", n)
		}
	}
}

// away are the statuses of a service that cannot answer just now.
func away(list []int) []int {
	if len(list) == 0 {
		return []int{502, 503, 504}
	}
	return list
}

func (c *check) health(at string, h *Health) {
	c.span(at+"/slow_return", h.SlowReturn, time.Second, maxInterval)
	if a := h.Active; a != nil {
		at := at + "/active"
		switch {
		case a.Path == "":
			c.bad(at, "needs a path, such as \"path: /healthz\"")
		case a.Path != "/" && checkPath(a.Path) != nil:
			c.bad(at+"/path", "%s", checkPath(a.Path))
		}
		if a.Host != "" {
			if err := checkHost(a.Host); err != nil || strings.HasPrefix(a.Host, "*") {
				c.bad(at+"/host", "%q is not a host name", clip(a.Host))
			}
		}
		c.statuses(at+"/status", a.Status)
		c.span(at+"/interval", a.Interval, 100*time.Millisecond, maxInterval)
		c.span(at+"/timeout", a.Timeout, 10*time.Millisecond, maxInterval)
		c.count(at+"/healthy", a.Healthy, 1, 100)
		c.count(at+"/unhealthy", a.Unhealthy, 1, 100)
		or(&a.Interval, Duration(10*time.Second))
		or(&a.Timeout, Duration(2*time.Second))
		or(&a.Healthy, 2)
		or(&a.Unhealthy, 3)
	}
	if p := h.Passive; p != nil {
		at := at + "/passive"
		c.count(at+"/failures", p.Failures, 1, 1000)
		c.statuses(at+"/status", p.Status)
		c.span(at+"/eject", p.Eject, 100*time.Millisecond, maxInterval)
		c.span(at+"/longest", p.Longest, 100*time.Millisecond, 24*time.Hour)
		c.count(at+"/most", p.Most, 1, 100)
		or(&p.Failures, 5)
		or(&p.Eject, Duration(30*time.Second))
		or(&p.Longest, max(Duration(5*time.Minute), p.Eject))
		or(&p.Most, 50)
		p.Status = away(p.Status)
		if p.Eject > p.Longest {
			c.bad(at+"/eject", "%s is longer than the longest of %s", p.Eject, p.Longest)
		}
	}
}

// trouble checks what an upstream in trouble is spared.
func (c *check) trouble(at string, u *Upstream) {
	if r := u.Retries; r != nil {
		at := at + "/retries"
		c.count(at+"/attempts", r.Attempts, 1, maxAttempts)
		c.statuses(at+"/status", r.Status)
		c.span(at+"/try", r.Try, time.Millisecond, maxTimeout)
		c.count(at+"/share", r.Share, 1, 100)
		c.count(at+"/minimum", r.Minimum, 1, 10_000)
		or(&r.Attempts, 1)
		or(&r.Share, 20)
		or(&r.Minimum, 3)
		r.Status = away(r.Status)
		if r.Try > u.Timeouts.Total {
			c.bad(at+"/try", "%s is longer than the total of %s", r.Try, u.Timeouts.Total)
		}
	}
	if b := u.Breaker; b != nil {
		at := at + "/breaker"
		c.count(at+"/errors", b.Errors, 1, 100)
		c.count(at+"/requests", b.Requests, 1, 100_000)
		c.span(at+"/window", b.Window, time.Second, maxInterval)
		c.span(at+"/open", b.Open, 100*time.Millisecond, maxInterval)
		c.count(at+"/probes", b.Probes, 1, 1000)
		or(&b.Errors, 50)
		or(&b.Requests, 20)
		or(&b.Window, Duration(10*time.Second))
		or(&b.Open, Duration(5*time.Second))
		or(&b.Probes, 3)
	}
	if l := u.Concurrency; l != nil {
		at := at + "/concurrency"
		if _, written := c.places[at+"/most"]; !written {
			c.bad(at, "needs the most requests at once, such as \"most: 200\"")
		}
		c.count(at+"/most", l.Most, 1, maxConcurrency)
		c.count(at+"/queue", l.Queue, 0, maxConcurrency)
		c.span(at+"/wait", l.Wait, time.Millisecond, time.Minute)
		if _, written := c.places[at+"/queue"]; !written {
			l.Queue = l.Most
		}
		or(&l.Wait, Duration(100*time.Millisecond))
	}
}

// secure checks how targets are found and verified.
func (c *check) secure(at string, u *Upstream) {
	d := &u.DNS
	c.span(at+"/dns/least", d.Least, 100*time.Millisecond, 24*time.Hour)
	c.span(at+"/dns/most", d.Most, 100*time.Millisecond, 24*time.Hour)
	or(&d.Least, Duration(5*time.Second))
	or(&d.Most, max(Duration(5*time.Minute), d.Least))
	if d.Least > d.Most {
		c.bad(at+"/dns/least", "%s is longer than the most of %s", d.Least, d.Most)
	}
	t := u.TLS
	if t == nil {
		return
	}
	at += "/tls"
	if t.Name != "" {
		if err := checkHost(t.Name); err != nil || strings.HasPrefix(t.Name, "*") {
			c.bad(at+"/name", "%q is not a host name", clip(t.Name))
		}
	}
	for _, s := range []struct{ field, name string }{{"ca", t.CA}, {"certificate", t.Certificate}, {"key", t.Key}} {
		if s.name != "" && !nameForm.MatchString(s.name) {
			c.bad(at+"/"+s.field, "%q is not a name of a secret: the certificates themselves are set in the gateway's start-up configuration", clip(s.name))
		}
	}
	if (t.Certificate == "") != (t.Key == "") {
		c.bad(at, "certificate and key go together")
	}
	all := slices.Clone(u.Targets)
	for _, o := range u.Environments {
		all = append(all, o.Targets...)
	}
	if len(all) > 0 && !slices.ContainsFunc(all, func(t string) bool { return strings.HasPrefix(t, "https://") }) {
		c.warn(at, "no target is reached over https, so this is for nothing")
	}
}
