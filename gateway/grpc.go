package gateway

import (
	"strconv"

	"gatehouse/fault"
	"gatehouse/policy"
	"gatehouse/wire"
)

// grpc reports whether a message is one of gRPC.
func grpc(fields wire.Fields) bool {
	v, ok := fields.Get("Content-Type")
	const is = "application/grpc"
	return ok && len(v) >= len(is) && v[:len(is)].EqualFold(is) && (len(v) == len(is) || v[len(is)] == '+' || v[len(is)] == ';')
}

// asGRPC makes a refusal one that clients of gRPC understand: 200, and the status in the fields. Events and metrics keep what
// the refusal is in HTTP.
func asGRPC(x *policy.Exchange) *wire.Message {
	m := &wire.Message{Head: wire.Head{Status: 200, Fields: x.Response.Fields}}
	m.Fields.Del("Content-Type")
	m.Fields.Add(nameContentType, typeGRPC)
	m.Fields.Add(nameGRPCStatus, x.KeepScratch(strconv.AppendInt(x.Scratch(), int64(grpcStatus(x.Refusal.Kind)), 10)))
	m.Fields.Add(nameGRPCMessage, x.KeepScratch(appendGRPCMessage(x.Scratch(), x.Refusal.Public)))
	return m
}

var (
	typeGRPC        = wire.View("application/grpc")
	nameGRPCStatus  = wire.View("grpc-status")
	nameGRPCMessage = wire.View("grpc-message")
)

// grpcStatus is the status of gRPC for a kind of fault.
func grpcStatus(k fault.Kind) int {
	switch k {
	case fault.Invalid:
		return 3 // INVALID_ARGUMENT
	case fault.SlowUpstream:
		return 4 // DEADLINE_EXCEEDED
	case fault.Gone:
		return 5 // NOT_FOUND
	case fault.Forbidden:
		return 7 // PERMISSION_DENIED
	case fault.Limited, fault.TooLarge:
		return 8 // RESOURCE_EXHAUSTED
	case fault.Stale:
		return 9 // FAILED_PRECONDITION
	case fault.Conflict:
		return 10 // ABORTED
	case fault.NotFound, fault.Unsupported:
		return 12 // UNIMPLEMENTED: there is no such method
	case fault.BadUpstream, fault.Unavailable:
		return 14 // UNAVAILABLE
	case fault.Unauthenticated:
		return 16 // UNAUTHENTICATED
	}
	return 13 // INTERNAL
}

// appendGRPCMessage writes text as the protocol wants it: what is not printable ASCII is escaped.
func appendGRPCMessage(dst []byte, text string) []byte {
	const digits = "0123456789ABCDEF"
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '%' {
			dst = append(dst, '%', digits[c>>4], digits[c&15])
		} else {
			dst = append(dst, c)
		}
	}
	return dst
}
