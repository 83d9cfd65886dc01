// Package link carries the feed between the control plane and a gateway elsewhere: one stream over HTTP/2 with mutual TLS, on
// which entries and words go down, and receipts and batches go up. Each gateway gets its own environment's, whatever it asks.
package link

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"

	"gatehouse/fault"
	"gatehouse/feed"
	"gatehouse/fleet"
	"gatehouse/id"
)

// Protocol is what this build speaks; it also speaks the one before it. Fields and kinds of frames that it does not know are
// passed over, so that the release after it can add some.
const (
	Protocol = 2 // 1: a control plane that knows no regions
	Oldest   = 1
)

// RegionsSince is the protocol since which a control plane knows regions. A gateway of one takes nothing from an older one, which would
// tell it everything that there is in its environment.
const RegionsSince = 2

// oldest is the lowest protocol that a gateway of the region speaks.
func oldest(region string) int {
	if region != "" {
		return RegionsSince
	}
	return Oldest
}

// A frame is its length in four bytes, the highest first, the kind in one, one that says how the body is packed, and the body.
const (
	// Down.
	frameWelcome     = 'W' // welcome
	frameEntries     = 'E' // []feed.Entry, that follow
	frameWord        = 'S' // feed.Signed
	frameCertificate = 'C' // Certificate
	frameAnchors     = 'A' // Anchors
	frameTaken       = 'T' // taken
	frameProbe       = 'P' // probing: only to a gateway that says it swears
	frameRefused     = 'R' // refused; nothing follows
	// Up.
	frameHello   = 'h' // hello, the first one
	frameReceipt = 'r' // signedReceipt
	frameBatch   = 'b' // batch
	frameRenew   = 'c' // renew
	framePing    = 'p' // ping
	frameTallies = 'q' // tallies
	frameSworn   = 's' // sworn

	plain  = 0
	packed = 1 // RFC 1951

	longest    = 64 << 20 // bytes of a body, unpacked: a revision's bundle is the largest thing
	packFrom   = 1 << 10  // shorter ones are sent as they are
	frameBegin = 6
)

type hello struct {
	Protocol int           `json:"protocol"`
	Oldest   int           `json:"oldest"` // that it speaks too
	Version  string        `json:"version"`
	Position feed.Position `json:"position"`
	Now      time.Time     `json:"now"`
	Swears   bool          `json:"swears,omitempty"`  // it answers probes
	Ages     bool          `json:"ages,omitempty"`    // it counts from when a heartbeat is of, not from when it came
	Trouble  string        `json:"trouble,omitempty"` // as in its newest receipt, which may not be read before the stream ends
}

type welcome struct {
	Protocol int       `json:"protocol"`
	Version  string    `json:"version"`
	Now      time.Time `json:"now"`
	Head     int64     `json:"head,omitempty"` // how far the feed goes: before that the gateway has not caught up
}

type signedReceipt struct {
	Receipt   json.RawMessage `json:"receipt"`
	Signature []byte          `json:"signature"` // by the gateway's key, over receiptSigned
}

type batch struct {
	Ask   int64      `json:"ask"` // which answer belongs to it
	Batch feed.Batch `json:"batch"`
}

type taken struct {
	Ask    int64    `json:"ask"`
	Fault  *refused `json:"fault,omitempty"`
	Others []int64  `json:"others,omitempty"` // of tallies: what all other gateways let through
	Over   int64    `json:"over,omitempty"`   // of tallies: feed.Tallied's
}

type tallies struct {
	Ask     int64        `json:"ask"`
	Tallies feed.Tallies `json:"tallies"`
}

type probing struct {
	Ask   int64      `json:"ask"` // which answer belongs to it
	Probe feed.Probe `json:"probe"`
}

type sworn struct {
	Ask   int64       `json:"ask"`
	Sworn *feed.Sworn `json:"sworn,omitempty"`
	Fault *refused    `json:"fault,omitempty"`
}

type renew struct {
	Request []byte `json:"request"` // PKCS #10, DER
}

type ping struct {
	Now time.Time `json:"now"`
}

// refused is a fault on its way.
type refused struct {
	Kind string `json:"kind"`
	Code string `json:"code,omitempty"`
	Text string `json:"text"`
}

// Certificate is a gateway's identity as it gets it.
type Certificate struct {
	Chain   [][]byte  `json:"chain"` // DER, the gateway's own first
	Expires time.Time `json:"expires"`
	Anchors
}

// Anchors are the authorities that count, as certificates in DER.
type Anchors struct {
	Anchors [][]byte `json:"anchors"`
}

// Joined is what an enrolment gives.
type Joined struct {
	ID          id.ID         `json:"id"`
	Name        string        `json:"name"`
	Environment string        `json:"environment"`
	Region      string        `json:"region,omitempty"`
	FeedKey     []byte        `json:"feed_key"` // Ed25519: what entries, words and images are signed with
	MaxOffline  time.Duration `json:"max_offline"`
	Certificate
}

// Feed is the name of the feed that the gateway follows.
func (j Joined) Feed() string {
	return fleet.Gateway{Environment: j.Environment, Region: j.Region}.Feed()
}

func tell(err error) refused {
	f := fault.As(err)
	return refused{f.Kind.Error(), f.Code, f.Public}
}

func (r refused) fault() error {
	switch k := fault.Kind(r.Kind); k {
	case fault.Invalid, fault.Unauthenticated, fault.Forbidden, fault.NotFound, fault.Conflict, fault.Stale, fault.TooLarge:
		return fault.Of(k, r.Code, "%s", r.Text)
	}
	return fault.Of(fault.Unavailable, r.Code, "%s", r.Text)
}

// pack makes a frame.
func pack(kind byte, v any) ([]byte, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	how := byte(plain)
	if len(body) > packFrom {
		if p, err := deflate(body); err == nil && len(p) < len(body) {
			body, how = p, packed
		}
	}
	b := make([]byte, 0, frameBegin+len(body))
	b = binary.BigEndian.AppendUint32(b, uint32(len(body)))
	return append(append(b, kind, how), body...), nil
}

// packedOnce remembers the newest frame of entries: a hundred gateways that keep up are sent the same one.
type packedOnce struct {
	mu          sync.Mutex
	first, last string // digests
	frame       []byte
}

// entries makes a frame of entries, of which there is one at least. Nobody changes it.
func (p *packedOnce) entries(es []feed.Entry) ([]byte, error) {
	first, last := es[0].Digest, es[len(es)-1].Digest
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.frame != nil && p.first == first && p.last == last {
		return p.frame, nil
	}
	b, err := pack(frameEntries, es)
	if err != nil {
		return nil, err
	}
	p.first, p.last, p.frame = first, last, b
	return b, nil
}

var packers = sync.Pool{New: func() any { w, _ := flate.NewWriter(nil, flate.BestSpeed); return w }}

func deflate(body []byte) ([]byte, error) {
	var out bytes.Buffer
	w := packers.Get().(*flate.Writer)
	defer packers.Put(w)
	w.Reset(&out)
	if _, err := w.Write(body); err != nil {
		return nil, err
	}
	err := w.Close()
	return out.Bytes(), err
}

// unpack reads one frame. A body of more than longest bytes, packed or not, is an error.
func unpack(r io.Reader) (kind byte, body []byte, err error) {
	var begin [frameBegin]byte
	if _, err := io.ReadFull(r, begin[:]); err != nil {
		return 0, nil, err
	}
	n := binary.BigEndian.Uint32(begin[:4])
	if n > longest {
		return 0, nil, fmt.Errorf("a frame claims %d bytes", n)
	}
	// It grows with what arrives: a claim costs nothing.
	var raw bytes.Buffer
	if _, err := io.CopyN(&raw, r, int64(n)); err != nil {
		return 0, nil, err
	}
	switch begin[5] {
	case plain:
		return begin[4], raw.Bytes(), nil
	case packed:
		var out bytes.Buffer
		if _, err := io.Copy(&out, io.LimitReader(flate.NewReader(&raw), longest+1)); err != nil {
			return 0, nil, err
		}
		if out.Len() > longest {
			return 0, nil, fmt.Errorf("a frame unpacks to more than %d bytes", longest)
		}
		return begin[4], out.Bytes(), nil
	}
	return 0, nil, fmt.Errorf("a frame is packed in the way %d, which this build does not know", begin[5])
}

// receiptSigned is what a gateway signs.
func receiptSigned(receipt []byte) []byte { return append([]byte("gatehouse receipt\n"), receipt...) }
