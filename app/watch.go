package app

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"gatehouse/config"
	"gatehouse/control"
	"gatehouse/drift"
	"gatehouse/drift/bundle"
	"gatehouse/drift/live"
	"gatehouse/drift/review"
	"gatehouse/fault"
	"gatehouse/secret"
)

// watch makes the drift review of the environments that the start-up configuration names; nil when it names none. Each is read from a
// folder, from a gateway that runs, or, where "bundle:" stands in its place, from what was uploaded.
func watch(c config.Config, log *slog.Logger) (*control.Watch, error) {
	w := &control.Watch{Every: c.Drift.Every, Notify: strings.Fields(c.Drift.Notify)}
	var sources []review.Source
	tokens := map[string]secret.Value{}
	for s := range strings.FieldsSeq(c.Drift.Environments) {
		src, err := review.ParseSource(s)
		if err != nil {
			return nil, fault.Bad("/drift/environments", "%s", fault.As(err).Public)
		}
		if slices.Contains(w.Names, src.Name) {
			return nil, fault.Bad("/drift/environments", "two environments are called %q", src.Name)
		}
		if name, ok := src.Values["token"]; ok && src.Running() {
			if tokens[src.Name], ok = c.Secrets[name]; !ok {
				return nil, fault.Bad("/drift/environments", "%s: there is no secret %q in the start-up configuration", src.Name, name)
			}
			delete(src.Values, "token")
		}
		if (src.Running() || src.Uploaded()) && src.Gateway == "" {
			return nil, fault.Bad("/drift/environments", "%s: name the gateway behind the environment's name, such as %s:kong=…", src.Name, src.Name)
		}
		if src.Uploaded() {
			w.Bundles = append(w.Bundles, src.Name)
		}
		sources, w.Names = append(sources, src), append(w.Names, src.Name)
	}
	if len(sources) == 0 {
		return nil, nil
	}
	w.Review = func(ctx context.Context, now time.Time, bundles map[string]*drift.Environment) (*drift.Result, error) {
		start := time.Now()
		var envs []*drift.Environment
		for _, s := range sources {
			if e, err := seen(ctx, s, now, tokens[s.Name], bundles); err != nil {
				return nil, err
			} else if e != nil {
				envs = append(envs, e)
			}
		}
		r := drift.Compare(envs, drift.Settings{Now: now})
		log.Info("drift review", "environments", len(envs), "findings", len(r.Findings), "took", time.Since(start))
		return r, nil
	}
	w.Unpack = func(name string, b []byte, now time.Time) (*drift.Environment, error) {
		i := slices.IndexFunc(sources, func(s review.Source) bool { return s.Name == name })
		return unpack(sources[i], b, now)
	}
	return w, nil
}

// seen reads one environment; nil when it waits for its first bundle. A gateway that cannot be asked fails the review: without it,
// everything else would be told as news when it comes back.
func seen(ctx context.Context, s review.Source, now time.Time, token secret.Value, bundles map[string]*drift.Environment) (*drift.Environment, error) {
	switch {
	case s.Uploaded():
		return bundles[s.Name], nil
	case s.Running():
		e, err := s.Ask(now, func(gateway, address string) (fs.FS, []drift.Problem, error) {
			return live.Fetch(ctx, live.Source{Gateway: gateway, Address: address}, live.Options{Token: token, Kubeconfig: os.Getenv("KUBECONFIG"), Environ: os.Getenv})
		})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.Name, err)
		}
		return e, nil
	}
	return s.Read(now)
}

// unpack reads a bundle as an environment. One in which nothing of the gateway is found is refused: it would stand for an environment
// without operations.
func unpack(s review.Source, b []byte, now time.Time) (*drift.Environment, error) {
	fsys, problems, err := bundle.Open(b)
	if err != nil {
		return nil, err
	}
	e, err := s.Within(fsys, now)
	if err != nil {
		return nil, err
	}
	for _, p := range problems {
		e.Files.Failed++
		e.Problems = append(e.Problems, p)
	}
	if len(e.Operations) == 0 {
		why := "its files are not of this gateway"
		if len(e.Problems) > 0 {
			why = e.Problems[0].String()
		}
		return nil, fault.Bad("/bundle", "nothing that %s exposes is in the bundle: %s", s.Gateway, why)
	}
	return e, nil
}
