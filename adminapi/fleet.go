package adminapi

import (
	"context"
	"encoding/base64"
	"io"
	"net/http"
	"os"

	"github.com/danielgtaylor/huma/v2"

	"gatehouse/control"
	"gatehouse/env"
	"gatehouse/fault"
	"gatehouse/feed"
	"gatehouse/fleet"
	"gatehouse/id"
	"gatehouse/identity"
)

// NewEnrolment is a gateway that is to join.
type NewEnrolment struct {
	Environment string `json:"environment" doc:"The environment that it serves" example:"live"`
	Region      string `json:"region,omitempty" doc:"In which region, where the environment is served in some" example:"eu"`
	Name        string `json:"name" doc:"What it is called: unique among those of its environment. An active one of that name is revoked once the token is used" example:"fra-1"`
	Lifetime    string `json:"lifetime,omitempty" doc:"How long the token is good for, at most 24h; an hour, when left out" example:"30m"`
}

// GatewayEnrolment is the right to become a gateway, with its token.
type GatewayEnrolment struct {
	fleet.Enrolment
	Token string `json:"token"`
}

// InEnvironment is the input of an operation on one environment.
type InEnvironment struct {
	Caller
	Name string `path:"environment" doc:"The environment" example:"live"`
}

// OfFeed is the input of an operation on one feed.
type OfFeed struct {
	InEnvironment
	Region string `query:"region" doc:"The region whose feed it is, where the environment is served in some" example:"eu"`
}

// feed is its name.
func (i OfFeed) feed() string { return env.FeedOf(i.Name, i.Region) }

// NewRegion is a region in which an environment is to be served.
type NewRegion struct {
	Region string `json:"region" doc:"Lower case letters, digits and hyphens, a letter first" example:"eu"`
	Reason string `json:"reason" doc:"Why; it stands in the audit" example:"contracts name the EU"`
}

// fleet adds the gateways.
func (a *api) fleet() {
	c := a.Control
	add(a, operation{id: "fleet", method: http.MethodGet, path: "/api/gateways", tag: tagGateways,
		summary: "List the gateways and how each stands",
		doc:     "What each serves, how far it is behind, when it was heard of and how far its clock differs; with the trouble of those that have some. For staff.",
	}, func(ctx context.Context, in *Caller) (*Page[control.FleetGateway], error) {
		l, err := c.Fleet(ctx, in.actor())
		return paged(control.List[control.FleetGateway]{Items: l}, err, same)
	})
	add(a, operation{id: "enrolGateway", method: http.MethodPost, path: "/api/gateway-enrolments", tag: tagGateways, status: http.StatusCreated,
		summary: "Make a token with which one gateway joins, once",
		doc:     "The token is shown once; only its hash is kept. It carries the pin of the control plane's anchor. For an operator or admin.",
	}, func(ctx context.Context, in *With[NewEnrolment]) (*Got[GatewayEnrolment], error) {
		lifetime, err := span("/lifetime", in.Body.Lifetime)
		if err != nil {
			return nil, err
		}
		e, err := c.EnrolGateway(ctx, in.actor(), in.Body.Environment, in.Body.Region, in.Body.Name, lifetime)
		return got(GatewayEnrolment{e.Enrolment, e.Token.Reveal()}, err)
	})
	add(a, operation{id: "fleetChanges", method: http.MethodGet, path: "/api/gateway-changes", tag: tagGateways,
		summary: "List the newest publishes and revocations with where each is in force",
		doc:     "Of each environment: on how many of its gateways, how long after its commit the last of them said so, and which have not. Any other change: see the one with its number. For staff.",
	}, func(ctx context.Context, in *Caller) (*Page[control.FleetChange], error) {
		l, err := c.FleetChanges(ctx, in.actor())
		return paged(control.List[control.FleetChange]{Items: l}, err, same)
	})
	add(a, operation{id: "fleetRefusals", method: http.MethodGet, path: "/api/gateway-refusals", tag: tagGateways,
		summary: "List what was turned away that called as a gateway or wanted to become one",
		doc:     "The newest first, with why and how often: a token that was used before or is of another environment, a clock that is wrong, another history of the feed, a release that is too old. For staff.",
	}, func(ctx context.Context, in *Caller) (*Page[fleet.Refusal], error) {
		l, err := c.FleetRefusals(ctx, in.actor())
		return paged(control.List[fleet.Refusal]{Items: l}, err, same)
	})
	end := func(id, path, summary, doc string, s fleet.State) {
		deed(a, operation{id: id, path: "/api/gateways/{id}/" + path, tag: tagGateways, summary: summary, doc: doc}, endGateway(c, s))
	}
	end("revokeGateway", "revocation", "Revoke a gateway's identity",
		"It serves nothing from the moment it hears of it, and for ever; if it does not hear of it, until its offline bound has run out. For an operator or admin.", fleet.Revoked)
	end("drainGateway", "drain", "Take a gateway out in good order", "No change waits for it any more. It goes on serving until it is stopped. For an operator or admin.", fleet.Drained)
	add(a, operation{id: "rotateAnchor", method: http.MethodPost, path: "/api/gateway-anchors", tag: tagGateways, status: http.StatusCreated,
		summary: "Begin with another authority for gateways' certificates",
		doc:     "Gateways are told of it now; it signs three days later, and the one before ends when nothing that it signed counts any more. For an operator or admin.",
	}, func(ctx context.Context, in *With[struct{}]) (*Page[fleet.Anchor], error) {
		l, err := c.RotateAnchor(ctx, in.actor())
		return paged(control.List[fleet.Anchor]{Items: l}, err, same)
	})
	add(a, operation{id: "raiseEpoch", method: http.MethodPost, path: "/api/environments/{environment}/epoch", tag: tagGateways,
		summary: "Begin another epoch of an environment's feed",
		doc: `For a database that was put back by other means than a restore. Gateways refuse another history until this is done; then they
take everything anew. Revoke first what was revoked since the copy was made. For an operator or admin in person.`,
	}, func(ctx context.Context, in *struct {
		InEnvironment
		Body Reason
	}) (*Got[Environment], error) {
		e, err := c.RaiseEpoch(ctx, in.actor(), in.Name, in.Body.Reason)
		return got(Environment{Environment: e, Gateways: []feed.Receipt{}}, err)
	})
	add(a, operation{id: "addRegion", method: http.MethodPost, path: "/api/environments/{environment}/regions", tag: tagGateways, status: http.StatusCreated, traits: []trait{slow},
		summary: "Serve an environment in another region",
		doc: `Gateways can be enrolled there once this is answered: their feed then tells everything that came before. Broken off, it goes on when it is
called again. Upgrade every process of the control plane first: an older one refuses the database from now on. For an operator or admin.`,
	}, func(ctx context.Context, in *struct {
		InEnvironment
		Body NewRegion
	}) (*Got[Environment], error) {
		e, err := c.AddRegion(ctx, in.actor(), in.Name, in.Body.Region, in.Body.Reason)
		return got(Environment{Environment: e, Gateways: []feed.Receipt{}}, err)
	})
	add(a, operation{id: "removeRegion", method: http.MethodPost, path: "/api/environments/{environment}/regions/{region}/removal", tag: tagGateways,
		summary: "Serve an environment in a region no more",
		doc:     "Its gateways must have been drained or revoked, and no organization may be pinned to it. For an operator or admin.",
	}, func(ctx context.Context, in *struct {
		InEnvironment
		Region string `path:"region" doc:"The region" example:"eu"`
		Body   Reason
	}) (*Got[Environment], error) {
		e, err := c.RemoveRegion(ctx, in.actor(), in.Name, in.Region, in.Body.Reason)
		return got(Environment{Environment: e, Gateways: []feed.Receipt{}}, err)
	})
	add(a, operation{id: "inForceAt", method: http.MethodGet, path: "/api/environments/{environment}/changes/{seq}", tag: tagGateways,
		summary: "Say where the change with a number is in force",
		doc:     "On how many gateways, how long after its commit the last of them said so, and which have not. For staff.",
	}, func(ctx context.Context, in *struct {
		OfFeed
		Seq int64 `path:"seq" minimum:"1" doc:"The change's number in the environment's feed" example:"4711"`
	}) (*Got[control.InForce], error) {
		return got(c.InForceAt(ctx, in.actor(), in.feed(), in.Seq))
	})
	add(a, operation{id: "gatewayImage", method: http.MethodGet, path: "/api/environments/{environment}/image", tag: tagGateways, traits: []trait{slow},
		summary: "Get an image from which a gateway can begin while the control plane is away",
		doc:     "Signed; it holds no secret. The field X-Feed-Key is the public key that verifies it. For an operator or admin.",
	}, func(ctx context.Context, in *OfFeed) (*huma.StreamResponse, error) {
		file, err := c.GatewayImage(ctx, in.actor(), in.feed())
		if err != nil {
			return nil, err
		}
		f, err := os.Open(file)
		if err != nil {
			return nil, fault.New(fault.Unavailable, "the image cannot be read").Because(err)
		}
		return &huma.StreamResponse{Body: func(ctx huma.Context) {
			defer f.Close()
			ctx.SetHeader("Content-Type", "application/octet-stream")
			ctx.SetHeader("X-Feed-Key", base64.StdEncoding.EncodeToString(c.FeedKey))
			ctx.SetStatus(http.StatusOK)
			_, _ = io.Copy(ctx.BodyWriter(), f) // what is cut off has no seal
		}}, nil
	})
}

// endGateway is a deed that ends a gateway.
func endGateway(c *control.Control, s fleet.State) func(context.Context, identity.Actor, id.ID, int64, string) (fleet.Gateway, int64, error) {
	return func(ctx context.Context, a identity.Actor, i id.ID, version int64, reason string) (fleet.Gateway, int64, error) {
		g, err := c.EndGateway(ctx, a, i, s, reason, version)
		return g, g.Version, err
	}
}
