package gateway

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"

	"gatehouse/id"
	"gatehouse/policy"
	"gatehouse/snapshot"
	"gatehouse/wire"
)

// The names and values of fields that the gateway writes.
var (
	nameOrganization = wire.View("Gatehouse-Organization")
	nameApplication  = wire.View("Gatehouse-Application")
	nameCredential   = wire.View("Gatehouse-Credential")
	nameGrant        = wire.View("Gatehouse-Grant")
	nameScopes       = wire.View("Gatehouse-Scopes")
	nameEnvironment  = wire.View("Gatehouse-Environment")
	nameRequestID    = wire.View("Gatehouse-Request-Id")

	nameXRequestID     = wire.View("X-Request-Id")
	nameTraceparent    = wire.View("Traceparent")
	nameForwarded      = wire.View("Forwarded")
	nameForwardedFor   = wire.View("X-Forwarded-For")
	nameForwardedHost  = wire.View("X-Forwarded-Host")
	nameForwardedProto = wire.View("X-Forwarded-Proto")
	nameTrailer        = wire.View("Trailer")
	nameVia            = wire.View("Via")
	via                = wire.View("1.1 gatehouse")
	via2               = wire.View("2 gatehouse")

	nameContentType     = wire.View("Content-Type")
	nameCacheControl    = wire.View("Cache-Control")
	nameRateLimit       = wire.View("RateLimit")
	nameRateLimitPolicy = wire.View("RateLimit-Policy")
	typeProblem         = wire.View("application/problem+json")
	noStore             = wire.View("no-store")
)

// own is how every field begins that the gateway alone may write.
const own = "gatehouse-"

// dropOwn deletes the fields that could be taken for the gateway's own, and all whose names hold an underscore: servers
// that make CGI variables of fields cannot tell X_A from X-A, so somebody could write fields that were decided on here.
func dropOwn(fields wire.Fields) {
	for i := range fields {
		if n := fields[i].Name; like(n, own) || bytes.IndexByte(n, '_') >= 0 {
			fields[i] = wire.Field{}
		}
	}
}

// like reports whether the name begins with the prefix, which is in lower case, when everything but letters and digits is
// read as a hyphen: there are servers that do.
func like(name wire.View, prefix string) bool {
	if len(name) < len(prefix) {
		return false
	}
	for i := range len(prefix) {
		c := name[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		} else if (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			c = '-'
		}
		if c != prefix[i] {
			return false
		}
	}
	return true
}

// connectionFields are those that concern one connection, or frame the message (RFC 9110 §7.6.1). They are never
// forwarded; a codec writes its own.
var connectionFields = []string{"Connection", "Keep-Alive", "Proxy-Connection", "TE", "Trailer", "Transfer-Encoding", "Upgrade",
	"Proxy-Authenticate", "Proxy-Authorization", "HTTP2-Settings", "Content-Length", "Expect"}

// dropConnection deletes the fields of the connection.
func dropConnection(fields wire.Fields) {
	for i := range fields {
		if ofConnection(fields[i].Name) {
			fields[i] = wire.Field{}
		}
	}
}

// dropNamed deletes the fields that the Connection fields name, but for the connection's own: those are still looked at. It
// is done before anything is added here, so that nobody can have that deleted.
func dropNamed(fields wire.Fields) {
	for i := range fields {
		if !fields[i].Name.EqualFold("Connection") {
			continue
		}
		list := fields[i].Value
		for len(list) > 0 {
			name := list
			if at := bytes.IndexByte(list, ','); at >= 0 {
				name, list = list[:at], list[at+1:]
			} else {
				list = nil
			}
			if name = bytes.Trim(name, " \t"); len(name) == 0 || ofConnection(name) {
				continue
			}
			for j := range fields {
				if bytes.EqualFold(fields[j].Name, name) {
					fields[j] = wire.Field{}
				}
			}
		}
	}
}

func ofConnection(name wire.View) bool {
	switch len(name) { // of one of them; most names are told by that
	case 2, 6, 7, 10, 14, 16, 17, 18, 19:
	default:
		return false
	}
	for _, n := range connectionFields {
		if name.EqualFold(n) {
			return true
		}
	}
	return false
}

// otherTarget are fields by which frameworks take another method or path than the request line says. What was allowed here
// is what the request line says.
var otherTarget = []string{"x-http-method-override", "x-http-method", "x-method-override", "x-original-url", "x-rewrite-url", "x-original-uri"}

// outbound makes the request's fields those that the upstream gets.
func (g *Gateway) outbound(c *carrier, u *snapshot.Upstream) {
	x := &c.x
	fields := &x.Request.Fields
	dropConnection(*fields)
	for i := range *fields {
		n := (*fields)[i].Name
		if len(n) == 0 || n[0]|0x20 != 'x' && n[0]|0x20 != 'f' && n[0]|0x20 != 'h' { // how all of them begin
			continue
		}
		if like(n, "x-forwarded-") || same(n, "forwarded") || same(n, "x-real-ip") || same(n, "host") {
			(*fields)[i] = wire.Field{}
			continue
		}
		for _, name := range otherTarget {
			if same((*fields)[i].Name, name) {
				(*fields)[i] = wire.Field{}
				break
			}
		}
	}
	g.trace(x)
	for _, p := range u.Present {
		fields.Del(p.Header)
	}
	add(fields, nameRequestID, x.ID)
	if !g.introduced(c, u) {
		g.introduce(c, u)
	}
}

// introduce adds who calls, and by which right.
func (g *Gateway) introduce(c *carrier, u *snapshot.Upstream) {
	x := &c.x
	fields := &x.Request.Fields
	peer := x.KeepScratch(x.Peer.Addr().Unmap().AppendTo(x.Scratch()))
	add(fields, nameForwardedFor, peer)
	add(fields, nameForwardedHost, x.Request.Authority)
	add(fields, nameForwardedProto, keep(x, x.Request.Scheme))
	add(fields, nameForwarded, x.KeepScratch(forwarded(x.Scratch(), x, peer)))
	if x.Protocol == "HTTP/2.0" {
		add(fields, nameVia, via2)
	} else {
		add(fields, nameVia, via)
	}

	for _, p := range u.Present {
		fields.Del(p.Header)
		add(fields, keep(x, p.Header), keep(x, p.Value.Reveal())) // to the upstream that it proves the gateway to, and nowhere else
	}
	add(fields, nameEnvironment, keep(x, g.o.Environment))
	n := c.identify()
	if n.organization != nil {
		add(fields, nameOrganization, n.organization)
		add(fields, nameApplication, n.application)
		add(fields, nameCredential, n.credential)
	}
	if n.grant != nil {
		add(fields, nameGrant, n.grant)
		add(fields, nameScopes, keep(x, x.Grant.Scopes.Joined))
	}
}

// add is Add where there are many: once in the program's text, and not at each place.
//
//go:noinline
func add(fields *wire.Fields, name, value wire.View) { fields.Add(name, value) }

// asking is who asks and by which right, in the exchange's own memory: for the upstream and for the event. Each is nil where
// it is not known.
type asking struct{ organization, application, credential, grant wire.View }

// identify writes the names that can be told by now, each once.
func (c *carrier) identify() *asking {
	x, n := &c.x, &c.asking
	if p := &x.Principal; n.organization == nil && p.Known() {
		n.organization = text(x, p.Organization, id.Organization)
		n.application = text(x, p.Application, id.Application)
		n.credential = text(x, p.Credential, id.Credential)
	}
	if r := &x.Grant; n.grant == nil && !r.None() {
		n.grant = text(x, r.ID, id.Grant)
	}
	return n
}

// text writes an ID into the exchange's own memory.
func text(x *policy.Exchange, b id.Bits, k id.Kind) wire.View {
	return x.KeepScratch(b.Append(x.Scratch(), k))
}

// keep writes text into the exchange's own memory.
func keep(x *policy.Exchange, s string) wire.View { return x.KeepScratch(append(x.Scratch(), s...)) }

// same reports whether the name is that one when everything but letters and digits is read as a hyphen.
func same(name wire.View, want string) bool { return len(name) == len(want) && like(name, want) }

// forwarded writes the value of the Forwarded field (RFC 7239).
func forwarded(dst []byte, x *policy.Exchange, peer wire.View) []byte {
	dst = append(dst, "for="...)
	if x.Peer.Addr().Unmap().Is6() {
		dst = append(append(append(dst, `"[`...), peer...), `]"`...)
	} else {
		dst = append(dst, peer...)
	}
	dst = append(append(dst, ";host="...), '"')
	dst = append(dst, x.Request.Authority...) // a host and a port: nothing in it needs a backslash
	return append(append(dst, `";proto=`...), x.Request.Scheme...)
}

// trace keeps what the caller says about its request and trace when it is well-formed, and makes it where it is not.
func (g *Gateway) trace(x *policy.Exchange) {
	fields := &x.Request.Fields
	if v, ok := fields.Get("X-Request-Id"); !ok || fields.Count("X-Request-Id") > 1 || !printable(v) {
		fields.Del("X-Request-Id")
		fields.Add(nameXRequestID, x.ID)
	}
	if v, ok := fields.Get("Traceparent"); ok && fields.Count("Traceparent") == 1 && validTrace(v) {
		return
	}
	fields.Del("Traceparent")
	fields.Del("Tracestate") // it continues a trace that is not there
	var b [24]byte
	for i := range 3 {
		binary.LittleEndian.PutUint64(b[i*8:], rand.Uint64()|1) // neither part may be all zeros
	}
	dst := append(x.Scratch(), "00-"...)
	dst = append(hex.AppendEncode(dst, b[:16]), '-')
	dst = hex.AppendEncode(dst, b[16:])
	fields.Add(nameTraceparent, x.KeepScratch(append(dst, "-00"...)))
}

const maxForeignID = 128 // of an X-Request-Id that is kept

func printable(v wire.View) bool {
	for _, c := range v {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return len(v) > 0 && len(v) <= maxForeignID
}

// validTrace reports whether v is a traceparent of version 00 (W3C Trace Context §3.2).
func validTrace(v wire.View) bool {
	if len(v) != 55 || string(v[:3]) != "00-" || v[35] != '-' || v[52] != '-' {
		return false
	}
	for i, c := range v {
		if i != 2 && i != 35 && i != 52 && (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return string(v[3:35]) != "00000000000000000000000000000000" && string(v[36:52]) != "0000000000000000"
}

// inbound makes the answer's fields those that the caller gets.
func inbound(fields wire.Fields) {
	dropNamed(fields)
	dropConnection(fields)
	for i := range fields {
		if n := fields[i].Name; like(n, own) || same(n, "alt-svc") { // another address for the same would go round the gateway
			fields[i] = wire.Field{}
		}
	}
}
