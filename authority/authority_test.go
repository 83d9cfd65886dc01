package authority_test

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"gatehouse/authority"
	"gatehouse/authority/authoritytest"
)

var now = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

type party = authoritytest.Party

func made(t *testing.T, by *party, change func(*x509.Certificate)) party {
	t.Helper()
	return authoritytest.Made(t, now, by, change)
}

func signs(name string) func(*x509.Certificate) { return authoritytest.Signs(name, now) }

func list(t *testing.T, by party, number int64, this, next time.Time, revoked ...party) string {
	t.Helper()
	l := &x509.RevocationList{Number: big.NewInt(number), ThisUpdate: this, NextUpdate: next}
	for _, r := range revoked {
		l.RevokedCertificateEntries = append(l.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: r.SerialNumber, RevocationTime: now.Add(-time.Minute)})
	}
	der, err := x509.CreateRevocationList(rand.Reader, l, by.Certificate, by.Key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}))
}

func TestRevocationLists(t *testing.T) {
	root := made(t, nil, signs("root"))
	between := made(t, &root, signs("between"))
	other := made(t, nil, signs("root")) // of the same name, with another key
	leaf := made(t, &between, nil)
	hour := func(n int) time.Time { return now.Add(time.Duration(n) * time.Hour) }
	for what, c := range map[string]struct {
		lists   []string
		lenient bool
		want    error
	}{
		"good":                              {lists: []string{list(t, between, 1, hour(-1), hour(1))}},
		"revoked":                           {lists: []string{list(t, between, 1, hour(-1), hour(1), leaf)}, want: authority.ErrRevoked},
		"revoked by one that is too old":    {lists: []string{list(t, between, 1, hour(-3), hour(-2), leaf)}, want: authority.ErrRevoked},
		"revoked, and lenient":              {lists: []string{list(t, between, 1, hour(-3), hour(-2), leaf)}, lenient: true, want: authority.ErrRevoked},
		"too old":                           {lists: []string{list(t, between, 1, hour(-3), hour(-2))}, want: authority.ErrUnknown},
		"too old, and lenient":              {lists: []string{list(t, between, 1, hour(-3), hour(-2))}, lenient: true},
		"of the future":                     {lists: []string{list(t, between, 1, hour(1), hour(2))}, want: authority.ErrUnknown},
		"the one between revoked":           {lists: []string{list(t, between, 1, hour(-1), hour(1)), list(t, root, 1, hour(-1), hour(1), between)}, want: authority.ErrRevoked},
		"the list above too old":            {lists: []string{list(t, between, 1, hour(-1), hour(1)), list(t, root, 1, hour(-3), hour(-2))}, want: authority.ErrUnknown},
		"of the one above alone":            {lists: []string{list(t, root, 1, hour(-1), hour(1))}, want: authority.ErrUnknown},
		"somebody of the same name signed":  {lists: []string{list(t, other, 1, hour(-1), hour(1))}, want: errWrong},
		"a client signed it":                {lists: []string{strings.Replace(list(t, between, 1, hour(-1), hour(1)), "X509 CRL", "CERTIFICATE", 2)}, want: errWrong},
		"none that is, and one is asked of": {lists: []string{"https://ca.example/crl"}, want: authority.ErrUnknown},
		"nobody looks":                      {},
	} {
		a, err := authority.New(authority.Settings{Name: "ca", Certificates: root.PEM(), Intermediates: between.PEM(), Lists: c.lists, Lenient: c.lenient})
		if err != nil {
			if c.want != errWrong {
				t.Errorf("%s: %v", what, err)
			}
			continue
		}
		v, err := a.Verify(leaf.Certificate, nil, authority.Known{Lists: a.Given}, now)
		if err != c.want {
			t.Errorf("%s: %v, want %v", what, err, c.want)
		}
		if err == nil && len(a.Given) > 0 && !c.lenient && !v.Until.Equal(hour(1)) {
			t.Errorf("%s: it holds until %v", what, v.Until)
		}
	}
}

var errWrong = errors.New("the settings are refused")

// The authority's own certificate is no client's: nobody could revoke it, and that it is lenient does not let it in.
func TestAnchorsAreNoClients(t *testing.T) {
	root := made(t, nil, signs("root"))
	between := made(t, &root, signs("between"))
	leaf := made(t, &between, nil)
	for _, lists := range [][]string{nil, {list(t, root, 1, now.Add(-time.Hour), now.Add(time.Hour))}, {"https://ca.example/crl"}} {
		for _, lenient := range []bool{false, true} {
			a, err := authority.New(authority.Settings{Name: "ca", Certificates: root.PEM() + between.PEM(), Lists: lists, Lenient: lenient})
			if err != nil {
				t.Fatal(err)
			}
			for name, c := range map[string]party{"the root": root, "the one between, which is trusted itself": between} {
				if _, err := a.Verify(c.Certificate, []*x509.Certificate{root.Certificate}, authority.Known{Lists: a.Given}, now); err != authority.ErrUse {
					t.Errorf("%s, lenient %v: %v", name, lenient, err)
				}
			}
			if _, err := a.Verify(leaf.Certificate, nil, authority.Known{Lists: a.Given}, now); len(lists) == 0 && err != nil {
				t.Errorf("a client: %v", err)
			}
		}
	}
}

func TestListsOnlyGrow(t *testing.T) {
	root := made(t, nil, signs("root"))
	a, err := authority.New(authority.Settings{Name: "ca", Certificates: root.PEM(), Lists: []string{list(t, root, 5, now, now.Add(time.Hour)), list(t, root, 4, now, now.Add(time.Hour))}})
	if err != nil {
		t.Fatal(err)
	}
	if five, four := a.Given[0], a.Given[1]; four.Newer(five) || !five.Newer(four) || !five.Newer(nil) {
		t.Error("an older list replaces a newer one")
	}
}

func TestAnswers(t *testing.T) {
	root := made(t, nil, signs("root"))
	leaf := made(t, &root, nil)
	another := made(t, &root, nil)
	delegate := made(t, &root, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning} })
	old := made(t, &root, func(c *x509.Certificate) {
		c.ExtKeyUsage, c.NotAfter = []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}, now.Add(-time.Minute)
	})
	stranger := made(t, nil, signs("root"))
	say := func(by party, of party, status int, this, next time.Time) []byte {
		r := ocsp.Response{Status: status, SerialNumber: of.SerialNumber, ThisUpdate: this, NextUpdate: next, RevokedAt: now.Add(-time.Hour), IssuerHash: crypto.SHA1}
		if by.Certificate != root.Certificate {
			r.Certificate = by.Certificate
		}
		raw, err := ocsp.CreateResponse(root.Certificate, by.Certificate, r, by.Key)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	soon := now.Add(time.Hour)
	a, err := authority.New(authority.Settings{Name: "ca", Certificates: root.PEM(), Responder: "https://ocsp.example"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Verify(leaf.Certificate, nil, authority.Known{}, now); err != authority.ErrUnknown {
		t.Errorf("before it was asked: %v", err)
	}
	for what, c := range map[string]struct {
		raw     []byte
		refused bool
		want    error
	}{
		"good":                         {raw: say(root, leaf, ocsp.Good, now, soon)},
		"revoked":                      {raw: say(root, leaf, ocsp.Revoked, now, soon), want: authority.ErrRevoked},
		"by whom the authority chose":  {raw: say(delegate, leaf, ocsp.Good, now, soon)},
		"by another client":            {raw: say(another, leaf, ocsp.Good, now, soon), refused: true},
		"by the client itself":         {raw: say(leaf, leaf, ocsp.Good, now, soon), refused: true},
		"by a responder that is over":  {raw: say(old, leaf, ocsp.Good, now, soon), refused: true},
		"by somebody of the same name": {raw: say(stranger, leaf, ocsp.Good, now, soon), refused: true},
		"about another":                {raw: say(root, another, ocsp.Good, now, soon), refused: true},
		"unknown":                      {raw: say(root, leaf, ocsp.Unknown, now, soon), refused: true},
		"too old":                      {raw: say(root, leaf, ocsp.Good, now.Add(-2*time.Hour), now.Add(-time.Hour)), refused: true},
		"of the future":                {raw: say(root, leaf, ocsp.Good, now.Add(time.Hour), now.Add(2*time.Hour)), refused: true},
		"without an end, old":          {raw: say(root, leaf, ocsp.Good, now.Add(-time.Hour), time.Time{}), refused: true},
		"without an end":               {raw: say(root, leaf, ocsp.Good, now, time.Time{})},
		"try later":                    {raw: ocsp.TryLaterErrorResponse, refused: true},
		"nothing":                      {raw: nil, refused: true},
		"cut off":                      {raw: say(root, leaf, ocsp.Good, now, soon)[:60], refused: true},
	} {
		answer, err := authority.ReadAnswer(c.raw, leaf.Certificate, root.Certificate, now)
		if (err != nil) != c.refused {
			t.Errorf("%s: %v", what, err)
		}
		if err != nil {
			continue
		}
		if _, err := a.Verify(leaf.Certificate, nil, authority.Known{Answer: answer}, now); err != c.want {
			t.Errorf("%s: %v, want %v", what, err, c.want)
		}
		if _, err := a.Verify(another.Certificate, nil, authority.Known{Answer: answer}, now); err != authority.ErrUnknown {
			t.Errorf("%s: the answer speaks for another certificate: %v", what, err)
		}
		if _, err := a.Verify(leaf.Certificate, nil, authority.Known{Answer: answer}, now.Add(3*time.Hour)); err == nil {
			t.Errorf("%s: the answer holds for ever", what)
		}
	}
}

func TestNamesAndUse(t *testing.T) {
	root := made(t, nil, signs("root"))
	a, err := authority.New(authority.Settings{Name: "ca", Certificates: root.PEM()})
	if err != nil {
		t.Fatal(err)
	}
	leaf := made(t, &root, func(c *x509.Certificate) {
		c.Subject = pkix.Name{Country: []string{"EE"}, Organization: []string{"Partner, Ltd"}, CommonName: "client"}
		c.DNSNames, c.EmailAddresses = []string{"Client.example.org", "*.example.org"}, []string{"a@example.org"}
		c.URIs, c.IPAddresses = []*url.URL{{Scheme: "spiffe", Host: "example.org", Path: "/x"}}, []net.IP{net.IPv4(192, 0, 2, 7).To4()}
	})
	got := map[authority.Name]bool{}
	for _, n := range authority.Names(leaf.Certificate) {
		got[n] = true
		if why := authority.CheckName(n); why != "" {
			t.Errorf("%v: %s", n, why)
		}
	}
	for _, n := range []authority.Name{{authority.DNS, "client.example.org"}, {authority.URI, "spiffe://example.org/x"}, {authority.IP, "192.0.2.7"}, {authority.Email, "a@example.org"},
		{authority.Subject, `CN=client,O=Partner\, Ltd,C=EE`}} {
		if !got[n] {
			t.Errorf("%v is missing: %v", n, got)
		}
	}
	if len(got) != 5 {
		t.Errorf("%v", got)
	}
	for _, n := range []authority.Name{{authority.DNS, "*.example.org"}, {authority.DNS, "192.0.2.7"}, {authority.DNS, "A.example"}, {authority.URI, "no"}, {authority.IP, "192.0.2.07"}, {authority.IP, "2001:DB8::1"},
		{authority.Email, "@example.org"}, {authority.Subject, "client"}, {authority.Subject, "CN=client, O=Partner"}, {authority.Subject, "CN=a\nb"}, {"other", "x"}, {}} {
		if authority.CheckName(n) == "" {
			t.Errorf("%v identifies somebody", n)
		}
	}
	if err := a.ForClients(leaf.Certificate, nil, now); err != nil {
		t.Error(err)
	}
	for what, change := range map[string]func(*x509.Certificate){
		"of a server":        func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} },
		"for anything":       func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageAny} },
		"for nothing":        func(c *x509.Certificate) { c.ExtKeyUsage = nil },
		"of an authority":    func(c *x509.Certificate) { c.IsCA, c.KeyUsage = true, x509.KeyUsageCertSign },
		"that only encrypts": func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment },
	} {
		one := made(t, &root, change)
		if err := a.ForClients(one.Certificate, nil, now); err != authority.ErrUse {
			t.Errorf("a certificate %s: %v", what, err)
		}
	}
	for what, text := range map[string]string{"a client's": leaf.PEM(), "nothing": "", "text": "x", "a key": root.PEM() + "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "rest": root.PEM() + "rest"} {
		if _, err := authority.New(authority.Settings{Name: "ca", Certificates: text}); err == nil {
			t.Errorf("%s is taken for an authority", what)
		}
	}
	stranger := made(t, nil, signs("stranger"))
	if _, err := authority.New(authority.Settings{Name: "ca", Certificates: root.PEM(), Intermediates: stranger.PEM()}); err == nil {
		t.Error("one between that leads nowhere is taken")
	}
}
