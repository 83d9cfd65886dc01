package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// nginxConf is what one nginx does. Two workers: as many as Gatehouse, HAProxy and Caddy have threads on two cores.
type nginxConf struct {
	before string // beside the server
	server string // its locations
	tls    bool
	h2     bool   // its clients speak HTTP/2
	main   string // beside everything
}

func (l *lab) nginx(ctx context.Context, name string, c nginxConf) (*process, error) {
	return l.once(name, func() (*process, error) {
		addr, err := freeAddr()
		if err != nil {
			return nil, err
		}
		listen := addr
		if c.tls {
			listen += " ssl"
			c.before += fmt.Sprintf("ssl_certificate %s; ssl_certificate_key %s; ssl_protocols TLSv1.2 TLSv1.3; ssl_session_cache shared:s:10m;\n", l.certificate, l.key)
		}
		if c.h2 {
			listen += " http2"
		}
		if os.Geteuid() == 0 {
			c.main = "user root;" // its workers read files of ours
		}
		text := fmt.Sprintf(`daemon off; %[7]s worker_processes %[1]d; pid %[2]s/%[3]s.pid; error_log %[2]s/%[3]s.log;
events { worker_connections 4096; }
http { access_log off; keepalive_requests 1000000000; client_body_temp_path %[2]s/body-%[3]s; proxy_temp_path %[2]s/proxy-%[3]s;
fastcgi_temp_path %[2]s/f-%[3]s; uwsgi_temp_path %[2]s/u-%[3]s; scgi_temp_path %[2]s/s-%[3]s;
%[4]s
server { listen %[5]s; default_type application/json;
%[6]s
} }
`, workers(), l.dir, name, c.before, listen, c.server, c.main)
		file := filepath.Join(l.dir, name+".conf")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return nil, err
		}
		p, err := start(name, l.dir, nil, "nginx", "-c", file, "-p", l.dir)
		if err != nil {
			return nil, err
		}
		p.addr, p.tls = addr, c.tls
		return p, nil
	})
}

// The sizes of answers and uploads.
const (
	small = 1 << 10
	large = 64 << 10
)

// upstreamAt starts what all targets stand in front of: it answers small everywhere and large at one place.
func (l *lab) upstreamAt(ctx context.Context) (string, error) {
	file := filepath.Join(l.dir, "large.json")
	if err := os.WriteFile(file, []byte(strings.Repeat("x", large)), 0o644); err != nil {
		return "", err
	}
	p, err := l.nginx(ctx, "upstream", nginxConf{before: "open_file_cache max=10; sendfile on;", server: fmt.Sprintf(
		`client_max_body_size 1m; location / { return 200 "%s"; } location = %s { alias %s; }`, strings.Repeat("x", small), largePath, file)})
	if err != nil {
		return "", err
	}
	return p.addr, nil
}

// pass is nginx's plain proxy_pass on kept connections.
const pass = `proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection "";`

func kept(upstream string) string {
	return "upstream up { server " + upstream + "; keepalive 512; keepalive_requests 1000000000; }\n"
}

// nginxPlain passes everything on and decides nothing.
func (l *lab) nginxPlain(ctx context.Context, tls bool) (*process, error) {
	return l.nginx(ctx, "nginx"+suffix(tls), nginxConf{before: kept(l.upstream), server: "location / { " + pass + " }", tls: tls})
}

// nginxPolicy looks the key up in a map and counts the application against a limit that is never reached.
func (l *lab) nginxPolicy(ctx context.Context, name string, keys []string, c nginxConf) (*process, error) {
	var m strings.Builder
	for i, k := range keys {
		fmt.Fprintf(&m, "%s app_%d;\n", k, i)
	}
	file := filepath.Join(l.dir, name+".map")
	if err := os.WriteFile(file, []byte(m.String()), 0o600); err != nil {
		return nil, err
	}
	c.before = kept(l.upstream) + fmt.Sprintf("map_hash_max_size %d; map_hash_bucket_size 256;\nmap $http_x_api_key $app { default \"\"; include %s; }\n"+
		"limit_req_zone $app zone=z:100m rate=1000000r/s;\n", max(2048, 2*len(keys)), file)
	c.server = `location / { if ($app = "") { return 401; } limit_req zone=z burst=1000000 nodelay; ` + pass + " }"
	return l.nginx(ctx, name, c)
}

// nginxRoutes has a location for each path.
func (l *lab) nginxRoutes(ctx context.Context, paths []string) (*process, error) {
	var b strings.Builder
	for _, p := range paths {
		fmt.Fprintf(&b, "location = %s { %s }\n", p, pass)
	}
	return l.nginx(ctx, "nginx-routes", nginxConf{before: kept(l.upstream), server: b.String()})
}

// haproxy passes on; with keys it looks them up in a map and counts the application against a limit.
func (l *lab) haproxy(ctx context.Context, name string, keys []string, tls bool) (*process, error) {
	return l.once(name, func() (*process, error) {
		addr, err := freeAddr()
		if err != nil {
			return nil, err
		}
		var rules strings.Builder
		if keys != nil {
			var m strings.Builder
			for i, k := range keys {
				fmt.Fprintf(&m, "%s app_%d\n", k, i)
			}
			file := filepath.Join(l.dir, name+".map")
			if err := os.WriteFile(file, []byte(m.String()), 0o600); err != nil {
				return nil, err
			}
			fmt.Fprintf(&rules, `  stick-table type string len 32 size 100k expire 60s store http_req_rate(1s)
  http-request set-var(txn.app) req.hdr(x-api-key),map_str(%s)
  http-request deny deny_status 401 unless { var(txn.app) -m found }
  http-request track-sc0 var(txn.app)
  http-request deny deny_status 429 if { sc_http_req_rate(0) gt 10000000 }
`, file)
		}
		secure := ""
		if tls {
			both := filepath.Join(l.dir, "both.pem")
			if err := join(both, l.certificate, l.key); err != nil {
				return nil, err
			}
			secure = " ssl crt " + both + " alpn http/1.1"
		}
		text := fmt.Sprintf(`global
  nbthread %d
  maxconn 4096
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  option http-keep-alive
  http-reuse always
frontend f
  bind %s%s
%s  default_backend b
backend b
  server s %s pool-max-conn 1024 pool-purge-delay 60s
`, workers(), addr, secure, rules.String(), l.upstream)
		file := filepath.Join(l.dir, name+".cfg")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return nil, err
		}
		p, err := start(name, l.dir, nil, "haproxy", "-db", "-f", file)
		if err != nil {
			return nil, err
		}
		p.addr, p.tls = addr, tls
		return p, nil
	})
}

// caddy passes on. It is nil where it is not installed.
func (l *lab) caddy(ctx context.Context, tls bool) (*process, error) {
	file, err := tool("caddy")
	if err != nil {
		l.miss("Caddy: not installed, so not measured (scripts/tools caddy builds it)")
		return nil, nil
	}
	return l.once("caddy"+suffix(tls), func() (*process, error) {
		addr, err := freeAddr()
		if err != nil {
			return nil, err
		}
		site, cert := "http://"+addr, ""
		if tls {
			site, cert = "https://"+addr, "tls "+l.certificate+" "+l.key
		}
		_, port, _ := strings.Cut(addr, ":")
		text := fmt.Sprintf(`{
  admin off
  auto_https off
  persist_config off
  default_sni localhost
}
%s {
  bind 127.0.0.1
  %s
  reverse_proxy %s {
    transport http {
      keepalive_idle_conns_per_host 512
      keepalive_idle_conns 1024
    }
  }
}
`, strings.Replace(site, addr, ":"+port, 1), cert, l.upstream)
		conf := filepath.Join(l.dir, "Caddyfile"+suffix(tls))
		if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
			return nil, err
		}
		p, err := start("caddy", l.dir, nil, file, "run", "--config", conf, "--adapter", "caddyfile")
		if err != nil {
			return nil, err
		}
		p.addr, p.tls = addr, tls
		return p, nil
	})
}

// tool is where an installed program is; those of Go are not in everybody's PATH.
func tool(name string) (string, error) {
	if file, err := exec.LookPath(name); err == nil {
		return file, nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", err
	}
	return exec.LookPath(filepath.Join(home, "go", "bin", name))
}

func join(to string, files ...string) error {
	var all []byte
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			return err
		}
		all = append(all, b...)
	}
	return os.WriteFile(to, all, 0o600)
}

func suffix(tls bool) string {
	if tls {
		return "-tls"
	}
	return ""
}
