package manifest

import (
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var (
	hostForm   = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$`)
	headerForm = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$")
	pathForm   = regexp.MustCompile(`^(/[A-Za-z0-9._~!$&'()*+,;=:@-]+)+$`)
)

// checkAddress reports whether s is the address of a server: a scheme, a host, perhaps a port, and nothing else.
func checkAddress(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil, u.Opaque != "", u.Host == "" && u.Scheme != "":
		return fmt.Errorf("%q is not an address: write it like http://127.0.0.1:8009", clip(s))
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("%q must begin with http:// or https://", clip(s))
	case u.User != nil:
		return fmt.Errorf("must hold no user name or password: secrets are never in a manifest")
	case u.Path != "" || u.RawPath != "":
		return fmt.Errorf("%q must end after host and port: it has the path %s", clip(s), clip(u.Path))
	case strings.ContainsAny(s, "?#"):
		return fmt.Errorf("%q must end after host and port", clip(s))
	}
	host := u.Hostname()
	if _, err := netip.ParseAddr(host); err != nil {
		if err := checkHost(host); err != nil {
			return err
		}
	}
	if strings.HasSuffix(u.Host, ":") {
		return fmt.Errorf("%q has a colon without a port", clip(s))
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || port[0] == '0' {
			return fmt.Errorf("%q has a port that is not from 1 to 65535", clip(s))
		}
	}
	return nil
}

// checkHost reports whether s is a host name as it stands in a request: ASCII, lower case, no port.
func checkHost(s string) error {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		return nil
	}
	switch {
	case strings.IndexFunc(s, func(r rune) bool { return r > 0x7e }) >= 0:
		return fmt.Errorf("%q is not ASCII: write the form that stands in DNS, which begins with xn--", clip(s))
	case s != strings.ToLower(s):
		return fmt.Errorf("%q must be in lower case", clip(s))
	case len(s) > 253 || !hostForm.MatchString(s):
		return fmt.Errorf("%q is not a host name: write it without scheme, port and path", clip(s))
	}
	return nil
}

// checkPath reports whether s is a path that means the same to every reader: no empty, dot or escaped segments.
func checkPath(s string) error {
	switch {
	case s == "/":
		return nil
	case !strings.HasPrefix(s, "/"):
		return fmt.Errorf("%q must begin with a slash", clip(s))
	case strings.HasSuffix(s, "/"):
		return fmt.Errorf("%q must not end with a slash", clip(s))
	case strings.ContainsAny(s, "{}"):
		return fmt.Errorf("%q must have no parameters: those belong to the paths of the OpenAPI document", clip(s))
	case !pathForm.MatchString(s) || len(s) > maxName:
		return fmt.Errorf("%q is not a path: use up to %d ASCII letters, digits and signs between single slashes, without escapes", clip(s), maxName)
	}
	for segment := range strings.SplitSeq(s, "/") {
		if segment == "." || segment == ".." {
			return fmt.Errorf("%q must have no segments of dots", clip(s))
		}
	}
	return nil
}

// framing is the fields that belong to the connection or to the message's form: who sets them could smuggle.
var framing = []string{"connection", "content-length", "expect", "host", "http2-settings", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}

// checkHeader reports whether the gateway may set a field of that name for an upstream.
func checkHeader(s string) error {
	lower := strings.ToLower(s)
	switch {
	case !headerForm.MatchString(s):
		return fmt.Errorf("%q is not a name of a header field", clip(s))
	case slices.Contains(framing, lower):
		return fmt.Errorf("%s belongs to the connection: the gateway sets it itself", s)
	case strings.HasPrefix(lower, "gatehouse-"):
		return fmt.Errorf("%s: fields that begin with Gatehouse- tell the upstream who asks, and are set by the gateway itself", s)
	}
	return nil
}
