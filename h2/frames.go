package h2

import (
	"golang.org/x/net/http2"
)

// frame takes one frame. A StreamError ends its stream, everything else the connection.
func (c *conn) frame(f http2.Frame) error {
	if h, ok := f.(*http2.HeadersFrame); ok {
		return c.headers(h)
	}
	if h, ok := f.(*http2.ContinuationFrame); ok {
		return c.continuation(h)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.err
	}
	if s, ok := f.(*http2.SettingsFrame); !c.greeted && (!ok || s.IsAck()) {
		return fatal(http2.ErrCodeProtocol)
	}
	switch f := f.(type) {
	case *http2.DataFrame:
		return c.data(f)
	case *http2.SettingsFrame:
		return c.set(f)
	case *http2.WindowUpdateFrame:
		return c.widen(f)
	case *http2.RSTStreamFrame:
		return c.peerReset(f)
	case *http2.PingFrame:
		if f.IsAck() {
			return nil
		}
		if !c.spend(costPing) {
			return fatal(http2.ErrCodeEnhanceYourCalm)
		}
		_ = c.fr.WritePing(true, f.Data)
		return c.control()
	case *http2.PriorityFrame:
		if f.StreamDep == f.StreamID {
			return onStream(f.StreamID, http2.ErrCodeProtocol)
		}
	case *http2.GoAwayFrame:
		c.peer.goAway(c, f.LastStreamID, f.ErrCode)
		return nil
	case *http2.PushPromiseFrame:
		return fatal(http2.ErrCodeProtocol)
	}
	if !c.spend(costIdle) { // what is of no use here
		return fatal(http2.ErrCodeEnhanceYourCalm)
	}
	return nil
}

// data takes content of a stream. c.mu is held.
func (c *conn) data(f *http2.DataFrame) error {
	id, n := f.StreamID, int64(f.Length)
	if n > c.recv.n {
		return fatal(http2.ErrCodeFlowControl)
	}
	c.recv.n -= n
	s := c.streams[id]
	_, here := c.ended.has(id)
	switch {
	case s == nil && c.idle(id):
		return fatal(http2.ErrCodeProtocol)
	case s == nil && !here:
		return fatal(http2.ErrCodeStreamClosed)
	case s == nil: // it was on its way when we ended the stream
		c.giveBack(n)
		if !c.spend(costIdle) {
			return fatal(http2.ErrCodeEnhanceYourCalm)
		}
		return nil
	}
	if s.whole {
		c.giveBack(n)
		return onStream(id, http2.ErrCodeStreamClosed)
	}
	if !s.headed { // content before an answer's head
		c.giveBack(n)
		return onStream(id, http2.ErrCodeProtocol)
	}
	if n > s.recv.n {
		c.giveBack(n)
		return onStream(id, http2.ErrCodeFlowControl)
	}
	s.recv.n -= n
	p := f.Data()
	if over := n - int64(len(p)); over > 0 { // padding is used up at once
		s.recv.n += over
		c.giveBack(over)
		_ = c.fr.WriteWindowUpdate(id, uint32(over))
	}
	if len(p) == 0 && !f.StreamEnded() {
		if !c.spend(costEmpty) {
			return fatal(http2.ErrCodeEnhanceYourCalm)
		}
		return nil
	}
	s.total += int64(len(p))
	s.unread += int64(len(p))
	if s.length >= 0 && (s.total > s.length || f.StreamEnded() && s.total != s.length) {
		return onStream(id, http2.ErrCodeProtocol)
	}
	c.earn(costPing)
	s.body.write(p)
	if f.StreamEnded() {
		c.complete(s)
	}
	poke(s.reads)
	return nil
}

// complete notes that the peer has said all of its message. c.mu is held.
func (c *conn) complete(s *stream) {
	s.whole = true
	if s.done {
		c.drop(s)
	}
}

// set takes the peer's settings. c.mu is held.
func (c *conn) set(f *http2.SettingsFrame) error {
	if f.IsAck() {
		return nil
	}
	window := c.settings.window // the last one counts: all streams are adjusted once, however many there are
	err := f.ForeachSetting(func(s http2.Setting) error {
		if err := s.Valid(); err != nil {
			return err
		}
		switch s.ID {
		case http2.SettingHeaderTableSize:
			c.enc.SetMaxDynamicTableSize(min(s.Val, tableSize))
		case http2.SettingMaxConcurrentStreams:
			c.settings.streams = s.Val
		case http2.SettingMaxFrameSize:
			c.settings.frame = int(min(s.Val, maxOut))
		case http2.SettingInitialWindowSize:
			window = int64(s.Val)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if by := window - c.settings.window; by != 0 {
		c.settings.window = window
		for _, s := range c.streams {
			if !s.send.add(by) {
				return fatal(http2.ErrCodeFlowControl)
			}
			poke(s.writes)
		}
	}
	if c.greeted && !c.spend(costSettings) {
		return fatal(http2.ErrCodeEnhanceYourCalm)
	}
	c.greeted = true
	_ = c.fr.WriteSettingsAck()
	c.wake()
	return c.control()
}

// widen takes more room for what we send. c.mu is held.
func (c *conn) widen(f *http2.WindowUpdateFrame) error {
	if !c.spend(costIdle) {
		return fatal(http2.ErrCodeEnhanceYourCalm)
	}
	if f.StreamID == 0 {
		if !c.send.add(int64(f.Increment)) {
			return fatal(http2.ErrCodeFlowControl)
		}
		c.wake()
		return nil
	}
	s := c.streams[f.StreamID]
	switch {
	case s == nil && c.idle(f.StreamID):
		return fatal(http2.ErrCodeProtocol)
	case s == nil:
		return nil
	case !s.send.add(int64(f.Increment)):
		return onStream(f.StreamID, http2.ErrCodeFlowControl)
	}
	poke(s.writes)
	return nil
}

// peerReset ends a stream because the peer says so. c.mu is held.
func (c *conn) peerReset(f *http2.RSTStreamFrame) error {
	s := c.streams[f.StreamID]
	if s == nil {
		if c.idle(f.StreamID) {
			return fatal(http2.ErrCodeProtocol)
		}
		if !c.spend(costIdle) {
			return fatal(http2.ErrCodeEnhanceYourCalm)
		}
		return nil
	}
	s.end(resetError{f.ErrCode})
	c.drop(s)
	if !c.spend(costReset) {
		return fatal(http2.ErrCodeEnhanceYourCalm)
	}
	return nil
}

// idle reports whether the stream has not been opened yet. c.mu is held.
func (c *conn) idle(id uint32) bool { return id > c.highest || id%2 == 0 }
