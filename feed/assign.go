package feed

import (
	"cmp"
	"slices"

	"gatehouse/fault"
)

// Head is where an environment's feed stands: the position after its newest entry, and the epoch of the next one.
type Head struct {
	Environment string
	Epoch       int64
	Position
}

// Numbered is what a row became: one entry in each environment it is for.
type Numbered struct {
	Row     int64
	Entries []Entry
}

// Assign numbers rows. It is pure: heads are where the environments stand, newest tells the version of an entity's newest
// entry in an environment (0: none). Numbers follow the heads without gaps, in each environment; rows keep their order, but
// those of one entity stand in the order of its versions. A row without an environment goes to every one. A row that tells
// an environment nothing new, because an entry of that version or a later one is there, becomes no entry there: an old state
// never comes after a newer one. The heads after it are returned too.
func Assign(heads []Head, newest func(environment string, k Kind, key string) (int64, error), rows []Change, sign func(digest string) []byte) ([]Numbered, []Head, error) {
	type entity struct {
		Kind
		key string
	}
	type known struct {
		environment string
		entity
	}
	heads = slices.Clone(heads)
	versions := map[known]int64{}
	var out []Numbered
	for _, c := range byVersion(rows) {
		n := Numbered{Row: c.Row}
		found := c.Environment == ""
		for i := range heads {
			h := &heads[i]
			if c.Environment != "" && c.Environment != h.Environment {
				continue
			}
			found = true
			k := known{h.Environment, entity{c.Kind, c.Key}}
			v, seen := versions[k]
			if !seen {
				var err error
				if v, err = newest(h.Environment, c.Kind, c.Key); err != nil {
					return nil, nil, err
				}
			}
			versions[k] = max(v, c.Version)
			if v >= c.Version {
				continue
			}
			e, err := Seal(h.Position, Entry{
				Environment: h.Environment, Epoch: h.Epoch, Kind: c.Kind, Key: c.Key, Version: c.Version, Payload: c.Payload, Committed: c.Committed,
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
