package control

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/mail"
	"gatehouse/secret"
)

// CheapPasswords makes hashing and even answers fast for tests that are not about their cost.
func (c *Control) CheapPasswords() {
	c.even = time.Millisecond
	c.hasher.memory = 8
	c.hasher.dummy = c.hasher.encode("nobody's")
}

// Patience sets how long gateways have to let a canary in.
func (c *Control) Patience(d time.Duration) { c.patience = d }

// Evenly sets how long an answer takes that must not tell whether something was written.
func (c *Control) Evenly(d time.Duration) { c.even = d }

// Deliver sends every letter that waits.
func (c *Control) Deliver(ctx context.Context) error {
	for {
		if n, err := c.sendSome(ctx); n == 0 || err != nil {
			return err
		}
	}
}

// Sequence numbers and seals everything that is committed.
func (c *Control) Sequence(ctx context.Context) error {
	for {
		if more, err := c.sequencer.step(ctx); !more || err != nil {
			return err
		}
	}
}

// Rights is the names of the methods of the table.
func Rights() []string { return slices.Sorted(maps.Keys(rights)) }

var (
	CleanEmail    = cleanEmail
	CleanPassword = cleanPassword
	Clean         = clean
	CleanAgent    = cleanAgent
	ReadCode      = readCode
	UserCode      = userCode
)

// ForgetEntry changes something and writes no audit entry.
func (c *Control) ForgetEntry(ctx context.Context) error {
	return c.update(ctx, identity.Actor{Class: identity.System}, "sendLetters", func(w *write) error {
		w.changes++
		_, err := w.tx.AddEnvironment(ctx, "forgotten", w.now)
		return err
	})
}

// Bounded is the methods for which a role bound to a place counts.
func Bounded() []string { return slices.Sorted(maps.Keys(bounded)) }

// ForgetAuthorities forgets those that have left the manifest, and tells how many are kept read.
func ForgetAuthorities(ctx context.Context, c *Control) int {
	c.forgetAuthorities(ctx)
	return len(c.authorities.read)
}

// Tend does everything that is due by itself.
func (c *Control) Tend(ctx context.Context) error { return c.tendAll(ctx) }

// DeliverWebhooks tries every delivery that waits.
func DeliverWebhooks(ctx context.Context, c *Control) error {
	for {
		if n, err := c.deliverSome(ctx); n == 0 || err != nil {
			return err
		}
	}
}

// OpensOldWebhookSecret opens what was sealed to the letters' key, and sees that another endpoint's does not open.
func OpensOldWebhookSecret(c *Control) error {
	old := c.sealer.seal(mail.Letter{To: "wh_1", Subject: "webhook", Text: "whsec_x"}).Text
	if s, err := c.openSecret("wh_1", old); err != nil || s.Reveal() != "whsec_x" {
		return fmt.Errorf("of before: %q, %w", s.Reveal(), err)
	}
	for _, sealed := range []string{old, c.sealSecret("wh_1", secret.New("whsec_y"))} {
		if _, err := c.openSecret("wh_2", sealed); err == nil {
			return errors.New("another endpoint's was opened")
		}
	}
	return nil
}

// Notify tells of everything that comes to its end.
func Notify(ctx context.Context, c *Control) error {
	for {
		if more, err := c.notifySome(ctx); !more || err != nil {
			return err
		}
	}
}

// ReviewDue reviews when it is time, as it happens by itself.
func (c *Control) ReviewDue(ctx context.Context) error { return c.reviewDue(ctx) }

// RoomFor counts one mark of a client. It is no method, so that it is nobody's right.
func RoomFor(c *Control, client id.ID) error { return c.roomFor(client, make([]spent, 1)) }

// FoldUsage puts together what is over, and ForgetUsage removes what is too old.
func FoldUsage(ctx context.Context, c *Control) error   { return c.foldUsage(ctx) }
func ForgetUsage(ctx context.Context, c *Control) error { return c.forgetUsage(ctx) }

// LookAtReplica looks at the replica and compares it with the database that is written, as its run does.
func LookAtReplica(ctx context.Context, c *Control) error {
	c.replica.mu.Lock()
	c.replica.checked = time.Time{}
	c.replica.mu.Unlock()
	_, err := c.replica.look(ctx)
	if err == nil {
		err = c.replica.compare(ctx)
	}
	c.replica.note(err)
	return err
}
