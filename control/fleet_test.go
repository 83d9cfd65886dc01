package control_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/control"
	"gatehouse/fault"
	"gatehouse/feed"
	"gatehouse/feed/disk"
	"gatehouse/feed/link"
	"gatehouse/fleet"
)

// fed is a world whose feed gateways can dial.
type fed struct {
	*world
	at     string
	server *link.Server
}

func newFed(t *testing.T) *fed { return feeding(newWorld(t)) }

// feeding lets gateways dial the world. What reads letters comes before.
func feeding(w *world) *fed {
	t := w.t
	w.Control.FeedKey = w.Control.Keys.(keys).feed.Public().(ed25519.PublicKey)
	w.Control.Images = t.TempDir()
	if err := w.EnsureEnvironments(w.ctx, w.system, []string{"live", "test"}); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.ctx)
	done := make(chan error, 2)
	server := &link.Server{Plane: w.Plane(), Version: "test", Now: w.clock.Now, Log: slog.New(slog.DiscardHandler)}
	go func() { done <- w.Control.Run(ctx) }()
	go func() { done <- server.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
	return &fed{w, l.Addr().String(), server}
}

func (f *fed) token(environment, name string) string {
	f.t.Helper()
	return must(f.EnrolGateway(f.ctx, f.host, environment, "", name, 0))(f.t).Token.Reveal()
}

func (f *fed) enrol(environment, name string) link.Identity {
	f.t.Helper()
	return must(link.Enrol(f.ctx, f.at, f.token(environment, name), "test", f.clock.Now()))(f.t)
}

// connect runs a client of the identity until the test ends.
func (f *fed) connect(i link.Identity, heard func(feed.Word)) *link.Client {
	f.t.Helper()
	c := must(link.NewClient(link.ClientOptions{Identity: i, Version: "test", Now: f.clock.Now, Heard: func(w feed.Word, _ feed.Signed) {
		if heard != nil {
			heard(w)
		}
	}}))(f.t)
	ctx, cancel := context.WithCancel(f.ctx)
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	f.t.Cleanup(func() { cancel(); <-done })
	return c
}

// eventually waits until it holds.
func (f *fed) eventually(what string, holds func() bool) {
	f.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			f.t.Fatalf("it does not come to this: %s", what)
		}
	}
}

func TestEnrolmentTokens(t *testing.T) {
	f := newFed(t)
	code := func(token string) string {
		_, err := link.Enrol(f.ctx, f.at, token, "test", f.clock.Now())
		if err == nil {
			return ""
		}
		return fault.As(err).Code
	}
	good := f.token("live", "a")
	if got := code(good); got != "" {
		t.Fatal(got)
	}
	if got := code(good); got != "enrolment-used" {
		t.Errorf("a second time: %q", got)
	}
	late := f.token("live", "b")
	f.clock.pass(2 * time.Hour)
	if got := code(late); got != "enrolment-expired" {
		t.Errorf("too late: %q", got)
	}
	secret, _, _ := strings.Cut(good, ".")
	if got := code("ghe_made-up" + strings.TrimPrefix(good, secret)); got != "enrolment-unknown" {
		t.Errorf("made up: %q", got)
	}
	other := newFed(t)
	other.token("live", "a") // so that it has an anchor
	if _, err := link.Enrol(f.ctx, other.at, f.token("live", "c"), "test", f.clock.Now()); err == nil {
		t.Error("another control plane was told the token")
	}
	for _, bad := range []struct {
		environment, name string
		lifetime          time.Duration
	}{{"nowhere", "a", 0}, {"live", "local-live", 0}, {"live", "A b", 0}, {"live", "a", time.Second}, {"live", "a", 48 * time.Hour}} {
		if _, err := f.EnrolGateway(f.ctx, f.host, bad.environment, "", bad.name, bad.lifetime); !errors.Is(err, fault.Invalid) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

func TestGatewayFollowsAndIsRevoked(t *testing.T) {
	f := newFed(t)
	words := make(chan feed.Word, 100)
	i := f.enrol("live", "a")
	c := f.connect(i, func(w feed.Word) { words <- w })
	if w := <-firstTail(f, c, words); w.Kind != feed.Heartbeat || w.MaxOffline != 24*time.Hour {
		t.Errorf("%+v", w)
	}
	if _, err := f.RaiseEpoch(f.ctx, f.host, "test", "something of another environment"); err != nil {
		t.Fatal(err)
	}
	if _, err := f.RaiseEpoch(f.ctx, f.host, "live", "something to be told"); err != nil {
		t.Fatal(err)
	}
	var got []feed.Entry
	f.eventually("the entry arrives", func() bool {
		es, _ := c.Tail(f.ctx, "live", feed.Position{}, 10)
		got = append(got, es...)
		return len(got) > 0
	})
	if len(got) != 1 || got[0].Environment != "live" || feed.CheckAll("live", feed.Position{}, got, i.FeedKey) != nil {
		t.Fatalf("%+v", got)
	}
	// What it says of itself does not count: its certificate does.
	if err := c.Acknowledge(f.ctx, feed.Receipt{Gateway: "another", Environment: "test", Position: got[0].Position(), Revision: 7, At: f.clock.Now()}); err != nil {
		t.Fatal(err)
	}
	of := func() control.FleetGateway { return must(f.Fleet(f.ctx, f.host))(t)[0] }
	f.eventually("the receipt is in", func() bool { return of().Receipt.Revision == 7 })
	if g := of(); g.Name != "a" || !g.Connected || g.Behind != 0 || g.Environment != "live" || g.Build != "test" {
		t.Errorf("%+v", g)
	}
	if where := must(f.InForceAt(f.ctx, f.host, "live", 1))(t); where.Done != 1 || where.Gateways != 1 {
		t.Errorf("%+v", where)
	}
	if err := c.Ship(f.ctx, feed.Batch{Gateway: "x", Environment: "y", Life: "l", Number: 1, Kind: "nobody knows"}); fault.As(err).Code != "batch-unknown" {
		t.Errorf("%v", err)
	}
	if _, err := f.EndGateway(f.ctx, f.host, i.ID, fleet.Revoked, "stolen", 0); err != nil {
		t.Fatal(err)
	}
	f.eventually("the gateway hears of its end", func() bool { w := <-words; return w.Kind == feed.Revoked && w.Reason == "stolen" })
	f.eventually("the feed is refused", func() bool {
		_, err := c.Tail(f.ctx, "live", got[0].Position(), 10)
		return err != nil && fault.As(err).Code == "gateway-revoked"
	})
	if _, err := c.Image(f.ctx, 0); fault.As(err).Code != "gateway-revoked" {
		t.Errorf("an image: %v", err)
	}
}

// firstTail begins to follow and returns the words.
func firstTail(f *fed, c *link.Client, words chan feed.Word) chan feed.Word {
	_, _ = c.Tail(f.ctx, "live", feed.Position{}, 10)
	return words
}

func TestExpiredCertificateStopsTheFeed(t *testing.T) {
	f := newFed(t)
	i := f.enrol("live", "a")
	f.clock.pass(fleet.CertificateFor + time.Hour)
	c := f.connect(i, nil)
	f.eventually("it is refused with a reason", func() bool {
		_, err := c.Tail(f.ctx, "live", feed.Position{}, 10)
		return err != nil && fault.As(err).Code == "certificate-expired"
	})
	f.eventually("the fleet shows why", func() bool {
		return strings.Contains(strings.Join(must(f.Fleet(f.ctx, f.host))(t)[0].Trouble, "; "), "ended at")
	})
	// Enrolled anew it is another one, and the one before is revoked.
	again := f.enrol("live", "a")
	if all := must(f.Fleet(f.ctx, f.host))(t); len(all) != 2 || again.ID == i.ID {
		t.Errorf("%+v", all)
	}
	if g := must(f.Plane().Known(f.ctx, i.ID))(t); g.State != fleet.Revoked {
		t.Errorf("%+v", g)
	}
}

func TestCertificateIsRenewed(t *testing.T) {
	f := newFed(t)
	i := f.enrol("live", "a")
	f.clock.pass(fleet.CertificateFor / 2)
	if _, err := f.RotateAnchor(f.ctx, f.host); err != nil {
		t.Fatal(err)
	}
	c := f.connect(i, nil)
	_, _ = c.Tail(f.ctx, "live", feed.Position{}, 10)
	f.eventually("it has another certificate, and both anchors", func() bool {
		now := c.Identity()
		return now.Expires.After(i.Expires) && len(now.Anchors.Anchors) == 2
	})
}

func TestImageIsWhatGatewaysKnow(t *testing.T) {
	f := newFed(t)
	for range 3 {
		if _, err := f.RaiseEpoch(f.ctx, f.host, "live", "something to be told"); err != nil {
			t.Fatal(err)
		}
	}
	c := f.connect(f.enrol("live", "a"), nil)
	f.eventually("an image has everything", func() bool {
		in, err := c.Image(f.ctx, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		img, err := disk.ReadImage(in, "live", c.Identity().FeedKey, func(feed.Entry) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		return img.Position.Seq >= 0 && img.Environment == "live"
	})
}

// A gateway of the release before gets the form of images that it reads: it does not say which.
func TestImageIsInAFormThatTheGatewayReads(t *testing.T) {
	f := newFed(t)
	i := f.enrol("live", "a")
	for path, want := range map[string]string{"": "gatehouse image 1\n", "?form=1": "gatehouse image 1\n", "?form=2": "gatehouse image 2\n", "?form=3": "gatehouse image 2\n", "?form=x": "gatehouse image 1\n"} {
		if got := f.ask(i, http.MethodGet, "/feed/v1/image"+path); !strings.HasPrefix(got, want) {
			t.Errorf("%s: it begins with %q, want %q", path, got[:min(len(got), 20)], want)
		}
	}
}

// A control plane that begins takes the image that the one before it has left, unless that is damaged or of another history.
func TestImageIsKeptAcrossARestart(t *testing.T) {
	f := newFed(t)
	if _, err := f.RaiseEpoch(f.ctx, f.host, "live", "something to be told"); err != nil {
		t.Fatal(err)
	}
	f.eventually("it is numbered", func() bool { return must(f.Environments(f.ctx, f.host))(t)[0].Head.Seq > 0 })
	made := func() time.Time {
		again := control.New(f.Options)
		info := must(os.Stat(must(again.Image(f.ctx, "live", 2, 0))(t)))(t)
		return info.ModTime()
	}
	first := made()
	if again := made(); again != first {
		t.Error("an image that is fresh was made again")
	}
	file := filepath.Join(f.Images, "live.image-2")
	b := must(os.ReadFile(file))(t)
	b[len(b)/2] ^= 1
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	damaged := must(os.Stat(file))(t).ModTime()
	if made() == damaged {
		t.Error("an image that was changed is given away")
	}
	kept := must(os.ReadFile(file))(t)
	if _, err := f.RaiseEpoch(f.ctx, f.host, "live", "another history"); err != nil {
		t.Fatal(err)
	}
	f.eventually("it is another epoch", func() bool { return must(f.Environments(f.ctx, f.host))(t)[0].Head.Epoch > 2 })
	made()
	if bytes.Equal(kept, must(os.ReadFile(file))(t)) {
		t.Error("an image of an older epoch is given away")
	}
}

// speak opens a stream by hand.
func (f *fed) speak(i link.Identity, frames ...[]byte) string {
	f.t.Helper()
	return f.ask(i, http.MethodPost, "/feed/v1/stream", frames...)
}

// ask asks the feed's listener by hand, and returns the beginning of what it says.
func (f *fed) ask(i link.Identity, method, path string, frames ...[]byte) string {
	f.t.Helper()
	key := must(x509.ParsePKCS8PrivateKey(i.Key))(f.t)
	roots := x509.NewCertPool()
	for _, a := range i.Anchors.Anchors {
		roots.AddCert(must(x509.ParseCertificate(a))(f.t))
	}
	tr := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{ServerName: link.ServerName, RootCAs: roots, Time: f.clock.Now,
		Certificates: []tls.Certificate{{Certificate: i.Chain, PrivateKey: key}}}}
	defer tr.CloseIdleConnections()
	res := must(tr.RoundTrip(must(http.NewRequest(method, "https://"+f.at+path, bytes.NewReader(bytes.Join(frames, nil))))(f.t)))(f.t)
	defer res.Body.Close()
	b, _ := io.ReadAll(io.LimitReader(res.Body, 1<<16))
	return string(b)
}

func frame(kind byte, v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return append(append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), kind, 0), b...)
}

// A gateway of the release before and of the one after is understood; others are refused, with the reason in the fleet's view.
func TestVersionsOfTheProtocol(t *testing.T) {
	f := newFed(t)
	i := f.enrol("live", "a")
	for name, c := range map[string]struct {
		hello map[string]any
		want  string
	}{
		"this one":         {map[string]any{"protocol": link.Protocol, "oldest": link.Oldest}, `"protocol":2`},
		"the one before":   {map[string]any{"protocol": link.Protocol - 1, "oldest": link.Protocol - 1}, `"protocol":1`},
		"the next release": {map[string]any{"protocol": link.Protocol + 1, "oldest": link.Protocol, "mood": "new"}, `"protocol":2`},
		"too old":          {map[string]any{"protocol": link.Oldest - 1, "oldest": 0, "version": "ancient"}, "gateway-old"},
		"too new":          {map[string]any{"protocol": link.Protocol + 2, "oldest": link.Protocol + 1, "version": "tomorrow's"}, "gateway-new"},
	} {
		c.hello["now"] = f.clock.Now()
		if got := f.speak(i, frame('h', c.hello), frame('?', "a frame of a later release")); !strings.Contains(got, c.want) {
			t.Errorf("%s: %q", name, got)
		}
	}
	f.eventually("the fleet shows why", func() bool {
		_ = f.speak(i, frame('h', map[string]any{"protocol": 0, "version": "ancient", "now": f.clock.Now()}))
		return strings.Contains(fmt.Sprint(must(f.Fleet(f.ctx, f.host))(t)[0].Trouble), "upgrade the gateway")
	})
	for name, bad := range map[string][]byte{"no frame": []byte("GET / HTTP/1.1\r\n"), "another frame first": frame('r', "x"), "a claim": {0xff, 0xff, 0xff, 0xff, 'h', 0}} {
		if got := f.speak(i, bad); !strings.Contains(got, "does not know") {
			t.Errorf("%s: %q", name, got)
		}
	}
}
