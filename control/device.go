package control

import (
	"context"
	"crypto/rand"
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"gatehouse/fault"
	"gatehouse/identity"
	"gatehouse/secret"
	"gatehouse/store"
)

const (
	deviceLives    = 10 * time.Minute
	deviceInterval = 2 * time.Second     // between two polls
	deviceToken    = 30 * 24 * time.Hour // how long the token of such a sign-in lives
	// codeLetters has no vowels, so that no code is a word, and nothing that looks like something else.
	codeLetters = "BCDFGHJKLMNPQRSTVWXZ"
	codeLength  = 8
)

// DeviceStart is the begin of a sign-in by device code (RFC 8628).
type DeviceStart struct {
	DeviceCode secret.Value
	UserCode   string // such as BCDF-GHJK
	URL        string // where the person allows it
	Expires    time.Time
	Interval   time.Duration // between two polls
}

// StartDevice begins a sign-in by device code.
func (c *Control) StartDevice(ctx context.Context, a identity.Actor, client string) (DeviceStart, error) {
	var f form
	client = f.name("/client", client, longestName)
	if err := f.err(); err != nil {
		return DeviceStart{}, err
	}
	if err := c.limited(ctx, deviceStarts, network(a.Address)); err != nil {
		return DeviceStart{}, err
	}
	for range 4 { // a code that waits already is made again
		code := secret.Random("ghd_")
		d := identity.Device{Hash: code.Hash(), UserCode: userCode(), Client: client}
		err := c.update(ctx, a, "StartDevice", func(w *write) error {
			d.Created, d.Expires = w.now, w.after(deviceLives)
			return w.tx.AddDevice(ctx, d)
		})
		if errors.Is(err, fault.Conflict) {
			continue
		}
		return DeviceStart{DeviceCode: code, UserCode: d.UserCode, Expires: d.Expires, Interval: deviceInterval,
			URL: c.URL + devicePage + "?code=" + url.QueryEscape(d.UserCode)}, err
	}
	return DeviceStart{}, fault.New(fault.Unavailable, "too many sign-ins are waiting: try again")
}

// userCode is eight random letters in two groups.
func userCode() string {
	var out []byte
	var b [1]byte
	for len(out) < codeLength+1 {
		if len(out) == codeLength/2 {
			out = append(out, '-')
		}
		rand.Read(b[:])
		if limit := byte(256 / len(codeLetters) * len(codeLetters)); b[0] < limit { // else some letters would come more often
			out = append(out, codeLetters[int(b[0])%len(codeLetters)])
		}
	}
	return string(out)
}

// readCode takes a user code as people type it.
func readCode(s string) string {
	if len(s) > 64 {
		return ""
	}
	s = strings.Map(func(r rune) rune {
		if strings.ContainsRune(codeLetters, r) {
			return r
		}
		return -1
	}, strings.ToUpper(s))
	if len(s) != codeLength {
		return ""
	}
	return s[:codeLength/2] + "-" + s[codeLength/2:]
}

// typing counts a code that a person typed, for what do does with it, and takes that back if it was right: there are few enough to guess.
func (c *Control) typing(ctx context.Context, a identity.Actor, method string, do func(right func()) error) error {
	if err := allow(a, method); err != nil {
		return err
	}
	counts, err := c.countAll(ctx, count{deviceCodes, string(a.Person)})
	if err != nil {
		return err
	}
	found := false
	err = do(func() { found = true })
	if found {
		c.giveBack(ctx, counts...)
	}
	return err
}

// findDevice looks a waiting sign-in up by what the person typed.
func (c *Control) findDevice(ctx context.Context, tx store.Tx, code string, right func()) (identity.Device, error) {
	d, err := tx.DeviceByUserCode(ctx, readCode(code), c.now())
	if errors.Is(err, fault.NotFound) {
		return d, missing("code: it may have been used or have expired")
	}
	if err == nil {
		right()
	}
	return d, err
}

// Device shows the waiting sign-in to the person who is asked to allow it.
func (c *Control) Device(ctx context.Context, a identity.Actor, userCode string) (identity.Device, error) {
	var d identity.Device
	err := c.typing(ctx, a, "Device", func(right func()) error {
		return c.view(ctx, a, "Device", func(r read) (err error) {
			d, err = c.findDevice(ctx, r.tx, userCode, right)
			return err
		})
	})
	return d, err
}

// DecideDevice allows or denies it.
func (c *Control) DecideDevice(ctx context.Context, a identity.Actor, userCode string, allow bool) error {
	return c.typing(ctx, a, "DecideDevice", func(right func()) error {
		return c.update(ctx, a, "DecideDevice", func(w *write) error {
			d, err := c.findDevice(ctx, w.tx, userCode, right)
			if err != nil {
				return err
			}
			if allow {
				d.Person = a.Person
				return w.setDevice("device.allow", d, a.Person)
			}
			d.Denied = true
			return w.setDevice("device.deny", d, a.Person)
		})
	})
}

// PollDevice returns a machine token, once, when the person has allowed it. Before, it is fault.Unavailable with the code
// "authorization-pending"; denied is fault.Forbidden "access-denied"; over is fault.Gone "expired-token"; sooner than the
// interval after the poll before is fault.Limited "slow-down".
func (c *Control) PollDevice(ctx context.Context, a identity.Actor, deviceCode secret.Value) (identity.MachineToken, secret.Value, error) {
	var m identity.MachineToken
	var token secret.Value
	hash := deviceCode.Hash()
	over := fault.Of(fault.Gone, "expired-token", "this sign-in is over: begin again")
	err := c.Store.View(ctx, func(tx store.Tx) error { // before it is counted: made-up codes fill no memory
		_, err := tx.DeviceByHash(ctx, hash)
		if errors.Is(err, fault.NotFound) {
			return over
		}
		return err
	})
	if err != nil {
		return m, token, err
	}
	if wait := c.tries.take(devicePolls, string(hash[:]), c.now()); wait > 0 {
		return m, token, &fault.Error{Kind: fault.Limited, Code: "slow-down", Public: "asked too often: keep to the interval", RetryAfter: deviceInterval}
	}
	err = c.update(ctx, a, "PollDevice", func(w *write) error {
		d, err := w.tx.DeviceByHash(ctx, hash)
		if errors.Is(err, fault.NotFound) || err == nil && (d.Used || !w.now.Before(d.Expires)) {
			return over
		}
		switch {
		case err != nil:
			return err
		case d.Denied:
			return fault.Of(fault.Forbidden, "access-denied", "the sign-in was refused")
		case d.Person == "":
			return &fault.Error{Kind: fault.Unavailable, Code: "authorization-pending", Public: "nobody has allowed the sign-in yet", RetryAfter: deviceInterval}
		}
		p, err := w.tx.Person(ctx, d.Person)
		if err != nil {
			return err
		}
		if p.State != identity.Active {
			return over
		}
		w.a = personActor(p, a.Address, a.RequestID)
		d.Used = true
		if err := w.setDevice("device.use", d, p.ID); err != nil {
			return err
		}
		m, token, err = w.addMachine(d.Client, slices.Clone(p.Roles), w.after(deviceToken))
		return err
	})
	return m, token, err
}
