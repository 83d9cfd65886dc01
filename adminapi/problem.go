package adminapi

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"gatehouse/fault"
	"gatehouse/manifest"
	"gatehouse/problem"
)

// Problem is a problem document (RFC 9457), the form of every answer that is not what was asked for.
type Problem struct {
	Type      string    `json:"type"`
	Title     string    `json:"title"`
	Status    int       `json:"status"`
	Detail    string    `json:"detail,omitempty"`
	Instance  string    `json:"instance,omitempty"`
	RequestID string    `json:"request_id"`
	Rule      string    `json:"rule,omitempty"`
	Errors    []Finding `json:"errors,omitempty" nullable:"false"`
}

// Finding is one thing wrong with the input: with Detail about the request, with File, Line and Text about a manifest in it.
type Finding struct {
	Pointer string `json:"pointer"`
	Detail  string `json:"detail,omitempty"`
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"`
	Text    string `json:"text,omitempty"`
}

// refusal is an error on its way through huma to the caller.
type refusal struct {
	Problem
	header http.Header
}

func (r *refusal) Error() string                { return r.Detail }
func (r *refusal) GetStatus() int               { return r.Status }
func (r *refusal) GetHeaders() http.Header      { return r.header }
func (r *refusal) ContentType(string) string    { return problem.MediaType }
func (r *refusal) MarshalJSON() ([]byte, error) { return json.Marshal(r.Problem) }

// badManifest is a refused manifest with everything that is wrong with it.
type badManifest struct {
	error
	found []manifest.Diagnostic
}

func (b badManifest) Unwrap() error { return b.error }

// refusal makes the answer of an error, and logs what is our own fault.
func (a *api) refusal(h http.Header, path string, err error) *refusal {
	p := problem.Of(err)
	out := &refusal{header: http.Header{}, Problem: Problem{Type: p.Type, Title: p.Title, Status: p.Status, Detail: p.Detail,
		Instance: path, RequestID: h.Get(requestIDHeader), Rule: p.Rule}}
	if b, ok := errors.AsType[badManifest](err); ok {
		for _, d := range b.found {
			if !d.Warning {
				out.Errors = append(out.Errors, Finding{Pointer: d.Pointer, File: d.File, Line: d.Line, Text: d.Text})
			}
		}
	} else {
		for _, e := range p.Errors {
			out.Errors = append(out.Errors, Finding{Pointer: e.Pointer, Detail: e.Detail})
		}
	}
	if s := p.RetrySeconds(); s != "" {
		out.header.Set("Retry-After", s)
	}
	if p.Status == http.StatusUnauthorized {
		out.header.Set("WWW-Authenticate", `Bearer realm="gatehouse"`)
	}
	if p.Status >= 500 {
		a.Log.Error("admin API: request failed", "path", path, "request_id", out.RequestID, "error", err)
	}
	return out
}

// refuse answers with a problem, outside huma.
func (a *api) refuse(w http.ResponseWriter, r *http.Request, err error) {
	p := a.refusal(w.Header(), r.URL.Path, err)
	for name, values := range p.header {
		w.Header()[name] = values
	}
	b, jerr := json.Marshal(p)
	if jerr != nil { // it is strings and numbers
		panic(jerr)
	}
	w.Header().Set("Content-Type", problem.MediaType)
	w.Header().Set("Content-Length", strconv.Itoa(len(b)+1))
	unread := r.ContentLength != 0 && r.Body != nil && r.Body != http.NoBody
	if unread {
		w.Header().Set("Connection", "close")
	}
	w.WriteHeader(p.Status)
	_, _ = w.Write(append(b, '\n')) // the caller may have gone
	if unread {
		linger(w, r)
	}
}

// Bounds of what is read of a body that nobody wants.
const (
	lingerTime = time.Second
	lingerMost = 64 << 20
)

// linger reads the rest of a body for a while: a caller who sends all of it first would find the connection reset, and
// never see the answer that is on its way. (net/http does so before it answers, for as long as a caller likes who announces
// more than they send.)
func linger(w http.ResponseWriter, r *http.Request) {
	rc := http.NewResponseController(w)
	if rc.Flush() != nil || rc.SetReadDeadline(time.Now().Add(lingerTime)) != nil {
		return
	}
	_, _ = io.CopyN(io.Discard, r.Body, lingerMost) // whatever it is, the connection is closed
}

// ours turns huma's own refusals into ours, so that callers meet one form of problems.
func (a *api) ours(ctx huma.Context, _ string, v any) (any, error) {
	e, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	x := ctx.(*exchange)
	return a.refusal(x.w.Header(), x.r.URL.Path, faultOf(e)), nil
}

// faultOf is what huma found wrong, as a fault. The values that it quotes stay here: they may be passwords.
func faultOf(e *huma.ErrorModel) error {
	switch e.Status {
	case http.StatusBadRequest:
		return fault.New(fault.Invalid, "%s", e.Detail)
	case http.StatusUnprocessableEntity:
		var fields []fault.Field
		for _, d := range e.Errors {
			if d == nil {
				continue
			}
			pointer, text := pointerOf(d.Location), d.Message
			if name, ok := strings.CutPrefix(text, "expected required property "); ok {
				pointer, text = pointer+"/"+escape(strings.TrimSuffix(name, " to be present")), "must be given"
			}
			fields = append(fields, fault.Field{Pointer: pointer, Text: text})
		}
		return fault.BadFields(fields)
	case http.StatusRequestEntityTooLarge:
		return fault.New(fault.TooLarge, "%s", e.Detail)
	case http.StatusUnsupportedMediaType:
		return fault.New(fault.Unsupported, "%s", e.Detail)
	}
	return fault.New(fault.Internal, "something went wrong on our side").Because(errors.New(strconv.Itoa(e.Status) + " " + e.Detail))
}

// pointerOf turns huma's location, such as body.scopes[1] or query.limit, into a JSON pointer into the input: /scopes/1, /limit.
func pointerOf(location string) string {
	_, rest, _ := strings.Cut(location, ".")
	if rest == "" {
		return ""
	}
	var b strings.Builder
	for _, part := range strings.FieldsFunc(rest, func(r rune) bool { return r == '.' || r == '[' || r == ']' }) {
		b.WriteString("/" + escape(part))
	}
	return b.String()
}

// escape writes one part of a JSON pointer (RFC 6901 §3).
func escape(s string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(s) }
