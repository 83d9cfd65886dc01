package control_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-webauthn/webauthn/protocol/webauthncbor"

	"gatehouse/audit"
	"gatehouse/control"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/secret"
)

// device is an authenticator with one passkey, which says whatever a test wants.
type device struct {
	t      testing.TB
	key    crypto.Signer
	alg    int
	id     []byte
	handle string // of its holder, as the portal told it
	count  uint32
}

func newDevice(t testing.TB, alg int) *device {
	t.Helper()
	d := &device{t: t, alg: alg, id: make([]byte, 32)}
	rand.Read(d.id)
	var err error
	switch alg {
	case -8:
		_, d.key, err = ed25519.GenerateKey(rand.Reader)
	case -257:
		d.key, err = rsa.GenerateKey(rand.Reader, 2048)
	default:
		d.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// said is what an authenticator and its browser say of themselves; a test changes one thing of it.
type said struct {
	kind, challenge, origin, rp string
	flags                       byte // user present 1, verified 4, backup eligible 8, backed up 16, with a key 64
	count                       uint32
	more                        map[string]any // in the client's data
	id                          []byte
	handle                      string
	alg                         int
	cose                        []byte
	answer                      map[string]any // besides
	signed                      func([]byte) []byte
	raw                         func([]byte) []byte // what is sent in the end
}

var b64 = base64.RawURLEncoding.EncodeToString

// cose is the device's public key (RFC 9052).
func (d *device) cose(alg int) []byte {
	d.t.Helper()
	m := map[int]any{3: alg}
	switch k := d.key.Public().(type) {
	case ed25519.PublicKey:
		m[1], m[-1], m[-2] = 1, 6, []byte(k)
	case *rsa.PublicKey:
		m[1], m[-1], m[-2] = 3, k.N.Bytes(), big.NewInt(int64(k.E)).Bytes()
	case *ecdsa.PublicKey:
		point := must(k.Bytes())(d.t)
		m[1], m[-1], m[-2], m[-3] = 2, 1, point[1:33], point[33:]
	}
	return must(webauthncbor.Marshal(m))(d.t)
}

func (d *device) sign(text []byte) []byte {
	d.t.Helper()
	if d.alg == -8 {
		return must(d.key.Sign(rand.Reader, text, crypto.Hash(0)))(d.t)
	}
	sum := sha256.Sum256(text)
	return must(d.key.Sign(rand.Reader, sum[:], crypto.SHA256))(d.t)
}

// options are those that the portal hands out, of either kind.
type options struct {
	PublicKey struct {
		Challenge string
		RP        struct{ ID string }
		User      struct{ ID string }
		Params    []struct{ Alg int } `json:"pubKeyCredParams"`
		Selection struct {
			ResidentKey, UserVerification string
		} `json:"authenticatorSelection"`
		UserVerification string
		Attestation      string
		Exclude          []any `json:"excludeCredentials"`
	}
}

func (d *device) asked(a control.Ask) (o options) {
	d.t.Helper()
	if err := json.Unmarshal(a.Options, &o); err != nil {
		d.t.Fatal(err)
	}
	return o
}

// data is the authenticator's own part: what it is for, its flags and its counter, and the key if it has just made one.
func (s said) data(key []byte) []byte {
	rp := sha256.Sum256([]byte(s.rp))
	out := binary.BigEndian.AppendUint32(append(rp[:], s.flags), s.count)
	if key != nil {
		out = append(out, make([]byte, 16)...) // of no make in particular
		out = append(binary.BigEndian.AppendUint16(out, uint16(len(s.id))), s.id...)
		out = append(out, key...)
	}
	return out
}

func (d *device) client(s said) []byte {
	d.t.Helper()
	m := map[string]any{"type": s.kind, "challenge": s.challenge, "origin": s.origin, "crossOrigin": false}
	for k, v := range s.more {
		m[k] = v
	}
	return must(json.Marshal(m))(d.t)
}

func (d *device) sent(s said, response map[string]any) []byte {
	d.t.Helper()
	m := map[string]any{"id": b64(s.id), "rawId": b64(s.id), "type": "public-key", "response": response, "clientExtensionResults": map[string]any{}}
	for k, v := range s.answer {
		m[k] = v
	}
	out := must(json.Marshal(m))(d.t)
	if s.raw != nil {
		out = s.raw(out)
	}
	return out
}

// made answers to what asks for a new passkey.
func (d *device) made(a control.Ask, change func(*said)) []byte {
	d.t.Helper()
	o := d.asked(a)
	s := said{kind: "webauthn.create", challenge: o.PublicKey.Challenge, origin: portalURL, rp: o.PublicKey.RP.ID, flags: 1 | 4 | 64, id: d.id, alg: d.alg}
	d.handle = o.PublicKey.User.ID
	if change != nil {
		change(&s)
	}
	key := s.cose
	if key == nil {
		key = d.cose(s.alg)
	}
	object := must(webauthncbor.Marshal(map[string]any{"fmt": "none", "attStmt": map[string]any{}, "authData": s.data(key)}))(d.t)
	if s.signed != nil {
		object = s.signed(object)
	}
	return d.sent(s, map[string]any{"clientDataJSON": b64(d.client(s)), "attestationObject": b64(object)})
}

// used answers to what asks for a passkey.
func (d *device) used(a control.Ask, change func(*said)) []byte {
	d.t.Helper()
	o := d.asked(a)
	d.count++
	s := said{kind: "webauthn.get", challenge: o.PublicKey.Challenge, origin: portalURL, rp: "portal.test", flags: 1 | 4, count: d.count, id: d.id, handle: d.handle}
	if change != nil {
		change(&s)
	}
	data, client := s.data(nil), d.client(s)
	sum := sha256.Sum256(client)
	signed := append(slices.Clone(data), sum[:]...)
	if s.signed != nil {
		signed = s.signed(signed)
	}
	return d.sent(s, map[string]any{"clientDataJSON": b64(client), "authenticatorData": b64(data), "signature": b64(d.sign(signed)), "userHandle": s.handle})
}

// passkey registers one of the actor's on the device.
func (w *world) passkey(a identity.Actor, d *device, name string) identity.Passkey {
	w.t.Helper()
	begun := must(w.BeginPasskey(w.ctx, a))(w.t)
	return must(w.FinishPasskey(w.ctx, a, begun.Token, name, d.made(begun, nil)))(w.t)
}

// byPasskey signs in with the device.
func (w *world) byPasskey(d *device, change func(*said)) (control.SignedIn, error) {
	w.t.Helper()
	begun := must(w.BeginPasskeySignIn(w.ctx, at("192.0.2.1")))(w.t)
	return w.SignInByPasskey(w.ctx, at("192.0.2.1"), begun.Token, d.used(begun, change), "test")
}

// What devices are asked for is what is checked: the person's proof, a passkey that finds its holder, three algorithms and no attestation.
func TestWhatPasskeysAreAskedFor(t *testing.T) {
	w := newWorld(t)
	a := w.partner("First", "first@example.org")
	d := newDevice(t, -7)
	begun := must(w.BeginPasskey(w.ctx, a))(t)
	o := d.asked(begun).PublicKey
	var algs []int
	for _, p := range o.Params {
		algs = append(algs, p.Alg)
	}
	if o.RP.ID != "portal.test" || o.Selection.ResidentKey != "required" || o.Selection.UserVerification != "required" || o.Attestation != "none" || !slices.Equal(algs, []int{-8, -7, -257}) || len(o.Exclude) != 0 {
		t.Errorf("asked for %s", begun.Options)
	}
	if raw := must(base64.RawURLEncoding.DecodeString(o.Challenge))(t); len(raw) < 32 {
		t.Errorf("the challenge has %d bytes", len(raw))
	}
	if strings.Contains(string(must(base64.RawURLEncoding.DecodeString(o.User.ID))(t)), "@") {
		t.Error("the handle tells the address")
	}
	w.passkey(a, d, "laptop")
	if o := d.asked(must(w.BeginPasskey(w.ctx, a))(t)).PublicKey; len(o.Exclude) != 1 {
		t.Errorf("%d passkeys are excluded", len(o.Exclude))
	}
	if o := d.asked(must(w.BeginPasskeySignIn(w.ctx, at("192.0.2.1")))(t)).PublicKey; o.UserVerification != "required" || o.Challenge == "" {
		t.Errorf("a sign-in asks for %+v", o)
	}
	for _, alg := range []int{-8, -7, -257} {
		d := newDevice(t, alg)
		w.passkey(a, d, "of another sort")
		in, err := w.byPasskey(d, nil)
		if err != nil || in.Person.ID != a.Person || in.Session.Proven.IsZero() || in.Session.How != "passkey" {
			t.Errorf("algorithm %d: %v, %+v", alg, err, in.Session)
		}
	}
}

// One thing is wrong at a time with what makes a passkey: nothing is registered.
func TestPasskeysThatAreNotMade(t *testing.T) {
	w := newWorld(t)
	a, b := w.partner("First", "first@example.org"), w.partner("Second", "second@example.org")
	huge := func() []byte {
		n := make([]byte, 4<<10)
		rand.Read(n)
		n[0] |= 0x80
		return must(webauthncbor.Marshal(map[int]any{1: 3, 3: -257, -1: n, -2: []byte{1, 0, 1}}))(t)
	}()
	for name, change := range map[string]func(*said){
		"another challenge":                 func(s *said) { s.challenge = b64(make([]byte, 32)) },
		"no challenge":                      func(s *said) { s.challenge = "" },
		"of a sign-in":                      func(s *said) { s.kind = "webauthn.get" },
		"another origin":                    func(s *said) { s.origin = "https://portal.test.evil.example" },
		"the origin without TLS":            func(s *said) { s.origin = "http://portal.test" },
		"another port":                      func(s *said) { s.origin = "https://portal.test:444" },
		"a name below":                      func(s *said) { s.origin = "https://x.portal.test" },
		"in another site's frame":           func(s *said) { s.more = map[string]any{"crossOrigin": true, "topOrigin": "https://evil.example"} },
		"for another name":                  func(s *said) { s.rp = "evil.example" },
		"user not verified":                 func(s *said) { s.flags = 1 | 64 },
		"user not present":                  func(s *said) { s.flags = 4 | 64 },
		"backed up and not eligible for it": func(s *said) { s.flags |= 16 },
		"without a key":                     func(s *said) { s.flags = 1 | 4 },
		"an algorithm that was not offered": func(s *said) { s.alg = -35 },
		"no algorithm":                      func(s *said) { s.alg = 0 },
		"HMAC for an algorithm":             func(s *said) { s.alg = 5 },
		"a key of 32768 bits":               func(s *said) { s.cose = huge },
		"a key off the curve": func(s *said) {
			s.cose = must(webauthncbor.Marshal(map[int]any{1: 2, 3: -7, -1: 1, -2: make([]byte, 32), -3: make([]byte, 32)}))(t)
		},
		"a key of 1024 bits": func(s *said) {
			s.cose = must(webauthncbor.Marshal(map[int]any{1: 3, 3: -257, -1: huge[20:148], -2: []byte{1, 0, 1}}))(t)
		},
		"a key that is none": func(s *said) { s.cose = []byte{0xa0} },
		"cut CBOR":           func(s *said) { s.signed = func(o []byte) []byte { return o[:len(o)-9] } },
		"garbage for CBOR":   func(s *said) { s.signed = func([]byte) []byte { return []byte("\xff\xff\xff\xff") } },
		"CBOR that says it is long": func(s *said) {
			s.signed = func([]byte) []byte { return []byte("\xbb\x7f\xff\xff\xff\xff\xff\xff\xff") }
		},
		"CBOR that is deep":              func(s *said) { s.signed = func([]byte) []byte { return []byte(strings.Repeat("\x81", 5000) + "\x00") } },
		"something behind the CBOR":      func(s *said) { s.signed = func(o []byte) []byte { return append(o, 0) } },
		"an identifier that is too long": func(s *said) { s.id = make([]byte, 1025) },
		"oversized":                      func(s *said) { s.more = map[string]any{"x": strings.Repeat("a", 33<<10)} },
		"nothing":                        func(s *said) { s.raw = func([]byte) []byte { return nil } },
		"no JSON":                        func(s *said) { s.raw = func([]byte) []byte { return []byte("{") } },
		"null":                           func(s *said) { s.raw = func([]byte) []byte { return []byte("null") } },
		"another type":                   func(s *said) { s.answer = map[string]any{"type": "password"} },
		"output of an extension unasked": func(s *said) { s.answer = map[string]any{"clientExtensionResults": map[string]any{"appid": true}} },
	} {
		begun := must(w.BeginPasskey(w.ctx, a))(t)
		d := newDevice(t, -7)
		_, err := w.FinishPasskey(w.ctx, a, begun.Token, "laptop", d.made(begun, change))
		wants(t, name, err, fault.Invalid, "bad-passkey")
		_, err = w.FinishPasskey(w.ctx, a, begun.Token, "laptop", d.made(begun, nil))
		wants(t, name+": a second answer to the same question", err, fault.Gone, "passkey-over")
	}
	d := newDevice(t, -7)
	mine := must(w.BeginPasskey(w.ctx, a))(t)
	_, err := w.FinishPasskey(w.ctx, b, mine.Token, "laptop", d.made(mine, nil))
	wants(t, "what somebody else was asked", err, fault.Invalid, "bad-passkey")
	elsewhere, here := a, must(w.BeginPasskey(w.ctx, a))(t) // the same person, signed in once more
	elsewhere.Session = id.New(id.Session, w.clock.Now())
	_, err = w.FinishPasskey(w.ctx, elsewhere, here.Token, "laptop", d.made(here, nil))
	wants(t, "from another session", err, fault.Invalid, "bad-passkey")
	_, err = w.FinishPasskey(w.ctx, a, here.Token, "laptop", d.made(here, nil))
	wants(t, "once another session has tried", err, fault.Gone, "passkey-over")
	signIn := must(w.BeginPasskeySignIn(w.ctx, at("192.0.2.1")))(t)
	_, err = w.FinishPasskey(w.ctx, a, signIn.Token, "laptop", d.made(signIn, nil))
	wants(t, "what a sign-in was asked", err, fault.Gone, "passkey-over")
	first, second := must(w.BeginPasskey(w.ctx, a))(t), must(w.BeginPasskey(w.ctx, a))(t)
	_, err = w.FinishPasskey(w.ctx, a, first.Token, "laptop", d.made(second, nil))
	wants(t, "the answer to another question", err, fault.Invalid, "bad-passkey")
	late := must(w.BeginPasskey(w.ctx, a))(t)
	w.clock.pass(5 * time.Minute)
	_, err = w.FinishPasskey(w.ctx, a, late.Token, "laptop", d.made(late, nil))
	wants(t, "five minutes later", err, fault.Gone, "passkey-over")
	if ks := must(w.Passkeys(w.ctx, a))(t); len(ks) != 0 {
		t.Errorf("registered are %+v", ks)
	}
	// The same one is registered once, by whomever.
	w.passkey(a, d, "laptop")
	begun := must(w.BeginPasskey(w.ctx, b))(t)
	_, err = w.FinishPasskey(w.ctx, b, begun.Token, "mine now", d.made(begun, nil))
	wants(t, "somebody else's passkey", err, fault.Conflict, "passkey-there")
}

// One thing is wrong at a time with what signs in: nobody is.
func TestPasskeysThatOpenNothing(t *testing.T) {
	w := newWorld(t).staffed()
	a, b := w.partner("First", "first@example.org"), w.partner("Second", "second@example.org")
	d, other := newDevice(t, -7), newDevice(t, -7)
	k := w.passkey(a, d, "laptop")
	w.passkey(b, other, "phone")
	for name, change := range map[string]func(*said){
		"another challenge":            func(s *said) { s.challenge = b64(make([]byte, 32)) },
		"of a registration":            func(s *said) { s.kind = "webauthn.create" },
		"another origin":               func(s *said) { s.origin = "https://evil.example" },
		"the origin without TLS":       func(s *said) { s.origin = "http://portal.test" },
		"in another site's frame":      func(s *said) { s.more = map[string]any{"crossOrigin": true} },
		"for another name":             func(s *said) { s.rp = "evil.example" },
		"user not verified":            func(s *said) { s.flags = 1 },
		"user not present":             func(s *said) { s.flags = 4 },
		"eligible for backup suddenly": func(s *said) { s.flags |= 8 },
		"signed is something else":     func(s *said) { s.signed = func([]byte) []byte { return []byte("something else") } },
		"signed is the counter before": func(s *said) { s.signed = func(b []byte) []byte { b[36]--; return b } },
		"an unknown passkey":           func(s *said) { s.id = make([]byte, 32) },
		"another member's passkey":     func(s *said) { s.id = other.id },
		"another member's, whole":      func(s *said) { s.id, s.handle = other.id, other.handle },
		"another member's handle":      func(s *said) { s.handle = other.handle },
		"no handle":                    func(s *said) { s.handle = "" },
		"oversized":                    func(s *said) { s.more = map[string]any{"x": strings.Repeat("a", 33<<10)} },
		"garbage":                      func(s *said) { s.raw = func([]byte) []byte { return []byte(`{"id": 7}`) } },
		"nothing":                      func(s *said) { s.raw = func([]byte) []byte { return nil } },
		"an extension of old keys":     func(s *said) { s.answer = map[string]any{"clientExtensionResults": map[string]any{"appid": true}} },
	} {
		in, err := w.byPasskey(d, change)
		wants(t, name, err, fault.Unauthenticated, "wrong-passkey")
		if !in.Token.Empty() {
			t.Errorf("%s: signed in", name)
		}
	}
	// A question is answered once, in its time, and with its own answer.
	begun := must(w.BeginPasskeySignIn(w.ctx, at("192.0.2.2")))(t)
	answer := d.used(begun, nil)
	must(w.SignInByPasskey(w.ctx, at("192.0.2.2"), begun.Token, answer, "test"))(t)
	_, err := w.SignInByPasskey(w.ctx, at("192.0.2.2"), begun.Token, answer, "test")
	wants(t, "the same answer again", err, fault.Gone, "passkey-over")
	fresh := must(w.BeginPasskeySignIn(w.ctx, at("192.0.2.2")))(t)
	_, err = w.SignInByPasskey(w.ctx, at("192.0.2.2"), fresh.Token, answer, "test")
	wants(t, "the answer to another question", err, fault.Unauthenticated, "wrong-passkey")
	_, err = w.SignInByPasskey(w.ctx, at("192.0.2.2"), secret.New("ghk_x"), answer, "test")
	wants(t, "a question that nobody asked", err, fault.Gone, "passkey-over")
	making := must(w.BeginPasskey(w.ctx, a))(t)
	_, err = w.SignInByPasskey(w.ctx, at("192.0.2.2"), making.Token, d.used(making, nil), "test")
	wants(t, "what was asked for a new one", err, fault.Gone, "passkey-over")
	late := must(w.BeginPasskeySignIn(w.ctx, at("192.0.2.2")))(t)
	w.clock.pass(5 * time.Minute)
	_, err = w.SignInByPasskey(w.ctx, at("192.0.2.2"), late.Token, d.used(late, nil), "test")
	wants(t, "five minutes later", err, fault.Gone, "passkey-over")

	w.clock.pass(10 * time.Minute)
	must(w.byPasskey(d, nil))(t)
	in := must(w.byPasskey(other, nil))(t)
	if err := w.RemovePasskey(w.ctx, w.actor(in), k.ID); fault.KindOf(err) != fault.NotFound {
		t.Errorf("removing another member's: %v", err)
	}
	in = must(w.byPasskey(d, nil))(t)
	if err := w.RemovePasskey(w.ctx, w.actor(in), k.ID); err != nil {
		t.Fatal(err)
	}
	_, err = w.byPasskey(d, nil)
	wants(t, "a removed one", err, fault.Unauthenticated, "wrong-passkey")
	dora, phone := w.member(a, "dora@example.org", identity.Developer), newDevice(t, -7)
	w.passkey(dora, phone, "phone")
	must(w.byPasskey(phone, nil))(t)
	must(w.ChangeMember(w.ctx, a, dora.Person, 0, []identity.Role{identity.Developer}, identity.Disabled, a.Person))(t)
	_, err = w.byPasskey(phone, nil)
	wants(t, "of somebody who is disabled", err, fault.Unauthenticated, "wrong-passkey")
}

// A counter that runs backwards, or stands still, is that of a copy: nobody is signed in, and the holder is told. Devices without a
// counter say 0 for ever.
func TestACopiedPasskey(t *testing.T) {
	w := newWorld(t)
	a := w.partner("First", "first@example.org")
	d := newDevice(t, -7)
	k := w.passkey(a, d, "laptop")
	d.count = 40
	must(w.byPasskey(d, nil))(t)
	for _, count := range []uint32{41, 40, 0} {
		in, err := w.byPasskey(d, func(s *said) { s.count = count })
		wants(t, "a copy", err, fault.Unauthenticated, "wrong-passkey")
		if !in.Token.Empty() {
			t.Errorf("the counter %d signed in", count)
		}
	}
	if got := w.letters(a.Email); !slices.Contains(got, "A passkey of yours may have been copied") {
		t.Errorf("the letters are %v", got)
	}
	if es := w.entries(audit.Filter{Object: a.Person, Action: "factor.copied-passkey"}); len(es) != 3 || !strings.Contains(string(es[0].After), string(k.ID)) {
		t.Errorf("the audit has %+v", es)
	}
	must(w.byPasskey(d, nil))(t) // the original goes on

	still := newDevice(t, -7)
	begun := must(w.BeginPasskey(w.ctx, a))(t)
	must(w.FinishPasskey(w.ctx, a, begun.Token, "phone", still.made(begun, nil)))(t)
	for range 2 {
		must(w.byPasskey(still, func(s *said) { s.count = 0 }))(t)
	}
}

// Nobody has more than twenty, also when several are begun at the same moment.
func TestPasskeysAreFew(t *testing.T) {
	w := newWorld(t)
	a := w.partner("First", "first@example.org")
	for range 19 {
		w.passkey(a, newDevice(t, -8), "one of many")
	}
	first, second := must(w.BeginPasskey(w.ctx, a))(t), must(w.BeginPasskey(w.ctx, a))(t)
	must(w.FinishPasskey(w.ctx, a, first.Token, "the last", newDevice(t, -8).made(first, nil)))(t)
	_, err := w.FinishPasskey(w.ctx, a, second.Token, "one more", newDevice(t, -8).made(second, nil))
	wants(t, "the twenty-first", err, fault.Conflict, "too-many-passkeys")
	_, err = w.BeginPasskey(w.ctx, a)
	wants(t, "beginning another one", err, fault.Conflict, "too-many-passkeys")
}
