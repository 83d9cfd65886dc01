package authority

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// The path validation vectors of x509-limbo. Those for servers are run as if their certificate was a client's: they must then
// lead to the authority under the same rules, and names are compared as we compare them.
func TestLimbo(t *testing.T) {
	root := os.Getenv("GATEHOUSE_VECTORS")
	if root == "" {
		root = filepath.Join("..", "..", "shared", "vectors")
	}
	raw, err := os.ReadFile(filepath.Join(root, "x509-limbo", "limbo-no-bettertls.json"))
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skipf("the vectors are missing (set GATEHOUSE_VECTORS): %v", err)
	}
	var all struct {
		Cases []struct {
			ID       string   `json:"id"`
			Features []string `json:"features"`
			Kind     string   `json:"validation_kind"`
			Trusted  []string `json:"trusted_certs"`
			Between  []string `json:"untrusted_intermediates"`
			Peer     string   `json:"peer_certificate"`
			Time     string   `json:"validation_time"`
			Use      []string `json:"extended_key_usage"`
			Want     string   `json:"expected_result"`
			Lists    []string `json:"crls"`
			Name     *struct {
				Kind  string `json:"kind"`
				Value string `json:"value"`
			} `json:"expected_peer_name"`
		} `json:"testcases"`
	}
	if err := json.Unmarshal(raw, &all); err != nil {
		t.Fatal(err)
	}
	run, differ := 0, 0
	ids := map[string]bool{}
	for _, c := range all.Cases {
		at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		if c.Time != "" {
			at, err = time.Parse(time.RFC3339, c.Time)
			if err != nil {
				t.Fatal(err)
			}
		}
		run++
		ids[c.ID] = true
		use := x509.ExtKeyUsageServerAuth
		if c.Kind == "CLIENT" || slices.Contains(c.Use, "clientAuth") {
			use = x509.ExtKeyUsageClientAuth
		}
		err := verify(c.Peer, c.Trusted, c.Between, c.Lists, at, use)
		if err == nil && c.Name != nil && c.Name.Kind == "DNS" {
			leaf, _ := parse(c.Peer)
			if !slices.Contains(Names(leaf), Name{DNS, c.Name.Value}) {
				err = errors.New("its names are others")
			}
		}
		ok := err == nil
		if ok == (c.Want == "SUCCESS") {
			if why := exceptions[c.ID]; why != "" {
				t.Errorf("%s holds now: it is no exception any more (%s)", c.ID, why)
			}
			continue
		}
		differ++
		if exceptions[c.ID] == "" {
			t.Errorf("%s (%s): we say %v, want %s", c.ID, strings.Join(c.Features, " "), err, c.Want)
		}
	}
	t.Logf("%d vectors, %d exceptions", run, differ)
	for id := range exceptions {
		if !ids[id] {
			t.Errorf("there is no vector %s", id)
		}
	}
	if run < 200 {
		t.Errorf("%d vectors", run)
	}
}

// verify is what becomes of a client's certificate.
func verify(peer string, trusted, between, lists []string, at time.Time, use x509.ExtKeyUsage) error {
	var where []string
	if len(lists) > 0 {
		where = []string{"somewhere"}
	}
	a, err := New(Settings{Name: "limbo", Certificates: strings.Join(trusted, "\n"), Lists: where})
	if err != nil {
		return err
	}
	leaf, err := parse(peer)
	if err != nil {
		return err
	}
	var presented []*x509.Certificate
	for _, b := range between {
		if c, err := parse(b); err == nil { // the TLS handshake takes none that cannot be read
			presented = append(presented, c)
		}
	}
	var known []*List
	for _, l := range lists {
		if p, err := ParseList([]byte(l)); err == nil && p.provenBy(append(presented, a.signers...)) == nil {
			known = append(known, p)
		}
	}
	if !forOneself(leaf, use) {
		return ErrUse
	}
	_, err = a.verify(leaf, presented, Known{Lists: known}, at, use)
	return err
}

func parse(text string) (*x509.Certificate, error) {
	block, _ := pem.Decode([]byte(text))
	return x509.ParseCertificate(block.Bytes)
}

// Reasons of exceptions.
const (
	stricter  = "refused here although it may be taken: "
	cn        = "the common name is not looked at: a client is known by its alternative names alone"
	wildcard  = "a name with a wildcard stands for many, and identifies nobody here"
	form      = "the form of an authority's certificate, which the operator has chosen, or of a key identifier, which only helps to find paths: nobody gets in by it who has no signature"
	library   = "crypto/x509 does not look at it, and no name or signature depends on it"
	preferred = "a rule for browsers' authorities, not for an operator's own"
)

var exceptions = map[string]string{
	"cve::cve-2024-0567":                                   stricter + "crypto/x509 builds no path through it",
	"pathlen::validation-ignores-pathlen-in-leaf":          stricter + "an authority's certificate identifies no client",
	"rfc5280::ca-as-leaf":                                  stricter + "an authority's certificate identifies no client",
	"pathlen::self-issued-certs-pathlen":                   stricter + "crypto/x509 counts self-issued certificates",
	"rfc5280::nc::permitted-self-issued":                   stricter + "crypto/x509 constrains self-issued certificates too",
	"rfc5280::eku::ee-without-eku":                         stricter + "a certificate must say that it is for clients",
	"rfc5280::nc::permitted-dn-match":                      stricter + "crypto/x509 knows no constraints on directory names",
	"rfc5280::nc::nc-forbids-othername-noop":               stricter + "crypto/x509 knows no constraints on other names",
	"rfc5280::validity::notafter-fractional":               stricter + "to the second, and never later than it says",
	"webpki::nc::nc-permits-dns-san-pattern":               wildcard,
	"webpki::san::leftmost-wildcard-san":                   wildcard,
	"online::google.com":                                   wildcard,
	"online::microsoft.com":                                wildcard,
	"online::amazon.com":                                   wildcard,
	"online::docs.python.org":                              wildcard,
	"online::bing.com":                                     wildcard,
	"pathlen::max-chain-depth-0-exhausted":                 "there is no such setting: at most eight certificates come beside the client's own",
	"pathlen::max-chain-depth-1-exhausted":                 "there is no such setting: at most eight certificates come beside the client's own",
	"rfc5280::san::ip-in-dns":                              "the path is right, and a number among the host names identifies nobody here",
	"rfc5280::nc::invalid-dnsname-leading-period":          "crypto/x509 takes it for all names below, which is what was meant",
	"rfc5280::nc::permitted-dns-match-noncritical":         library,
	"rfc5280::pc::ica-noncritical-pc":                      library,
	"rfc5280::san::noncritical-with-empty-subject":         library,
	"rfc5280::aki::leaf-missing-aki":                       form,
	"rfc5280::aki::intermediate-missing-aki":               form,
	"rfc5280::aki::cross-signed-root-missing-aki":          form,
	"rfc5280::ski::root-missing-ski":                       form,
	"rfc5280::ski::intermediate-missing-ski":               form,
	"rfc5280::ca-empty-subject":                            form,
	"rfc5280::root-non-critical-basic-constraints":         form,
	"rfc5280::root-inconsistent-ca-extensions":             form,
	"webpki::aki::root-with-aki-missing-keyidentifier":     form,
	"webpki::aki::root-with-aki-authoritycertissuer":       form,
	"webpki::aki::root-with-aki-authoritycertserialnumber": form,
	"webpki::aki::root-with-aki-all-fields":                form,
	"webpki::aki::root-with-aki-ski-mismatch":              form,
	"webpki::cn::ipv4-hex-mismatch":                        cn,
	"webpki::cn::ipv4-leading-zeros-mismatch":              cn,
	"webpki::cn::ipv6-uppercase-mismatch":                  cn,
	"webpki::cn::ipv6-uncompressed-mismatch":               cn,
	"webpki::cn::ipv6-non-rfc5952-mismatch":                cn,
	"webpki::cn::punycode-not-in-san":                      cn,
	"webpki::cn::utf8-vs-punycode-mismatch":                cn,
	"webpki::cn::not-in-san":                               cn,
	"webpki::cn::case-mismatch":                            cn,
	"webpki::eku::ee-anyeku":                               preferred,
	"webpki::eku::ee-critical-eku":                         preferred,
	"webpki::eku::root-has-eku":                            preferred,
	"webpki::san::san-critical-with-nonempty-subject":      preferred,
	"webpki::forbidden-rsa-not-divisible-by-8-in-root":     preferred,
	"webpki::forbidden-rsa-key-not-divisible-by-8-in-leaf": preferred,
}
