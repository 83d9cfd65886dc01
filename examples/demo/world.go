package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// world is what a partner and an operator have around Gatehouse: an authority that signs the certificates of listeners and clients,
// an OpenID Connect issuer, and a place where a client publishes its keys.
type world struct {
	pool    *x509.CertPool
	caFile  string // its certificate, in PEM
	caCert  *x509.Certificate
	caKey   crypto.Signer
	address string // of the issuer, without a path
	issuer  key    // by which the issuer signs
	keys    key    // of the client that publishes them
	server  *http.Server
	ended   sync.WaitGroup
}

// start makes the authority, writes what listeners need to dir, and serves on loopback.
func (o *world) start(dir string) error {
	var err error
	if o.issuer, err = newKey("issuer-1"); err != nil {
		return err
	}
	if o.keys, err = newKey("client-1"); err != nil {
		return err
	}
	if err := o.authority(dir); err != nil {
		return err
	}
	pair, err := o.listener(dir)
	if err != nil {
		return err
	}
	n, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}})
	if err != nil {
		return err
	}
	_, port, err := net.SplitHostPort(n.Addr().String())
	if err != nil {
		return err
	}
	o.address = "https://localhost:" + port
	mux := http.NewServeMux()
	answer := func(path string, body any) {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(body) // who does not read it has no use for it
		})
	}
	answer("/.well-known/openid-configuration", map[string]any{"issuer": o.address, "jwks_uri": o.address + "/issuer/jwks", "id_token_signing_alg_values_supported": []string{"ES256"}})
	answer("/issuer/jwks", o.issuer.set())
	answer("/client/jwks", o.keys.set())
	o.server = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	o.ended.Go(func() { _ = o.server.Serve(n) })
	return nil
}

func (o *world) stop() error {
	if o.server == nil {
		return nil
	}
	err := o.server.Close()
	o.ended.Wait()
	o.server = nil
	return err
}

// authority makes the root that signs the listeners' certificates.
func (o *world) authority(dir string) error {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	o.caKey = k
	root := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "the story's authority"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(91 * 24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign}
	der, err := x509.CreateCertificate(rand.Reader, root, root, k.Public(), k)
	if err != nil {
		return err
	}
	if o.caCert, err = x509.ParseCertificate(der); err != nil {
		return err
	}
	o.pool = x509.NewCertPool()
	o.pool.AddCert(o.caCert)
	o.caFile = filepath.Join(dir, "authority.pem")
	return os.WriteFile(o.caFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600)
}

// listener makes the certificate that every listener of the story shows, in listener.pem and listener.key.
func (o *world) listener(dir string) (tls.Certificate, error) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "localhost"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, leaf, o.caCert, k.Public(), o.caKey)
	if err != nil {
		return tls.Certificate{}, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		return tls.Certificate{}, err
	}
	for file, block := range map[string]*pem.Block{"listener.pem": {Type: "CERTIFICATE", Bytes: der}, "listener.key": {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(filepath.Join(dir, file), pem.EncodeToMemory(block), 0o600); err != nil {
			return tls.Certificate{}, err
		}
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: k}, nil
}

// by is a client that shows a certificate, or none.
func (o *world) by(own ...tls.Certificate) *http.Client {
	return newClient(&tls.Config{RootCAs: o.pool, Certificates: own})
}

// selfSigned makes a certificate that nobody has signed, and its thumbprint.
func selfSigned(name string) (tls.Certificate, string, error) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, "", err
	}
	own := &x509.Certificate{SerialNumber: big.NewInt(3), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, own, own, k.Public(), k)
	if err != nil {
		return tls.Certificate{}, "", err
	}
	sum := sha256.Sum256(der)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: k}, text64(sum[:]), nil
}

// key signs with ES256 under a name.
type key struct {
	id string
	k  *ecdsa.PrivateKey
}

func newKey(id string) (key, error) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	return key{id, k}, err
}

func text64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// public is the key as a JWK (RFC 7517), without its private half.
func (k key) public() map[string]string {
	point, err := k.k.PublicKey.Bytes()
	if err != nil {
		panic(err) // a key that was just made has a point
	}
	return map[string]string{"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": k.id, "x": text64(point[1:33]), "y": text64(point[33:])}
}

func (k key) set() map[string]any { return map[string]any{"keys": []any{k.public()}} }

// sign makes a JWS in compact form (RFC 7515) of claims, with header fields beside alg.
func (k key) sign(header, claims map[string]any) (string, error) {
	header["alg"] = "ES256"
	h, err := json.Marshal(header)
	if err != nil {
		return "", err
	}
	c, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	input := text64(h) + "." + text64(c)
	sum := sha256.Sum256([]byte(input))
	r, s, err := ecdsa.Sign(rand.Reader, k.k, sum[:])
	if err != nil {
		return "", err
	}
	var b [64]byte
	r.FillBytes(b[:32])
	s.FillBytes(b[32:])
	return input + "." + text64(b[:]), nil
}

// assertion is how a client proves itself at the token endpoint (RFC 7523).
func (k key) assertion(client, issuer string) (string, error) {
	now := time.Now()
	return k.sign(map[string]any{"typ": "JWT", "kid": k.id}, map[string]any{"iss": client, "sub": client, "aud": issuer, "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(), "jti": rand.Text()})
}

// proof is a DPoP proof (RFC 9449) for one request; access is the token that goes with it, nonce what the server asked for.
func (k key) proof(method, address, access, nonce string) (string, error) {
	claims := map[string]any{"htm": method, "htu": address, "iat": time.Now().Unix(), "jti": rand.Text()}
	if access != "" {
		sum := sha256.Sum256([]byte(access))
		claims["ath"] = text64(sum[:])
	}
	if nonce != "" {
		claims["nonce"] = nonce
	}
	public := k.public()
	return k.sign(map[string]any{"typ": "dpop+jwt", "jwk": map[string]string{"kty": public["kty"], "crv": public["crv"], "x": public["x"], "y": public["y"]}}, claims)
}

// identity is what the partner's cloud says of a workload.
func (o *world) identity(subject string) (string, error) {
	now := time.Now()
	return o.issuer.sign(map[string]any{"typ": "JWT", "kid": o.issuer.id}, map[string]any{"iss": o.address, "sub": subject, "aud": cloudAudience, "iat": now.Unix(), "exp": now.Add(10 * time.Minute).Unix(), "jti": rand.Text()})
}

// signingRequest is a CSR (PKCS #10) for a key that never leaves the partner.
func signingRequest(name string) (*ecdsa.PrivateKey, string, error) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, "", err
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: name}}, k)
	if err != nil {
		return nil, "", err
	}
	return k, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})), nil
}

// pair joins a certificate in PEM with its key.
func pair(text string, k *ecdsa.PrivateKey) (tls.Certificate, error) {
	private, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair([]byte(text), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
}

func startOutside(_ context.Context, v *visit) (string, error) {
	var err error
	if v.dir, err = os.MkdirTemp("", "gatehouse-demo-"); err != nil {
		return "", err
	}
	o := &v.life.world
	if err := o.start(v.dir); err != nil {
		return "", err
	}
	v.web = o.by()
	authority, err := o.declared()
	if err != nil {
		return "", err
	}
	declared := append(bytes.Replace(lifeManifest, []byte("https://issuer.example"), []byte(o.address), 1), authority...)
	v.life.manifest = map[string][]byte{"gatehouse.yaml": declared, "products.yaml": lifeProducts}
	file := func(name string) string { return filepath.Join(v.dir, name) }
	v.life.settings = []string{"SSL_CERT_FILE=" + o.caFile, "GATEHOUSE_CONTROL_TLS_CLIENTS=request", "GATEHOUSE_GATEWAY_TLS_CLIENTS=request"}
	for _, listener := range []string{"CONTROL", "GATEWAY"} {
		v.life.settings = append(v.life.settings, "GATEHOUSE_"+listener+"_TLS_CERTIFICATE="+file("listener.pem"), "GATEHOUSE_"+listener+"_TLS_KEY="+file("listener.key"))
	}
	return fmt.Sprintf("%s issues identities to workloads and publishes a client's keys; every listener speaks TLS", o.address), nil
}
