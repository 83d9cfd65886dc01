package disk_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"gatehouse/fault"
	"gatehouse/feed"
	"gatehouse/feed/disk"
)

var key = ed25519.NewKeyFromSeed([]byte("a seed that is no secret to any1"))

func public() ed25519.PublicKey { return key.Public().(ed25519.PublicKey) }
func sign(digest string) []byte { return feed.Sign(key, digest) }
func stranger(digest string) []byte {
	return feed.Sign(ed25519.NewKeyFromSeed(make([]byte, 32)), digest)
}
func now() time.Time { return time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC) }
func is(err error, code string) bool {
	return errors.Is(err, fault.Conflict) && fault.As(err).Code == code
}

// history is the control plane's: entries, and what each entity is after them.
type history struct {
	epoch   int64
	entries []feed.Entry
}

func (h *history) at() feed.Position {
	if len(h.entries) == 0 {
		return feed.Position{}
	}
	return h.entries[len(h.entries)-1].Position()
}

func (h *history) commit(entity string, version int64) {
	e, err := feed.Seal(h.at(), feed.Entry{Environment: "live", Epoch: max(h.epoch, 1), Kind: feed.KindCredential, Key: entity, Version: version,
		Payload: json.RawMessage(fmt.Sprintf(`{"v":%d}`, version)), Committed: now()}, sign)
	if err != nil {
		panic(err)
	}
	h.entries = append(h.entries, e)
}

// image is one through the first n entries.
func (h *history) image(n int, sign func(string) []byte) []byte {
	var b bytes.Buffer
	at := feed.Position{}
	newest := map[string]feed.Entry{}
	for _, e := range h.entries[:n] {
		at = e.Position()
		newest[e.Key] = e
	}
	w := disk.NewImageWriter(&b, feed.Image{Environment: "live", Position: at, Made: now()}, disk.Packed)
	for _, e := range h.entries[:n] {
		if newest[e.Key].Seq == e.Seq {
			if err := w.Add(e); err != nil {
				panic(err)
			}
		}
	}
	if err := w.Close(sign); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func (h *history) view(n int) map[string]int64 {
	v := map[string]int64{}
	for _, e := range h.entries[:n] {
		v[e.Key] = e.Version
	}
	return v
}

func filled(n int) *history {
	h := &history{}
	for i := range n {
		h.commit(fmt.Sprint("c", i%3), int64(i+1))
	}
	return h
}

type fataler interface{ Fatal(...any) }

// open loads a folder and returns the view that it gives.
func open(t fataler, dir string) (*disk.Disk, feed.Position, map[string]int64, error) {
	d, err := disk.Open(dir, "live", public())
	if err != nil {
		t.Fatal(err)
	}
	v := map[string]int64{}
	p, err := d.Load(func(e feed.Entry) error { v[e.Key] = e.Version; return nil })
	return d, p, v, err
}

func TestImageOfAnythingElseIsRefused(t *testing.T) {
	h := filled(7)
	whole := h.image(7, sign)
	read := func(b []byte, environment string) error {
		_, err := disk.ReadImage(bytes.NewReader(b), environment, public(), func(feed.Entry) error { return nil })
		return err
	}
	if err := read(whole, "live"); err != nil {
		t.Fatal(err)
	}
	if err := read(whole, "test"); !is(err, "image-elsewhere") {
		t.Error(err)
	}
	if err := read(h.image(7, stranger), "live"); !is(err, "image-changed") {
		t.Error(err)
	}
	for n := range whole {
		flipped := bytes.Clone(whole)
		flipped[n] ^= 0x20
		if err := read(flipped, "live"); !errors.Is(err, fault.Conflict) {
			t.Fatalf("byte %d of %d was changed: %v", n, len(whole), err)
		}
		if err := read(whole[:n], "live"); !is(err, "image-damaged") {
			t.Fatalf("cut off after %d of %d bytes: %v", n, len(whole), err)
		}
	}
	if err := read(append(bytes.Clone(whole), 'x'), "live"); !is(err, "image-damaged") {
		t.Error(err)
	}
}

// kept is a folder with an image of the first three entries and a log of the others, all of which was acknowledged.
func kept(t *testing.T, h *history) string {
	dir := t.TempDir()
	d, err := disk.Open(dir, "live", public())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.PutImage(bytes.NewReader(h.image(3, sign))); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Load(func(feed.Entry) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(d.Keep(h.entries[3:]), d.Sync(h.at()), d.Close()); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestLogOfAnythingElseIsRefused(t *testing.T) {
	h := filled(6)
	dir := kept(t, h)
	d, p, v, err := open(t, dir)
	if err != nil || p != h.at() {
		t.Fatal(p, err)
	}
	d.Close()
	if diff := cmp.Diff(h.view(6), v); diff != "" {
		t.Fatal(diff)
	}
	file := filepath.Join(dir, "log")
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	try := func(b []byte) error {
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
		d, _, _, err := open(t, dir)
		d.Close()
		return err
	}
	for n := 0; n < len(whole); n += 5 {
		flipped := bytes.Clone(whole)
		flipped[n] ^= 0x20
		if err := try(flipped); !errors.Is(err, fault.Conflict) {
			t.Fatalf("byte %d of %d was changed: %v", n, len(whole), err)
		}
		if err := try(whole[:n]); !errors.Is(err, fault.Conflict) { // all of it was acknowledged
			t.Fatalf("cut off after %d of %d bytes: %v", n, len(whole), err)
		}
	}
	if err := try(append(bytes.Clone(whole), make([]byte, 300)...)); err != nil {
		t.Errorf("a file that grew and was not filled: %v", err)
	}
}

func TestPutImageRefusesWhatIsOlder(t *testing.T) {
	h := filled(6)
	dir := kept(t, h)
	d, err := disk.Open(dir, "live", public())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := d.PutImage(bytes.NewReader(h.image(5, sign))); !is(err, "image-old") {
		t.Error(err)
	}
	other := &history{epoch: 2}
	other.commit("c0", 9)
	if _, err := d.PutImage(bytes.NewReader(other.image(1, sign))); err != nil {
		t.Fatalf("of a raised epoch: %v", err)
	}
	p, err := d.Load(func(feed.Entry) error { return nil })
	if err != nil || p != other.at() {
		t.Errorf("%v, %v", p, err)
	}
}

// Whatever the order of commits, kills, lost writes, newer images and restarts: the view is the control plane's at the position
// that is said, and nothing that was acknowledged is ever missing.
func TestAnyOrderGivesTheSameView(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "d")
		if err != nil {
			rt.Fatal(err)
		}
		h, versions := &history{}, map[string]int64{}
		d, at, view, err := open(rt, dir)
		if err != nil {
			rt.Fatal(err)
		}
		acknowledged, imaged := int64(0), int64(0)
		restart := func() {
			if err := d.Close(); err != nil {
				rt.Fatal(err)
			}
			if d, at, view, err = open(rt, dir); err != nil {
				rt.Fatal(err)
			}
			if at.Seq < acknowledged {
				rt.Fatalf("it begins at %d, and %d was acknowledged", at.Seq, acknowledged)
			}
		}
		for range rapid.IntRange(1, 20).Draw(rt, "steps") {
			switch rapid.SampledFrom([]string{"commit", "commit", "pull", "pull", "acknowledge", "kill", "torn", "image"}).Draw(rt, "step") {
			case "commit":
				k := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(rt, "entity")
				versions[k]++
				h.commit(k, versions[k])
			case "pull":
				es := h.entries[at.Seq:]
				es = es[:rapid.IntRange(0, len(es)).Draw(rt, "entries")]
				if err := feed.CheckAll("live", at, es, public()); err != nil {
					rt.Fatal(err)
				}
				if err := errors.Join(d.Keep(es), d.Keep(es)); err != nil { // they may come again
					rt.Fatal(err)
				}
				for _, e := range es {
					at, view[e.Key] = e.Position(), e.Version
				}
			case "acknowledge":
				if err := d.Sync(at); err != nil {
					rt.Fatal(err)
				}
				acknowledged = at.Seq
			case "kill":
				restart()
			case "torn": // the machine stopped in the middle of a write: the last entry, if it was not acknowledged, is cut
				file := filepath.Join(dir, "log")
				if at.Seq > acknowledged && at.Seq > imaged {
					info, err := os.Stat(file)
					if err == nil {
						err = os.Truncate(file, info.Size()-1)
					}
					if err != nil {
						rt.Fatal(err)
					}
					if from := at.Seq; from > 0 {
						restart()
						if at.Seq >= from {
							rt.Fatalf("a torn entry counts: %d", at.Seq)
						}
					}
				}
			case "image":
				if _, err := d.PutImage(bytes.NewReader(h.image(len(h.entries), sign))); err != nil {
					rt.Fatal(err)
				}
				imaged = h.at().Seq
				restart()
			}
			if want := h.view(int(at.Seq)); !maps.Equal(want, view) {
				rt.Fatalf("at %d:\n%s", at.Seq, cmp.Diff(want, view))
			}
		}
		if err := d.Close(); err != nil {
			rt.Fatal(err)
		}
	})
}

// The newer of two states counts, and one that was half written does not.
func TestStateSurvives(t *testing.T) {
	dir := t.TempDir()
	d, err := disk.Open(dir, "live", public())
	if err != nil {
		t.Fatal(err)
	}
	for n := range 5 {
		if err := d.Change(true, func(s *disk.State) { s.Clock = now().Add(time.Duration(n) * time.Hour) }); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "state")
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	clock := func() time.Duration {
		d, err := disk.Open(dir, "live", public())
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		return d.State().Clock.Sub(now())
	}
	if got := clock(); got != 4*time.Hour {
		t.Errorf("%s", got)
	}
	b[(5%2)*16<<10+20] ^= 1 // the newest slot
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := clock(); got != 3*time.Hour {
		t.Errorf("%s", got)
	}
}
