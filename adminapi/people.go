package adminapi

import (
	"context"
	"net/http"

	"gatehouse/control"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/secret"
	"gatehouse/session"
)

// Registration is what a partner registers with.
type Registration struct {
	Organization string `json:"organization" doc:"The legal name of the organization" example:"Fjord Bank"`
	Website      string `json:"website,omitempty" doc:"Its public address" example:"https://fjord-bank.example"`
	Country      string `json:"country,omitempty" doc:"Where it is registered, by the two letters of ISO 3166-1" example:"NO"`
	Register     string `json:"register,omitempty" doc:"Its number in a public register of companies: what staff verify it by" example:"914778271"`
	Name         string `json:"name" doc:"Your name. You become the organization's owner." example:"Ines Member"`
	Email        string `json:"email" doc:"Your e-mail address, which a letter asks you to confirm" example:"ines@fjord-bank.example"`
	Password     string `json:"password" doc:"At least twelve characters; a sentence is easiest to remember. Stored as an argon2id hash." example:"correct horse battery staple 7"`
}

// Sent answers what sends a letter, word for word the same whether or not one was sent.
type Sent struct {
	Message string `json:"message" doc:"What to do next" example:"If this address can be written to, a letter with a link is on its way: open it."`
}

func sent(err error) (*Got[Sent], error) {
	return got(Sent{"If this address can be written to, a letter with a link is on its way: open it."}, err)
}

// Token is the token of a one-time link, the part after token= in the letter.
type Token struct {
	Token string `json:"token" doc:"What stands after token= in the link" example:"ghl_0123456789abcdefghjkmnpqrstvwxyz"`
}

// Address names an e-mail address.
type Address struct {
	Email string `json:"email" doc:"The address" example:"ines@fjord-bank.example"`
}

// Credentials are what a person signs in with.
type Credentials struct {
	Email    string `json:"email" doc:"The address you registered with" example:"ines@fjord-bank.example"`
	Password string `json:"password" doc:"Your password" example:"correct horse battery staple 7"`
}

// SignedIn is a fresh session, or what waits for the second factor.
type SignedIn struct {
	Token   string           `json:"token,omitempty"`
	Session *session.Session `json:"session,omitempty"`
	Person  *identity.Person `json:"person,omitempty"`
	Pending string           `json:"pending,omitempty"`
}

// Me is who the token stands for.
type Me struct {
	Class        string          `json:"class"`
	ID           id.ID           `json:"id,omitempty"`
	Person       id.ID           `json:"person,omitempty"`
	Name         string          `json:"name,omitempty"`
	Email        string          `json:"email,omitempty"`
	Organization id.ID           `json:"organization,omitempty"`
	Roles        []identity.Role `json:"roles" nullable:"false"`
	Session      id.ID           `json:"session,omitempty"`
}

func signedIn(s control.SignedIn, err error) (*Got[SignedIn], error) {
	if err == nil && !s.Pending.Empty() {
		return got(SignedIn{Pending: s.Pending.Reveal()}, nil)
	}
	return got(SignedIn{Token: s.Token.Reveal(), Session: &s.Session, Person: &s.Person}, err)
}

// people adds how people register, sign in and out, and look after themselves.
func (a *api) people() {
	c := a.Control
	anyone := []trait{open}
	add(a, operation{id: "register", method: http.MethodPost, path: "/api/registrations", tag: tagSignIn, status: http.StatusAccepted, traits: anyone,
		summary: "Register an organization and its first member",
		doc: `Makes the organization and its owner, and sends a letter with a link that confirms the address. Until staff have verified
the organization it may prepare applications and is granted nothing. The answer is the same when the address is known already:
who is registered is nobody's business.`,
	}, func(ctx context.Context, in *With[Registration]) (*Got[Sent], error) {
		r := in.Body
		return sent(c.Register(ctx, in.actor(), control.Registration{Organization: r.Organization, Website: r.Website, Country: r.Country,
			Register: r.Register, Name: r.Name, Email: r.Email, Password: secret.New(r.Password)}))
	})
	add(a, operation{id: "confirmEmail", method: http.MethodPost, path: "/api/confirmations", tag: tagSignIn, traits: anyone,
		summary: "Confirm an e-mail address", doc: "Uses the link of the letter, once. Used or expired, it is gone (410): ask for another one.",
	}, func(ctx context.Context, in *With[Token]) (*Got[identity.Person], error) {
		return got(c.ConfirmEmail(ctx, in.actor(), secret.New(in.Body.Token)))
	})
	add(a, operation{id: "resendConfirmation", method: http.MethodPost, path: "/api/confirmations/resend", tag: tagSignIn, status: http.StatusAccepted, traits: anyone,
		summary: "Send the letter of confirmation again", doc: "Answers the same whether or not the address waits for one.",
	}, func(ctx context.Context, in *With[Address]) (*Got[Sent], error) {
		return sent(c.ResendConfirmation(ctx, in.actor(), in.Body.Email))
	})
	add(a, operation{id: "signIn", method: http.MethodPost, path: "/api/sessions", tag: tagSignIn, status: http.StatusCreated, traits: anyone,
		summary: "Sign in with a password",
		doc: `Answers with a session token, which is told once and works like a machine token. Wrong address and wrong password are one
answer (401). Tries are counted; too many answer 429 with Retry-After. Whoever has a second factor gets no token yet but
pending, for proveSecondFactor.`,
	}, func(ctx context.Context, in *With[Credentials]) (*Got[SignedIn], error) {
		return signedIn(c.SignIn(ctx, in.actor(), in.Body.Email, secret.New(in.Body.Password), in.agent()))
	})
	add(a, operation{id: "signInByLink", method: http.MethodPost, path: "/api/sessions/link", tag: tagSignIn, status: http.StatusCreated, traits: anyone,
		summary: "Sign in with a one-time link", doc: "Uses the link that staff are sent, once.",
	}, func(ctx context.Context, in *With[Token]) (*Got[SignedIn], error) {
		return signedIn(c.SignInByLink(ctx, in.actor(), secret.New(in.Body.Token), in.agent()))
	})
	add(a, operation{id: "requestPasswordReset", method: http.MethodPost, path: "/api/passwords/reset", tag: tagSignIn, status: http.StatusAccepted, traits: anyone,
		summary: "Ask for a link that sets a new password", doc: "Answers the same whether or not somebody has the address.",
	}, func(ctx context.Context, in *With[Address]) (*Got[Sent], error) {
		return sent(c.RequestPasswordReset(ctx, in.actor(), in.Body.Email))
	})
	type newPassword struct {
		Token    string `json:"token" doc:"What stands after token= in the link" example:"ghl_0123456789abcdefghjkmnpqrstvwxyz"`
		Password string `json:"password" doc:"The new password" example:"correct horse battery staple 8"`
	}
	add(a, operation{id: "resetPassword", method: http.MethodPost, path: "/api/passwords", tag: tagSignIn, traits: anyone,
		summary: "Set a new password by a link", doc: "Uses the link of the letter, once, and ends every session of the person.",
	}, func(ctx context.Context, in *With[newPassword]) (*None, error) {
		return &None{}, c.ResetPassword(ctx, in.actor(), secret.New(in.Body.Token), secret.New(in.Body.Password))
	})
	type passwordChange struct {
		Old      string `json:"old,omitempty" doc:"The password you have now; not needed when you have none yet" example:"correct horse battery staple 7"`
		Password string `json:"password" doc:"The new one" example:"correct horse battery staple 8"`
	}
	add(a, operation{id: "changePassword", method: http.MethodPost, path: "/api/passwords/change", tag: tagSignIn,
		summary: "Change your password", doc: "Ends every other session of yours. Needs a session: a machine token cannot do this.",
	}, func(ctx context.Context, in *With[passwordChange]) (*None, error) {
		return &None{}, c.ChangePassword(ctx, in.actor(), secret.New(in.Body.Old), secret.New(in.Body.Password))
	})
	add(a, operation{id: "me", method: http.MethodGet, path: "/api/me", tag: tagSignIn,
		summary: "Whom your token stands for", doc: "Yourself, as the rules see you: class, roles, organization.",
	}, func(_ context.Context, in *Caller) (*Got[Me], error) {
		p := in.actor()
		return got(Me{p.Class.String(), p.ID, p.Person, p.Name, p.Email, p.Organization, append([]identity.Role{}, p.Roles...), p.Session}, nil)
	})
	add(a, operation{id: "sessions", method: http.MethodGet, path: "/api/sessions", tag: tagSignIn,
		summary: "List your own sessions", doc: "The live ones, newest first. Needs a session.",
	}, func(ctx context.Context, in *Caller) (*Page[session.Session], error) {
		l, err := c.Sessions(ctx, in.actor())
		return paged(control.List[session.Session]{Items: l}, err, same)
	})
	add(a, operation{id: "signOut", method: http.MethodDelete, path: "/api/sessions/current", tag: tagSignIn,
		summary: "End the token that is used", doc: "Signs a session out, or revokes a machine token.",
	}, func(ctx context.Context, in *Caller) (*None, error) {
		if in.actor().Class == identity.Machine {
			_, err := c.RevokeMachineToken(ctx, in.actor(), in.actor().ID)
			return &None{}, err
		}
		return &None{}, c.SignOut(ctx, in.actor())
	})
	add(a, operation{id: "endSession", method: http.MethodDelete, path: "/api/sessions/{id}", tag: tagSignIn,
		summary: "End one of your sessions", doc: "On a device that you no longer have, say. Needs a session.",
	}, func(ctx context.Context, in *Object) (*None, error) {
		return &None{}, c.EndSession(ctx, in.actor(), in.object())
	})
	add(a, operation{id: "person", method: http.MethodGet, path: "/api/people/{id}", tag: tagSignIn,
		summary: "Show a person", doc: "Yourself, somebody of your organization, or for staff anybody.",
	}, func(ctx context.Context, in *Object) (*Versioned[identity.Person], error) {
		p, err := c.Person(ctx, in.actor(), in.object())
		return versioned(p, p.Version, err)
	})
}
