package policy

import (
	"strings"
)

// CheckField says why a policy's settings may not name the field; "" when they may. The gateway alone decides about
// fields that frame a message or tell who calls.
func CheckField(name string) string {
	if !fieldName(name) {
		return "this is not the name of a field"
	}
	switch lower := strings.ToLower(strings.ReplaceAll(name, "_", "-")); {
	case strings.HasPrefix(lower, "gatehouse-"):
		return "fields that begin with Gatehouse- belong to the gateway"
	case strings.HasPrefix(lower, "x-forwarded-"), lower == "forwarded", lower == "x-real-ip", lower == "via":
		return "the gateway itself sets this field"
	case framing[lower]:
		return "this field belongs to the connection or frames the message"
	}
	return ""
}

// CheckOwnField is CheckField for a field that a policy reads as its own and takes out of the request.
func CheckOwnField(name string) string {
	if why := CheckField(name); why != "" {
		return why
	}
	switch strings.ToLower(name) {
	case "authorization":
		return "set bearer to take it from Authorization"
	case "cookie", "origin", "accept", "content-type", "content-encoding", "user-agent", "range", "if-match", "if-none-match":
		return "this field has another meaning"
	}
	return ""
}

// framing are the fields that say where a message ends or what a connection does (RFC 9110 §7.6.1, RFC 9112).
var framing = map[string]bool{
	"connection": true, "keep-alive": true, "proxy-connection": true, "te": true, "trailer": true, "transfer-encoding": true,
	"upgrade": true, "content-length": true, "host": true, "expect": true, "proxy-authenticate": true,
	"proxy-authorization": true, "proxy-authentication-info": true, "http2-settings": true, "alt-svc": true,
}

// CheckValue says why the value of a field may not be sent; "" when it may (RFC 9110 §5.5).
func CheckValue(v string) string {
	for i := range len(v) {
		if c := v[i]; c < ' ' && c != '\t' || c == 0x7f {
			return "a field's value must not hold control characters"
		}
	}
	if strings.TrimSpace(v) != v {
		return "a field's value must not begin or end with a space"
	}
	return ""
}

func fieldName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	return s != ""
}
