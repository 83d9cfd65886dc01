package drift

import "fmt"

// Policy is everything that is in force on an operation for one class of callers.
type Policy struct {
	Auth       Auth              `json:"auth"`
	Access     Access            `json:"access"`
	TLS        ServerTLS         `json:"tls"`
	Upstream   Upstream          `json:"upstream"`
	Rates      Leaf[[]Rate]      `json:"rates,omitzero"`
	Quotas     Leaf[[]Quota]     `json:"quotas,omitzero"`
	Limits     Limits            `json:"limits"`
	CORS       CORS              `json:"cors"`
	IP         IPFilter          `json:"ip"`
	WAF        Leaf[[]string]    `json:"waf,omitzero"` // names of rule sets, geo rules, bot rules
	Transforms Leaf[[]Transform] `json:"transforms,omitzero"`
	Logging    Logging           `json:"logging"`
	Metrics    Metrics           `json:"metrics"`
	Tracing    Tracing           `json:"tracing"`
	Diag       Diagnostics       `json:"diag"`
	Lifecycle  Lifecycle         `json:"lifecycle"`
	Opaque     Leaf[[]Opaque]    `json:"opaque,omitzero"`
	Debug      Leaf[[]string]    `json:"debug,omitzero"` // mocks, debug headers, snippets

	Cuts  []Cut       `json:"cuts,omitempty"`
	Early []Statement `json:"early,omitempty"` // what takes effect before inherited authentication
}

// Access says who, once authenticated, may call.
type Access struct {
	Rules   Leaf[[]AccessRule] `json:"rules,omitzero"`
	Default Leaf[string]       `json:"default,omitzero"` // allow or deny
}

// AccessRule is one rule: the subjects (group:x, scope:x, claim:k=v, principal:x) and what happens to them.
type AccessRule struct {
	Effect   string   `json:"effect"` // allow or deny
	Subjects []string `json:"subjects"`
	Methods  []string `json:"methods,omitempty"`
}

func (r AccessRule) String() string {
	if len(r.Methods) > 0 {
		return fmt.Sprintf("%s %v %v", r.Effect, r.Methods, r.Subjects)
	}
	return fmt.Sprintf("%s %v", r.Effect, r.Subjects)
}

// ServerTLS is the face towards callers.
type ServerTLS struct {
	Min        Leaf[string]   `json:"min,omitzero"` // ssl3, 1.0, 1.1, 1.2, 1.3
	Max        Leaf[string]   `json:"max,omitzero"`
	Ciphers    Leaf[[]string] `json:"ciphers,omitzero"`
	Curves     Leaf[[]string] `json:"curves,omitzero"`
	ALPN       Leaf[[]string] `json:"alpn,omitzero"`
	HSTS       Leaf[int64]    `json:"hsts_max_age_s,omitzero"`
	Plain      Leaf[bool]     `json:"plain,omitzero"`              // answers over plain HTTP, other than by a redirect
	Redirect   Leaf[int64]    `json:"http_redirect_code,omitzero"` // 0: no redirect
	ClientAuth Leaf[string]   `json:"client_auth,omitzero"`        // none, request, require, require_any, verify
	CAs        Leaf[[]string] `json:"ca_refs,omitzero"`
	Pins       Leaf[[]string] `json:"pins,omitzero"` // hashes, subjects or issuers that a client certificate must have
}

// Upstream is the face towards the service behind.
type Upstream struct {
	URLs       Leaf[[]string] `json:"urls,omitzero"`
	Verify     Leaf[bool]     `json:"verify,omitzero"`
	CAs        Leaf[[]string] `json:"ca_refs,omitzero"`
	ClientCert Leaf[string]   `json:"client_cert_ref,omitzero"`
	ServerName Leaf[string]   `json:"server_name,omitzero"`
	Min        Leaf[string]   `json:"min,omitzero"`
}

// Rate is one limit on how often.
type Rate struct {
	Count       Leaf[int64]    `json:"count"`
	Window      Leaf[int64]    `json:"window_s"`
	Burst       Leaf[int64]    `json:"burst,omitzero"`
	Algorithm   Leaf[string]   `json:"algorithm,omitzero"`
	Key         Leaf[string]   `json:"key,omitzero"`         // ip, consumer, credential, header:x, claim:x, expression, global
	Enforcement Leaf[string]   `json:"enforcement,omitzero"` // per_replica or shared
	Replicas    Leaf[int64]    `json:"replicas,omitzero"`
	FailOpen    Leaf[bool]     `json:"fail_open,omitzero"`
	Exempt      Leaf[[]string] `json:"exempt_ips,omitzero"`
	Status      Leaf[int64]    `json:"status,omitzero"`
}

func (r Rate) String() string {
	return fmt.Sprintf("%s per %ss by %s", r.Count.Text(), r.Window.Text(), r.Key.Text())
}

// Quota is how much in a period.
type Quota struct {
	Count  Leaf[int64]  `json:"count"`
	Period Leaf[int64]  `json:"period_s"`
	Unit   string       `json:"unit"` // calls, bytes, tokens
	Key    Leaf[string] `json:"key,omitzero"`
}

func (q Quota) String() string {
	return fmt.Sprintf("%s %s per %ss by %s", q.Count.Text(), q.Unit, q.Period.Text(), q.Key.Text())
}

// Limits bound one call. In all of them 0 means no bound.
type Limits struct {
	Body    Leaf[int64]    `json:"body_bytes,omitzero"`
	Header  Leaf[int64]    `json:"header_bytes,omitzero"`
	Connect Leaf[int64]    `json:"timeout_connect_ms,omitzero"`
	Read    Leaf[int64]    `json:"timeout_read_ms,omitzero"`
	Retries Leaf[int64]    `json:"retries,omitzero"`
	RetryOn Leaf[[]string] `json:"retry_on,omitzero"`
	Breaker Leaf[string]   `json:"circuit_breaker,omitzero"`
}

// CORS says which pages of others may call. An origin is exact, a pattern (~…) or any (*).
type CORS struct {
	Enabled     Leaf[bool]     `json:"enabled,omitzero"`
	Origins     Leaf[[]string] `json:"origins,omitzero"`
	Methods     Leaf[[]string] `json:"methods,omitzero"`
	Headers     Leaf[[]string] `json:"headers,omitzero"`
	Expose      Leaf[[]string] `json:"expose,omitzero"`
	Credentials Leaf[bool]     `json:"credentials,omitzero"`
	MaxAge      Leaf[int64]    `json:"max_age_s,omitzero"`
}

// IPFilter says from which addresses calls are let in. An empty Allow admits all.
type IPFilter struct {
	Allow  Leaf[[]string] `json:"allow,omitzero"`
	Deny   Leaf[[]string] `json:"deny,omitzero"`
	Source Leaf[string]   `json:"client_ip_source,omitzero"` // peer, xff, header:x
	Hops   Leaf[int64]    `json:"trusted_hops,omitzero"`
}

// Transform is one change of a message. Order counts within a phase and target.
type Transform struct {
	Phase  string `json:"phase"`  // request or response
	Target string `json:"target"` // header, query, body, path, host, method, status
	Op     string `json:"op"`     // set, add, append, remove, rename, replace, rewrite
	Name   string `json:"name,omitempty"`
	Value  Text   `json:"value,omitempty"`
	Origin Origin `json:"origin,omitzero"`
}

func (t Transform) String() string {
	s := t.Phase + " " + t.Op + " " + t.Target
	if t.Name != "" {
		s += " " + t.Name
	}
	return s
}

// Logging is the access log.
type Logging struct {
	Enabled    Leaf[bool]     `json:"enabled,omitzero"`
	Sinks      Leaf[[]string] `json:"sinks,omitzero"`
	Format     Leaf[string]   `json:"format,omitzero"`
	Fields     Leaf[[]string] `json:"fields,omitzero"`
	Sample     Leaf[float64]  `json:"sample_ratio,omitzero"`
	Body       Leaf[int64]    `json:"body_bytes,omitzero"`
	Headers    Leaf[[]string] `json:"headers_logged,omitzero"`
	Redactions Leaf[[]string] `json:"redactions,omitzero"`
	Retention  Leaf[int64]    `json:"retention_days,omitzero"`
}

// Metrics are the counters.
type Metrics struct {
	Enabled Leaf[bool]     `json:"enabled,omitzero"`
	Labels  Leaf[[]string] `json:"labels,omitzero"`
	Sink    Leaf[string]   `json:"sink,omitzero"`
}

// Tracing is distributed tracing.
type Tracing struct {
	Enabled     Leaf[bool]     `json:"enabled,omitzero"`
	Exporter    Leaf[string]   `json:"exporter,omitzero"`
	Endpoint    Leaf[string]   `json:"endpoint,omitzero"`
	Sample      Leaf[float64]  `json:"sample_ratio,omitzero"`
	Propagation Leaf[[]string] `json:"propagation,omitzero"`
}

// Diagnostics is what happens around errors.
type Diagnostics struct {
	Verbosity   Leaf[string] `json:"verbosity,omitzero"`         // verbose, information, error
	Errors      Leaf[bool]   `json:"always_log_errors,omitzero"` // errors are logged whatever the sampling
	Correlation Leaf[string] `json:"http_correlation,omitzero"`
	FaultLogged Leaf[bool]   `json:"fault_logged,omitzero"` // the error path leaves a trace
	FaultLeaks  Leaf[bool]   `json:"fault_leaks,omitzero"`  // the error path tells the caller about the inside
}

// Lifecycle is what the caller must do beforehand, and how old the thing is.
type Lifecycle struct {
	Revision     Leaf[string] `json:"revision,omitzero"`
	Version      Leaf[string] `json:"version,omitzero"`
	Deprecated   Leaf[bool]   `json:"deprecated,omitzero"`
	Subscription Leaf[bool]   `json:"subscription_required,omitzero"`
	Approval     Leaf[bool]   `json:"approval_required,omitzero"`
}

// Opaque is code that is kept, hashed and shown, and never run.
type Opaque struct {
	Kind   string `json:"kind"` // lua, csharp, javascript, javacallout, plugin, snippet, function
	Name   string `json:"name,omitempty"`
	Hash   string `json:"hash"` // of the text without differences of white space
	Code   Text   `json:"code,omitempty"`
	Origin Origin `json:"origin,omitzero"`
}

func (o Opaque) String() string { return o.Kind + " " + o.Name + " " + o.Hash }

// Cut is a policy of a wider scope that does not run, because a narrower one stands in its place.
type Cut struct {
	What   string `json:"what"` // what is lost: a requirement kind, cors, rate, …
	Auth   bool   `json:"auth"` // it authenticates or authorises
	Lost   Origin `json:"lost"` // where it was written
	Origin Origin `json:"origin"`
}

// Statement is one statement of a policy document.
type Statement struct {
	Name   string `json:"name"`
	Origin Origin `json:"origin"`
}
