package app

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// onlyHere serves requests that were made on this machine and in its name: from a loopback address, and to localhost, a
// loopback address or the configured one. A page of another site that gives its own name our address (DNS rebinding) is
// refused: to the browser it is the same site, so nothing else would keep it from reading the answers.
func onlyHere(own string, next http.Handler) http.Handler {
	configured := ""
	if u, err := url.Parse(own); err == nil {
		configured = strings.ToLower(u.Hostname())
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		host = strings.ToLower(strings.Trim(host, "[]"))
		from, err := netip.ParseAddrPort(r.RemoteAddr)
		switch {
		case err != nil || !from.Addr().Unmap().IsLoopback():
			http.Error(w, "This is answered on the machine itself only.", http.StatusForbidden)
		case !namesHere(host) && (host == "" || host != configured):
			http.Error(w, "This is called as localhost.", http.StatusMisdirectedRequest)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

func namesHere(host string) bool {
	if a, err := netip.ParseAddr(host); err == nil {
		return a.Unmap().IsLoopback()
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost") // RFC 6761 §6.3
}
