package drift

import (
	"net/netip"
	"slices"
	"sort"
	"strings"

	"gatehouse/fault"
)

// Order is how strict one side is against another. These are partial orders: some things cannot be compared.
type Order int8

// The orders.
const (
	Same         Order = iota
	Weaker             // the first lets more in, or shows less
	Stronger           // the first is stricter
	Incomparable       // neither
)

// Mirror is the order seen from the other side.
func (o Order) Mirror() Order {
	switch o {
	case Weaker:
		return Stronger
	case Stronger:
		return Weaker
	}
	return o
}

func (o Order) String() string {
	return [...]string{"same", "weaker", "stronger", "incomparable"}[o]
}

// orderOf makes an order of "a is at least as strict as b" and the reverse.
func orderOf(a, b bool) Order {
	switch {
	case a && b:
		return Same
	case a:
		return Stronger
	case b:
		return Weaker
	}
	return Incomparable
}

// And combines two orders that must both hold: a mix of weaker and stronger is incomparable.
func (o Order) And(p Order) Order {
	switch {
	case o == Same:
		return p
	case p == Same || o == p:
		return o
	}
	return Incomparable
}

// tlsVersions in order of strength.
var tlsVersions = []string{"ssl3", "1.0", "1.1", "1.2", "1.3"}

// TLSVersion writes a vendor's name of a version in the model's form: "TLSv1.2", "VersionTLS12", "TLS_1_2", "Tls12".
func TLSVersion(s string) (string, error) {
	t := strings.NewReplacer("tls", "", "version", "", "v", "", "_", "", ".", "", "-", "", " ", "").Replace(strings.ToLower(s))
	switch t {
	case "ssl3", "ssl30", "ssl":
		return "ssl3", nil
	case "10", "1":
		return "1.0", nil
	case "11":
		return "1.1", nil
	case "12":
		return "1.2", nil
	case "13":
		return "1.3", nil
	}
	return "", fault.Bad("", "%q is not a version of TLS", s)
}

// CompareTLS orders minimum versions.
func CompareTLS(a, b string) Order {
	i, j := slices.Index(tlsVersions, a), slices.Index(tlsVersions, b)
	if i < 0 || j < 0 {
		return unless(a == b)
	}
	return orderOf(i >= j, j >= i)
}

func unless(same bool) Order {
	if same {
		return Same
	}
	return Incomparable
}

// CompareAllowed orders lists of what is allowed: a smaller list is stricter.
func CompareAllowed(a, b []string) Order { return orderOf(subset(a, b), subset(b, a)) }

// CompareChecked orders lists of accepted values that are not checked at all when they are empty.
func CompareChecked(a, b []string) Order {
	switch {
	case len(a) == 0 && len(b) == 0:
		return Same
	case len(a) == 0:
		return Weaker
	case len(b) == 0:
		return Stronger
	}
	return CompareAllowed(a, b)
}

// CompareRequired orders lists of demands: a larger list is stricter.
func CompareRequired(a, b []string) Order { return orderOf(subset(b, a), subset(a, b)) }

func subset(a, b []string) bool {
	for _, v := range a {
		if !slices.Contains(b, v) {
			return false
		}
	}
	return true
}

// CompareLow orders numbers of which the lower is stricter; 0 means no bound.
func CompareLow(a, b int64) Order {
	switch {
	case a == b:
		return Same
	case a <= 0:
		return orderOf(b <= 0, true)
	case b <= 0:
		return Stronger
	}
	return orderOf(a <= b, b <= a)
}

// CompareTrue orders switches of which on is stricter.
func CompareTrue(a, b bool) Order { return orderOf(a || !b, b || !a) }

// CompareFalse orders switches of which off is stricter.
func CompareFalse(a, b bool) Order { return CompareTrue(!a, !b) }

// CompareRatio orders sampling: more is stricter, for it shows more.
func CompareRatio(a, b float64) Order { return orderOf(a >= b, b >= a) }

// ComparePerSecond orders limits of count in a window of seconds, whatever the windows.
func ComparePerSecond(count1, window1, count2, window2 int64) Order {
	if window1 <= 0 || window2 <= 0 {
		return unless(count1 == count2 && window1 == window2)
	}
	a, b := float64(count1)*float64(window2), float64(count2)*float64(window1)
	return orderOf(a <= b, b <= a)
}

var clientAuths = []string{"none", "request", "require_any", "require", "verify"}

// CompareClientAuth orders how a server treats client certificates.
func CompareClientAuth(a, b string) Order {
	i, j := slices.Index(clientAuths, a), slices.Index(clientAuths, b)
	if i < 0 || j < 0 {
		return unless(a == b)
	}
	return orderOf(i >= j, j >= i)
}

// CompareCIDR orders allow lists of addresses: the list that lets in fewer is stricter; an empty list lets in all.
func CompareCIDR(a, b []string) Order {
	if len(a) == 0 || len(b) == 0 {
		return CompareChecked(a, b)
	}
	pa, okA := prefixes(a)
	pb, okB := prefixes(b)
	if !okA || !okB {
		return CompareAllowed(a, b)
	}
	return orderOf(within(pa, pb), within(pb, pa))
}

func prefixes(list []string) ([]netip.Prefix, bool) {
	out := make([]netip.Prefix, 0, len(list))
	for _, s := range list {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			ip, err := netip.ParseAddr(s)
			if err != nil {
				return nil, false
			}
			p = netip.PrefixFrom(ip, ip.BitLen())
		}
		out = append(out, p.Masked())
	}
	return out, true
}

func within(a, b []netip.Prefix) bool {
	for _, p := range a {
		in := false
		for _, q := range b {
			in = in || q.Bits() <= p.Bits() && q.Contains(p.Addr())
		}
		if !in {
			return false
		}
	}
	return true
}

// CompareOrigins orders CORS origins: "*" admits all, a pattern (~…) all that it matches.
func CompareOrigins(a, b []string) Order { return orderOf(originsIn(a, b), originsIn(b, a)) }

func originsIn(a, b []string) bool {
	if slices.Contains(b, "*") {
		return true
	}
	for _, o := range a {
		if !slices.Contains(b, o) && !wildcardIn(o, b) {
			return false
		}
	}
	return true
}

// wildcardIn reports whether an exact origin matches one of the origins that hold a wildcard for a label: https://*.x.test.
func wildcardIn(o string, list []string) bool {
	if strings.HasPrefix(o, "~") || o == "*" {
		return false
	}
	for _, w := range list {
		pre, post, ok := strings.Cut(w, "*")
		if ok && !strings.HasPrefix(w, "~") && w != "*" && len(o) > len(pre)+len(post) && strings.HasPrefix(o, pre) && strings.HasSuffix(o, post) {
			return true
		}
	}
	return false
}

// Sorted is a sorted copy without repetitions, so that order means nothing.
func Sorted(list []string) []string {
	out := append([]string(nil), list...)
	sort.Strings(out)
	return unique(out)
}

func unique(sorted []string) []string { return slices.Compact(sorted) }
