package mail

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	netmail "net/mail"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	gomail "github.com/wneessen/go-mail"

	"gatehouse/fault"
	"gatehouse/secret"
)

// How a connection to the SMTP server is protected.
const (
	StartTLS = "starttls" // begins plain and must become TLS before anything is said; the default
	TLS      = "tls"      // is TLS from its first byte
	Plain    = "none"     // no TLS: only for a server on the same host
)

const (
	dialTimeout = 10 * time.Second // to reach the server and greet it
	sendTimeout = 30 * time.Second // for one letter, from the dial to the server's last word
	maxSubject  = 200              // characters: longer ones are a mistake of ours
	maxText     = 64 << 10         // bytes: letters are plain and short
)

// SMTPOptions is how letters reach the next mail server.
type SMTPOptions struct {
	Host     string
	Port     int    // 0: 587 with starttls, 465 with tls, 25 with none
	User     string // "": no authentication
	Password secret.Value
	From     string // the sender, such as "Gatehouse <gatehouse@example.org>"
	TLS      string // "starttls" (default), "tls" or "none"

	// Config is for servers whose certificate the system does not trust; nil trusts the system's roots.
	Config *tls.Config
}

// SMTP delivers letters to one mail server, each over a connection of its own.
type SMTP struct {
	o    SMTPOptions
	from netmail.Address
}

// NewSMTP checks the options, all at once, and returns a sender. It does not connect.
func NewSMTP(o SMTPOptions) (*SMTP, error) {
	var wrong []fault.Field
	bad := func(pointer, format string, args ...any) {
		wrong = append(wrong, fault.Field{Pointer: pointer, Text: fmt.Sprintf(format, args...)})
	}
	if o.Host == "" || strings.ContainsAny(o.Host, " \t\r\n/") {
		bad("/host", "must be the name or address of a mail server")
	}
	if o.TLS == "" {
		o.TLS = StartTLS
	}
	standard, ok := map[string]int{StartTLS: 587, TLS: 465, Plain: 25}[o.TLS]
	if !ok {
		bad("/tls", "must be %s, %s or %s, not %q", StartTLS, TLS, Plain, o.TLS)
	}
	if o.Port == 0 {
		o.Port = standard
	}
	if o.Port < 0 || o.Port > 65535 {
		bad("/port", "must be between 1 and 65535")
	}
	if o.User == "" && !o.Password.Empty() {
		bad("/user", "is needed where a password is set")
	}
	if o.User != "" && o.Password.Empty() {
		bad("/password", "is needed where a user is set")
	}
	from, err := netmail.ParseAddress(o.From)
	if err != nil || strings.ContainsAny(o.From, "\r\n") {
		bad("/from", "must be an e-mail address, such as Gatehouse <gatehouse@example.org>")
		from = &netmail.Address{}
	}
	if len(wrong) > 0 {
		return nil, fault.BadFields(wrong)
	}
	return &SMTP{o: o, from: *from}, nil
}

// Send delivers the letter to the server and returns once the server has taken it. A letter whose head could carry more
// than it says is fault.Invalid and is not sent.
func (s *SMTP) Send(ctx context.Context, l Letter) error {
	if err := check(l); err != nil {
		return err
	}
	to, err := netmail.ParseAddress(l.To)
	if err != nil {
		return fault.Bad("/to", "is not an e-mail address").Because(err)
	}
	m := gomail.NewMsg()
	m.FromMailAddress(&s.from)
	m.ToMailAddress(&netmail.Address{Address: to.Address})
	m.Subject(l.Subject)
	m.SetDateWithValue(l.At)
	m.SetMessageID()
	m.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: nobody's out-of-office should answer
	m.SetBodyString(gomail.TypeTextPlain, l.Text)

	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	c, err := s.client(ctx)
	if err != nil {
		return fmt.Errorf("mail to %s: %w", s.o.Host, err)
	}
	if err := c.DialAndSendWithContext(ctx, m); err != nil {
		return fault.New(fault.Unavailable, "the mail server did not take the letter").Because(err)
	}
	return nil
}

// client makes a client for one letter: they are not for use by several goroutines. Its connection ends with ctx.
func (s *SMTP) client(ctx context.Context) (*gomail.Client, error) {
	conf := s.o.Config
	if conf == nil {
		conf = &tls.Config{ServerName: s.o.Host, MinVersion: tls.VersionTLS12}
	}
	wait := dialTimeout
	if deadline, ok := ctx.Deadline(); ok {
		wait = min(wait, time.Until(deadline))
	}
	opts := []gomail.Option{gomail.WithTimeout(max(wait, time.Millisecond)), gomail.WithoutNoop()}
	if s.o.TLS != TLS { // there the library must dial itself, else it takes the connection for a plain one
		opts = append(opts, gomail.WithDialContextFunc(func(dialing context.Context, network, address string) (net.Conn, error) {
			c, err := (&net.Dialer{}).DialContext(dialing, network, address)
			if err == nil {
				context.AfterFunc(ctx, func() { _ = c.Close() })
			}
			return c, err
		}))
	}
	switch s.o.TLS {
	case TLS:
		opts = append(opts, gomail.WithSSL(), gomail.WithTLSConfig(conf))
	case StartTLS:
		opts = append(opts, gomail.WithTLSPolicy(gomail.TLSMandatory), gomail.WithTLSConfig(conf))
	case Plain:
		opts = append(opts, gomail.WithTLSPolicy(gomail.NoTLS))
	}
	opts = append(opts, gomail.WithPort(s.o.Port))
	if s.o.User != "" {
		opts = append(opts, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover),
			gomail.WithUsername(s.o.User), gomail.WithPassword(s.o.Password.Reveal()))
	}
	return gomail.NewClient(s.o.Host, opts...)
}

// check refuses a letter that could not be what it seems: line breaks in the head are how headers are smuggled in.
func check(l Letter) error {
	var wrong []fault.Field
	bad := func(pointer, text string) { wrong = append(wrong, fault.Field{Pointer: pointer, Text: text}) }
	if l.To == "" || !line(l.To) {
		bad("/to", "must be one e-mail address")
	}
	if l.Subject == "" || !line(l.Subject) || utf8.RuneCountInString(l.Subject) > maxSubject {
		bad("/subject", fmt.Sprintf("must be one line of at most %d characters", maxSubject))
	}
	if l.Text == "" || !utf8.ValidString(l.Text) || strings.ContainsRune(l.Text, 0) || len(l.Text) > maxText {
		bad("/text", fmt.Sprintf("must be text of at most %d bytes", maxText))
	}
	if wrong != nil {
		return fault.BadFields(wrong)
	}
	return nil
}

// line reports whether s is one line of printable text.
func line(s string) bool {
	return utf8.ValidString(s) && strings.IndexFunc(s, func(r rune) bool {
		return unicode.IsControl(r) || r == '\u2028' || r == '\u2029'
	}) < 0
}
