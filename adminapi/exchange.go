package adminapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"gatehouse/control"
	"gatehouse/fault"
	"gatehouse/identity"
	"gatehouse/secret"
)

// Bounds of a request.
const (
	maxBody   = 1 << 20          // of everything but a manifest
	maxFiles  = 32 << 20         // a manifest has 16 MiB at most, and a third more in base64
	bodyTime  = 30 * time.Second // for all of a body to arrive
	workTime  = 30 * time.Second // for an answer
	longTime  = 10 * time.Minute // for one that reads or writes the whole database
	maxBearer = 512              // bytes of a token; ours have 36
)

// underlying has another name than huma's Context, which has a method of that name.
type underlying huma.Context

// exchange is one request on its way through huma. What is known of it stands in fields, not in context values.
type exchange struct {
	underlying
	w     http.ResponseWriter
	r     *http.Request
	actor identity.Actor
}

// SetReadDeadline does nothing: the body has been read when huma asks.
func (x *exchange) SetReadDeadline(time.Time) error { return nil }

// Handle is how huma adds an operation to the mux.
func (a *api) Handle(op *huma.Operation, handler func(huma.Context)) {
	a.mux.HandleFunc(op.Method+" "+op.Path, func(w http.ResponseWriter, r *http.Request) {
		limit := workTime
		if is(op, slow) {
			limit = longTime
		}
		ctx, cancel := context.WithTimeout(r.Context(), limit)
		defer cancel()
		r = r.WithContext(ctx)
		x, err := a.enter(op, w, r)
		if err != nil {
			a.refuse(w, r, err)
			return
		}
		handler(x)
	})
}

// enter finds out who asks, then reads what they send: whoever may not ask at all is not read.
func (a *api) enter(op *huma.Operation, w http.ResponseWriter, r *http.Request) (*exchange, error) {
	actor, err := a.who(w, r)
	if err != nil {
		return nil, err
	}
	if actor.Class == identity.Anonymous && !is(op, open) {
		return nil, fault.New(fault.Unauthenticated, "send a token: Authorization: Bearer …")
	}
	if err := checkQuery(r.URL.RawQuery); err != nil {
		return nil, err
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		most := int64(maxBody)
		if is(op, large) && actor.Organization == "" && actor.Class != identity.Anonymous {
			most = maxFiles
		}
		body, err := readBody(w, r, most)
		if err != nil {
			return nil, err
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	return &exchange{underlying: humago.NewContext(op, r, w), w: w, r: r, actor: actor}, nil
}

// who is the actor of the bearer token; without one, nobody.
func (a *api) who(w http.ResponseWriter, r *http.Request) (identity.Actor, error) {
	address, requestID := r.RemoteAddr, w.Header().Get(requestIDHeader)
	if host, _, err := net.SplitHostPort(address); err == nil {
		address = host
	}
	given := r.Header.Values("Authorization")
	if len(given) == 0 {
		return control.Nobody(address, requestID), nil
	}
	scheme, token, ok := strings.Cut(given[0], " ")
	token = strings.TrimLeft(token, " ")
	if len(given) > 1 || !ok || !strings.EqualFold(scheme, "Bearer") || token == "" || len(token) > maxBearer {
		return identity.Actor{}, fault.Of(fault.Unauthenticated, "bad-token", "send one token, like this: Authorization: Bearer …")
	}
	return a.Control.ByBearer(r.Context(), secret.New(token), address, requestID)
}

// checkQuery refuses a query that two readers could read in two ways.
func checkQuery(raw string) error {
	q, err := url.ParseQuery(raw)
	if err != nil {
		return fault.New(fault.Invalid, "the query cannot be read").Because(err)
	}
	for name, values := range q {
		if len(values) > 1 {
			return fault.Bad("/"+escape(name), "must be given once")
		}
	}
	return nil
}

// readBody reads the body and checks that it is one JSON value, said in one way.
func readBody(w http.ResponseWriter, r *http.Request, most int64) ([]byte, error) {
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		return nil, nil
	}
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/json" || len(r.Header.Values("Content-Type")) > 1 {
		return nil, fault.New(fault.Unsupported, "send JSON, with the field Content-Type: application/json")
	}
	if len(r.Header.Values("Content-Encoding")) > 0 {
		return nil, fault.New(fault.Unsupported, "send the body as it is, without a Content-Encoding")
	}
	tooLarge := fault.New(fault.TooLarge, "the body may have at most %d MB", most>>20)
	if r.ContentLength > most {
		return nil, tooLarge
	}
	rc := http.NewResponseController(w)
	if err := rc.SetReadDeadline(time.Now().Add(bodyTime)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return nil, fmt.Errorf("set the deadline of the body: %w", err)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, most))
	switch {
	case errors.As(err, new(*http.MaxBytesError)):
		return nil, tooLarge
	case err != nil && isTimeout(err):
		return nil, fault.Of(fault.Invalid, "request-timeout", "the body did not arrive in time").Because(err)
	case err != nil:
		return nil, fault.New(fault.Invalid, "the body broke off").Because(err)
	}
	if err := rc.SetReadDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return nil, fmt.Errorf("take back the deadline of the body: %w", err)
	}
	if len(body) == 0 {
		return nil, nil
	}
	if why := checkJSON(body); why != "" {
		return nil, fault.New(fault.Invalid, "the body is not JSON as it must be: %s", why)
	}
	return body, nil
}

func isTimeout(err error) bool {
	n, ok := errors.AsType[net.Error](err)
	return ok && n.Timeout()
}
