package link_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"gatehouse/fault"
	"gatehouse/feed"
	"gatehouse/feed/link"
)

// before is a control plane of the last release without regions, as far as a gateway that dials it can tell: it turns a gateway away
// that speaks no protocol as low as its own, and gives anybody else everything.
type before struct {
	hello chan map[string]any
	asked chan string
	told  chan bool // whether it told what it knows
}

func (b before) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/feed/v1/image":
		b.told <- true
		_, _ = io.WriteString(w, "an image of everything")
	case "/feed/v1/stream":
		head := make([]byte, 6)
		if _, err := io.ReadFull(r.Body, head); err != nil {
			return
		}
		body := make([]byte, int(head[2])<<8|int(head[3]))
		if _, err := io.ReadFull(r.Body, body); err != nil {
			return
		}
		var h map[string]any
		_ = json.Unmarshal(body, &h) // what is no hello has no protocol
		text := `{"protocol":1,"version":"before"}`
		kind := byte('W')
		if oldest, _ := h["oldest"].(float64); oldest > 1 {
			kind, text = 'R', `{"kind":"forbidden","code":"gateway-new","text":"upgrade the control plane first"}`
		}
		_, _ = w.Write(append([]byte{0, 0, 0, byte(len(text)), kind, 0}, text...))
		_ = http.NewResponseController(w).Flush()
		b.hello <- h
		if kind == 'W' {
			b.told <- true
			<-r.Context().Done()
		}
	default:
		b.asked <- r.URL.Path
		http.NotFound(w, r)
	}
}

// dial is a gateway of the region with that control plane before it.
func dial(t *testing.T, region string) (*link.Client, before) {
	t.Helper()
	b := before{make(chan map[string]any, 9), make(chan string, 9), make(chan bool, 9)}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.CreateCertificate(rand.Reader, root(), root(), key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(b)
	s.EnableHTTP2 = true
	s.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{cert}, PrivateKey: key}}}
	s.StartTLS()
	t.Cleanup(s.Close)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	i := link.Identity{Control: strings.TrimPrefix(s.URL, "https://"), Key: der, Joined: link.Joined{Name: "fra-1", Environment: "live", Region: region,
		Certificate: link.Certificate{Chain: [][]byte{cert}, Expires: time.Now().Add(time.Hour), Anchors: link.Anchors{Anchors: [][]byte{cert}}}}}
	c, err := link.NewClient(link.ClientOptions{Identity: i, Version: "test", Keep: func(link.Identity) error { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	return c, b
}

func root() *x509.Certificate {
	return &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "anchor"}, DNSNames: []string{link.ServerName}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
}

// A gateway of a region takes neither feed nor image from a control plane that knows no regions, and says why; one without a region
// goes on as ever.
func TestGatewayOfARegionTakesNothingFromTheReleaseBefore(t *testing.T) {
	for _, region := range []string{"eu", ""} {
		c, b := dial(t, region)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- c.Run(ctx) }()
		_, _ = c.Tail(ctx, "live", feed.Position{}, 10) // it is known from where on
		h := <-b.hello
		oldest := map[string]float64{"eu": link.RegionsSince, "": link.Oldest}[region]
		if h["protocol"] != float64(link.Protocol) || h["oldest"] != oldest {
			t.Errorf("in %q it says %v", region, h)
		}
		in, err := c.Image(ctx, 0)
		if region == "" {
			if err != nil {
				t.Fatal(err)
			}
			in.Close()
			<-b.told
			<-b.told // the stream too
		} else {
			if fault.As(err).Code != "gateway-new" || !strings.Contains(err.Error(), "knows no regions") {
				t.Errorf("the image: %v", err)
			}
			for fault.As(err).Code != "gateway-new" || !strings.Contains(err.Error(), "upgrade the control plane first") {
				changed := c.Changed("live", 0)
				if _, err = c.Tail(ctx, "live", feed.Position{}, 10); fault.As(err).Code == "gateway-new" {
					break
				}
				<-changed
			}
			if len(b.told) > 0 {
				t.Error("it was told what it may not know")
			}
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}
