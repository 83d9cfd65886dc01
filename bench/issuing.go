package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// issuingClients is how many OAuth clients ask at one time, each over a connection of its own that is kept. Of all cases together
// there are fewer than an application may have.
const issuingClients = 24

// issuing is a line of the result.
type issuing struct {
	Bench  string  `json:"bench"`
	Case   string  `json:"case"`
	Rounds int     `json:"rounds"`
	Rate   float64 `json:"tokens_per_second"`       // median of the rounds
	CPU    float64 `json:"cpu_us_per_token"`        // of the whole process: HTTP, the store, the sequencer and the gateway included
	PerCPU float64 `json:"tokens_per_cpu_second"`   // what one core could do
	P50    float64 `json:"p50_ms"`                  // median of the rounds'
	P99    float64 `json:"p99_ms"`                  // likewise
	Cores  float64 `json:"cores_used_while_asked"`  // by the process
	Reach  bool    `json:"1000_per_core_is_passed"` // by processor time
}

// oauthClient is one client, with what it proves itself by.
type oauthClient struct {
	house      *house
	id, secret string
	issuer     string
	resource   string            // the API that its tokens are for
	key, bound *ecdsa.PrivateKey // nil: none
	nonce      string
	n          int
	http       *http.Client
}

// measureTokens asks the token endpoint of the real program, which may use one core, for as many tokens as it makes.
func measureTokens(ctx context.Context, o options, out, log io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "gatehouse-tokens-")
	if err != nil {
		return err
	}
	l := &lab{options: o, dir: dir, log: log, houses: map[string]*house{}}
	defer func() { err = errors.Join(err, l.close(), os.RemoveAll(dir)) }()
	answers, err := net.Listen("tcp", "127.0.0.1:0") // an upstream for the one call that shows that the gateway serves
	if err != nil {
		return err
	}
	upstream := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "{}") }), ReadHeaderTimeout: time.Minute}
	go func() { _ = upstream.Serve(answers) }()
	defer func() { err = errors.Join(err, upstream.Close()) }()
	l.upstream = answers.Addr().String()
	l.cores = 1
	h, err := l.gatehouse(ctx, "tokens", 0, false)
	if err != nil {
		return err
	}
	rounds := o.rounds
	if o.short {
		rounds = 1
	}
	for _, c := range []struct {
		name, method string
		dpop         bool
	}{{"secret", "client_secret", false}, {"private_key_jwt", "private_key_jwt", false}, {"secret, DPoP", "client_secret", true}, {"private_key_jwt, DPoP (FAPI 2.0)", "private_key_jwt", true}} {
		if o.kase != "" && !strings.Contains(c.name, o.kase) {
			continue
		}
		clients, err := h.clients(ctx, c.method, c.dpop)
		if err != nil {
			return err
		}
		t := issuing{Bench: "tokens", Case: c.name, Rounds: rounds}
		var rates, costs, cores, p50s, p99s []float64
		for n := range rounds + 1 {
			rate, cost, p50, p99, err := h.issue(ctx, clients, o.spell)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			if n > 0 { // the first one is to warm up
				rates, costs, cores, p50s, p99s = append(rates, rate), append(costs, cost), append(cores, rate*cost/1e6), append(p50s, p50), append(p99s, p99)
			}
		}
		t.Rate, t.CPU, t.Cores, t.P50, t.P99 = median(rates), median(costs), median(cores), median(p50s), median(p99s)
		t.PerCPU = 1e6 / t.CPU
		t.Reach = t.PerCPU >= 1000
		if err := json.NewEncoder(out).Encode(t); err != nil {
			return err
		}
		fmt.Fprintf(log, "%-34s %7.0f tokens/s  %6.0f µs of processor each (%.0f a second of one core)  p50 %6.1f ms  p99 %6.1f ms\n", t.Case, t.Rate, t.CPU, t.PerCPU, t.P50, t.P99)
	}
	return nil
}

// clients registers OAuth clients that prove themselves by the method.
func (h *house) clients(ctx context.Context, method string, dpop bool) (out []*oauthClient, err error) {
	for range issuingClients {
		c := &oauthClient{house: h, http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1}}}
		in := map[string]any{"application": h.application, "environment": "live", "name": "bench " + method, "lifetime": "30d", "method": method}
		if method == "private_key_jwt" {
			if c.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
				return nil, err
			}
			k := jwkOf(c.key)
			k["alg"], k["use"] = "ES256", "sig"
			in["jwks"] = map[string]any{"keys": []any{k}}
		}
		if dpop {
			in["constrain"] = "dpop"
			if c.bound, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
				return nil, err
			}
		}
		var made struct {
			ID     string `json:"client_id"`
			Secret string `json:"client_secret"`
			Issuer string `json:"issuer"`
		}
		if err := h.ask(ctx, h.member, "POST", "/api/oauth-clients", in, &made); err != nil {
			return nil, err
		}
		c.id, c.secret, c.issuer = made.ID, made.Secret, made.Issuer
		out = append(out, c)
	}
	var issuer struct{ Audience string } // it is there since the first client
	err = h.ask(ctx, h.member, "GET", "/api/environments/live/issuer", nil, &issuer)
	for _, c := range out {
		c.resource = issuer.Audience + "/token/v1"
	}
	return out, err
}

// issue lets all clients ask for so long, one token after another, and returns tokens a second, and for each its microseconds of
// the program's processor time and the milliseconds that it took.
func (h *house) issue(ctx context.Context, clients []*oauthClient, spell time.Duration) (rate, cost, p50, p99 float64, err error) {
	before, err := h.spent()
	if err != nil {
		return 0, 0, 0, 0, err
	}
	bound, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	began := time.Now()
	took := make([][]float64, len(clients))
	errs := make([]error, len(clients))
	var wg sync.WaitGroup
	for i, c := range clients {
		wg.Go(func() {
			for time.Since(began) < spell && errs[i] == nil {
				at := time.Now()
				errs[i] = c.token(bound)
				took[i] = append(took[i], float64(time.Since(at).Microseconds())/1000)
			}
		})
	}
	wg.Wait()
	whole := time.Since(began).Seconds()
	after, err := h.spent()
	if err = errors.Join(append(errs, err)...); err != nil {
		return 0, 0, 0, 0, err
	}
	all := slices.Concat(took...)
	slices.Sort(all)
	n := float64(len(all))
	return n / whole, float64((after - before).Microseconds()) / n, all[len(all)/2], all[len(all)*99/100], nil
}

// token gets one token, and asks again when the first answer only tells the nonce.
func (c *oauthClient) token(ctx context.Context) error {
	form := url.Values{"grant_type": {"client_credentials"}, "resource": {c.resource}}
	at := c.house.portal + "/oauth/live/token"
	for try := 0; ; try++ {
		if c.key != nil {
			form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
			form.Set("client_assertion", c.sign(c.key, map[string]any{"typ": "JWT", "alg": "ES256"}, map[string]any{"iss": c.id, "sub": c.id, "aud": c.issuer}))
		}
		r, err := http.NewRequestWithContext(ctx, "POST", at, strings.NewReader(form.Encode()))
		if err != nil {
			return err
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if c.key == nil {
			r.SetBasicAuth(c.id, c.secret)
		}
		if c.bound != nil {
			r.Header.Set("DPoP", c.sign(c.bound, map[string]any{"typ": "dpop+jwt", "alg": "ES256", "jwk": jwkOf(c.bound)}, map[string]any{"htm": "POST", "htu": c.issuer + "/token", "nonce": c.nonce}))
		}
		res, err := c.http.Do(r)
		if err != nil {
			return err
		}
		b, err := io.ReadAll(res.Body)
		if err = errors.Join(err, res.Body.Close()); err != nil {
			return err
		}
		if n := res.Header.Get("DPoP-Nonce"); n != "" {
			c.nonce = n
		}
		switch {
		case res.StatusCode == http.StatusOK:
			return nil
		case try > 0 || !strings.Contains(string(b), "use_dpop_nonce"):
			return fmt.Errorf("no token: %d %s", res.StatusCode, b)
		}
	}
}

// sign makes a JWT of a minute that has not been there before.
func (c *oauthClient) sign(key *ecdsa.PrivateKey, head, claims map[string]any) string {
	now := time.Now().Unix()
	c.n++
	claims["jti"], claims["iat"], claims["exp"] = fmt.Sprintf("%s-%d-%s", c.id, c.n, rand.Text()), now, now+60
	part := func(v any) string {
		b, _ := json.Marshal(v) // of texts and numbers
		return base64.RawURLEncoding.EncodeToString(b)
	}
	text := part(head) + "." + part(claims)
	sum := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
	if err != nil {
		return ""
	}
	var sig [64]byte
	r.FillBytes(sig[:32])
	s.FillBytes(sig[32:])
	return text + "." + base64.RawURLEncoding.EncodeToString(sig[:])
}

// jwkOf is the public key as a JWK.
func jwkOf(key *ecdsa.PrivateKey) map[string]any {
	p, err := key.PublicKey.Bytes()
	if err != nil {
		return nil
	}
	return map[string]any{"kty": "EC", "crv": "P-256", "x": base64.RawURLEncoding.EncodeToString(p[1:33]), "y": base64.RawURLEncoding.EncodeToString(p[33:])}
}

// median is the one in the middle.
func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}
