package control

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"gatehouse/audit"
	"gatehouse/fault"
	"gatehouse/feed"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/mail"
	"gatehouse/store"
)

// write is one change on its way: a transaction, who makes it, and when. What it stores goes through the methods of
// record.go, each of which writes the audit entry and the feed change that belong to it, so that nobody can forget them.
type write struct {
	read
	changes int // objects stored
	entries int // audit entries written
	letters int // in the outbox
	told    int // events on their way to webhooks
	seal    func(mail.Letter) mail.Letter
}

// update checks that the actor may call the method, and runs fn alone among updates. What fn stores and no audit entry
// tells of is a mistake of ours, and is undone.
func (c *Control) update(ctx context.Context, a identity.Actor, method string, fn func(*write) error) error {
	if err := allow(a, method); err != nil {
		return err
	}
	posted, told := false, false
	err := c.Store.Update(ctx, func(tx store.Tx) error {
		w := &write{read: read{tx: tx, ctx: ctx, a: a, now: c.now()}, seal: c.sealer.seal}
		if err := fn(w); err != nil {
			return err
		}
		if w.changes > 0 && w.entries == 0 {
			return fault.New(fault.Internal, "something went wrong on our side").Because(fmt.Errorf("%s changed the store without an audit entry", method))
		}
		posted, told = w.letters > 0, w.told > 0
		return nil
	})
	if err == nil && posted {
		wake(c.posted)
	}
	if err == nil && told {
		wake(c.told)
	}
	return err
}

// wake tells whoever reads the channel that there is something to do.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // it is awake already
	}
}

// change is what an audit entry says beside the states of the object.
type change struct {
	action       string // noun.verb
	object       id.ID
	organization id.ID
	application  id.ID
	environment  string
	reason       string
	personal     []audit.Personal
	quiet        bool // no webhook is told: it is large, and another entry says that it is there
}

// audit writes the entry of a change. before and after are what may be told for ever: no personal values.
func (w *write) audit(ch change, before, after json.RawMessage) error {
	e := audit.New(w.now, audit.Entry{
		Actor: actorName(w.a), Action: ch.action,
		Object: ch.object, Organization: ch.organization, Application: ch.application, Environment: ch.environment,
		Reason: ch.reason, RequestID: w.a.RequestID, Before: before, After: after,
	})
	e.Personal = append(audit.Commit("actor.name", w.a.Name), audit.Commit("actor.address", w.a.Address)...)
	e.Personal = append(e.Personal, ch.personal...)
	w.entries++
	if err := w.tx.AppendAudit(w.ctx, e); err != nil {
		return err
	}
	if ch.quiet {
		return nil
	}
	return w.tell(ch, after)
}

// actorName is how the audit names an actor: class and ID, never a name.
func actorName(a identity.Actor) string {
	if a.ID == "" {
		return a.Class.String()
	}
	return a.Class.String() + ":" + string(a.ID)
}

// state is an object as the audit and the feed keep it.
func state(o any) json.RawMessage {
	b, err := json.Marshal(o)
	if err != nil { // the nouns are plain structs: this is a mistake of ours that every test would meet
		panic(fmt.Sprintf("control: %T cannot be written as JSON: %v", o, err))
	}
	return b
}

// feed writes one change for the gateways of the environment; "" is all of them.
func (w *write) feed(environment string, k feed.Kind, key string, version int64, payload json.RawMessage) error {
	return w.tx.AppendChange(w.ctx, feed.Change{
		Environment: environment, Kind: k, Key: key, Version: version, Payload: payload, Committed: w.now,
	})
}

// letter puts a letter into the outbox. It is sent after the commit.
func (w *write) letter(to, subject, text string) error {
	w.letters++
	return w.tx.AddLetter(w.ctx, w.seal(mail.Letter{To: to, Subject: subject, Text: text, At: w.now}))
}

// maxOnce is the longest key of a form that is sent once.
const maxOnce = 128

// once returns the object that the same form made before, or "". key "" is no such form.
func (w *write) once(method, key string) (id.ID, error) {
	if key == "" {
		return "", nil
	}
	return w.tx.Once(w.ctx, w.oncePerson(), method+":"+key, "", w.now)
}

// made records which object the form made.
func (w *write) made(method, key string, object id.ID) error {
	if key == "" {
		return nil
	}
	_, err := w.tx.Once(w.ctx, w.oncePerson(), method+":"+key, object, w.now)
	return err
}

func (w *write) oncePerson() id.ID { return w.a.Person }

// fresh makes the ID of a new object.
func (w *write) fresh(k id.Kind) id.ID { return id.New(k, w.now) }

// after is the end of a span from now.
func (w *write) after(d time.Duration) time.Time { return w.now.Add(d) }
