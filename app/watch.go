package app

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"gatehouse/config"
	"gatehouse/control"
	"gatehouse/drift"
	"gatehouse/drift/review"
	"gatehouse/fault"
)

// watch makes the drift review of the environments that the start-up configuration names; nil when it names none.
func watch(c config.Config, log *slog.Logger) (*control.Watch, error) {
	var sources []review.Source
	var names []string
	for s := range strings.FieldsSeq(c.Drift.Environments) {
		src, err := review.ParseSource(s)
		if err != nil {
			return nil, fault.Bad("/drift/environments", "%s", fault.As(err).Public)
		}
		if src.Running() {
			return nil, fault.Bad("/drift/environments", "%q is not a folder: running gateways are read by gatehouse drift, not by the control plane", s)
		}
		sources, names = append(sources, src), append(names, src.Name)
	}
	if len(sources) == 0 {
		return nil, nil
	}
	return &control.Watch{Names: names, Every: c.Drift.Every, Notify: strings.Fields(c.Drift.Notify), Review: func(_ context.Context, now time.Time) (*drift.Result, error) {
		start := time.Now()
		envs := make([]*drift.Environment, len(sources))
		for i, s := range sources {
			var err error
			if envs[i], err = s.Read(now); err != nil {
				return nil, err
			}
		}
		r := drift.Compare(envs, drift.Settings{Now: now})
		log.Info("drift review", "environments", len(envs), "findings", len(r.Findings), "took", time.Since(start))
		return r, nil
	}}, nil
}
