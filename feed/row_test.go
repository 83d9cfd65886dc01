package feed_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"gatehouse/feed"
	"gatehouse/id"
)

// What a record says beyond a row goes as its text: a field that a row has no place for, and that somebody has set, must not get
// lost on the way to a gateway, since it narrows what is allowed. Fields of tomorrow are caught here.
func TestRowsLoseNothing(t *testing.T) {
	now := time.Now().UTC().Truncate(time.Microsecond)
	app, org := id.New(id.Application, now), id.New(id.Organization, now)
	for _, c := range []struct {
		kind    feed.Kind
		plain   any
		carried []string // fields that a row has, or that only people read
	}{
		{feed.KindApplication, feed.Application{ID: app, Organization: org, Live: true}, []string{"ID", "Organization", "Name", "Live"}},
		{feed.KindCredential, feed.Credential{ID: id.New(id.Credential, now), Application: app, Kind: "api_key", Hash: make([]byte, 32), Live: true, Expires: now},
			[]string{"ID", "Application", "Kind", "PublicID", "Hash", "Live", "Ended", "Expires"}},
		{feed.KindGrant, feed.Grant{ID: id.New(id.Grant, now), Application: app, Product: "p", Plan: "free", Scopes: []string{"read"}, From: now, Until: now, State: "active"},
			[]string{"ID", "Application", "Product", "Plan", "Scopes", "From", "Until", "State"}},
	} {
		if _, ok := feed.RowOf(entryOf(t, c.kind, c.plain)); !ok {
			t.Fatalf("a plain %s is no row", c.kind)
		}
		has := map[string]bool{}
		for _, f := range c.carried {
			has[f] = true
		}
		for i := range reflect.TypeOf(c.plain).NumField() {
			f := reflect.TypeOf(c.plain).Field(i)
			if has[f.Name] {
				continue
			}
			v := reflect.New(reflect.TypeOf(c.plain)).Elem()
			v.Set(reflect.ValueOf(c.plain))
			something(t, v.Field(i))
			if _, ok := feed.RowOf(entryOf(t, c.kind, v.Interface())); ok {
				t.Errorf("a %s whose %s is set becomes a row, which has no place for it", c.kind, f.Name)
			}
		}
		b, err := json.Marshal(c.plain)
		if err != nil {
			t.Fatal(err)
		}
		more := append(b[:len(b)-1:len(b)-1], `,"of_tomorrow":true}`...)
		if _, ok := feed.RowOf(feed.Entry{Kind: c.kind, Payload: more}); ok {
			t.Errorf("a %s with a field of tomorrow becomes a row", c.kind)
		}
	}
}

func entryOf(t *testing.T, k feed.Kind, v any) feed.Entry {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return feed.Entry{Kind: k, Payload: b}
}

// something sets a field to what is not its zero.
func something(t *testing.T, v reflect.Value) {
	t.Helper()
	switch v.Kind() {
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(1)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.Zero(v.Type().Key()), reflect.Zero(v.Type().Elem()))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
	default:
		t.Fatalf("no value of a %s", v.Type())
	}
}
