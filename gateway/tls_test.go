package gateway_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"gatehouse/gateway"
	"gatehouse/policy"
)

// proof is a policy that says what the caller's connection has proven.
func proof() policy.Kind {
	return policy.Define("proof", policy.Respond, "Says what the connection has proven.", func(struct{}, policy.Site, policy.Deps) (policy.Policy, error) {
		return policy.Policy{Response: func(x *policy.Exchange) {
			said := "plain"
			if x.TLS != nil {
				said = fmt.Sprintf("%s %s verified=%v", tls.VersionName(x.TLS.Version), x.TLS.ServerName, x.TLS.Verified())
				if x.TLS.Certificate != nil {
					said += " " + hex.EncodeToString(x.TLS.Thumbprint[:])
				}
			}
			x.Response.Fields.SetString("X-Proof", said)
		}}, nil
	})
}

// selfSigned is a client's certificate that nobody has signed.
func selfSigned(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(2), NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// What a client's certificate proves reaches policies, on every codec and for every exchange of the connection.
func TestClientCertificates(t *testing.T) { both(t, testClientCertificates) }

func testClientCertificates(t *testing.T, codec gateway.Codec) {
	secure, pool := certificate(t)
	mine := selfSigned(t)
	sum := sha256.Sum256(mine.Certificate[0])
	print := hex.EncodeToString(sum[:])
	leaf, err := x509.ParseCertificate(mine.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	known := x509.NewCertPool()
	known.AddCert(leaf)
	for _, c := range []struct {
		name  string
		ask   tls.ClientAuthType
		trust *x509.CertPool
		show  bool
		want  string // "": no answer
	}{
		{"not asked", tls.NoClientCert, nil, true, "TLS 1.3  verified=false"},
		{"asked, none shown", tls.RequestClientCert, nil, false, "TLS 1.3  verified=false"},
		{"asked, any shown", tls.RequestClientCert, nil, true, "TLS 1.3  verified=false " + print},
		{"verified if shown, none shown", tls.VerifyClientCertIfGiven, known, false, "TLS 1.3  verified=false"},
		{"verified if shown", tls.VerifyClientCertIfGiven, known, true, "TLS 1.3  verified=true " + print},
		{"verified if shown, of a stranger", tls.VerifyClientCertIfGiven, pool, true, ""},
		{"required", tls.RequireAndVerifyClientCert, known, true, "TLS 1.3  verified=true " + print},
		{"required, none shown", tls.RequireAndVerifyClientCert, known, false, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := secure.Clone()
			server.ClientAuth, server.ClientCAs = c.ask, c.trust
			h := start(t, setup{codec: codec, secure: server})
			b := files(h.upstream.URL, "")
			b["gatehouse.yaml"] = []byte(strings.Replace(string(b["gatehouse.yaml"]), "policies: [anonymous]", "policies: [anonymous, proof]", 1))
			h.inForce(h.revise(b))
			client := &tls.Config{RootCAs: pool}
			if c.show {
				client.Certificates = []tls.Certificate{mine}
			}
			h.client.Transport.(*http.Transport).TLSClientConfig = client
			for range 2 {
				res, err := h.client.Get("https://" + h.addr + "/eid/v1/health")
				if err != nil {
					if c.want != "" {
						t.Fatal(err)
					}
					continue
				}
				a := read(t, res)
				if got := a.header.Get("X-Proof"); got != c.want || a.status != 200 {
					t.Errorf("the policy saw %q, want %q (%d)", got, c.want, a.status)
				}
			}
		})
	}
}

// Whoever begins a handshake and does not go on is cut at the deadline of a head, and holds nobody up who drains.
func TestSilentHandshakeIsCut(t *testing.T) {
	secure, _ := certificate(t)
	h := start(t, setup{secure: secure, limits: gateway.Limits{HeadTime: 100 * time.Millisecond}})
	c, err := net.Dial("tcp", h.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte{22, 3, 1}); err != nil {
		t.Fatal(err)
	}
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("it is answered")
	} else if ne, ok := err.(net.Error); ok && ne.Timeout() {
		t.Error("it is not cut")
	}
	again := start(t, setup{secure: secure}) // with ten seconds for a head; its clean-up drains
	if c, err = net.Dial("tcp", again.addr); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
}

// A request for a host whose certificate is another one than the connection showed is refused with 421 (RFC 9110 §15.5.20), on
// every codec; whoever asks for that host by a name of the connection's own, or without one, is answered.
func TestMisdirectedRequests(t *testing.T) { both(t, testMisdirectedRequests) }

func testMisdirectedRequests(t *testing.T, codec gateway.Codec) {
	secure, _ := certificate(t)
	h := start(t, setup{codec: codec, secure: secure})
	h.g.Apart(func(server, host string) bool { return host != "both.example" && server != host })
	for _, c := range []struct {
		server, host string
		status       int
		code         string
	}{
		{"a.example", "a.example", 200, ""}, {"a.example", "A.Example:8443", 200, ""}, {"a.example", "both.example", 200, ""},
		{"a.example", "b.example", 421, "misdirected-request"}, {"a.example", "b.example:443", 421, "misdirected-request"},
		{"a.example", "[::1]:443", 421, "misdirected-request"}, {"", "b.example", 200, ""},
	} {
		client := *h.client
		transport := h.client.Transport.(*http.Transport).Clone()
		transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: true, ServerName: c.server}
		transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, h.addr)
		}
		client.Transport = transport
		r, err := http.NewRequest("GET", "https://"+h.addr+"/eid/v1/health", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = c.host
		res, err := client.Do(r)
		if err != nil {
			t.Fatalf("%s over a connection for %q: %v", c.host, c.server, err)
		}
		a := read(t, res)
		transport.CloseIdleConnections()
		if c.status == 200 && a.status != 200 {
			t.Errorf("%s over a connection for %q is answered %d: %s", c.host, c.server, a.status, a.body)
		} else if c.status != 200 {
			a.want(t, c.status, c.code)
		}
	}
}
