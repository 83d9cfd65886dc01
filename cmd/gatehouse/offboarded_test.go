package main_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"gatehouse/control"
	"gatehouse/feed"
	"gatehouse/organization"
	"gatehouse/store/pgtest"
)

const (
	// offboarded is how many credentials the organization has that TestOffboardingOfManyCredentials ends. `make bench-offboarding` asks
	// for a thousand, and then the time counts.
	offboarded     = "GATEHOUSE_OFFBOARDED"
	offboardedMost = 10 * time.Second // for a thousand
	perApplication = 80               // live credentials; more than a hundred are refused
)

// An organization with many credentials of several kinds ends at three gateways, all real processes: every gateway says that it is
// in force and swears of each credential and canary, the bundle is sealed, and it verifies offline.
func TestOffboardingOfManyCredentials(t *testing.T) {
	n, measured := 120, false
	if m, err := strconv.Atoi(os.Getenv(offboarded)); err == nil {
		n, measured = m, true
	}
	for i, on := range []string{"sqlite", "postgres"} {
		t.Run(on, func(t *testing.T) {
			database := ""
			if on == "postgres" { // a server of its own: one that syncs what it commits
				server, err := pgtest.Start()
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(server.Stop)
				address, err := server.Database()
				if err != nil {
					t.Fatal(err)
				}
				database = address.Reveal()
			}
			s := newSitesOn(t, t.TempDir(), fmt.Sprintf("127.0.3.%d", 31+i), database,
				"{ name: live }", "{ name: live, url: https://api.platform.example }",
				"longest: 90d", "longest: 90d\n        credentials: [api_key, oauth_client, client_certificate]")
			for _, name := range []string{"one", "two", "three"} {
				s.join(name)
			}
			took := s.offboard(n)
			if measured && took > offboardedMost*time.Duration(max(n, 1000))/1000 {
				t.Errorf("it took %s", took)
			}
		})
	}
}

// offboard gives the organization so many credentials and ends it. It returns how long that took until its evidence was verified.
func (s *sites) offboard(n int) time.Duration {
	s.Helper()
	ids, keys := s.issueMany(n)
	last := ids[len(ids)-1]
	s.inForceOn(last, len(s.all))
	for _, g := range s.all {
		for _, key := range keys {
			g.comes(key, http.StatusOK)
		}
	}
	var app struct{ Organization string }
	s.must("GET", "/api/applications/"+s.application, s.admin, nil, &app)
	path := "/api/organizations/" + app.Organization

	began := time.Now()
	s.must("POST", path+"/offboard", s.admin, map[string]string{"reason": "the contract ended"}, nil)
	answered := time.Since(began)
	var o control.Offboarding
	for deadline := began.Add(4 * patience); o.Organization.State != organization.Offboarded; time.Sleep(20 * time.Millisecond) {
		if s.must("GET", path+"/offboarding", s.admin, nil, &o); time.Now().After(deadline) {
			s.Fatalf("it still waits: %q", o.Waits)
		}
	}
	complete := time.Since(began)
	file := filepath.Join(s.dir, "evidence.json")
	var point struct{ Verifier string }
	if err := json.Unmarshal(s.cli("audit", "checkpoint", "-o", "json", "--server", s.portal), &point); err != nil || point.Verifier == "" {
		s.Fatalf("no verifier key: %v", err)
	}
	s.eventually("all of it is sealed", func() bool {
		status, _ := s.ask("GET", "/api/evidence/"+app.Organization, s.admin, nil, nil)
		return status == http.StatusOK
	})
	s.cli("audit", "evidence", app.Organization, "--out", file, "--server", s.portal)
	s.cli("audit", "verify", "--evidence", file, "--key", point.Verifier)
	took := time.Since(began)

	for _, g := range s.all {
		for _, key := range keys {
			if got := g.call(key); got != http.StatusUnauthorized {
				s.Errorf("%s answers %d to a key of an organization that is offboarded", g.name, got)
			}
		}
	}
	s.sworn(o, ids)
	if size, err := os.Stat(file); err == nil {
		s.Logf("%d credentials, %d gateways: ended in %s, complete after %s, exported (%d KB) and verified offline after %s", len(ids), len(s.all),
			answered.Round(time.Millisecond), complete.Round(time.Millisecond), size.Size()>>10, took.Round(time.Millisecond))
	}
	return took
}

// sworn checks what the gateways have said: each of each credential, and of the canaries twice.
func (s *sites) sworn(o control.Offboarding, ids []string) {
	s.Helper()
	kinds := map[string]bool{}
	canaries := map[string]bool{}
	for _, k := range o.Canaries {
		if k.Environment == "live" && k.Why == "" {
			kinds[k.Kind], canaries[string(k.Credential)] = true, true
		}
	}
	if len(kinds) != 3 {
		s.Errorf("canaries of %v", kinds)
	}
	if len(o.Unshown) > 0 { // on a machine that has much else to do
		s.Logf("not shown before the end: %v", o.Unshown)
	}
	for _, at := range o.Gateways {
		if at.Environment != "live" {
			continue
		}
		if len(at.Counted) != len(s.all) || len(at.Before)+len(o.Unshown) != len(s.all) || len(at.Sworn) != len(s.all) {
			s.Fatalf("of %d gateways %d have sworn before and %d after: %v", len(at.Counted), len(at.Before), len(at.Sworn), o.Notes)
		}
		for _, sworn := range at.Before {
			v := s.verdicts(sworn)
			for id := range canaries {
				if v[id] != feed.Passes {
					s.Errorf("before the end the canary %s is %q", id, v[id])
				}
			}
		}
		for _, sworn := range at.Sworn {
			v := s.verdicts(sworn)
			for _, id := range ids {
				if v[id] != feed.Absent && v[id] != feed.Refused { // gateways may still know it, and why it ended
					s.Errorf("after the end %s is %q", id, v[id])
				}
			}
			for id := range canaries {
				if v[id] != feed.Absent && v[id] != feed.Refused {
					s.Errorf("after the end the canary %s is %q", id, v[id])
				}
			}
		}
	}
}

func (s *sites) verdicts(sworn feed.Sworn) map[string]feed.Verdict {
	s.Helper()
	a, err := sworn.Open()
	if err != nil {
		s.Fatal(err)
	}
	out := map[string]feed.Verdict{}
	for _, seen := range a.Seen {
		out[string(seen.Credential)] = seen.Verdict
	}
	return out
}

// issueMany issues credentials: of ten one is an OAuth client, one a certificate, and the others are keys. It returns the first key
// of each application.
func (s *sites) issueMany(n int) (ids, keys []string) {
	s.Helper()
	csr := signingRequest(s.T)
	var made []string
	for len(made)*perApplication < n {
		if len(made) > 0 { // the partner has one already
			s.apply()
		}
		made = append(made, s.application)
	}
	var mu sync.Mutex
	var wait sync.WaitGroup
	errs := make([]error, len(made))
	for i, app := range made {
		wait.Go(func() {
			for k := range min(perApplication, n-i*perApplication) {
				id, key, err := s.issueOne(app, k, csr)
				if err != nil {
					errs[i] = err
					return
				}
				mu.Lock()
				ids = append(ids, id)
				if k == 0 {
					keys = append(keys, key)
				}
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	if err := errors.Join(errs...); err != nil {
		s.Fatal(err)
	}
	return ids, keys
}

func (s *sites) issueOne(app string, k int, csr string) (id, key string, err error) {
	path, in := "/api/credentials", map[string]string{"application": app, "environment": "live", "name": fmt.Sprint("number ", k), "lifetime": "1d"}
	switch k % 10 {
	case 4:
		path, in["method"] = "/api/oauth-clients", "client_secret"
	case 8:
		path, in["csr"] = "/api/client-certificates", csr
	}
	var made struct {
		Key        string
		Credential struct{ ID string }
	}
	_, err = s.ask("POST", path, s.member, in, &made)
	return made.Credential.ID, made.Key, err
}

func signingRequest(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

// cli runs a command against the control plane as an administrator, and returns what it prints.
func (s *sites) cli(args ...string) []byte {
	s.Helper()
	c := exec.Command(filepath.Join(binary, "gatehouse"), args...)
	c.Dir = s.dir
	c.Env = []string{"HOME=" + s.dir, "PATH=" + os.Getenv("PATH"), "GATEHOUSE_TOKEN=" + s.admin}
	out, err := c.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s", err, exit.Stderr)
		}
		s.Fatalf("gatehouse %v: %v\n%s", args, err, out)
	}
	return out
}
