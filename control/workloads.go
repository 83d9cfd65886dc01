package control

import (
	"context"
	"errors"
	"slices"
	"strings"

	"gatehouse/credential"
	"gatehouse/fault"
	"gatehouse/identity"
	"gatehouse/manifest"
	"gatehouse/token"
)

// NewWorkload is what a workload identity is made from.
type NewWorkload struct {
	NewKey
	Issuer   string             // by the name that the manifest of the environment gives it
	Subject  string             // as its kind has it: a client id of Entra ID, system:serviceaccount:NAMESPACE:NAME, else mostly the sub
	Audience string             // one of the issuer's; "": its only one
	Claims   []credential.Claim // that tokens must have beside
}

// BindWorkload binds an application to a workload elsewhere: whoever shows a token of the issuer for the audience and of the
// subject is the application. No two credentials stand for the same three, whoever's they are and in whatever environment: the
// later is fault.Conflict "workload-taken", until the earlier is revoked or has expired. The rules of grants and lifetimes are
// those of IssueKey. Owner or developer of the organization.
func (c *Control) BindWorkload(ctx context.Context, a identity.Actor, n NewWorkload) (credential.Credential, error) {
	return c.issue(ctx, a, n.NewKey, issuing{
		method: "BindWorkload", action: "credential.bind-workload", kind: credential.Federated,
		again: "this form has bound the workload identity %s already",
		check: func(f *form) { n.Claims = f.claims("/claims", n.Claims) },
		make: func(w *write, fresh *credential.Credential) error {
			of, err := c.newest(w.ctx, w.tx, fresh.Environment)
			if err != nil {
				return err
			}
			var f form
			workload := f.workload(of, n)
			if err := f.err(); err != nil {
				return err
			}
			fresh.Workload = &workload
			fresh.PublicID, fresh.Hash = string(fresh.ID), workload.Mark()
			return w.bind(*fresh)
		},
	})
}

// bind lets the workload or name stand for the credential, unless it stands for one that is not over.
func (w *write) bind(fresh credential.Credential) error {
	code, what := "workload-taken", "this issuer, audience and subject"
	if fresh.Kind == credential.Certificate {
		code, what = "certificate-taken", "this name of the authority"
	}
	taken := fault.Of(fault.Conflict, code, "another credential stands for %s already: one application's alone", what)
	was, err := w.tx.WorkloadOf(w.ctx, fresh.Mark())
	switch {
	case errors.Is(err, fault.NotFound):
	case err != nil:
		return err
	default:
		old, err := w.tx.Credential(w.ctx, was)
		if err != nil {
			return err
		}
		if s := old.Standing(w.now); s != string(credential.Revoked) && s != credential.Expired {
			if old.Application == fresh.Application {
				return fault.Of(fault.Conflict, code, "credential %s stands for %s already", old.ID, what)
			}
			return taken
		}
	}
	if err := w.tx.BindWorkload(w.ctx, fresh.Mark(), was, fresh.ID); err != nil {
		if errors.Is(err, fault.Conflict) { // somebody was faster
			return taken.Because(err)
		}
		return err
	}
	return nil
}

// workload takes whom a credential is bound to, by what the environment's manifest says of the issuer.
func (f *form) workload(of offer, n NewWorkload) credential.Workload {
	issuers := of.TrustedIn(of.Name)
	i := slices.IndexFunc(issuers, func(t manifest.TrustedIssuer) bool { return t.Name == n.Issuer })
	if i < 0 {
		var names []string
		for _, t := range issuers {
			names = append(names, t.Name)
		}
		switch {
		case len(names) == 0:
			f.bad("/issuer", "no issuer elsewhere is trusted in %s: ask the operator to list it", of.Name)
		default:
			f.bad("/issuer", "%q is not trusted in %s: those that are: %s", clip(n.Issuer), of.Name, strings.Join(names, ", "))
		}
		return credential.Workload{}
	}
	t := issuers[i]
	if n.Audience == "" && len(t.Audiences) == 1 {
		n.Audience = t.Audiences[0]
	}
	if !slices.Contains(t.Audiences, n.Audience) {
		f.bad("/audience", "must be one of %s", strings.Join(t.Audiences, ", "))
	}
	switch {
	case t.Kind == "entra" && !token.IsGUID(n.Subject):
		f.bad("/subject", "must be the client id of an application of the tenant, a GUID in lower case")
	case t.Kind == "kubernetes" && !token.IsServiceAccount(n.Subject):
		f.bad("/subject", "must be a service account, such as system:serviceaccount:payments:reader")
	case n.Subject == "" || len(n.Subject) > token.SubjectLongest || strings.ContainsFunc(n.Subject, func(r rune) bool { return r < ' ' || r == 0x7f }):
		f.bad("/subject", "must be what the issuer's tokens say of the workload, from 1 to %d bytes, letter by letter", token.SubjectLongest)
	}
	return credential.Workload{Issuer: t.Issuer, Subject: n.Subject, Audience: n.Audience, Claims: n.Claims}
}

// checked are the claims that are looked at for every token: nothing is asked of them by name.
var checked = []string{"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "cnf"}

// claims takes what tokens must have beside, in the order of the names.
func (f *form) claims(at string, list []credential.Claim) []credential.Claim {
	if len(list) > credential.ClaimsMost {
		f.bad(at, "must be at most %d", credential.ClaimsMost)
		return nil
	}
	for n, c := range list {
		below := pointerOf(at, n)
		switch {
		case c.Name == "" || len(c.Name) > credential.ClaimLongest || strings.ContainsFunc(c.Name, func(r rune) bool { return r <= ' ' || r > '~' }):
			f.bad(below+"/name", "must be the name of a claim, from 1 to %d ASCII letters, digits and signs", credential.ClaimLongest)
		case slices.Contains(checked, c.Name):
			f.bad(below+"/name", "%s is looked at anyway: name another claim", c.Name)
		case c.Value == "" || len(c.Value) > credential.ClaimLongest:
			f.bad(below+"/value", "must have from 1 to %d bytes", credential.ClaimLongest)
		case slices.Contains(list[:n], c):
			f.bad(below, "stands twice")
		}
	}
	out := slices.Clone(list)
	slices.SortFunc(out, func(a, b credential.Claim) int { return strings.Compare(a.Name+" "+a.Value, b.Name+" "+b.Value) })
	return out
}

// TrustedIssuers lists the issuers elsewhere that the environment's manifest trusts. For anybody signed in.
func (c *Control) TrustedIssuers(ctx context.Context, a identity.Actor, environment string) ([]manifest.TrustedIssuer, error) {
	var out []manifest.TrustedIssuer
	err := c.view(ctx, a, "TrustedIssuers", func(r read) error {
		of, err := c.newest(ctx, r.tx, environment)
		if err != nil && fault.As(err).Code == "nothing-published" {
			return nil
		}
		if err != nil {
			return err
		}
		out = of.TrustedIn(environment)
		return nil
	})
	return out, err
}
