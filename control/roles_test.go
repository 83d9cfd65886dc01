package control_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/audit"
	"gatehouse/control"
	"gatehouse/fault"
	"gatehouse/fleet"
	"gatehouse/grant"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/manifest"
	"gatehouse/review"
	"gatehouse/secret"
)

var update = flag.Bool("update", false, "write testdata/roles.txt")

// ids names one object of each kind, none of which need exist.
type ids struct{ org, person, app, request, grant, credential, machine, session, invitation, webhook, review, item id.ID }

var nowhere = ids{"org_00000000000000000000000000", "per_00000000000000000000000000", "app_00000000000000000000000000",
	"req_00000000000000000000000000", "gr_00000000000000000000000000", "crd_00000000000000000000000000",
	"mt_00000000000000000000000000", "ses_00000000000000000000000000", "inv_00000000000000000000000000", "wh_00000000000000000000000000",
	"rev_00000000000000000000000000", "rvi_00000000000000000000000000"}

// calls has a call of every method that takes an actor.
func calls(w *world, o ids) map[string]func(identity.Actor) error {
	ctx, c := w.ctx, w.Control
	page := control.Page{}
	return map[string]func(identity.Actor) error{
		"Register":             func(a identity.Actor) error { return c.Register(ctx, a, control.Registration{}) },
		"ConfirmEmail":         func(a identity.Actor) error { _, err := c.ConfirmEmail(ctx, a, secret.New("x")); return err },
		"ResendConfirmation":   func(a identity.Actor) error { return c.ResendConfirmation(ctx, a, "") },
		"SignIn":               func(a identity.Actor) error { _, err := c.SignIn(ctx, a, "", secret.New("x"), ""); return err },
		"SignInByLink":         func(a identity.Actor) error { _, err := c.SignInByLink(ctx, a, secret.New("x"), ""); return err },
		"RequestPasswordReset": func(a identity.Actor) error { return c.RequestPasswordReset(ctx, a, "") },
		"ResetPassword":        func(a identity.Actor) error { return c.ResetPassword(ctx, a, secret.New("x"), secret.New("x")) },
		"StartDevice":          func(a identity.Actor) error { _, err := c.StartDevice(ctx, a, ""); return err },
		"PollDevice":           func(a identity.Actor) error { _, _, err := c.PollDevice(ctx, a, secret.New("x")); return err },

		"ProveSecondFactor": func(a identity.Actor) error {
			_, err := c.ProveSecondFactor(ctx, a, secret.New("x"), "", "")
			return err
		},
		"BeginPasskeySignIn": func(a identity.Actor) error { _, err := c.BeginPasskeySignIn(ctx, a); return err },
		"SignInByPasskey": func(a identity.Actor) error {
			_, err := c.SignInByPasskey(ctx, a, secret.New("x"), nil, "")
			return err
		},
		"BeginPasskey":        func(a identity.Actor) error { _, err := c.BeginPasskey(ctx, a); return err },
		"FinishPasskey":       func(a identity.Actor) error { _, err := c.FinishPasskey(ctx, a, secret.New("x"), "", nil); return err },
		"Passkeys":            func(a identity.Actor) error { _, err := c.Passkeys(ctx, a); return err },
		"RenamePasskey":       func(a identity.Actor) error { _, err := c.RenamePasskey(ctx, a, "pk_x", "x"); return err },
		"RemovePasskey":       func(a identity.Actor) error { return c.RemovePasskey(ctx, a, "pk_x") },
		"SignOns":             func(a identity.Actor) error { _, err := c.SignOns(ctx, a); return err },
		"StartSSO":            func(a identity.Actor) error { _, _, err := c.StartSSO(ctx, a, "", ""); return err },
		"FinishSSO":           func(a identity.Actor) error { _, _, err := c.FinishSSO(ctx, a, "", control.Returned{}, ""); return err },
		"Subjects":            func(a identity.Actor) error { _, err := c.Subjects(ctx, a); return err },
		"ConfirmSession":      func(a identity.Actor) error { return c.ConfirmSession(ctx, a, "", secret.New("x")) },
		"SecondFactors":       func(a identity.Actor) error { _, err := c.SecondFactors(ctx, a, o.person); return err },
		"EnrolAuthenticator":  func(a identity.Actor) error { _, err := c.EnrolAuthenticator(ctx, a); return err },
		"FinishAuthenticator": func(a identity.Actor) error { _, err := c.FinishAuthenticator(ctx, a, "1"); return err },
		"RemoveAuthenticator": func(a identity.Actor) error { return c.RemoveAuthenticator(ctx, a, "1") },
		"NewRecoveryCodes":    func(a identity.Actor) error { _, err := c.NewRecoveryCodes(ctx, a, "1"); return err },
		"ResetSecondFactors":  func(a identity.Actor) error { return c.ResetSecondFactors(ctx, a, o.person, "lost") },

		"SignOut":        func(a identity.Actor) error { a.Session = ""; return c.SignOut(ctx, a) },
		"ChangePassword": func(a identity.Actor) error { return c.ChangePassword(ctx, a, secret.New("x"), secret.New("x")) },
		"Device":         func(a identity.Actor) error { _, err := c.Device(ctx, a, ""); return err },
		"DecideDevice":   func(a identity.Actor) error { return c.DecideDevice(ctx, a, "", true) },
		"Sessions":       func(a identity.Actor) error { _, err := c.Sessions(ctx, a); return err },
		"EndSession":     func(a identity.Actor) error { return c.EndSession(ctx, a, o.session) },
		"CreateMachineToken": func(a identity.Actor) error {
			_, _, err := c.CreateMachineToken(ctx, a, "", nil, time.Time{})
			return err
		},
		"MachineTokens":      func(a identity.Actor) error { _, err := c.MachineTokens(ctx, a, page); return err },
		"RevokeMachineToken": func(a identity.Actor) error { _, err := c.RevokeMachineToken(ctx, a, o.machine); return err },

		"Person":       func(a identity.Actor) error { _, err := c.Person(ctx, a, o.person); return err },
		"Members":      func(a identity.Actor) error { _, err := c.Members(ctx, a, o.org, page); return err },
		"StaffList":    func(a identity.Actor) error { _, err := c.StaffList(ctx, a, page); return err },
		"AddStaff":     func(a identity.Actor) error { _, err := c.AddStaff(ctx, a, "", "", nil); return err },
		"ChangeStaff":  func(a identity.Actor) error { _, err := c.ChangeStaff(ctx, a, o.person, 0, nil, ""); return err },
		"ExportPerson": func(a identity.Actor) error { _, err := c.ExportPerson(ctx, a, o.person); return err },
		"ErasePerson": func(a identity.Actor) error {
			_, err := c.ErasePerson(ctx, a, control.Erasure{Person: o.person})
			return err
		},
		"RecoverAdmin": func(a identity.Actor) error { _, err := c.RecoverAdmin(ctx, a, "", ""); return err },
		"ChangeMember": func(a identity.Actor) error {
			_, err := c.ChangeMember(ctx, a, o.person, 0, []identity.Role{identity.Viewer}, identity.Active, "")
			return err
		},
		"Leave": func(a identity.Actor) error { return c.Leave(ctx, a, "") },

		"Invite": func(a identity.Actor) error {
			_, err := c.Invite(ctx, a, control.NewInvitation{Organization: o.org, Email: "new@example.org", Roles: []identity.Role{identity.Viewer}})
			return err
		},
		"EnrolGateway": func(a identity.Actor) error {
			_, err := c.EnrolGateway(ctx, a, "live", "", "gw", time.Hour)
			return err
		},
		"EndGateway": func(a identity.Actor) error {
			_, err := c.EndGateway(ctx, a, "gw_00000000000000000000000000", fleet.Revoked, "lost", 0)
			return err
		},
		"Fleet":         func(a identity.Actor) error { _, err := c.Fleet(ctx, a); return err },
		"FleetRefusals": func(a identity.Actor) error { _, err := c.FleetRefusals(ctx, a); return err },
		"FleetChanges":  func(a identity.Actor) error { _, err := c.FleetChanges(ctx, a); return err },
		"GatewayImage":  func(a identity.Actor) error { _, err := c.GatewayImage(ctx, a, "moon"); return err },
		"AddRegion":     func(a identity.Actor) error { _, err := c.AddRegion(ctx, a, "moon", "eu", "why"); return err },
		"RemoveRegion":  func(a identity.Actor) error { _, err := c.RemoveRegion(ctx, a, "moon", "eu", "why"); return err },
		"PinOrganization": func(a identity.Actor) error {
			_, err := c.PinOrganization(ctx, a, o.org, 0, "moon", "why")
			return err
		},
		"InForceAt":    func(a identity.Actor) error { _, err := c.InForceAt(ctx, a, "live", 1); return err },
		"RaiseEpoch":   func(a identity.Actor) error { _, err := c.RaiseEpoch(ctx, a, "live", ""); return err },
		"RotateAnchor": func(a identity.Actor) error { _, err := c.RotateAnchor(ctx, a); return err },
		"UploadDrift":  func(a identity.Actor) error { _, err := c.UploadDrift(ctx, a, "moon", nil); return err },
		"Drift":        func(a identity.Actor) error { _, err := c.Drift(ctx, a); return err },
		"DriftRuns":    func(a identity.Actor) error { _, err := c.DriftRuns(ctx, a); return err },
		"ReviewDrift":  func(a identity.Actor) error { _, err := c.ReviewDrift(ctx, a); return err },
		"WaiveDrift":   func(a identity.Actor) error { _, err := c.WaiveDrift(ctx, a, control.NewWaiver{}); return err },
		"DriftWaivers": func(a identity.Actor) error { _, err := c.DriftWaivers(ctx, a, page); return err },
		"EndDriftWaiver": func(a identity.Actor) error {
			_, err := c.EndDriftWaiver(ctx, a, "dwv_00000000000000000000000000")
			return err
		},
		"Invitations":        func(a identity.Actor) error { _, err := c.Invitations(ctx, a, o.org, page); return err },
		"WithdrawInvitation": func(a identity.Actor) error { _, err := c.WithdrawInvitation(ctx, a, o.invitation); return err },
		"AddWebhook": func(a identity.Actor) error {
			_, _, err := c.AddWebhook(ctx, a, control.NewWebhook{Organization: o.org, URL: "https://example.org/hook"})
			return err
		},
		"Webhooks":            func(a identity.Actor) error { _, err := c.Webhooks(ctx, a, o.org, page); return err },
		"Webhook":             func(a identity.Actor) error { _, err := c.Webhook(ctx, a, o.webhook); return err },
		"ChangeWebhook":       func(a identity.Actor) error { _, err := c.ChangeWebhook(ctx, a, o.webhook, 0, "paused"); return err },
		"RotateWebhookSecret": func(a identity.Actor) error { _, _, err := c.RotateWebhookSecret(ctx, a, o.webhook); return err },
		"DeadDeliveries":      func(a identity.Actor) error { _, err := c.DeadDeliveries(ctx, a, o.webhook, page); return err },
		"ResendDelivery":      func(a identity.Actor) error { return c.ResendDelivery(ctx, a, o.webhook, 1) },
		"SeeInvitation":       func(a identity.Actor) error { _, err := c.SeeInvitation(ctx, a, secret.New("x")); return err },
		"AcceptInvitation": func(a identity.Actor) error {
			_, err := c.AcceptInvitation(ctx, a, secret.New("x"), "", secret.New("x"))
			return err
		},

		"Organizations":      func(a identity.Actor) error { _, err := c.Organizations(ctx, a, "", "", page); return err },
		"Organization":       func(a identity.Actor) error { _, err := c.Organization(ctx, a, o.org); return err },
		"VerifyOrganization": func(a identity.Actor) error { _, err := c.VerifyOrganization(ctx, a, o.org, 0, ""); return err },
		"StartReview": func(a identity.Actor) error {
			_, err := c.StartReview(ctx, a, control.NewReview{Name: "r", Selection: review.Selection{API: "ident"}, Ends: w.clock.Now().Add(time.Hour), DryRun: true})
			return err
		},
		"CancelReview": func(a identity.Actor) error { _, err := c.CancelReview(ctx, a, o.review, 0, "r"); return err },
		"Review":       func(a identity.Actor) error { _, err := c.Review(ctx, a, o.review); return err },
		"Reviews":      func(a identity.Actor) error { _, err := c.Reviews(ctx, a, "", page); return err },
		"ReviewItems": func(a identity.Actor) error {
			_, err := c.ReviewItems(ctx, a, control.ItemFilter{Organization: o.org}, page)
			return err
		},
		"ReviewItem":    func(a identity.Actor) error { _, err := c.ReviewItem(ctx, a, o.item); return err },
		"ReviewChoices": func(a identity.Actor) error { _, err := c.ReviewChoices(ctx, a, o.item); return err },
		"AnswerReview": func(a identity.Actor) error {
			_, err := c.AnswerReview(ctx, a, o.item, 0, control.ReviewAnswer{Answer: review.Confirm})
			return err
		},
		"SuspendOrganization": func(a identity.Actor) error { _, err := c.SuspendOrganization(ctx, a, o.org, 0, "r"); return err },
		"ResumeOrganization":  func(a identity.Actor) error { _, err := c.ResumeOrganization(ctx, a, o.org, 0, "r"); return err },

		"OffboardOrganization": func(a identity.Actor) error { _, err := c.OffboardOrganization(ctx, a, o.org, 0, "r"); return err },
		"Offboarding":          func(a identity.Actor) error { _, err := c.Offboarding(ctx, a, o.org); return err },
		"CreateApplication": func(a identity.Actor) error {
			_, err := c.CreateApplication(ctx, a, control.NewApplication{Organization: o.org, Name: "n", Purpose: "p", Owner: nowhere.person})
			return err
		},
		"UpdateApplication": func(a identity.Actor) error {
			_, err := c.UpdateApplication(ctx, a, o.app, 0, control.NewApplication{Name: "n"})
			return err
		},
		"CloseApplication": func(a identity.Actor) error { _, err := c.CloseApplication(ctx, a, o.app, 0, "r"); return err },
		"Application":      func(a identity.Actor) error { _, err := c.Application(ctx, a, o.app); return err },
		"Applications":     func(a identity.Actor) error { _, err := c.Applications(ctx, a, o.org, page); return err },

		"Catalogue": func(a identity.Actor) error { _, err := c.Catalogue(ctx, a); return err },
		"Product":   func(a identity.Actor) error { _, err := c.Product(ctx, a, ""); return err },
		"Document":  func(a identity.Actor) error { _, err := c.Document(ctx, a, ""); return err },

		"RequestAccess": func(a identity.Actor) error {
			_, err := c.RequestAccess(ctx, a, control.AccessRequest{Application: o.app, Purpose: "p"})
			return err
		},
		"WithdrawRequest": func(a identity.Actor) error { _, err := c.WithdrawRequest(ctx, a, o.request, 0); return err },
		"Request":         func(a identity.Actor) error { _, err := c.Request(ctx, a, o.request); return err },
		"Requests": func(a identity.Actor) error {
			_, err := c.Requests(ctx, a, grant.Filter{Organization: o.org, Application: o.app}, page)
			return err
		},
		"Facts":          func(a identity.Actor) error { _, err := c.Facts(ctx, a, o.request); return err },
		"Decide":         func(a identity.Actor) error { _, err := c.Decide(ctx, a, o.request, 0, control.Answer{}); return err },
		"AskQuestion":    func(a identity.Actor) error { _, err := c.AskQuestion(ctx, a, o.request, 0, "t"); return err },
		"AnswerQuestion": func(a identity.Actor) error { _, err := c.AnswerQuestion(ctx, a, o.request, 0, "t"); return err },
		"SetAbsence":     func(a identity.Actor) error { _, err := c.SetAbsence(ctx, a, "", time.Time{}, time.Time{}); return err },
		"CallOffAbsence": func(a identity.Actor) error { _, err := c.CallOffAbsence(ctx, a, ""); return err },
		"Absences":       func(a identity.Actor) error { _, err := c.Absences(ctx, a, page); return err },
		"NarrowGrant": func(a identity.Actor) error {
			_, err := c.NarrowGrant(ctx, a, o.grant, 0, []string{}, time.Time{}, "r")
			return err
		},
		"Grant": func(a identity.Actor) error { _, err := c.Grant(ctx, a, o.grant); return err },
		"Grants": func(a identity.Actor) error {
			_, err := c.Grants(ctx, a, grant.Filter{Organization: o.org, Application: o.app}, page)
			return err
		},
		"SuspendGrant": func(a identity.Actor) error { _, err := c.SuspendGrant(ctx, a, o.grant, 0, "r"); return err },
		"ResumeGrant":  func(a identity.Actor) error { _, err := c.ResumeGrant(ctx, a, o.grant, 0, "r"); return err },
		"EndGrant":     func(a identity.Actor) error { _, err := c.EndGrant(ctx, a, o.grant, 0, "r"); return err },

		"IssueKey": func(a identity.Actor) error {
			_, _, err := c.IssueKey(ctx, a, control.NewKey{Application: o.app, Name: "n"})
			return err
		},
		"RevokeCredential": func(a identity.Actor) error { _, err := c.RevokeCredential(ctx, a, o.credential, 0, "r"); return err },
		"MakeInitialToken": func(a identity.Actor) error {
			_, _, err := c.MakeInitialToken(ctx, a, control.NewInitialToken{Application: o.app, Environment: "live", Name: "n"})
			return err
		},
		"InitialTokens": func(a identity.Actor) error { _, err := c.InitialTokens(ctx, a, o.org, page); return err },
		"EndInitialToken": func(a identity.Actor) error {
			_, err := c.EndInitialToken(ctx, a, "iat_00000000000000000000000000")
			return err
		},
		"RegisterByToken": func(a identity.Actor) error {
			_, _, _, err := c.RegisterByToken(ctx, a, "live", secret.New("x"), control.NewClient{})
			return err
		},
		"Registration": func(a identity.Actor) error {
			_, err := c.Registration(ctx, a, "live", "crd_x", secret.New("x"))
			return err
		},
		"UpdateRegistration": func(a identity.Actor) error {
			_, err := c.UpdateRegistration(ctx, a, "live", "crd_x", secret.New("x"), control.NewClient{NewKey: control.NewKey{Name: "n"}, Method: "client_secret"})
			return err
		},
		"EndRegistration": func(a identity.Actor) error { return c.EndRegistration(ctx, a, "live", "crd_x", secret.New("x")) },
		"RegisterClient": func(a identity.Actor) error {
			_, _, err := c.RegisterClient(ctx, a, control.NewClient{NewKey: control.NewKey{Application: o.app, Name: "n"}, Method: "client_secret"})
			return err
		},
		"EnrolCertificate": func(a identity.Actor) error {
			_, _, err := c.EnrolCertificate(ctx, a, control.NewCertificate{NewKey: control.NewKey{Application: o.app, Name: "n"}, Request: aRequest})
			return err
		},
		"BindWorkload": func(a identity.Actor) error {
			_, err := c.BindWorkload(ctx, a, control.NewWorkload{NewKey: control.NewKey{Application: o.app, Name: "n"}, Subject: "s"})
			return err
		},
		"TrustedIssuers": func(a identity.Actor) error { _, err := c.TrustedIssuers(ctx, a, "nowhere"); return err },
		"Authority":      func(a identity.Actor) error { _, err := c.Authority(ctx, a, "nowhere"); return err },
		"IssueToken":     func(a identity.Actor) error { _, err := c.IssueToken(ctx, a, control.TokenRequest{}); return err },
		"RevokeToken": func(a identity.Actor) error {
			return c.RevokeToken(ctx, a, "live", control.Proof{}, "t")
		},
		"IntrospectToken": func(a identity.Actor) error {
			_, _, err := c.IntrospectToken(ctx, a, "live", control.Proof{}, "t")
			return err
		},
		"Issuer":           func(a identity.Actor) error { _, err := c.Issuer(ctx, a, "nowhere"); return err },
		"ResourceScopes":   func(a identity.Actor) error { _, _, err := c.ResourceScopes(ctx, a, "nowhere", "/"); return err },
		"RotateSigningKey": func(a identity.Actor) error { _, err := c.RotateSigningKey(ctx, a, "nowhere", "r"); return err },
		"RotateKey": func(a identity.Actor) error {
			_, _, _, err := c.RotateKey(ctx, a, o.credential, control.Rotation{})
			return err
		},
		"ChangeCredential": func(a identity.Actor) error {
			_, err := c.ChangeCredential(ctx, a, o.credential, 0, control.CredentialChange{})
			return err
		},
		"ActivateCredential": func(a identity.Actor) error { _, err := c.ActivateCredential(ctx, a, o.credential, 0); return err },
		"SuspendCredential":  func(a identity.Actor) error { _, err := c.SuspendCredential(ctx, a, o.credential, 0, "r"); return err },
		"ResumeCredential":   func(a identity.Actor) error { _, err := c.ResumeCredential(ctx, a, o.credential, 0, "r"); return err },
		"ReportLeak":         func(a identity.Actor) error { return c.ReportLeak(ctx, a, control.Leak{Found: "x"}) },
		"Uses":               func(a identity.Actor) error { _, err := c.Uses(ctx, a, o.credential); return err },
		"GrantQuotas": func(a identity.Actor) error {
			_, err := c.GrantQuotas(ctx, a, "gr_00000000000000000000000000")
			return err
		},
		"Usage": func(a identity.Actor) error {
			_, err := c.Usage(ctx, a, o.app, "", "", time.Time{}, time.Time{})
			return err
		},
		"Named":    func(a identity.Actor) error { _, err := c.Named(ctx, a, []id.ID{o.app}); return err },
		"LastUses": func(a identity.Actor) error { _, err := c.LastUses(ctx, a, []id.ID{o.credential}); return err },
		"Dormant": func(a identity.Actor) error {
			_, err := c.Dormant(ctx, a, o.org, o.app, time.Hour, page)
			return err
		},
		"Credential":  func(a identity.Actor) error { _, err := c.Credential(ctx, a, o.credential); return err },
		"Credentials": func(a identity.Actor) error { _, err := c.Credentials(ctx, a, o.org, o.app, page); return err },
		"Reach":       func(a identity.Actor) error { _, err := c.Reach(ctx, a, o.app, ""); return err },
		"Inventory": func(a identity.Actor) error {
			_, err := c.Inventory(ctx, a, control.InventoryFilter{Organization: o.org, Application: o.app}, page)
			return err
		},
		"InventoryEntry": func(a identity.Actor) error { _, err := c.InventoryEntry(ctx, a, o.credential); return err },

		"Check":              func(a identity.Actor) error { _, err := c.Check(ctx, a, manifest.Bundle{}); return err },
		"Publish":            func(a identity.Actor) error { _, err := c.Publish(ctx, a, "", manifest.Bundle{}, ""); return err },
		"EnsureEnvironments": func(a identity.Actor) error { return c.EnsureEnvironments(ctx, a, nil) },
		"Revisions":          func(a identity.Actor) error { _, err := c.Revisions(ctx, a, "", page); return err },
		"Revision":           func(a identity.Actor) error { _, _, err := c.Revision(ctx, a, "", 0); return err },
		"Environments":       func(a identity.Actor) error { _, err := c.Environments(ctx, a); return err },
		"InForce":            func(a identity.Actor) error { _, err := c.InForce(ctx, a, o.credential); return err },
		"Audit": func(a identity.Actor) error {
			_, err := c.Audit(ctx, a, audit.Filter{Organization: o.org, Application: o.app}, page)
			return err
		},
		"VerifyAudit":    func(a identity.Actor) error { _, err := c.VerifyAudit(ctx, a, ""); return err },
		"Evidence":       func(a identity.Actor) error { _, err := c.Evidence(ctx, a, o.grant); return err },
		"Checkpoint":     func(a identity.Actor) error { _, _, err := c.Checkpoint(ctx, a); return err },
		"GivenUpLetters": func(a identity.Actor) error { _, err := c.GivenUpLetters(ctx, a, page); return err },
		"Backup":         func(a identity.Actor) error { _, err := c.Backup(ctx, a, "../x"); return err },
	}
}

// everybody is one actor of each kind, by a name for people.
func everybody() (names []string, actors map[string]identity.Actor) {
	actors = map[string]identity.Actor{}
	add := func(name string, a identity.Actor) { names = append(names, name); actors[name] = a }
	add("anonymous", identity.Actor{})
	for _, side := range []struct {
		class identity.Class
		org   id.ID
		roles []identity.Role
	}{
		{identity.Member, "org_11111111111111111111111111", []identity.Role{identity.Owner, identity.Developer, identity.Viewer}},
		{identity.Staff, "", []identity.Role{identity.Admin, identity.Approver, identity.APIOwner, identity.Operator, identity.Auditor}},
	} {
		for _, r := range side.roles {
			a := identity.Actor{Class: side.class, ID: "per_11111111111111111111111111", Person: "per_11111111111111111111111111", Organization: side.org, Roles: []identity.Role{r}}
			add(string(r), a)
			add(string(r)+"'s machine", machine(a))
		}
	}
	add("host", identity.Actor{Class: identity.Host})
	add("system", identity.Actor{Class: identity.System})
	return names, actors
}

// TestWhoMayDoWhat calls every method as everybody and compares who was let in with testdata/roles.txt, which is read in
// review: the table in roles.go is what the code believes, the file is what it does.
func TestWhoMayDoWhat(t *testing.T) {
	w := newWorld(t)
	names, actors := everybody()
	table := calls(w, nowhere)
	var got strings.Builder
	for _, method := range slices.Sorted(mapsKeys(table)) {
		var in []string
		for _, n := range names {
			err := table[method](actors[n])
			switch {
			case errors.Is(err, fault.Unauthenticated) && fault.As(err).Code == "" && n == "anonymous":
			case errors.Is(err, fault.Forbidden) && n != "anonymous":
			case errors.Is(err, fault.Internal) || err != nil && fault.KindOf(err) == fault.Internal:
				t.Errorf("%s as %s: %v", method, n, err)
			default:
				in = append(in, n)
			}
		}
		who := strings.Join(in, ", ")
		if len(in) == len(names) {
			who = "anybody"
		}
		fmt.Fprintf(&got, "%-21s %s\n", method, who)
	}
	const file = "testdata/roles.txt"
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got.String()); d != "" {
		t.Errorf("who may do what has changed (go test -update writes it anew, for review):\n%s", d)
	}
}

// withoutActor is the methods that need none, with why.
var withoutActor = map[string]string{
	"BySession": "finds out who the actor is", "ByBearer": "finds out who the actor is", "HostToken": "for the process's own start",
	"Run": "is the process", "Failing": "tells the process how it is", "FeedLogs": "is for metrics: lengths alone", "ReplicaStanding": "is for metrics: ages and lengths alone", "DPoPNonce": "is for anybody", "Source": "is the gateways' end, which their identities guard",
	"OffersPasskeys": "is for anybody", "Join": "is a gateway's, which its token guards", "Renew": "is a gateway's, which its certificate guards", "Known": "is the gateways' end", "Word": "is the gateways' end",
	"Plane": "is the gateways' end", "Image": "is the gateways' end", "Beginning": "is the gateways' end, in this process", "Presents": "is the listener's certificate", "Trust": "is public: the anchors", "FleetChanged": "wakes the listener",
}

func TestEveryMethodIsInTheTable(t *testing.T) {
	listed := control.Rights()
	table := calls(newWorld(t), nowhere)
	typ := reflect.TypeFor[*control.Control]()
	seen := map[string]bool{}
	for i := range typ.NumMethod() {
		m := typ.Method(i)
		if withoutActor[m.Name] != "" || m.Name == "CheapPasswords" || m.Name == "Evenly" || m.Name == "Patience" || m.Name == "Deliver" || m.Name == "Sequence" || m.Name == "ForgetEntry" || m.Name == "Tend" || m.Name == "ReviewDue" { // those are of the tests
			continue
		}
		seen[m.Name] = true
		if m.Type.NumIn() < 3 || m.Type.In(2) != reflect.TypeFor[identity.Actor]() {
			t.Errorf("%s takes no actor: who may call it?", m.Name)
		}
		if !slices.Contains(listed, m.Name) {
			t.Errorf("%s is not in the table of rights", m.Name)
		}
		if table[m.Name] == nil {
			t.Errorf("%s is never called by TestWhoMayDoWhat", m.Name)
		}
	}
	for _, l := range listed {
		if !seen[l] && l[0] >= 'A' && l[0] <= 'Z' { // those in lower case are of Run
			t.Errorf("the table lists %s, which is no method", l)
		}
	}
}

// A role of the wrong side, or no role, opens nothing.
func TestRolesOfTheWrongSideCountForNothing(t *testing.T) {
	w := newWorld(t)
	for name, a := range map[string]identity.Actor{
		"a member with an admin's role":   {Class: identity.Member, ID: "per_1", Person: "per_1", Organization: "org_1", Roles: []identity.Role{identity.Admin}},
		"a member without organization":   {Class: identity.Member, ID: "per_1", Person: "per_1", Roles: []identity.Role{identity.Admin, identity.Owner}},
		"staff with an owner's role":      {Class: identity.Staff, ID: "per_1", Person: "per_1", Roles: []identity.Role{identity.Owner}},
		"staff of an organization":        {Class: identity.Staff, ID: "per_1", Person: "per_1", Organization: "org_1", Roles: []identity.Role{identity.Admin, identity.Owner}},
		"a machine without a person":      {Class: identity.Machine, ID: "mt_1", Roles: []identity.Role{identity.Admin}},
		"an admin without roles":          {Class: identity.Staff, ID: "per_1", Person: "per_1"},
		"an unknown role":                 {Class: identity.Staff, ID: "per_1", Person: "per_1", Roles: []identity.Role{"root"}},
		"anonymous with every role there": {Roles: []identity.Role{identity.Admin, identity.Owner}},
	} {
		for method, call := range calls(w, nowhere) {
			if w.open(method) {
				continue
			}
			if err := call(a); !errors.Is(err, fault.Forbidden) && !errors.Is(err, fault.Unauthenticated) {
				t.Errorf("%s may call %s: %v", name, method, err)
			}
		}
	}
}

// open reports whether a method is for anybody.
func (w *world) open(method string) bool {
	err := calls(w, nowhere)[method](identity.Actor{})
	return !errors.Is(err, fault.Unauthenticated) || fault.As(err).Code != ""
}

func mapsKeys[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// byOrganization is the methods that take an object which another organization may own; the others take none.
var byOrganization = []string{"Person", "Members", "Organization", "Offboarding", "UpdateApplication", "CloseApplication", "Application", "Applications",
	"CreateApplication", "RequestAccess", "WithdrawRequest", "Request", "Requests", "AnswerQuestion", "Grant", "Grants", "EndGrant", "NarrowGrant", "IssueKey", "RevokeCredential", "RegisterClient", "EnrolCertificate", "BindWorkload",
	"RotateKey", "ChangeCredential", "ActivateCredential", "SuspendCredential", "ResumeCredential", "Uses", "Usage", "Dormant",
	"Credential", "Credentials", "Reach", "InForce", "Audit", "Evidence", "RevokeMachineToken", "EndSession",
	"SecondFactors", "ResetSecondFactors", "ExportPerson", "ErasePerson", "ChangeMember", "Invite", "Invitations", "WithdrawInvitation",
	"ReviewItems", "ReviewItem", "ReviewChoices", "AnswerReview", "AddWebhook", "Webhooks", "Webhook", "ChangeWebhook", "RotateWebhookSecret", "DeadDeliveries", "ResendDelivery"}

// TestAnotherOrganizationsObjectsAreNotThere calls every method with another organization's objects, which exist, and
// with objects that do not: both are not found, word for word the same.
func TestAnotherOrganizationsObjectsAreNotThere(t *testing.T) {
	w := newWorld(t).published()
	a, b := w.verified("First", "first@example.org"), w.verified("Second", "second@example.org")
	app := w.application(a, "app")
	g := w.grantOf(must(w.RequestAccess(w.ctx, a, ask(app, "live", "reading", "free")))(t))
	cr := w.key(a, app, "live")
	r := must(w.RequestAccess(w.ctx, a, ask(app, "live", "starting", "free")))(t)
	m, _, err := w.CreateMachineToken(w.ctx, a, "ci", []identity.Role{identity.Viewer}, w.clock.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	inv := must(w.Invite(w.ctx, a, control.NewInvitation{Email: "ingo@example.org", Roles: []identity.Role{identity.Viewer}}))(t)
	hook, _, err := w.AddWebhook(w.ctx, a, control.NewWebhook{URL: "https://example.org/hook"})
	if err != nil {
		t.Fatal(err)
	}
	rev := must(w.StartReview(w.ctx, w.operator, control.NewReview{Name: "all", Ends: w.clock.Now().Add(time.Hour)}))(t)
	item := must(w.ReviewItems(w.ctx, w.operator, control.ItemFilter{Review: rev.ID}, control.Page{}))(t).Items[0]
	theirs := ids{a.Organization, a.Person, app.ID, r.ID, g.ID, cr.ID, m.ID, a.Session, inv.ID, hook.ID, rev.ID, item.ID}
	all, none := calls(w, theirs), calls(w, nowhere)
	for _, who := range []identity.Actor{b, machine(b)} {
		for _, method := range byOrganization {
			if slices.Contains([]string{"EndSession", "ResetSecondFactors", "ExportPerson", "ErasePerson"}, method) && who.Class == identity.Machine {
				continue
			}
			got, want := all[method](who), none[method](who)
			if !errors.Is(got, fault.NotFound) || got.Error() != want.Error() {
				t.Errorf("%s of another organization: %v; of nobody: %v; want both not found and the same", method, got, want)
			}
		}
	}
	// What takes an object and is not in the list is for the platform alone.
	for method, call := range all {
		if slices.Contains(byOrganization, method) || w.open(method) {
			continue
		}
		if err := call(b); err == nil && !slices.Contains([]string{"SignOut", "Sessions", "MachineTokens", "Environments", "Checkpoint", "LastUses", "Named", "EnrolAuthenticator", "Subjects", "Passkeys", "BeginPasskey"}, method) {
			t.Errorf("%s lets another organization in", method)
		}
	}
	for _, list := range []func() int{
		func() int { return len(must(w.Applications(w.ctx, b, "", control.Page{}))(t).Items) },
		func() int { return len(must(w.Grants(w.ctx, b, grant.Filter{}, control.Page{}))(t).Items) },
		func() int { return len(must(w.Requests(w.ctx, b, grant.Filter{}, control.Page{}))(t).Items) },
		func() int { return len(must(w.Credentials(w.ctx, b, "", "", control.Page{}))(t).Items) },
		func() int { return len(must(w.MachineTokens(w.ctx, b, control.Page{}))(t).Items) },
	} {
		if n := list(); n != 0 {
			t.Errorf("a list shows %d objects of another organization", n)
		}
	}
	for _, e := range must(w.Audit(w.ctx, b, audit.Filter{}, control.Page{Limit: 500}))(t).Items {
		if e.Organization != b.Organization || len(e.Personal) > 0 {
			t.Errorf("the audit shows %s of %s with %d personal values", e.Action, e.Organization, len(e.Personal))
		}
	}
	for _, e := range must(w.Audit(w.ctx, b, audit.Filter{Object: cr.ID}, control.Page{}))(t).Items {
		t.Errorf("the audit of another organization's object shows %s", e.Action)
	}
}
