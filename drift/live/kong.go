package live

import (
	"context"
	"fmt"
	"net/url"
	"sort"
	"strings"

	"gatehouse/drift"
)

// kept is what a secret of Kong is replaced with: a reference, which is not a secret that stands in a file.
const kept = "{vault://masked/value}"

// kongKinds are the entities that make up an effective policy. Credentials of consumers are not asked for.
var kongKinds = []string{"services", "routes", "plugins", "consumers", "consumer_groups", "upstreams", "certificates", "ca_certificates"}

// kong asks the Admin API. A path after the address is a workspace's.
func (f *fetch) kong(ctx context.Context, address string) error {
	if !strings.HasSuffix(address, "/") {
		address += "/"
	}
	c, err := f.newClient(address, f.o.Token, nil)
	if err != nil {
		return err
	}
	defer c.Close()
	c.header, c.prefix = "Kong-Admin-Token", ""
	var root struct {
		Version       string         `json:"version"`
		Configuration map[string]any `json:"configuration"`
	}
	if err := c.get(ctx, "/", &root); err != nil {
		if missing(err) {
			return fmt.Errorf("no Admin API of Kong answers there: %w", err)
		}
		f.problem("configuration of the node", err)
	}
	deck := object{"_format_version": "3.0"}
	if strings.HasPrefix(root.Version, "2.") || strings.HasPrefix(root.Version, "1.") || strings.HasPrefix(root.Version, "0.") {
		deck["_format_version"] = "2.1"
	}
	some := false
	for _, kind := range kongKinds {
		list, err := kongList(ctx, c, kind)
		if err != nil {
			if !missing(err) { // an edition without it
				f.problem(kind, err)
			}
			continue
		}
		some = true
		for _, e := range list {
			delete(e, "key") // of a certificate
			delete(e, "key_alt")
		}
		deck[kind] = list
		if kind == "consumer_groups" {
			f.members(ctx, c, list)
		}
	}
	if !some {
		return fmt.Errorf("nothing can be read at %s: %s", c.base.Host, f.problems[0].Text)
	}
	for _, list := range deck {
		if l, ok := list.([]object); ok {
			for _, e := range l {
				for k, v := range e {
					if k == "config" {
						e[k] = hidden(v, kept)
					} else {
						e[k] = masked(v)
					}
				}
			}
		}
	}
	if len(root.Configuration) > 0 {
		f.files["kong.conf"] = kongConf(root.Configuration)
	}
	return f.write("kong.json", deck)
}

func kongList(ctx context.Context, c *client, kind string) ([]object, error) {
	var out []object
	next := kind + "?size=1000"
	for seen := map[string]bool{}; next != ""; {
		if seen[next] {
			return nil, fmt.Errorf("%s: the pages go round in a circle", kind)
		}
		seen[next] = true
		var page struct {
			Data      []object `json:"data"`
			Consumers []object `json:"consumers"` // of a group
			Next      string   `json:"next"`
		}
		if err := c.get(ctx, next, &page); err != nil {
			return nil, err
		}
		out = append(append(out, page.Data...), page.Consumers...)
		if next = page.Next; strings.HasPrefix(next, "/") {
			next = strings.TrimSuffix(c.base.Path, "/") + next // Kong leaves the workspace out
			if strings.HasPrefix(page.Next, c.base.Path) {
				next = page.Next
			}
		}
	}
	return out, nil
}

// members writes into groups whom they hold.
func (f *fetch) members(ctx context.Context, c *client, groups []object) {
	for _, g := range groups {
		id, _ := g["id"].(string)
		if id == "" {
			continue
		}
		at := "consumer_groups/" + url.PathEscape(id)
		var page struct {
			Consumers []object `json:"consumers"`
		}
		err := c.get(ctx, at, &page)
		if err == nil && page.Consumers == nil { // later editions list them apart
			page.Consumers, err = kongList(ctx, c, at+"/consumers")
		}
		if err != nil {
			f.problem("consumers of group "+drift.Mask(fmt.Sprint(g["name"])), err)
			continue
		}
		g["consumers"] = page.Consumers
	}
}

// kongConf writes the node's settings as kong.conf holds them, those that hold secrets left out.
func kongConf(m map[string]any) []byte {
	var lines []string
	for k, v := range m {
		s := ""
		switch x := v.(type) {
		case string:
			s = x
		case bool:
			s = map[bool]string{true: "on", false: "off"}[x]
		case float64:
			s = fmt.Sprint(x)
		case []any:
			var words []string
			for _, w := range x {
				if t, ok := w.(string); ok {
					words = append(words, t)
				}
			}
			if len(words) != len(x) {
				continue
			}
			s = strings.Join(words, ", ")
		default:
			continue
		}
		if secretive(k) || strings.HasPrefix(k, "pg_") || strings.ContainsAny(s+k, "\n\r#=") {
			continue
		}
		lines = append(lines, k+" = "+drift.Mask(s))
	}
	sort.Strings(lines)
	return []byte(strings.Join(lines, "\n") + "\n")
}
