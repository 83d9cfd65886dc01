package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// The people of the story. Nobody of them exists.
const (
	partnerName     = "Fjord Bank"
	memberEmail     = "ines@fjord-bank.example"
	memberPassword  = "correct horse battery staple 7"
	approverEmail   = "asta@platform.example"
	operatorEmail   = "omar@platform.example"
	verifiedNote    = "register entry 914 778 271 seen"
	portalPurpose   = "Verify new customers when they open an account"
	revokeReason    = "the key stood in a public repository"
	suspendReason   = "unusual calls, being looked at"
	requestedScopes = "verifications:read verifications:write evidence:write documents:check"
)

// partner is how an organization comes in.
func partner() []step {
	return []step{
		{"the admin invites an approver and an operator", inviteStaff},
		{"a partner registers and confirms the address", register},
		{"before the organization is verified, access is refused", tooEarly},
		{"an operator verifies the organization", verify},
		{"an auditor keeps a checkpoint of the audit log", keep},
	}
}

func inviteStaff(ctx context.Context, v *visit) (string, error) {
	if err := v.invite(ctx, approverEmail, "Asta Approver", []string{"approver"}, &v.approver); err != nil {
		return "", err
	}
	return "both signed in by the links in their letters", v.invite(ctx, operatorEmail, "Omar Operator", []string{"operator"}, &v.operator)
}

// invite makes a person of the platform, who signs in by the link in the letter.
func (v *visit) invite(ctx context.Context, email, name string, roles []string, who *caller) error {
	r := v.admin.post(ctx, "/api/staff", struct {
		Email string   `json:"email"`
		Name  string   `json:"name"`
		Roles []string `json:"roles"`
	}{email, name, roles})
	if err := r.is(http.StatusCreated); err != nil {
		return err
	}
	token, err := v.letter(ctx, email, "/signin/link")
	if err != nil {
		return err
	}
	*who, err = v.signInByLink(ctx, token)
	return err
}

type registration struct {
	Organization string `json:"organization"`
	Website      string `json:"website"`
	Country      string `json:"country"`
	Register     string `json:"register"`
	Name         string `json:"name"`
	Email        string `json:"email"`
	Password     string `json:"password"`
}

type credentials struct {
	Email    string `json:"email"`
	Password string `json:"password"`
}

func register(ctx context.Context, v *visit) (string, error) {
	nobody, wish := v.nobody(), registration{partnerName, "https://fjord-bank.example", "NO", "914778271", "Ines Member", memberEmail, memberPassword}
	first := nobody.post(ctx, "/api/registrations", wish)
	if err := first.is(http.StatusAccepted); err != nil {
		return "", err
	}
	signIn := credentials{memberEmail, memberPassword}
	if _, err := nobody.post(ctx, "/api/sessions", signIn).refused(http.StatusForbidden, "unconfirmed"); err != nil {
		return "", fmt.Errorf("sign in before the address is confirmed: %w", err)
	}
	token, err := v.letter(ctx, memberEmail, "/confirm")
	if err != nil {
		return "", err
	}
	if err := nobody.post(ctx, "/api/confirmations", secretLink{token}).is(http.StatusOK); err != nil {
		return "", err
	}
	if _, err := nobody.post(ctx, "/api/confirmations", secretLink{token}).refused(http.StatusGone); err != nil {
		return "", fmt.Errorf("the link used a second time: %w", err)
	}
	again := nobody.post(ctx, "/api/registrations", wish)
	if again.status != first.status || string(again.body) != string(first.body) {
		return "", fmt.Errorf("registering a known address answers %d %s, an unknown one %d %s: that tells who is registered", again.status, clip(again.body), first.status, clip(first.body))
	}
	if _, err := nobody.post(ctx, "/api/sessions", credentials{memberEmail, "wrong " + memberPassword}).refused(http.StatusUnauthorized); err != nil {
		return "", fmt.Errorf("a wrong password: %w", err)
	}
	var s struct {
		Token  string
		Person struct{ Organization string }
	}
	if err := nobody.post(ctx, "/api/sessions", signIn).into(http.StatusCreated, &s); err != nil {
		return "", err
	}
	v.member, v.organization = caller{v.web, v.at.Portal, s.Token}, s.Person.Organization
	return "unconfirmed 403, then signed in with the password; " + v.organization, nil
}

// wish is an access request.
type wish struct {
	Application string   `json:"application"`
	Environment string   `json:"environment"`
	Product     string   `json:"product"`
	Plan        string   `json:"plan"`
	Scopes      []string `json:"scopes"`
	Purpose     string   `json:"purpose"`
	Duration    string   `json:"duration"`
}

func (v *visit) wish(app, env, product, plan, scopes string) wish {
	return wish{app, env, product, plan, strings.Fields(scopes), portalPurpose, "30d"}
}

func tooEarly(ctx context.Context, v *visit) (string, error) {
	for _, a := range []struct {
		name string
		id   *string
	}{{"Account opening", &v.portalApp}, {"Nightly document checks", &v.batchApp}} {
		var app struct{ ID string }
		r := v.member.post(ctx, "/api/applications", struct {
			Name    string `json:"name"`
			Purpose string `json:"purpose"`
		}{a.name, portalPurpose})
		if err := r.into(http.StatusCreated, &app); err != nil {
			return "", err
		}
		*a.id = app.ID
	}
	p, err := v.member.post(ctx, "/api/requests", v.wish(v.portalApp, "live", "verification", "standard", requestedScopes)).refused(http.StatusConflict, "organization-not-verified")
	if err != nil {
		return "", err
	}
	_, err = v.member.post(ctx, "/api/organizations/"+v.organization+"/verify", note{verifiedNote}).refused(http.StatusForbidden)
	return "two applications made; a request: " + p.Type + "; verifying oneself: 403", err
}

type note struct {
	Note string `json:"note"`
}

type reason struct {
	Reason string `json:"reason"`
}

func verify(ctx context.Context, v *visit) (string, error) {
	if err := v.operator.post(ctx, "/api/organizations/"+v.organization+"/verify", note{verifiedNote}).is(http.StatusOK); err != nil {
		return "", err
	}
	var o struct{ State, Name string }
	if err := v.member.get(ctx, "/api/organizations/"+v.organization).into(http.StatusOK, &o); err != nil {
		return "", err
	}
	if o.State != "verified" {
		return "", errors.New("the organization is " + o.State)
	}
	return o.Name + " is " + o.State, nil
}
