package event

import (
	"context"
	"encoding/binary"
	"io"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"
	"unsafe"
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

// batch is how many bytes are written at once before the time is up: each write to a file may wake the runtime's monitor
// for some milliseconds, so there should be few.
const batch = 512 << 10

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

// lines lends memory to write a line in: on the stack it would be far from whatever was used last.
var lines = sync.Pool{New: func() any { return new([lineSize]byte) }}

const lineSize = 1536 // longer lines go to the heap

// Write takes an event. It allocates nothing once the buffers have grown.
func (l *Lines) Write(e *Exchange) {
	line := lines.Get().(*[lineSize]byte)
	b := Append(line[:0], e)
	defer lines.Put(line)
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
	b = appendTime(b, e.Time)
	b = escape(append(b, `","id":"`...), e.ID)
	b = escape(append(b, `","environment":"`...), e.Environment)
	b = escape(append(b, `","gateway":"`...), e.Gateway)
	b = strconv.AppendInt(append(b, `","revision":`...), e.Revision, 10)
	b = escape(append(b, `,"peer":"`...), e.Peer)
	b = escape(append(b, `","protocol":"`...), e.Protocol)
	b = escape(append(b, `","method":"`...), e.Method)
	b = escape(append(b, `","host":"`...), e.Host)
	b = escape(append(b, `","path":"`...), e.Path)
	b = strconv.AppendInt(append(b, `","status":`...), int64(e.Status), 10)
	b = escape(append(b, `,"verdict":"`...), e.Verdict)
	b = escape(append(b, `","rule":"`...), e.Rule)
	b = escape(append(b, `","fault":"`...), e.Fault)
	b = escape(append(b, `","code":"`...), e.Code)
	b = escape(append(b, `","api":"`...), e.API)
	b = escape(append(b, `","operation":"`...), e.Operation)
	b = escape(append(b, `","route":"`...), e.Route)
	b = escape(append(b, `","organization":"`...), e.Organization)
	b = escape(append(b, `","application":"`...), e.Application)
	b = escape(append(b, `","credential":"`...), e.Credential)
	b = escape(append(b, `","grant":"`...), e.Grant)
	b = escape(append(b, `","product":"`...), e.Product)
	b = escape(append(b, `","plan":"`...), e.Plan)
	b = escape(append(b, `","upstream":"`...), e.Upstream)
	b = strconv.AppendInt(append(b, `","tries":`...), int64(e.Tries), 10)
	b = strconv.AppendInt(append(b, `,"upstream_us":`...), e.UpstreamTime.Microseconds(), 10)
	b = strconv.AppendInt(append(b, `,"total_us":`...), e.Total.Microseconds(), 10)
	b = strconv.AppendInt(append(b, `,"request_bytes":`...), e.RequestBytes, 10)
	b = strconv.AppendInt(append(b, `,"response_bytes":`...), e.ResponseBytes, 10)
	return append(b, "}\n"...)
}

// appendTime writes 2006-01-02T15:04:05.000000Z without reading a layout for each event.
func appendTime(b []byte, t time.Time) []byte {
	t = t.UTC()
	year, month, day := t.Date()
	if year < 0 || year > 9999 {
		return t.AppendFormat(b, "2006-01-02T15:04:05.000000Z")
	}
	hour, minute, second := t.Clock()
	b = digits(digits(b, year/100), year%100)
	b = digits(append(b, '-'), int(month))
	b = digits(append(b, '-'), day)
	b = digits(append(b, 'T'), hour)
	b = digits(append(b, ':'), minute)
	b = digits(append(b, ':'), second)
	micros := t.Nanosecond() / 1000
	b = digits(digits(digits(append(b, '.'), micros/10_000), micros/100%100), micros%100)
	return append(b, 'Z')
}

// digits writes two of them.
func digits(b []byte, n int) []byte { return append(b, byte('0'+n/10), byte('0'+n%10)) }

const hexDigits = "0123456789abcdef"

// escape writes s as the inside of a JSON string. Control characters, those of C1 and the separators of lines included,
// are escaped, so that no event can look like two or play with a terminal; bytes that are no UTF-8 become U+FFFD.
func escape(b []byte, s string) []byte {
	if allPlain(s) {
		return append(b, s...)
	}
	for i := 0; i < len(s); {
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

// allPlain reports whether nothing of s has to be escaped: all is visible ASCII or spaces, without quotation marks and
// backslashes. It looks at eight bytes at a time, at the last ones perhaps twice.
func allPlain(s string) bool {
	p := unsafe.Slice(unsafe.StringData(s), len(s))
	if len(p) < 8 {
		for _, c := range p {
			if c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
				return false
			}
		}
		return true
	}
	found := special(binary.LittleEndian.Uint64(p[len(p)-8:]))
	for ; len(p) > 8; p = p[8:] {
		found |= special(binary.LittleEndian.Uint64(p))
	}
	return found&0x8080808080808080 == 0
}

// special has high bits where one of eight bytes has to be escaped.
func special(x uint64) uint64 {
	const ones = 0x0101010101010101
	q, e, d := x^'"'*ones, x^'\\'*ones, x^0x7f*ones
	return x | (x - ' '*ones) | (q-ones)&^q | (e-ones)&^e | (d-ones)&^d
}
