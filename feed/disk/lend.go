package disk

import (
	"errors"
	"os"

	"gatehouse/fault"
	"gatehouse/feed"
	"gatehouse/lock"
)

// lent is what a gateway would have written while another process has its folder.
type lent struct{ entries []feed.Entry }

// lentMost is how many entries are remembered then: more than come while a successor starts.
const lentMost = 1 << 16

var errLent = fault.Of(fault.Unavailable, "disk-lent", "the gateway's folder is another process's: a successor has it")

// Lend makes durable what there is and lets go of the folder, so that another process may open it. Keep, Sync and Change go on in memory
// alone: nothing may be acknowledged until Return. Nothing else can be done with a lent folder but to close it.
func (d *Disk) Lend() error {
	d.work.Lock()
	defer d.work.Unlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.log == nil || d.file == nil {
		return errLent
	}
	if err := errors.Join(d.log.f.Sync(), d.file.write(d.state, true)); err != nil {
		return err
	}
	err := errors.Join(d.log.f.Close(), d.file.f.Close(), d.lock.Close())
	d.log, d.file, d.lock, d.lent = nil, nil, nil, &lent{}
	return err
}

// Return takes the folder back from a process that has ended, and makes durable what was kept meanwhile.
func (d *Disk) Return() (err error) {
	d.work.Lock()
	defer d.work.Unlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.lent == nil {
		return nil
	}
	if d.lock, err = lockDir(d.dir); err != nil {
		return err
	}
	file, there, err := openState(d.path("state"))
	if err != nil {
		return err
	}
	d.file, d.state = file, d.state.later(there)
	nothing := func(feed.Entry) error { return nil }
	if err := d.loadImage(nothing); err != nil {
		return err
	}
	if err := d.loadLog(nothing); err != nil {
		return err
	}
	if err := errors.Join(d.log.append(d.lent.entries), d.log.f.Sync(), d.file.write(d.state, true)); err != nil {
		return err
	}
	d.lent = nil
	return nil
}

// keep remembers entries while the folder is lent.
func (l *lent) keep(es []feed.Entry) error {
	if len(l.entries)+len(es) > lentMost {
		return errLent
	}
	l.entries = append(l.entries, es...)
	return nil
}

// later is of two states of one gateway what came later.
func (s State) later(t State) State {
	if t.Position.Epoch > s.Position.Epoch || t.Position.Epoch == s.Position.Epoch && t.Position.Seq > s.Position.Seq {
		s.Position = t.Position
	}
	if t.Clock.After(s.Clock) {
		s.Clock = t.Clock
	}
	if t.Heard.After(s.Heard) {
		s.Heard, s.Heartbeat = t.Heard, t.Heartbeat
	}
	if s.Revoked == nil {
		s.Revoked = t.Revoked
	}
	return s
}

// lockDir keeps other processes out of the folder until the file is closed.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(dir+"/lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	held, err := lock.Take(f)
	if err == nil && !held {
		err = fault.Of(fault.Unavailable, "disk-busy", "another gateway runs from %s: each needs a data directory of its own", dir)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
