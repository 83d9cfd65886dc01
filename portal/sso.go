package portal

import (
	"net/http"
	"slices"

	"gatehouse/control"
	"gatehouse/fault"
	"gatehouse/secret"
)

// A sign-in at a provider leaves a ticket in the browser that began it. It is Lax: the provider sends the browser back by a link.

const ssoCookie = "sso"

// startSSO is GET /sso/{name}: a link and not a form, since browsers follow no form to another site under our policy.
func startSSO(v *visit) error {
	address, ticket, err := v.Control.StartSSO(v.r.Context(), v.actor, v.r.PathValue("name"), local(v.r.URL.Query().Get("return")))
	if err != nil {
		return err
	}
	http.SetCookie(v.w, &http.Cookie{Name: v.hostCookie(ssoCookie), Value: ticket.Reveal(), Path: "/", MaxAge: 600,
		HttpOnly: true, Secure: v.Secure, SameSite: http.SameSiteLaxMode})
	return v.redirect(address)
}

// finishSSO is where a provider sends the browser back to.
func finishSSO(v *visit) error {
	q := v.r.URL.Query()
	back := control.Returned{State: q.Get("state"), Code: secret.New(q.Get("code")), Issuer: q.Get("iss"), Error: q.Get("error")}
	if c, err := v.r.Cookie(v.hostCookie(ssoCookie)); err == nil {
		back.Ticket = secret.New(c.Value)
	}
	v.dropCookie(v.hostCookie(ssoCookie))
	in, to, err := v.Control.FinishSSO(v.r.Context(), v.actor, v.r.PathValue("name"), back, userAgent(v.r))
	switch {
	case err != nil:
		return err
	case !in.Pending.Empty():
		return v.second(secondForm(), in.Pending.Reveal(), local(to))
	}
	return v.welcome(in, local(to))
}

// ssoWords is what a refused sign-in at a provider says of what to do; "" for any other fault.
func ssoWords(f *fault.Error) (title, do string) {
	switch f.Code {
	case "no-role":
		return "You have no role here yet", "You need do nothing: once somebody has given you a role, sign in again."
	case "sso-refused", "sso-elsewhere", "sso-unverified", "sso-not-yours":
		return "You could not be signed in", "Begin again, or sign in in another way."
	case "sso-away":
		return "The provider does not answer", "Try again in a minute, or sign in in another way."
	}
	return "", ""
}

// signOns is the titles of the providers by which the viewer has signed in.
func (v *visit) signOns() ([]string, error) {
	all, err := v.Control.SignOns(v.r.Context(), v.actor)
	if err != nil {
		return nil, err
	}
	subjects, err := v.Control.Subjects(v.r.Context(), v.actor)
	var out []string
	for _, s := range subjects {
		title := s.Provider
		if i := slices.IndexFunc(all, func(o control.SignOn) bool { return o.Name == s.Provider }); i >= 0 {
			title = all[i].Title
		}
		out = append(out, title)
	}
	return out, err
}
