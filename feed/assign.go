package feed

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	"gatehouse/fault"
)

// Head is where a feed stands: the position after its newest entry, and the epoch of the next one.
type Head struct {
	Environment string // the feed's name: that of the environment, unless it is of a region
	Epoch       int64
	Position
	Of     string // the environment, of the feed of a region
	Region string
}

// Takes reports whether a row is for the feed.
func (h Head) Takes(c Change) bool {
	return c.Environment == "" || c.Environment == h.Environment || h.Region != "" && c.Environment == h.Of
}

// Elsewhere reports whether what the row tells may not be known to the gateways of the feed.
func (h Head) Elsewhere(c Change) bool {
	return c.Region != "" && h.Region != "" && c.Region != h.Region
}

// Known is what a feed knows of an entity: the version of its newest entry, 0 for none, and whether that one withdrew it.
type Known struct {
	Version   int64
	Withdrawn bool
}

// Numbered is what a row became: one entry in each environment it is for.
type Numbered struct {
	Row     int64
	Entries []Entry
}

// Assign numbers rows. It is pure: heads are where the environments stand, newest tells the version of an entity's newest
// entry in a feed. Numbers follow the heads without gaps, in each environment; rows keep their order, but
// those of one entity stand in the order of its versions. A row without an environment goes to every one. A row that tells
// an environment nothing new, because an entry of that version or a later one is there, becomes no entry there: an old state
// never comes after a newer one. What is pinned to a region becomes no entry in the feeds of other ones; what one of those
// knows already is withdrawn there, once. The heads after it are returned too.
func Assign(heads []Head, newest func(environment string, k Kind, key string) (Known, error), rows []Change, sign func(digest string) []byte) ([]Numbered, []Head, error) {
	type entity struct {
		Kind
		key string
	}
	type known struct {
		environment string
		entity
	}
	heads = slices.Clone(heads)
	newer := map[known]Known{}
	var out []Numbered
	for _, c := range byVersion(rows) {
		n := Numbered{Row: c.Row}
		found := c.Environment == "" || strings.Contains(c.Environment, "@") // a region may have been taken away meanwhile
		for i := range heads {
			h := &heads[i]
			if !h.Takes(c) {
				continue
			}
			found = true
			k := known{h.Environment, entity{c.Kind, c.Key}}
			v, seen := newer[k]
			if !seen {
				var err error
				if v, err = newest(h.Environment, c.Kind, c.Key); err != nil {
					return nil, nil, err
				}
			}
			newer[k] = v
			away := h.Elsewhere(c)
			if v.Version >= c.Version || away && (v.Version == 0 || v.Withdrawn) {
				continue
			}
			newer[k] = Known{c.Version, away}
			payload := c.Payload
			if away {
				var err error
				if payload, err = Withdraw(c.Kind, payload); err != nil {
					return nil, nil, err
				}
			}
			e, err := Seal(h.Position, Entry{
				Environment: h.Environment, Epoch: h.Epoch, Kind: c.Kind, Key: c.Key, Version: c.Version, Payload: payload, Committed: c.Committed,
			}, sign)
			if err != nil {
				return nil, nil, err
			}
			h.Position = e.Position()
			n.Entries = append(n.Entries, e)
		}
		if !found {
			return nil, nil, fault.New(fault.Internal, "row %d is for the environment %q, which does not exist", c.Row, c.Environment)
		}
		out = append(out, n)
	}
	return out, heads, nil
}

// byVersion returns the rows with those of each entity, in the places that they hold, in the order of their versions.
func byVersion(rows []Change) []Change {
	type entity struct {
		Kind
		key string
	}
	places := map[entity][]int{}
	for i, c := range rows {
		k := entity{c.Kind, c.Key}
		places[k] = append(places[k], i)
	}
	out := slices.Clone(rows)
	for _, at := range places {
		if len(at) < 2 {
			continue
		}
		of := make([]Change, len(at))
		for i, p := range at {
			of[i] = rows[p]
		}
		slices.SortStableFunc(of, func(a, b Change) int { return cmp.Compare(a.Version, b.Version) })
		for i, p := range at {
			out[p] = of[i]
		}
	}
	return out
}

// Withdraw is what a credential or grant is told as where it may not be known any more: over, and without what only those need who
// let it in. The mark stays, since a gateway finds by it what ends.
func Withdraw(k Kind, payload json.RawMessage) (json.RawMessage, error) {
	var over any
	var err error
	switch k {
	case KindCredential:
		var c Credential
		err = json.Unmarshal(payload, &c)
		over = Credential{ID: c.ID, Application: c.Application, Kind: c.Kind, Hash: c.Hash, Expires: c.Expires, Ended: "revoked", Withdrawn: true}
	case KindGrant:
		var g Grant
		err = json.Unmarshal(payload, &g)
		over = Grant{ID: g.ID, Application: g.Application, Product: g.Product, Plan: g.Plan, Scopes: []string{}, From: g.From, Until: g.Until,
			State: "ended", Withdrawn: true}
	default:
		return nil, fault.New(fault.Internal, "a %s is in no region", k)
	}
	if err != nil {
		return nil, fault.New(fault.Internal, "the payload of a %s cannot be read", k).Because(err)
	}
	return json.Marshal(over)
}

// Withdrawn reports whether the entry is a withdrawal.
func (e Entry) Withdrawn() bool {
	if e.Kind != KindCredential && e.Kind != KindGrant {
		return false
	}
	var w struct {
		Withdrawn bool `json:"withdrawn"`
	}
	return bytes.Contains(e.Payload, []byte(`"withdrawn":true`)) && json.Unmarshal(e.Payload, &w) == nil && w.Withdrawn
}
