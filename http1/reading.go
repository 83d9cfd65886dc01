package http1

import "gatehouse/wire"

// HTTP/2 carries the same messages in other frames. What they mean is decided here for both.

// Target reads a path, with a query perhaps, into m. It changes t: the path becomes canonical in place.
func Target(t []byte, m *wire.Message) Reason {
	switch {
	case len(t) == 0:
		return BadTarget
	case len(t) > maxLine:
		return LineTooLong
	case len(t) == 1 && t[0] == '*':
		return AsteriskTarget
	case t[0] != '/':
		return BadTarget
	}
	return pathAndQuery(t, m)
}

// Authority makes the name of a host, with a port perhaps, lower case in place; false: it is not one.
func Authority(b []byte) bool {
	if !isAuthority(b) {
		return false
	}
	lower(b)
	return true
}

// Method refuses what is no method, and those that are not offered.
func Method(b []byte) Reason {
	switch {
	case !isToken(b) || len(b) > maxMethod:
		return BadMethod
	case string(b) == "CONNECT":
		return MethodConnect
	case string(b) == "TRACE":
		return MethodTrace
	}
	return Fine
}

// Name refuses what is not the name of a field, or may be taken for one that frames or routes a message.
func Name(b []byte) Reason {
	class := uint8(0)
	for _, c := range b {
		if tokens[c] == 0 {
			return BadName
		}
		class |= tokens[c]
	}
	switch {
	case len(b) == 0:
		return BadName
	case class != plain && lookalike(b), class == plain && doubtful(b) && !fold(b, "content-length") && !fold(b, "transfer-encoding"):
		return LookalikeName
	}
	return Fine
}

// Value reports whether b may be the value of a field: it has no control byte but the tab, and no space at its ends.
func Value(b []byte) bool { return isValue(b) && len(trim(b)) == len(b) }

// Length reads the value of Content-Length.
func Length(b []byte) (int64, bool) { return number(b) }

// NoTrailer reports whether a field must not stand in a trailer: it frames, routes or authorizes, or looks as if it did.
func NoTrailer(name []byte) bool { return forbidden(name) || Name(name) != Fine }
