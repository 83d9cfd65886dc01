package main

import (
	"context"
	"time"
)

// group is what is measured together, in rounds of all.
type group struct {
	name, what string
	short      bool // also in the short run
	build      func(context.Context, *lab) ([]entrant, error)
}

// entrant is one target in one case. The first of a group is nginx's plain proxy: the others are told in its terms.
type entrant struct {
	kase, target string
	process      *process
	load         load
}

// groups are all that there are.
func groups() []group {
	return []group{
		{"main", "GET, 1 KB, 64 connections: plain, and with key, grant, limit, event and metrics", true, oneGroup("", smallPath, openPath, 64, false)},
		{"many", "the same on 256 connections", false, oneGroup("", smallPath, openPath, 256, false)},
		{"large", "answers of 64 KB", false, oneGroup("-64k", largePath, "/open/v1/large", 64, false)},
		{"upload", "requests of 64 KB", false, uploadGroup},
		{"jwt", "a JWT that was verified before, with grant, limit, event and metrics", false, tokenGroup},
		{"tls", "over TLS, on kept connections", false, oneGroup("-tls", smallPath, openPath, 64, true)},
		{"h2", "HTTP/2 over TLS from clients, 16 connections with 8 streams each, HTTP/1.1 to the upstream", false, h2Group("h2", true)},
		{"h2c", "the same without TLS", false, h2Group("h2c", false)},
		{"routes", "10,000 routes, asked in turn", false, routesGroup},
		{"credentials", "1,000,000 credentials, 1,000 of them in turn", false, credentialsGroup},
	}
}

// oneGroup is everybody, plain and with policies. Gatehouse's plain case is a route that says anonymous: event and metrics
// are written all the same.
func oneGroup(suffix, path, open string, connections int, tls bool) func(context.Context, *lab) ([]entrant, error) {
	return func(ctx context.Context, l *lab) ([]entrant, error) {
		name := "gatehouse"
		if tls {
			name += "-tls"
		}
		h, err := l.gatehouse(ctx, name, 0, tls)
		if err != nil {
			return nil, err
		}
		plain := load{connections: connections, path: path, key: h.keys[0]}
		ours := plain
		ours.path = open
		var all []entrant
		add := func(kase, target string, ld load, start func() (*process, error)) {
			if err != nil {
				return
			}
			var p *process
			if p, err = start(); err == nil && p != nil {
				all = append(all, entrant{kase + suffix, target, p, ld})
			}
		}
		here := func() (*process, error) { return h.process, nil }
		add("plain", "nginx", plain, func() (*process, error) { return l.nginxPlain(ctx, tls) })
		add("policy", "gatehouse", plain, here)
		add("policy", "nginx", plain, func() (*process, error) {
			return l.nginxPolicy(ctx, "nginx-policy"+secure(tls), h.keys, nginxConf{tls: tls})
		})
		add("plain", "gatehouse", ours, here)
		add("policy", "haproxy", plain, func() (*process, error) { return l.haproxy(ctx, "haproxy-policy"+secure(tls), h.keys, tls) })
		add("plain", "haproxy", plain, func() (*process, error) { return l.haproxy(ctx, "haproxy"+secure(tls), nil, tls) })
		if !l.short {
			add("plain", "caddy", plain, func() (*process, error) { return l.caddy(ctx, tls) })
		}
		return all, err
	}
}

// tokenGroup has one access token, as RFC 9068 has it, which is verified once and then known: credential and grant are looked up
// on each request all the same. nginx verifies none without its commercial part, so it is asked for the plain proxy only.
func tokenGroup(ctx context.Context, l *lab) ([]entrant, error) {
	h, err := l.gatehouse(ctx, "gatehouse", 0, false)
	if err != nil {
		return nil, err
	}
	token, err := h.token(ctx)
	if err != nil {
		return nil, err
	}
	n, err := l.nginxPlain(ctx, false)
	if err != nil {
		return nil, err
	}
	ld := load{connections: 64, path: tokenPath, token: token}
	keyed := load{connections: 64, path: smallPath, key: h.keys[0]}
	return []entrant{{"plain-jwt", "nginx", n, ld}, {"jwt", "gatehouse", h.process, ld}, {"key-jwt", "gatehouse", h.process, keyed}}, nil
}

func uploadGroup(ctx context.Context, l *lab) ([]entrant, error) {
	h, err := l.gatehouse(ctx, "gatehouse", 0, false)
	if err != nil {
		return nil, err
	}
	script, err := uploads(l.dir, large)
	if err != nil {
		return nil, err
	}
	ld := load{connections: 64, path: uploadPath, key: h.keys[0], script: script}
	n, err := l.nginxPlain(ctx, false)
	if err != nil {
		return nil, err
	}
	p, err := l.haproxy(ctx, "haproxy", nil, false)
	if err != nil {
		return nil, err
	}
	return []entrant{{"upload-64k", "nginx", n, ld}, {"upload-64k", "gatehouse", h.process, ld}, {"upload-64k", "haproxy", p, ld}}, nil
}

const manyRoutes = 10_000

func routesGroup(ctx context.Context, l *lab) ([]entrant, error) {
	h, err := l.gatehouse(ctx, "gatehouse-routes", manyRoutes, false)
	if err != nil {
		return nil, err
	}
	var paths []string
	for i := range manyRoutes {
		paths = append(paths, routePath(i))
	}
	script, err := inTurn(l.dir, "routes", paths, h.keys)
	if err != nil {
		return nil, err
	}
	n, err := l.nginxRoutes(ctx, paths)
	if err != nil {
		return nil, err
	}
	ld := load{connections: 64, path: "/", script: script, warm: 5 * time.Second} // each route's first request makes its series
	return []entrant{{"routes-10000", "nginx", n, ld}, {"routes-10000", "gatehouse", h.process, ld}}, nil
}

func secure(tls bool) string {
	if tls {
		return "-tls"
	}
	return ""
}
