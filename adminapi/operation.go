package adminapi

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"gatehouse/control"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/manifest"
	"gatehouse/problem"
)

// trait is what is particular about an operation.
type trait string

const (
	open  trait = "open"  // needs no token
	large trait = "large" // takes a manifest, or another bundle of files
	slow  trait = "slow"  // reads or writes the whole database
)

// traitsKey is where huma keeps them.
const traitsKey = "traits"

func is(op *huma.Operation, t trait) bool {
	ts, _ := op.Metadata[traitsKey].([]trait)
	return slices.Contains(ts, t)
}

// operation says what an operation of the document is. Its ID is the name of control's method that it calls.
type operation struct {
	id, method, path  string
	tag, summary, doc string
	status            int // of success; 0: 200, or 204 without a body
	traits            []trait
}

// add adds an operation. Whatever error do returns becomes a problem.
func add[I, O any](a *api, o operation, do func(context.Context, *I) (*O, error)) {
	op := huma.Operation{OperationID: o.id, Method: o.method, Path: o.path, Tags: []string{o.tag}, Summary: o.summary,
		Description: o.doc, DefaultStatus: o.status, MaxBodyBytes: maxFiles + 1, Metadata: map[string]any{traitsKey: o.traits},
		Responses: map[string]*huma.Response{"default": {Description: "A problem (RFC 9457)", Content: map[string]*huma.MediaType{
			problem.MediaType: {Schema: &huma.Schema{Ref: "#/components/schemas/Problem"}},
		}}}}
	if !is(&op, open) {
		op.Security = []map[string][]string{{"bearer": {}}}
	}
	huma.Register(a.huma, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := do(ctx, in)
		if err != nil {
			c, ok := any(in).(interface{ caller() *Caller })
			if !ok {
				panic(fmt.Sprintf("adminapi: the input of %s has no Caller", o.id))
			}
			return nil, a.refusal(c.caller().x.w.Header(), c.caller().x.r.URL.Path, err)
		}
		return out, nil
	})
}

// Caller is in every input: who asks.
type Caller struct{ x *exchange }

// Resolve is called by huma with every request.
func (c *Caller) Resolve(ctx huma.Context) []error {
	c.x = ctx.(*exchange)
	return nil
}

func (c *Caller) caller() *Caller       { return c }
func (c *Caller) actor() identity.Actor { return c.x.actor }
func (c *Caller) agent() string         { return c.x.r.UserAgent() }

// With is the input of an operation that takes a body.
type With[T any] struct {
	Caller
	Body T
}

// Object is the input of an operation on one object.
type Object struct {
	Caller
	ID string `path:"id" doc:"The object's identifier: a prefix that names its kind, and 26 characters"`
}

func (o *Object) object() id.ID { return id.ID(o.ID) }

// Change is the input of an operation that changes one object.
type Change struct {
	Object
	IfMatch string `header:"If-Match" doc:"The ETag under which you saw the object. If it has changed since, nothing is done and the answer is 412. Without it, or with *, whatever it is now is changed." example:"\"3\""`
}

// version is the version that the caller saw: 0 for any.
func (c *Change) version() (int64, error) {
	if len(c.x.r.Header.Values("If-Match")) > 1 || strings.Contains(c.IfMatch, ",") {
		return 0, fault.Bad("/If-Match", "give one ETag")
	}
	tag := strings.TrimSpace(c.IfMatch)
	switch {
	case tag == "" || tag == "*":
		return 0, nil
	case strings.HasPrefix(tag, `W/"`): // weak ones never match (RFC 9110 §13.1.1)
		return -1, nil
	}
	inner, begins := strings.CutPrefix(tag, `"`)
	inner, ends := strings.CutSuffix(inner, `"`)
	if !begins || !ends {
		return 0, fault.Bad("/If-Match", `must be an ETag, such as "3" with its quotation marks, or *`)
	}
	n, err := strconv.ParseInt(inner, 10, 64)
	if err != nil || n < 1 {
		return -1, nil // never one of ours
	}
	return n, nil
}

// Once is the header of operations that make something.
type Once struct {
	Key string `header:"Idempotency-Key" doc:"A name of your choice for this request, at most 128 visible ASCII characters. Sent again with the same key, it makes nothing new: the answer is the object that was made the first time." example:"order-2026-0042"`
}

// Paging is the input of a list.
type Paging struct {
	After string `query:"after" doc:"Where to go on: the next of the page before"`
	Limit int    `query:"limit" minimum:"1" maximum:"500" default:"50" doc:"The most items on a page"`
}

func (p Paging) page() control.Page { return control.Page{After: p.After, Limit: p.Limit} }

// Page is the answer of a list.
type Page[T any] struct {
	Body Items[T]
}

// Items is one page of a list.
type Items[T any] struct {
	Items []T    `json:"items" nullable:"false"`
	Next  string `json:"next,omitempty"`
}

// Got answers with an object that has no version.
type Got[T any] struct{ Body T }

// Versioned answers with an object and the version of it.
type Versioned[T any] struct {
	ETag string `header:"ETag" doc:"The object's version: send it as If-Match with a change" example:"\"3\""`
	Body T
}

// Made answers with an object that was made.
type Made[T any] struct {
	ETag     string `header:"ETag" doc:"The object's version: send it as If-Match with a change" example:"\"1\""`
	Location string `header:"Location" doc:"Where the object is"`
	Body     T
}

// None answers with nothing.
type None struct{}

func etag(version int64) string { return `"` + strconv.FormatInt(version, 10) + `"` }

func got[T any](v T, err error) (*Got[T], error) { return &Got[T]{v}, err }

func versioned[T any](v T, version int64, err error) (*Versioned[T], error) {
	return &Versioned[T]{etag(version), v}, err
}

func made[T any](path string, i id.ID, v T, version int64, err error) (*Made[T], error) {
	return &Made[T]{etag(version), path + "/" + string(i), v}, err
}

// paged answers with a page, each item in the form that callers see.
func paged[T, V any](l control.List[T], err error, view func(T) V) (*Page[V], error) {
	out := &Page[V]{Body: Items[V]{Items: make([]V, 0, len(l.Items)), Next: l.Next}}
	for _, i := range l.Items {
		out.Body.Items = append(out.Body.Items, view(i))
	}
	return out, err
}

func same[T any](v T) T { return v }

// span reads a time span such as 30d or 12h; "" is 0.
func span(pointer, s string) (time.Duration, error) {
	if s == "" {
		return 0, nil
	}
	d, err := manifest.ParseDuration(s)
	if err != nil {
		return 0, fault.Bad(pointer, "%v", err)
	}
	if d == 0 { // control takes 0 for the longest: nobody who writes 0 wants that
		return 0, fault.Bad(pointer, "must be more than nothing; leave it out for the longest that is allowed")
	}
	return time.Duration(d), nil
}

// Reason is the body of a deed that must be explained.
type Reason struct {
	Reason string `json:"reason" doc:"Why. It stands in the audit, and whoever is affected sees it." example:"unusual calls, being looked at"`
}

// Deed is the input of such a deed.
type Deed struct {
	Change
	Body Reason
}

// deed adds an operation that turns one object into another state for a reason.
func deed[V any](a *api, o operation, turn func(context.Context, identity.Actor, id.ID, int64, string) (V, int64, error)) {
	o.method = http.MethodPost
	add(a, o, func(ctx context.Context, in *Deed) (*Versioned[V], error) {
		version, err := in.version()
		if err != nil {
			return nil, err
		}
		v, now, err := turn(ctx, in.actor(), in.object(), version, in.Body.Reason)
		return versioned(v, now, err)
	})
}
