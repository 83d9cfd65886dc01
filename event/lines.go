package event

import (
	"context"
	"io"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"
)

// LinesOptions is how Lines batches. Zero fields take the defaults.
type LinesOptions struct {
	Flush   time.Duration // the longest that an event waits to be written: default 100ms
	Pending int           // bytes that may wait; further events are lost: default 4 MiB
}

// Lines is a Sink that writes one line of JSON for each event, in batches and from one goroutine of its own. It never
// waits for the writer: when the writer is slower than the events come, it loses some and counts them.
type Lines struct {
	w io.Writer
	o LinesOptions

	mu      sync.Mutex
	filling []byte
	closed  bool

	wake   chan struct{} // a batch is large enough
	stop   chan struct{}
	done   chan struct{}
	lost   atomic.Uint64
	failed atomic.Pointer[error]
}

// batch is how many bytes are written at once before the time is up.
const batch = 64 << 10

// NewLines returns a Lines that writes to w until Close.
func NewLines(w io.Writer, o LinesOptions) *Lines {
	if o.Flush <= 0 {
		o.Flush = 100 * time.Millisecond
	}
	if o.Pending <= 0 {
		o.Pending = 4 << 20
	}
	l := &Lines{w: w, o: o, wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{})}
	go l.run()
	return l
}

// Write takes an event. It allocates nothing once the buffers have grown.
func (l *Lines) Write(e *Exchange) {
	var line [1536]byte // longer lines go to the heap
	b := Append(line[:0], e)
	l.mu.Lock()
	if l.closed || len(l.filling)+len(b) > l.o.Pending {
		l.mu.Unlock()
		l.lost.Add(1)
		return
	}
	l.filling = append(l.filling, b...)
	full := len(l.filling) >= batch
	l.mu.Unlock()
	if full {
		select {
		case l.wake <- struct{}{}:
		default:
		}
	}
}

// Lost is how many events were not written.
func (l *Lines) Lost() uint64 { return l.lost.Load() }

// Err is why the writer last failed, or nil. Events of a batch that failed are lost.
func (l *Lines) Err() error {
	if p := l.failed.Load(); p != nil {
		return *p
	}
	return nil
}

// Close writes what is pending and ends. It waits for the writer until ctx is done. Events after it are lost.
func (l *Lines) Close(ctx context.Context) error {
	l.mu.Lock()
	if !l.closed {
		l.closed = true
		close(l.stop)
	}
	l.mu.Unlock()
	select {
	case <-l.done:
		return l.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *Lines) run() {
	defer close(l.done)
	tick := time.NewTicker(l.o.Flush)
	defer tick.Stop()
	var writing []byte
	for last := false; !last; {
		select {
		case <-tick.C:
		case <-l.wake:
		case <-l.stop:
			last = true // Close lets no further event in, so this batch is the last
		}
		l.mu.Lock()
		l.filling, writing = writing[:0], l.filling
		l.mu.Unlock()
		if len(writing) == 0 {
			continue
		}
		if _, err := l.w.Write(writing); err != nil {
			l.failed.Store(&err)
			for _, c := range writing {
				if c == '\n' {
					l.lost.Add(1)
				}
			}
		}
	}
}

// Append writes the event as one line of JSON. Every field is always there, times are UTC, durations are microseconds.
func Append(b []byte, e *Exchange) []byte {
	b = append(b, `{"time":"`...)
	b = e.Time.UTC().AppendFormat(b, "2006-01-02T15:04:05.000000Z")
	b = append(b, '"')
	b = text(b, "id", e.ID)
	b = text(b, "environment", e.Environment)
	b = text(b, "gateway", e.Gateway)
	b = number(b, "revision", e.Revision)
	b = text(b, "peer", e.Peer)
	b = text(b, "protocol", e.Protocol)
	b = text(b, "method", e.Method)
	b = text(b, "host", e.Host)
	b = text(b, "path", e.Path)
	b = number(b, "status", int64(e.Status))
	b = text(b, "verdict", e.Verdict)
	b = text(b, "rule", e.Rule)
	b = text(b, "fault", e.Fault)
	b = text(b, "code", e.Code)
	b = text(b, "api", e.API)
	b = text(b, "operation", e.Operation)
	b = text(b, "route", e.Route)
	b = text(b, "organization", e.Organization)
	b = text(b, "application", e.Application)
	b = text(b, "credential", e.Credential)
	b = text(b, "grant", e.Grant)
	b = text(b, "product", e.Product)
	b = text(b, "plan", e.Plan)
	b = text(b, "upstream", e.Upstream)
	b = number(b, "tries", int64(e.Tries))
	b = number(b, "upstream_us", e.UpstreamTime.Microseconds())
	b = number(b, "total_us", e.Total.Microseconds())
	b = number(b, "request_bytes", e.RequestBytes)
	b = number(b, "response_bytes", e.ResponseBytes)
	return append(b, "}\n"...)
}

func number(b []byte, name string, n int64) []byte {
	b = append(append(append(b, `,"`...), name...), `":`...)
	return strconv.AppendInt(b, n, 10)
}

func text(b []byte, name, s string) []byte {
	b = append(append(append(b, `,"`...), name...), `":"`...)
	return append(escape(b, s), '"')
}

const hexDigits = "0123456789abcdef"

// escape writes s as the inside of a JSON string. Control characters, those of C1 and the separators of lines included,
// are escaped, so that no event can look like two or play with a terminal; bytes that are no UTF-8 become U+FFFD.
func escape(b []byte, s string) []byte {
	plain := 0
	for plain < len(s) && s[plain] >= ' ' && s[plain] < 0x7f && s[plain] != '"' && s[plain] != '\\' {
		plain++
	}
	b = append(b, s[:plain]...)
	for i := plain; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			switch {
			case c == '"' || c == '\\':
				b = append(b, '\\', c)
			case c < ' ' || c == 0x7f:
				b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
			default:
				b = append(b, c)
			}
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			b = append(b, `\ufffd`...)
		case r < 0xa0 || r == 0x2028 || r == 0x2029 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069:
			b = append(b, '\\', 'u', hexDigits[r>>12&15], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
		default:
			b = append(b, s[i:i+n]...)
		}
		i += n
	}
	return b
}
