package http1

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// A Server serves clients' connections. Its fields are set before Serve and not changed after.
type Server struct {
	// Handler answers one request by calling Respond once. It runs on the connection's goroutine.
	Handler func(*Exchange)
	// Refused is called once for each message that was refused before Handler saw it; what was read of it is in the
	// exchange. It returns the content of the answer and its type. It may be nil.
	Refused func(e *Exchange, r Reason) (contentType string, content []byte)
	// Malformed, when set, is called instead of Refused and answers by calling Respond once. The connection ends after it.
	Malformed func(e *Exchange, r Reason)
	Limits    Limits
	Scheme    string // how clients reach this server: "http" or "https"; "": by whether a connection is one of TLS
	Buffers   *Buffers
	Loops     *Loops       // where busy connections are served; nil: each on its goroutine
	Log       *slog.Logger // told of handlers that panic or do not answer; nil: slog.Default
	// Underscores lets field names with underscores in. An upstream that makes CGI variables of fields cannot tell
	// X_A from X-A, so somebody could write fields that policies believe to be their own.
	Underscores bool

	once     sync.Once
	limits   Limits
	bufs     *Buffers
	log      *slog.Logger
	draining atomic.Bool
	cutting  atomic.Bool // Close: nothing waits any more
	open     atomic.Int64
	ticking  atomic.Pointer[tick]
	running  sync.WaitGroup

	mu        sync.Mutex
	conns     map[*conn]struct{}
	listeners map[net.Listener]struct{}
}

// ErrClosed is what Serve returns after Shutdown or Close.
var ErrClosed = errors.New("http1: the server is closed")

func (s *Server) prepare() {
	s.once.Do(func() {
		s.limits, s.bufs = s.Limits.withDefaults(), s.Buffers
		if s.bufs == nil {
			s.bufs = new(Buffers)
		}
		if s.log = s.Log; s.log == nil {
			s.log = slog.Default()
		}
		s.conns, s.listeners = map[*conn]struct{}{}, map[net.Listener]struct{}{}
	})
}

// Serve takes connections from l until Shutdown or Close, and then returns ErrClosed.
func (s *Server) Serve(l net.Listener) error {
	s.prepare()
	s.mu.Lock()
	if s.draining.Load() {
		s.mu.Unlock()
		return errors.Join(ErrClosed, l.Close())
	}
	s.listeners[l] = struct{}{}
	s.mu.Unlock()
	pause := time.Duration(0)
	for {
		nc, err := l.Accept()
		if err == nil {
			pause = 0
			if serve := s.Take(nc); serve != nil {
				go serve()
			}
			continue
		}
		if s.draining.Load() {
			return ErrClosed
		}
		if errors.Is(err, net.ErrClosed) {
			return err
		}
		pause = min(max(2*pause, 5*time.Millisecond), time.Second) // out of descriptors: wait for some to come back
		time.Sleep(pause)
	}
}

// ServeConn serves one connection and returns when it is over. Shutdown waits for it; afterwards it is closed at once.
func (s *Server) ServeConn(nc net.Conn) {
	if serve := s.Take(nc); serve != nil {
		serve()
	}
}

// Take makes a connection one of the server's and returns what serves it, to be called once. A Shutdown that comes later
// lets it bring its request. After Shutdown there is nothing to call: it is closed.
func (s *Server) Take(nc net.Conn) (serve func()) {
	s.prepare()
	c := newConn(s, nc)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining.Load() {
		_ = nc.Close()
		return nil
	}
	s.conns[c] = struct{}{}
	s.running.Add(1)
	return func() {
		defer s.running.Done()
		if s.open.Add(1) > int64(s.limits.Conns) {
			c.busy()
		} else {
			c.serve()
		}
	}
}

// Open is how many connections there are.
func (s *Server) Open() int { return int(s.open.Load()) }

// Shutdown takes no further connections, ends the idle ones, and waits until the others have given their answers or ctx
// is done. A connection that was just used may bring one more request for a moment, so that a client that sent it
// before it could know is answered.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stop(func(c *conn) { _ = c.nc.SetReadDeadline(past()) }) // whoever is not idle arms it anew
	done := make(chan struct{})
	go func() {
		s.running.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	s.cutting.Store(true)
	s.stop(cutOff)
	<-done
	return ctx.Err()
}

// Close ends everything at once and waits until it is over. What waits for an upstream ends when the Upstream is closed.
func (s *Server) Close() error {
	s.cutting.Store(true)
	s.stop(cutOff)
	s.running.Wait()
	return nil
}

// stop ends listening and calls end for each connection.
func (s *Server) stop(end func(*conn)) {
	s.prepare()
	s.draining.Store(true)
	s.mu.Lock()
	defer s.mu.Unlock()
	for l := range s.listeners {
		_ = l.Close()
		delete(s.listeners, l)
	}
	for c := range s.conns {
		end(c)
	}
}

// cutOff makes all that waits for the peer fail.
func cutOff(c *conn) {
	c.halted.Store(true) // first: what ends now must not look like the peer's doing
	if t, ok := c.nc.(interface{ CloseRead() error }); ok {
		_ = t.CloseRead()
	}
	_ = c.nc.SetDeadline(past())
}

// refuse answers a request that is not served, and ends the connection.
func (c *conn) refuse(r Reason) {
	e := c.e
	e.refused, c.over, c.linger = r, true, true
	if c.s.Malformed != nil {
		e.closing = true
		c.s.Malformed(e, r)
		return
	}
	kind, content := "text/plain; charset=utf-8", []byte(r.Error()+"\n")
	if c.s.Refused != nil {
		kind, content = c.s.Refused(e, r)
	}
	b := strconv.AppendInt([]byte("HTTP/1.1 "), int64(r.Status()), 10)
	b = append(b, " "+statusText(r.Status())+"\r\nConnection: close\r\n"...)
	b = append(b, c.s.wall(now()).line...)
	b = append(b, "Content-Type: "+kind+"\r\nContent-Length: "...)
	b = append(strconv.AppendInt(b, int64(len(content)), 10), "\r\n\r\n"...)
	if string(e.Request.Method) != "HEAD" {
		b = append(b, content...)
	}
	_ = e.last(b) // whether the client takes it changes nothing
}

// busy turns a connection away that is one too many.
func (c *conn) busy() {
	defer c.end()
	c.linger = true
	_ = c.nc.SetWriteDeadline(time.Now().Add(lingerFor))
	_, _ = io.WriteString(c.nc, "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n")
}

// end closes the connection. A peer that is still sending would lose the answer by a reset, so it is let to read first.
func (c *conn) end() {
	c.give()
	if w, ok := c.nc.(interface{ CloseWrite() error }); ok && c.linger && !c.ended && w.CloseWrite() == nil {
		buf := c.s.bufs.get(headSize)
		until := time.Now().Add(lingerFor)
		for read := 0; read < maxLinger && !c.s.cutting.Load(); {
			_ = c.nc.SetReadDeadline(earlier(until, time.Now().Add(lingerPause)))
			n, err := c.nc.Read(buf)
			if read += n; err != nil {
				break
			}
		}
		c.s.bufs.put(buf)
	}
	_ = c.nc.Close()
	c.s.mu.Lock()
	delete(c.s.conns, c)
	c.s.mu.Unlock()
	c.s.open.Add(-1)
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
