package config

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"gatehouse/fault"
	"gatehouse/secret"
)

// SSO is an OpenID provider that people may sign in with.
type SSO struct {
	Name         string // in addresses
	Title        string // on the button
	Issuer       string
	ClientID     string
	ClientSecret secret.Value // empty: a public client
	Scopes       []string     // besides openid
	For          string       // "staff", or an organization's identifier
	Domains      []string     // of e-mail addresses, for which the provider is authoritative
	Groups       string       // the claim that holds groups; "": none
	Roles        map[string][]string
	SecondFactor bool // the provider asks for two factors itself
}

var (
	providerName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)
	domainName   = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}$`)
)

// providers takes the list under sso.
func (c *Config) providers(n *yaml.Node, dir string, bad func(int, string, ...any) []fault.Field) (wrong []fault.Field) {
	if n.Kind != yaml.SequenceNode {
		return bad(n.Line, "/sso: must be a list of providers")
	}
	c.SSO = nil
	for i, one := range n.Content {
		at := "/sso/" + strconv.Itoa(i)
		if one.Kind != yaml.MappingNode {
			wrong = append(wrong, bad(one.Line, "%s: must be a provider with its settings", at)...)
			continue
		}
		s := SSO{Scopes: []string{"profile", "email"}}
		given := map[string]bool{}
		for k := 0; k+1 < len(one.Content); k += 2 {
			name, value := one.Content[k].Value, one.Content[k+1]
			if given[name] {
				wrong = append(wrong, bad(one.Content[k].Line, "%s/%s is set twice", at, name)...)
			}
			given[name] = true
			if err := s.set(name, value, dir); err != nil {
				wrong = append(wrong, bad(one.Content[k].Line, "%s/%s: %v", at, name, err)...)
			}
		}
		for _, name := range []string{"name", "issuer", "client_id", "for", "domains"} {
			if !given[name] {
				wrong = append(wrong, bad(one.Line, "%s/%s: is missing", at, name)...)
			}
		}
		if len(s.Roles) > 0 && s.Groups == "" {
			wrong = append(wrong, bad(one.Line, "%s/groups: is missing: name the claim that roles are given by", at)...)
		}
		if s.Title == "" {
			s.Title = s.Name
		}
		if slices.ContainsFunc(c.SSO, func(o SSO) bool { return o.Name == s.Name }) {
			wrong = append(wrong, bad(one.Line, "%s/name: another provider has it already", at)...)
		}
		c.SSO = append(c.SSO, s)
	}
	return wrong
}

// set takes one setting of a provider.
func (s *SSO) set(name string, n *yaml.Node, dir string) (err error) {
	switch name {
	case "name":
		if s.Name, err = scalar(n); err == nil && !providerName.MatchString(s.Name) {
			err = fmt.Errorf("must be lower case letters, digits and hyphens, at most 32, not %q", s.Name)
		}
	case "title":
		s.Title, err = scalar(n)
	case "issuer":
		if s.Issuer, err = scalar(n); err == nil {
			if u, bad := url.Parse(s.Issuer); bad != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
				err = fmt.Errorf("must be the address of the provider, such as https://login.example, not %q", s.Issuer)
			}
		}
	case "client_id":
		s.ClientID, err = scalar(n)
	case "client_secret":
		if n.Kind != yaml.MappingNode || len(n.Content) != 2 {
			return fmt.Errorf("must be one of {value: …}, {env: …} and {file: …}")
		}
		s.ClientSecret, err = resolve(n.Content[0].Value, n.Content[1].Value, dir)
	case "scopes":
		s.Scopes, err = list(n)
	case "for":
		s.For, err = scalar(n)
	case "domains":
		if s.Domains, err = list(n); err != nil {
			return err
		}
		for i, d := range s.Domains {
			s.Domains[i] = strings.ToLower(d)
			if !domainName.MatchString(s.Domains[i]) {
				return fmt.Errorf("%q is no domain, such as platform.example", d)
			}
		}
	case "groups":
		s.Groups, err = scalar(n)
	case "roles":
		if n.Kind != yaml.MappingNode {
			return fmt.Errorf("must map groups to lists of roles")
		}
		s.Roles = map[string][]string{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			group := n.Content[i].Value
			if s.Roles[group] != nil {
				return fmt.Errorf("the group %q stands twice", group)
			}
			if s.Roles[group], err = list(n.Content[i+1]); err != nil {
				return fmt.Errorf("%s: %w", group, err)
			}
		}
	case "second_factor":
		v, err := scalar(n)
		if err != nil || v != "true" && v != "false" {
			return fmt.Errorf("must be true or false")
		}
		s.SecondFactor = v == "true"
	default:
		return fmt.Errorf("there is no such setting of a provider")
	}
	return err
}

// scalar is one value that is not empty.
func scalar(n *yaml.Node) (string, error) {
	if n.Kind != yaml.ScalarNode || strings.TrimSpace(n.Value) == "" {
		return "", fmt.Errorf("must be a single value")
	}
	return n.Value, nil
}

// list is at least one value.
func list(n *yaml.Node) ([]string, error) {
	if n.Kind != yaml.SequenceNode || len(n.Content) == 0 {
		return nil, fmt.Errorf("must be a list")
	}
	var out []string
	for _, one := range n.Content {
		v, err := scalar(one)
		if err != nil {
			return nil, fmt.Errorf("each of the list %w", err)
		}
		out = append(out, v)
	}
	return out, nil
}
