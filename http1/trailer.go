package http1

import "gatehouse/wire"

// readTrailer reads the fields after the last chunk. It keeps those that may be trailers.
func (b *body) readTrailer() error {
	size := 0
	for {
		line, err := b.line(maxTrailer)
		if err == error(BadChunk) {
			return TrailerTooLarge
		}
		if err != nil {
			return err
		}
		if len(line) == 0 {
			b.over = true
			return nil
		}
		if size += len(line); size > maxTrailer {
			return TrailerTooLarge
		}
		name, value, class, r := split(line)
		switch {
		case r != Fine:
			return r
		case forbidden(name) || class != plain && lookalike(name):
			return BadTrailer
		case b.trailer == nil || !trailing(name):
			continue
		}
		// A growing memory moves, and what was taken from it stays valid where it is.
		start := len(b.memory)
		b.memory = append(append(b.memory, name...), value...)
		n := start + len(name)
		*b.trailer = append(*b.trailer, wire.Field{Name: b.memory[start:n:n], Value: b.memory[n:len(b.memory):len(b.memory)]})
	}
}

// forbidden reports whether a field must not be a trailer: it frames, routes or authorizes (RFC 9110 §6.5.1).
func forbidden(name []byte) bool {
	switch len(name) {
	case 2:
		return fold(name, "te")
	case 4:
		return fold(name, "host")
	case 6:
		return fold(name, "expect") || fold(name, "cookie")
	case 7:
		return fold(name, "trailer") || fold(name, "upgrade")
	case 10:
		return fold(name, "connection") || fold(name, "keep-alive") || fold(name, "set-cookie")
	case 13:
		return fold(name, "authorization") || fold(name, "content-range")
	case 14:
		return fold(name, "content-length")
	case 16:
		return fold(name, "content-encoding") || fold(name, "proxy-connection") || fold(name, "www-authenticate")
	case 17:
		return fold(name, "transfer-encoding")
	case 19:
		return fold(name, "proxy-authorization")
	}
	return false
}

// trailing reports whether a field may be forwarded as a trailer: those that are known to be made for it. Others are
// dropped, as RFC 9110 §6.5 allows.
func trailing(name []byte) bool {
	switch len(name) {
	case 4:
		return fold(name, "etag")
	case 6:
		return fold(name, "digest")
	case 9:
		return fold(name, "signature")
	case 11:
		return fold(name, "content-md5") || fold(name, "grpc-status") || fold(name, "repr-digest")
	case 12:
		return fold(name, "grpc-message")
	case 13:
		return fold(name, "server-timing")
	case 14:
		return fold(name, "content-digest")
	case 15:
		return fold(name, "signature-input")
	case 23:
		return fold(name, "grpc-status-details-bin")
	}
	return false
}
