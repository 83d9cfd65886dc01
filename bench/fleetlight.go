package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"

	"gatehouse/feed"
	"gatehouse/feed/disk"
	"gatehouse/feed/link"
)

// light is a gateway's end of the feed without the gateway: it has an identity and a connection of its own, checks the chain and
// the signatures of everything that comes, and sends signed receipts. It applies nothing and keeps nothing on disk.
type light struct {
	client   *link.Client
	follower *feed.Follower
}

// join enrols light gateways and lets them follow from where an image stands, until ctx ends.
func (p *plant) join(ctx context.Context, n int) error {
	ctx, p.leave = context.WithCancel(ctx)
	var from feed.Position
	for i := range n {
		name := fmt.Sprintf("light-%02d", i)
		token, err := p.enrol(ctx, name)
		if err != nil {
			return err
		}
		who, err := link.Enrol(ctx, p.feed, token, "bench", time.Now())
		if err != nil {
			return err
		}
		c, err := link.NewClient(link.ClientOptions{Identity: who, Version: "bench"})
		if err != nil {
			return err
		}
		if i == 0 {
			if from, err = imageAt(ctx, c, who); err != nil {
				return err
			}
		}
		f, err := feed.NewFollower(feed.Options{Source: c, Environment: "live", Gateway: name, Key: who.FeedKey, From: from, Hinted: true,
			Apply: func(feed.Entry) error { return nil }})
		if err != nil {
			return err
		}
		go func() { _ = c.Run(ctx) }()
		go func() { _ = f.Run(ctx) }()
		p.lights = append(p.lights, &light{c, f})
	}
	for _, l := range p.lights {
		select {
		case <-l.follower.CaughtUp():
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Minute):
			return fmt.Errorf("a light gateway does not catch up: %w", l.follower.Trouble())
		}
	}
	return nil
}

// imageAt reads and verifies an image, and returns where it stands.
func imageAt(ctx context.Context, c *link.Client, who link.Identity) (feed.Position, error) {
	in, err := c.Image(ctx)
	if err != nil {
		return feed.Position{}, err
	}
	img, err := disk.ReadImage(in, "live", who.FeedKey, func(feed.Entry) error { return nil })
	return img.Position, errors.Join(err, in.Close())
}

// counter passes a gateway's connections on to the feed, and counts what goes down.
type counter struct {
	l    net.Listener
	down atomic.Int64
}

// count begins to pass on, until ctx ends.
func count(ctx context.Context, to string) (*counter, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	c := &counter{l: l}
	context.AfterFunc(ctx, func() { _ = l.Close() })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil {
				_ = in.Close()
				continue
			}
			go func() { _, _ = io.Copy(out, in); _ = out.Close() }()
			go func() { _, _ = io.Copy(io.MultiWriter(in, c), out); _ = in.Close() }()
		}
	}()
	return c, nil
}

// Write counts.
func (c *counter) Write(b []byte) (int, error) {
	c.down.Add(int64(len(b)))
	return len(b), nil
}
