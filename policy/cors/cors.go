// Package cors is the policy that lets browsers on other sites call a route (Fetch, "CORS protocol").
package cors

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/fault"
	"gatehouse/policy"
	"gatehouse/wire"
)

// Config is the settings of cors.
type Config struct {
	Origins     []string        `json:"origins"`     // such as https://partner.example; "*" for every site. It must be given
	Methods     []string        `json:"methods"`     // that other sites may use; default: all that are offered
	Headers     []string        `json:"headers"`     // that other sites may send; default: Content-Type, X-API-Key, Authorization
	Expose      []string        `json:"expose"`      // that scripts may read besides RateLimit, RateLimit-Policy, Retry-After, Gatehouse-Request-Id
	Credentials bool            `json:"credentials"` // cookies may be sent; not together with "*"; default: false
	MaxAge      policy.Duration `json:"max_age"`     // how long a browser may keep the answer; default 10m, at most 24h
}

// Kind is the policy "cors".
func Kind() policy.Kind {
	return policy.Define("cors", policy.Admit,
		"Lets pages of other sites call the route. Answers their preflight requests itself; refusals carry the fields too, so that a page can read why.",
		build)
}

func build(c Config, s policy.Site, _ policy.Deps) (policy.Policy, error) {
	r := &rule{}
	var wrong []fault.Field
	bad := func(pointer, text string) { wrong = append(wrong, fault.Field{Pointer: pointer, Text: text}) }

	if len(c.Origins) == 0 {
		bad("/origins", "must be given, such as https://partner.example")
	}
	for i, o := range c.Origins {
		at := "/origins/" + strconv.Itoa(i)
		u, err := url.Parse(o)
		switch {
		case o == "*" && (c.Credentials || len(c.Origins) > 1):
			bad(at, `"*" stands alone and without credentials`)
		case o == "*":
			r.any = true
		case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.Scheme+"://"+u.Host != o || strings.ToLower(o) != o || strings.Contains(o, "*"):
			bad(at, "is not an origin: write it like https://partner.example, in lower case, without a path")
		}
		r.origins = append(r.origins, o)
	}
	for i, m := range c.Methods {
		if strings.ToUpper(m) != m || policy.CheckField(m) != "" {
			bad("/methods/"+strconv.Itoa(i), "is not a method")
		}
	}
	if c.Headers == nil {
		c.Headers = []string{"Content-Type", "X-API-Key", "Authorization"}
	}
	for i, h := range c.Headers {
		if why := policy.CheckField(h); why != "" {
			bad("/headers/"+strconv.Itoa(i), why)
		}
	}
	exposed := []string{"RateLimit", "RateLimit-Policy", "Retry-After", "Gatehouse-Request-Id"}
	for i, h := range c.Expose {
		if why := policy.CheckField(h); why != "" {
			bad("/expose/"+strconv.Itoa(i), why)
		}
		exposed = append(exposed, h)
	}
	age := 10 * time.Minute
	if c.MaxAge != "" {
		var err error
		if age, err = c.MaxAge.Span(); err != nil || age > 24*time.Hour {
			bad("/max_age", "must be a time span of at most 24h, such as 10m")
		}
	}
	if len(wrong) > 0 {
		return policy.Policy{}, fault.BadFields(wrong)
	}
	if s.Route != nil && len(c.Methods) > 0 && !slices.Contains(c.Methods, s.Route.Method) {
		r.closed = true
	}
	r.headers, r.credentials = c.Headers, c.Credentials
	r.allowHeaders = wire.View(strings.Join(c.Headers, ", "))
	r.expose = wire.View(strings.Join(exposed, ", "))
	r.maxAge = wire.View(strconv.Itoa(int(age.Seconds())))
	return policy.Policy{Response: r.response, Preflight: r.preflight}, nil
}

type rule struct {
	origins      []string
	any          bool
	closed       bool // the route's method is not open to other sites
	headers      []string
	credentials  bool
	allowHeaders wire.View
	expose       wire.View
	maxAge       wire.View
}

// The names and values of fields, as bytes.
var (
	origin           = wire.View("Access-Control-Allow-Origin")
	allowMethods     = wire.View("Access-Control-Allow-Methods")
	allowHeaders     = wire.View("Access-Control-Allow-Headers")
	allowCredentials = wire.View("Access-Control-Allow-Credentials")
	exposeHeaders    = wire.View("Access-Control-Expose-Headers")
	maxAge           = wire.View("Access-Control-Max-Age")
	vary             = wire.View("Vary")
	varyOrigin       = wire.View("Origin")
	varyPreflight    = wire.View("Origin, Access-Control-Request-Method, Access-Control-Request-Headers")
	yes              = wire.View("true")
	star             = wire.View("*")
)

// allowed returns the origin of the request when it may call.
func (r *rule) allowed(x *policy.Exchange) (wire.View, bool) {
	o, sent := x.Request.Fields.Get("Origin")
	if !sent || r.closed || x.Request.Fields.Count("Origin") > 1 {
		return nil, false
	}
	if r.any {
		return star, true
	}
	for _, known := range r.origins {
		if string(o) == known {
			return o, true
		}
	}
	return nil, false
}

// response adds to every answer what lets a browser hand it to the page. What the upstream says about it is removed: one
// place decides.
func (r *rule) response(x *policy.Exchange) {
	f := &x.Response.Fields
	f.DelPrefix("Access-Control-")
	if x.Request.Method.EqualFold("OPTIONS") && x.Answered() && x.Refusal == nil {
		r.answer(x)
		return
	}
	if !r.any {
		f.Add(vary, varyOrigin)
	}
	o, ok := r.allowed(x)
	if !ok {
		return
	}
	f.Add(origin, o)
	f.Add(exposeHeaders, r.expose)
	if r.credentials {
		f.Add(allowCredentials, yes)
	}
}

var (
	foreign = fault.Of(fault.Forbidden, "origin-not-allowed", "pages of this origin may not call this operation")
	header  = fault.Of(fault.Forbidden, "header-not-allowed", "pages of other origins may not send one of these header fields here")
)

func (r *rule) preflight(x *policy.Exchange) error {
	if _, ok := r.allowed(x); !ok {
		return foreign
	}
	asked, _ := x.Request.Fields.Get("Access-Control-Request-Headers")
	for name := range strings.SplitSeq(string(asked), ",") {
		name = strings.Trim(name, " \t")
		if name != "" && !slices.ContainsFunc(r.headers, func(h string) bool { return strings.EqualFold(h, name) }) {
			return header
		}
	}
	x.Answer(204, nil, 0)
	return nil
}

// answer is the fields of a preflight's answer.
func (r *rule) answer(x *policy.Exchange) {
	o, _ := r.allowed(x)
	f := &x.Response.Fields
	f.Add(vary, varyPreflight)
	f.Add(origin, o)
	f.Add(allowMethods, x.KeepScratch(append(x.Scratch(), x.Route.Method...)))
	if len(r.allowHeaders) > 0 {
		f.Add(allowHeaders, r.allowHeaders)
	}
	if r.credentials {
		f.Add(allowCredentials, yes)
	}
	f.Add(maxAge, r.maxAge)
}
