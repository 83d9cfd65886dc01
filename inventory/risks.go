package inventory

// Seen is how much of a risk the records of Gatehouse can show.
type Seen string

// How much.
const (
	Wholly Seen = "yes"    // as far as it concerns credentials of Gatehouse
	Partly Seen = "partly" // some forms of it
	Not    Seen = "no"     // nothing that is recorded shows it: no finding does not mean that there is none
)

// Risk is one of the OWASP Non-Human Identities Top 10 (2025), and what Gatehouse can say about it.
type Risk struct {
	ID    string   `json:"id"`
	Title string   `json:"title"`
	Seen  Seen     `json:"seen"`
	Rules []string `json:"rules"` // that look for it
	Says  string   `json:"says"`
}

// Risks lists all ten, in their order.
func Risks() []Risk {
	return []Risk{
		{"NHI1", "Improper offboarding", Wholly, []string{"organization-gone", "application-gone", "organization-held", "owner-gone", "no-owner", "grant-over", "held", "dormant"},
			"Credentials that count although who stands behind them is gone, suspended, or has no right left, and those that nobody uses."},
		{"NHI2", "Secret leakage", Partly, []string{"leaked"},
			"Secrets that somebody has reported as found. Secrets in code, logs and chats are not looked for: point a scanner at the report endpoint."},
		{"NHI3", "Vulnerable third-party NHI", Partly, []string{"issuer-distrusted"},
			"Workloads whose issuer is not trusted any more. How partners keep their software and their suppliers is not recorded."},
		{"NHI4", "Insecure authentication", Wholly, []string{"weak-method", "anywhere"},
			"Credentials that are proven by less than their plan takes, and keys that can be used from anywhere."},
		{"NHI5", "Overprivileged NHI", Wholly, []string{"unused-scopes", "unused-grant", "unused-operations"},
			"Scopes, grants and operations that nothing calls, by the counts of calls that gateways send."},
		{"NHI6", "Insecure cloud deployment configurations", Not, []string{},
			"How partners build and deploy is not recorded. The drift review looks at the configuration of gateways, not at pipelines."},
		{"NHI7", "Long-lived secrets", Wholly, []string{"no-end", "far-end", "old-secret"},
			"Credentials without an end or with a far one, and secrets that have not been replaced."},
		{"NHI8", "Environment isolation", Partly, []string{"across-environments"},
			"The same key, certificate, address of keys or subject in several environments. Whether machines or databases are shared behind them is not recorded."},
		{"NHI9", "NHI reuse", Partly, []string{"across-applications"},
			"The same key, certificate, address of keys or subject for several applications. Whether several programs send the same credential is not recorded."},
		{"NHI10", "Human use of NHI", Not, []string{},
			"Gateways record which credential called, not whether a person typed the call."},
	}
}
