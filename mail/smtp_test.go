package mail_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"mime"
	"net"
	netmail "net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"gatehouse/fault"
	"gatehouse/mail"
	"gatehouse/secret"
)

// server is a real SMTP server that keeps what it takes.
type server struct {
	addr     *net.TCPAddr
	roots    *x509.CertPool
	user     string
	password string
	refuse   error // of every recipient

	mu     sync.Mutex
	taken  []taken
	secure []bool // whether the connection of each letter was TLS
}

type taken struct {
	from, to string
	message  *netmail.Message
	body     string
}

func (s *server) NewSession(c *smtp.Conn) (smtp.Session, error) {
	_, ok := c.TLSConnectionState()
	return &conn{s: s, tls: ok}, nil
}

type conn struct {
	s        *server
	tls      bool
	authed   bool
	from, to string
}

func (c *conn) AuthMechanisms() []string { return []string{sasl.Plain} }
func (c *conn) Auth(mech string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != c.s.user || password != c.s.password {
			return smtp.ErrAuthFailed
		}
		c.authed = true
		return nil
	}), nil
}
func (c *conn) Mail(from string, _ *smtp.MailOptions) error {
	if c.s.user != "" && !c.authed {
		return smtp.ErrAuthRequired
	}
	c.from = from
	return nil
}
func (c *conn) Rcpt(to string, _ *smtp.RcptOptions) error { c.to = to; return c.s.refuse }
func (c *conn) Data(r io.Reader) error {
	m, err := netmail.ReadMessage(r)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(m.Body)
	if err != nil {
		return err
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	c.s.taken = append(c.s.taken, taken{c.from, c.to, m, string(body)})
	c.s.secure = append(c.s.secure, c.tls)
	return nil
}
func (c *conn) Reset()        {}
func (c *conn) Logout() error { return nil }

// serve starts the server; implicit is TLS from the first byte, else STARTTLS is offered if offer is set.
func serve(t *testing.T, s *server, implicit, offer bool) {
	t.Helper()
	cert, roots := certificate(t)
	s.roots = roots
	srv := smtp.NewServer(s)
	srv.Domain = "localhost"
	srv.AllowInsecureAuth = true
	conf := &tls.Config{Certificates: []tls.Certificate{cert}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = l.Addr().(*net.TCPAddr)
	if implicit {
		l = tls.NewListener(l, conf)
	} else if offer {
		srv.TLSConfig = conf
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(l) }()
	t.Cleanup(func() { _ = srv.Close(); _ = l.Close(); <-done }) // Close before Serve leaves the listener open
}

func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	of := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature}
	der, err := x509.CreateCertificate(rand.Reader, of, of, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

func (s *server) options(how string) mail.SMTPOptions {
	o := mail.SMTPOptions{Host: "127.0.0.1", Port: s.addr.Port, From: "Gatehouse <gatehouse@example.org>", TLS: how,
		Config: &tls.Config{RootCAs: s.roots, ServerName: "127.0.0.1"}}
	if s.user != "" {
		o.User, o.Password = s.user, secret.New(s.password)
	}
	return o
}

func send(t *testing.T, o mail.SMTPOptions, l mail.Letter) error {
	t.Helper()
	m, err := mail.NewSMTP(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return m.Send(ctx, l)
}

var letter = mail.Letter{To: "dana@example.org", Subject: "Größe, 名前", Text: "Guten Tag\n\nhttps://localhost/confirm?token=ghl_0\n", At: time.Unix(1_800_000_000, 0)}

func TestSendDelivers(t *testing.T) {
	for _, c := range []struct {
		name     string
		how      string
		implicit bool
		offer    bool
		user     string
		secure   bool
	}{
		{"plain", mail.Plain, false, false, "", false},
		{"starttls", mail.StartTLS, false, true, "", true},
		{"starttls and authentication", mail.StartTLS, false, true, "gatehouse", true},
		{"tls and authentication", mail.TLS, true, false, "gatehouse", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &server{user: c.user, password: "a password"}
			serve(t, s, c.implicit, c.offer)
			if err := send(t, s.options(c.how), letter); err != nil {
				t.Fatalf("send: %v (cause %v)", err, errors.Unwrap(err))
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			if len(s.taken) != 1 {
				t.Fatalf("the server took %d letters, want 1", len(s.taken))
			}
			got := s.taken[0]
			subject, err := new(mime.WordDecoder).DecodeHeader(got.message.Header.Get("Subject"))
			if err != nil || subject != letter.Subject {
				t.Errorf("subject %q (%v), want %q", subject, err, letter.Subject)
			}
			if got.from != "gatehouse@example.org" || got.to != letter.To {
				t.Errorf("from %q to %q", got.from, got.to)
			}
			if v := got.message.Header.Get("Auto-Submitted"); v != "auto-generated" {
				t.Errorf("Auto-Submitted %q", v)
			}
			if !strings.Contains(strings.ReplaceAll(got.body, "=3D", "="), "https://localhost/confirm?token=ghl_0") {
				t.Errorf("the link is broken in %q", got.body)
			}
			if s.secure[0] != c.secure {
				t.Errorf("TLS %v, want %v", s.secure[0], c.secure)
			}
		})
	}
}

func TestSendRefusesWhatIsNotProtected(t *testing.T) {
	for _, c := range []struct {
		name   string
		offer  bool
		change func(*mail.SMTPOptions)
	}{
		{"no STARTTLS where it is asked for", false, func(*mail.SMTPOptions) {}},
		{"a certificate that nobody trusts", true, func(o *mail.SMTPOptions) { o.Config = nil }},
		{"a wrong password", true, func(o *mail.SMTPOptions) { o.Password = secret.New("another") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &server{user: "gatehouse", password: "a password"}
			serve(t, s, false, c.offer)
			o := s.options(mail.StartTLS)
			c.change(&o)
			err := send(t, o, letter)
			if !errors.Is(err, fault.Unavailable) {
				t.Fatalf("error %v, want %s", err, fault.Unavailable)
			}
			if strings.Contains(err.Error(), "a password") || strings.Contains(err.Error(), "another") {
				t.Errorf("the error tells the password: %v", err)
			}
			if len(s.taken) != 0 {
				t.Errorf("the server took a letter")
			}
		})
	}
}

func TestSendSaysWhenTheServerRefuses(t *testing.T) {
	s := &server{refuse: &smtp.SMTPError{Code: 550, Message: "no such person"}}
	serve(t, s, false, false)
	if err := send(t, s.options(mail.Plain), letter); !errors.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "no such person") {
		t.Errorf("error %v, want %s with the server's words", err, fault.Unavailable)
	}
}

// A server that takes the connection and says nothing must not hold a letter for ever.
func TestSendStopsWaiting(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	m, err := mail.NewSMTP(mail.SMTPOptions{Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port, From: "g@example.org", TLS: mail.Plain})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if err := m.Send(ctx, letter); !errors.Is(err, fault.Unavailable) {
		t.Errorf("error %v, want %s", err, fault.Unavailable)
	}
}

func TestLettersThatCouldBeMoreThanTheySayAreRefused(t *testing.T) {
	s := &server{}
	serve(t, s, false, false)
	smtpSender, err := mail.NewSMTP(s.options(mail.Plain))
	if err != nil {
		t.Fatal(err)
	}
	with := func(change func(*mail.Letter)) mail.Letter { l := letter; change(&l); return l }
	for name, l := range map[string]mail.Letter{
		"line break in the subject":  with(func(l *mail.Letter) { l.Subject = "Hello\r\nBcc: all@example.org" }),
		"line feed in the subject":   with(func(l *mail.Letter) { l.Subject = "Hello\nBcc: all@example.org" }),
		"line separator in subject":  with(func(l *mail.Letter) { l.Subject = "Hello\u2028there" }),
		"line break in the address":  with(func(l *mail.Letter) { l.To = "a@example.org\r\nRCPT TO:<b@example.org>" }),
		"two addresses":              with(func(l *mail.Letter) { l.To = "a@example.org, b@example.org" }),
		"no address":                 with(func(l *mail.Letter) { l.To = "" }),
		"no subject":                 with(func(l *mail.Letter) { l.Subject = "" }),
		"a subject that is too long": with(func(l *mail.Letter) { l.Subject = strings.Repeat("s", 201) }),
		"no text":                    with(func(l *mail.Letter) { l.Text = "" }),
		"a text that is too long":    with(func(l *mail.Letter) { l.Text = strings.Repeat("t", 64<<10+1) }),
		"a text that is not UTF-8":   with(func(l *mail.Letter) { l.Text = "\xff\xfe" }),
	} {
		if err := smtpSender.Send(context.Background(), l); !errors.Is(err, fault.Invalid) {
			t.Errorf("%s: error %v, want %s", name, err, fault.Invalid)
		}
	}
	if len(s.taken) != 0 {
		t.Errorf("the server took %d letters, want none", len(s.taken))
	}
}

func TestNewSMTPSaysEverythingAtOnce(t *testing.T) {
	_, err := mail.NewSMTP(mail.SMTPOptions{Port: 70000, TLS: "ssl", Password: secret.New("p"), From: "nobody"})
	var pointers []string
	for _, f := range fault.As(err).Fields {
		pointers = append(pointers, f.Pointer)
	}
	if got, want := strings.Join(pointers, " "), "/host /tls /port /user /from"; got != want {
		t.Errorf("wrong are %q, want %q", got, want)
	}
}
