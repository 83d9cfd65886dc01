package disk

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"hash/crc32"
	"io"
	"os"
	"time"

	"gatehouse/feed"
)

// State is how a gateway stands, beside what it knows.
type State struct {
	Position  feed.Position `json:"position"`            // what it has last said to have in force: the log reaches that far, or something was taken away
	Clock     time.Time     `json:"clock"`               // the latest time that it has seen: it is never before that
	Heard     time.Time     `json:"heard"`               // when what the heartbeat says was so, by its own clock
	Heartbeat *feed.Signed  `json:"heartbeat,omitempty"` // the newest
	Revoked   *feed.Signed  `json:"revoked,omitempty"`   // the word that ended it
}

// slots are two places in one file that are written in turn, so that one of them is always whole.
const slotSize = 16 << 10

type stateFile struct {
	f     *os.File
	count uint64
}

// openState opens the file and returns what the newest whole slot says; the zero State of a file that is new.
func openState(file string) (*stateFile, State, error) {
	var newest State
	f, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, newest, err
	}
	s := &stateFile{f: f}
	var b [slotSize]byte
	if info, err := f.Stat(); err == nil && info.Size() == 0 { // its place on the disk is taken now: on a full one it is written too
		if _, err := f.Write(make([]byte, 2*slotSize)); err != nil {
			return nil, newest, errors.Join(err, f.Close())
		}
	}
	for slot := range int64(2) {
		if _, err := f.ReadAt(b[:], slot*slotSize); err != nil {
			if !errors.Is(err, io.EOF) {
				return nil, newest, errors.Join(err, f.Close())
			}
			continue
		}
		count, n, sum := binary.BigEndian.Uint64(b[:]), binary.BigEndian.Uint32(b[8:]), binary.BigEndian.Uint32(b[12:])
		if n > slotSize-16 || crc32.Checksum(b[16:16+n], castagnoli)^uint32(count) != sum || count <= s.count {
			continue
		}
		var st State
		if json.Unmarshal(b[16:16+n], &st) == nil {
			s.count, newest = count, st
		}
	}
	return s, newest, nil
}

// write puts the state into the other slot. It survives the end of the process, and with sync that of the machine.
func (s *stateFile) write(st State, sync bool) error {
	text, err := json.Marshal(st)
	if err != nil {
		return err
	}
	if len(text) > slotSize-16 {
		return errors.New("the state is too long for its place")
	}
	var b [slotSize]byte
	s.count++
	binary.BigEndian.PutUint64(b[:], s.count)
	binary.BigEndian.PutUint32(b[8:], uint32(len(text)))
	binary.BigEndian.PutUint32(b[12:], crc32.Checksum(text, castagnoli)^uint32(s.count))
	copy(b[16:], text)
	_, err = s.f.WriteAt(b[:], int64(s.count%2)*slotSize)
	if err == nil && sync {
		err = s.f.Sync()
	}
	return err
}
