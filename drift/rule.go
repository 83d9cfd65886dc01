package drift

import "gatehouse/fault"

// Severity says how bad a finding is.
type Severity uint8

// The severities.
const (
	Info Severity = iota
	Low
	Medium
	High
	Critical
)

var severityNames = [...]string{"info", "low", "medium", "high", "critical"}

func (s Severity) String() string { return severityNames[min(int(s), len(severityNames)-1)] }

// MarshalText writes the severity's name.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText wrote, and nothing else.
func (s *Severity) UnmarshalText(b []byte) error {
	for i, n := range severityNames {
		if n == string(b) {
			*s = Severity(i)
			return nil
		}
	}
	return fault.Bad("", "%q is not a severity", b)
}

// Area is a group of rules, a column of the matrix.
type Area string

// The areas.
const (
	AreaAuth          Area = "auth"
	AreaCertificates  Area = "certificates"
	AreaObservability Area = "observability"
	AreaTraffic       Area = "traffic"
	AreaExposure      Area = "exposure"
)

// Areas lists the areas in the order in which they are shown.
func Areas() []Area {
	return []Area{AreaAuth, AreaCertificates, AreaObservability, AreaTraffic, AreaExposure}
}

// Rule is one thing that is looked for. Its id never changes its meaning.
type Rule struct {
	ID       string   `json:"id"`
	Title    string   `json:"title"`
	Area     Area     `json:"area"`
	Severity Severity `json:"severity"` // for a public production environment
	Pair     bool     `json:"pair"`     // compares two environments
	Self     bool     `json:"self"`     // reports in one environment alone
	Why      string   `json:"why"`
	Refs     []string `json:"refs,omitempty"` // checkov:…, kics:…, psrule:…, owasp:…

	env  func(*probe)                     // once per environment
	self func(*probe, *Policy)            // once per effective policy
	pair func(*pairing, *Policy, *Policy) // once per pair of effective policies
	two  func(*pairing)                   // once per pair of environments
}

// Rules is the catalogue, in the order of ids.
func Rules() []Rule {
	var all []Rule
	all = append(all, authRules()...)
	all = append(all, certificateRules()...)
	all = append(all, observabilityRules()...)
	all = append(all, trafficRules()...)
	return append(all, exposureRules()...)
}

// RuleByID finds a rule.
func RuleByID(id string) (Rule, bool) {
	for _, r := range Rules() {
		if r.ID == id {
			return r, true
		}
	}
	return Rule{}, false
}
