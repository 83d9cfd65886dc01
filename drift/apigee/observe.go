package apigee

import (
	"regexp"
	"strings"

	"gatehouse/drift"
)

var logged = regexp.MustCompile(`\{([a-zA-Z0-9_.-]+)\}`)

// observe reads what is logged. Apigee counts every call for its analytics, whatever the bundle says.
func (r *run) observe(p *drift.Policy) {
	none := drift.ByDefault([]string(nil))
	g := &p.Logging
	*g = drift.Logging{Enabled: drift.ByDefault(false), Sinks: none, Format: drift.ByDefault("text"), Fields: none, Sample: drift.ByDefault(1.0), Body: drift.ByDefault(int64(0)), Headers: none, Redactions: none, Retention: drift.Impossible[int64]("kept by the sink")}
	p.Metrics = drift.Metrics{Enabled: drift.ByDefault(true), Labels: none, Sink: drift.ByDefault("apigee analytics")}
	later := "tracing is configured for the environment, not in the bundle"
	o := drift.Origin{Scope: r.scope()}
	p.Tracing = drift.Tracing{Enabled: drift.Unknown[bool](later, o), Exporter: drift.Unknown[string](later, o), Endpoint: drift.Unknown[string](later, o), Sample: drift.Unknown[float64](later, o), Propagation: drift.Unknown[[]string](later, o)}
	p.Diag = drift.Diagnostics{Verbosity: drift.Impossible[string]("there is none"), Errors: drift.Impossible[bool]("the log has no sampling"), Correlation: drift.ByDefault("messageid"), FaultLogged: drift.ByDefault(false), FaultLeaks: drift.ByDefault(false)}
	for _, s := range r.steps {
		switch s.kind {
		case "MessageLogging":
			r.log(p, s)
		case "DataCapture":
			for _, c := range s.policy.node.All("Capture") {
				add(&p.Metrics.Labels, r, s, drift.Mask(c.Child("DataCollector").Str()))
			}
		case "AssignMessage", "RaiseFault":
			if s.phase != "fault" {
				continue
			}
			body := strings.ToLower(canonical(s.policy.node))
			for _, v := range []string{"{error.message}", "{error.content}", "{fault.reason}", "{javascript.errormessage}", "{target.url}", "{request.content}"} {
				if strings.Contains(body, v) {
					p.Diag.FaultLeaks = at(r, s, true, nil)
				}
			}
		}
	}
	p.Metrics.Labels.Value = drift.Sorted(p.Metrics.Labels.Value)
	r.mock(p)
}

func (r *run) log(p *drift.Policy, s step) {
	g, n := &p.Logging, s.policy.node
	if s.phase == "fault" || s.phase == "after" {
		p.Diag.FaultLogged = at(r, s, true, nil)
	}
	if s.phase == "fault" {
		return
	}
	if g.Enabled.State != drift.Default && s.when != nil {
		return // it is logged already
	}
	g.Enabled = at(r, s, true, nil)
	message := n.Child("CloudLogging", "Message")
	if c := n.Child("CloudLogging", "LogName"); c != nil {
		add(&g.Sinks, r, s, "cloud logging "+drift.Mask(c.Str()))
		r.env.Refer("sink", c.Str(), s.origin(c))
	}
	if y := n.Child("Syslog"); y != nil {
		message = y.Child("Message")
		scheme := strings.ToLower(y.Child("Protocol").Str())
		if scheme == "" {
			scheme = "udp"
		}
		if attrTrue(y.Child("SSLInfo"), "Enabled") {
			scheme = "tls"
		}
		address := scheme + "://" + drift.Mask(y.Child("Host").Str()) + ":" + y.Child("Port").Str()
		add(&g.Sinks, r, s, address)
		r.env.Refer("sink", address, s.origin(y))
	}
	var fields, headers []string
	body := int64(0)
	for _, m := range logged.FindAllStringSubmatch(message.Str(), -1) {
		v := strings.ToLower(m[1])
		fields = append(fields, drift.Mask(v))
		if in, name := place(v); in == "header" {
			headers = append(headers, name)
		}
	}
	for _, v := range []string{"request.content", "response.content", "message.content"} {
		if strings.Contains(message.Str(), v) {
			body = 10 << 20 // all of it
		}
	}
	if strings.HasPrefix(message.Str(), "{") && strings.Contains(message.Str(), ":") {
		g.Format = at(r, s, "json", message)
	}
	g.Fields, g.Headers = at(r, s, drift.Sorted(append(g.Fields.Value, fields...)), message), at(r, s, drift.Sorted(append(g.Headers.Value, headers...)), message)
	if body > 0 {
		g.Body = at(r, s, body, message)
	}
}

// mock finds an answer that is made up: no target is asked, and a step writes the body.
func (r *run) mock(p *drift.Policy) {
	if r.route.target != nil || r.route.url != "" || r.route.when != nil || r.call.verb == "OPTIONS" {
		return
	}
	for _, s := range r.steps {
		if s.kind == "AssignMessage" && (s.phase == "response" || s.phase == "request") && s.policy.node.Child("Set", "Payload") != nil && s.when == nil {
			p.Debug = at(r, s, append(p.Debug.Value, "answered by "+drift.Mask(s.name)+" without a target"), nil)
		}
	}
}

// code keeps what is somebody's own, which is compared by its text alone.
func (r *run) code(p *drift.Policy) {
	for _, s := range r.steps {
		kind := map[string]string{"Javascript": "javascript", "JavaCallout": "javacallout", "Script": "python", "XSL": "xsl", "ExternalCallout": "function"}[s.kind]
		if kind == "" {
			continue
		}
		n := s.policy.node
		body := n.Child("Source").Str()
		for _, k := range []string{"ResourceURL", "IncludeURL"} {
			for _, e := range n.All(k) {
				if t, ok := s.policy.of.resource(e.Str()); ok {
					body += t
				} else {
					r.gap("resource", e.Str(), s.origin(e))
				}
			}
		}
		hashed := body
		if hashed == "" {
			hashed = canonical(n)
		}
		o := drift.Opaque{Kind: kind, Name: drift.Mask(s.name), Hash: drift.Hash(hashed), Code: drift.Shown(body), Origin: s.origin(nil)}
		add(&p.Opaque, r, s, o)
		if body == "" && (kind == "javascript" || kind == "python" || kind == "xsl") {
			p.Opaque.State, p.Opaque.Cause = drift.Unresolved, "the code of "+drift.Mask(s.name)+" is not among the files"
		}
	}
}
