// Package fetch gets what somebody else named by URL, and posts to where they said, without being led inside: addresses are
// checked after resolution, on the very connection that is used.
package fetch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"

	"gatehouse/fault"
)

// What bounds every exchange.
const (
	Longest      = 1 << 20          // bytes of an answer that are read, unless Client says otherwise
	dialTime     = 5 * time.Second  // to connect, names resolved
	exchangeTime = 15 * time.Second // for the whole of it, redirects included
	redirects    = 3                // that are followed, each checked like the first
	headBytes    = 64 << 10         // of an answer's head
)

// Options is what a Client works with.
type Options struct {
	// Allowed is the networks that may be reached although they are private, loopback or link-local: what the operator listed.
	Allowed []netip.Prefix
	// Plain lets http through to an allowed network; everywhere else it is https.
	Plain bool
	// Transport is changed by tests that need to trust another root; nil: a fresh one.
	Transport *http.Transport
}

// Client fetches. It keeps no cookies, sends no credentials of ours, uses no proxy of the environment, and reaches no
// private, loopback or link-local address that is not allowed, whatever name leads there.
type Client struct {
	http    *http.Client
	direct  *http.Client // the same connections; it follows nobody
	allowed []netip.Prefix
	plain   bool
}

// New returns a client. Close it when it is no longer needed.
func New(o Options) *Client {
	t := o.Transport
	if t == nil {
		t = &http.Transport{}
	}
	c := &Client{allowed: o.Allowed, plain: o.Plain}
	t.Proxy, t.DialTLSContext = nil, nil
	t.DialContext = (&net.Dialer{Timeout: dialTime, ControlContext: c.mayDial(c.reaches)}).DialContext
	t.TLSHandshakeTimeout, t.ResponseHeaderTimeout = dialTime, exchangeTime
	t.MaxResponseHeaderBytes, t.MaxIdleConnsPerHost, t.IdleConnTimeout = headBytes, 2, 30*time.Second
	t.DisableCompression, t.ForceAttemptHTTP2 = true, true // a small answer that unpacks into a large one is none
	plain := t.Clone()
	plain.DialContext = (&net.Dialer{Timeout: dialTime, ControlContext: c.mayDial(c.listed)}).DialContext
	c.http = &http.Client{Transport: bySchemes{http: plain, https: t}, Timeout: exchangeTime, CheckRedirect: c.mayFollow}
	c.direct = &http.Client{Transport: c.http.Transport, Timeout: exchangeTime, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return c
}

// Close ends idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// HTTP is the client for libraries that want one. What it reads is bounded by nobody: they must.
func (c *Client) HTTP() *http.Client { return c.http }

// bySchemes sends what is not encrypted to listed networks only: who listens elsewhere is not known.
type bySchemes struct{ http, https *http.Transport }

func (b bySchemes) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme == "https" {
		return b.https.RoundTrip(r)
	}
	return b.http.RoundTrip(r)
}

func (b bySchemes) CloseIdleConnections() {
	b.http.CloseIdleConnections()
	b.https.CloseIdleConnections()
}

// mayDial looks at the address that is about to be connected to: what a name resolves to is not known before.
func (c *Client) mayDial(may func(netip.Addr) bool) func(context.Context, string, string, syscall.RawConn) error {
	return func(_ context.Context, _, address string, _ syscall.RawConn) error {
		ap, err := netip.ParseAddrPort(address)
		if err != nil || !may(ap.Addr()) {
			return inside(address)
		}
		return nil
	}
}

// reaches reports whether the address may be connected to.
func (c *Client) reaches(a netip.Addr) bool { return c.listed(a) || public(a.Unmap().WithZone("")) }

// listed reports whether the operator has allowed the address.
func (c *Client) listed(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	return slices.ContainsFunc(c.allowed, func(p netip.Prefix) bool { return p.Contains(a) })
}

// notPublic is what no partner's service has as its address, beside what netip itself knows (RFC 6890).
var notPublic = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("192.88.99.0/24"), netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("64:ff9b:1::/48"), netip.MustParsePrefix("100::/64"),
	netip.MustParsePrefix("2001::/23"), netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("2002::/16"),
	netip.MustParsePrefix("3fff::/20"), netip.MustParsePrefix("5f00::/16"), netip.MustParsePrefix("fec0::/10"),
}

func public(a netip.Addr) bool {
	if !a.IsGlobalUnicast() || a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() {
		return false
	}
	for _, p := range notPublic {
		if p.Contains(a) {
			return false
		}
	}
	return true
}

func inside(address string) error {
	return fault.Of(fault.Forbidden, "inside", "%s is not a public address: the operator has to allow it (setting fetch.allow)", address)
}

// mayFollow checks each redirect like the first URL, and takes nobody from https to http.
func (c *Client) mayFollow(r *http.Request, via []*http.Request) error {
	if len(via) > redirects {
		return fault.New(fault.Unavailable, "it was redirected more than %d times", redirects)
	}
	if via[0].Method != http.MethodGet {
		return http.ErrUseLastResponse // what is posted goes where it was said to go
	}
	if via[len(via)-1].URL.Scheme == "https" && r.URL.Scheme != "https" {
		return fault.New(fault.Forbidden, "it was redirected from https to %s", r.URL.Scheme)
	}
	return c.Check(r.URL.String())
}

// Check says what is wrong with a URL before anything is sent: fault.Invalid when it cannot be fetched at all, and
// fault.Forbidden when it names an address inside. A name is looked at again when it is connected to.
func (c *Client) Check(raw string) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "" || u.Opaque != "":
		return fault.New(fault.Invalid, "must be a whole URL, such as https://example.org/path")
	case u.User != nil:
		return fault.New(fault.Invalid, "must hold no user name and password")
	case u.Fragment != "":
		return fault.New(fault.Invalid, "must have no #fragment")
	case u.Scheme != "https" && u.Scheme != "http", u.Scheme == "http" && !c.plain:
		return fault.New(fault.Invalid, "must begin with https://")
	}
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	if a, err := netip.ParseAddr(host); err == nil {
		if !c.reaches(a) {
			return inside(host)
		}
		return nil
	}
	if (host == "localhost" || strings.HasSuffix(host, ".localhost")) && !c.reaches(netip.AddrFrom4([4]byte{127, 0, 0, 1})) {
		return inside(host)
	}
	return nil
}

// Answer is what came back.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Get fetches the URL; accept is the media type that is asked for. Any status but 200 is fault.Unavailable, and so is an
// answer that is longer than Longest.
func (c *Client) Get(ctx context.Context, raw, accept string) (Answer, error) {
	return c.get(ctx, c.http, raw, accept, Longest)
}

// UpTo is Get of an answer of at most so many bytes.
func (c *Client) UpTo(ctx context.Context, raw, accept string, longest int) (Answer, error) {
	return c.get(ctx, c.http, raw, accept, longest)
}

// Direct is Get of exactly this URL: a redirect is fault.Unavailable. It is for what proves something because it stands there.
func (c *Client) Direct(ctx context.Context, raw, accept string) (Answer, error) {
	return c.get(ctx, c.direct, raw, accept, Longest)
}

func (c *Client) get(ctx context.Context, by *http.Client, raw, accept string, longest int) (Answer, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, raw, nil)
	if err != nil {
		return Answer{}, fault.New(fault.Invalid, "must be a whole URL, such as https://example.org/path").Because(err)
	}
	r.Header.Set("Accept", accept)
	a, err := c.do(by, r, longest)
	if err == nil && a.Status != http.StatusOK {
		return a, fault.New(fault.Unavailable, "%s answered with status %d", r.URL.Host, a.Status)
	}
	return a, err
}

// Post sends the body with the headers. Whatever status comes back is an answer.
func (c *Client) Post(ctx context.Context, raw string, header http.Header, body []byte) (Answer, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, raw, bytes.NewReader(body))
	if err != nil {
		return Answer{}, fault.New(fault.Invalid, "must be a whole URL, such as https://example.org/path").Because(err)
	}
	if header != nil {
		r.Header = header.Clone()
	}
	return c.do(c.http, r, Longest)
}

func (c *Client) do(by *http.Client, r *http.Request, longest int) (Answer, error) {
	if err := c.Check(r.URL.String()); err != nil {
		return Answer{}, err
	}
	r.Header.Set("User-Agent", "gatehouse")
	w, err := by.Do(r)
	if err != nil {
		var f *fault.Error
		if errors.As(err, &f) {
			return Answer{}, f
		}
		return Answer{}, fault.New(fault.Unavailable, "%s could not be reached: %s", r.URL.Host, short(err)).Because(err)
	}
	defer w.Body.Close()
	body, err := io.ReadAll(io.LimitReader(w.Body, int64(longest)+1))
	switch {
	case err != nil:
		return Answer{}, fault.New(fault.Unavailable, "%s broke off its answer", r.URL.Host).Because(err)
	case len(body) > longest:
		return Answer{}, fault.New(fault.Unavailable, "%s answered with more than %d bytes", r.URL.Host, longest)
	}
	return Answer{w.StatusCode, w.Header, body}, nil
}

// short is what may be told of a network error: nothing that says what stands inside.
func short(err error) string {
	var dns *net.DNSError
	var u *url.Error
	switch {
	case errors.As(err, &dns):
		return "there is no such name"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &u) && u.Timeout():
		return "it took too long"
	case errors.Is(err, context.Canceled):
		return "it was given up"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the connection was refused"
	}
	if errors.As(err, &u) {
		return fmt.Sprintf("%.120s", u.Err.Error())
	}
	return "the connection failed"
}
