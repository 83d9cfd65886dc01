package disk_test

import (
	"bytes"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/feed/disk"
)

// begun is an open folder with the first entries of a history in its log.
func begun(t *testing.T, h *history, n int) (*disk.Disk, string) {
	t.Helper()
	dir := t.TempDir()
	d, _, _, err := open(t, dir)
	if err == nil {
		err = d.Keep(h.entries[:n])
	}
	if err == nil {
		err = d.Sync(h.entries[n-1].Position())
	}
	if err != nil {
		t.Fatal(err)
	}
	return d, dir
}

func TestShrinkKeepsWhatFollows(t *testing.T) {
	h := filled(60)
	for _, image := range []int{1, 30, 49, 50} {
		d, dir := begun(t, h, 50)
		before := d.LogSize()
		done, err := d.Shrink(bytes.NewReader(h.image(image, sign)))
		if err != nil || !done || d.LogSize() >= before {
			t.Fatalf("image of %d: %v %v, %d bytes of %d", image, done, err, d.LogSize(), before)
		}
		if err := d.Keep(h.entries[50:]); err != nil {
			t.Fatal(err)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		again, at, v, err := open(t, dir)
		if err != nil || at != h.at() {
			t.Fatalf("image of %d: %+v %v", image, at, err)
		}
		if diff := cmp.Diff(h.view(60), v); diff != "" {
			t.Errorf("image of %d:\n%s", image, diff)
		}
		if err := again.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestShrinkByAnotherImageChangesNothing(t *testing.T) {
	h, other := filled(60), filled(55)
	other.entries = other.entries[:20]
	other.commit("another history", 7)
	for name, image := range map[string][]byte{"ahead of the log": h.image(60, sign), "of another history": other.image(21, sign), "not signed": h.image(30, stranger), "cut off": h.image(30, sign)[:500]} {
		d, dir := begun(t, h, 50)
		if done, err := d.Shrink(bytes.NewReader(image)); done || name != "ahead of the log" && err == nil {
			t.Errorf("%s: %v %v", name, done, err)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		again, at, v, err := open(t, dir)
		if err != nil || at != h.entries[49].Position() || cmp.Diff(h.view(50), v) != "" {
			t.Errorf("%s: %+v %v %v", name, at, v, err)
		}
		if err := again.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// Entries go on being kept meanwhile.
func TestShrinkWhileEntriesCome(t *testing.T) {
	h := filled(400)
	d, dir := begun(t, h, 100)
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 100; i < 400; i++ {
			if err := d.Keep(h.entries[i : i+1]); err != nil {
				t.Error(err)
			}
		}
	})
	for n := range 3 {
		if _, err := d.Shrink(bytes.NewReader(h.image(30*(n+1), sign))); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	again, at, v, err := open(t, dir)
	if err != nil || at != h.at() || cmp.Diff(h.view(400), v) != "" {
		t.Errorf("%+v %v %v", at, v, err)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
}
