package manifest

import (
	"fmt"
	"strings"
)

// ClientAuthority is an authority of the operator's that signs certificates of clients. Credentials name what stands in them, so
// that a client's certificate can be made anew as often as it likes.
type ClientAuthority struct {
	Name          string   `json:"name"`          // by which credentials name it
	Title         string   `json:"title"`         // shown to people; default: the name
	Certificates  string   `json:"certificates"`  // its certificates in PEM, each of which is trusted as it stands; never a key
	Intermediates string   `json:"intermediates"` // certificates between, in PEM: they lead to those, and may sign revocation lists; default: those that clients send
	Lists         []string `json:"crls"`          // its revocation lists: addresses, or a list itself in PEM; default: none is looked at
	Responder     string   `json:"ocsp"`          // its OCSP responder: an address, or "certificate" for the one that a client's certificate names; default: none is asked
	Lenient       bool     `json:"lenient"`       // true: while it is not known whether a certificate was revoked, it counts; default: it is refused
	Environments  []string `json:"environments"`  // where it counts; default: everywhere
}

const listsMost = 10

func (c *check) authorities() {
	first := map[string]string{}
	for i := range c.ClientAuthorities {
		a, at := &c.ClientAuthorities[i], pointer("client_authorities", i)
		c.named(at, "client authority", a.Name, nameForm, first)
		c.words(at+"/title", a.Title, maxTitle)
		if a.Title == "" {
			a.Title = a.Name
		}
		c.offeredIn(at+"/environments", &a.Environments, c.environmentNames(), "environment")
		switch {
		case a.Certificates == "":
			c.bad(at, "the client authority needs its certificates, in PEM")
		case strings.Contains(a.Certificates, "PRIVATE KEY"):
			c.bad(at+"/certificates", "holds a private key: take it out of use, for it is known now")
		}
		if len(a.Lists) > listsMost {
			c.bad(at+"/crls", "has more than %d addresses", listsMost)
		}
		for k, l := range a.Lists {
			if !strings.HasPrefix(l, "-----BEGIN") {
				c.told(fmt.Sprintf("%s/crls/%d", at, k), l)
			}
		}
		if a.Responder != "" && a.Responder != "certificate" {
			c.told(at+"/ocsp", a.Responder)
		}
		if _, written := c.places[at+"/lenient"]; written && len(a.Lists) == 0 && a.Responder == "" {
			c.bad(at+"/lenient", "says what happens while revocation is not known, and neither crls nor ocsp says where to look")
		}
	}
}

// told checks where an authority tells what it has revoked: that is signed, and mostly told without TLS.
func (c *check) told(at, address string) {
	if rest, ok := strings.CutPrefix(address, "http://"); ok {
		address = "https://" + rest
	}
	if why := webURL(address); why != "" {
		c.bad(at, "%s", why)
	}
}
