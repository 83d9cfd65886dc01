package browsertest

import (
	"context"
	"testing"

	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
)

// TestPasskey registers a passkey with an authenticator that Chromium plays, signs in with it, and removes it.
func TestPasskey(t *testing.T) {
	p := run(t)
	b := open(t, p.Portal)
	var device webauthn.AuthenticatorID
	b.do(webauthn.Enable(), chromedp.ActionFunc(func(ctx context.Context) (err error) {
		device, err = webauthn.AddVirtualAuthenticator(&webauthn.VirtualAuthenticatorOptions{Protocol: webauthn.AuthenticatorProtocolCtap2, Transport: webauthn.AuthenticatorTransportInternal,
			HasResidentKey: true, HasUserVerification: true, IsUserVerified: true, AutomaticPresenceSimulation: true}).Do(ctx)
		return err
	}))
	signIn(b, p)
	b.visit("/account")
	b.press("Add a passkey")
	b.picture("account-01-passkey")
	b.write("f-name", "work laptop")
	b.press("Make the passkey")
	b.says("The passkey is added", "never used")
	b.picture("account-02-factors")
	b.leave(chromedp.Click(`.sidebar form[action="/signout"] button`, chromedp.ByQuery))
	b.visit("/signin")
	b.picture("account-03-signin")
	b.press("Sign in with a passkey")
	b.press("Use a passkey")
	b.says("Queue")
	b.visit("/account")
	b.says("used ")

	// An authenticator whose holder cannot show who they are opens nothing.
	b.leave(chromedp.Click(`.sidebar form[action="/signout"] button`, chromedp.ByQuery))
	b.visit("/signin/passkey")
	b.do(webauthn.SetUserVerified(device, false), chromedp.Click(`main button.primary`, chromedp.ByQuery))
	b.says("Your device gave no passkey")
	b.do(webauthn.SetUserVerified(device, true))
	b.press("Use a passkey")
	b.says("Queue")

	// One that is removed opens nothing, although the device still has it.
	b.visit("/account")
	b.press("Remove")
	b.says("The passkey is removed")
	b.leave(chromedp.Click(`.sidebar form[action="/signout"] button`, chromedp.ByQuery))
	b.visit("/signin/passkey")
	b.press("Use a passkey")
	b.says("This passkey opens nothing here")
}
