package gateway

import (
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"gatehouse/event"
	"gatehouse/id"
	"gatehouse/policy"
	"gatehouse/snapshot"
	"gatehouse/wire"
)

// An exchange is noted when it is over, in a few hundred bytes, and dozens of notes are written up in one go: their events, the
// counts and the uses. Each of these steps is little code that has left the processor's nearest cache by the next request when it
// is taken once for each; taken for many it is there.

// note is what is known of an exchange when it is over.
type note struct {
	at             time.Time
	total, asked   time.Duration
	view           *snapshot.View
	route          *snapshot.Route // nil: none was found
	terms          *policy.Terms   // of the grant; nil: there was none
	sent, received int64           // bytes of body
	peer           netip.Addr
	protocol       string
	target         string
	rule           string
	verdict        string
	fault, code    string
	organization   id.Bits
	application    id.Bits
	credential     id.Bits
	grant          id.Bits
	status, tries  uint16
	known          bool      // it is known who called
	words          [4]uint32 // where the request's id, method, host and path end in the sheet's text
}

func (k *note) info() *policy.RouteInfo {
	if k.route == nil {
		return nil
	}
	return &k.route.RouteInfo
}

const (
	notesMost = 64                     // of a sheet: then it is written up
	noteFor   = 100 * time.Millisecond // the longest that a note waits
	sheetText = 8 << 10                // bytes of a sheet's text: with more it is written up
)

// sheet is notes that are written up together, and the memory that it takes.
type sheet struct {
	notes []note
	text  []byte
	event event.Exchange
	names [256]byte
}

func newSheet() *sheet {
	return &sheet{notes: make([]note, 0, notesMost), text: make([]byte, 0, sheetText+sheetText/4)}
}

// book is where the exchanges of some carriers are noted: those of one processor, mostly.
type book struct {
	mu    sync.Mutex
	sheet *sheet
	spare *sheet // for the next ones; nil: it is being written up
	armed bool   // the timer runs
	timer *time.Timer
	_     [64]byte // what another processor writes is elsewhere
}

// notes is the books of a gateway.
type notes struct {
	g     *Gateway
	books []*book
	turn  atomic.Uint32
}

func (n *notes) open(g *Gateway) {
	n.g = g
	n.books = make([]*book, runtime.GOMAXPROCS(0))
	for i := range n.books {
		b := &book{sheet: newSheet(), spare: newSheet()}
		b.timer = time.AfterFunc(time.Hour, func() {
			b.mu.Lock()
			b.armed = false
			b.mu.Unlock()
			n.write(b)
		})
		b.timer.Stop()
		n.books[i] = b
	}
}

// next is the book for one more carrier.
func (n *notes) next() *book { return n.books[int(n.turn.Add(1))%len(n.books)] }

// add notes an exchange.
func (n *notes) add(b *book, k *note, words ...wire.View) {
	b.mu.Lock()
	s := b.sheet
	for i, w := range words {
		s.text = append(s.text, w...)
		k.words[i] = uint32(len(s.text))
	}
	s.notes = append(s.notes, *k)
	full := len(s.notes) >= notesMost || len(s.text) >= sheetText
	if !full && !b.armed {
		b.armed = true
		b.timer.Reset(noteFor)
	}
	b.mu.Unlock()
	if full {
		n.write(b)
	}
}

// settle writes up all that is noted.
func (n *notes) settle() {
	for _, b := range n.books {
		n.write(b)
	}
}

// write writes up what is noted in a book.
func (n *notes) write(b *book) {
	b.mu.Lock()
	s := b.sheet
	if len(s.notes) == 0 {
		b.mu.Unlock()
		return
	}
	b.sheet, b.spare = b.spare, nil
	if b.sheet == nil {
		b.sheet = newSheet()
	}
	b.mu.Unlock()
	from := uint32(0)
	for i := range s.notes {
		k := &s.notes[i]
		n.g.uses.note(k)
		n.g.meters.exchange(k)
		n.g.o.Events.Write(s.told(k, from, &n.g.o))
		from = k.words[3]
	}
	clear(s.notes)
	s.notes, s.text, s.event = s.notes[:0], s.text[:0], event.Exchange{}
	if cap(s.text) > 4*sheetText { // somebody's long paths
		s = newSheet()
	}
	b.mu.Lock()
	b.spare = s
	b.mu.Unlock()
}

// told is the event of a note, valid until the next one's.
func (s *sheet) told(k *note, from uint32, o *Options) *event.Exchange {
	e := &s.event
	word := func(i int) string {
		begin := from
		if i > 0 {
			begin = k.words[i-1]
		}
		return borrow(s.text[begin:k.words[i]])
	}
	*e = event.Exchange{Time: k.at, ID: word(0), Environment: o.Environment, Gateway: o.Name, Revision: k.view.Revision,
		Method: word(1), Host: word(2), Path: word(3), Protocol: k.protocol, Status: int(k.status), Upstream: k.target, UpstreamTime: k.asked,
		Total: k.total, ResponseBytes: k.sent, RequestBytes: k.received, Tries: int(k.tries),
		Verdict: k.verdict, Rule: k.rule, Fault: k.fault, Code: k.code}
	if r := k.info(); r != nil {
		e.API, e.Operation, e.Route = r.API, r.Operation, r.Route
	}
	names := s.names[:0]
	name := func(b id.Bits, kind id.Kind) string {
		at := len(names)
		names = b.Append(names, kind)
		return borrow(names[at:])
	}
	if k.known {
		e.Organization, e.Application, e.Credential = name(k.organization, id.Organization), name(k.application, id.Application), name(k.credential, id.Credential)
	}
	if k.terms != nil {
		e.Grant = name(k.grant, id.Grant)
		e.Product, e.Plan = k.terms.Product, k.terms.Plan
	}
	at := len(names)
	names = k.peer.Unmap().AppendTo(names)
	e.Peer = borrow(names[at:])
	return e
}

// borrow shows bytes as a string without copying them. The string must not outlive them: an event.Sink keeps none.
func borrow(v []byte) string { return unsafe.String(unsafe.SliceData(v), len(v)) }
