package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"sync"
	"time"

	"gatehouse/feed"
	"gatehouse/feed/link"
)

// ends are when a change was at the light gateways: applied by the first and the last, and its receipt handed to the connection.
type ends struct{ Applied, AppliedLast, Told, ToldLast time.Time }

// course is that of the newest changes.
type course struct {
	mu    sync.Mutex
	ends  map[int64]*ends
	fresh bool
}

const (
	courseEvery = 500 * time.Millisecond // it is written
	courseOf    = ".course"
	courseKept  = 1000 // changes
)

// note notes what happens to a change now: 0, it is applied; 1, it is told.
func (c *course) note(seq int64, what int) {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.ends[seq]
	if e == nil {
		e = &ends{}
		c.ends[seq] = e
		delete(c.ends, seq-courseKept)
	}
	first, last := &e.Applied, &e.AppliedLast
	if what == 1 {
		first, last = &e.Told, &e.ToldLast
	}
	if *last = now; first.IsZero() {
		*first = now
	}
	c.fresh = true
}

func (c *course) write(file string) error {
	c.mu.Lock()
	fresh := c.fresh
	c.fresh = false
	b, err := json.Marshal(c.ends)
	c.mu.Unlock()
	if err != nil || !fresh {
		return err
	}
	if err := os.WriteFile(file+".new", b, 0o600); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}

// traced notes when receipts are sent.
type traced struct {
	*link.Client
	course *course
}

func (t traced) Acknowledge(ctx context.Context, r feed.Receipt) error {
	err := t.Client.Acknowledge(ctx, r)
	t.course.note(r.Position.Seq, 1)
	return err
}

// stages are what control says of one change, in milliseconds after its commit.
type stages struct {
	Numbered     float64 `json:"numbered_ms"`
	FirstSent    float64 `json:"first_sent_ms"`
	LastSent     float64 `json:"last_sent_ms"`
	FirstReceipt float64 `json:"first_receipt_ms"`
	Counted      float64 `json:"counted_ms"`
}

// stageNames are the stages in their order, and what each is.
var stageNames = []string{"answered", "numbered", "sent-first", "sent-last", "applied-first", "applied-last", "told-first", "told-last", "receipt-first", "receipt-last", "counted-last"}

// staged is when one change came how far, by the name of the stage.
func staged(f inForce, answered time.Time, e *ends) map[string]time.Duration {
	ms := func(v float64) time.Duration { return time.Duration(v * float64(time.Millisecond)) }
	out := map[string]time.Duration{"answered": answered.Sub(f.Committed), "receipt-last": ms(f.LastMS)}
	if s := f.Stages; s != nil {
		out["numbered"], out["sent-first"], out["sent-last"] = ms(s.Numbered), ms(s.FirstSent), ms(s.LastSent)
		out["receipt-first"], out["counted-last"] = ms(s.FirstReceipt), ms(s.Counted)
	}
	if e != nil {
		out["applied-first"], out["applied-last"] = e.Applied.Sub(f.Committed), e.AppliedLast.Sub(f.Committed)
		out["told-first"], out["told-last"] = e.Told.Sub(f.Committed), e.ToldLast.Sub(f.Committed)
	}
	return out
}

// courses reads when the changes were at the light gateways.
func (p *plant) courses() (out map[int64]*ends, err error) {
	time.Sleep(3 * courseEvery)
	b, err := os.ReadFile(filepath.Join(p.dir, "lights"+courseOf))
	if err == nil {
		err = json.Unmarshal(b, &out)
	}
	return out, err
}

// revoked is a change that was revoked, and when that was answered.
type revoked struct {
	inForce
	answered time.Time
}

// stageResults are the stages of all, each as a case.
func (p *plant) stageResults(all []revoked) ([]fleetResult, error) {
	at, err := p.courses()
	if err != nil {
		return nil, err
	}
	by := map[string]*series{}
	for _, r := range all {
		for name, d := range staged(r.inForce, r.answered, at[r.Seq]) {
			if by[name] == nil {
				by[name] = &series{}
			}
			by[name].add(d)
		}
	}
	var out []fleetResult
	for _, name := range stageNames {
		if s := by[name]; s != nil {
			r := s.result("revocation-stage-"+name, fleetConnections, 0)
			r.Note = "after the commit"
			out = append(out, r)
		}
	}
	return out, nil
}
