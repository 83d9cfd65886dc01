package portal

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/fault"
	"gatehouse/problem"
)

// errorPage says what happened and what to do.
type errorPage struct {
	frame
	Status int
	What   string // what happened
	Do     string // what to do
	Links  []crumb
	Again  *again // to send the form once more
}

func (*errorPage) template() string { return "error" }

// again is a form as it was sent, so that nothing typed is lost. Secrets are not in it.
type again struct {
	Action string
	Values []sentValue
	Secret bool // something secret was sent too, and has to be typed again: there is no button
}

type sentValue struct{ Name, Value string }

// secretNames are the fields that are never written onto a page.
var secretNames = []string{"password", "old", "fresh", "token", "pending", "code", "credential"}

// fail answers with the page for an error.
func (v *visit) fail(err error) {
	f := fault.As(err)
	v.logFailure(f, err)
	if v.written {
		return
	}
	if f.Kind == fault.Forbidden && f.Code == "second-factor-demanded" { // the one thing that this session may do
		_ = v.done("factor-demanded", "/account") // it writes a header and cannot fail
		return
	}
	p := &errorPage{Status: problem.Status(f)}
	v.explain(p, f)
	if f.RetryAfter > 0 {
		v.w.Header().Set("Retry-After", strconv.Itoa(int((f.RetryAfter+time.Second-1)/time.Second)))
	}
	if f.Kind == fault.Unauthenticated {
		v.w.Header().Set("WWW-Authenticate", "Session")
	}
	if err := v.show(p.Status, p); err != nil {
		v.Log.Error("portal: the page for an error failed", "request_id", v.requestID, "error", err)
		http.Error(v.w, "Something went wrong on our side. Request id: "+v.requestID, http.StatusInternalServerError)
	}
}

// explain finds the words for a fault.
func (v *visit) explain(p *errorPage, f *fault.Error) {
	public := sentence(f.Public)
	switch f.Kind {
	case fault.Unauthenticated:
		p.Title, p.What = "You are signed out", "Your session has ended, so this was not done."
		p.Do = "Sign in in another tab, come back here, and send it again: what you typed is kept on this page."
		p.Links = []crumb{{"Sign in", "/signin"}}
	case fault.Forbidden:
		p.Title, p.What = "You may not do this", public
		p.Do = "If you think that you should be allowed to, ask an owner of your organization or an administrator of the platform."
		if f.Code == "confirm-first" {
			p.Title, p.What = "Confirm that it is you", "You signed in a while ago, and this matters."
			p.Do = "Confirm it in another tab, come back here, and send it again: what you typed is kept on this page."
			p.Links = []crumb{{"Confirm", "/account/confirm"}}
		}
		if f.Code == "cross-site" {
			p.Title = "That form did not come from here"
			p.Do = "Nothing was changed. If you meant to do something, open the page here and do it again."
		}
	case fault.NotFound:
		p.Title, p.What = "There is nothing here", "The address leads nowhere, or to something that is not yours to see."
		p.Do = "Check the address, or go on from the start."
	case fault.Gone:
		p.Title, p.What = "This link is used or over", public
		p.Do = "A link works once and for a limited time. If you have used it already, simply sign in; otherwise ask for a new one."
		p.Links = []crumb{{"Sign in", "/signin"}, {"Ask for a new link", "/password/forgot"}}
	case fault.Conflict:
		p.Title, p.What = "This cannot be done as things stand", public
		p.Do = "Look at how it stands now. Somebody else may have been here, or you sent the same form twice; nothing was done twice."
	case fault.Stale:
		p.Title, p.What = "Somebody was here before you", "It was changed while you had the page open, so your change was not made."
		p.Do = "Go back, load the page again, look at what is new, and decide again."
	case fault.TooLarge:
		p.Title, p.What, p.Do = "That is too much", public, "Shorten what you wrote and send it again."
	case fault.Unsupported:
		p.Title, p.What, p.Do = "Not like this", public, "Open the page from its link instead."
	case fault.Limited:
		p.Title, p.What = "Too many tries", public
		p.Do = "Wait a little, then try again."
		if f.RetryAfter > 0 {
			p.Do = "Wait " + span(max(f.RetryAfter, time.Second)) + ", then try again."
		}
	case fault.Invalid:
		p.Title, p.What, p.Do = "Something in that is not right", public, "Go back, mend it, and send it again."
		for _, w := range f.Fields {
			p.What += " " + sentence(strings.TrimPrefix(w.Pointer, "/")+": "+w.Text)
		}
	case fault.Unavailable:
		p.Title, p.What = "Not just now", "The portal cannot reach what it needs. Calls through the gateways are not affected."
		p.Do = "Try again in a minute. What you sent was not done."
	default:
		p.Title, p.What = "Something went wrong on our side", "It is our mistake, and it is recorded. What you sent was not done, or not wholly."
		p.Do = "Look at how things stand before you try again. If it happens again, tell us the request id below."
	}
	if title, do := ssoWords(f); title != "" {
		p.Title, p.What, p.Do, p.Links = title, public, do, []crumb{{"Sign in", "/signin"}}
	}
	v.keep(p, f)
}

// keep carries what was sent onto the page where sending it again can help.
func (v *visit) keep(p *errorPage, f *fault.Error) {
	if v.r.Method != http.MethodPost || len(v.r.PostForm) == 0 || f.Code == "cross-site" {
		return
	}
	switch {
	case f.Kind == fault.Unauthenticated, f.Kind == fault.Limited, f.Kind == fault.Unavailable, f.Kind == fault.Internal, confirmFirst(f):
	default:
		return
	}
	a := &again{Action: v.r.URL.RequestURI()}
	for _, name := range sortedKeys(v.r.PostForm) {
		if slices.Contains(secretNames, name) {
			a.Secret = true
			continue
		}
		for _, value := range v.r.PostForm[name] {
			a.Values = append(a.Values, sentValue{name, value})
		}
	}
	p.Again = a
}

// Typed are the values that a person typed, to be read on the page.
func (a *again) Typed() []sentValue {
	var out []sentValue
	for _, s := range a.Values {
		if s.Name != "once" && s.Name != "version" && s.Name != "return" && s.Value != "" {
			out = append(out, s)
		}
	}
	return out
}

func sortedKeys(m url.Values) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
