package plan

import (
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gatehouse/drift"
	"gatehouse/drift/patch"
)

// editPlace writes a value where it stands, for gateways whose files say each setting in one place: the form that is written there, with
// its unit and its spelling, is kept. Whether it was understood rightly is what the proof is for.
func editPlace(s *Site, g Group) error {
	for _, t := range places(g) {
		if t.origin.Pointer == "" || t.origin.File == "" {
			continue
		}
		if s.once(t.origin) {
			continue // written for another group of operations
		}
		tree, err := s.Tree(t.origin.File)
		if err != nil {
			return err
		}
		old, ok := tree.Value(t.origin.Line, t.origin.Pointer)
		if !ok {
			continue
		}
		v, err := t.encode(s, g, old)
		if err != nil {
			return err
		}
		if v == nil {
			continue
		}
		s.Did("set %s", strings.TrimPrefix(t.origin.Pointer[strings.LastIndex(t.origin.Pointer, "/")+1:], "/"))
		if err := tree.Set(t.origin.Line, t.origin.Pointer, v); err != nil {
			return err
		}
	}
	if len(s.did) == 0 {
		return &refusal{reason: "the setting is not written here, and adding it asks for what belongs to this environment", weak: true}
	}
	return nil
}

// place is a leaf, where it stands, and how the wanted value is written there.
type place struct {
	origin drift.Origin
	encode func(s *Site, g Group, old any) (any, error)
}

func places(g Group) []place {
	if g.Have == nil {
		return nil
	}
	var out []place
	truth := func(leaf func(*drift.Policy) drift.Leaf[bool], safe bool) {
		out = append(out, place{leaf(g.Have).Origin, func(s *Site, g Group, old any) (any, error) {
			v, err := wanted(g, leaf, safe)
			if err != nil {
				return nil, err
			}
			return truthAs(old, v != s.Narrow), nil // the second try writes the opposite: "disable" instead of "enable"
		}})
	}
	num := func(leaf func(*drift.Policy) drift.Leaf[int64], safe int64) {
		out = append(out, place{leaf(g.Have).Origin, func(_ *Site, g Group, old any) (any, error) {
			v, err := wanted(g, leaf, safe)
			if err != nil {
				return nil, err
			}
			if v <= 0 {
				return nil, refuse("the other side has no bound", "")
			}
			return scaled(old, float64(leaf(g.Have).Value), float64(v))
		}})
	}
	list := func(leaf func(*drift.Policy) drift.Leaf[[]string]) {
		out = append(out, place{leaf(g.Have).Origin, func(s *Site, g Group, old any) (any, error) {
			want, err := wanted(g, leaf, nil)
			if err != nil {
				return nil, err
			}
			if len(want) == 0 {
				return nil, refuse("the other side has no such list", "")
			}
			keep, err := s.kept(leaf(g.Have).Value, want, g.Other)
			if err != nil {
				return nil, err
			}
			return items(old, keep), nil
		}})
	}
	jwt := func(f func(*drift.JWT)) {
		if j := token(g.Have); j != nil {
			f(j)
		}
	}
	inToken := func(leaf func(*drift.JWT) drift.Leaf[bool]) {
		jwt(func(*drift.JWT) {
			truth(func(p *drift.Policy) drift.Leaf[bool] {
				if j := token(p); j != nil {
					return leaf(j)
				}
				return drift.ByDefault(true)
			}, true)
		})
	}
	listIn := func(leaf func(*drift.JWT) drift.Leaf[[]string]) {
		jwt(func(*drift.JWT) {
			list(func(p *drift.Policy) drift.Leaf[[]string] {
				if j := token(p); j != nil {
					return leaf(j)
				}
				return drift.ByDefault([]string(nil))
			})
		})
	}
	switch g.Field {
	case "auth.optional":
		truth(func(p *drift.Policy) drift.Leaf[bool] { return p.Auth.Optional }, false)
	case "auth.exempt":
		truth(func(p *drift.Policy) drift.Leaf[bool] { return p.Auth.Exempt }, false)
	case "auth.external.fail_open":
		truth(func(p *drift.Policy) drift.Leaf[bool] {
			for _, r := range p.Auth.Ways.Value.All() {
				if r.External != nil {
					return r.External.FailOpen
				}
			}
			return drift.ByDefault(false)
		}, false)
	case "auth.jwt.require_signed":
		inToken(func(j *drift.JWT) drift.Leaf[bool] { return j.Signed })
	case "auth.jwt.require_exp":
		inToken(func(j *drift.JWT) drift.Leaf[bool] { return j.Expires })
	case "auth.jwt.audiences":
		listIn(func(j *drift.JWT) drift.Leaf[[]string] { return j.Audiences })
	case "auth.jwt.issuers":
		listIn(func(j *drift.JWT) drift.Leaf[[]string] { return j.Issuers })
	case "auth.jwt.algs":
		listIn(func(j *drift.JWT) drift.Leaf[[]string] { return j.Algorithms })
	case "tls.min":
		out = append(out, place{g.Have.TLS.Min.Origin, tlsAs})
	case "tls.plain":
		truth(func(p *drift.Policy) drift.Leaf[bool] { return p.TLS.Plain }, false)
	case "tls.hsts_max_age_s":
		num(func(p *drift.Policy) drift.Leaf[int64] { return p.TLS.HSTS }, 31536000)
	case "tls.ciphers":
		list(func(p *drift.Policy) drift.Leaf[[]string] { return p.TLS.Ciphers })
	case "tls.upstream.verify":
		truth(func(p *drift.Policy) drift.Leaf[bool] { return p.Upstream.Verify }, true)
	case "cors.origins", "cors.credentials", "cors.methods", "cors.headers":
		switch {
		case g.Want == nil || g.Field == "cors.credentials":
			truth(func(p *drift.Policy) drift.Leaf[bool] { return p.CORS.Credentials }, false)
			if g.Want == nil {
				out[0].encode = func(_ *Site, _ Group, old any) (any, error) { return truthAs(old, false), nil }
			}
		case g.Field == "cors.origins":
			list(func(p *drift.Policy) drift.Leaf[[]string] { return p.CORS.Origins })
		case g.Field == "cors.methods":
			list(func(p *drift.Policy) drift.Leaf[[]string] { return p.CORS.Methods })
		default:
			list(func(p *drift.Policy) drift.Leaf[[]string] { return p.CORS.Headers })
		}
	case "ip.allow":
		list(func(p *drift.Policy) drift.Leaf[[]string] { return p.IP.Allow })
	case "ip.deny":
		list(func(p *drift.Policy) drift.Leaf[[]string] { return p.IP.Deny })
	case "limits.body_bytes":
		num(func(p *drift.Policy) drift.Leaf[int64] { return p.Limits.Body }, 0)
	case "limits.header_bytes":
		num(func(p *drift.Policy) drift.Leaf[int64] { return p.Limits.Header }, 0)
	case "limits.timeout_connect_ms":
		num(func(p *drift.Policy) drift.Leaf[int64] { return p.Limits.Connect }, 0)
	case "limits.timeout_read_ms":
		num(func(p *drift.Policy) drift.Leaf[int64] { return p.Limits.Read }, 0)
	case "limits.retries":
		num(func(p *drift.Policy) drift.Leaf[int64] { return p.Limits.Retries }, 0)
	case "rate.count":
		num(func(p *drift.Policy) drift.Leaf[int64] {
			if r := p.Rates.Or(nil); len(r) > 0 {
				return r[0].Count
			}
			return drift.Unknown[int64]("there is no limit", drift.Origin{})
		}, 0)
	case "logging.enabled":
		truth(func(p *drift.Policy) drift.Leaf[bool] { return p.Logging.Enabled }, true)
	case "metrics.enabled":
		truth(func(p *drift.Policy) drift.Leaf[bool] { return p.Metrics.Enabled }, true)
	case "tracing.enabled":
		truth(func(p *drift.Policy) drift.Leaf[bool] { return p.Tracing.Enabled }, true)
	case "tracing.sample_ratio", "logging.sample_ratio":
		leaf := func(p *drift.Policy) drift.Leaf[float64] { return p.Tracing.Sample }
		if g.Field[0] == 'l' {
			leaf = func(p *drift.Policy) drift.Leaf[float64] { return p.Logging.Sample }
		}
		out = append(out, place{leaf(g.Have).Origin, func(_ *Site, g Group, old any) (any, error) {
			v, err := wanted(g, leaf, 1)
			if err != nil {
				return nil, err
			}
			return scaled(old, leaf(g.Have).Value, v)
		}})
	case "lifecycle.subscription_required":
		truth(func(p *drift.Policy) drift.Leaf[bool] { return p.Lifecycle.Subscription }, true)
	case "diag.fault_leaks":
		truth(func(p *drift.Policy) drift.Leaf[bool] { return p.Diag.FaultLeaks }, false)
	}
	return out
}

// truthAs writes a truth value as the old one is written: nil when the old one is none.
func truthAs(old any, v bool) any {
	switch o := old.(type) {
	case bool:
		return v
	case string:
		if _, err := strconv.ParseBool(o); err == nil {
			return strconv.FormatBool(v)
		}
	}
	return nil
}

var quantity = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z%]*)$`)

// scaled writes a number in the unit in which the old one is written, which is known from what it was read as.
func scaled(old any, read, want float64) (any, error) {
	raw, suffix := 0.0, ""
	switch o := old.(type) {
	case int64:
		raw = float64(o)
	case float64:
		raw = o
	case string:
		m := quantity.FindStringSubmatch(o)
		if m == nil {
			return nil, nil
		}
		raw, _ = strconv.ParseFloat(m[1], 64)
		suffix = m[2]
	default:
		return nil, nil
	}
	if raw <= 0 || read <= 0 {
		return nil, refuse("the unit of the setting is not known", "")
	}
	n := want * raw / read
	if _, whole := old.(float64); !whole && math.Abs(n-math.Round(n)) > 1e-9 {
		return nil, refuse("the wanted value cannot be written in the unit that is used here", "")
	}
	if _, ok := old.(string); ok {
		return strconv.FormatFloat(n, 'f', -1, 64) + suffix, nil
	}
	if n == math.Round(n) {
		if _, ok := old.(int64); ok {
			return int64(math.Round(n)), nil
		}
	}
	return n, nil
}

// items writes a list as the old one is written: those of its items that mean something that is kept, and what is new.
func items(old any, keep patch.List) any {
	list, ok := old.(patch.List)
	if !ok {
		if s, isText := old.(string); isText && strings.Contains(s, ",") {
			parts := make([]string, len(keep))
			for i, k := range keep {
				parts[i], _ = k.(string)
			}
			return strings.Join(parts, ",")
		}
		return nil
	}
	var out patch.List
	used := map[int]bool{}
	for _, x := range list {
		text, ok := x.(string)
		if !ok {
			return nil
		}
		i := slices.IndexFunc(keep, func(k any) bool {
			v, _ := k.(string)
			return strings.EqualFold(v, text) || strings.EqualFold(strings.TrimPrefix(v, "~"), text)
		})
		if i >= 0 {
			used[i] = true
			out = append(out, x)
		}
	}
	for i, k := range keep {
		if !used[i] {
			out = append(out, k)
		}
	}
	return out
}

var tlsDigits = regexp.MustCompile(`1([._]?)([0-3])$`)

// tlsAs writes a version of TLS as the old one is spelled.
func tlsAs(_ *Site, g Group, old any) (any, error) {
	least, err := wanted(g, func(p *drift.Policy) drift.Leaf[string] { return p.TLS.Min }, "1.2")
	if err != nil {
		return nil, err
	}
	_, minor, ok := strings.Cut(least, ".")
	text, isText := old.(string)
	if f, isNumber := old.(float64); isNumber {
		text, isText = strconv.FormatFloat(f, 'f', 1, 64), true
	}
	if !ok || !isText || !tlsDigits.MatchString(text) {
		return nil, nil
	}
	return tlsDigits.ReplaceAllString(text, "1${1}"+minor), nil
}
