// Package review is what every surface of the drift review calls: it names the readers, reads environments from folders, and keeps
// nothing. Commands and pages stand on it.
package review

import (
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"gatehouse/drift"
	"gatehouse/drift/apigee"
	"gatehouse/drift/aws"
	"gatehouse/drift/azureapim"
	"gatehouse/drift/envoygateway"
	"gatehouse/drift/gatehouse"
	"gatehouse/drift/gatewayapi"
	"gatehouse/drift/ingressnginx"
	"gatehouse/drift/kong"
	"gatehouse/drift/krakend"
	"gatehouse/drift/source"
	"gatehouse/drift/traefik"
	"gatehouse/drift/tyk"
	"gatehouse/fault"
)

// Gateway is one kind of gateway that can be read.
type Gateway struct {
	Name string // as it is written in a command
	Is   string // for people
	Read drift.Reader
}

// Gateways are all kinds that can be read, by name.
func Gateways() []Gateway {
	return []Gateway{
		{"apigee", "Apigee: bundles of proxies and shared flows, with products, target servers and flow hooks", apigee.Read},
		{"aws", "AWS API Gateway: OpenAPI documents with its extensions, SAM and CloudFormation templates", aws.Read},
		{"azureapim", "Azure API Management: APIOps folders, ARM templates, policy documents", azureapim.Read},
		{"envoygateway", "Envoy Gateway: Gateway API with its policies", envoygateway.Read},
		{"gatehouse", "Gatehouse: a manifest", gatehouse.Read},
		{"gatewayapi", "Kubernetes Gateway API, whatever implements it", gatewayapi.Read},
		{"ingressnginx", "ingress-nginx: Ingress objects with annotations, the controller's ConfigMap or values of its chart", ingressnginx.Read},
		{"kong", "Kong: decK files and kong.conf", kong.Read},
		{"krakend", "KrakenD: rendered configurations", krakend.Read},
		{"traefik", "Traefik: files of the file provider, its Kubernetes objects, its static configuration", traefik.Read},
		{"tyk", "Tyk: API definitions, classic and OAS, and policies", tyk.Read},
	}
}

// Live fetches what a running gateway is configured with, as files that its reader takes. What it could not get is among the problems.
type Live func(gateway, address string) (fs.FS, []drift.Problem, error)

// Source is one environment as a command names it: NAME[@TIER][:GATEWAY]=FOLDER. With KEY=VALUE pairs behind commas it gives the reader
// values: prod@prod:azureapim=./apim,configuration=configuration.prod.yaml.
type Source struct {
	Name    string
	Tier    drift.Tier
	Gateway string // "" is found out by looking at the files
	Folder  string
	Values  map[string]string
}

// ParseSource reads a Source as it is written.
func ParseSource(s string) (Source, error) {
	head, rest, ok := strings.Cut(s, "=")
	if !ok || head == "" || rest == "" {
		return Source{}, fault.Bad("", "%q is not NAME[@TIER][:GATEWAY]=FOLDER", s)
	}
	out := Source{Name: head}
	if name, gateway, ok := strings.Cut(out.Name, ":"); ok {
		out.Name, out.Gateway = name, gateway
		if !slices.ContainsFunc(Gateways(), func(g Gateway) bool { return g.Name == gateway }) {
			return Source{}, fault.Bad("", "%q is not a gateway that can be read: %s", gateway, strings.Join(names(), ", "))
		}
	}
	if name, tier, ok := strings.Cut(out.Name, "@"); ok {
		out.Name, out.Tier = name, drift.Tier(tier)
		if !slices.Contains([]drift.Tier{drift.Dev, drift.Test, drift.Stage, drift.Prod}, out.Tier) {
			return Source{}, fault.Bad("", "%q is not a tier: dev, test, stage or prod", tier)
		}
	}
	if out.Name == "" {
		return Source{}, fault.Bad("", "%q has no name before the =", s)
	}
	parts := strings.Split(rest, ",")
	out.Folder = parts[0]
	for _, p := range parts[1:] {
		k, v, ok := strings.Cut(p, "=")
		if !ok || k == "" {
			return Source{}, fault.Bad("", "%q is not KEY=VALUE", p)
		}
		if out.Values == nil {
			out.Values = map[string]string{}
		}
		out.Values[k] = v
	}
	return out, nil
}

func names() []string {
	var out []string
	for _, g := range Gateways() {
		out = append(out, g.Name)
	}
	return out
}

// Running reports whether the source is a running gateway and not a folder.
func (s Source) Running() bool {
	return strings.Contains(s.Folder, "://") || strings.HasPrefix(s.Folder, "kubernetes:")
}

// Uploaded reports whether the source is what people upload to the control plane, written as "bundle:".
func (s Source) Uploaded() bool { return s.Folder == "bundle:" }

// Within reads the source from files that are at hand already.
func (s Source) Within(fsys fs.FS, now time.Time) (*drift.Environment, error) {
	read, err := s.reader(fsys, now)
	if err != nil {
		return nil, err
	}
	return read(fsys), nil
}

// Ask reads a running gateway.
func (s Source) Ask(now time.Time, ask Live) (*drift.Environment, error) {
	i := slices.IndexFunc(Gateways(), func(g Gateway) bool { return g.Name == s.Gateway })
	if i < 0 {
		return nil, fault.Bad("", "%s: name the gateway behind the environment's name, for it is not recognised while it runs", s.Folder)
	}
	if ask == nil {
		return nil, fault.Bad("", "%s: running gateways are not read here", s.Folder)
	}
	fsys, problems, err := ask(s.Gateway, s.Folder)
	if err != nil {
		return nil, err
	}
	e, _ := Gateways()[i].Read(fsys, drift.Options{Name: s.Name, Tier: s.Tier, Now: now, Values: s.Values})
	for _, p := range problems {
		if p.Partial {
			e.Files.Failed++
		}
		e.Problems = append(e.Problems, p)
	}
	e.Source.Path = s.Folder
	return e, nil
}

// Read reads the source's folder. An error is said when there is no folder, or when it is not clear what it holds; what cannot be read
// within is among the environment's problems.
func (s Source) Read(now time.Time) (*drift.Environment, error) {
	fsys, closer, err := source.OpenDir(s.Folder)
	if err != nil {
		return nil, fault.New(fault.NotFound, "%s cannot be opened as a folder", s.Folder).Because(err)
	}
	defer closer.Close()
	read, err := s.reader(fsys, now)
	if err != nil {
		return nil, err
	}
	return read(fsys), nil
}

// reader is what reads the source's files, however often.
func (s Source) reader(fsys fs.FS, now time.Time) (func(fs.FS) *drift.Environment, error) {
	kind := s.Gateway
	if kind == "" {
		if kind = Recognise(fsys); kind == "" {
			return nil, fault.Bad("", "%s: it is not clear which gateway this is; name one of %s after the environment's name", s.Folder, strings.Join(names(), ", "))
		}
	}
	i := slices.IndexFunc(Gateways(), func(g Gateway) bool { return g.Name == kind })
	if i < 0 {
		return nil, fault.Bad("", "%q is not a gateway that can be read: %s", kind, strings.Join(names(), ", "))
	}
	return func(fsys fs.FS) *drift.Environment {
		e, _ := Gateways()[i].Read(fsys, drift.Options{Name: s.Name, Tier: s.Tier, Now: now, Values: s.Values})
		e.Source.Path = s.Folder
		return e
	}, nil
}

// Recognise says which gateway the files of a folder belong to, or "" when that is not clear: none is found, or several.
func Recognise(fsys fs.FS) string {
	f := source.Open(fsys)
	found := map[string]bool{}
	for _, name := range f.Names() {
		base := path.Base(name)
		switch strings.ToLower(path.Ext(name)) {
		case ".xml":
			if b, ok := f.Text(name); ok && strings.Contains(string(b), "<policies") {
				found["azureapim"] = true
			} else if ok && (strings.Contains(string(b), "<ProxyEndpoint") || strings.Contains(string(b), "<APIProxy ") || strings.Contains(string(b), "<SharedFlow ")) {
				found["apigee"] = true
			}
		case ".json", ".yaml", ".yml", ".template", ".toml":
			if strings.HasSuffix(base, "Information.json") {
				found["azureapim"] = true
				continue
			}
			for _, d := range f.Documents(name) {
				if k := recognise(d); k != "" {
					found[k] = true
				}
			}
		}
	}
	if found["envoygateway"] {
		delete(found, "gatewayapi") // stands on it
	}
	if len(found) != 1 {
		return ""
	}
	for k := range found {
		return k
	}
	return ""
}

func recognise(d *source.Node) string {
	version := d.Get("apiVersion").Str()
	switch {
	case d.Has("_format_version"):
		return "kong"
	case d.Has("gatehouse"):
		return "gatehouse"
	case krakend.Is(d):
		return "krakend"
	case strings.HasPrefix(version, "traefik.io/"), strings.HasPrefix(version, "traefik.containo.us/"), version == "" && traefik.Is(d):
		return "traefik"
	case tyk.Is(d), tyk.Is(d.Get("api_definition")):
		return "tyk"
	case d.Get("kind").Str() == "Ingress" && ingressnginx.Is(d), d.Get("kind").Str() == "IngressClass" && d.Get("spec", "controller").Str() == ingressnginx.Controller:
		return "ingressnginx"
	case strings.HasPrefix(version, "gateway.envoyproxy.io/"):
		return "envoygateway"
	case strings.HasPrefix(version, "gateway.networking.k8s.io/"), strings.HasPrefix(version, "gateway.networking.x-k8s.io/"):
		return "gatewayapi"
	}
	if aws.Is(d) {
		return "aws"
	}
	for _, r := range d.Get("resources").Items() {
		if strings.HasPrefix(strings.ToLower(r.Get("type").Str()), "microsoft.apimanagement/") {
			return "azureapim"
		}
	}
	return ""
}

// Exit is the exit code of a command: 0 nothing found and everything seen, 3 something found, 4 nothing found in what could be seen.
func Exit(r *drift.Result) int {
	switch {
	case len(r.Open()) > 0:
		return 3
	case !r.Coverage.Whole() || r.NotCompared > 0 || r.Unjudged > 0:
		return 4
	}
	return 0
}
