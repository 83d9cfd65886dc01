package feed_test

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"gatehouse/fault"
	"gatehouse/feed"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 123456000, time.UTC)

// key is the control plane's in the tests.
var key = ed25519.NewKeyFromSeed([]byte("a seed that is no secret to any1"))

func public() ed25519.PublicKey { return key.Public().(ed25519.PublicKey) }

func sign(digest string) []byte { return feed.Sign(key, digest) }

func sealed(t testing.TB, after feed.Position, e feed.Entry) feed.Entry {
	t.Helper()
	e.Environment, e.Kind, e.Committed = "live", feed.KindGrant, now
	if e.Epoch == 0 {
		e.Epoch = 1
	}
	if e.Payload == nil {
		e.Payload = json.RawMessage(`{}`)
	}
	e, err := feed.Seal(after, e, sign)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// chain is n entries, one after another.
func chain(t testing.TB, n int) []feed.Entry {
	t.Helper()
	var at feed.Position
	var es []feed.Entry
	for i := range n {
		e := sealed(t, at, feed.Entry{Key: "gr_1", Version: int64(i + 1)})
		es, at = append(es, e), e.Position()
	}
	return es
}

// The digest's bytes are promised: a gateway of another version computes them too.
func TestDigestBytes(t *testing.T) {
	e := feed.Entry{Environment: "live", Epoch: 1, Seq: 2, Version: 3, Committed: time.UnixMicro(4), Previous: "sha256:x", Kind: feed.KindGrant, Key: "gr_1", Payload: json.RawMessage(`{}`)}
	const want = "sha256:d8954353e80b19a278442168b37e871ac53dff7534244042dbba65802db6639e"
	if got := feed.Digest(e); got != want {
		t.Errorf("got %s", got)
	}
}

// An entry comes through JSON with the same bytes.
func TestSealSurvivesJSON(t *testing.T) {
	e := sealed(t, feed.Position{}, feed.Entry{Key: "gr_1", Version: 1, Payload: json.RawMessage("{ \"name\":\t\"<A&B>\u2028é\" }")})
	b, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	var back feed.Entry
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	if err := feed.Check("live", feed.Position{}, back, public()); err != nil {
		t.Error(err)
	}
}

func TestCheckRefuses(t *testing.T) {
	es := chain(t, 3)
	other := sealed(t, feed.Position{Epoch: 1, Seq: 1, Digest: "sha256:other"}, feed.Entry{Key: "gr_2", Version: 1})
	second := sealed(t, es[0].Position(), feed.Entry{Key: "gr_1", Version: 2, Epoch: 2})
	changed := func(change func(e *feed.Entry)) feed.Entry {
		e := es[1]
		change(&e)
		return e
	}
	_, stranger, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		after feed.Position
		e     feed.Entry
		code  string
	}{
		"the same again":            {es[0].Position(), es[0], "feed-repeated"},
		"an older one":              {es[2].Position(), es[0], "feed-repeated"},
		"one too early":             {es[0].Position(), es[2], "feed-gap"},
		"first of all too early":    {feed.Position{}, es[1], "feed-gap"},
		"another history":           {es[0].Position(), other, "feed-forked"},
		"an older epoch":            {second.Position(), es[2], "feed-epoch"},
		"of another environment":    {es[0].Position(), changed(func(e *feed.Entry) { e.Environment = "test" }), "feed-elsewhere"},
		"payload changed":           {es[0].Position(), changed(func(e *feed.Entry) { e.Payload = json.RawMessage(`{"state":"active"}`) }), "feed-changed"},
		"kind changed":              {es[0].Position(), changed(func(e *feed.Entry) { e.Kind = feed.KindCredential }), "feed-changed"},
		"key changed":               {es[0].Position(), changed(func(e *feed.Entry) { e.Key = "gr_9" }), "feed-changed"},
		"version changed":           {es[0].Position(), changed(func(e *feed.Entry) { e.Version++ }), "feed-changed"},
		"time changed":              {es[0].Position(), changed(func(e *feed.Entry) { e.Committed = e.Committed.Add(time.Second) }), "feed-changed"},
		"epoch changed":             {es[0].Position(), changed(func(e *feed.Entry) { e.Epoch = 2 }), "feed-changed"},
		"changed with its digest":   {es[0].Position(), changed(func(e *feed.Entry) { e.Key = "gr_9"; e.Digest = feed.Digest(*e) }), "feed-unsigned"},
		"signed by somebody else":   {es[0].Position(), changed(func(e *feed.Entry) { e.Signature = feed.Sign(stranger, e.Digest) }), "feed-unsigned"},
		"signed for something else": {es[0].Position(), changed(func(e *feed.Entry) { e.Signature = ed25519.Sign(key, []byte(e.Digest)) }), "feed-unsigned"},
		"not signed":                {es[0].Position(), changed(func(e *feed.Entry) { e.Signature = nil }), "feed-unsigned"},
	} {
		err := feed.Check("live", c.after, c.e, public())
		if !errors.Is(err, fault.Conflict) || fault.As(err).Code != c.code {
			t.Errorf("%s: got %v (%s), want %s", name, err, fault.As(err).Code, c.code)
		}
	}
	for i, at := range []feed.Position{{}, es[0].Position(), es[1].Position()} {
		if err := feed.Check("live", at, es[i], public()); err != nil {
			t.Errorf("entry %d: %v", i+1, err)
		}
	}
	if err := feed.Check("live", es[0].Position(), second, public()); err != nil {
		t.Errorf("an entry of a raised epoch: %v", err)
	}
	if err := feed.Check("live", feed.Position{}, es[0], nil); err == nil {
		t.Error("without a key everything passes")
	}
}

func TestSealRefusesAnOlderEpochAndBrokenPayloads(t *testing.T) {
	for _, e := range []feed.Entry{{Epoch: 1, Payload: json.RawMessage(`{}`)}, {Epoch: 2, Payload: json.RawMessage(`{`)}} {
		if _, err := feed.Seal(feed.Position{Epoch: 2}, e, sign); err == nil {
			t.Errorf("%+v was sealed", e)
		}
	}
}
