// Package disk keeps what a gateway knows where it survives a restart: an image of its environment's feed that the control
// plane signed, the log of the entries after it, and how the gateway stands. Whatever was changed there is refused.
package disk

import (
	"bufio"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"

	"gatehouse/fault"
	"gatehouse/feed"
)

// An image is the magic of its form, then frames: four bytes with the length, the highest first, one byte with the kind, and so many bytes. The first
// frame is the head, the last one the seal, those between are records. The seal's digest is over all bytes before its frame. Of
// the second form, frames of rows are among the records: see rows.
const (
	frameHead   = 'H' // feed.Image without its count, as JSON
	frameRecord = 'E' // record, as JSON
	frameRows   = 'R' // rows; of the second form only
	frameSeal   = 'S' // seal, as JSON

	longestFrame = 64 << 20 // a revision's bundle is the longest record; what claims more is damaged
)

// Form is how an image is written. A reader knows all of them.
type Form int

// The forms.
const (
	Texts  Form = 1 // every record as JSON: what a gateway of one release back reads
	Packed Form = 2 // records of which there are millions as rows
)

func (f Form) magic() string { return fmt.Sprintf("gatehouse image %d\n", f) }

// record is an entry without its place in the chain: the seal stands for that.
type record struct {
	Kind      feed.Kind       `json:"k"`
	Key       string          `json:"i"`
	Version   int64           `json:"v"`
	Seq       int64           `json:"s"`
	Committed int64           `json:"c"` // microseconds since 1970
	Payload   json.RawMessage `json:"p"`
}

type seal struct {
	Records   int64  `json:"records"`
	Signature []byte `json:"signature"`
}

// ImageWriter writes an image, entry by entry, in bounded memory.
type ImageWriter struct {
	w    *bufio.Writer
	sum  hash.Hash
	head feed.Image
	form Form
	rows map[feed.Kind]*rows
	n    int64
	err  error
}

// NewImageWriter begins an image with the head's environment, position and time.
func NewImageWriter(w io.Writer, head feed.Image, form Form) *ImageWriter {
	i := &ImageWriter{w: bufio.NewWriterSize(w, 256<<10), sum: sha256.New(), head: head, form: form, rows: map[feed.Kind]*rows{
		feed.KindApplication: {kind: rowsApplications}, feed.KindCredential: {kind: rowsCredentials}, feed.KindGrant: {kind: rowsGrants, places: map[string]uint64{}}}}
	i.write([]byte(form.magic()))
	i.frame(frameHead, head)
	return i
}

// Add adds the newest entry of an entity. Entries come in the order of their numbers.
func (i *ImageWriter) Add(e feed.Entry) error {
	if i.form == Packed {
		if row, ok := feed.RowOf(e); ok {
			return i.addRow(&row)
		}
	}
	i.frame(frameRecord, record{e.Kind, e.Key, e.Version, e.Seq, e.Committed.UnixMicro(), e.Payload})
	i.n++
	return i.err
}

func (i *ImageWriter) addRow(row *feed.Row) error {
	r := i.rows[row.Kind]
	if err := r.add(row); err != nil && i.err == nil {
		i.err = err
	}
	i.n++
	if r.n == rowsMost {
		i.flush(r)
	}
	return i.err
}

func (i *ImageWriter) flush(r *rows) {
	if r.n > 0 {
		i.put(frameRows, r.frame())
		r.reset()
	}
}

// Close seals the image. It does not close what it writes to.
func (i *ImageWriter) Close(sign func(digest string) []byte) error {
	for _, k := range []feed.Kind{feed.KindApplication, feed.KindGrant, feed.KindCredential} {
		i.flush(i.rows[k])
	}
	i.head.Records = i.n
	i.sum.Sum(i.head.Content[:0])
	i.frame(frameSeal, seal{i.n, i.head.Sign(sign)})
	if i.err == nil {
		i.err = i.w.Flush()
	}
	return i.err
}

func (i *ImageWriter) frame(kind byte, v any) {
	b, err := json.Marshal(v)
	if i.err == nil {
		i.err = err
	}
	i.put(kind, b)
}

func (i *ImageWriter) put(kind byte, b []byte) {
	i.write(append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), kind))
	i.write(b)
}

func (i *ImageWriter) write(b []byte) {
	if i.err != nil {
		return
	}
	i.sum.Write(b)
	_, i.err = i.w.Write(b)
}

// damaged is the fault of an image that cannot be used.
func damaged(format string, args ...any) *fault.Error {
	return fault.Of(fault.Conflict, "image-damaged", "the image cannot be used: "+format, args...)
}

// ReadImage reads an image of the environment, hands each record to add as an entry without a digest, and returns where it
// stands. It is to be used only once ReadImage has returned nil: the proof that nothing was changed comes last.
func ReadImage(from io.Reader, environment string, key ed25519.PublicKey, add func(feed.Entry) error) (feed.Image, error) {
	r := &imageReader{r: bufio.NewReaderSize(from, 256<<10), sum: sha256.New()}
	head, err := r.head(environment)
	if err != nil {
		return head, err
	}
	e := feed.Entry{Environment: environment, Epoch: head.Position.Epoch}
	addRow := func(row *feed.Row) error {
		e.Kind, e.Row = row.Kind, row
		return add(e)
	}
	for {
		r.sum.Sum(head.Content[:0]) // before the frame: the seal is not part of it
		kind, b, err := r.next()
		if err != nil {
			return head, err
		}
		switch kind {
		case frameRecord:
			var e record
			if err := json.Unmarshal(b, &e); err != nil {
				return head, damaged("record %d is not one", head.Records+1).Because(err)
			}
			head.Records++
			if err := add(entryOf(environment, head.Position.Epoch, e)); err != nil {
				return head, err
			}
		case frameRows:
			if r.form != Packed {
				return head, damaged("it has a frame that its form does not have")
			}
			n, err := readRows(b, addRow)
			head.Records += n
			if err != nil {
				return head, err
			}
		case frameSeal:
			return head, r.finish(head, b, key)
		}
	}
}

type imageReader struct {
	r    *bufio.Reader
	sum  hash.Hash
	form Form
	buf  []byte
}

func (r *imageReader) head(environment string) (head feed.Image, err error) {
	magic := make([]byte, len(Packed.magic()))
	_, err = io.ReadFull(r.r, magic)
	switch string(magic) {
	case Texts.magic():
		r.form = Texts
	case Packed.magic():
		r.form = Packed
	default:
		return head, damaged("it is not an image that this version of Gatehouse reads").Because(err)
	}
	r.sum.Write(magic)
	kind, b, err := r.next()
	if err != nil {
		return head, err
	}
	if kind != frameHead || json.Unmarshal(b, &head) != nil {
		return head, damaged("it has no head")
	}
	if head.Environment != environment {
		return head, fault.Of(fault.Conflict, "image-elsewhere", "the image is of the environment %q, and this gateway serves %q", head.Environment, environment)
	}
	head.Records = 0
	return head, nil
}

// next reads a frame. What it returns is good until the next call.
func (r *imageReader) next() (kind byte, b []byte, err error) {
	var begin [5]byte
	if _, err := io.ReadFull(r.r, begin[:]); err != nil {
		return 0, nil, cut(err)
	}
	n := binary.BigEndian.Uint32(begin[:4])
	if n > longestFrame {
		return 0, nil, damaged("it claims a record of %d bytes", n)
	}
	if int(n) > cap(r.buf) {
		r.buf = make([]byte, n)
	}
	b = r.buf[:n]
	if _, err := io.ReadFull(r.r, b); err != nil {
		return 0, nil, cut(err)
	}
	r.sum.Write(begin[:])
	r.sum.Write(b)
	return begin[4], b, nil
}

func cut(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return damaged("it ends too early: it was cut off")
	}
	return err
}

// finish checks the seal.
func (r *imageReader) finish(head feed.Image, b []byte, key ed25519.PublicKey) error {
	var s seal
	if err := json.Unmarshal(b, &s); err != nil || s.Records != head.Records {
		return damaged("its seal is for %d records, and it has %d", s.Records, head.Records)
	}
	if written, err := json.Marshal(s); err != nil || string(written) != string(b) {
		return damaged("its seal was changed")
	}
	if _, err := r.r.ReadByte(); !errors.Is(err, io.EOF) {
		return damaged("something follows its end")
	}
	return head.Verify(key, s.Signature)
}
