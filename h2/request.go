package h2

import (
	"bytes"

	"gatehouse/http1"
	"gatehouse/wire"
)

// request makes a request of a block. malformed tells that it is none by RFC 9113 §8, so that its stream is reset; otherwise
// a Reason that is not Fine is answered. expects: the client waits for 100.
func request(b *block, scheme string, m *wire.Message) (expects, malformed bool, r http1.Reason) {
	var pseudo [4]wire.View // method, scheme, authority, path
	n, regular := 0, false
	host, cookies, length := wire.View(nil), 0, false
	for i, f := range b.fields {
		if len(f.Name) > 0 && f.Name[0] == ':' {
			at := -1
			switch string(f.Name) {
			case ":method":
				at = 0
			case ":scheme":
				at = 1
			case ":authority":
				at = 2
			case ":path":
				at = 3
			}
			if at < 0 || pseudo[at] != nil || regular || !http1.Value(f.Value) {
				return false, true, http1.BadPseudo
			}
			pseudo[at] = f.Value
			continue
		}
		regular = true
		if r := lowerName(f.Name); r != http1.Fine {
			return false, r == http1.BadName, r
		}
		if !http1.Value(f.Value) {
			return false, true, http1.BadValue
		}
		switch string(f.Name) {
		case "connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade":
			return false, true, http1.BadConnection
		case "te":
			if string(f.Value) != "trailers" {
				return false, true, http1.BadConnection
			}
		case "host":
			if host != nil {
				return false, true, http1.RepeatedHost
			}
			host = f.Value
			continue
		case "content-length":
			if length {
				return false, true, http1.RepeatedLength
			}
			v, ok := http1.Length(f.Value)
			if !ok {
				return false, true, http1.BadLength
			}
			m.Length, length = v, true
			continue
		case "expect":
			if expects || string(bytes.ToLower(f.Value)) != "100-continue" {
				return false, false, http1.BadExpectation
			}
			expects = true
			continue
		case "cookie":
			cookies++
		}
		b.fields[n] = b.fields[i]
		n++
	}
	if m.Fields = b.fields[:n]; cookies > 1 {
		joinCookies(m)
	}
	if b.tooLarge {
		return false, false, http1.HeadTooLarge
	}
	if n > maxFields {
		return false, false, http1.TooManyFields
	}
	m.Method = pseudo[0]
	if m.Method == nil {
		return false, true, http1.BadPseudo
	}
	if r := http1.Method(m.Method); r == http1.MethodConnect {
		return false, false, r
	} else if pseudo[1] == nil || len(pseudo[3]) == 0 {
		return false, true, http1.BadPseudo
	} else if r != http1.Fine {
		return false, false, r
	}
	if !length {
		m.Length = -1
		if b.last {
			m.Length = 0
		}
	} else if b.last && m.Length > 0 {
		return false, true, http1.BadLength
	}
	m.Scheme = scheme
	if string(pseudo[1]) != scheme {
		return false, false, http1.SchemeMismatch
	}
	if m.Authority, r = authority(pseudo[2], host); r != http1.Fine {
		return false, false, r
	}
	return expects, false, http1.Target(pseudo[3], m)
}

// authority is the one host that :authority and Host name.
func authority(a, host wire.View) (wire.View, http1.Reason) {
	switch {
	case a == nil && host == nil:
		return nil, http1.NoHost
	case a == nil:
		a, host = host, nil
	}
	if !http1.Authority(a) || host != nil && !http1.Authority(host) {
		return nil, http1.BadHost
	}
	if host != nil && !bytes.Equal(a, host) {
		return nil, http1.HostMismatch
	}
	return a, http1.Fine
}

// lowerName refuses names that are none, are not in lower case, or look like another.
func lowerName(name wire.View) http1.Reason {
	for _, c := range name {
		if 'A' <= c && c <= 'Z' {
			return http1.BadName
		}
	}
	return http1.Name(name)
}

// joinCookies makes one field of the crumbs of cookies (RFC 9113 §8.2.3).
func joinCookies(m *wire.Message) {
	var all []byte
	first, n := -1, 0
	for i, f := range m.Fields {
		if string(f.Name) != "cookie" {
			m.Fields[n] = m.Fields[i]
			n++
			continue
		}
		if first < 0 {
			first = n
			m.Fields[n] = f
			n++
		} else {
			all = append(all, "; "...)
		}
		all = append(all, f.Value...)
	}
	m.Fields[first].Value = all
	m.Fields = m.Fields[:n]
}

// trailer checks the fields after content: false makes the message malformed.
func trailer(b *block) bool {
	if !b.last || b.tooLarge || b.listed > maxTrailer {
		return false
	}
	for _, f := range b.fields {
		if lowerName(f.Name) != http1.Fine || http1.NoTrailer(f.Name) || !http1.Value(f.Value) {
			return false
		}
	}
	return true
}
