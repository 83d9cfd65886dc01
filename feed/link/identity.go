package link

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"gatehouse/fault"
)

// Identity is who a gateway is, and whom it trusts. It is kept in a file of its own, which no other program may read.
type Identity struct {
	Joined
	Control string `json:"control"` // host:port that it dials
	Key     []byte `json:"key"`     // of the gateway, PKCS #8
}

// tokenBegin begins every enrolment token, so that leak scanners and people know one.
const tokenBegin = "ghe_"

// Token writes an enrolment token: its secret, and the pin of the anchor that the control plane shows.
func Token(secret string, anchor []byte) string {
	return tokenBegin + secret + "." + base64.RawURLEncoding.EncodeToString(Pin(anchor))
}

// Pin is the SHA-256 of an anchor's public key (SubjectPublicKeyInfo); nil of what is no certificate.
func Pin(der []byte) []byte {
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil
	}
	h := sha256.Sum256(c.RawSubjectPublicKeyInfo)
	return h[:]
}

// ParseToken takes an enrolment token apart.
func ParseToken(token string) (secret string, pin []byte, err error) {
	rest, ok := strings.CutPrefix(strings.TrimSpace(token), tokenBegin)
	secret, text, two := strings.Cut(rest, ".")
	pin, e := base64.RawURLEncoding.DecodeString(text)
	if !ok || !two || e != nil || len(pin) != sha256.Size || secret == "" {
		return "", nil, fault.New(fault.Invalid, "this is not an enrolment token: 'gatehouse gateways enrol' prints one, and it begins with %s", tokenBegin)
	}
	return secret, pin, nil
}

// NewKey makes the key of a gateway.
func NewKey() ([]byte, error) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	return x509.MarshalPKCS8PrivateKey(k)
}

func parseKey(der []byte) (*ecdsa.PrivateKey, error) {
	k, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, err
	}
	e, ok := k.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%T is not a key of a gateway", k)
	}
	return e, nil
}

func request(k *ecdsa.PrivateKey) ([]byte, error) {
	return x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, k)
}

// Enrol uses the token up and returns the identity that it gives. The control plane must show the anchor whose pin the token
// carries: so the secret goes to nobody else.
func Enrol(ctx context.Context, control, token, version string, now time.Time) (Identity, error) {
	return EnrolFor(ctx, control, "", token, version, now)
}

// EnrolFor is Enrol for a gateway that is meant for one environment: a token of another one is refused, and not used up.
func EnrolFor(ctx context.Context, control, environment, token, version string, now time.Time) (Identity, error) {
	var i Identity
	_, pin, err := ParseToken(token)
	if err != nil {
		return i, err
	}
	if i.Key, err = NewKey(); err != nil {
		return i, err
	}
	k, err := parseKey(i.Key)
	if err != nil {
		return i, err
	}
	csr, err := request(k)
	if err != nil {
		return i, err
	}
	t := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS13, ServerName: serverName,
		InsecureSkipVerify: true, // VerifyConnection does it: the anchor is known by its pin alone
		VerifyConnection:   func(c tls.ConnectionState) error { return pinned(c, pin, now) }}}
	defer t.CloseIdleConnections()
	body, err := json.Marshal(Joining{Token: strings.TrimSpace(token), Request: csr, Version: version, Environment: environment, Now: now.UTC()})
	if err != nil {
		return i, err
	}
	res, err := post(ctx, t, "https://"+control+"/feed/v1/enrol", body)
	if err != nil {
		return i, err
	}
	defer res.Body.Close()
	if err := json.NewDecoder(io.LimitReader(res.Body, 1<<20)).Decode(&i.Joined); err != nil {
		return i, fault.New(fault.Unavailable, "the answer to the enrolment cannot be read").Because(err)
	}
	i.Control = control
	return i, nil
}

// pinned accepts a chain that ends at an anchor with the pin.
func pinned(c tls.ConnectionState, pin []byte, now time.Time) error {
	for _, a := range c.PeerCertificates {
		h := sha256.Sum256(a.RawSubjectPublicKeyInfo)
		if !a.IsCA || subtle.ConstantTimeCompare(h[:], pin) != 1 {
			continue
		}
		roots := x509.NewCertPool()
		roots.AddCert(a)
		_, err := c.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots, DNSName: serverName, CurrentTime: now})
		return err
	}
	return errors.New("what answers there is not the control plane that made the token, or its anchor has changed since: check the address, or make another token")
}

func post(ctx context.Context, t http.RoundTripper, url string, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	return answered(t.RoundTrip(req))
}

// answered turns what the control plane refuses into its fault.
func answered(res *http.Response, err error) (*http.Response, error) {
	if err != nil {
		return nil, fault.New(fault.Unavailable, "the control plane cannot be reached").Because(err)
	}
	if res.StatusCode == http.StatusOK {
		return res, nil
	}
	defer res.Body.Close()
	var f refused
	if json.NewDecoder(io.LimitReader(res.Body, 64<<10)).Decode(&f) != nil || f.Text == "" {
		return nil, fault.New(fault.Unavailable, "the control plane answers %s", res.Status)
	}
	return nil, f.fault()
}

// keeper holds the identity that is current.
type keeper struct {
	now  func() time.Time
	mu   sync.Mutex
	id   Identity
	key  *ecdsa.PrivateKey
	cert tls.Certificate
	pool *x509.CertPool
}

func newKeeper(i Identity, now func() time.Time) (*keeper, error) {
	k := &keeper{now: now}
	var err error
	if k.key, err = parseKey(i.Key); err != nil {
		return nil, fmt.Errorf("the identity of the gateway cannot be used: %w", err)
	}
	return k, k.use(i)
}

// use makes an identity the current one.
func (k *keeper) use(i Identity) error {
	p, err := pool(i.Anchors)
	if err != nil {
		return err
	}
	if len(i.Chain) == 0 {
		return errors.New("the identity of the gateway has no certificate")
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.id, k.pool = i, p
	k.cert = tls.Certificate{Certificate: i.Chain, PrivateKey: k.key}
	return nil
}

func (k *keeper) current() Identity {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.id
}

// tls is how the control plane is dialled now.
func (k *keeper) tls() *tls.Config {
	k.mu.Lock()
	defer k.mu.Unlock()
	cert := k.cert
	return &tls.Config{MinVersion: tls.VersionTLS13, ServerName: serverName, RootCAs: k.pool, Time: k.now,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cert, nil }}
}

func (k *keeper) sign(receipt []byte) ([]byte, error) {
	h := sha256.Sum256(receiptSigned(receipt))
	return ecdsa.SignASN1(rand.Reader, k.key, h[:])
}

// due reports whether a third of the certificate's life has passed.
func (k *keeper) due(now time.Time) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	c, err := x509.ParseCertificate(k.cert.Certificate[0])
	return err == nil && now.After(c.NotBefore.Add(c.NotAfter.Sub(c.NotBefore)/3))
}
