package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"gatehouse/app"
	"gatehouse/control"
	"gatehouse/credential"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/mail"
	"gatehouse/secret"
	"gatehouse/store"
	"gatehouse/store/sqldb"
)

// layerWriters is how many goroutines write at a time where there is no HTTP between.
const layerWriters = 64

// layer is control without HTTP: control planes in this process, over the same records, and who asks them.
type layer struct {
	controls []*control.Control
	stores   []store.Store
	actor    identity.Actor
	stop     context.CancelFunc
	running  sync.WaitGroup
}

// layered opens so many control planes, each with a store of its own.
func (p *plant) layered(ctx context.Context, planes int, open func() (store.Store, error)) (_ *layer, err error) {
	run, stop := context.WithCancel(ctx)
	l := &layer{stop: stop}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.close())
		}
	}()
	keys, err := app.OpenKeys(p.house.data)
	if err != nil {
		return nil, err
	}
	for range planes {
		st, err := open()
		if err != nil {
			return nil, err
		}
		l.stores = append(l.stores, st)
		c := control.New(control.Options{Store: st, Mail: mail.NewBox(), Kinds: app.Kinds(), Keys: keys, Now: time.Now, URL: p.house.portal,
			Images: filepath.Join(p.dir, "images"), Backups: filepath.Join(p.dir, "backups"), Version: "bench"})
		l.controls = append(l.controls, c)
		l.running.Go(func() { _ = c.Run(run) })
	}
	l.actor, err = l.controls[0].ByBearer(ctx, secret.New(p.house.member), "127.0.0.1", "bench")
	return l, err
}

func (l *layer) close() (err error) {
	l.stop()
	l.running.Wait()
	for _, s := range l.stores {
		err = errors.Join(err, s.Close())
	}
	return err
}

// head is the newest number of the feed.
func (l *layer) head(ctx context.Context) (seq int64, err error) {
	err = l.stores[0].View(ctx, func(tx store.Tx) error {
		h, err := tx.Head(ctx, "live")
		seq = h.Seq
		return err
	})
	return seq, err
}

// controlSQLite measures control over the same file, once the process that had it has ended.
func (p *plant) controlSQLite(ctx context.Context) (_ []fleetResult, err error) {
	if err := p.quiet(); err != nil {
		return nil, err
	}
	if err := p.end(p.control); err != nil {
		return nil, err
	}
	l, err := p.layered(ctx, 1, func() (store.Store, error) {
		return sqldb.OpenSQLite(ctx, filepath.Join(p.house.data, "gatehouse.db"), sqldb.Options{})
	})
	if err != nil {
		return nil, err
	}
	r, err := p.layerWrites(ctx, "writes-sqlite-control", l)
	if err = errors.Join(err, l.close()); err == nil {
		err = p.startControl(ctx) // for what comes after
	}
	r.Note = fmt.Sprintf("by the methods of control, no HTTP, %d goroutines, synchronous=FULL", layerWriters)
	return []fleetResult{r}, err
}

// layerWrites suspends and resumes credentials by the methods that the admin API calls.
func (p *plant) layerWrites(ctx context.Context, name string, l *layer) (fleetResult, error) {
	before, err := l.head(ctx)
	if err != nil {
		return fleetResult{}, err
	}
	began, cpu := time.Now(), ownTime()
	all, took, err := p.turns(layerWriters, func(n int, k id.ID, suspend bool) error {
		c := l.controls[n%len(l.controls)]
		turn := c.ResumeCredential
		if suspend {
			turn = c.SuspendCredential
		}
		var cr credential.Credential
		cr, err := turn(ctx, l.actor, k, 0, "to be measured")
		if err == nil && (cr.State == credential.Suspended) != suspend {
			err = fmt.Errorf("credential %s is %s", k, cr.State)
		}
		return err
	})
	if err != nil {
		return fleetResult{}, err
	}
	for at := int64(0); at < before+int64(len(all)); time.Sleep(5 * time.Millisecond) {
		if at, err = l.head(ctx); err != nil {
			return fleetResult{}, err
		}
	}
	r := written(name, all, took, time.Since(began))
	r.ControlCPU = each(ownTime()-cpu, len(all))
	return r, nil
}
