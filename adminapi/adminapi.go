// Package adminapi is the JSON face of control: what the command line, pipelines and partners' own tools call. Its OpenAPI
// document is made from the same types that requests are decoded into, so it cannot say anything else than the code does.
package adminapi

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"gatehouse/control"
	"gatehouse/fault"
)

// Options is what an admin API works with. Control is needed.
type Options struct {
	Control *control.Control
	Log     *slog.Logger
	Now     func() time.Time
	Version string // of this build, named in the OpenAPI document
}

// DocumentPath is where the OpenAPI document lies.
const DocumentPath = "/api/openapi.json"

// api is the handler. Nothing in it changes after New.
type api struct {
	Options
	mux      *http.ServeMux
	huma     huma.API
	document []byte
}

// New returns the handler of everything under /api/. It takes bearer tokens and never a cookie, so that no page of another
// site can ask in somebody's name. It bounds bodies itself; deadlines of reading and writing are the server's.
func New(o Options) (http.Handler, error) {
	if o.Control == nil {
		return nil, errors.New("adminapi: Options.Control is needed")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	a := &api{Options: o, mux: http.NewServeMux()}
	a.huma = huma.NewAPI(a.config(), a)
	a.people()
	a.factors()
	a.personal()
	a.tokens()
	a.drift()
	a.staff()
	a.members()
	a.webhooks()
	a.organizations()
	a.applications()
	a.catalogue()
	a.requests()
	a.questions()
	a.absences()
	a.grants()
	a.reviews()
	a.credentials()
	a.stock()
	a.clients()
	a.registrations()
	a.workloads()
	a.gateways()
	a.fleet()
	a.audit()
	if err := a.finish(); err != nil {
		return nil, fmt.Errorf("adminapi: %w", err)
	}
	a.mux.HandleFunc("GET "+DocumentPath, a.serveDocument)
	a.mux.HandleFunc("/", a.lost)
	return a, nil
}

// finish completes the document and writes it once.
func (a *api) finish() error {
	if err := describe(a.huma.OpenAPI().Components.Schemas.Map()); err != nil {
		return err
	}
	var err error
	a.document, err = json.MarshalIndent(a.huma.OpenAPI(), "", "  ")
	return err
}

func (a *api) serveDocument(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/openapi+json")
	_, _ = w.Write(a.document) // an answer that its reader does not wait for
}

// requestIDHeader carries the identifier by which a request is found in logs and audit.
const requestIDHeader = "X-Request-Id"

// ServeHTTP gives the request its identifier, and answers a panic as the mistake of ours that it is.
func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set(requestIDHeader, "req-"+strings.ToLower(rand.Text()))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	out := &answer{ResponseWriter: w}
	defer func() {
		x := recover()
		if x == nil {
			return
		}
		if err, ok := x.(error); ok && errors.Is(err, http.ErrAbortHandler) {
			panic(x)
		}
		a.Log.Error("admin API: panic", "method", r.Method, "pattern", r.Pattern, "request_id", h.Get(requestIDHeader), "panic", x, "stack", string(debug.Stack()))
		if out.begun {
			panic(http.ErrAbortHandler) // the caller must not take half an answer for a whole one
		}
		a.refuse(out, r, fault.New(fault.Internal, "something went wrong on our side"))
	}()
	a.mux.ServeHTTP(out, r)
}

// answer knows whether an answer has begun.
type answer struct {
	http.ResponseWriter
	begun bool
}

func (w *answer) WriteHeader(status int) {
	w.begun = true
	w.ResponseWriter.WriteHeader(status)
}

func (w *answer) Write(b []byte) (int, error) {
	w.begun = true
	return w.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (w *answer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// lost answers what is on no list: another method of a path, or no path at all.
func (a *api) lost(w http.ResponseWriter, r *http.Request) {
	other := r.Clone(r.Context())
	var allow []string
	for _, m := range []string{http.MethodDelete, http.MethodGet, http.MethodHead, http.MethodPatch, http.MethodPost} {
		other.Method = m
		if _, pattern := a.mux.Handler(other); pattern != "/" && pattern != "" {
			allow = append(allow, m)
		}
	}
	if len(allow) == 0 {
		a.refuse(w, r, fault.New(fault.NotFound, "there is no such path: %s lists them all", DocumentPath))
		return
	}
	w.Header().Set("Allow", strings.Join(slices.Compact(allow), ", "))
	a.refuse(w, r, fault.Of(fault.Unsupported, "method-not-allowed", "this path takes %s", strings.Join(allow, ", ")))
}
