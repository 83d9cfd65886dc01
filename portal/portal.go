// Package portal is the pages for people: partners, approvers, operators and auditors. Every rule is control's; a page
// shows what control answers and posts what a person decides.
package portal

import (
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"time"

	"gatehouse/control"
	"gatehouse/fault"
	"gatehouse/mail"
)

// Options is what a portal works with.
type Options struct {
	Control *control.Control
	Box     *mail.Box // what /dev/mail shows; only with Dev, nil otherwise
	Dev     bool      // development mode: /dev/mail exists
	Secure  bool      // served over TLS: cookies are __Host- and Secure
	Version string    // of this build, shown in the footer
	Now     func() time.Time
	Log     *slog.Logger
}

// portal holds what all visits share. Nothing in it changes after New.
type portal struct {
	Options
	mux       *http.ServeMux
	cross     *http.CrossOriginProtection
	assets    assets
	templates map[string]*template.Template
	markdown  markdown
}

// New returns the portal's handler. It serves everything but /api/. It is ready when New returns: a template or an
// asset that is broken is an error here, not at the first visit.
func New(o Options) (http.Handler, error) {
	if o.Control == nil {
		return nil, errors.New("portal: Options.Control is needed")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	p := &portal{Options: o, mux: http.NewServeMux(), cross: http.NewCrossOriginProtection(), markdown: newMarkdown()}
	var err error
	if p.assets, err = loadAssets(); err != nil {
		return nil, fmt.Errorf("portal: %w", err)
	}
	if p.templates, err = loadTemplates(p.assets, p.markdown); err != nil {
		return nil, fmt.Errorf("portal: %w", err)
	}
	for _, r := range routes() {
		p.mux.Handle(r.method+" "+r.path, entrance{p, r})
	}
	p.mux.Handle("/", entrance{p, route{do: (*visit).lost}})
	return p, nil
}

// ServeHTTP refuses what another site's page sent before anything else is looked at.
func (p *portal) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	setSecurityHeaders(w.Header(), p.Secure)
	if err := p.cross.Check(r); err != nil {
		refused := fault.Of(fault.Forbidden, "cross-site", "this form was sent by a page of another site").Because(err)
		entrance{p, route{do: func(*visit) error { return refused }}}.ServeHTTP(w, r)
		return
	}
	p.mux.ServeHTTP(w, r)
}

// policy is the content security policy of every page: scripts, styles, pictures and the font come from here, nothing
// from elsewhere, nothing inline.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; " +
	"form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

func setSecurityHeaders(h http.Header, secure bool) {
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	// same-origin and not no-referrer: under that one browsers send "Origin: null" with our own forms.
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=(), browsing-topics=()")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	if secure {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}
