package browsertest

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

const password = "nine otters beside the quay"

// TestPartner walks from the first page to the first call, and to the call that is refused after the revocation.
func TestPartner(t *testing.T) {
	p := run(t)
	b := open(t, p.Portal)
	b.visit("/")
	b.says("Who may call what")
	b.picture("partner-01-home")
	b.press("Register your organization")
	b.picture("partner-02-register")
	b.do(chromedp.Evaluate(`document.querySelector("main form").noValidate = true`, nil))
	b.press("Register")
	b.says("Look at 4 places in this form")
	var focused string
	b.do(chromedp.Evaluate(`document.activeElement.className`, &focused))
	if focused != "summary" {
		t.Errorf("what is wrong with a form is not read first: the focus is on %q", focused)
	}
	b.write("f-organization", "Nordlicht Bank")
	b.write("f-country", "DE")
	b.write("f-name", "Ines Ito")
	b.write("f-email", "ines@nordlicht.example")
	b.write("f-password", password)
	b.press("Register")
	b.says("Check your mail")
	p.link("ines@nordlicht.example") // the letter is there
	b.press("Open the letters")
	b.press("Open the link")
	b.press("Confirm my address")
	b.says("Your e-mail address is confirmed")
	keyboardSignIn(t, b)
	b.says("Create your first application")

	b.press("Create an application")
	b.write("f-name", "Onboarding web")
	b.write("f-purpose", "Identify new customers who open an account on our website.")
	b.press("Create the application")
	b.says("The application is created", "Onboarding web")
	verify(t, p)

	b.visit("/catalogue")
	b.picture("partner-03-catalogue")
	b.press("Starter")
	b.picture("partner-04-product")
	b.press("Read the reference")
	b.says("Check a document")
	b.picture("partner-05-reference")
	b.visit("/catalogue/starter")
	b.press("Ask for access")
	b.choose("environment", "test")
	b.choose("scopes", "verifications:read")
	b.choose("scopes", "documents:check")
	b.write("f-purpose", "Find out how our onboarding could use the service.")
	b.picture("partner-06-request")
	b.press("Send the request")
	b.says("Approved at once: the grant stands")
	b.picture("partner-07-decided")
	b.press("See the grant")
	b.picture("partner-08-grant")
	b.press("Issue a key")
	b.write("f-name", "laptop of Ines")
	b.press("Issue the key")
	b.says("it is shown this once")
	b.picture("partner-09-key")
	key := b.text("#the-key")
	if command := b.text("#the-curl"); !strings.Contains(command, key) || !strings.Contains(command, p.Gateways["test"]) {
		t.Errorf("the command beside the key is %q", command)
	}
	if status, body := p.call("test", "/eid/v1/whoami", key); status != 200 || !strings.Contains(body, "partner") {
		t.Fatalf("the first call: %d %s", status, body)
	}
	b.visit("/dashboard")
	b.says("Everything stands")
	b.picture("partner-10-overview")
	b.press("See what they reach")
	b.says("/eid/v1/whoami")
	b.picture("partner-11-reach")
	b.visit("/inventory")
	b.says("laptop of Ines")
	b.picture("partner-14-inventory")
	b.press("laptop of Ines")
	b.says("What it can call now", "gatehouse credential change")
	b.picture("partner-15-inventory-entry")
	b.visit("/applications")
	b.press("Onboarding web")
	b.press("Register a client")
	b.says("A certificate of an authority of the platform")
	b.picture("partner-16-new-client")

	b.visit("/initial-tokens/new")
	b.picture("partner-17-initial-token")
	b.write("f-name", "deploy pipeline")
	b.do(chromedp.Click(`input[name="environment"]`, chromedp.ByQuery))
	b.press("Make the token")
	b.says("Copy it now", "Registration endpoint")
	b.picture("partner-18-initial-token-made")
	b.press("I have kept it")
	b.says("deploy pipeline", "0 of 1")
	b.picture("partner-19-initial-tokens")
	b.visit("/dashboard")
	b.press("laptop of Ines")
	b.press("Revoke")
	b.picture("partner-12-revoke")
	b.write("f-reason", "the laptop was left on a train")
	b.press("Revoke the key for good")
	b.says("The key is revoked", "in force on 1 of 1 gateways")
	b.picture("partner-13-revoked")
	if status, body := p.call("test", "/eid/v1/whoami", key); status != 401 || !strings.Contains(body, "key-revoked") {
		t.Errorf("the call after the revocation: %d %s", status, body)
	}
	b.visit("/problems/key-revoked")
	b.says("The key has been revoked")
}

// keyboardSignIn signs in without touching a mouse, from the top of the page.
func keyboardSignIn(t *testing.T, b *browser) {
	t.Helper()
	b.visit("/signin")
	if at := b.tab(); at != "skip" {
		t.Errorf("the first stop of the keyboard is %q, want the link that skips to the content", at)
	}
	b.do(chromedp.KeyEvent(kb.Enter))
	if at := b.tab(); at != "f-email" {
		t.Fatalf("after skipping, the next stop is %q, want the e-mail address", at)
	}
	b.do(chromedp.KeyEvent("ines@nordlicht.example"))
	if at := b.tab(); at != "f-password" {
		t.Fatalf("the next stop is %q, want the password", at)
	}
	b.picture("keyboard-signin")
	b.do(chromedp.KeyEvent(password))
	b.leave(chromedp.KeyEvent(kb.Enter))
	if at := b.path(); at != "/dashboard" {
		t.Fatalf("signing in by keyboard led to %s: %s", at, b.text("main"))
	}
}

// verify is what staff do with a fresh organization, in a browser of their own.
func verify(t *testing.T, p *program) {
	t.Helper()
	staff := open(t, p.Portal)
	signIn(staff, p)
	staff.press("Verify")
	staff.write("f-reason", "HRB 4711, checked against the register")
	staff.press("Verify the organization")
	staff.says("The organization is verified")
}

// signIn uses the link that the program prints at its start.
func signIn(b *browser, p *program) {
	b.t.Helper()
	u, err := url.Parse(p.SignIn)
	if err != nil || u.Path == "" {
		b.t.Fatalf("the program printed no sign-in link: %q", p.SignIn)
	}
	b.visit(u.RequestURI())
	b.press("Sign in")
	b.says("Queue")
}

// TestApprover walks from the queue to a grant with less than was asked for, and to the proof of it in the audit.
func TestApprover(t *testing.T) {
	p := run(t)
	b := open(t, p.Portal)
	signIn(b, p)
	p.applicant(func(organization string) {
		b.visit("/queue")
		b.says(organization)
		b.press("Verify")
		b.picture("approver-01-verify")
		b.press("Verify the organization")
		b.says("The organization is verified")
	})
	b.visit("/queue")
	b.says("Verification for Onboarding web")
	b.picture("approver-02-queue")
	b.press("Decide")
	b.says("What is asked", "Who asks", "What it would open", "HRB 4711")
	b.picture("approver-03-decision")
	b.press("Refuse")
	b.says("Say why")
	b.choose("scopes", "evidence:write") // takes it away
	b.write("f-reason", "Evidence is uploaded by the person's own device.")
	b.press("Approve")
	b.says("The grant stands", "Evidence is uploaded by the person's own device.")
	b.picture("approver-04-decided")
	b.press("See the grant")
	if strings.Contains(b.text("main"), "evidence:write") {
		t.Error("the grant holds the scope that was taken away")
	}
	b.press("Suspend")
	b.write("f-reason", "odd traffic")
	b.press("Suspend the grant")
	b.says("The grant is suspended", "in force on 1 of 1 gateways")
	b.picture("approver-05-suspended")
	b.visit("/audit")
	b.says("suspended the grant", "odd traffic")
	b.picture("approver-06-audit")
	b.press("suspended the grant")
	b.says("Before and after")
	b.picture("approver-07-entry")
	b.visit("/audit/verification")
	b.press("Verify the log")
	b.says("The log holds")
	b.picture("approver-08-verified")
	b.visit("/environments")
	b.says("everything in force")
	b.picture("approver-09-environments")
	b.visit("/inventory")
	b.picture("approver-10-inventory")
	b.visit("/reviews/new")
	b.write("f-name", "Autumn 2027")
	b.do(chromedp.SetValue("#f-ends", time.Now().UTC().AddDate(0, 0, 14).Format(time.DateOnly), chromedp.ByQuery))
	b.press("Start the review")
	b.says("Autumn 2027", "Onboarding web")
	b.picture("approver-11-review")
	b.press("Verification")
	b.says("Is it still needed?", "Still needed", "never")
	b.picture("approver-12-question")

	// The theme is chosen without a reload, and stays.
	b.do(chromedp.Click(`.themes button[value="dark"]`, chromedp.ByQuery))
	var theme string
	b.do(chromedp.Evaluate(`document.documentElement.dataset.theme`, &theme))
	b.visit("/people")
	var after string
	b.do(chromedp.Evaluate(`document.documentElement.dataset.theme`, &after))
	if theme != "dark" || after != "dark" {
		t.Errorf("the theme is %q, and on the next page %q", theme, after)
	}
}
