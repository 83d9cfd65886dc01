package portal_test

import (
	"strings"
	"testing"

	"gatehouse/credential"
	"gatehouse/identity"
)

// TestStory walks the whole way of a partner through the pages, without a script: every form is posted as a browser would.
func TestStory(t *testing.T) {
	w := newWorld(t)
	admin := w.staffed("admin@platform.example", "Ada Admin")
	approver := w.staffed("vera@platform.example", "Vera Approver", identity.Approver)
	ines := w.partner("Nordlicht Bank", "Ines Ito", "ines@nordlicht.example")

	// The next step is told on the overview, whatever has been done.
	ines.get("/dashboard").want(200).says("Create your first application", "registered")
	app := ines.get("/applications/new").submit("/applications", fill{"name": "Onboarding web", "purpose": "Identify new customers"}).want(200).says("Onboarding web", "Identify new customers", "Ines Ito")
	appPath := app.path
	ines.get("/dashboard").says("We are verifying your organization")
	ines.get("/requests/new?product=verification").says("Your organization is not verified yet")

	// Staff verify, from the queue.
	verify := admin.get("/queue").want(200).says("Nordlicht Bank").follow("Verify")
	verify.submit(verify.path, fill{"reason": "HRB 4711 checked"}).want(200).says("verified", "HRB 4711 checked")

	// A request, its facts, an approval with changes.
	product := ines.get(appPath).follow("Ask for access").want(200).follow("Verification").want(200).says("Decided by one approver (API owner)", "10 requests per second, up to 20 at once", "1 year")
	ask := product.follow("Ask for access").want(200)
	bad := ask.submit("/requests", fill{"purpose": "Identify new customers of the bank"}).want(422)
	if got := bad.all(`.summary a[href="#f-plan"]`); len(got) != 1 {
		t.Errorf("the summary does not lead to the plan that is missing: %s", bad.text(".summary"))
	}
	if got := bad.text("textarea[name=purpose]"); got != "Identify new customers of the bank" {
		t.Errorf("the purpose that was typed is lost: %q", got)
	}
	request := bad.submit("/requests", fill{"environment": "live", "plan": "standard", "scopes": "verifications:read\x00verifications:write\x00evidence:write", "duration": "180d"}).want(200).says("open", "API owner", "Waits for a person with the role approver")
	requestPath := request.path
	ines.get("/dashboard").says("Your request waits for its decision")
	decision := approver.get("/queue").says("Verification for Onboarding web").follow("Decide").want(200).
		says("Identify new customers of the bank", "Nordlicht Bank", "HRB 4711 checked", "Start a verification", "Earlier requests of the organization")
	refused := decision.submit(decision.path, fill{"decision": "refuse"}).want(422).says("Say why")
	approved := refused.submit(decision.path, fill{"decision": "approve", "scopes": "verifications:read\x00verifications:write", "reason": "evidence is not needed"}).want(200).says("approved", "evidence is not needed")
	approved.says("Vera Approver")
	late := decision.submit(decision.path, fill{"decision": "approve"}).want(409).says("already approved")
	if len(late.all(".summary")) != 0 {
		t.Error("who decides a second time is told to mend a form that is not there")
	}

	// The grant says who, what, where, why, from, until, and by whom.
	grant := ines.get(requestPath).says("approved").follow("See the grant").want(200).
		says("active", "Onboarding web", "verifications:read", "Identify new customers of the bank", "live", "until")
	if strings.Contains(grant.text("main"), "evidence:write") {
		t.Error("the scope that was taken away is on the grant")
	}
	ines.get("/dashboard").says("Issue a key")

	// The key is shown once.
	issue := ines.get(appPath).follow("Issue a key").want(200)
	form := issue.form("/credentials", fill{"name": "production server"})
	shown := ines.post("/credentials", form).want(200).says("it is shown this once", "Your first call")
	key := shown.text("#the-key")
	parsed, ok := credential.ParseKey([]byte(key))
	if !ok || string(parsed.Environment) != "live" {
		t.Fatalf("the key that is shown is none: %q", key)
	}
	if shown.header.Get("Cache-Control") != "no-store" {
		t.Error("the page with the key may be cached")
	}
	if curl := shown.text("#the-curl"); !strings.Contains(curl, key) || !strings.Contains(curl, "http://127.0.0.1:8000/eid/v1/") {
		t.Errorf("the command is not ready to run: %s", curl)
	}
	again := ines.post("/credentials", form).want(409).says("has issued a key already")
	if strings.Contains(again.body, key[len(key)-39:]) {
		t.Error("the key is shown a second time")
	}
	ines.get("/dashboard").says("Everything stands", "production server")

	// Somebody finds the key; its owner is told, replaces it with an overlap, and stops the old one for a while.
	keyPath := ines.get(appPath).follow("production server").want(200).says("never", "anywhere").path
	change := ines.get(keyPath).follow("Change").want(200)
	change.submit(change.path, fill{"sources": "10.0.0.1/8"}).want(422).says("did you mean 10.0.0.0/8")
	change.submit(change.path, fill{"name": "production server", "sources": "203.0.113.0/24\n198.51.100.7"}).want(200).says("203.0.113.0/24", "198.51.100.7/32")
	nobody := w.visitor()
	nobody.get("/leaked").want(200).submit("/leaked", fill{"found": "it says: " + key}).want(200).says("its owner has been told")
	ines.get(keyPath).says("Somebody found this key")
	rotate := ines.get(keyPath).follow("Replace").want(200)
	rotation := rotate.form(rotate.path, fill{"overlap": "1h", "name": "new production server"})
	fresh := ines.post(rotate.path, rotation).want(200).says("it is shown this once")
	if k, ok := credential.ParseKey([]byte(fresh.text("#the-key"))); !ok || string(k.Public) == string(parsed.Public) {
		t.Fatalf("the new key is %q", fresh.text("#the-key"))
	}
	ines.post(rotate.path, rotation).want(409).says("has issued a key already")
	ines.get(keyPath).says("retiring", "another key has taken its place")
	suspendKey := ines.get(keyPath).follow("Suspend").want(200)
	suspendKey.submit(suspendKey.path, fill{"reason": "too much"}).want(200).says("suspended", "too much")
	resumeKey := ines.get(keyPath).follow("Resume").want(200)
	resumeKey.submit(resumeKey.path, fill{"reason": "back"}).want(200).says("retiring")
	newKey := ines.get(appPath).follow("new production server")
	revokeNew := newKey.follow("Revoke")
	revokeNew.submit(revokeNew.path, fill{"reason": "only tried out"}).want(200)
	client := ines.get(appPath).follow("Register a client").want(200)
	client.submit("/clients", fill{"name": "batch", "method": "private_key_jwt", "jwks": "{}"}).want(422).says("It is no JWK Set")
	made := client.submit("/clients", fill{"name": "batch", "method": "client_secret", "constrain": "none"}).want(200).says("shown this once", "/oauth/live/token")
	if s := made.text("#the-secret"); !strings.HasPrefix(s, "ghc_live_") {
		t.Errorf("the secret is %q", s)
	}
	another := made.follow("I have kept it").want(200).says("client_secret").follow("Replace").want(200)
	anew := another.submit(another.path, fill{"overlap": "1h"}).want(200).says("Your new secret")
	if s := anew.text("#the-secret"); !strings.HasPrefix(s, "ghc_live_") || s == made.text("#the-secret") {
		t.Errorf("the new secret is %q", s)
	}
	revokeClient := anew.follow("I have kept it").want(200).says("Earlier secret").follow("Revoke")
	revokeClient.submit(revokeClient.path, fill{"reason": "only tried out"}).want(200)
	enrol := ines.get(appPath).follow("Enrol a certificate").want(200)
	enrol.submit("/certificates", fill{"name": "mtls", "csr": "x"}).want(422).says("Must be one certificate signing request")
	signed := enrol.submit("/certificates", fill{"name": "mtls", "csr": `-----BEGIN CERTIFICATE REQUEST-----
MIHHMG4CAQAwDDEKMAgGA1UEAwwBeDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IA
BE/+fWOZdJEjSXGOTxfZEFBKJFuTSwRe84WzAnY73WB/+BngQR+duNfVOgmrh+FK
V5iqFAYtANNAa7qPkrJ8tNSgADAKBggqhkjOPQQDAgNJADBGAiEAgsEFmKFdOmHR
5xNKm0vlI+OsI6HC0sUNfbjsuMaJ4L4CIQCJZBN1daBbnR4Bh5Sj2WtAG5lSTRlS
nNDskIvzOweu+Q==
-----END CERTIFICATE REQUEST-----
`}).want(200).says("BEGIN CERTIFICATE")
	revokeCertificate := signed.follow("See it").want(200).says("SHA-256").follow("Revoke")
	revokeCertificate.submit(revokeCertificate.path, fill{"reason": "only tried out"}).want(200)
	bind := ines.get(appPath).follow("Bind a workload").want(200)
	bind.submit("/workloads", fill{"name": "pipeline", "subject": "system:serviceaccount:payments"}).want(422).says("Must be a service account")
	bound := bind.submit("/workloads", fill{"name": "pipeline", "subject": "system:serviceaccount:payments:reader", "claims": "jti=x"}).want(422).says("Jti is looked at anyway")
	bound = bound.submit("/workloads", fill{"name": "pipeline", "subject": "system:serviceaccount:payments:reader", "claims": "pod=reader-1"}).want(200).says("https://cluster.example", "pod=reader-1")
	revokeWorkload := bound.follow("See it").want(200).says("system:serviceaccount:payments:reader", "https://cluster.example").follow("Revoke")
	revokeWorkload.submit(revokeWorkload.path, fill{"reason": "only tried out"}).want(200)
	pending := ines.get(appPath).follow("Issue a key").submit("/credentials", fill{"name": "for later", "pending": "yes"}).want(200)
	later := pending.follow("I have kept it").want(200).says("pending")
	activated := later.submit(later.path+"/activate", nil).want(200).says("active")
	revokeLater := activated.follow("Revoke")
	revokeLater.submit(revokeLater.path, fill{"reason": "only tried out"}).want(200)

	// What it reaches, and nothing after the revocation.
	ines.get(appPath+"/usage").want(200).says("How often", "by hour", "No calls")
	ines.get(appPath + "/usage?by=week").want(422)
	ines.get(appPath+"/reach").want(200).says("/eid/v1/verifications", "Verification", "10 requests per second")
	keyPage := ines.get(appPath).follow("production server").want(200).says("retiring", "every grant of the application in live")
	revoke := keyPage.follow("Revoke").want(200)
	revoke.submit(revoke.path, nil).want(422).says("Fill this in")
	revoked := revoke.submit(revoke.path, fill{"reason": "the server was sold"}).want(200).says("revoked", "the server was sold", "in force on 1 of 1 gateways", "from the revocation to the last gateway")
	revoked.says("Nothing: it is revoked.")
	w.until(func() bool { return strings.Contains(ines.get(appPath).text("main"), "no key to call with") })
	ines.get(appPath + "/reach").says("Nothing at the moment. With a key it would be:")
	if revoked.path != keyPage.path {
		t.Errorf("after the revocation the page is %s", revoked.path)
	}

	// Staff suspend, resume and end; the audit shows all of it.
	staffGrant := approver.get(grant.path).want(200)
	suspend := staffGrant.follow("Suspend")
	suspend.submit(suspend.path, fill{"reason": "odd traffic"}).want(200).says("suspended", "odd traffic", "in force on 1 of 1 gateways")
	resume := approver.get(grant.path).follow("Resume")
	resume.submit(resume.path, fill{"reason": "explained"}).want(200).says("active")
	end := ines.get(grant.path).follow("End")
	end.submit(end.path, fill{"reason": "the project is over"}).want(200).says("ended", "the project is over")
	w.until(func() bool { return strings.Contains(ines.get("/audit").text("main"), "ended the grant") })
	entry := ines.get("/audit").want(200).says("the project is over", "Ines Ito").follow("ended the grant").want(200).says("Before and after", "state", "ended")
	was := ""
	for _, n := range entry.all(".was") {
		was += words(n) + " "
	}
	if !strings.Contains(was, "active") {
		t.Errorf("the state before is not shown: %q", was)
	}
	verified := admin.get("/audit/verification").want(200).submit("/audit/verification", nil).want(200)
	verified.says("The log holds")
	admin.get("/environments").want(200).says("everything in force", "gw-live", "gw-test")
}
