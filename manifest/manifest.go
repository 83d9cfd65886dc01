// Package manifest is what is declared: APIs, routes, policies, upstreams, products and plans, strictly decoded.
package manifest

import (
	"encoding/json"
	"fmt"
	"time"
)

// Format is the version of the manifest's form that this build reads.
const Format = 1

// Manifest is all files of a folder together. The files (*.yaml, *.yml) are read in the order of their names, and their
// lists are joined: how a manifest is cut into files means nothing.
type Manifest struct {
	Gatehouse    int           `json:"gatehouse"`    // the version of this form: 1
	Environments []Environment `json:"environments"` // where the APIs are exposed; the first is served on the first gateway address
	Upstreams    []Upstream    `json:"upstreams"`    // the services behind the gateway
	APIs         []API         `json:"apis"`         // what is offered, each from its OpenAPI document
	Products     []Product     `json:"products"`     // bundles of operations offered to partners

	TrustedIssuers []TrustedIssuer `json:"trusted_issuers"` // issuers elsewhere, by whose tokens workloads prove themselves

	ClientAuthorities []ClientAuthority `json:"client_authorities"` // authorities that sign certificates of clients
}

// Environment is a place where the APIs are exposed.
type Environment struct {
	Name        string `json:"name"`        // lower case letters, digits and hyphens; part of every key
	Title       string `json:"title"`       // shown to people; default: the name
	Description string `json:"description"` // one or two sentences for partners
	URL         string `json:"url"`         // the address partners call; default: that of the gateway itself
}

// API is one API, described by its OpenAPI document.
type API struct {
	Name         string            `json:"name"`          // by which products name it, and events and metrics show it
	Title        string            `json:"title"`         // default: the document's
	OpenAPI      string            `json:"openapi"`       // the document (3.0 to 3.2, YAML or JSON), relative to the manifest's folder
	Path         string            `json:"path"`          // where the gateway exposes it, such as /eid/v1
	UpstreamPath string            `json:"upstream_path"` // what stands before the document's paths at the upstream; default: nothing
	Hosts        []string          `json:"hosts"`         // only for these host names; "*.example.com" is every name below example.com; default: all
	Headers      map[string]string `json:"headers"`       // only for requests with these header fields, each once and with exactly this value; default: all
	Upstream     string            `json:"upstream"`      // name of the upstream behind it
	Policies     []Policy          `json:"policies"`      // of every operation
	Operations   []Operation       `json:"operations"`    // what differs for some operations
}

// Operation says what differs for one operation of an API.
type Operation struct {
	ID         string     `json:"id"`         // the operationId in the OpenAPI document
	Expose     *bool      `json:"expose"`     // false: not offered by the gateway; default true
	Scopes     []string   `json:"scopes"`     // what a grant must hold; default: what the document's security says
	Idempotent bool       `json:"idempotent"` // true: doing it twice does no more than doing it once, so it may be retried as a GET may
	WebSocket  *WebSocket `json:"websocket"`  // its connections may become WebSockets, under these bounds; default: they may not
	Policies   []Policy   `json:"policies"`   // these kinds instead of the API's of the same kind, and others beside them
	Remove     []string   `json:"remove"`     // kinds of the API's policies that this operation goes without
}

// WebSocket bounds the WebSockets of an operation. What let the caller in counts for as long as one is open: it ends with the
// grant, the credential, their owners or the operation.
type WebSocket struct {
	Idle    Duration `json:"idle"`    // silence in both directions after which one ends; default 5m
	Longest Duration `json:"longest"` // from its request to its end; default 24h
	Most    int      `json:"most"`    // open at once for one application, at each gateway; default 100
}

// Policy is one policy: the name of its kind, and that kind's own settings.
type Policy struct {
	Kind   string          // the single key of the YAML mapping, as in "- rate_limit: {…}"; a bare word means no settings
	Config json.RawMessage // the settings as a JSON object
}

// Product is a bundle of operations offered to partners.
type Product struct {
	Name         string            `json:"name"`         // part of every request and grant: it stays
	Title        string            `json:"title"`        // shown to people; default: the name
	Description  string            `json:"description"`  // Markdown
	Owner        string            `json:"owner"`        // the team that answers for it
	MaxOffline   Duration          `json:"max_offline"`  // so long a gateway that has lost its control plane serves it, such as 5m; default: as long as the gateway serves at all
	DataClass    string            `json:"data_class"`   // of the data that it opens: public, internal, personal or sensitive; rules can ask for it
	Environments []string          `json:"environments"` // where it is offered; default: everywhere
	Operations   []ProductAPI      `json:"operations"`   // what a grant of the product opens, as far as its scopes go
	Scopes       map[string]string `json:"scopes"`       // each scope a partner can ask for, with what it allows in a sentence
	Plans        []Plan            `json:"plans"`        // the terms that can be asked for, at least one
}

// ProductAPI names operations of one API.
type ProductAPI struct {
	API string   `json:"api"` // name of the API
	IDs []string `json:"ids"` // operationIds; default: all that are exposed
}

// Plan is the terms under which a product is offered.
type Plan struct {
	Name              string   `json:"name"`               // part of every request and grant: it stays
	Title             string   `json:"title"`              // shown to people; default: the name
	Description       string   `json:"description"`        // one or two sentences for partners
	Limits            []Limit  `json:"limits"`             // windows that hold at once for each grant, where a route has the policy rate_limit; default: none
	Quotas            []string `json:"quotas"`             // requests of a grant in a day or month of UTC, at all gateways together, such as 10000/day and 200000/month, where a route has the policy rate_limit; default: none
	Approval          Approval `json:"approval"`           // default: one stage, decided by one approver
	Longest           Duration `json:"longest"`            // the longest a grant may last, such as 365d
	Credentials       []string `json:"credentials"`        // kinds of credentials that may be used; default: api_key
	Constrained       bool     `json:"constrained"`        // true: only what is bound to a key, such as a certificate or a token with DPoP; default false
	FAPI              bool     `json:"fapi"`               // true: OAuth clients alone, in the client profile of FAPI 2.0: a key or certificate of their own, and tokens that are bound; default false
	CredentialLongest Duration `json:"credential_longest"` // the longest a credential may last; default: 90d
	Environments      []string `json:"environments"`       // where the plan is offered; default: wherever the product is
}

// Limit is one window: so many requests per time in the long run, and so many at once.
type Limit struct {
	Name     string   `json:"name"`     // shown in the RateLimit fields; default: made from the window
	Requests int64    `json:"requests"` // from 1 on
	Per      Duration `json:"per"`      // from 1s to 366d
	Burst    int64    `json:"burst"`    // how many may come at once after a pause; default: requests
	Counter  string   `json:"counter"`  // local, in each gateway; leased or strict, in all of them together: see limits.md. Default: local
	Away     string   `json:"away"`     // while the shared counter does not answer: local, open or closed. Default: local
}

// Approval is how a request on the plan is decided.
type Approval struct {
	Automatic bool      `json:"automatic"` // approved at once for a verified organization; else the stages decide
	Stages    []Stage   `json:"stages"`    // decide one after another; nobody decides twice on a request, nor on their own
	Rules     []Rule    `json:"rules"`     // decide before any stage; the first that holds speaks. Emergency access passes them by
	Examples  []Example `json:"examples"`  // what the rules must decide: run whenever the manifest is checked
	Renewal   *Route    `json:"renewal"`   // how a renewal for no more than the grant holds is decided; default: as any request
	Emergency *Urgent   `json:"emergency"` // emergency access can be asked for; default: it cannot
}

// Rule decides without people, or says that people must.
type Rule struct {
	Name   string `json:"name"`   // part of the record of each decision
	When   string `json:"when"`   // in CEL, over scopes, product, plan, environment, sort, data_class, duration, country, verified_for and standing
	Then   string `json:"then"`   // approve, refuse or people
	Reason string `json:"reason"` // the partner sees it; needed to refuse
}

// Example is a request, and what the rules must say about it.
type Example struct {
	Name        string   `json:"name"`         // for whoever reads the manifest
	Scopes      []string `json:"scopes"`       // that are asked for
	Environment string   `json:"environment"`  // where
	Sort        string   `json:"sort"`         // renewal or growth; default: a new grant
	Duration    Duration `json:"duration"`     // for how long
	Country     string   `json:"country"`      // of the organization
	VerifiedFor Duration `json:"verified_for"` // how long the organization has been verified
	Standing    int64    `json:"standing"`     // how many grants the application holds there
	Then        string   `json:"then"`         // approve, refuse or people
}

// Route is who decides, one after another.
type Route struct {
	Automatic bool    `json:"automatic"` // at once
	Stages    []Stage `json:"stages"`    // as those of the approval
}

// Stage is one step of an approval route.
type Stage struct {
	Name    string   `json:"name"`     // shown to those who wait; default: the role
	Role    string   `json:"role"`     // of staff: approver, api-owner, operator or admin, everywhere or bound to each API of the product or to the organization; default approver
	Count   int      `json:"count"`    // so many people; default 1
	Within  Duration `json:"within"`   // how long the stage waits: a reminder after half of it, and at its end the request goes to the stand-in or lapses; default: for ever
	StandIn string   `json:"stand_in"` // the role that may decide as well once that time has passed, and has as long again; default: the request lapses
}

// Urgent is how emergency access is decided: short, by two people at least, and told to everybody concerned.
type Urgent struct {
	Role    string   `json:"role"`    // of staff; default approver
	Count   int      `json:"count"`   // so many people, at least 2; default 2
	Longest Duration `json:"longest"` // the longest that it may last, at most 3d; default 8h
	Within  Duration `json:"within"`  // how long the request waits before it lapses; default 4h
}

// Duration is a time span written as Go writes it, with d for days besides: 90d, 12h, 1m30s.
type Duration time.Duration

// Diagnostic is one thing wrong with a manifest: where, and what.
type Diagnostic struct {
	File    string `json:"file,omitempty"`    // relative to the manifest's folder
	Line    int    `json:"line,omitempty"`    // from 1; 0 when it is about no line
	Pointer string `json:"pointer,omitempty"` // into the file, as RFC 6901
	Text    string `json:"text"`
	Warning bool   `json:"warning,omitempty"` // does not stop a publish
}

func (d Diagnostic) String() string {
	level := ""
	if d.Warning {
		level = "warning: "
	}
	pointer := ""
	if d.Pointer != "" {
		pointer = d.Pointer + ": "
	}
	switch {
	case d.File != "" && d.Line > 0:
		return fmt.Sprintf("%s:%d: %s%s%s", d.File, d.Line, level, pointer, d.Text)
	case d.File != "":
		return fmt.Sprintf("%s: %s%s%s", d.File, level, pointer, d.Text)
	}
	return level + pointer + d.Text
}

// Fatal reports whether any of the diagnostics stops a publish.
func Fatal(ds []Diagnostic) bool {
	for _, d := range ds {
		if !d.Warning {
			return true
		}
	}
	return false
}
