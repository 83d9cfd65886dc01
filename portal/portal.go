// Package portal is the pages for people: partners, approvers, operators and auditors. Every rule is control's; a page
// shows what control answers and posts what a person decides.
package portal

import (
	"errors"
	"log/slog"
	"net/http"
	"time"

	"gatehouse/control"
	"gatehouse/mail"
)

// Options is what a portal works with.
type Options struct {
	Control *control.Control
	Box     Letters   // what /dev/mail shows (a *mail.Box); only with Dev, nil otherwise
	Dev     bool      // development mode: /dev/mail exists
	Secure  bool      // served over TLS: cookies are __Host- and Secure
	Version string    // of this build, shown in the footer
	Now     func() time.Time
	Log     *slog.Logger
}

// Letters are kept letters, newest first.
type Letters interface{ Letters() []mail.Letter }

// New returns the portal's handler. It serves everything but /api/.
func New(o Options) (http.Handler, error) {
	if o.Control == nil {
		return nil, errors.New("portal: Options.Control is needed")
	}
	return http.NotFoundHandler(), nil
}
