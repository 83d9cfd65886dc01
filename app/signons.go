package app

import (
	"fmt"
	"time"

	"gatehouse/config"
	"gatehouse/control"
	"gatehouse/fetch"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/sso"
)

// signOns makes the OpenID providers of the configuration. None of them is asked anything yet.
func signOns(of []config.SSO, outside *fetch.Client) ([]control.SSO, error) {
	var out []control.SSO
	for i, s := range of {
		one := control.SSO{Name: s.Name, Title: s.Title, Issuer: s.Issuer, Domains: s.Domains, SecondFactor: s.SecondFactor, Roles: map[string][]identity.Role{}}
		if s.For != "staff" {
			one.Organization = id.ID(s.For)
		}
		for group, roles := range s.Roles {
			for _, r := range roles {
				one.Roles[group] = append(one.Roles[group], identity.Role(r))
			}
		}
		if err := control.CheckSSO(one); err != nil {
			return nil, fmt.Errorf("the start-up configuration is not valid: /sso/%d: %w", i, err)
		}
		one.Provider = sso.New(sso.Options{Issuer: s.Issuer, ClientID: s.ClientID, Secret: s.ClientSecret, Scopes: s.Scopes, Groups: s.Groups,
			HTTP: outside.HTTP(), Now: time.Now})
		out = append(out, one)
	}
	return out, nil
}
