package live

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	"gatehouse/fault"
	"gatehouse/secret"
)

// client asks one server, and sends its credentials to no other.
type client struct {
	http   *http.Client
	base   *url.URL
	header string // that carries the token
	prefix string // before the token in it
	token  secret.Value
	sleep  func(time.Duration)
	told   func(int64)
	asked  atomic.Int64
	total  atomic.Int64
}

// onlyGet lets nothing through that could change anything.
type onlyGet struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (g onlyGet) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodGet || r.Body != nil && r.Body != http.NoBody {
		return nil, fmt.Errorf("%s is not sent: a gateway that runs is only read", r.Method)
	}
	return g.next.RoundTrip(r)
}

func newTransport(c *tls.Config) *http.Transport {
	return &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: c, TLSHandshakeTimeout: 10 * time.Second, ResponseHeaderTimeout: perAsk, MaxResponseHeaderBytes: 64 << 10, MaxIdleConnsPerHost: 8, IdleConnTimeout: 30 * time.Second,
		DialContext: (&net.Dialer{Timeout: 10 * time.Second}).DialContext, ForceAttemptHTTP2: true}
}

// newClient speaks to the server of an address. Without TLS no credential is sent but to one's own machine.
func (f *fetch) newClient(address string, token secret.Value, c *tls.Config) (*client, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil || u.RawQuery != "" {
		return nil, fault.Bad("", "the address is not https://HOST[:PORT][/PATH] without user, password and query")
	}
	if u.Scheme == "http" && !token.Empty() && !own(u.Hostname()) {
		return nil, fault.Bad("", "%s is not asked: the token would go over plain HTTP; use https, or a tunnel to this machine", u.Host)
	}
	next := f.o.Transport
	if next == nil {
		next = newTransport(c)
	}
	out := &client{base: u, header: "Authorization", prefix: "Bearer ", token: token, sleep: f.o.Sleep, told: f.o.Progress}
	out.http = &http.Client{Transport: onlyGet{next}, Timeout: perAsk, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return out, nil
}

func own(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// refused is an answer that is none: the status, and what was asked.
type refused struct {
	status int
	what   string
}

func (r *refused) Error() string {
	switch r.status {
	case http.StatusUnauthorized:
		return r.what + ": the token is missing, wrong or has ended (401)"
	case http.StatusForbidden:
		return r.what + ": the token may not read this (403)"
	}
	return fmt.Sprintf("%s: answered %d", r.what, r.status)
}

// missing reports whether there is no such thing.
func missing(err error) bool {
	var r *refused
	return errors.As(err, &r) && r.status == http.StatusNotFound
}

// get asks for a path below the base, or for an address of the same server that an answer named, and decodes the answer.
func (c *client) get(ctx context.Context, to string, into any) error {
	u, err := c.base.Parse(to)
	if err != nil {
		return fmt.Errorf("an address that cannot be read: %w", err)
	}
	if u.Host != c.base.Host || u.Scheme != c.base.Scheme || u.User != nil {
		return fmt.Errorf("the server sends on to %s, where its credentials are not taken", u.Host)
	}
	if n := c.asked.Add(1); n > maxAsks {
		return fmt.Errorf("more than %d requests", maxAsks)
	} else if c.told != nil && n%100 == 0 {
		c.told(n)
	}
	for try := 1; ; try++ {
		wait, err := c.once(ctx, u, into)
		if wait == 0 || try == tries {
			return err
		}
		c.sleep(wait)
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// once asks once. A wait says that it is worth asking again.
func (c *client) once(ctx context.Context, u *url.URL, into any) (wait time.Duration, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return 0, err
	}
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", "gatehouse-drift")
	if !c.token.Empty() {
		r.Header.Set(c.header, c.prefix+c.token.Reveal())
	}
	res, err := c.http.Do(r)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // without the query
		}
		return 0, fmt.Errorf("%s: %w", r.URL.Path, err)
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusTooManyRequests || res.StatusCode == http.StatusServiceUnavailable {
		s, err := strconv.Atoi(res.Header.Get("Retry-After"))
		if err != nil || s < 1 {
			s = 2
		}
		return time.Duration(min(s, 60)) * time.Second, &refused{res.StatusCode, r.URL.Path}
	}
	if res.StatusCode != http.StatusOK {
		return 0, &refused{res.StatusCode, r.URL.Path}
	}
	b, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil {
		return 0, fmt.Errorf("%s: %w", r.URL.Path, err)
	}
	if len(b) > maxAnswer {
		return 0, fmt.Errorf("%s: the answer has more than %d bytes", r.URL.Path, maxAnswer)
	}
	if c.total.Add(int64(len(b))) > maxTotal {
		return 0, fmt.Errorf("%s: the answers have more than %d bytes together", r.URL.Path, maxTotal)
	}
	if err := json.Unmarshal(b, into); err != nil {
		return 0, fmt.Errorf("%s: the answer is not what was asked for: %w", r.URL.Path, err)
	}
	return 0, nil
}

// Close ends idle connections.
func (c *client) Close() { c.http.CloseIdleConnections() }
