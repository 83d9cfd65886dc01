package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/feed"
	"gatehouse/feed/disk"
	"gatehouse/feed/link"
)

// light is a gateway's end of the feed without the gateway: it has an identity and a connection of its own, checks the chain of
// everything that comes, and sends signed receipts. It applies nothing and keeps nothing on disk.
type light struct {
	client   *link.Client
	follower *feed.Follower
}

// lighting is what the process of the light gateways is told, in a file.
type lighting struct {
	Feed   string
	Tokens map[string]string // of enrolment, by name
}

// join starts a process of light gateways, which enrol and follow from where an image stands, until the fleet ends. They are beside
// the program that asks and measures, as they would be in a fleet: what they compute does not keep it from looking.
func (p *plant) join(ctx context.Context, n int) error {
	l := lighting{Feed: p.feed, Tokens: map[string]string{}}
	for i := range n {
		name := fmt.Sprintf("light-%02d", i)
		token, err := p.enrol(ctx, name)
		if err != nil {
			return err
		}
		l.Tokens[name] = token
	}
	b, err := json.Marshal(l)
	if err != nil {
		return err
	}
	file := filepath.Join(p.dir, "lights")
	if err := os.WriteFile(file, b, 0o600); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if p.lights, err = start("lights", p.dir, nil, self, "-lights", file); err != nil {
		return err
	}
	p.started = append(p.started, p.lights)
	var ready struct{ Lights int }
	if err := p.lights.first(ctx, 2*time.Minute, &ready); err != nil {
		return err
	}
	if ready.Lights != n {
		return fmt.Errorf("%d of %d light gateways follow", ready.Lights, n)
	}
	return nil
}

// followLights is that process: it prints a line once all have caught up.
func followLights(ctx context.Context, file string, out io.Writer) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var l lighting
	if err := json.Unmarshal(b, &l); err != nil {
		return err
	}
	var lights []*light
	var from feed.Position
	var seen verified
	course := course{ends: map[int64]*ends{}}
	for name, token := range l.Tokens {
		who, err := link.Enrol(ctx, l.Feed, token, "bench", time.Now())
		if err != nil {
			return err
		}
		c, err := link.NewClient(link.ClientOptions{Identity: who, Version: "bench"})
		if err != nil {
			return err
		}
		if len(lights) == 0 {
			if from, err = imageAt(ctx, c, who); err != nil {
				return err
			}
		}
		f, err := feed.NewFollower(feed.Options{Source: traced{c, &course}, Environment: "live", Gateway: name, Key: who.FeedKey, From: from, Hinted: true, Verify: seen.verify(who.FeedKey),
			Apply: func(e feed.Entry) error { course.note(e.Seq, 0); return nil }})
		if err != nil {
			return err
		}
		go func() { _ = c.Run(ctx) }()
		go func() { _ = f.Run(ctx) }()
		lights = append(lights, &light{c, f})
	}
	for _, g := range lights {
		select {
		case <-g.follower.CaughtUp():
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Minute):
			return fmt.Errorf("a light gateway does not catch up: %w", g.follower.Trouble())
		}
	}
	if _, err := fmt.Fprintf(out, "{\"lights\":%d}\n", len(lights)); err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(courseEvery):
		}
		if err := course.write(file + courseOf); err != nil {
			return err
		}
	}
}

// verified remembers the newest signature that held: the light gateways of one process share the answer, since on machines of their
// own they would look at the same time.
type verified struct {
	mu        sync.Mutex
	digest    string
	signature []byte
}

func (v *verified) verify(key ed25519.PublicKey) func(string, []byte) bool {
	return func(digest string, signature []byte) bool {
		v.mu.Lock()
		defer v.mu.Unlock()
		if v.digest == digest && bytes.Equal(v.signature, signature) {
			return true
		}
		if !feed.Verify(key, digest, signature) {
			return false
		}
		v.digest, v.signature = digest, signature
		return true
	}
}

// imageAt reads and verifies an image, and returns where it stands.
func imageAt(ctx context.Context, c *link.Client, who link.Identity) (feed.Position, error) {
	in, err := c.Image(ctx, 0)
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
