package gatehouse

import (
	"encoding/json"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"gatehouse/drift"
	"gatehouse/drift/source"
	"gatehouse/manifest"
)

// Settings says of every setting of the manifest, of the policies' kinds (below "policy.") and of the gateways' start-up
// configuration (below "start.") whether it is read, which is "", or why it is left alone. A setting that is not listed is told as
// a gap where it is used: what this reader does not know, it does not pass over.
func Settings() map[string]string {
	const (
		words     = "words for people"
		choice    = "which target is asked changes nothing of what is asked of callers"
		wellness  = "when a target is left out changes nothing of what is asked of callers"
		people    = "who decides on a request, not whether somebody does"
		terms     = "terms of grants, which no gateway's configuration but ours has: there is nothing to compare"
		own       = "of the upstream's own environment, as its addresses are"
		bounded   = "how a retry or a breaker that is there behaves: whether it is there is read"
		tunnel    = "upgraded connections are read of no gateway: what let a caller in counts for as long as one is open"
		unseen    = "within the gateway: nothing of it can be seen from outside"
		control   = "of the control plane, not of what gateways enforce"
		connected = "how a gateway meets its control plane, not what it enforces"
	)
	out := map[string]string{
		"gatehouse": "the version of the form, of which there is one",

		"environments.title": words, "environments.description": words,

		"upstreams.weights.*": choice, "upstreams.environments.*.weights.*": choice, "upstreams.balance.by": choice, "upstreams.balance.key": choice,
		"upstreams.protocol": own, "upstreams.timeouts.total": "over all tries together: the time of each, and how many there are, is read",
		"upstreams.health.active.path": wellness, "upstreams.health.active.host": wellness, "upstreams.health.active.status": wellness, "upstreams.health.active.interval": wellness,
		"upstreams.health.active.timeout": wellness, "upstreams.health.active.healthy": wellness, "upstreams.health.active.unhealthy": wellness,
		"upstreams.health.passive.failures": wellness, "upstreams.health.passive.status": wellness, "upstreams.health.passive.eject": wellness,
		"upstreams.health.passive.longest": wellness, "upstreams.health.passive.most": wellness, "upstreams.health.slow_return": wellness,
		"upstreams.retries.try": bounded, "upstreams.retries.share": bounded, "upstreams.retries.minimum": bounded,
		"upstreams.breaker.requests": bounded, "upstreams.breaker.window": bounded, "upstreams.breaker.open": bounded, "upstreams.breaker.probes": bounded,
		"upstreams.concurrency.queue": bounded, "upstreams.concurrency.wait": bounded, "upstreams.concurrency.adaptive": bounded,
		"upstreams.dns.least": choice, "upstreams.dns.most": choice,
		"upstreams.present.secret": "names a secret, whose value stands in no file",
		"upstreams.tls.key":        "the key of the certificate, which is read",

		"apis.title": words, "apis.upstream_path": own,
		"apis.operations.websocket.idle": tunnel, "apis.operations.websocket.longest": tunnel, "apis.operations.websocket.most": tunnel,

		"products.title": words, "products.description": words, "products.owner": words,
		"products.max_offline": connected, "products.data_class": "what rules of approval can ask for",
		"products.scopes.*":       "what can be asked for: what an operation needs is read there",
		"products.plans.title":    words,
		"products.plans.longest":  terms,
		"products.plans.approval": people, "products.plans.description": words, "products.plans.credential_longest": terms,
		"products.plans.limits.name": words, "products.plans.quotas": "not read yet: where a plan has one, the quota is told as not known",

		"trusted_issuers.title": words, "client_authorities.title": words, "trusted_issuers.stale": "while the issuer cannot be reached",
		"trusted_issuers.kind":    "how its tokens say which workload calls, not which tokens count",
		"trusted_issuers.subject": "which claim says which workload calls, not which tokens count",

		"policy.rate_limit.from": "the one word that it takes is what holds without windows", "policy.rate_limit.windows.name": words,
		"policy.no_grant.reason": words,

		"start.gateway.listen": own, "start.gateway.url": own, "start.gateway.tls.key": "the key of the certificate, which is read",
		"start.gateway.codec": unseen, "start.gateway.io-uring": unseen, "start.gateway.dns": unseen, "start.gateway.websockets": unseen,
		"start.counters.address":     "where shared limits are counted, which is better given by variable: whether they are shared is the manifest's word",
		"start.counters.authorities": "of the connection to the counters",
	}
	for _, stage := range []string{"name", "role", "count", "within", "stand_in"} {
		out["products.plans.approval.stages."+stage], out["products.plans.approval.renewal.stages."+stage] = people, people
	}
	for _, u := range []string{"role", "count", "longest", "within"} {
		out["products.plans.approval.emergency."+u] = "two people decide on it at least, and it is short"
	}
	for _, e := range []string{"name", "scopes", "environment", "sort", "duration", "country", "verified_for", "standing", "then"} {
		out["products.plans.approval.examples."+e] = "what a check of the manifest tries"
	}
	out["products.plans.approval.renewal.automatic"] = "of what has been approved, for no more than that"
	out["products.plans.approval.rules.reason"] = words
	for _, s := range []string{"data", "database", "manifest", "dev", "example", "people.second-factor", "fetch.allow", "sso",
		"usage.minutes", "usage.hours", "usage.days", "drift.environments", "drift.every", "drift.notify", "smtp.host", "smtp.port", "smtp.user", "smtp.password", "smtp.from", "smtp.tls",
		"control.listen", "control.url", "control.tls.certificate", "control.tls.key", "control.tls.folder", "control.tls.clients", "log.level", "log.format", "operations.listen"} {
		out["start."+s] = control
	}
	for _, s := range []string{"listen", "database", "control", "token", "environment", "key", "image", "max-offline"} {
		out["start.feed."+s] = connected
	}
	delete(out, "products.plans.approval")
	for _, name := range strings.Fields(settingsRead) {
		out[name] = ""
	}
	return out
}

// settingsRead are the settings that decide a leaf.
const settingsRead = `
environments.name environments.url
upstreams.name upstreams.targets upstreams.environments.*.targets upstreams.timeouts.connect upstreams.timeouts.read
upstreams.present.header upstreams.retries.attempts upstreams.retries.status upstreams.breaker.errors
upstreams.concurrency.most upstreams.tls.name upstreams.tls.ca upstreams.tls.certificate
apis.name apis.openapi apis.path apis.hosts apis.headers.* apis.upstream apis.policies apis.operations.id apis.operations.expose
apis.operations.scopes apis.operations.idempotent apis.operations.policies apis.operations.remove
products.name products.environments products.operations.api products.operations.ids products.plans.name
products.plans.limits.requests products.plans.limits.per products.plans.limits.burst products.plans.limits.counter products.plans.limits.away
products.plans.approval.automatic products.plans.approval.rules.name products.plans.approval.rules.when products.plans.approval.rules.then
products.plans.credentials products.plans.constrained products.plans.fapi products.plans.environments
client_authorities.name client_authorities.certificates client_authorities.intermediates client_authorities.crls client_authorities.ocsp client_authorities.lenient
client_authorities.environments trusted_issuers.name trusted_issuers.issuer trusted_issuers.audiences trusted_issuers.jwks_uri trusted_issuers.algorithms trusted_issuers.longest trusted_issuers.environments
policy.api_key.header policy.api_key.bearer policy.oauth.constrained policy.workload_identity.issuers policy.any_of.methods policy.all_of.methods
policy.rate_limit.by policy.rate_limit.windows.requests policy.rate_limit.windows.per policy.rate_limit.windows.burst policy.rate_limit.windows.counter policy.rate_limit.windows.away
policy.request_size.max policy.cors.origins policy.cors.methods policy.cors.headers policy.cors.expose policy.cors.credentials policy.cors.max_age
policy.headers.request.remove policy.headers.request.set policy.headers.request.add policy.headers.response.remove policy.headers.response.set policy.headers.response.add
start.events start.gateway.h2c start.gateway.http3 start.gateway.connections-per-address start.gateway.tls.certificate start.gateway.tls.folder
start.gateway.tls.clients start.gateway.tls.client-authorities start.secrets`

// strange tells of what is set and not listed, as a gap for each setting.
func (r *reader) strange() {
	known := Settings()
	told := map[string]bool{}
	tell := func(name string, o drift.Origin) {
		if _, ok := known[name]; !ok && !told[name] {
			told[name] = true
			r.env.Gaps = append(r.env.Gaps, drift.Gap{What: "setting that this reader does not know", Name: drift.Mask(name), Origin: o})
		}
	}
	used(reflect.ValueOf(r.Manifest), "", "", func(name, pointer string) { tell(name, r.origin(pointer, "manifest")) })
	for i := range r.APIs {
		for _, list := range append([][]manifest.Policy{r.APIs[i].Policies}, own(r.APIs[i].Operations)...) {
			for _, q := range list {
				if ownKind(q.Kind) {
					configured("policy."+q.Kind, q.Config, func(name string) { tell(name, r.origin("/apis/"+strconv.Itoa(i)+"/policies", "policy "+q.Kind)) })
				}
			}
		}
	}
	if r.start.top != nil {
		begun(r.start.top, "start", known, tell)
	}
}

func own(list []manifest.Operation) (out [][]manifest.Policy) {
	for _, o := range list {
		out = append(out, o.Policies)
	}
	return out
}

// ownKind reports whether a kind of policy is of this build: others are kept whole, as code.
func ownKind(kind string) bool {
	return isAuth(kind) || slices.Contains([]string{"grant", "no_grant", "rate_limit", "request_size", "cors", "headers"}, kind)
}

// used calls f for everything that is set in v, by its name without numbers and by its pointer.
func used(v reflect.Value, name, pointer string, f func(name, pointer string)) {
	join := func(part string) string { return strings.TrimPrefix(name+"."+part, ".") }
	switch {
	case v.IsZero():
	case v.Kind() == reflect.Pointer && v.Elem().Kind() == reflect.Struct:
		used(v.Elem(), name, pointer, f)
	case v.Type() == reflect.TypeFor[manifest.Policy](): // told with the kinds
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			if tag := v.Type().Field(i).Tag.Get("json"); tag != "" {
				used(v.Field(i), join(tag), pointer+"/"+tag, f)
			}
		}
	case v.Kind() == reflect.Slice && (v.Type().Elem().Kind() == reflect.Struct):
		for i := range v.Len() {
			used(v.Index(i), name, pointer+"/"+strconv.Itoa(i), f)
		}
	case v.Kind() == reflect.Map:
		for _, k := range v.MapKeys() {
			used(v.MapIndex(k), join("*"), pointer+"/"+k.String(), f)
		}
	default:
		f(name, pointer)
	}
}

// configured calls f for the names of a policy's settings. The methods of a choice are policies of their own.
func configured(name string, raw json.RawMessage, f func(name string)) {
	var fields map[string]json.RawMessage
	if json.Unmarshal(raw, &fields) != nil {
		return
	}
	for key, value := range fields {
		switch at := name + "." + key; at {
		case "policy.any_of.methods", "policy.all_of.methods":
			f(at)
			for _, m := range list(value) {
				var kinds map[string]json.RawMessage
				if json.Unmarshal(m, &kinds) != nil {
					continue // a name alone: nothing is set
				}
				for kind, c := range kinds {
					configured("policy."+kind, c, f)
				}
			}
		case "policy.headers.request", "policy.headers.response":
			configured(at, value, f)
		case "policy.rate_limit.windows":
			for _, w := range list(value) {
				configured(at, w, f)
			}
		default:
			f(at)
		}
	}
}

// begun calls tell for the names of what the start-up configuration sets.
func begun(n *source.Node, name string, known map[string]string, tell func(string, drift.Origin)) {
	if _, ok := known[name]; ok {
		return
	}
	inside := false
	n.Each(func(key string, m *source.Node) {
		inside = true
		begun(m, name+"."+key, known, tell)
	})
	if !inside {
		tell(name, n.Origin("start-up configuration"))
	}
}

// list is the items of a list; none of anything else, which the manifest's own check refuses.
func list(raw json.RawMessage) (items []json.RawMessage) {
	if json.Unmarshal(raw, &items) != nil {
		return nil
	}
	return items
}
