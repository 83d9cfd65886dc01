package drift

import (
	"io/fs"
	"time"
)

// Reader reads what a gateway's team keeps in a folder. It never returns nil, touches nothing outside fsys, resolves no network
// name, and runs no code it finds. What it cannot read is a Problem; the other files are still read.
type Reader func(fsys fs.FS, o Options) (*Environment, []Problem)

// Options say what a folder is, as far as its files do not.
type Options struct {
	Name   string            // of the environment; required
	Tier   Tier              // "" is judged as production
	Region string            //
	Now    time.Time         // when it is read
	Values map[string]string // values for what the files leave open: template variables, environment variables, named values
	Hosts  []Exposure        // addresses under which it answers, where the files do not say
}

// NewEnvironment is an empty environment of the gateway, as the options describe it.
func NewEnvironment(gateway string, o Options) *Environment {
	tier := o.Tier
	if tier == "" {
		if t, ok := TierIn(o.Name); ok {
			tier = t
		}
	}
	return &Environment{Name: o.Name, Tier: tier, Gateway: gateway, Region: o.Region, ReadAt: o.Now, Exposures: append([]Exposure(nil), o.Hosts...)}
}

// Refer notes a name of something outside, once for each place.
func (e *Environment) Refer(kind, value string, o Origin) {
	if value == "" {
		return
	}
	r := Reference{Kind: kind, Value: Mask(value), Origin: o}
	for _, old := range e.References[max(0, len(e.References)-64):] {
		if old == r {
			return
		}
	}
	e.References = append(e.References, r)
}
