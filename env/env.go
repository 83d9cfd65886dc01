// Package env is the environment: where APIs are exposed, and which revision of the manifest each serves.
package env

import (
	"context"
	"regexp"
	"strings"
	"time"

	"gatehouse/fault"
	"gatehouse/id"
)

// Environment is a place where APIs are exposed by gateways of ours.
type Environment struct {
	Name     string    `json:"name"`
	Order    int       `json:"order"` // the first is served on the first gateway address
	Created  time.Time `json:"created"`
	Epoch    int64     `json:"epoch"`    // of its feed; raised by an operator after a restore
	Revision int64     `json:"revision"` // the newest published; 0: none
	Regions  []Region  `json:"regions,omitempty"`
}

// Region is a place in the world where an environment is served by gateways of its own, which have a feed of their own.
type Region struct {
	Name  string    `json:"name"`
	Added time.Time `json:"added"`
	Ready bool      `json:"ready"` // its feed tells all that came before it: gateways may join
}

// FeedOf is the name of the feed of an environment, or of one of its regions: the first one tells everything, and those of
// regions leave out what is pinned to another one. The environment is what stands before the "@".
func FeedOf(environment, region string) string {
	if region == "" {
		return environment
	}
	return environment + "@" + region
}

// OfFeed is FeedOf the other way round.
func OfFeed(feed string) (environment, region string) {
	environment, region, _ = strings.Cut(feed, "@")
	return environment, region
}

// CheckFeed reports whether the name can be a feed's.
func CheckFeed(s string) error {
	environment, region := OfFeed(s)
	if err := CheckName(environment); err != nil || environment == s {
		return err
	}
	return CheckRegion(region)
}

// CheckRegion reports whether the name can be a region's: it has the form of an environment's.
func CheckRegion(s string) error {
	if !nameForm.MatchString(s) {
		return fault.New(fault.Invalid, "%q is not a name of a region: use up to %d lower case letters, digits and hyphens, a letter first", s, MaxName)
	}
	return nil
}

// In returns the region of that name; false when the environment is not served there.
func (e Environment) In(region string) (Region, bool) {
	for _, r := range e.Regions {
		if r.Name == region {
			return r, true
		}
	}
	return Region{}, false
}

// Feeds are the names of its feeds: its own, then those of its regions.
func (e Environment) Feeds() []string {
	out := []string{e.Name}
	for _, r := range e.Regions {
		out = append(out, FeedOf(e.Name, r.Name))
	}
	return out
}

// MaxName is the longest name of an environment, which is part of every key.
const MaxName = 32

var nameForm = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)

// CheckName reports whether the name can be an environment's: lower case letters, digits and hyphens, a letter first.
func CheckName(s string) error {
	if !nameForm.MatchString(s) {
		return fault.New(fault.Invalid, "%q is not a name of an environment: use up to %d lower case letters, digits and hyphens, a letter first", s, MaxName)
	}
	return nil
}

// Revision is one published manifest. Numbers count from 1 in each environment.
type Revision struct {
	Environment string    `json:"environment"`
	Number      int64     `json:"number"`
	Digest      string    `json:"digest"` // SHA-256 of the bundle, "sha256:" and hexadecimal
	Bundle      []byte    `json:"-"`      // the files, as manifest.Bundle encodes them
	By          id.ID     `json:"by,omitempty"`
	At          time.Time `json:"at"`
	Note        string    `json:"note,omitempty"`
}

// Store keeps environments and their revisions.
type Store interface {
	// Environments lists all, by Order.
	Environments(ctx context.Context) ([]Environment, error)
	// AddEnvironment stores a new one after all others; one that exists is fault.Conflict.
	AddEnvironment(ctx context.Context, name string, now time.Time) (Environment, error)
	// SetRegions stores where the environment is served.
	SetRegions(ctx context.Context, name string, regions []Region) error
	// RaiseEpoch makes the environment's epoch one higher and returns it.
	RaiseEpoch(ctx context.Context, name string) (int64, error)
	// AddRevision stores r under the next number of its environment and returns it numbered.
	AddRevision(ctx context.Context, r Revision) (Revision, error)
	// Revision returns one; number 0 is the newest. None is fault.NotFound.
	Revision(ctx context.Context, environment string, number int64) (Revision, error)
	// Revisions lists newest first, numbers below before (0: all), without their bundles.
	Revisions(ctx context.Context, environment string, before int64, limit int) ([]Revision, error)
}
