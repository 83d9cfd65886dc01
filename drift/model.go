package drift

import (
	"time"
)

// Tier is what an environment is for. It drives the severity of findings.
type Tier string

// The tiers. An environment whose tier is not known is treated as Prod.
const (
	Dev   Tier = "dev"
	Test  Tier = "test"
	Stage Tier = "stage"
	Prod  Tier = "prod"
)

// Environment is what one gateway exposes, with the policy that is effective on each operation.
type Environment struct {
	Name         string        `json:"name"`
	Tier         Tier          `json:"tier,omitempty"`
	Gateway      string        `json:"gateway"` // kong, azureapim, aws, envoygateway, gatewayapi, traefik, ingressnginx, tyk, krakend, apigee, gatehouse
	Version      string        `json:"version,omitempty"`
	Region       string        `json:"region,omitempty"`
	Source       Source        `json:"source,omitzero"`
	ReadAt       time.Time     `json:"read_at,omitzero"`
	Exposures    []Exposure    `json:"exposures,omitempty"`
	Operations   []Operation   `json:"operations"`
	Certificates []Certificate `json:"certificates,omitempty"`
	Detached     []Detached    `json:"detached,omitempty"`
	Literals     []Literal     `json:"literals,omitempty"`
	References   []Reference   `json:"references,omitempty"`
	Gaps         []Gap         `json:"gaps,omitempty"`
	Files        Files         `json:"files"`
	Problems     []Problem     `json:"problems,omitempty"`
}

// Source says where an environment was read from.
type Source struct {
	Path       string `json:"path,omitempty"`
	Repository string `json:"repository,omitempty"`
	Commit     string `json:"commit,omitempty"`
	Digest     string `json:"digest,omitempty"` // over the files that were read; what a plan guards on
}

// Visibility says from where an exposure can be reached.
type Visibility string

// The visibilities. The zero value counts as Public.
const (
	Public   Visibility = "public"
	Private  Visibility = "private"
	Internal Visibility = "internal"
)

// Exposure is one address under which an environment answers.
type Exposure struct {
	Host       string     `json:"host,omitempty"`
	Port       int        `json:"port,omitempty"`
	Scheme     string     `json:"scheme,omitempty"`
	BasePath   string     `json:"base_path,omitempty"`
	Visibility Visibility `json:"visibility,omitempty"`
	Edge       string     `json:"edge,omitempty"`   // what stands in front: frontdoor, appgw, alb, cdn
	Bypass     []string   `json:"bypass,omitempty"` // default hosts that answer beside Host
	Proof      Leaf[bool] `json:"proof,omitzero"`   // whether calls are shown to have come through the edge
	Certs      []string   `json:"certs,omitempty"`  // Ref of the certificates that it presents
	Origin     Origin     `json:"origin,omitzero"`
}

// Operation is a method on a path, or on a family of paths, and what is in force there.
type Operation struct {
	Key       Key         `json:"key"`
	Match     Match       `json:"match"`
	Name      string      `json:"name,omitempty"`  // as the source calls it
	API       string      `json:"api,omitempty"`   // what it belongs to: an API, a service
	Strip     string      `json:"strip,omitempty"` // what of the front of the path is not passed on to the upstream
	Origin    Origin      `json:"origin,omitzero"`
	Effective []Effective `json:"effective"` // never empty; the first is that of general traffic
}

// Effective is the policy that one class of callers meets. A product of API Management and a consumer of Kong make classes;
// general traffic is the class "".
type Effective struct {
	Class  string  `json:"class,omitempty"`
	Policy *Policy `json:"policy"`
}

// General is the policy of general traffic.
func (o Operation) General() *Policy {
	if len(o.Effective) == 0 {
		return &Policy{}
	}
	return o.Effective[0].Policy
}

// Certificate is one entry of the inventory. Key material is never kept.
type Certificate struct {
	Ref     string          `json:"ref"`
	Kind    string          `json:"kind"`          // inline, file, k8s_secret, keyvault, acm, acme
	Use     string          `json:"use,omitempty"` // server, client, ca, signing
	Hosts   []string        `json:"hosts,omitempty"`
	Issuer  string          `json:"issuer,omitempty"`
	Ends    Leaf[time.Time] `json:"not_after,omitzero"`
	SHA256  string          `json:"sha256,omitempty"`
	KeyAlg  Leaf[string]    `json:"key_alg,omitzero"` // rsa2048, ecdsap256, ed25519
	Pinned  Leaf[bool]      `json:"version_pinned,omitzero"`
	Rotates Leaf[bool]      `json:"auto_rotate,omitzero"`
	Vault   string          `json:"vault,omitempty"`
	Origin  Origin          `json:"origin,omitzero"`
}

// Detached is something that is defined and attached to nothing, so that it does nothing.
type Detached struct {
	Kind   string `json:"kind"` // the requirement kind or plugin
	Name   string `json:"name"`
	Auth   bool   `json:"auth"` // it would authenticate or authorise
	Origin Origin `json:"origin"`
}

// Literal is the place of a secret that is written into the configuration. The secret itself is never kept.
type Literal struct {
	What   string `json:"what"` // such as jwt secret, named value, basic credentials
	Origin Origin `json:"origin"`
}

// Reference is a name of something outside: a host, a vault, an origin, a sink. Rules ask whether it belongs to another environment.
type Reference struct {
	Kind   string `json:"kind"` // upstream, cors_origin, vault, certificate, sink, issuer
	Value  string `json:"value"`
	Origin Origin `json:"origin"`
}

// Gap is an input that the files name and do not contain: a fragment, a named value, a shared flow, a template variable.
type Gap struct {
	What   string `json:"what"`
	Name   string `json:"name"`
	Origin Origin `json:"origin"`
}

// Files counts what was read.
type Files struct {
	Read    int `json:"read"`
	Failed  int `json:"failed"`
	Skipped int `json:"skipped"` // not of this gateway
}

// Problem is something that could not be read, or was read with doubt. Fatal ones make the coverage partial.
type Problem struct {
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"`
	Pointer string `json:"pointer,omitempty"`
	Text    string `json:"text"`
	Partial bool   `json:"partial"` // something was left unread because of it
}

func (p Problem) String() string {
	return Origin{File: p.File, Line: p.Line}.String() + ": " + p.Text
}
