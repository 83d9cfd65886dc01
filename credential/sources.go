package credential

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// SourcesMost is how many networks one credential can be limited to: each is compared with the caller's address.
const SourcesMost = 50

// CleanSources reads networks (CIDR, or single addresses) and writes each in its one form, sorted, each once. It returns
// what is wrong by place in the list.
func CleanSources(list []string) (out []string, wrong map[int]string) {
	wrong = map[int]string{}
	var nets []netip.Prefix
	for n, s := range list {
		p, err := ParseSource(strings.TrimSpace(s))
		if err != nil {
			wrong[n] = err.Error()
			continue
		}
		nets = append(nets, p)
	}
	slices.SortFunc(nets, func(a, b netip.Prefix) int { return strings.Compare(a.String(), b.String()) })
	for _, p := range slices.Compact(nets) {
		out = append(out, p.String())
	}
	return out, wrong
}

// ParseSource reads one network or address. IPv4 within IPv6 is the IPv4 network that it means.
func ParseSource(s string) (netip.Prefix, error) {
	bad := fmt.Errorf("must be a network such as 203.0.113.0/24 or 2001:db8::/48, or an address")
	if !strings.Contains(s, "/") {
		a, err := netip.ParseAddr(s)
		if err != nil || a.Zone() != "" {
			return netip.Prefix{}, bad
		}
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, bad
	}
	if a := p.Addr(); a.Is4In6() {
		if p.Bits() < 96 {
			return netip.Prefix{}, bad
		}
		p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
	}
	if p != p.Masked() {
		return netip.Prefix{}, fmt.Errorf("has bits set after its prefix: did you mean %s?", p.Masked())
	}
	return p, nil
}
