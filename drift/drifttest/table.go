package drifttest

import (
	"sort"
	"strings"
	"testing"

	"gatehouse/drift"
)

// Whole checks the table of rules for one gateway: every rule of the catalogue is either seeded, or said not to be expressible and why.
func Whole(t *testing.T, gateway string, not map[string]string, seeded ...[]Mutation) {
	t.Helper()
	have := map[string]int{}
	weakenings := 0
	for _, list := range seeded {
		for _, m := range list {
			have[m.Rule]++
			if m.File != "" {
				weakenings++
			}
		}
	}
	with, without, missed := 0, 0, 0
	for _, r := range drift.Rules() {
		why, excused := not[r.ID]
		switch {
		case have[r.ID] > 0 && excused:
			t.Errorf("%s: %s is seeded and said not to be expressible", gateway, r.ID)
		case have[r.ID] > 0:
			with++
		case why == "":
			t.Errorf("%s: %s (%s) is neither seeded nor said not to be expressible", gateway, r.ID, r.Title)
		case strings.HasPrefix(why, NotRead):
			missed++
		default:
			without++
		}
	}
	var names []string
	for id := range not {
		names = append(names, id)
	}
	sort.Strings(names)
	for _, id := range names {
		t.Logf("%s cannot express %s: %s", gateway, id, not[id])
	}
	t.Logf("%s: %d rules seeded by %d weakenings, %d missed, %d cannot be expressed", gateway, with, weakenings, missed, without)
	if 100*with < 95*(with+missed) {
		t.Errorf("%s: %d of %d rules that it can express are found", gateway, with, with+missed)
	}
}

// NotRead begins the reason of what a gateway can express and its reader does not see: it counts as missed.
const NotRead = "not read"

// Reasons that hold for many gateways.
const (
	KeptBySink   = "how long logs are kept is the sink's matter"
	NoProof      = "it cannot ask for proof that a call came through the edge"
	NoDefault    = "it answers under no default address beside its own"
	NoVersions   = "its references to certificates carry no version"
	NotItsFiles  = "certificates are named in its files and not held"
	NoRedaction  = "its log hides nothing by name"
	NoVerbosity  = "how much is logged about errors is not its files' matter"
	OrderIsFixed = "the order of its changes is fixed"
	NoHeaderCert = "it takes client certificates from the connection alone"
	NoEarly      = "what is inherited always runs first"
	NoQuota      = "it has no quotas"
	NoApproval   = "it has no subscriptions and no approval"
	NoFallback   = "who fails to authenticate is refused"
	NoCode       = "it runs no code of others"
	NoExpiry     = "tokens that have ended are always refused, and nothing else can be set"
)

// Certificates are PEM texts for seeding: one that is good for api.example.com, one that ends in ten days, one for another host, and one
// with a key of 1024 bits.
func Certificates(t testing.TB) (good, ending, other, weak string) {
	return LeafUntil(t, Now().AddDate(1, 0, 0), "api.example.com"), LeafUntil(t, Now().AddDate(0, 0, 10), "api.example.com"), LeafUntil(t, Now().AddDate(1, 0, 0), "other.example.com"), weakCertificate
}

// weakCertificate has a key of 1024 bits, which the standard library does not make any more. Its private key was thrown away.
const weakCertificate = `-----BEGIN CERTIFICATE-----
MIICLjCCAZegAwIBAgIUag5FnBtJdEwAcl98BOkSO/5aj/MwDQYJKoZIhvcNAQEL
BQAwGjEYMBYGA1UEAwwPYXBpLmV4YW1wbGUuY29tMCAXDTI2MTEyNzE0MzgzMVoY
DzIxMjYxMTAzMTQzODMxWjAaMRgwFgYDVQQDDA9hcGkuZXhhbXBsZS5jb20wgZ8w
DQYJKoZIhvcNAQEBBQADgY0AMIGJAoGBALpWl9LHP5dcx19q+kU7FBo9xyycR0qa
wJITfKP5htIp/YBXs5xliAoOptrDNQfTctFen6mfOcuSgaNqZ+RfJYg3/Gpzw6q0
thfaDdG4FcJlTkfKvEyO3iefirzJ7WtV18DeGnSkRj0LecRl9f7mAkseP5HCby1+
BkpVWvpum0qtAgMBAAGjbzBtMB0GA1UdDgQWBBT0Te6A91YQsbVh2Js69NPu4YtB
8zAfBgNVHSMEGDAWgBT0Te6A91YQsbVh2Js69NPu4YtB8zAPBgNVHRMBAf8EBTAD
AQH/MBoGA1UdEQQTMBGCD2FwaS5leGFtcGxlLmNvbTANBgkqhkiG9w0BAQsFAAOB
gQALhSp9zHCKROK4tOEMOxmG3/Pqa3xoxxyYcmb+Jwjppti5dcSwTiueScfpl7sR
sLjjHZSlt61DnhsBtIHzL+iIfkEd031z2SKGKvGW08KE+4iR9GJmm+F1SrYK2R7A
aU0I/ufqpXswm3V/HXpV6YOzs2zr8BhM7rHs0/yZK5aDSQ==
-----END CERTIFICATE-----
`
