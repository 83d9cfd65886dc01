package clientcert_test

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"net/url"
	"testing"
	"time"

	"gatehouse/authority"
	"gatehouse/authority/authoritytest"
	"gatehouse/credential"
	"gatehouse/fault"
	"gatehouse/feed"
	"gatehouse/id"
	"gatehouse/policy"
	"gatehouse/policy/clientcert"
	"gatehouse/snapshot"
)

var now = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

type party = authoritytest.Party

func made(t *testing.T, by *party, change func(*x509.Certificate)) party {
	t.Helper()
	return authoritytest.Made(t, now, by, change)
}

func signs(name string) func(*x509.Certificate) { return authoritytest.Signs(name, now) }

func named(names ...string) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.DNSNames = names }
}

// records is an access index with one partner.
type records struct {
	*testing.T
	*snapshot.View
	app feed.Application
}

func newRecords(t *testing.T) *records {
	r := &records{T: t, View: &snapshot.View{Routes: &snapshot.Routes{}, Access: snapshot.NewAccess("live")}}
	org := feed.Organization{ID: id.New(id.Organization, now), Live: true}
	r.app = feed.Application{ID: id.New(id.Application, now), Organization: org.ID, Live: true}
	r.put(feed.KindOrganization, org)
	r.put(feed.KindApplication, r.app)
	return r
}

func (r *records) put(k feed.Kind, payload any) {
	r.Helper()
	raw, err := json.Marshal(payload)
	if err != nil {
		r.Fatal(err)
	}
	if err := r.Apply(feed.Entry{Environment: "live", Kind: k, Payload: raw}); err != nil {
		r.Fatal(err)
	}
}

// marked makes a credential that is known by the mark.
func (r *records) marked(mark [32]byte, change func(*feed.Credential)) {
	r.Helper()
	i := id.New(id.Credential, now)
	c := feed.Credential{ID: i, Application: r.app.ID, Kind: "client_certificate", PublicID: string(i), Hash: mark[:], Live: true, Expires: now.Add(100 * time.Hour)}
	if change != nil {
		change(&c)
	}
	r.put(feed.KindCredential, c)
}

func (r *records) byThumb(p party, change func(*feed.Credential)) {
	r.marked(sha256.Sum256(p.Raw), change)
}

func (r *records) byName(authority, kind, value string) {
	r.marked(credential.NameMark(authority, kind, value), nil)
}

// shows is a request over a connection with that certificate.
func (r *records) shows(p party, presented ...party) *policy.Exchange {
	x := &policy.Exchange{Now: now, Access: r.View, TLS: &policy.TLS{Certificate: p.Certificate, Thumbprint: sha256.Sum256(p.Raw)}}
	for _, o := range presented {
		x.TLS.Presented = append(x.TLS.Presented, o.Certificate)
	}
	return x
}

func build(t *testing.T, as ...*authority.Authority) policy.Policy {
	t.Helper()
	p, err := clientcert.Kind().Build(json.RawMessage(`{}`), policy.Site{Route: &policy.RouteInfo{Environment: "live"}, Authorities: as},
		policy.Deps{Tokens: policy.NewTokens(), Revoked: func(a *authority.Authority) *policy.Revocations {
			seen := policy.NewRevocations()
			if len(a.Given) > 0 {
				seen.SawLists(&policy.ListSet{Lists: a.Given})
			}
			return seen
		}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func trusted(t *testing.T, name string, by ...party) *authority.Authority {
	t.Helper()
	s := authority.Settings{Name: name}
	for _, p := range by {
		s.Certificates += p.PEM()
	}
	a, err := authority.New(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// wants asks twice: the second time by what was kept.
func wants(t *testing.T, what string, p policy.Policy, x *policy.Exchange, code string) {
	t.Helper()
	for _, again := range []string{"", ", again"} {
		x.Principal = policy.Principal{}
		err := p.Request(x)
		got := ""
		if err != nil {
			got = fault.As(err).Code
		}
		if got != code {
			t.Errorf("%s%s: %q, want %q", what, again, got, code)
		}
		if (err == nil) != (x.Principal.Method != "") {
			t.Errorf("%s%s: %v, and the caller is known by %q", what, again, err, x.Principal.Method)
		}
	}
}

func TestCertificateByThumbprint(t *testing.T) {
	r := newRecords(t)
	p := build(t)
	good := made(t, nil, nil)
	r.byThumb(good, nil)
	wants(t, "an enrolled one", p, r.shows(good), "")
	x := r.shows(good)
	if err := p.Request(x); err != nil || !x.Principal.Constrained || x.Principal.Method != clientcert.Method || x.Principal.Expires != good.NotAfter.UnixMicro() {
		t.Errorf("%+v, %v", x.Principal, err)
	}
	twin := party{Key: good.Key} // the same names, number and key, signed anew
	der, err := x509.CreateCertificate(rand.Reader, good.Certificate, good.Certificate, good.Key.Public(), good.Key)
	if err != nil {
		t.Fatal(err)
	}
	if twin.Certificate, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	wants(t, "one of the same key that was never enrolled", p, r.shows(twin), "certificate-unknown")
	wants(t, "another's, with the enrolled one sent beside it", p, r.shows(made(t, nil, nil), good), "certificate-unknown")
	for what, c := range map[string]struct {
		cert   func(*x509.Certificate)
		record func(*feed.Credential)
		code   string
	}{
		"expired at this instant":       {func(c *x509.Certificate) { c.NotAfter = now }, nil, "certificate-dates"},
		"expired long ago":              {func(c *x509.Certificate) { c.NotBefore, c.NotAfter = now.Add(-48*time.Hour), now.Add(-24*time.Hour) }, nil, "certificate-dates"},
		"not yet valid":                 {func(c *x509.Certificate) { c.NotBefore = now.Add(time.Second) }, nil, "certificate-dates"},
		"valid from this instant":       {func(c *x509.Certificate) { c.NotBefore = now }, nil, ""},
		"revoked":                       {nil, func(c *feed.Credential) { c.Live, c.Ended = false, "revoked" }, "certificate-revoked"},
		"suspended":                     {nil, func(c *feed.Credential) { c.Live, c.Ended = false, "suspended" }, "certificate-suspended"},
		"pending":                       {nil, func(c *feed.Credential) { c.Live, c.Ended = false, "pending" }, "certificate-pending"},
		"whose record ends before it":   {nil, func(c *feed.Credential) { c.Expires = now }, "certificate-expired"},
		"whose mark is an API key's":    {nil, func(c *feed.Credential) { c.Kind = "api_key" }, "certificate-unknown"},
		"whose mark is a client's":      {nil, func(c *feed.Credential) { c.Kind = "oauth_client" }, "certificate-unknown"},
		"of an application that is not": {nil, func(c *feed.Credential) { c.Application = id.New(id.Application, now) }, "organization-not-live"},
	} {
		one := made(t, nil, c.cert)
		r.byThumb(one, c.record)
		wants(t, "one "+what, p, r.shows(one), c.code)
	}
}

// What a field of the request says of a certificate is nobody's proof: only the connection is asked.
func TestForwardedCertificatesAreNotHeeded(t *testing.T) {
	r := newRecords(t)
	p := build(t)
	good := made(t, nil, nil)
	r.byThumb(good, nil)
	fields := map[string]string{
		"X-Forwarded-Client-Cert": `Cert="` + url.QueryEscape(good.PEM()) + `"`, "X-Client-Cert": url.QueryEscape(good.PEM()), "X-SSL-Client-Cert": url.QueryEscape(good.PEM()),
		"X-SSL-Client-Verify": "SUCCESS", "X-ARR-ClientCert": "MIIB", "Client-Cert": ":MIIB:", "SSL-Client-Cert": url.QueryEscape(good.PEM()), "X-Client-Cert-Thumbprint": "ab",
	}
	stranger := made(t, nil, nil)
	for what, c := range map[string]struct {
		tls  *policy.TLS
		code string
	}{
		"without TLS":             {nil, "certificate-missing"},
		"without a certificate":   {&policy.TLS{}, "certificate-missing"},
		"with a thumbprint alone": {&policy.TLS{Thumbprint: sha256.Sum256(good.Raw)}, "certificate-missing"},
		"with a chain alone":      {&policy.TLS{Chain: []*x509.Certificate{good.Certificate}, Presented: []*x509.Certificate{good.Certificate}}, "certificate-missing"},
		"with another one":        {r.shows(stranger).TLS, "certificate-unknown"},
	} {
		x := &policy.Exchange{Now: now, Access: r.View, TLS: c.tls}
		for name, value := range fields {
			x.Request.Fields.AddString(name, value)
		}
		wants(t, what, p, x, c.code)
	}
	x := &policy.Exchange{Now: now, Access: r.View}
	if err := p.Request(x); !errors.Is(err, policy.ErrNothing) {
		t.Errorf("another method could not do in its place: %v", err)
	}
}

func TestCertificateByName(t *testing.T) {
	r := newRecords(t)
	root, other, twin := made(t, nil, signs("root")), made(t, nil, signs("other")), made(t, nil, signs("root"))
	between := made(t, &root, signs("between"))
	p := build(t, trusted(t, "partners", root))
	r.byName("partners", "dns", "one.example.org")
	r.byName("partners", "dns", "two.example.org")
	r.byName("elsewhere", "dns", "three.example.org")
	r.byName("partners", "uri", "spiffe://example.org/one")
	r.byName("partners", "email", "ops@example.org")
	spiffe := func(at string) func(*x509.Certificate) {
		return func(c *x509.Certificate) {
			u, err := url.Parse(at)
			if err != nil {
				t.Fatal(err)
			}
			c.URIs = []*url.URL{u}
		}
	}
	both := func(fs ...func(*x509.Certificate)) func(*x509.Certificate) {
		return func(c *x509.Certificate) {
			for _, f := range fs {
				f(c)
			}
		}
	}
	uses := func(us ...x509.ExtKeyUsage) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.ExtKeyUsage = us }
	}
	many := func(c *x509.Certificate) {
		for range 21 {
			c.DNSNames = append(c.DNSNames, "one.example.org")
		}
	}
	for what, c := range map[string]struct {
		by     *party
		change func(*x509.Certificate)
		beside []party
		code   string
	}{
		"of the authority":                         {&root, named("one.example.org"), nil, ""},
		"its name in capitals":                     {&root, named("ONE.Example.org"), nil, ""},
		"with a name of nobody beside it":          {&root, named("one.example.org", "nobody.example.org"), nil, ""},
		"by one between, which is sent too":        {&between, named("one.example.org"), []party{between}, ""},
		"by one between, which is not sent":        {&between, named("one.example.org"), nil, "certificate-unknown"},
		"a URI":                                    {&root, spiffe("spiffe://example.org/one"), nil, ""},
		"another authority":                        {&other, named("one.example.org"), nil, "certificate-unknown"},
		"another authority, which is sent too":     {&other, named("one.example.org"), []party{other}, "certificate-unknown"},
		"another authority of the same name":       {&twin, named("one.example.org"), []party{twin, root}, "certificate-unknown"},
		"signed by itself":                         {nil, named("one.example.org"), []party{root}, "certificate-unknown"},
		"names of two":                             {&root, named("one.example.org", "two.example.org"), nil, "certificate-ambiguous"},
		"names of two kinds of two":                {&root, both(named("one.example.org"), spiffe("spiffe://example.org/one")), nil, "certificate-ambiguous"},
		"a wildcard over the name":                 {&root, named("*.example.org"), nil, "certificate-unknown"},
		"a name that begins with it":               {&root, named("one.example.org.evil.example"), nil, "certificate-unknown"},
		"a name that ends with it":                 {&root, named("evil-one.example.org"), nil, "certificate-unknown"},
		"with the dot of the root":                 {&root, named("one.example.org."), nil, "certificate-unknown"},
		"a NUL after it":                           {&root, named("one.example.org\x00.evil.example"), nil, "certificate-unknown"},
		"two names in one":                         {&root, named("one.example.org,two.example.org"), nil, "certificate-unknown"},
		"the name as the common name alone":        {&root, func(c *x509.Certificate) { c.Subject.CommonName = "one.example.org" }, nil, "certificate-unknown"},
		"the host name as an e-mail address":       {&root, func(c *x509.Certificate) { c.EmailAddresses = []string{"one.example.org"} }, nil, "certificate-unknown"},
		"the e-mail address as a host name":        {&root, named("ops@example.org"), nil, "certificate-unknown"},
		"the name of another authority's":          {&root, named("three.example.org"), nil, "certificate-unknown"},
		"too many names":                           {&root, many, nil, "certificate-unknown"},
		"a URI with more behind it":                {&root, spiffe("spiffe://example.org/one/two"), nil, "certificate-unknown"},
		"a URI with dots":                          {&root, spiffe("spiffe://example.org/two/../one"), nil, "certificate-unknown"},
		"of a server":                              {&root, both(named("one.example.org"), uses(x509.ExtKeyUsageServerAuth)), nil, "certificate-use"},
		"for any use":                              {&root, both(named("one.example.org"), uses(x509.ExtKeyUsageAny)), nil, "certificate-use"},
		"for no use":                               {&root, both(named("one.example.org"), uses()), nil, "certificate-use"},
		"for signing mail":                         {&root, both(named("one.example.org"), uses(x509.ExtKeyUsageEmailProtection)), nil, "certificate-use"},
		"of an authority":                          {&root, both(named("one.example.org"), signs("root2")), nil, "certificate-use"},
		"expired":                                  {&root, both(named("one.example.org"), func(c *x509.Certificate) { c.NotAfter = now }), nil, "certificate-dates"},
		"not yet valid":                            {&root, both(named("one.example.org"), func(c *x509.Certificate) { c.NotBefore = now.Add(time.Minute) }), nil, "certificate-dates"},
		"expired, of another authority":            {&other, both(named("one.example.org"), func(c *x509.Certificate) { c.NotAfter = now }), nil, "certificate-unknown"},
		"by a client of the authority":             {clientOf(t, &root), named("one.example.org"), nil, "certificate-unknown"},
		"by a client that is sent as if one signs": {clientOf(t, &root), named("one.example.org"), []party{root}, "certificate-unknown"},
	} {
		wants(t, what, p, r.shows(made(t, c.by, c.change), c.beside...), c.code)
	}
}

// clientOf is a client's certificate, by whose key somebody tries to sign others.
func clientOf(t *testing.T, by *party) *party {
	p := made(t, by, named("one.example.org"))
	return &p
}

// The same name counts for who is bound to it at that authority, and for nobody at another one; and what one of several authorities
// has revoked is refused by whatever it is known.
func TestCertificatesOfSeveralAuthorities(t *testing.T) {
	r := newRecords(t)
	first, second := made(t, nil, signs("first")), made(t, nil, signs("second"))
	r.byName("first", "dns", "one.example.org")
	revoked := made(t, &second, named("two.example.org"))
	r.byThumb(revoked, nil)
	l := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: now.Add(-time.Hour), NextUpdate: now.Add(time.Hour),
		RevokedCertificateEntries: []x509.RevocationListEntry{{SerialNumber: revoked.SerialNumber, RevocationTime: now.Add(-time.Minute)}}}
	der, err := x509.CreateRevocationList(rand.Reader, l, second.Certificate, second.Key)
	if err != nil {
		t.Fatal(err)
	}
	lists, err := authority.New(authority.Settings{Name: "second", Certificates: second.PEM(), Lists: []string{string(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}))}})
	if err != nil {
		t.Fatal(err)
	}
	p := build(t, trusted(t, "first", first), lists)
	wants(t, "the first's", p, r.shows(made(t, &first, named("one.example.org"))), "")
	wants(t, "the second's with the same name", p, r.shows(made(t, &second, named("one.example.org"))), "certificate-unknown")
	wants(t, "one that was revoked, by its thumbprint", p, r.shows(revoked), "certificate-withdrawn")
	x := r.shows(made(t, &second, nil))
	x.Now = now.Add(2 * time.Hour)
	wants(t, "one of an authority whose list is too old", p, x, "certificate-status")
}

func TestAKnownCertificateAllocatesNothing(t *testing.T) {
	r := newRecords(t)
	root := made(t, nil, signs("root"))
	leaf := made(t, &root, named("one.example.org"))
	r.byName("partners", "dns", "one.example.org")
	p := build(t, trusted(t, "partners", root))
	x := r.shows(leaf)
	if n := testing.AllocsPerRun(100, func() {
		if err := p.Request(x); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
