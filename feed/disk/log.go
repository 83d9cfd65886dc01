package disk

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"encoding/json"
	"errors"
	"hash/crc32"
	"io"
	"os"
	"time"

	"gatehouse/fault"
	"gatehouse/feed"
)

// A log is lines of JSON with a length and a checksum before each: eight bytes, four and four, the highest first. The first one
// says after which position the entries come.
const logMagic = "gatehouse log 1\n"

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

type logHead struct {
	Environment string        `json:"environment"`
	After       feed.Position `json:"after"`
}

// bytes is what a log begins with.
func (h logHead) bytes() []byte {
	b, err := json.Marshal(h)
	if err != nil {
		panic(err) // plain fields
	}
	var buf bytes.Buffer
	buf.WriteString(logMagic)
	block(&buf, b)
	return buf.Bytes()
}

// size is how long that is.
func (h logHead) size() int64 { return int64(len(h.bytes())) }

func entryOf(environment string, epoch int64, r record) feed.Entry {
	return feed.Entry{Environment: environment, Epoch: epoch, Seq: r.Seq, Kind: r.Kind, Key: r.Key, Version: r.Version,
		Payload: r.Payload, Committed: time.UnixMicro(r.Committed).UTC()}
}

// log is the open log of a gateway. It is used from one goroutine.
type log struct {
	f    *os.File
	head logHead
	at   feed.Position // after its last entry
	size int64
	buf  bytes.Buffer
}

// createLog makes an empty log in the place of whatever is there.
func createLog(file string, head logHead) (*log, error) {
	err := replace(file, func(w io.Writer) error {
		_, err := w.Write(head.bytes())
		return err
	})
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(file, os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &log{f: f, head: head, at: head.After, size: size}, nil
}

func block(buf *bytes.Buffer, b []byte) {
	var begin [8]byte
	binary.BigEndian.PutUint32(begin[:4], uint32(len(b)))
	binary.BigEndian.PutUint32(begin[4:], crc32.Checksum(b, castagnoli))
	buf.Write(begin[:])
	buf.Write(b)
}

// append writes entries that follow. Those that are in it already are passed over. After an error the log is as it was.
func (l *log) append(es []feed.Entry) error {
	l.buf.Reset()
	at := l.at
	for _, e := range es {
		if e.Seq <= at.Seq {
			continue
		}
		if e.Seq != at.Seq+1 || e.Previous != at.Digest {
			return fault.Of(fault.Conflict, "feed-forked", "entry %d does not follow entry %d of the log on disk", e.Seq, at.Seq)
		}
		b, err := json.Marshal(e)
		if err != nil {
			return err
		}
		block(&l.buf, b)
		at = e.Position()
	}
	if l.buf.Len() == 0 {
		return nil
	}
	n, err := l.f.WriteAt(l.buf.Bytes(), l.size)
	if err != nil {
		if cut := l.f.Truncate(l.size); cut != nil {
			return errors.Join(err, cut)
		}
		return err
	}
	l.size += int64(n)
	l.at = at
	if l.buf.Cap() > 1<<20 {
		l.buf = bytes.Buffer{}
	}
	return nil
}

// changed is the fault of a log that was not left like this.
func changed(format string, args ...any) error {
	return fault.Of(fault.Conflict, "log-changed", "the log on disk cannot be used: "+format, args...)
}

// openLog reads a log: every entry of it follows the one before, and the last one is signed. Each is handed to add. What a
// crash left half written at the end is cut off; anything else that does not hold is an error.
func openLog(file, environment string, key ed25519.PublicKey, add func(feed.Entry) error) (_ *log, err error) {
	f, err := os.OpenFile(file, os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = f.Close()
		}
	}()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	r := &logReader{r: bufio.NewReaderSize(f, 256<<10), left: info.Size()}
	b, err := r.begin()
	if err != nil {
		return nil, err
	}
	l := &log{f: f}
	if err := json.Unmarshal(b, &l.head); err != nil || l.head.Environment != environment {
		return nil, changed("it is of the environment %q, not %q", l.head.Environment, environment)
	}
	l.at, l.size = l.head.After, r.done
	var last []feed.Entry // the newest: its signature is checked at the end
	for {
		b, err := r.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		var e feed.Entry
		if err := json.Unmarshal(b, &e); err != nil {
			return nil, changed("what follows entry %d is none", l.at.Seq)
		}
		if len(last) > 0 {
			if err := feed.CheckLinked(environment, last[0], e); err != nil {
				return nil, err
			}
		} else if err := feed.CheckAll(environment, l.at, []feed.Entry{e}, key); err != nil {
			return nil, err
		}
		if err := add(e); err != nil {
			return nil, err
		}
		last, l.at, l.size = append(last[:0], e), e.Position(), r.done
	}
	if len(last) > 0 && !feed.Verify(key, last[0].Digest, last[0].Signature) {
		return nil, changed("entry %d is not signed by the control plane", l.at.Seq)
	}
	return l, f.Truncate(l.size) // what a crash left after it
}

type logReader struct {
	r          *bufio.Reader
	left, done int64
	buf        []byte
}

func (r *logReader) begin() ([]byte, error) {
	magic := make([]byte, len(logMagic))
	if _, err := io.ReadFull(r.r, magic); err != nil || string(magic) != logMagic {
		return nil, changed("it does not begin as one that this version of Gatehouse reads")
	}
	r.left, r.done = r.left-int64(len(magic)), int64(len(magic))
	b, err := r.next()
	if errors.Is(err, io.EOF) {
		return nil, changed("it has no head")
	}
	return b, err
}

// next reads a block; io.EOF at the end, and before one that was not written whole: one that goes beyond the end of the file,
// or of which there are only zero bytes, as a file has that grew and was not filled.
func (r *logReader) next() ([]byte, error) {
	var begin [8]byte
	if r.left < int64(len(begin)) {
		return nil, io.EOF
	}
	if _, err := io.ReadFull(r.r, begin[:]); err != nil {
		return nil, err
	}
	n := int64(binary.BigEndian.Uint32(begin[:4]))
	if n == 0 && begin == [8]byte{} {
		if err := onlyZeros(r.r); err != nil {
			return nil, err
		}
		return nil, io.EOF
	}
	if r.left -= int64(len(begin)); n > r.left {
		if n > longestFrame {
			return nil, changed("it claims an entry of %d bytes", n)
		}
		return nil, io.EOF
	}
	if n > int64(cap(r.buf)) {
		r.buf = make([]byte, n)
	}
	b := r.buf[:n]
	if _, err := io.ReadFull(r.r, b); err != nil {
		return nil, err
	}
	if crc32.Checksum(b, castagnoli) != binary.BigEndian.Uint32(begin[4:]) {
		return nil, changed("a byte of it was changed, or the disk has lost something that it said it had")
	}
	r.left -= n
	r.done += int64(len(begin)) + n
	return b, nil
}

func onlyZeros(r io.Reader) error {
	b := make([]byte, 64<<10)
	for {
		n, err := r.Read(b)
		if len(bytes.Trim(b[:n], "\x00")) > 0 {
			return changed("there are bytes after its end")
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
