package live

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"

	"gatehouse/drift"
	"gatehouse/fault"
	"gatehouse/secret"
)

const armVersion = "api-version=2024-05-01"

var service = regexp.MustCompile(`(?i)^/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft\.ApiManagement/service/[^/]+(/workspaces/[^/]+)?$`)

// azure asks Azure Resource Manager for a service of API Management, and writes it as a template, which is how its reader takes it.
func (f *fetch) azure(ctx context.Context, address string) error {
	u, err := url.Parse(strings.TrimSuffix(address, "/"))
	if err != nil || !service.MatchString(u.Path) {
		return fault.Bad("", "the address is not https://management.azure.com/subscriptions/ID/resourceGroups/NAME/providers/Microsoft.ApiManagement/service/NAME")
	}
	token := f.o.Token
	if token.Empty() {
		if token, err = f.identity(ctx, u); err != nil {
			return err
		}
	}
	c, err := f.newClient(u.String(), token, nil)
	if err != nil {
		return err
	}
	defer c.Close()
	a := &arm{f: f, c: c, root: u.Path}
	var svc object
	if err := c.get(ctx, a.at(""), &svc); err != nil {
		return err
	}
	a.add(svc)
	a.everything(ctx)
	return a.write()
}

// identity is a token by workload identity: the token that the cluster gave is exchanged for one of Azure. It is asked of the authority,
// which is not the gateway; nothing else is ever posted.
func (f *fetch) identity(ctx context.Context, resource *url.URL) (secret.Value, error) {
	env := f.o.Environ
	if env == nil {
		env = func(string) string { return "" }
	}
	file, who, tenant := env("AZURE_FEDERATED_TOKEN_FILE"), env("AZURE_CLIENT_ID"), env("AZURE_TENANT_ID")
	if file == "" || who == "" || tenant == "" {
		return secret.Value{}, fault.Bad("", "no token for Azure: set GATEHOUSE_DRIFT_TOKEN (az account get-access-token), or run with workload identity (AZURE_FEDERATED_TOKEN_FILE, AZURE_CLIENT_ID, AZURE_TENANT_ID)")
	}
	assertion, err := readSmall(file)
	if err != nil {
		return secret.Value{}, err
	}
	authority := env("AZURE_AUTHORITY_HOST")
	if authority == "" {
		authority = "https://login.microsoftonline.com/"
	}
	to, err := url.Parse(strings.TrimSuffix(authority, "/") + "/" + url.PathEscape(tenant) + "/oauth2/v2.0/token")
	if err != nil || to.Scheme != "https" {
		return secret.Value{}, fault.Bad("", "AZURE_AUTHORITY_HOST is not an address of https")
	}
	form := url.Values{"client_id": {who}, "grant_type": {"client_credentials"}, "scope": {resource.Scheme + "://" + resource.Host + "/.default"},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "client_assertion": {strings.TrimSpace(string(assertion))}}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, to.String(), strings.NewReader(form.Encode()))
	if err != nil {
		return secret.Value{}, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	next := f.o.Transport
	if next == nil {
		next = newTransport(nil)
	}
	h := &http.Client{Transport: next, Timeout: perAsk, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer h.CloseIdleConnections()
	res, err := h.Do(r)
	if err != nil {
		return secret.Value{}, fmt.Errorf("the authority cannot be reached: %w", err)
	}
	defer res.Body.Close()
	var answer struct {
		Token string `json:"access_token"`
		Error string `json:"error"`
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, small)).Decode(&answer); err != nil || answer.Token == "" {
		return secret.Value{}, fault.New(fault.Forbidden, "the authority gives no token: answered %d %s", res.StatusCode, drift.Mask(answer.Error))
	}
	return secret.New(answer.Token), nil
}

// arm gathers resources.
type arm struct {
	f         *fetch
	c         *client
	root      string
	mu        sync.Mutex
	resources []object
}

func (a *arm) at(path string) string {
	out := a.root + path
	if strings.Contains(out, "?") {
		return out + "&" + armVersion
	}
	return out + "?" + armVersion
}

// add keeps a resource as a template holds it: its type, its name with those of its parents, and its properties with secrets masked.
func (a *arm) add(o object) {
	id, _ := o["id"].(string)
	_, rest, ok := strings.Cut(strings.ToLower(id), "/providers/microsoft.apimanagement/")
	if !ok {
		return
	}
	parts := strings.Split(id[len(id)-len(rest):], "/")
	typ, names := "Microsoft.ApiManagement", []string{}
	for i := 0; i+1 < len(parts); i += 2 {
		typ += "/" + parts[i]
		names = append(names, parts[i+1])
	}
	out := object{"type": typ, "name": strings.Join(names, "/")}
	for _, k := range []string{"properties", "sku", "location", "identity"} {
		if v, ok := o[k]; ok {
			out[k] = v
		}
	}
	if p, ok := out["properties"].(object); ok {
		out["properties"] = a.hide(typ, p)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.resources = append(a.resources, out)
}

// hide masks what a resource may hold of secrets.
func (a *arm) hide(typ string, p object) any {
	for _, k := range []string{"credentials"} {
		if v, ok := p[k]; ok {
			p[k] = replaced(v, "[secret]")
		}
	}
	name, _ := p["displayName"].(string)
	if strings.HasSuffix(typ, "/namedValues") && drift.SecretName(name) {
		if _, ok := p["value"]; ok {
			p["value"] = "[secret]"
		}
	}
	if strings.HasSuffix(typ, "/service") {
		delete(p, "publisherEmail")
	}
	return masked(p)
}

// list fetches all pages of a collection and keeps what it holds.
func (a *arm) list(ctx context.Context, path string) []object {
	var out []object
	seen := map[string]bool{}
	for next := a.at(path); next != ""; {
		if seen[next] {
			a.fail(path, fmt.Errorf("the pages go round in a circle"))
			return out
		}
		seen[next] = true
		var page struct {
			Value []object `json:"value"`
			Next  string   `json:"nextLink"`
		}
		if err := a.c.get(ctx, next, &page); err != nil {
			if !missing(err) {
				a.fail(path, err)
			}
			return out
		}
		for _, o := range page.Value {
			a.add(o)
		}
		out = append(out, page.Value...)
		next = page.Next
	}
	return out
}

func (a *arm) fail(path string, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.f.problem(strings.TrimPrefix(path, "/"), err)
}

// policy fetches the policy document of a scope, as it is written; most scopes have none.
func (a *arm) policy(ctx context.Context, path string) {
	var o object
	err := a.c.get(ctx, a.at(path+"/policies/policy?format=rawxml"), &o)
	switch {
	case err == nil:
		if p, ok := o["properties"].(object); ok {
			p["format"] = "rawxml"
		}
		a.add(o)
	case !missing(err):
		a.fail(path+"/policies", err)
	}
}

// everything fetches what an effective policy is made of, eight at a time.
func (a *arm) everything(ctx context.Context) {
	a.policy(ctx, "")
	for _, k := range []string{"/namedValues", "/backends", "/loggers", "/diagnostics", "/apiVersionSets", "/certificates"} {
		a.list(ctx, k)
	}
	a.fragments(ctx)
	a.workspaces(ctx)
	var work []func()
	for _, p := range a.list(ctx, "/products") {
		at := "/products/" + segment(p)
		work = append(work, func() { a.policy(ctx, at); a.members(ctx, at) })
	}
	for _, api := range a.list(ctx, "/apis") {
		at := "/apis/" + segment(api)
		work = append(work, func() {
			a.policy(ctx, at)
			a.list(ctx, at+"/diagnostics")
			for _, o := range a.list(ctx, at+"/operations") {
				a.policy(ctx, at+"/operations/"+segment(o))
			}
		})
	}
	const workers = 8 // at once: below what the manager lets a caller do
	queue := make(chan func())
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for w := range queue {
				w()
			}
		})
	}
	for _, w := range work {
		queue <- w
	}
	close(queue)
	all.Wait()
}

func segment(o object) string { s, _ := o["name"].(string); return url.PathEscape(s) }

// members are the APIs that a product includes: what is listed is the API, and what is kept the membership.
func (a *arm) members(ctx context.Context, at string) {
	var page struct {
		Value []object `json:"value"`
		Next  string   `json:"nextLink"`
	}
	seen := map[string]bool{}
	for next := a.at(at + "/apis"); next != "" && !seen[next]; next = page.Next {
		seen[next] = true
		page.Value, page.Next = nil, ""
		if err := a.c.get(ctx, next, &page); err != nil {
			if !missing(err) {
				a.fail(at+"/apis", err)
			}
			return
		}
		for _, o := range page.Value {
			a.add(object{"id": a.root + at + "/apis/" + fmt.Sprint(o["name"]), "properties": object{}})
		}
	}
}

// names lists a collection of which the resources are fetched one by one, or not at all.
func (a *arm) names(ctx context.Context, path string) []string {
	var out []string
	seen := map[string]bool{}
	for next := a.at(path); next != "" && !seen[next]; {
		seen[next] = true
		var page struct {
			Value []object `json:"value"`
			Next  string   `json:"nextLink"`
		}
		if err := a.c.get(ctx, next, &page); err != nil {
			if !missing(err) {
				a.fail(path, err)
			}
			break
		}
		for _, o := range page.Value {
			out = append(out, segment(o))
		}
		next = page.Next
	}
	return out
}

// fragments are fetched one by one, for a list does not hold what they say as it is written.
func (a *arm) fragments(ctx context.Context) {
	for _, name := range a.names(ctx, "/policyFragments") {
		var one object
		if err := a.c.get(ctx, a.at("/policyFragments/"+name+"?format=rawxml"), &one); err != nil {
			a.fail("/policyFragments/"+name, err)
			continue
		}
		if p, ok := one["properties"].(object); ok {
			p["format"] = "rawxml"
		}
		a.add(one)
	}
}

// workspaces have APIs of their own, which are an environment of their own here.
func (a *arm) workspaces(ctx context.Context) {
	if strings.Contains(strings.ToLower(a.root), "/workspaces/") {
		return
	}
	for _, name := range a.names(ctx, "/workspaces") {
		a.fail("/workspaces/"+name, fmt.Errorf("a workspace is read on its own, by its own address"))
	}
}

// write puts the resources into templates that are each small enough to be read.
func (a *arm) write() error {
	slices.SortFunc(a.resources, func(x, y object) int {
		return strings.Compare(fmt.Sprint(x["type"], " ", x["name"]), fmt.Sprint(y["type"], " ", y["name"]))
	})
	const each = 400 // resources: a policy document may have some ten thousand bytes
	for i := 0; i*each < len(a.resources); i++ {
		part := a.resources[i*each : min((i+1)*each, len(a.resources))]
		list := make([]any, len(part))
		for j := range part {
			list[j] = part[j]
		}
		err := a.f.write(fmt.Sprintf("service-%03d.json", i+1), object{"$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#", "contentVersion": "1.0.0.0", "resources": list})
		if err != nil {
			return err
		}
	}
	return nil
}
