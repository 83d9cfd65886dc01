package manifest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// credentialKinds is the kinds of credentials that this build knows.
func credentialKinds() []string {
	return []string{"api_key", "oauth_client", "client_certificate", "workload_identity"}
}

// stageRoles is the roles of staff who can decide. An auditor changes nothing.
func stageRoles() []string { return []string{"admin", "approver", "api-owner", "operator"} }

func (c *check) products() {
	first := map[string]string{}
	for i := range c.Products {
		r, at := &c.Products[i], pointer("products", i)
		c.named(at, "product", r.Name, nameForm, first)
		c.words(at+"/title", r.Title, maxTitle)
		c.words(at+"/description", r.Description, maxDescription)
		c.words(at+"/owner", r.Owner, maxTitle)
		c.dataClass(at+"/data_class", r.DataClass)
		c.span(at+"/max_offline", r.MaxOffline, time.Second, maxLongest)
		if r.Title == "" {
			r.Title = r.Name
		}
		c.offeredIn(at+"/environments", &r.Environments, c.environmentNames(), "environment")
		if len(r.Operations) == 0 {
			c.bad(at, "the product needs operations, such as \"operations: [{api: NAME}]\"")
		}
		for k := range r.Operations {
			c.productAPI(fmt.Sprintf("%s/operations/%d", at, k), r, k)
		}
		for _, s := range slices.Sorted(maps.Keys(r.Scopes)) {
			c.scope(at+"/scopes/"+escape(s), s)
			c.words(at+"/scopes/"+escape(s), r.Scopes[s], maxDescription)
		}
		if len(r.Plans) == 0 {
			c.bad(at, "the product needs a plan: it says for how long access is granted, and who approves it")
		}
		plans := map[string]string{}
		for k := range r.Plans {
			c.plan(fmt.Sprintf("%s/plans/%d", at, k), r, &r.Plans[k], plans)
		}
	}
}

// offeredIn checks a list of environments; an empty one becomes all.
func (c *check) offeredIn(at string, list *[]string, all []string, what string) {
	c.among(at, what, *list, all)
	if len(*list) == 0 {
		if _, written := c.places[at]; written {
			c.bad(at, "is empty: leave it out to offer it everywhere")
		}
		*list = slices.Clone(all)
	}
}

func (c *check) productAPI(at string, r *Product, k int) {
	o := &r.Operations[k]
	names := make([]string, len(c.APIs))
	for i, a := range c.APIs {
		names[i] = a.Name
	}
	a, ok := c.API(o.API)
	switch {
	case o.API == "":
		c.bad(at, "needs the name of an API")
		return
	case !ok:
		c.dangling(at+"/api", "apis", "there is no API %q%s", clip(o.API), meant(o.API, names))
		return
	case slices.ContainsFunc(r.Operations[:k], func(p ProductAPI) bool { return p.API == o.API }):
		c.bad(at+"/api", "%s stands twice", clip(o.API))
	}
	doc := c.Documents[a.Name]
	if doc == nil {
		return
	}
	if len(o.IDs) == 0 {
		for _, op := range doc.Operations {
			if a.Operation(op.ID).Exposed() {
				o.IDs = append(o.IDs, op.ID)
			}
		}
		return
	}
	first := make(map[string]bool, len(o.IDs))
	for i, id := range o.IDs {
		below := fmt.Sprintf("%s/ids/%d", at, i)
		twice := first[id]
		first[id] = true
		switch {
		case twice:
			c.bad(below, "%s stands twice", clip(id))
		case !doc.has(id):
			c.bad(below, "the API %s has no operation %q%s", a.Name, clip(id), meant(id, doc.ids()))
		case !a.Operation(id).Exposed():
			c.bad(below, "the API %s does not expose %s", a.Name, id)
		}
	}
}

func (c *check) plan(at string, r *Product, l *Plan, first map[string]string) {
	c.named(at, "plan of this product", l.Name, nameForm, first)
	c.words(at+"/title", l.Title, maxTitle)
	c.words(at+"/description", l.Description, maxDescription)
	if l.Title == "" {
		l.Title = l.Name
	}
	c.offeredIn(at+"/environments", &l.Environments, r.Environments, "environment of this product")
	for i := range l.Limits {
		c.limit(fmt.Sprintf("%s/limits/%d", at, i), l, i)
	}
	c.approval(at+"/approval", &l.Approval)
	c.rules(at+"/approval", r, l)
	if _, written := c.places[at+"/longest"]; !written {
		c.bad(at, "the plan needs the longest time that a grant may last, such as \"longest: 365d\"")
	}
	c.span(at+"/longest", l.Longest, time.Minute, maxLongest)
	c.span(at+"/credential_longest", l.CredentialLongest, time.Minute, maxLongest)
	if l.CredentialLongest <= 0 {
		l.CredentialLongest = Duration(90 * day)
	}
	c.among(at+"/credentials", "kind of credential", l.Credentials, credentialKinds())
	if l.FAPI {
		l.Constrained = true
		if len(l.Credentials) == 0 {
			l.Credentials = []string{"oauth_client"}
		}
		if len(l.Credentials) != 1 || l.Credentials[0] != "oauth_client" {
			c.bad(at+"/credentials", "must be [oauth_client], as the plan has fapi: the profile is of OAuth clients")
		}
	}
	if len(l.Credentials) == 0 {
		l.Credentials = []string{"api_key"}
	}
}

func (c *check) limit(at string, l *Plan, i int) {
	m := &l.Limits[i]
	if _, written := c.places[at+"/requests"]; !written {
		c.bad(at, "the limit needs a number of requests")
	} else if m.Requests < 1 || m.Requests > maxRequests {
		c.bad(at+"/requests", "must be from 1 to %d, not %d", maxRequests, m.Requests)
	}
	if _, written := c.places[at+"/per"]; !written {
		c.bad(at, "the limit needs a time, such as \"per: 1m\"")
	}
	c.span(at+"/per", m.Per, time.Second, maxWindow)
	_, written := c.places[at+"/burst"]
	switch {
	case written && m.Burst < 1:
		c.bad(at+"/burst", "must be at least 1, not %d", m.Burst)
	case m.Requests > 0 && m.Burst/m.Requests >= maxBurst && m.Burst != maxBurst*m.Requests:
		c.bad(at+"/burst", "must be at most %d times the %d requests of the window, not %d", maxBurst, m.Requests, m.Burst)
	case !written:
		m.Burst = m.Requests
	}
	if m.Name == "" {
		m.Name = windowName(m.Per)
	} else if !nameForm.MatchString(m.Name) {
		c.bad(at+"/name", "%q is not a name: use up to 63 lower case letters, digits and hyphens, a letter first", clip(m.Name))
	}
	if slices.ContainsFunc(l.Limits[:i], func(o Limit) bool { return o.Name == m.Name }) {
		c.bad(at, "another limit of the plan is named %s: a name that is left out is made from the window", m.Name)
	}
}

// windowName is the name of a limit over that time.
func windowName(d Duration) string {
	switch time.Duration(d) {
	case time.Second:
		return "second"
	case time.Minute:
		return "minute"
	case time.Hour:
		return "hour"
	case day:
		return "day"
	}
	return "per-" + strings.ReplaceAll(d.String(), ".", "-")
}

func (c *check) approval(at string, a *Approval) {
	if a.Automatic && len(a.Stages) > 0 {
		c.bad(at+"/automatic", "a plan that approves automatically has no stages: leave one of the two out")
	}
	if !a.Automatic && len(a.Stages) == 0 {
		a.Stages = []Stage{{}}
	}
	c.stages(at, a.Stages)
	if r := a.Renewal; r != nil {
		switch {
		case r.Automatic && len(r.Stages) > 0:
			c.bad(at+"/renewal/automatic", "a renewal that is automatic has no stages: leave one of the two out")
		case !r.Automatic && len(r.Stages) == 0:
			c.bad(at+"/renewal", "say who decides, such as \"renewal: {stages: [{role: approver}]}\", or that it is automatic")
		}
		c.stages(at+"/renewal", r.Stages)
	}
	if u := a.Emergency; u != nil {
		c.urgent(at+"/emergency", u)
	}
}

const (
	longestWait      = 366 * day
	longestEmergency = 3 * day
)

func (c *check) urgent(at string, u *Urgent) {
	c.stageRole(at+"/role", &u.Role)
	if _, written := c.places[at+"/count"]; !written {
		u.Count = 2
	} else if u.Count < 2 || u.Count > 10 {
		c.bad(at+"/count", "must be from 2 to 10, not %d: nobody opens an emergency alone", u.Count)
	}
	c.span(at+"/longest", u.Longest, time.Minute, longestEmergency)
	if u.Longest <= 0 {
		u.Longest = Duration(8 * time.Hour)
	}
	c.span(at+"/within", u.Within, time.Minute, longestEmergency)
	if u.Within <= 0 {
		u.Within = Duration(4 * time.Hour)
	}
}

// stageRole checks a role of staff who decide; an empty one becomes approver.
func (c *check) stageRole(at string, role *string) {
	if *role == "" {
		*role = "approver"
	} else if !slices.Contains(stageRoles(), *role) {
		c.bad(at, "%q is not a role of staff who decide: those are %s", clip(*role), strings.Join(stageRoles(), ", "))
	}
}

func (c *check) stages(at string, stages []Stage) {
	for i := range stages {
		s, below := &stages[i], fmt.Sprintf("%s/stages/%d", at, i)
		c.stageRole(below+"/role", &s.Role)
		if _, written := c.places[below+"/count"]; !written {
			s.Count = 1
		} else if s.Count < 1 || s.Count > 10 {
			c.bad(below+"/count", "must be from 1 to 10, not %d", s.Count)
		}
		if s.Name == "" {
			s.Name = s.Role
		}
		c.words(below+"/name", s.Name, maxTitle)
		if slices.ContainsFunc(stages[:i], func(o Stage) bool { return o.Name == s.Name }) {
			c.bad(below, "another stage is named %s", clip(s.Name))
		}
		c.span(below+"/within", s.Within, time.Minute, longestWait)
		if s.StandIn != "" {
			c.stageRole(below+"/stand_in", &s.StandIn)
			if s.Within <= 0 {
				c.bad(below+"/stand_in", "says who decides once the stage's time has passed, and the stage has none: add within, such as \"within: 3d\"")
			}
		}
	}
}

// offers looks for operations that nobody can be granted, and scopes that open nothing.
func (c *check) offers() {
	for i := range c.Products {
		r, at := &c.Products[i], pointer("products", i)
		needed := map[string]bool{}
		for k, o := range r.Operations {
			a, ok := c.API(o.API)
			if !ok || c.Documents[o.API] == nil {
				return // said before
			}
			index := slices.IndexFunc(c.APIs, func(b API) bool { return b.Name == o.API })
			missing, offered := map[string]string{}, make(map[string]bool, len(o.IDs))
			for _, id := range o.IDs {
				offered[id] = true
			}
			for _, op := range c.Documents[o.API].Operations {
				if !offered[op.ID] || slices.ContainsFunc(c.Policies(index, op.ID), func(l PlacedPolicy) bool { return l.Kind == "anonymous" }) {
					continue
				}
				for _, s := range a.Needs(op) {
					needed[s] = true
					if !scopeForm.MatchString(s) {
						continue // said before
					}
					if _, ok := r.Scopes[s]; !ok && missing[s] == "" {
						missing[s] = op.ID
					}
				}
			}
			for _, s := range slices.Sorted(maps.Keys(missing)) {
				c.warn(fmt.Sprintf("%s/operations/%d", at, k), "%s needs the scope %s, which the product does not offer: no grant of it will reach the operation", missing[s], s)
			}
		}
		for _, s := range slices.Sorted(maps.Keys(r.Scopes)) {
			if !needed[s] {
				c.warn(at+"/scopes/"+escape(s), "no operation of the product needs the scope %s", clip(s))
			}
		}
	}
}
