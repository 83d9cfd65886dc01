package portal

import (
	"crypto/rand"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"time"

	"gatehouse/control"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/organization"
	"gatehouse/secret"
)

// access is who a page is for. It decides where somebody is sent who cannot use the page; what they may do there is
// control's to say.
type access uint8

const (
	anybody access = iota
	file           // anybody, and whoever it is makes no difference: no session is read
	signedIn
	members
	staff
)

// route is one line of the list of pages.
type route struct {
	method, path string
	who          access
	do           func(*visit) error
}

// visit is one request on its way through the portal.
type visit struct {
	*portal
	w         http.ResponseWriter
	r         *http.Request
	actor     identity.Actor
	org       organization.Organization // the member's own
	now       time.Time
	requestID string
	notice    string // what the page before has done
	written   bool
	known     lookups
}

// maxForm is the longest form that is read: the longest field is 2,000 characters, and there are few.
const maxForm = 64 << 10

// entrance turns a route into a handler.
type entrance struct {
	p *portal
	route
}

func (e entrance) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v := &visit{portal: e.p, w: w, r: r, now: e.p.Now().UTC(), requestID: newRequestID()}
	w.Header().Set("X-Request-Id", v.requestID)
	defer func() {
		if x := recover(); x != nil {
			if err, ok := x.(error); ok && errors.Is(err, http.ErrAbortHandler) {
				panic(x)
			}
			v.Log.Error("portal: panic", "path", r.URL.Path, "request_id", v.requestID, "panic", x, "stack", string(debug.Stack()))
			v.fail(fault.New(fault.Internal, "something went wrong on our side"))
		}
	}()
	if err := v.enter(e.route); err != nil {
		v.fail(err)
	}
}

// enter finds out who visits, and lets them in or sends them to sign in.
func (v *visit) enter(r route) error {
	v.actor = control.Nobody(v.address(), v.requestID)
	if err := v.readForm(); err != nil {
		return err
	}
	if r.who == file {
		return r.do(v)
	}
	if err := v.recognise(); err != nil {
		return err
	}
	v.takeNotice()
	switch {
	case r.who == anybody:
	case v.actor.Class == identity.Anonymous && v.r.Method == http.MethodPost:
		return fault.Of(fault.Unauthenticated, "signed-out", "your session has ended")
	case v.actor.Class == identity.Anonymous:
		return v.redirect("/signin?return=" + url.QueryEscape(v.r.URL.RequestURI()))
	case r.who == members && v.actor.Class != identity.Member:
		return fault.Of(fault.Forbidden, "members-only", "this page is for members of partner organizations")
	case r.who == staff && v.actor.Class != identity.Staff:
		return fault.New(fault.NotFound, "there is no such page")
	}
	return r.do(v)
}

// MaxUpload is the longest body of a page that takes a file: a bundle of 20 MB, and what a form puts around it.
const MaxUpload = 20<<20 + 64<<10

const uploads = "/drift/bundles/"

// Uploads reports whether a page of that path takes a file. Its form is read once it is known who sends it.
func Uploads(path string) bool { return strings.HasPrefix(path, uploads) }

func (v *visit) readForm() error {
	if v.r.Method != http.MethodPost || Uploads(v.r.URL.Path) {
		return nil
	}
	v.r.Body = http.MaxBytesReader(v.w, v.r.Body, maxForm)
	if err := v.r.ParseForm(); err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return fault.New(fault.TooLarge, "a form may have at most %d KB", maxForm>>10)
		}
		return fault.New(fault.Invalid, "the form could not be read").Because(err)
	}
	return nil
}

// recognise sets the actor from the session cookie. A session that is over is forgotten without a word: the visitor is
// anonymous.
func (v *visit) recognise() error {
	c, err := v.r.Cookie(v.cookieName())
	if err != nil || c.Value == "" {
		return nil
	}
	a, err := v.Control.BySession(v.r.Context(), secret.New(c.Value), v.address(), v.requestID)
	switch {
	case errors.Is(err, fault.Unauthenticated):
		v.forgetSession()
		return nil
	case err != nil:
		return err
	}
	v.actor = a
	if a.Class == identity.Member {
		v.org, err = v.Control.Organization(v.r.Context(), a, a.Organization)
	}
	return err
}

func (v *visit) address() string {
	host, _, err := net.SplitHostPort(v.r.RemoteAddr)
	if err != nil {
		return v.r.RemoteAddr
	}
	return host
}

// object reads the identifier of the path. One that cannot be is not found, as if it were another's.
func (v *visit) object(k id.Kind) (id.ID, error) { return id.Parse(k, v.r.PathValue("id")) }

// redirect answers a form, or sends the visitor elsewhere.
func (v *visit) redirect(to string) error {
	v.written = true
	v.w.Header().Set("Cache-Control", "no-store")
	http.Redirect(v.w, v.r, to, http.StatusSeeOther)
	return nil
}

// done answers a form with a word on the next page.
func (v *visit) done(notice, to string) error {
	v.setNotice(notice)
	return v.redirect(to)
}

// lost is where every address leads that is on no list.
func (v *visit) lost() error {
	other := v.r.Clone(v.r.Context())
	var allow []string
	for _, m := range []string{http.MethodGet, http.MethodPost} {
		other.Method = m
		if _, pattern := v.mux.Handler(other); pattern != "/" && pattern != "" {
			allow = append(allow, m)
		}
	}
	if len(allow) == 0 {
		return fault.New(fault.NotFound, "there is no such page")
	}
	v.w.Header().Set("Allow", strings.Join(allow, ", "))
	return fault.Of(fault.Unsupported, "method-not-allowed", "this page does not take %s", v.r.Method)
}

// local is the path to go on to after signing in, if it is one of ours.
func local(path string) string {
	if !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || strings.ContainsAny(path, "\\\r\n\t") {
		return ""
	}
	u, err := url.Parse(path)
	if err != nil || u.Host != "" || u.Scheme != "" {
		return ""
	}
	return path
}

func newRequestID() string { return "req-" + strings.ToLower(rand.Text()) }

func (v *visit) logFailure(f *fault.Error, err error) {
	if f.Kind != fault.Internal && f.Kind != fault.Unavailable {
		return
	}
	v.Log.Error("portal: page failed", slog.String("path", v.r.URL.Path), slog.String("method", v.r.Method),
		slog.String("request_id", v.requestID), slog.Any("error", err))
}
