package live

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"gatehouse/drift"
	"gatehouse/fault"
)

// resource is one kind of objects that a reader knows.
type resource struct {
	group    string // "" is the core
	name     string // in the plural
	selector string // of labels
	must     bool   // without it there is nothing to read
}

func (r resource) String() string { return strings.TrimSuffix(r.name+"."+r.group, ".") }

// resources are the kinds that the readers of a gateway know. Secrets are not among them.
func resources(gateway string) []resource {
	const gw, envoy, traefik = "gateway.networking.k8s.io", "gateway.envoyproxy.io", "traefik.io"
	core := []resource{{gw, "gatewayclasses", "", false}, {gw, "gateways", "", true}, {gw, "httproutes", "", false}, {gw, "grpcroutes", "", false}, {gw, "backendtlspolicies", "", false}, {gw, "listenersets", "", false}, {"gateway.networking.x-k8s.io", "xlistenersets", "", false}}
	ingress := []resource{{"networking.k8s.io", "ingresses", "", false}, {"networking.k8s.io", "ingressclasses", "", false}}
	switch gateway {
	case "gatewayapi":
		return core
	case "envoygateway":
		return append(core, resource{envoy, "securitypolicies", "", true}, resource{envoy, "backendtrafficpolicies", "", false}, resource{envoy, "clienttrafficpolicies", "", false}, resource{envoy, "envoyproxies", "", false}, resource{envoy, "backends", "", false})
	case "traefik":
		const own = "app.kubernetes.io/name=traefik"
		return append(ingress, resource{traefik, "ingressroutes", "", true}, resource{traefik, "middlewares", "", false}, resource{traefik, "tlsoptions", "", false}, resource{traefik, "tlsstores", "", false}, resource{traefik, "serverstransports", "", false},
			resource{traefik, "traefikservices", "", false}, resource{"", "services", "", false}, resource{"apps", "deployments", own, false}, resource{"apps", "daemonsets", own, false})
	}
	const own = "app.kubernetes.io/name=ingress-nginx"
	ingress[0].must = true
	return append(ingress, resource{"", "configmaps", own, false}, resource{"apps", "deployments", own, false}, resource{"apps", "daemonsets", own, false})
}

// kubernetes asks a cluster, whose address is kubernetes:CONTEXT of the configuration file, or kubernetes: in a pod.
func (f *fetch) kubernetes(ctx context.Context, gateway, address string) error {
	name, ok := strings.CutPrefix(address, "kubernetes:")
	if !ok {
		return fault.Bad("", "%s is not kubernetes:CONTEXT, by which clusters are named", address)
	}
	c, err := f.cluster(name)
	if err != nil {
		return err
	}
	defer c.Close()
	versions := map[string]string{"": "v1"}
	for _, r := range resources(gateway) {
		if _, asked := versions[r.group]; !asked {
			var g struct {
				Preferred struct {
					Version string `json:"version"`
				} `json:"preferredVersion"`
			}
			err := c.get(ctx, "/apis/"+r.group, &g)
			if err != nil && !missing(err) {
				return err
			}
			versions[r.group] = g.Preferred.Version
		}
		if err := f.objects(ctx, c, r, versions[r.group]); err != nil {
			if missing(err) && !r.must {
				continue
			}
			if r.must && len(f.files) == 0 && missing(err) {
				return fault.New(fault.NotFound, "the cluster knows no %s", r)
			}
			f.problem(r.String(), err)
		}
	}
	return nil
}

// objects fetches one kind, a file for each page.
func (f *fetch) objects(ctx context.Context, c *client, r resource, version string) error {
	if version == "" {
		return &refused{404, r.String()}
	}
	path := "/apis/" + r.group + "/" + version + "/" + r.name
	if r.group == "" {
		path = "/api/v1/" + r.name
	}
	q := url.Values{"limit": {"500"}}
	if r.selector != "" {
		q.Set("labelSelector", r.selector)
	}
	for page := 1; ; page++ {
		var list struct {
			Kind     string   `json:"kind"`
			Version  string   `json:"apiVersion"`
			Items    []object `json:"items"`
			Metadata struct {
				Continue string `json:"continue"`
			} `json:"metadata"`
		}
		if err := c.get(ctx, path+"?"+q.Encode(), &list); err != nil {
			return err
		}
		items := make([]any, len(list.Items))
		for i, o := range list.Items {
			o["kind"], o["apiVersion"] = strings.TrimSuffix(list.Kind, "List"), list.Version
			items[i] = masked(cleaned(o))
		}
		if len(items) > 0 {
			if err := f.write(fmt.Sprintf("%s-%03d.json", r, page), object{"kind": "List", "apiVersion": "v1", "items": items}); err != nil {
				return err
			}
		}
		if list.Metadata.Continue == "" {
			return nil
		}
		q.Set("continue", list.Metadata.Continue)
	}
}

// cleaned takes out of an object what repeats it, what only the cluster needs, and what may hold secrets.
func cleaned(o object) object {
	delete(o, "status")
	if m, ok := o["metadata"].(object); ok {
		delete(m, "managedFields")
		if a, ok := m["annotations"].(object); ok {
			delete(a, "kubectl.kubernetes.io/last-applied-configuration")
		}
	}
	if data, ok := o["data"].(object); ok && o["kind"] == "ConfigMap" {
		for k := range data {
			if drift.SecretName(k) {
				data[k] = "[secret]"
			}
		}
	}
	withoutVariables(o["spec"])
	return o
}

// withoutVariables takes the variables of containers out, which no reader needs.
func withoutVariables(v any) {
	switch x := v.(type) {
	case []any:
		for _, e := range x {
			withoutVariables(e)
		}
	case object:
		if _, container := x["image"]; container {
			delete(x, "env")
		}
		for _, e := range x {
			withoutVariables(e)
		}
	}
}
