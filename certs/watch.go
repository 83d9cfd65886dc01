package certs

import (
	"context"
	"time"
)

// Watch looks at the files every few seconds, and rotates the keys of session tickets, until ctx ends. Files that cannot be
// used change nothing: it says so once, and tries again.
func (s *Store) Watch(ctx context.Context) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		changed, err := s.Refresh()
		s.mu.Lock()
		switch {
		case err != nil && err.Error() != s.said:
			s.o.Log.Error("certificates that cannot be used: those that were read before go on", "error", err)
			s.said = err.Error()
		case err == nil:
			s.said = ""
		}
		s.mu.Unlock()
		if changed {
			s.o.Log.Info("certificates were read anew")
		}
	}
}

// Refresh reads the files if they have changed, and reports whether something new is in force. When they cannot be used,
// what was read before stays. When it is time, session tickets get another key.
func (s *Store) Refresh() (changed bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.o.Now().Sub(s.rotated) >= rotateEvery {
		if err := s.rotate(); err != nil {
			return false, err
		}
	}
	all, err := s.pairs()
	if err != nil {
		return false, err
	}
	seen, settled, err := s.look(all)
	if err == nil && seen != "" && seen == s.seen {
		return false, nil
	}
	g, err := s.read(all)
	if err != nil {
		return false, err
	}
	if s.seen = seen; !settled {
		s.seen = "" // look again
	}
	old := s.current.Load()
	if old != nil && old.digest == g.digest {
		return false, nil
	}
	if old != nil && old.authorities != g.authorities {
		s.keys = nil // a ticket must not bring back a client whose authority is gone
		if err := s.rotate(); err != nil {
			return false, err
		}
		g.config.SetSessionTicketKeys(s.keys)
	}
	s.current.Store(g)
	s.warn(g)
	return true, nil
}

// warn tells of certificates that end soon.
func (s *Store) warn(g *generation) {
	told := map[any]bool{}
	for name, all := range g.names {
		for _, c := range all {
			if left := c.Leaf.NotAfter.Sub(s.o.Now()); left < soon && !told[c] {
				told[c] = true
				s.o.Log.Warn("a certificate ends soon", "name", name, "at", c.Leaf.NotAfter)
			}
		}
	}
}
