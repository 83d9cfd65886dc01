package control

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"gatehouse/grant"
	"gatehouse/identity"
	"gatehouse/organization"
	"gatehouse/secret"
)

// How long one-time links live.
const (
	confirmLives = 24 * time.Hour
	signInLives  = 15 * time.Minute
	resetLives   = time.Hour
)

// The pages of the portal that links in letters lead to.
const (
	confirmPage = "/confirm"
	signInPage  = "/signin/link"
	resetPage   = "/password/reset"
	forgotPage  = "/password/forgot"
	devicePage  = "/device"
	tokensPage  = "/tokens"
	invitedPage = "/invitation"
)

// link is the address of a page with a one-time token.
func (c *Control) link(page string, token secret.Value) string {
	return c.URL + page + "?token=" + url.QueryEscape(token.Reveal())
}

// Letters to an address that nobody has confirmed say nothing that the sender of the form wrote: else anybody could have
// us send their words to anybody.

func (c *Control) confirmLetter(w *write, p identity.Person) error {
	token, err := w.addLink(p, identity.ConfirmEmail, confirmLives)
	if err != nil {
		return err
	}
	return w.letter(p.Email, "Confirm your e-mail address", lines(
		"Somebody, probably you, registered an organization with this e-mail address.",
		"Open this page and press the button to confirm that the address is yours:",
		c.link(confirmPage, token),
		"The link can be used once, for 24 hours. If this was not you, do nothing: without the confirmation nobody can sign in.",
		"If you registered before and no longer know the password, choose a new one here:",
		c.URL+forgotPage))
}

func (c *Control) knownLetter(w *write, p identity.Person) error {
	return w.letter(p.Email, "You already have an account here", lines(
		"Somebody, probably you, tried to register an organization with this e-mail address. It is already registered, so nothing was changed.",
		"Sign in here:",
		c.URL+"/signin",
		"If you no longer know the password, choose a new one here:",
		c.URL+forgotPage))
}

func (c *Control) resetLetter(w *write, p identity.Person) error {
	token, err := w.addLink(p, identity.PasswordReset, resetLives)
	if err != nil {
		return err
	}
	return w.letter(p.Email, "Choose a new password", lines(
		"Somebody, probably you, asked for a new password for this e-mail address. Choose it here:",
		c.link(resetPage, token),
		"The link can be used once, for one hour. If this was not you, do nothing: your password stays as it is."))
}

func (c *Control) passwordChangedLetter(w *write, p identity.Person, machines int) error {
	parts := []string{"The password of your sign-in was changed on " + when(w.now) + ", and you were signed out everywhere else."}
	if machines > 0 { // programs go on: a forgotten password must not stop a pipeline, but a thief may have made one of them
		parts = append(parts, fmt.Sprintf("Machine tokens that act for you go on working: %d. Revoke those that you do not know here:", machines), c.URL+tokensPage)
	}
	return w.letter(p.Email, "Your password was changed", lines(append(parts,
		"If this was not you, choose a new one at once and tell us:", c.URL+forgotPage)...))
}

func (c *Control) staffLetter(w *write, p identity.Person) error {
	token, err := w.addLink(p, identity.SignInLink, signInLives)
	if err != nil {
		return err
	}
	return w.letter(p.Email, "You can now sign in to Gatehouse", lines(
		"You were added to the people of the platform. Sign in here, then choose a password:",
		c.link(signInPage, token),
		"The link can be used once, for 15 minutes. After that, get another one here:",
		c.URL+forgotPage))
}

func (c *Control) organizationLetter(w *write, p identity.Person, o organization.Organization, word string) error {
	parts := []string{fmt.Sprintf("Your organization %s was %s.", o.Name, word)}
	if o.Reason != "" {
		parts = append(parts, "What was said about it: "+o.Reason)
	}
	parts = append(parts, "See how it stands:", c.URL+"/organizations/"+string(o.ID))
	return w.letter(p.Email, "Your organization was "+word, lines(parts...))
}

func (c *Control) decisionLetter(w *write, p identity.Person, r grant.Request, application string) error {
	last := r.Decisions[len(r.Decisions)-1]
	parts := []string{fmt.Sprintf("Your request for %s (plan %s) in the environment %s for the application %s was %s.",
		r.Product, r.Plan, r.Environment, application, r.State)}
	if r.State == grant.Approved {
		parts = append(parts, "The grant holds until "+when(last.Until)+".")
		if len(last.Scopes) > 0 {
			parts = append(parts, "Its scopes: "+strings.Join(last.Scopes, ", ")+".")
		}
	}
	if last.Reason != "" {
		parts = append(parts, "The reason that was given: "+last.Reason)
	}
	parts = append(parts, "See it here:", c.URL+"/requests/"+string(r.ID))
	return w.letter(p.Email, fmt.Sprintf("Your access request was %s", r.State), lines(parts...))
}

// invitedTo names who invites. An organization that nobody has verified is not named: its name is whatever somebody typed.
func invitedTo(i identity.Invitation, o organization.Organization) string {
	switch {
	case i.Organization == "":
		return "the people who run this platform"
	case o.State == organization.Verified:
		return "the organization " + o.Name
	}
	return "their organization"
}

func (c *Control) invitationLetter(w *write, i identity.Invitation, o organization.Organization, token secret.Value) error {
	return w.letter(i.Email, "You are invited", lines(
		"Somebody has invited you to join "+invitedTo(i, o)+" on this platform. Open this page to see what for, and to choose a password:",
		c.link(invitedPage, token),
		"The link can be used once, until "+when(i.Expires)+". If you expected no invitation, do nothing."))
}

// knownInvitationLetter tells somebody who is registered already: whoever invites them is not told that.
func (c *Control) knownInvitationLetter(w *write, i identity.Invitation, o organization.Organization) error {
	return w.letter(i.Email, "You are invited, and registered already", lines(
		"Somebody has invited you to join "+invitedTo(i, o)+" on this platform. This e-mail address belongs to somebody who is registered already, so nothing was changed.",
		"To join, give them another e-mail address of yours, or leave the organization that you are in first:",
		c.URL+"/account"))
}

// acceptedLetter tells the inviter.
func (c *Control) acceptedLetter(w *write, p identity.Person, i Invited) error {
	if i.By == "" {
		return nil
	}
	by, err := w.tx.Person(w.ctx, i.By)
	if err != nil {
		return err
	}
	page := "/organization"
	if i.Organization == "" {
		page = "/people"
	}
	return w.letter(by.Email, "Your invitation was accepted", lines(
		p.Name+" ("+p.Email+") has accepted your invitation, with the roles "+rolesText(p.Roles)+".", "See who is there:", c.URL+page))
}

// memberLetter tells a member what was changed about them.
func (c *Control) memberLetter(w *write, old, p identity.Person) error {
	switch {
	case p.State == identity.Disabled && old.State != p.State:
		return w.letter(p.Email, "Your membership has ended", lines(
			"You can no longer sign in for your organization since "+when(w.now)+". What you answered for was handed over, and your machine tokens have ended.",
			"If this is a mistake, ask an owner of the organization."))
	case old.State == p.State && slices.Equal(old.Roles, p.Roles):
		return nil
	}
	return w.letter(p.Email, "Your roles were changed", lines(
		"Your roles in your organization are now: "+rolesText(p.Roles)+".", "See what you can do:", c.URL+"/account"))
}

func handOverLetter(w *write, p identity.Person, applications int) error {
	return w.letter(p.Email, "You answer for more applications", lines(
		fmt.Sprintf("Somebody has left your organization, and you were named as their successor. You now answer for their applications: %d.", applications)))
}

func rolesText(roles []identity.Role) string {
	var out []string
	for _, r := range roles {
		out = append(out, string(r))
	}
	return strings.Join(out, ", ")
}

// lines makes a letter of paragraphs.
func lines(parts ...string) string { return strings.Join(parts, "\n\n") + "\n" }

// when is a time as letters write it.
func when(t time.Time) string { return t.UTC().Format("2 January 2006, 15:04 UTC") }
