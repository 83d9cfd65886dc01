package drift

import (
	"slices"
	"strings"
)

func exposureRules() []Rule {
	const area = AreaExposure
	return []Rule{
		{ID: "DR-EXP-01", Title: "Operation exists in one environment only", Area: area, Severity: High, Pair: true, Why: "unreviewed surface", Refs: []string{"owasp:API9:2023"}},
		{ID: "DR-EXP-02", Title: "Path or method matches more", Area: area, Severity: High, Pair: true, Why: "unreviewed surface", Refs: []string{"owasp:API9:2023"}},
		{ID: "DR-EXP-03", Title: "CORS is wider, or any origin with credentials", Area: area, Severity: High, Pair: true, Self: true, Why: "other sites act for signed-in people",
			Refs: []string{"psrule:Azure.APIM.CORSPolicy", "owasp:API8:2023"}, self: selfCORS, pair: pairCORS},
		{ID: "DR-EXP-04", Title: "Address filter or source of the client's address differs", Area: area, Severity: High, Pair: true, Why: "the filter judges the proxy's address", pair: pairIP},
		{ID: "DR-EXP-05", Title: "Default endpoint answers beside the protected domain", Area: area, Severity: Critical, Pair: true, Self: true, Why: "bypasses filters and mutual TLS",
			Refs: []string{"owasp:API8:2023"}, env: envBypass},
		{ID: "DR-EXP-06", Title: "Calls are not shown to have come through the edge", Area: area, Severity: High, Pair: true, Self: true, Why: "direct to origin",
			Refs: []string{"checkov:CKV_AZURE_174", "checkov:CKV_AZURE_107"}, env: envProof, two: twoProof},
		{ID: "DR-EXP-07", Title: "Refers to another environment's host, origin or upstream", Area: area, Severity: High, Pair: true, Self: true, Why: "one environment's fault becomes another's", env: envReferences},
		{ID: "DR-EXP-08", Title: "Mock, debug aid or snippet is on", Area: area, Severity: High, Pair: true, Self: true, Why: "made-up answers, injected configuration",
			Refs: []string{"checkov:CKV_K8S_152", "checkov:CKV_K8S_153", "checkov:CKV_K8S_154"}, self: selfDebug},
		{ID: "DR-EXP-09", Title: "Filter or geographic rules differ", Area: area, Severity: Medium, Pair: true, Why: "attacks that one side stops",
			Refs: []string{"checkov:CKV2_AWS_29", "checkov:CKV2_AWS_77", "checkov:CKV_AZURE_120", "checkov:CKV_AZURE_121", "checkov:CKV_AZURE_122", "checkov:CKV_AZURE_123"}, pair: pairWAF},
		{ID: "DR-EXP-10", Title: "Code that cannot be compared differs", Area: area, Severity: Medium, Pair: true, Why: "ask a human", pair: pairOpaque},
		{ID: "DR-EXP-11", Title: "Input is missing", Area: area, Severity: Info, Self: true, Why: "coverage gap", env: envGaps},
	}
}

func selfCORS(p *probe, q *Policy) {
	c := q.CORS
	if c.Enabled.Or(false) && c.Origins.Known() && slices.Contains(c.Origins.Value, "*") && c.Credentials.Or(false) {
		p.found("cors.origins", c.Origins, "every site may act with the caller's own session")
	}
}

func pairCORS(v *pairing, a, b *Policy) {
	x, y := a.CORS, b.CORS
	if !x.Enabled.Definite() || !y.Enabled.Definite() {
		v.unseen++
		return
	}
	ea, eb := x.Enabled.Or(false), y.Enabled.Or(false)
	switch {
	case !ea && !eb:
	case ea != eb:
		v.report("cors.enabled", x.Enabled, y.Enabled, CompareFalse(ea, eb), "pages of other origins may call on one side only")
	default:
		differ(v, "cors.origins", x.Origins, y.Origins, nil, v.shaped(CompareOrigins), "one side lets pages of more origins call")
		differ(v, "cors.methods", x.Methods, y.Methods, nil, lower(CompareOrigins), "one side lets other pages use more methods")
		differ(v, "cors.headers", x.Headers, y.Headers, nil, lower(CompareOrigins), "one side lets other pages send more headers")
		differ(v, "cors.credentials", x.Credentials, y.Credentials, false, CompareFalse, "one side lets other pages use the caller's session")
	}
}

func pairIP(v *pairing, a, b *Policy) {
	differ(v, "ip.allow", a.IP.Allow, b.IP.Allow, nil, CompareCIDR, "calls from more addresses are let in on one side")
	differ(v, "ip.deny", a.IP.Deny, b.IP.Deny, nil, CompareRequired, "addresses are kept out on one side only")
	if len(a.IP.Allow.Value)+len(b.IP.Allow.Value)+len(a.IP.Deny.Value)+len(b.IP.Deny.Value) > 0 {
		differ(v, "ip.client_ip_source", a.IP.Source, b.IP.Source, "peer", unordered[string], "the filters judge different addresses")
		differ(v, "ip.trusted_hops", a.IP.Hops, b.IP.Hops, 0, unordered[int64], "the filters judge different addresses")
	}
}

func envBypass(p *probe) {
	for _, x := range p.env.Exposures {
		for _, h := range x.Bypass {
			p.at("exposure.bypass", h+" beside "+x.Host, x.Origin, "the default address answers too, past whatever guards the domain")
		}
	}
}

func envProof(p *probe) {
	for _, x := range p.env.Exposures {
		if x.Edge != "" && !x.Proof.Or(false) && x.Proof.Definite() {
			p.at("exposure.proof", x.Edge+" in front of "+x.Host, x.Origin, "whoever knows the origin's address goes past the edge")
		}
	}
}

// twoProof compares whether calls are shown to have come through an edge: one side that asks makes a door of the other that does not.
func twoProof(v *pairing) {
	asks := func(p *probe) (yes, no *Exposure) {
		for i := range p.env.Exposures {
			x := &p.env.Exposures[i]
			if x.Proof.Or(false) {
				yes = x
			} else if x.Proof.Definite() {
				no = x
			}
		}
		return
	}
	ay, an := asks(v.a)
	by, bn := asks(v.b)
	switch {
	case ay != nil && by == nil && bn != nil:
		v.report("exposure.proof", ay.Proof, bn.Proof, Stronger, "one side takes only calls that come through its edge")
	case by != nil && ay == nil && an != nil:
		v.report("exposure.proof", an.Proof, by.Proof, Weaker, "one side takes only calls that come through its edge")
	}
}

func envReferences(p *probe) {
	for _, r := range p.env.References {
		if r.Kind != "upstream" && r.Kind != "cors_origin" && r.Kind != "issuer" && r.Kind != "host" {
			continue
		}
		v := r.Value
		if h := hostOf(v); h != "" && strings.Contains(v, "://") {
			v = "https://" + h
		}
		if t, ok := foreign(v, p.env); ok {
			p.at("reference."+r.Kind, r.Value, r.Origin, "the name says that it belongs to "+string(t))
		}
	}
}

func selfDebug(p *probe, q *Policy) {
	if q.Debug.Known() && len(q.Debug.Value) > 0 && p.prod() {
		p.found("debug", q.Debug, "it does not belong into production")
	}
}

func pairWAF(v *pairing, a, b *Policy) {
	differ(v, "waf", a.WAF, b.WAF, nil, v.shaped(CompareRequired), "attacks that one side stops reach the other's upstream")
}

func pairOpaque(v *pairing, a, b *Policy) {
	if a.Opaque.State == Unsupported || b.Opaque.State == Unsupported {
		return
	}
	differ(v, "opaque", a.Opaque, b.Opaque, nil, func(x, y []Opaque) Order {
		hx, hy := make([]string, len(x)), make([]string, len(y))
		for i, o := range x {
			hx[i] = o.Kind + o.Hash
		}
		for i, o := range y {
			hy[i] = o.Kind + o.Hash
		}
		return listed(hx, hy)
	}, "the code is not run by this review and cannot be compared by it; have somebody read both")
}

func envGaps(p *probe) {
	for _, g := range p.env.Gaps {
		p.at("gap", g.What+" "+g.Name, g.Origin, "it is named and is not among the files that were read")
	}
}
