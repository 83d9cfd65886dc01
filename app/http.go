package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"runtime/debug"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"gatehouse/adminapi"
	"gatehouse/authserver"
	"gatehouse/control"
	"gatehouse/portal"
)

// Bounds of the control plane's own HTTP server.
const (
	headTime    = 10 * time.Second
	bodyTime    = time.Minute
	answerTime  = 2 * time.Minute // the longest is a verification of a large log
	idleTime    = 2 * time.Minute
	maxHead     = 32 << 10
	maxBody     = 1 << 20
	maxManifest = 48 << 20 // a bundle of 32 MB as base64
)

// pages is everything that control's listener serves.
func (s *serving) pages(p *control.Control) (http.Handler, error) {
	api, err := adminapi.New(adminapi.Options{Control: p, Log: s.Log, Now: time.Now, Version: s.Version})
	if err != nil {
		return nil, err
	}
	tokens, err := authserver.New(authserver.Options{Control: p, Log: s.Log, Now: time.Now})
	if err != nil {
		return nil, err
	}
	people, err := portal.New(portal.Options{
		Control: p, Box: s.box, Dev: s.Config.Dev, Secure: strings.HasPrefix(p.URL, "https:"),
		Version: s.Version, Now: time.Now, Log: s.Log,
	})
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/api/", api)
	mux.Handle(authserver.Prefix, tokens)
	mux.Handle(authserver.WellKnown, tokens)
	mux.Handle("/", people)
	if s.Config.Dev {
		return s.guarded(onlyHere(p.URL, mux)), nil
	}
	return s.guarded(mux), nil
}

// guarded bounds bodies, logs accesses, and survives a panic.
func (s *serving) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began, rec := time.Now(), &recorder{ResponseWriter: w}
		limit := int64(maxBody)
		if strings.HasPrefix(r.URL.Path, "/api/") && (strings.HasSuffix(r.URL.Path, "/revisions") || r.URL.Path == "/api/checks" || strings.HasPrefix(r.URL.Path, "/api/drift/bundles/")) {
			limit = maxManifest
		}
		if portal.Uploads(r.URL.Path) {
			limit = portal.MaxUpload
		}
		r = r.WithContext(r.Context()) // a copy: by the body of its own request net/http sees what is unread, and does not wait for it
		r.Body = http.MaxBytesReader(rec, r.Body, limit)
		defer func() {
			if x := recover(); x != nil {
				if x == http.ErrAbortHandler {
					panic(x)
				}
				s.Log.Error("panic", "path", r.URL.Path, "panic", x, "stack", string(debug.Stack()))
				if rec.status == 0 {
					http.Error(rec, "Something went wrong on our side.", http.StatusInternalServerError)
				}
			}
			s.Log.Debug("access", "method", r.Method, "path", r.URL.Path, "status", rec.status, "ms", time.Since(began).Milliseconds(),
				"request_id", rec.Header().Get("X-Request-Id"))
		}()
		next.ServeHTTP(rec, r)
	})
}

// recorder remembers the status.
type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 && status >= 200 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach what is below.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// serveHTTP serves until ctx ends, then lets running requests end.
func serveHTTP(ctx context.Context, l net.Listener, h http.Handler, log *slog.Logger) error {
	server := &http.Server{
		Handler: h, ReadHeaderTimeout: headTime, ReadTimeout: bodyTime, WriteTimeout: answerTime, IdleTimeout: idleTime,
		MaxHeaderBytes: maxHead, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	err := server.Shutdown(drain)
	if err != nil {
		err = errors.Join(fmt.Errorf("some requests did not end in %s and were cut off", drainTime), server.Close())
	}
	<-done
	return err
}

// operations is health, metrics and profiles.
func (s *serving) operations() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		var trouble []string
		for _, g := range s.gateways {
			if err := g.Ready(); err != nil {
				trouble = append(trouble, fmt.Sprintf("gateway of %s: %v", g.environment, err))
			}
		}
		if p := s.plane.Load(); p == nil {
			trouble = append(trouble, "the control plane is being handed over")
		} else if err := p.Failing(); err != nil {
			trouble = append(trouble, fmt.Sprintf("changes do not reach the gateways: %v", err))
		}
		if trouble != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprintln(w, strings.Join(trouble, "\n"))
			return
		}
		fmt.Fprintln(w, "ready")
	})
	mux.HandleFunc("GET /upstreams", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		for _, g := range s.gateways {
			for _, u := range g.Upstreams() {
				writeUpstream(w, g.environment, u)
			}
		}
	})
	all := prometheus.Gatherers{prometheus.DefaultGatherer}
	for _, g := range s.gateways {
		all = append(all, g.Metrics())
		if g.counters != nil {
			all = append(all, countersMetrics(g.environment, g.counters))
		}
	}
	all = append(all, newFeedMetrics(func() *control.Control {
		if p := s.plane.Load(); p != nil {
			return p.Control
		}
		return nil
	}, time.Now, s.Log))
	mux.Handle("GET /metrics", promhttp.HandlerFor(all, promhttp.HandlerOpts{}))
	for path, profile := range map[string]http.HandlerFunc{"": pprof.Index, "cmdline": pprof.Cmdline, "profile": pprof.Profile, "symbol": pprof.Symbol, "trace": pprof.Trace} {
		mux.Handle("GET /debug/pprof/"+path, onlyHere("", profile)) // wherever metrics are collected from
	}
	if s.Config.Dev {
		return onlyHere("", mux)
	}
	return mux
}
