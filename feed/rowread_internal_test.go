package feed

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"gatehouse/id"
)

func someRecords() map[Kind]any {
	now := time.Date(2026, 11, 28, 12, 0, 0, 123456000, time.UTC)
	app := id.New(id.Application, now)
	return map[Kind]any{
		KindApplication: Application{ID: app, Organization: id.New(id.Organization, now), Name: "Payments", Live: true},
		KindCredential:  Credential{ID: id.New(id.Credential, now), Application: app, Kind: "api_key", PublicID: "abc", Hash: make([]byte, 32), Ended: "suspended", Expires: now},
		KindGrant:       Grant{ID: id.New(id.Grant, now), Application: app, Product: "starter", Plan: "free", Scopes: []string{"read", "write"}, From: now, Until: now.Add(time.Hour), State: "active"},
	}
}

func byHand(e Entry) (r Row, ok bool) {
	r.Kind = e.Kind
	switch e.Kind {
	case KindApplication:
		ok = r.application(e.Payload)
	case KindCredential:
		ok = r.credential(e.Payload)
	case KindGrant:
		ok = r.grant(e.Payload)
	}
	return r, ok
}

// What control writes is read by hand: nobody waits for encoding/json.
func TestUsualRowsAreReadByHand(t *testing.T) {
	for k, of := range someRecords() {
		raw, err := json.Marshal(of)
		if err != nil {
			t.Fatal(err)
		}
		e := Entry{Kind: k, Payload: raw}
		got, ok := byHand(e)
		if want, is := rowOf(e); !ok || !is || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v; want %+v, %v", k, got, ok, want, is)
		}
		for i := range raw { // nothing that was cut off, and nothing after it
			if _, ok := byHand(Entry{Kind: k, Payload: raw[:i]}); ok {
				t.Errorf("%s is taken", raw[:i])
			}
		}
		if _, ok := byHand(Entry{Kind: k, Payload: append(raw, ' ')}); ok {
			t.Errorf("%s is taken with something after it", raw)
		}
	}
}

// What is read by hand is what encoding/json says, or it is left to encoding/json.
func FuzzRowByHand(f *testing.F) {
	kinds := []Kind{KindApplication, KindCredential, KindGrant}
	for i, k := range kinds {
		raw, err := json.Marshal(someRecords()[k])
		if err != nil {
			f.Fatal(err)
		}
		s := string(raw)
		f.Add(uint8(i), raw)
		for _, r := range [][2]string{{"Payments", `Pay\u006dents`}, {"starter", "st\xffarter"}, {"true", "1"}, {"false", "true"}, {`"suspended"`, `"pending"`}, {`"read"`, `""`}, {`["read","write"]`, "[]"},
			{`["read","write"]`, "null"}, {`"read","write"`, `"read",`}, {".123456Z", ".1234567Z"}, {"12:00:00.123456Z", "12:00:00+01:00"}, {"AAA=", "AAB="}, {"AAAA", "AA=="}, {"active", "asleep"}, {`{"id":`, `{"more":1,"id":`}, {`,"`, `, "`}} {
			if strings.Contains(s, r[0]) {
				f.Add(uint8(i), []byte(strings.Replace(s, r[0], r[1], 1)))
			}
		}
	}
	f.Fuzz(func(t *testing.T, kind uint8, raw []byte) {
		e := Entry{Kind: kinds[int(kind)%len(kinds)], Payload: raw}
		got, ok := byHand(e)
		if want, is := rowOf(e); ok && (!is || !reflect.DeepEqual(got, want)) {
			t.Fatalf("%s\nby hand %+v\nelse    %+v, %v", raw, got, want, is)
		}
	})
}
