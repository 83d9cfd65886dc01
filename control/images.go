package control

import (
	"context"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"gatehouse/fault"
	"gatehouse/feed"
	"gatehouse/feed/disk"
	"gatehouse/fleet"
	"gatehouse/identity"
	"gatehouse/store"
)

// imageFile is an image that lies ready for gateways.
type imageFile struct {
	mu      sync.Mutex
	file    string
	at      feed.Position
	records int64
}

// found takes what an earlier process of ours has left, if it is whole and signed by us.
func (i *imageFile) found(c *Control, file, environment string) {
	f, err := os.Open(file)
	if err != nil {
		return
	}
	defer f.Close()
	if img, err := disk.ReadImage(f, environment, c.FeedKey, func(feed.Entry) error { return nil }); err == nil {
		i.file, i.at, i.records = file, img.Position, img.Records
	}
}

// imagesEvery is how often it is looked whether the images that lie ready are fresh.
const imagesEvery = 30 * time.Second

// longFeed is how many entries a feed has from which on those that follow it in this process begin from an image too.
const longFeed = 20_000

// Beginning returns the file of an image that who follows the environment's feed in this process begins from; "" where the feed is
// short: to follow it from its first entry is as good.
func (c *Control) Beginning(ctx context.Context, environment string) (string, error) {
	long, err := c.long(ctx, environment)
	if err != nil || !long || c.Images == "" {
		return "", err
	}
	return c.Image(ctx, environment, int(disk.Packed), 0)
}

func (c *Control) long(ctx context.Context, environment string) (long bool, err error) {
	err = c.Store.View(ctx, func(tx store.Tx) error {
		head, err := tx.Head(ctx, environment)
		long = head.Seq >= longFeed
		return err
	})
	return long, err
}

// keepImages has an image ready for each environment that gateways have dialled in for or whose feed is long, so that nobody waits
// until it is made.
func (c *Control) keepImages(ctx context.Context) {
	if c.Images == "" {
		return
	}
	t := time.NewTicker(imagesEvery)
	defer t.Stop()
	for {
		if err := c.readyImages(ctx); err != nil && ctx.Err() == nil {
			c.Log.Warn("an image for gateways is not ready", "error", err)
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}

func (c *Control) readyImages(ctx context.Context) error {
	var wanted []string
	err := c.Store.View(ctx, func(tx store.Tx) error {
		wanted = nil
		all, err := tx.Environments(ctx)
		for _, e := range all {
			if err != nil {
				return err
			}
			var gs []fleet.Gateway
			if gs, err = tx.Gateways(ctx, e.Name, "", 1); err != nil {
				return err
			}
			for _, name := range e.Feeds() {
				var head feed.Position
				if head, err = tx.Head(ctx, name); err != nil {
					return err
				}
				alone := name == e.Name && len(e.Regions) > 0 // nobody dials in for it
				if len(gs) > 0 && !alone || head.Seq >= longFeed {
					wanted = append(wanted, name)
				}
			}
		}
		return err
	})
	for _, name := range wanted {
		if err == nil {
			_, err = c.Image(ctx, name, int(disk.Packed), 0)
		}
	}
	return err
}

// An image may be so many entries behind to be given away as it is, or so large a share of its records: they come as the tail.
const (
	freshImage = 5000
	freshShare = 50
)

// GatewayImage makes an image of what the environment's gateways know, or finds a fresh one, and returns its file: what a new
// gateway can begin from while there is no control plane. It holds no secret: keys are hashed, and the manifest names secrets
// only. Of a region's feed, environment is its name (env.FeedOf). Operator, admin or Host.
func (c *Control) GatewayImage(ctx context.Context, a identity.Actor, environment string) (string, error) {
	if err := allow(a, "GatewayImage"); err != nil {
		return "", err
	}
	err := c.view(ctx, a, "GatewayImage", func(r read) error {
		if err := r.feedOf(environment); err != nil || strings.Contains(environment, "@") {
			return err
		}
		return unpinned(r.ctx, r.tx, "that begins from it")
	})
	if err != nil {
		return "", err
	}
	return c.Image(ctx, environment, int(disk.Texts), 0) // whoever it is given to reads it
}

// Image implements link.Plane.
func (c *Control) Image(ctx context.Context, environment string, most int, least int64) (string, error) {
	form := min(max(disk.Form(most), disk.Texts), disk.Packed)
	name := environment + ".image"
	if form != disk.Texts {
		name += fmt.Sprint("-", form)
	}
	if c.Images == "" {
		return "", fault.New(fault.Unavailable, "no folder for images is configured")
	}
	c.fleet.mu.Lock()
	i := c.fleet.images[name]
	if i == nil {
		i = &imageFile{}
		c.fleet.images[name] = i
	}
	c.fleet.mu.Unlock()
	i.mu.Lock()
	defer i.mu.Unlock()
	from, made := c.Store, c.now()
	if c.replica != nil {
		if err := c.replica.ready(ctx); err != nil {
			return "", err
		}
		from, made = c.Replica, c.replica.sight().clock.At // what is read below is of then or later
	}
	err := from.View(ctx, func(tx store.Tx) error {
		head, err := tx.Head(ctx, environment)
		if err == nil && c.replica != nil {
			err = c.replica.least(ctx, environment, least, head)
		}
		if err != nil {
			return err
		}
		if i.file == "" {
			i.found(c, filepath.Join(c.Images, name), environment)
			if e, err := tx.Place(ctx, environment, i.at.Seq); err != nil || e.Position != i.at {
				i.file = "" // of another history, or of none
			}
		}
		gone, err := tx.Forgotten(ctx, environment)
		if err != nil {
			return err
		}
		if _, err := os.Stat(i.file); err == nil && i.at.Seq >= gone && head.Epoch == i.at.Epoch && i.at.Seq >= min(least, head.Seq) && head.Seq-i.at.Seq <= max(freshImage, i.records/freshShare) {
			return nil
		}
		if err := os.MkdirAll(c.Images, 0o700); err != nil {
			return err
		}
		file := filepath.Join(c.Images, name)
		n, err := c.writeImage(ctx, tx, file, feed.Image{Environment: environment, Position: head, Made: made}, form)
		if err != nil {
			return fmt.Errorf("make an image of %s: %w", environment, err)
		}
		i.file, i.at, i.records = file, head, n
		return nil
	})
	return i.file, err
}

// imagePage is how many entries one look at the store takes for an image.
const imagePage = 2000

func (c *Control) writeImage(ctx context.Context, tx store.Tx, file string, head feed.Image, form disk.Form) (n int64, err error) {
	t, err := os.CreateTemp(filepath.Dir(file), ".image-*")
	if err != nil {
		return 0, err
	}
	defer os.Remove(t.Name())
	defer t.Close()
	if head.Position.Seq == 0 {
		head.Position = feed.Position{}
	}
	w := disk.NewImageWriter(t, head, form)
	for es, err := range newest(ctx, tx, head) {
		if err != nil {
			return 0, err
		}
		for _, e := range es {
			if e.Kind == feed.KindEpoch || e.Withdrawn() { // who begins from it never knew that
				continue
			}
			if err := w.Add(e); err != nil {
				return 0, err
			}
			n++
		}
	}
	if err := w.Close(c.Keys.SignFeed); err != nil {
		return 0, err
	}
	return n, os.Rename(t.Name(), file)
}

// newest are the entries of an image, page by page. The next page is read while the one before it is used: two at most are held.
func newest(ctx context.Context, tx store.Tx, head feed.Image) iter.Seq2[[]feed.Entry, error] {
	return func(yield func([]feed.Entry, error) bool) {
		type page struct {
			entries []feed.Entry
			err     error
		}
		ctx, stop := context.WithCancel(ctx)
		pages := make(chan page)
		go func() {
			defer close(pages)
			for after, n := int64(0), imagePage; n == imagePage; {
				es, err := tx.Newest(ctx, head.Environment, head.Position.Seq, after, imagePage)
				select {
				case pages <- page{es, err}:
				case <-ctx.Done():
					return
				}
				if n = len(es); n > 0 && err == nil {
					after = es[n-1].Seq
				} else {
					return
				}
			}
		}()
		defer func() { // nobody uses the transaction any more
			stop()
			for range pages {
			}
		}()
		for p := range pages {
			if !yield(p.entries, p.err) {
				return
			}
		}
	}
}
