// Package headers is the policy that sets, adds and removes header fields.
package headers

import (
	"slices"
	"strconv"
	"strings"

	"gatehouse/fault"
	"gatehouse/policy"
	"gatehouse/wire"
)

// Config is the settings of headers.
type Config struct {
	Request  Changes `json:"request"`  // to what the upstream sees
	Response Changes `json:"response"` // to what the caller sees, on refusals as well
}

// Changes are done in this order: remove, set, add. Fields that frame a message, that belong to the connection or that
// tell who calls cannot be named.
type Changes struct {
	Remove []string          `json:"remove"` // every field of these names
	Set    map[string]string `json:"set"`    // instead of every field of that name
	Add    map[string]string `json:"add"`    // beside what is there
}

// Kind is the policy "headers".
func Kind() policy.Kind {
	return policy.Define("headers", policy.Rewrite, "Sets, adds and removes header fields of the request and of the response.", build)
}

func build(c Config, _ policy.Site, _ policy.Deps) (policy.Policy, error) {
	request, wrong := compile("/request", c.Request, requestOnly)
	response, more := compile("/response", c.Response, responseOnly)
	if wrong = append(wrong, more...); len(wrong) > 0 {
		return policy.Policy{}, fault.BadFields(wrong)
	}
	var p policy.Policy
	if !request.empty() {
		p.Request = func(x *policy.Exchange) error { request.apply(&x.Request.Fields); return nil }
	}
	if !response.empty() {
		p.Response = func(x *policy.Exchange) { response.apply(&x.Response.Fields) }
	}
	if request.empty() && response.empty() {
		return policy.Policy{}, fault.Bad("", "changes nothing: give request or response with set, add or remove")
	}
	return p, nil
}

func requestOnly(lower string) string {
	switch lower {
	case "authorization", "cookie":
		return "a secret does not belong into a manifest: use present of the upstream"
	case "traceparent", "tracestate", "x-request-id":
		return "the gateway itself sets this field"
	}
	return ""
}

func responseOnly(lower string) string {
	switch {
	case strings.HasPrefix(lower, "access-control-"):
		return "use the policy cors"
	case lower == "ratelimit", lower == "ratelimit-policy", lower == "retry-after", lower == "www-authenticate":
		return "the gateway itself sets this field"
	}
	return ""
}

type changes struct {
	remove []string // of set as well
	put    wire.Fields
}

func (c *changes) empty() bool { return len(c.remove) == 0 && len(c.put) == 0 }

func (c *changes) apply(f *wire.Fields) {
	for _, name := range c.remove {
		f.Del(name)
	}
	*f = append(*f, c.put...)
}

func compile(at string, c Changes, also func(lower string) string) (*changes, []fault.Field) {
	out := &changes{}
	var wrong []fault.Field
	check := func(pointer, name, value string, sent bool) {
		why := policy.CheckField(name)
		if why == "" {
			if lower := strings.ToLower(name); sent || lower != "authorization" && lower != "cookie" { // those two may be removed
				why = also(lower)
			}
		}
		if why == "" {
			why = policy.CheckValue(value)
		}
		if why != "" {
			wrong = append(wrong, fault.Field{Pointer: at + pointer, Text: why})
		}
	}
	for i, name := range c.Remove {
		check("/remove/"+strconv.Itoa(i), name, "", false)
		out.remove = append(out.remove, name)
	}
	for _, name := range sorted(c.Set) {
		check("/set/"+escape(name), name, c.Set[name], true)
		out.remove = append(out.remove, name)
		out.put.AddString(name, c.Set[name])
	}
	for _, name := range sorted(c.Add) {
		check("/add/"+escape(name), name, c.Add[name], true)
		out.put.AddString(name, c.Add[name])
	}
	return out, wrong
}

func sorted(m map[string]string) []string {
	names := make([]string, 0, len(m))
	for n := range m {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// escape writes a name as a token of a JSON pointer (RFC 6901 §3).
func escape(s string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(s) }
