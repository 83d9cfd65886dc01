package gateway

import (
	"bytes"

	"gatehouse/http1"
	"gatehouse/id"
	"gatehouse/manifest"
	"gatehouse/policy"
	"gatehouse/snapshot"
)

// introduction is what an upstream is told of whoever calls on a connection, written out when it was told last. The same caller
// mostly calls again, and then it is copied.
type introduction struct {
	of    introduced
	host  []byte
	lines []byte
}

// introduced is all that the lines depend on, but for the host that was called, the environment and the connection.
type introduced struct {
	upstream                  *snapshot.Upstream
	organization, application id.Bits
	credential, grant         id.Bits
	scopes                    *policy.Scopes
	scheme                    string
	old                       bool // HTTP/1.0
}

// longestLines is how much of it is kept while a connection is idle.
const longestLines = 2 << 10

// introduced makes what outbound would add to the fields the request's Lines, where both sides speak HTTP/1.1. Where that cannot
// be done it reports false.
func (g *Gateway) introduced(c *carrier, u *snapshot.Upstream) bool {
	x := &c.x
	if c.h1.e == nil || u.Protocol != manifest.HTTP1 || g.o.Codec != HTTP1 {
		return false
	}
	now := introduced{upstream: u, scheme: x.Request.Scheme, old: x.Protocol != "HTTP/1.1"}
	if p := &x.Principal; p.Known() {
		now.organization, now.application, now.credential = p.Organization, p.Application, p.Credential
	}
	if r := &x.Grant; !r.None() {
		now.grant, now.scopes = r.ID, r.Scopes
	}
	last, _ := c.h1.e.Kept().(*introduction)
	if last != nil && last.of == now && bytes.Equal(last.host, x.Request.Authority) {
		x.Request.Lines = last.lines
		return true
	}
	if last == nil {
		last = &introduction{}
	}
	last.of = introduced{} // until all of it is written
	at := len(x.Request.Fields)
	g.introduce(c, u)
	lines, ok := last.lines[:0], true
	for _, f := range x.Request.Fields[at:] {
		if lines, ok = http1.AppendField(lines, f.Name, f.Value); !ok {
			return true // which http1 says when it is to send them
		}
	}
	if len(lines) <= longestLines {
		last.of, last.host, last.lines = now, append(last.host[:0], x.Request.Authority...), lines
		c.h1.e.Keep(last)
	}
	return true
}
