package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.yaml.in/yaml/v4"
)

const testSecret = "a secret of the tests"

// service under test, with a clock that the test moves.
type harness struct {
	t     *testing.T
	url   string
	start time.Time
	moved atomic.Int64 // nanoseconds since start
	org   string
}

func start(t *testing.T) *harness {
	h := &harness{t: t, start: time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC), org: "org_a"}
	p := immediate
	p.review, p.slow = 2*time.Second, time.Minute
	server := httptest.NewServer(newService(testSecret, p, func() time.Time { return h.start.Add(time.Duration(h.moved.Load())) }).handler())
	t.Cleanup(server.Close)
	h.url = server.URL + "/v1"
	return h
}

func (h *harness) call(method, path, contentType, body string, want int) map[string]any {
	h.t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, h.url+path, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	req.Header.Set("Eid-Gateway-Secret", testSecret)
	req.Header.Set("Gatehouse-Organization", h.org)
	req.Header.Set("Gatehouse-Application", "app_of_"+h.org)
	req.Header.Set("Content-Type", contentType)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	if res.StatusCode != want {
		h.t.Fatalf("%s %s answers %d, not %d: %s", method, path, res.StatusCode, want, raw)
	}
	var out map[string]any
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &out); err != nil {
			h.t.Fatalf("%s %s: %v in %q", method, path, err, raw)
		}
	}
	return out
}

func (h *harness) json(method, path, body string, want int) map[string]any {
	h.t.Helper()
	return h.call(method, path, "application/json", body, want)
}

func TestOnlyTheGatewayMayCall(t *testing.T) {
	h := start(t)
	for _, secret := range []string{"", "wrong", testSecret + "x"} {
		req, _ := http.NewRequest("GET", h.url+"/health", nil)
		req.Header.Set("Eid-Gateway-Secret", secret)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusForbidden {
			t.Errorf("with the secret %q it answers %d", secret, res.StatusCode)
		}
	}
}

func TestAVerificationIsDecidedAfterItsEvidence(t *testing.T) {
	for subject, want := range map[string]string{"customer-1": "verified", "reject-1": "rejected", "Дарья 李": "verified"} {
		h := start(t)
		body, _ := json.Marshal(map[string]string{"subject": subject, "level": "high"})
		v := h.json("POST", "/verifications", string(body), 201)
		id := "/verifications/" + v["id"].(string)
		h.json("POST", "/verifications", string(body), 409)
		h.json("GET", id+"/result", "", 409)
		h.call("PUT", id+"/evidence/document", "image/png", "picture", 200)
		if v = h.json("GET", id, "", 200); v["state"] != "waiting_for_evidence" {
			t.Errorf("%s: with one of two pieces of evidence it is %v", subject, v["state"])
		}
		h.call("PUT", id+"/evidence/portrait", "image/jpeg", "picture", 200)
		if v = h.json("GET", id, "", 200); v["state"] != "in_review" {
			t.Errorf("%s: with all its evidence it is %v", subject, v["state"])
		}
		h.moved.Add(int64(3 * time.Second))
		if v = h.json("GET", id, "", 200); v["state"] != want {
			t.Errorf("%s: after the review it is %v, not %s", subject, v["state"], want)
		}
		if r := h.json("GET", id+"/result", "", 200); r["verified"] != (want == "verified") {
			t.Errorf("%s: the result is %v", subject, r)
		}
		h.json("DELETE", id, "", 409)
	}
}

func TestOrganizationsDoNotSeeEachOther(t *testing.T) {
	h := start(t)
	v := h.json("POST", "/verifications", `{"subject":"s","level":"basic"}`, 201)
	h.json("PUT", "/callback", `{"url":"https://a.example/x","events":["verified"]}`, 200)
	h.org = "org_b"
	h.json("GET", "/verifications/"+v["id"].(string), "", 404)
	h.json("GET", "/callback", "", 404)
	if l := h.json("GET", "/verifications?subject=s", "", 200); len(l["items"].([]any)) != 0 {
		t.Errorf("another organization sees %v", l)
	}
}

func TestBadInputIsRefusedWithItsPlace(t *testing.T) {
	h := start(t)
	for body, pointer := range map[string]string{
		`{"subject":"","level":"high"}`:                                  "/subject",
		`{"subject":"s","level":"sure"}`:                                 "/level",
		`{"subject":"` + strings.Repeat("x", 101) + `","level":"basic"}`: "/subject",
	} {
		p := h.json("POST", "/verifications", body, 400)
		if got := p["errors"].([]any)[0].(map[string]any)["pointer"]; got != pointer {
			t.Errorf("%s: the problem is at %v, not %s", body, got, pointer)
		}
	}
	for _, body := range []string{``, `{`, `[]`, `{"subject":"s","level":"basic"} x`, `{"subject":"s","level":"basic","more":1}`} {
		h.json("POST", "/verifications", body, 400)
	}
	h.json("POST", "/verifications", `{"subject":"unavailable-1","level":"basic"}`, 503)
	v := h.json("POST", "/verifications", `{"subject":"s","level":"basic"}`, 201)
	id := "/verifications/" + v["id"].(string)
	h.call("PUT", id+"/evidence/document", "text/plain", "x", 415)
	h.call("PUT", id+"/evidence/document", "image/png", "", 400)
	h.call("PUT", id+"/evidence/passport", "image/png", "x", 404)
	h.call("PUT", id+"/evidence/document", "image/png", strings.Repeat("x", maxEvidence+1), 413)
	h.json("PUT", "/callback", `{"url":"http://a.example/","events":["verified"]}`, 400)
	h.json("DELETE", id, "", 204)
	h.json("GET", "/verifications/nothing", "", 404)
}

// The document describes every operation that is served, and nothing else.
func TestTheDocumentListsWhatIsServed(t *testing.T) {
	raw, err := os.ReadFile("manifest/eid.openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Paths map[string]map[string]any `yaml:"paths"`
	}
	if err := yaml.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	h, n := start(t), 0
	for path, item := range doc.Paths {
		for method := range item {
			if method == "parameters" {
				continue
			}
			n++
			concrete := strings.NewReplacer("{verificationId}", "ver_0000000000000000", "{kind}", "document").Replace(path)
			req, _ := http.NewRequest(strings.ToUpper(method), h.url+concrete, strings.NewReader("{}"))
			req.Header.Set("Eid-Gateway-Secret", testSecret)
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(res.Body)
			res.Body.Close()
			if strings.Contains(string(body), "there is no "+strings.ToUpper(method)+" /v1") || res.StatusCode == http.StatusMethodNotAllowed {
				t.Errorf("%s %s is in the document and not served", method, path)
			}
		}
	}
	if n < 10 {
		t.Errorf("the document has %d operations", n)
	}
}
