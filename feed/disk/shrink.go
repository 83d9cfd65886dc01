package disk

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"

	"gatehouse/fault"
	"gatehouse/feed"
)

// Shrink puts a newer image that the reader gives into the place of the one that is there, and keeps of the log only what follows
// it. It may run beside Keep and Sync, and holds them up for as long as the newest entries take to copy. It reports false, and
// has changed nothing, when the image does not stand within the log, or everything was taken anew meanwhile. A crash leaves a
// folder that Load reads.
func (d *Disk) Shrink(from io.Reader) (done bool, err error) {
	fresh, err := os.CreateTemp(d.dir, ".new-*")
	if err != nil {
		return false, err
	}
	defer os.Remove(fresh.Name())
	img, err := ReadImage(io.TeeReader(from, fresh), d.environment, d.key, func(feed.Entry) error { return nil })
	if err = errors.Join(err, fresh.Chmod(0o600), fresh.Sync(), fresh.Close()); err != nil {
		return false, err
	}
	d.work.Lock()
	old, size := d.log, int64(0)
	if old != nil && old.at.Epoch == img.Position.Epoch {
		size = old.size
	}
	d.work.Unlock()
	if size == 0 {
		return false, nil
	}
	c, err := d.copyAfter(old.head, img.Position)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, c.close(done)) }()
	if err := c.through(size); err != nil { // most of it, while others write
		return false, err
	}
	d.work.Lock()
	defer d.work.Unlock()
	if d.log != old {
		return false, nil
	}
	if err := c.through(old.size); err != nil || !c.met {
		return false, err
	}
	if err := errors.Join(c.w.Flush(), c.to.Chmod(0o600), c.to.Sync()); err != nil {
		return false, err
	}
	// First the image: the log that is there goes through where it stands.
	if err := os.Rename(fresh.Name(), d.path("image")); err != nil {
		return false, err
	}
	if err := os.Rename(c.to.Name(), d.path("log")); err != nil {
		return false, err
	}
	d.log, d.image = &log{f: c.to, head: logHead{d.environment, img.Position}, at: old.at, size: c.size}, img.Position
	return true, errors.Join(old.f.Close(), syncDir(d.dir))
}

// copied is a log on its way into another file, without what stands at a position and before.
type copied struct {
	from  *os.File
	r     *logReader
	after feed.Position
	met   bool // the position was passed
	to    *os.File
	w     *bufio.Writer
	size  int64
	buf   bytes.Buffer
}

func (d *Disk) copyAfter(head logHead, after feed.Position) (_ *copied, err error) {
	c := &copied{after: after, met: head.After == after}
	if c.from, err = os.Open(d.path("log")); err != nil {
		return nil, err
	}
	c.r = &logReader{r: bufio.NewReaderSize(c.from, 256<<10), left: head.size()}
	if _, err := c.r.begin(); err != nil {
		return nil, errors.Join(err, c.from.Close())
	}
	if c.to, err = os.CreateTemp(d.dir, ".new-*"); err != nil {
		return nil, errors.Join(err, c.from.Close())
	}
	c.w = bufio.NewWriterSize(c.to, 256<<10)
	b := logHead{d.environment, after}.bytes()
	_, err = c.w.Write(b)
	c.size = int64(len(b))
	if err != nil {
		return nil, errors.Join(err, c.close(false))
	}
	return c, nil
}

// through copies what stands before the place in the log.
func (c *copied) through(size int64) error {
	c.r.left = size - c.r.done
	for {
		b, err := c.r.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if c.met {
			c.buf.Reset()
			block(&c.buf, b)
			n, err := c.w.Write(c.buf.Bytes())
			if c.size += int64(n); err != nil {
				return err
			}
			continue
		}
		var e feed.Entry
		if err := json.Unmarshal(b, &e); err != nil {
			return changed("an entry of it is none")
		}
		if e.Seq < c.after.Seq {
			continue
		}
		if e.Position() != c.after {
			return fault.Of(fault.Conflict, "feed-forked", "the image and the log on disk are of two histories: they differ at entry %d", e.Seq)
		}
		c.met = true
	}
}

// close lets go of the files; used says that the copy is a log now.
func (c *copied) close(used bool) error {
	err := c.from.Close()
	if !used {
		err = errors.Join(err, c.to.Close(), os.Remove(c.to.Name()))
	}
	return err
}
