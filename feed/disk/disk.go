package disk

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"gatehouse/fault"
	"gatehouse/feed"
)

// Disk is what one gateway keeps in one folder: image, log and state. Load, Keep, Sync and PutImage are called from one goroutine; Change and
// Shrink from any.
type Disk struct {
	dir, environment string
	key              ed25519.PublicKey

	work  sync.Mutex // guards log and image
	log   *log
	image feed.Position
	lock  *os.File
	lent  *lent // nil: the folder is ours

	mu    sync.Mutex // guards what follows
	file  *stateFile // nil: the folder is lent
	state State
}

// Open opens the folder, making it if it is not there, and keeps other processes out of it. Load comes next.
func Open(dir, environment string, key ed25519.PublicKey) (*Disk, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	file, state, err := openState(filepath.Join(dir, "state"))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open the state of the gateway: %w", err), lock.Close())
	}
	return &Disk{dir: dir, environment: environment, key: key, lock: lock, file: file, state: state}, nil
}

func (d *Disk) path(name string) string { return filepath.Join(d.dir, name) }

// Close closes the files.
func (d *Disk) Close() error {
	d.work.Lock()
	defer d.work.Unlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.file == nil {
		return nil
	}
	err := d.file.f.Close()
	if d.log != nil {
		err = errors.Join(err, d.log.f.Close())
	}
	return errors.Join(err, d.lock.Close())
}

// Load reads the image and the log after it, hands every entry to add, and returns the position where the feed goes on; the
// zero one of an empty folder. What was changed, cut off or put back is fault.Conflict: use nothing of what add got then.
func (d *Disk) Load(add func(feed.Entry) error) (feed.Position, error) {
	var none feed.Position
	d.work.Lock()
	defer d.work.Unlock()
	if d.lent != nil {
		return none, errLent
	}
	if err := d.loadImage(add); err != nil {
		return none, err
	}
	if err := d.loadLog(add); err != nil {
		return none, err
	}
	if said := d.State().Position; d.log.at.Seq < said.Seq && d.log.at.Epoch <= said.Epoch {
		return none, fault.Of(fault.Conflict, "log-cut", "the log on disk ends at entry %d, and this gateway has said that %d was in force: something was cut off or an older copy was put back", d.log.at.Seq, said.Seq)
	}
	return d.log.at, nil
}

func (d *Disk) loadImage(add func(feed.Entry) error) error {
	f, err := os.Open(d.path("image"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	img, err := ReadImage(f, d.environment, d.key, add)
	if err = errors.Join(err, f.Close()); err == nil {
		d.image = img.Position
	}
	return err
}

func (d *Disk) loadLog(add func(feed.Entry) error) error {
	met := false // the log goes through the image's position
	l, err := openLog(d.path("log"), d.environment, d.key, func(e feed.Entry) error {
		switch {
		case e.Seq < d.image.Seq:
			return nil
		case e.Seq == d.image.Seq && e.Position() != d.image:
			return fault.Of(fault.Conflict, "feed-forked", "the image and the log on disk are of two histories: they differ at entry %d", e.Seq)
		case e.Seq == d.image.Seq:
			met = true
			return nil
		}
		return add(e)
	})
	switch {
	case errors.Is(err, fs.ErrNotExist):
		l, err = createLog(d.path("log"), logHead{d.environment, d.image})
	case err != nil:
	case l.at.Seq < d.image.Seq: // a newer image has come since
		err = l.f.Close()
		if err == nil {
			l, err = createLog(d.path("log"), logHead{d.environment, d.image})
		}
	case !met && l.head.After != d.image:
		err = errors.Join(fault.Of(fault.Conflict, "log-changed", "the log on disk begins after entry %d, and the image ends at %d: one of them is not the one that was left here", l.head.After.Seq, d.image.Seq), l.f.Close())
	}
	if err != nil {
		return err
	}
	d.log = l
	return nil
}

// Keep appends entries that follow to the log. They survive the end of the process at once, that of the machine after Sync.
func (d *Disk) Keep(es []feed.Entry) error {
	d.work.Lock()
	defer d.work.Unlock()
	if d.lent != nil {
		return d.lent.keep(es)
	}
	return d.log.append(es)
}

// Sync makes durable what was kept, and notes that it was acknowledged through the position.
func (d *Disk) Sync(p feed.Position) error {
	d.work.Lock()
	var err error
	if d.lent == nil {
		err = d.log.f.Sync()
	}
	d.work.Unlock()
	if err != nil {
		return err
	}
	return d.Change(false, func(s *State) { s.Position = p })
}

// State is how the gateway stands.
func (d *Disk) State() State {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.state
}

// Change changes the state; with sync it is durable when Change returns nil.
func (d *Disk) Change(sync bool, fn func(*State)) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	fn(&d.state)
	if d.file == nil {
		return nil
	}
	return d.file.write(d.state, sync)
}

// LogSize is how many bytes the log has: a long one is a slow start.
func (d *Disk) LogSize() int64 {
	d.work.Lock()
	defer d.work.Unlock()
	if d.log == nil {
		return 0
	}
	return d.log.size
}

// PutImage puts an image that the reader gives into the place of the one that is there, once it is proven whole. Load comes
// next. An image of an older epoch, and one of the same epoch before what was acknowledged, are fault.Conflict.
func (d *Disk) PutImage(from io.Reader) (feed.Image, error) {
	d.work.Lock()
	defer d.work.Unlock()
	var img feed.Image
	if d.lent != nil {
		return img, errLent
	}
	said := d.State().Position
	err := replace(d.path("image"), func(w io.Writer) (err error) {
		img, err = ReadImage(io.TeeReader(from, w), d.environment, d.key, func(feed.Entry) error { return nil })
		if err == nil && (img.Position.Epoch < said.Epoch || img.Position.Epoch == said.Epoch && img.Position.Seq < said.Seq) {
			err = fault.Of(fault.Conflict, "image-old", "the image ends at entry %d of epoch %d, and this gateway has had entry %d of epoch %d in force: with it, what was revoked since would count again", img.Position.Seq, img.Position.Epoch, said.Seq, said.Epoch)
		}
		return err
	})
	if err != nil {
		return img, err
	}
	if img.Position.Epoch > said.Epoch { // another history: nothing of the old log belongs to it
		if err := d.forgetLog(); err != nil {
			return img, err
		}
		return img, d.Change(true, func(s *State) { s.Position = feed.Position{} })
	}
	return img, nil
}

func (d *Disk) forgetLog() error {
	if d.log != nil {
		if err := d.log.f.Close(); err != nil {
			return err
		}
		d.log = nil
	}
	if err := os.Remove(d.path("log")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return syncDir(d.dir)
}

// SetAside moves what cannot be used out of the way, for people to look at, and leaves the state.
func (d *Disk) SetAside() error {
	d.work.Lock()
	defer d.work.Unlock()
	if d.lent != nil {
		return errLent
	}
	if d.log != nil {
		if err := d.log.f.Close(); err != nil {
			return err
		}
		d.log = nil
	}
	d.image = feed.Position{}
	for _, name := range []string{"image", "log"} {
		if err := os.Rename(d.path(name), d.path(name+".refused")); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return syncDir(d.dir)
}

// Empty reports whether there is neither image nor log.
func (d *Disk) Empty() bool {
	for _, name := range []string{"image", "log"} {
		if _, err := os.Stat(d.path(name)); !errors.Is(err, fs.ErrNotExist) {
			return false
		}
	}
	return true
}

// Environment is the one whose feed is kept.
func (d *Disk) Environment() string { return d.environment }
