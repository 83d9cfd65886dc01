package apikey_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"gatehouse/credential"
	"gatehouse/fault"
	"gatehouse/feed"
	"gatehouse/id"
	"gatehouse/policy"
	"gatehouse/policy/apikey"
	"gatehouse/snapshot"
)

var now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// records is an access index with one partner.
type records struct {
	*snapshot.View
	org feed.Organization
	app feed.Application
}

func newRecords(t *testing.T) *records {
	r := &records{View: &snapshot.View{Routes: &snapshot.Routes{}, Access: snapshot.NewAccess("live")}}
	r.org = feed.Organization{ID: id.New(id.Organization, now), Live: true}
	r.app = feed.Application{ID: id.New(id.Application, now), Organization: r.org.ID, Live: true}
	r.put(t, feed.KindOrganization, r.org)
	r.put(t, feed.KindApplication, r.app)
	return r
}

func (r *records) put(t *testing.T, k feed.Kind, payload any) {
	t.Helper()
	raw, err := json.Marshal(payload)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Apply(feed.Entry{Environment: "live", Kind: k, Payload: raw}); err != nil {
		t.Fatal(err)
	}
}

// key issues one and changes it before it is put.
func (r *records) key(t *testing.T, change func(*feed.Credential)) (string, id.ID) {
	key, public, hash := credential.NewKey("live")
	c := feed.Credential{ID: id.New(id.Credential, now), Application: r.app.ID, Kind: "api_key", PublicID: public, Hash: hash[:], Live: true, Expires: now.Add(time.Hour)}
	if change != nil {
		change(&c)
	}
	r.put(t, feed.KindCredential, c)
	return key.Reveal(), c.ID
}

func build(t *testing.T, config string) policy.Policy {
	t.Helper()
	p, err := apikey.Kind().Build(json.RawMessage(config), policy.Site{Route: &policy.RouteInfo{Environment: "live"}}, policy.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestAPIKey(t *testing.T) {
	r := newRecords(t)
	key, _ := r.key(t, nil)
	other, _, _ := credential.NewKey("test")
	stranger, _, _ := credential.NewKey("live")
	revoked, _ := r.key(t, func(c *feed.Credential) { c.Live, c.Ended = false, "revoked" })
	suspended, _ := r.key(t, func(c *feed.Credential) { c.Live, c.Ended = false, "suspended" })
	odd, _ := r.key(t, func(c *feed.Credential) { c.Live, c.Ended = false, "something new" })
	expired, _ := r.key(t, func(c *feed.Credential) { c.Expires = now })
	orphan, _ := r.key(t, func(c *feed.Credential) { c.Application = id.New(id.Application, now) })
	closedApp := feed.Application{ID: id.New(id.Application, now), Organization: r.org.ID}
	r.put(t, feed.KindApplication, closedApp)
	closed, _ := r.key(t, func(c *feed.Credential) { c.Application = closedApp.ID })

	for _, c := range []struct {
		name, config string
		fields       []string
		code         string // "" passes
	}{
		{"passes", `{}`, []string{"X-API-Key", key}, ""},
		{"in any case", `{}`, []string{"x-api-KEY", key}, ""},
		{"another field", `{"header": "Partner-Key"}`, []string{"Partner-Key", key}, ""},
		{"the usual field where another is set", `{"header": "Partner-Key"}`, []string{"X-API-Key", key}, "key-missing"},
		{"bearer", `{"bearer": true}`, []string{"Authorization", "Bearer " + key}, ""},
		{"bearer in lower case", `{"bearer": true}`, []string{"Authorization", "bearer " + key}, ""},
		{"bearer where it is not set", `{}`, []string{"Authorization", "Bearer " + key}, "key-missing"},
		{"another scheme", `{"bearer": true}`, []string{"Authorization", "Basic " + key}, "key-missing"},
		{"none", `{}`, nil, "key-missing"},
		{"empty", `{}`, []string{"X-API-Key", ""}, "key-missing"},
		{"twice the same", `{}`, []string{"X-API-Key", key, "x-api-key", key}, "key-repeated"},
		{"one of them empty", `{}`, []string{"X-API-Key", key, "x-api-key", ""}, "key-repeated"},
		{"in both fields", `{"bearer": true}`, []string{"X-API-Key", key, "Authorization", "Bearer " + key}, "key-repeated"},
		{"cut off", `{}`, []string{"X-API-Key", key[:len(key)-1]}, "key-malformed"},
		{"with a space", `{}`, []string{"X-API-Key", key + " "}, "key-malformed"},
		{"huge", `{}`, []string{"X-API-Key", strings.Repeat(key, 1000)}, "key-malformed"},
		{"another environment", `{}`, []string{"X-API-Key", other.Reveal()}, "wrong-environment"},
		{"unknown", `{}`, []string{"X-API-Key", stranger.Reveal()}, "key-unknown"},
		{"revoked", `{}`, []string{"X-API-Key", revoked}, "key-revoked"},
		{"suspended", `{}`, []string{"X-API-Key", suspended}, "key-suspended"},
		{"ended in a way that is not known here", `{}`, []string{"X-API-Key", odd}, "key-revoked"},
		{"expired at this instant", `{}`, []string{"X-API-Key", expired}, "key-expired"},
		{"nobody's", `{}`, []string{"X-API-Key", orphan}, "organization-not-live"},
		{"of a closed application", `{}`, []string{"X-API-Key", closed}, "application-not-live"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := build(t, c.config)
			x := &policy.Exchange{Now: now, Access: r}
			for i := 0; i < len(c.fields); i += 2 {
				x.Request.Fields.AddString(c.fields[i], c.fields[i+1])
			}
			err := p.Request(x)
			if c.code == "" {
				if err != nil || !x.Principal.Known() || x.Principal.Application.ID(id.Application) != r.app.ID || x.Principal.Organization.ID(id.Organization) != r.org.ID {
					t.Fatalf("refused: %v; principal %+v", err, x.Principal)
				}
				for _, f := range x.Request.Fields {
					if strings.Contains(f.Value.String(), key) {
						t.Errorf("the key stays in %s", f.Name)
					}
				}
				return
			}
			if f := fault.As(err); err == nil || f.Code != c.code || f.Kind != fault.Unauthenticated {
				t.Errorf("refused with %v, want %s", err, c.code)
			}
			if x.Principal.Known() {
				t.Errorf("it is refused and known: %+v", x.Principal)
			}
			x.Refusal = fault.As(err)
			p.Response(x)
			if v, ok := x.Response.Fields.Get("WWW-Authenticate"); !ok || !strings.HasPrefix(v.String(), `ApiKey realm="live"`) {
				t.Errorf("no challenge: %q", v)
			}
		})
	}
}

// An upstream's own 401 is not ours to explain.
func TestNoChallengeForOthers(t *testing.T) {
	p := build(t, `{}`)
	x := &policy.Exchange{}
	x.Response.Status = 401
	p.Response(x)
	if len(x.Response.Fields) > 0 {
		t.Errorf("%v", x.Response.Fields)
	}
}

func TestSettings(t *testing.T) {
	for config, pointer := range map[string]string{
		`{"header": "Host"}`: "/header", `{"header": "a b"}`: "/header", `{"header": "Gatehouse-Key"}`: "/header", `{"header": "Authorization"}`: "/header",
		`{"header": "gatehouse_key"}`: "/header", `{"header": "Transfer-Encoding"}`: "/header", `{"query": "key"}`: "/query", `{"bearer": "yes"}`: "/bearer", `[]`: "",
	} {
		_, err := apikey.Kind().Build(json.RawMessage(config), policy.Site{Route: &policy.RouteInfo{}}, policy.Deps{})
		if f := fault.As(err); err == nil || len(f.Fields) != 1 || f.Fields[0].Pointer != pointer {
			t.Errorf("%s: %v, want one at %q", config, err, pointer)
		}
	}
}

func TestAllocatesNothing(t *testing.T) {
	r := newRecords(t)
	key, _ := r.key(t, nil)
	p := build(t, `{"bearer": true}`)
	x := &policy.Exchange{Now: now, Access: r}
	x.Request.Fields.AddString("Accept", "*/*")
	x.Request.Fields.AddString("X-API-Key", key)
	sent := x.Request.Fields[1]
	if n := testing.AllocsPerRun(100, func() {
		x.Request.Fields[1] = sent
		if err := p.Request(x); err != nil {
			t.Fatal(err)
		}
		p.Response(x)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
