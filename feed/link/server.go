package link

import (
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"sync"
	"time"

	"gatehouse/fault"
	"gatehouse/feed"
	"gatehouse/fleet"
	"gatehouse/id"
)

// Plane is the control plane, as the server needs it.
type Plane interface {
	feed.Source
	// Join gives whoever has the token an identity for its key. With an error the answer says for which environment and name
	// the token is, if that is known.
	Join(ctx context.Context, j Joining) (Joined, error)
	// Renew gives a gateway another certificate for the key that it has.
	Renew(ctx context.Context, gateway id.ID, request []byte) (Certificate, error)
	// Known returns a gateway as it stands.
	Known(ctx context.Context, gateway id.ID) (fleet.Gateway, error)
	// FleetChanged returns a channel that is closed once a gateway or the anchors may stand differently. It is a hint.
	FleetChanged() <-chan struct{}
	// Trust returns the anchors that count now.
	Trust(ctx context.Context) (Anchors, error)
	// Presents is the certificate of the control plane itself, by the anchor that signs now.
	Presents(ctx context.Context) (*tls.Certificate, error)
	// Word makes a signed word for the gateway.
	Word(ctx context.Context, k feed.WordKind, g fleet.Gateway) (feed.Signed, error)
	// Sighted takes what is known of a gateway by its connection.
	Sighted(s fleet.Sighting)
	// Tally keeps what a gateway has let through in periods, durably, and returns for each how much all others have.
	Tally(ctx context.Context, t feed.Tallies) (feed.Tallied, error)
	// TurnedAway takes that something was turned away, and why.
	TurnedAway(r fleet.Refusal)
	// Image returns the file of a fresh image of the environment, in the newest form that is no higher than most. It goes through
	// the entry least at least, if there is that one.
	Image(ctx context.Context, environment string, most int, least int64) (string, error)
	// Head is how far the feed of the environment goes.
	Head(ctx context.Context, environment string) (feed.Position, error)
	// Sent is told that a gateway was sent the entries of the feed after a number, through another.
	Sent(environment string, after, through int64)
	// Said is what the gateway of that name has last said to have in force.
	Said(environment, gateway string) feed.Receipt
}

// Times of a connection.
const (
	beatEvery  = 5 * time.Second  // a heartbeat
	helloTime  = 10 * time.Second // for the first frame to arrive
	writeTime  = 20 * time.Second // for the gateway to take a frame: a slower one is cut off and comes again
	silentFor  = 30 * time.Second // without anything from the gateway
	deadlines  = 4 * time.Second  // a deadline is set anew after so long: each costs the connection a turn, and a heartbeat comes at least that often
	tailLimit  = 256              // entries in one frame
	pollEvery  = time.Second      // besides hints
	serverName = "feed.gatehouse.internal"
)

// ServerName is the name in the certificate that the control plane presents to gateways, wherever they dial it.
const ServerName = serverName

// Server is the control plane's end.
type Server struct {
	Plane   Plane
	Version string
	Now     func() time.Time
	Log     *slog.Logger

	packed packedOnce
	bench  bench

	mu    sync.Mutex
	conns map[[2]string]*conn // by environment and name: the newest stream of each gateway
}

// Serve serves gateways on the listener, which it closes, until ctx ends.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	s.bench.seats = make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2))
	mux := http.NewServeMux()
	mux.HandleFunc("POST /feed/v1/enrol", s.enrol)
	mux.HandleFunc("POST /feed/v1/stream", s.stream)
	mux.HandleFunc("GET /feed/v1/image", s.image)
	mux.HandleFunc("GET /feed/v1/region/image", s.image)
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: helloTime, ErrorLog: slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug),
		BaseContext: func(net.Listener) context.Context { return ctx },
		HTTP2:       &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 10 * time.Second, WriteByteTimeout: writeTime, MaxReceiveBufferPerStream: 1 << 20, MaxReceiveBufferPerConnection: 2 << 20},
		TLSConfig: &tls.Config{MinVersion: tls.VersionTLS13, NextProtos: []string{"h2"}, ClientAuth: tls.RequestClientCert,
			GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) { return s.Plane.Presents(h.Context()) }}}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	defer stop()
	if err := srv.ServeTLS(l, "", ""); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// who says which gateway has called: by a certificate of an anchor that counts, that has not ended, of a gateway that is known.
// The gateway is returned with an error too, if it is known which one it is.
func (s *Server) who(r *http.Request) (fleet.Gateway, *x509.Certificate, error) {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return fleet.Gateway{}, nil, fault.Of(fault.Unauthenticated, "gateway-unknown", "a gateway shows its certificate: enrol it first, with a token of 'gatehouse gateways enrol'")
	}
	trusted, err := s.Plane.Trust(r.Context())
	if err != nil {
		return fleet.Gateway{}, nil, err
	}
	own := r.TLS.PeerCertificates[0]
	roots, err := pool(trusted)
	if err != nil {
		return fleet.Gateway{}, nil, err
	}
	// At the beginning of its validity: whether it has ended is asked below, once it is known whose it is.
	if _, err := own.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: own.NotBefore.Add(time.Second), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		return fleet.Gateway{}, nil, fault.Of(fault.Unauthenticated, "gateway-unknown", "the certificate is not one of this control plane's: enrol the gateway anew").Because(err)
	}
	g, err := s.Plane.Known(r.Context(), id.ID(own.Subject.CommonName))
	switch {
	case errors.Is(err, fault.NotFound):
		return g, nil, fault.Of(fault.Unauthenticated, "gateway-unknown", "this control plane does not know the gateway %s: it was restored from a backup, or is another one", own.Subject.CommonName)
	case err != nil:
		return g, nil, err
	case g.Key != KeyDigest(own):
		return g, nil, fault.Of(fault.Unauthenticated, "gateway-unknown", "the certificate is for another key than the gateway %s enrolled with", g.Name)
	case g.State != fleet.Revoked && !s.Now().Before(own.NotAfter):
		return g, nil, fault.Of(fault.Unauthenticated, "certificate-expired", "the certificate of the gateway %s ended at %s: enrol it anew; until its offline bound it serves with what it has", g.Name, own.NotAfter.UTC().Format(time.RFC3339))
	}
	return g, own, nil
}

// KeyDigest is how the fleet knows the key of a certificate.
func KeyDigest(c *x509.Certificate) string {
	h := sha256.Sum256(c.RawSubjectPublicKeyInfo)
	return hex.EncodeToString(h[:])
}

func pool(a Anchors) (*x509.CertPool, error) {
	p := x509.NewCertPool()
	for _, der := range a.Anchors {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		p.AddCert(c)
	}
	return p, nil
}

// turnAway answers a request that is no stream yet.
func (s *Server) turnAway(w http.ResponseWriter, g fleet.Gateway, address string, err error) {
	f := tell(err)
	status := http.StatusServiceUnavailable
	switch fault.KindOf(err) {
	case fault.Unauthenticated:
		status = http.StatusUnauthorized
	case fault.Forbidden:
		status = http.StatusForbidden
	case fault.Invalid, fault.TooLarge:
		status = http.StatusBadRequest
	case fault.Conflict:
		status = http.StatusConflict
	}
	s.Log.Warn("a gateway was turned away", "gateway", g.Name, "address", address, "code", f.Code, "reason", f.Text)
	if g.ID != "" {
		s.Plane.Sighted(fleet.Sighting{Environment: g.Environment, Gateway: g.Name, ID: g.ID, Address: address, Heard: s.Now().UTC(), Trouble: f.Text})
	}
	s.record(g, address, "", f)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(f)
}

// record keeps why a gateway, or what wanted to be one, was turned away.
func (s *Server) record(g fleet.Gateway, address, version string, f refused) {
	if host, _, err := net.SplitHostPort(address); err == nil {
		address = host
	}
	code := f.Code
	if code == "" {
		code = f.Kind
	}
	now := s.Now().UTC()
	s.Plane.TurnedAway(fleet.Refusal{Environment: g.Environment, Gateway: g.Name, ID: g.ID, Address: address, Code: code, Text: f.Text, Version: version,
		First: now, Last: now, Times: 1})
}

// Joining is what somebody shows who wants to become a gateway.
type Joining struct {
	Token       string    `json:"token"`
	Request     []byte    `json:"request"` // PKCS #10, DER
	Version     string    `json:"version"`
	Environment string    `json:"environment,omitempty"` // the one that it is meant for; "": that of the token
	Now         time.Time `json:"now"`                   // by its clock
	Address     string    `json:"-"`
}

func (s *Server) enrol(w http.ResponseWriter, r *http.Request) {
	var e Joining
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&e); err != nil {
		s.turnAway(w, fleet.Gateway{}, r.RemoteAddr, fault.New(fault.Invalid, "the enrolment cannot be read").Because(err))
		return
	}
	e.Address = r.RemoteAddr
	j, err := s.Plane.Join(r.Context(), e)
	if err != nil {
		s.turnAway(w, fleet.Gateway{Environment: j.Environment, Name: j.Name}, r.RemoteAddr, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(j)
}

func (s *Server) image(w http.ResponseWriter, r *http.Request) {
	g, _, err := s.who(r)
	if err == nil && g.State == fleet.Revoked {
		_, err = g.Renew(time.Time{})
	}
	if err != nil {
		s.turnAway(w, g, r.RemoteAddr, err)
		return
	}
	most, err := strconv.Atoi(r.URL.Query().Get("form"))
	if err != nil {
		most = 1 // a gateway of the release that had no other does not say
	}
	least, err := strconv.ParseInt(r.URL.Query().Get("least"), 10, 64)
	if err != nil {
		least = 0 // neither does this one
	}
	file, err := s.Plane.Image(r.Context(), g.Feed(), most, least)
	if err != nil {
		s.turnAway(w, g, r.RemoteAddr, err)
		return
	}
	f, err := os.Open(file)
	if err != nil {
		s.turnAway(w, g, r.RemoteAddr, err)
		return
	}
	defer f.Close()
	w.Header().Set("Content-Type", "application/octet-stream")
	out := http.NewResponseController(w)
	buf := make([]byte, 256<<10)
	for {
		n, err := f.Read(buf)
		if n > 0 {
			_ = out.SetWriteDeadline(time.Now().Add(writeTime))
			if _, err := w.Write(buf[:n]); err != nil {
				return
			}
		}
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			panic(http.ErrAbortHandler) // what was sent is cut off, and its seal is missing
		}
	}
}

// verifyReceipt checks who says a receipt.
func verifyReceipt(c *x509.Certificate, r signedReceipt) bool {
	key, ok := c.PublicKey.(*ecdsa.PublicKey)
	if !ok {
		return false
	}
	h := sha256.Sum256(receiptSigned(r.Receipt))
	return ecdsa.VerifyASN1(key, h[:], r.Signature)
}

// bench is where receipts are judged. A fleet answers a change in one moment: its receipts are stamped as they arrive, and verified a
// moment later on half of the processors, so that neither the change on its way to the others nor the stamps wait for it.
type bench struct {
	seats chan struct{}
	mu    sync.Mutex
	first time.Time // of those that wait
	opens time.Time // when they are judged
}

// A receipt waits until so long after the one before it none has come, for no more than judgeMost after the first.
const (
	judgeAfter = 10 * time.Millisecond
	judgeMost  = 50 * time.Millisecond
)

// take waits for a seat. leave gives it back.
func (b *bench) take(ctx context.Context) (leave func(), err error) {
	b.mu.Lock()
	if now := time.Now(); now.After(b.opens) {
		b.first, b.opens = now, now.Add(judgeAfter)
	} else {
		b.opens = now.Add(min(judgeAfter, max(b.first.Add(judgeMost).Sub(now), 0)))
	}
	b.mu.Unlock()
	for {
		b.mu.Lock()
		wait := time.Until(b.opens)
		b.mu.Unlock()
		if wait <= 0 {
			break
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, ctx.Err()
		}
	}
	select {
	case b.seats <- struct{}{}:
		return func() { <-b.seats }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
