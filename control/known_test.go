package control_test

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"gatehouse/authserver"
	"gatehouse/control"
	"gatehouse/credential"
	"gatehouse/grant"
)

// A client that asks again and again is not read again and again; what another control plane decides in between counts at once.
func TestTokensFollowWhatIsDecidedElsewhere(t *testing.T) {
	r := newRealm(t)
	cr, value := r.client(control.NewClient{Method: credential.ClientSecret})
	elsewhere := control.New(r.Options)
	ask := func() reply { return r.post("live", "token", grantType(), basic(cr, value)...) }
	live := must(r.Grants(r.ctx, r.operator, grant.Filter{Application: r.app.ID, Environment: "live"}, control.Page{}))(t).Items
	for range 2 {
		if got := ask(); got.status != 200 {
			t.Fatalf("at first: %d %s", got.status, got.raw)
		}
	}
	for _, step := range []struct {
		what string
		do   func() error
		want int
	}{
		{"a grant is suspended, of two", func() error { return second(elsewhere.SuspendGrant(r.ctx, r.operator, live[0].ID, 0, "a pause")) }, 200},
		{"both are", func() error { return second(elsewhere.SuspendGrant(r.ctx, r.operator, live[1].ID, 0, "a pause")) }, 400},
		{"one holds again", func() error { return second(elsewhere.ResumeGrant(r.ctx, r.operator, live[0].ID, 0, "go on")) }, 200},
		{"the organization is suspended", func() error {
			return second(elsewhere.SuspendOrganization(r.ctx, r.operator, r.a.Organization, 0, "a pause"))
		}, 401},
		{"it is not", func() error {
			return second(elsewhere.ResumeOrganization(r.ctx, r.operator, r.a.Organization, 0, "go on"))
		}, 200},
		{"the credential is suspended", func() error { return second(elsewhere.SuspendCredential(r.ctx, r.a, cr.ID, 0, "a pause")) }, 401},
		{"it is not any more", func() error { return second(elsewhere.ResumeCredential(r.ctx, r.a, cr.ID, 0, "go on")) }, 200},
		{"it is revoked", func() error { return second(elsewhere.RevokeCredential(r.ctx, r.a, cr.ID, 0, "lost")) }, 401},
	} {
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.what, err)
		}
		for n := range 2 {
			if got := ask(); got.status != step.want {
				t.Errorf("%s, asked %d times: %d %s, want %d", step.what, n+1, got.status, got.raw, step.want)
			}
		}
	}
}

// second leaves the object away.
func second[T any](_ T, err error) error { return err }

// Assertions that come at one time are noted together, and each counts once all the same, at two control planes and after a restart.
func TestAssertionsAtOneTimeCountOnce(t *testing.T) {
	r := newRealm(t)
	k := newKey(t)
	cr, _ := r.client(control.NewClient{Method: credential.PrivateKeyJWT, Keys: k.set()})
	var hs []http.Handler
	for _, c := range []*control.Control{r.Control, control.New(r.Options)} {
		h, err := authserver.New(authserver.Options{Control: c, Now: r.clock.Now})
		if err != nil {
			t.Fatal(err)
		}
		hs = append(hs, h)
	}
	const many, each = 24, 4
	var good [many]atomic.Int64
	var wg sync.WaitGroup
	forms := make([]string, many)
	for i := range forms {
		forms[i] = r.asserted(cr, k).Encode()
	}
	for i := range many * each {
		wg.Go(func() {
			switch w := posted(hs[i%2], forms[i/each]); w.Code {
			case 200:
				good[i/each].Add(1)
			case 401:
			default:
				t.Errorf("%d %s", w.Code, w.Body)
			}
		})
	}
	wg.Wait()
	for i := range good {
		if n := good[i].Load(); n != 1 {
			t.Errorf("assertion %d got %d tokens", i, n)
		}
	}
	h, _ := authserver.New(authserver.Options{Control: control.New(r.Options), Now: r.clock.Now})
	if w := posted(h, forms[0]); w.Code != 401 {
		t.Errorf("after a restart: %d %s", w.Code, w.Body)
	}
}

func posted(h http.Handler, form string, fields ...string) *httptest.ResponseRecorder {
	req := httptest.NewRequest(http.MethodPost, "/oauth/live/token", strings.NewReader(form))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i < len(fields); i += 2 {
		req.Header.Add(fields[i], fields[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	return w
}

// BenchmarkTokenByDPoP issues tokens that are bound to a key, to a client with a secret: each proof is verified and noted.
func BenchmarkTokenByDPoP(b *testing.B) {
	r := newRealm(b)
	cr, value := r.client(control.NewClient{Method: credential.ClientSecret, Constrain: credential.ByDPoP})
	h, _ := authserver.New(authserver.Options{Control: r.Control, Now: r.clock.Now})
	k := newKey(b)
	form, nonce := grantType().Encode(), r.DPoPNonce()
	proofs := make([]string, b.N)
	for i := range proofs {
		proofs[i] = k.sign(b, "dpop+jwt", true, map[string]any{"htm": "POST", "htu": "https://portal.test/oauth/live/token", "iat": r.clock.Now().Unix(), "jti": "n" + strconv.Itoa(i), "nonce": nonce})
	}
	var next atomic.Int64
	b.SetParallelism(16)
	b.ResetTimer()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			if w := posted(h, form, append(basic(cr, value), "DPoP", proofs[next.Add(1)-1])...); w.Code != 200 {
				b.Error(w.Body)
			}
		}
	})
}

// BenchmarkTokenByCertificate issues tokens to clients that an authority's certificates name (tls_client_auth). The handshake, in
// which the client proves that it has the key, is none of it.
func BenchmarkTokenByCertificate(b *testing.B) {
	r := newRealm(b)
	e := newPartnerCA(b, r.clock.Now())
	r.Control.Revoker = revoker{}
	r.publish(r.text + e.yaml(e.list(1)))
	cr, _ := r.client(control.NewClient{Method: credential.TLSAuth, Named: &credential.CertName{Authority: "partners", Kind: "dns", Value: "batch.example.org"}})
	h, _ := authserver.New(authserver.Options{Control: r.Control, Now: r.clock.Now})
	shown := e.client("batch.example.org")
	for b.Loop() {
		if got := r.showing(h, shown, "client_id", string(cr.ID)); got.status != 200 {
			b.Fatal(got.raw)
		}
	}
}
