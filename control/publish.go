package control

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"gatehouse/authority"
	"gatehouse/env"
	"gatehouse/fault"
	"gatehouse/identity"
	"gatehouse/manifest"
	"gatehouse/policy"
	"gatehouse/ratelimit"
	"gatehouse/secret"
	"gatehouse/snapshot"
)

// Check parses and compiles a manifest for every environment it names, and changes nothing.
func (c *Control) Check(ctx context.Context, a identity.Actor, b manifest.Bundle) ([]manifest.Diagnostic, error) {
	if err := allow(a, "Check"); err != nil {
		return nil, err
	}
	p, ds := manifest.Parse(b)
	if !manifest.Fatal(ds) {
		for _, e := range p.Environments {
			for _, d := range c.compile(p, e.Name) {
				if !slices.Contains(ds, d) { // said of another environment already
					ds = append(ds, d)
				}
			}
		}
	}
	if ds == nil {
		ds = []manifest.Diagnostic{}
	}
	return ds, ctx.Err()
}

// compile compiles as a gateway would that has every secret: which ones it really has is its own affair.
func (c *Control) compile(p *manifest.Parsed, environment string) []manifest.Diagnostic {
	_, ds := snapshot.Compile(p, environment, 0, c.Kinds, policy.Deps{
		Limiter: func(string) *ratelimit.Limiter { return ratelimit.NewLimiter(1) },
		Secret:  func(string) (secret.Value, bool) { return secret.New("compiled only"), true },
		Tokens:  policy.NewTokens(), Proofs: c.proofs,
		Trusted: func(*policy.TrustedIssuer) *policy.TrustedKeys { return policy.NewTrustedKeys() },
		Revoked: func(*authority.Authority) *policy.Revocations { return policy.NewRevocations() },
	})
	return ds
}

// Published is what a publish did. Of one that was refused it has the diagnostics alone.
type Published struct {
	Revision    env.Revision          `json:"revision"`
	Unchanged   bool                  `json:"unchanged"`             // the newest revision has the same digest: no new one was made
	Diagnostics []manifest.Diagnostic `json:"diagnostics,omitempty"` // warnings
}

// Publish makes a revision of the environment. A manifest with an error is refused whole: fault.Invalid whose Fields are
// the diagnostics, and the running revision goes on. Operator, admin, Host or System.
func (c *Control) Publish(ctx context.Context, a identity.Actor, environment string, b manifest.Bundle, note string) (Published, error) {
	var out Published
	if err := allow(a, "Publish"); err != nil {
		return out, err
	}
	var f form
	note = f.optionalText("/note", note, longestReason)
	if err := f.err(); err != nil {
		return out, err
	}
	p, ds := manifest.Parse(b)
	if !manifest.Fatal(ds) {
		if !slices.ContainsFunc(p.Environments, func(e manifest.Environment) bool { return e.Name == environment }) {
			return out, fault.Bad("/environment", "the manifest has no environment %q", clip(environment))
		}
		ds = append(ds, c.compile(p, environment)...)
	}
	out.Diagnostics = ds
	if manifest.Fatal(ds) {
		return out, refused(ds)
	}
	digest, bundle := b.Digest(), b.Encode()
	err := c.update(ctx, a, "Publish", func(w *write) error {
		envs, err := w.tx.Environments(ctx)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(envs, func(e env.Environment) bool { return e.Name == environment }) {
			return missing("environment")
		}
		newest, err := w.tx.Revisions(ctx, environment, 0, 1)
		if err != nil {
			return err
		}
		if out.Unchanged = len(newest) > 0 && newest[0].Digest == digest; out.Unchanged {
			out.Revision = newest[0]
			return nil
		}
		out.Revision, err = w.addRevision(env.Revision{Environment: environment, Digest: digest, Bundle: bundle, By: a.Person, At: w.now, Note: note})
		return err
	})
	if err == nil {
		c.offers.put(digest, p)
	}
	return out, err
}

// refused is the fault of a manifest that cannot be published.
func refused(ds []manifest.Diagnostic) error {
	var fields []fault.Field
	for _, d := range ds {
		if d.Warning {
			continue
		}
		text := d.Text
		switch {
		case d.Line > 0:
			text = fmt.Sprintf("%s:%d: %s", d.File, d.Line, text)
		case d.File != "":
			text = d.File + ": " + text
		}
		fields = append(fields, fault.Field{Pointer: d.Pointer, Text: text})
	}
	return &fault.Error{Kind: fault.Invalid, Code: "manifest", Public: "the manifest was refused, and nothing was changed", Fields: fields}
}

// EnsureEnvironments adds those that are missing, in that order. Host or System, at start.
func (c *Control) EnsureEnvironments(ctx context.Context, a identity.Actor, names []string) error {
	if err := allow(a, "EnsureEnvironments"); err != nil {
		return err
	}
	for _, n := range names {
		if err := env.CheckName(n); err != nil {
			return err
		}
	}
	return c.update(ctx, a, "EnsureEnvironments", func(w *write) error {
		have, err := w.tx.Environments(ctx)
		if err != nil {
			return err
		}
		for _, n := range names {
			if slices.ContainsFunc(have, func(e env.Environment) bool { return e.Name == n }) {
				continue
			}
			e, err := w.addEnvironment(n)
			if err != nil {
				return err
			}
			have = append(have, e)
		}
		return nil
	})
}

// Revisions lists an environment's, newest first. Staff.
func (c *Control) Revisions(ctx context.Context, a identity.Actor, environment string, p Page) (List[env.Revision], error) {
	out := List[env.Revision]{Items: []env.Revision{}}
	err := c.view(ctx, a, "Revisions", func(r read) error {
		if err := r.environment(environment); err != nil {
			return err
		}
		before, err := number(p.After)
		if err != nil {
			return err
		}
		rs, err := r.tx.Revisions(ctx, environment, before, p.limit()+1)
		if len(rs) > p.limit() {
			rs = rs[:p.limit()]
			out.Next = fmt.Sprint(rs[len(rs)-1].Number)
		}
		out.Items = append(out.Items, rs...)
		return err
	})
	return out, err
}

// environment checks that there is such an environment.
func (r read) environment(name string) error {
	envs, err := r.tx.Environments(r.ctx)
	if err == nil && !slices.ContainsFunc(envs, func(e env.Environment) bool { return e.Name == name }) {
		return missing("environment")
	}
	return err
}

// Revision returns one; number 0 is the newest. Staff.
func (c *Control) Revision(ctx context.Context, a identity.Actor, environment string, number int64) (env.Revision, manifest.Bundle, error) {
	var rev env.Revision
	err := c.view(ctx, a, "Revision", func(r read) (err error) {
		if number < 0 {
			return missing("revision")
		}
		rev, err = r.tx.Revision(ctx, environment, number)
		if errors.Is(err, fault.NotFound) {
			return missing("revision")
		}
		return err
	})
	if err != nil {
		return rev, nil, err
	}
	b, err := manifest.Decode(rev.Bundle)
	if err != nil {
		return rev, nil, fmt.Errorf("revision %d of %s: %w", rev.Number, environment, err)
	}
	return rev, b, nil
}
