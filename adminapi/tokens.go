package adminapi

import (
	"context"
	"net/http"
	"time"

	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/secret"
)

// FreshToken is a machine token with its secret, told once.
type FreshToken struct {
	Token        string                `json:"token"`
	MachineToken identity.MachineToken `json:"machine_token"`
}

// DeviceStart is the begin of a sign-in by device code.
type DeviceStart struct {
	DeviceCode string    `json:"device_code"`
	UserCode   string    `json:"user_code"`
	URL        string    `json:"url"`
	Expires    time.Time `json:"expires"`
	Interval   float64   `json:"interval"`
}

// Device is a sign-in that waits for a person.
type Device struct {
	UserCode string    `json:"user_code"`
	Client   string    `json:"client"`
	Created  time.Time `json:"created"`
	Expires  time.Time `json:"expires"`
}

// tokens adds machine tokens, and the sign-in of the command line that ends with one.
func (a *api) tokens() {
	c := a.Control
	add(a, operation{id: "machineTokens", method: http.MethodGet, path: "/api/machine-tokens", tag: tagTokens,
		summary: "List machine tokens", doc: "Your own; for an admin, all. No secret is in it.",
	}, func(ctx context.Context, in *struct {
		Caller
		Paging
	}) (*Page[identity.MachineToken], error) {
		l, err := c.MachineTokens(ctx, in.actor(), in.page())
		return paged(l, err, same)
	})
	type newToken struct {
		Name    string          `json:"name" doc:"To know it again" example:"deploy pipeline"`
		Roles   []identity.Role `json:"roles" nullable:"false" doc:"Some of your own roles. If you lose one, so does the token." example:"operator"`
		Expires time.Time       `json:"expires" doc:"Its end, at most a year from now" example:"2027-06-30T00:00:00Z"`
	}
	add(a, operation{id: "createMachineToken", method: http.MethodPost, path: "/api/machine-tokens", tag: tagTokens, status: http.StatusCreated,
		summary: "Create a machine token",
		doc: `The token is in this answer and in none after it. It acts for you, with the roles that it was given and that you still have.
Needs a session: a token that leaked cannot make itself a successor.`,
	}, func(ctx context.Context, in *struct {
		Caller
		Body newToken
	}) (*Made[FreshToken], error) {
		m, token, err := c.CreateMachineToken(ctx, in.actor(), in.Body.Name, in.Body.Roles, in.Body.Expires)
		return made("/api/machine-tokens", m.ID, FreshToken{token.Reveal(), m}, m.Version, err)
	})
	add(a, operation{id: "revokeMachineToken", method: http.MethodPost, path: "/api/machine-tokens/{id}/revoke", tag: tagTokens,
		summary: "End a machine token", doc: "At once. Your own; for an owner any of the organization, for an admin any.",
	}, func(ctx context.Context, in *Object) (*Versioned[identity.MachineToken], error) {
		m, err := c.RevokeMachineToken(ctx, in.actor(), id.ID(in.ID))
		return versioned(m, m.Version, err)
	})
	a.devices()
}

// devices adds the sign-in by device code (RFC 8628).
func (a *api) devices() {
	c := a.Control
	type newDevice struct {
		Client string `json:"client" doc:"What asks, as the person will see it" example:"gatehouse on build-7"`
	}
	add(a, operation{id: "startDevice", method: http.MethodPost, path: "/api/devices", tag: tagTokens, status: http.StatusCreated, traits: []trait{open},
		summary: "Begin a sign-in by device code",
		doc: `For programs without a browser: show the user code and the URL, let a signed-in person compare and allow it there, and
meanwhile ask for the token every interval seconds.`,
	}, func(ctx context.Context, in *struct {
		Caller
		Body newDevice
	}) (*Got[DeviceStart], error) {
		d, err := c.StartDevice(ctx, in.actor(), in.Body.Client)
		return got(DeviceStart{d.DeviceCode.Reveal(), d.UserCode, d.URL, d.Expires, d.Interval.Seconds()}, err)
	})
	type devicePoll struct {
		DeviceCode string `json:"device_code" doc:"Of the begin" example:"ghd_0123456789abcdefghjkmnpqrstvwxyz"`
	}
	add(a, operation{id: "pollDevice", method: http.MethodPost, path: "/api/devices/token", tag: tagTokens, traits: []trait{open},
		summary: "Ask whether the sign-in was allowed",
		doc: `Answers with a machine token, once. Before that it is a problem of the type authorization-pending, or slow-down when asked
more often than the interval allows; then access-denied or expired-token.`,
	}, func(ctx context.Context, in *struct {
		Caller
		Body devicePoll
	}) (*Got[FreshToken], error) {
		m, token, err := c.PollDevice(ctx, in.actor(), secret.New(in.Body.DeviceCode))
		return got(FreshToken{token.Reveal(), m}, err)
	})
	type code struct {
		Caller
		Code string `path:"code" doc:"The user code, as it is typed" example:"BCDF-GHJK"`
	}
	add(a, operation{id: "device", method: http.MethodGet, path: "/api/devices/{code}", tag: tagTokens,
		summary: "Show a sign-in that waits for you", doc: "What asks, since when, until when. Needs a session.",
	}, func(ctx context.Context, in *code) (*Got[Device], error) {
		d, err := c.Device(ctx, in.actor(), in.Code)
		return got(Device{d.UserCode, d.Client, d.Created, d.Expires}, err)
	})
	type deviceDecision struct {
		Allow bool `json:"allow" doc:"true gives the program a machine token with your roles, for 30 days" example:"true"`
	}
	type decide struct {
		Caller
		Code string `path:"code" doc:"The user code, as it is typed" example:"BCDF-GHJK"`
		Body deviceDecision
	}
	add(a, operation{id: "decideDevice", method: http.MethodPost, path: "/api/devices/{code}/decision", tag: tagTokens,
		summary: "Allow or deny it", doc: "Only what you have begun yourself: compare the code. Needs a session.",
	}, func(ctx context.Context, in *decide) (*None, error) {
		return &None{}, c.DecideDevice(ctx, in.actor(), in.Code, in.Body.Allow)
	})
}
