package disk_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/fault"
	"gatehouse/feed"
	"gatehouse/feed/disk"
	"gatehouse/id"
)

// partners is a feed of real records: applications with grants and credentials, some of which say more than a row can.
func partners(n int) *history {
	h := &history{}
	commit := func(k feed.Kind, key id.ID, v any) {
		b, err := json.Marshal(v)
		if err != nil {
			panic(err)
		}
		e, err := feed.Seal(h.at(), feed.Entry{Environment: "live", Epoch: 1, Kind: k, Key: string(key), Version: 1, Payload: b, Committed: now()}, func(string) []byte { return nil }) // the image is what is signed here
		if err != nil {
			panic(err)
		}
		h.entries = append(h.entries, e)
	}
	org := feed.Organization{ID: id.New(id.Organization, now()), Name: "Fjord Bank", Live: true}
	commit(feed.KindOrganization, org.ID, org)
	for i := range n {
		a := feed.Application{ID: id.New(id.Application, now()), Organization: org.ID, Name: "Kasse", Live: i%5 != 4}
		commit(feed.KindApplication, a.ID, a)
		g := feed.Grant{ID: id.New(id.Grant, now()), Application: a.ID, Product: fmt.Sprint("p", i%2), Plan: "free", Scopes: []string{"read", "write"}[:1+i%2], From: now(), Until: now().Add(time.Hour + time.Duration(i)*time.Microsecond), State: []string{"active", "suspended", "ended"}[i%3]}
		commit(feed.KindGrant, g.ID, g)
		for j := range 3 {
			c := feed.Credential{ID: id.New(id.Credential, now()), Application: a.ID, Kind: []string{"api_key", "oauth_client", "client_certificate", "workload_identity"}[(i+j)%4], PublicID: "abc",
				Hash: bytes.Repeat([]byte{byte(i), byte(j)}, 16), Live: j == 0, Expires: now().Add(time.Hour)}
			switch {
			case j == 1:
				c.Ended = []string{"pending", "suspended", "revoked"}[i%3]
			case j == 2 && i%2 == 0:
				c.Live, c.Sources = true, []string{"192.0.2.0/24"}
			case j == 2:
				c.Live, c.Grants = true, []id.ID{g.ID}
			}
			commit(feed.KindCredential, c.ID, c)
		}
	}
	return h
}

func (h *history) imageIn(form disk.Form) []byte {
	var b bytes.Buffer
	w := disk.NewImageWriter(&b, feed.Image{Environment: "live", Position: h.at(), Made: now()}, form)
	for _, e := range h.entries {
		if err := w.Add(e); err != nil {
			panic(err)
		}
	}
	if err := w.Close(sign); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// Both forms say the same: what has place in a row comes back as the row that it is, everything else as it was.
func TestPackedImageSaysWhatTextsSay(t *testing.T) {
	h := partners(3000) // more than one frame of credentials
	want := map[string]any{}
	for _, e := range h.entries {
		if r, ok := feed.RowOf(e); ok {
			want[string(r.Kind)+fmt.Sprint(r.ID)] = r
		} else {
			want[e.Key] = string(e.Payload)
		}
	}
	for _, form := range []disk.Form{disk.Texts, disk.Packed} {
		got := map[string]any{}
		b := h.imageIn(form)
		img, err := disk.ReadImage(bytes.NewReader(b), "live", public(), func(e feed.Entry) error {
			if e.Row != nil {
				got[string(e.Row.Kind)+fmt.Sprint(e.Row.ID)] = *e.Row
			} else if r, ok := feed.RowOf(e); ok {
				got[string(r.Kind)+fmt.Sprint(r.ID)] = r
			} else {
				got[e.Key] = string(e.Payload)
			}
			return nil
		})
		if err != nil || img.Records != int64(len(h.entries)) || img.Position != h.at() {
			t.Fatalf("form %d: %+v %v", form, img, err)
		}
		if !reflect.DeepEqual(want, got) { // a difference of this many takes minutes to tell, when there is none
			t.Errorf("form %d:\n%s", form, cmp.Diff(want, got))
		}
		t.Logf("form %d: %d bytes a record", form, len(b)/len(h.entries))
	}
}

func TestChangedPackedImageIsRefused(t *testing.T) {
	whole := partners(2).imageIn(disk.Packed)
	read := func(b []byte) error {
		_, err := disk.ReadImage(bytes.NewReader(b), "live", public(), func(feed.Entry) error { return nil })
		return err
	}
	if err := read(whole); err != nil {
		t.Fatal(err)
	}
	for n := range whole {
		for _, bit := range []byte{1, 0x20} {
			flipped := bytes.Clone(whole)
			flipped[n] ^= bit
			if err := read(flipped); !errors.Is(err, fault.Conflict) {
				t.Fatalf("bit %d of byte %d of %d was changed: %v", bit, n, len(whole), err)
			}
		}
		if err := read(whole[:n]); !is(err, "image-damaged") {
			t.Fatalf("cut off after %d of %d bytes: %v", n, len(whole), err)
		}
	}
	if err := read(bytes.Replace(whole, []byte("image 2"), []byte("image 1"), 1)); !is(err, "image-damaged") {
		t.Errorf("rows in the form that has none: %v", err)
	}
}

// FuzzImage: no bytes bring the reader down, and of what the control plane has signed none can be missing or another one.
func FuzzImage(f *testing.F) {
	h := partners(2)
	for _, form := range []disk.Form{disk.Texts, disk.Packed} {
		f.Add(h.imageIn(form))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		read := func(b []byte) error {
			_, err := disk.ReadImage(bytes.NewReader(b), "live", public(), func(e feed.Entry) error {
				if e.Row != nil && !e.Row.Valid() {
					t.Fatalf("a row that says nothing: %+v", *e.Row)
				}
				return nil
			})
			return err
		}
		if read(b) != nil {
			return
		}
		other := bytes.Clone(b)
		other[len(b)/2] ^= 1
		if read(b[:len(b)-1]) == nil || read(other) == nil {
			t.Fatal("an image that was changed is taken")
		}
	})
}
