package disk_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/fault"
	"gatehouse/feed"
	"gatehouse/feed/disk"
)

// A folder is one process's. Lent, another one may use it; what was kept meanwhile is there once it is back, after what the other one kept.
func TestLentFolderComesBack(t *testing.T) {
	h := filled(30)
	d, dir := begun(t, h, 10)
	if _, err := disk.Open(dir, "live", public()); err == nil || fault.As(err).Code != "disk-busy" {
		t.Fatalf("a second one opens the folder: %v", err)
	}
	if err := d.Lend(); err != nil {
		t.Fatal(err)
	}
	if err := d.Lend(); err == nil {
		t.Error("it is lent twice")
	}
	other, at, _, err := open(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	from := at.Seq
	for _, part := range []struct {
		d    *disk.Disk
		upTo int64
	}{{d, from + 2}, {other, from + 5}, {d, from + 8}} { // both are sent the same
		begin := from
		if part.d == d && part.upTo > from+2 {
			begin += 2
		}
		es := h.entries[begin:part.upTo]
		if err := part.d.Keep(es); err != nil {
			t.Fatal(err)
		}
		if err := part.d.Sync(es[len(es)-1].Position()); err != nil {
			t.Fatal(err)
		}
	}
	later := now().Add(time.Hour)
	if err := other.Change(true, func(s *disk.State) { s.Clock = later }); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Load(func(feed.Entry) error { return nil }); err == nil {
		t.Error("a lent folder is read")
	}
	if err := d.Return(); err == nil || fault.As(err).Code != "disk-busy" {
		t.Fatalf("it is taken back while the other one has it: %v", err)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	if err := d.Return(); err != nil {
		t.Fatal(err)
	}
	if err := d.Keep(h.entries[from+8 : from+9]); err != nil {
		t.Fatal(err)
	}
	if st := d.State(); !st.Clock.Equal(later) || st.Position != h.entries[from+7].Position() {
		t.Errorf("the state is %+v", st)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	again, at, view, err := open(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if d := cmp.Diff(h.view(int(from)+9), view); at != h.entries[from+8].Position() || d != "" {
		t.Errorf("it is at %+v\n%s", at, d)
	}
}
