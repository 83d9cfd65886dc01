package app

import (
	"context"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"gatehouse/audit"
	"gatehouse/config"
	"gatehouse/manifest"
	"gatehouse/secret"
	"gatehouse/store"
)

func TestDevelopmentRunsOnLoopbackOnly(t *testing.T) {
	for listen, want := range map[string]bool{
		"127.0.0.1:8001": true, "127.9.9.9:1": true, "[::1]:8001": true, "localhost:8001": true,
		"0.0.0.0:8001": false, ":8001": false, "[::]:8001": false, "192.0.2.7:8001": false, "[2001:db8::1]:1": false,
		"does-not-exist.invalid:8001": false,
	} {
		for _, set := range []func(*config.Config){
			func(c *config.Config) { c.Control.Listen = listen },
			func(c *config.Config) { c.Gateway.Listen = listen },
			func(c *config.Config) { c.Operations.Listen = listen },
		} {
			c := config.Default()
			set(&c)
			err := onlyLoopback(t.Context(), c)
			if got := err == nil; got != want {
				t.Errorf("%s: %v", listen, err)
			}
			if err != nil && !strings.Contains(err.Error(), listen) {
				t.Errorf("%s is not named in %q", listen, err)
			}
		}
	}
}

func TestKeysAreMadeOnceAndForTheirOwnerOnly(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	if err := makeData(data); err != nil {
		t.Fatal(err)
	}
	first, err := loadKeys(data)
	if err != nil {
		t.Fatal(err)
	}
	again, err := loadKeys(data)
	if err != nil {
		t.Fatal(err)
	}
	if !first.feed.Equal(again.feed) || first.verifier != again.verifier {
		t.Error("a second start has other keys")
	}
	signed, err := again.SignCheckpoint("text\n")
	if err != nil {
		t.Fatal(err)
	}
	v, err := note.NewVerifier(first.Verifier())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := note.Open([]byte(signed), note.VerifierList(v)); err != nil {
		t.Errorf("what one signs, the other does not verify: %v", err)
	}
	err = filepath.WalkDir(data, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has the mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A start that was broken off while keys were made goes on; a key that was there and is gone is not made anew.
func TestALostKeyIsNotMadeAnew(t *testing.T) {
	data := t.TempDir()
	if err := makeData(data); err != nil {
		t.Fatal(err)
	}
	k, err := loadKeys(data)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"feed", "checkpoint"} {
		away := keyFile(data, name) + ".away"
		if err := os.Rename(keyFile(data, name), away); err != nil {
			t.Fatal(err)
		}
		if _, err := loadKeys(data); err == nil || !strings.Contains(err.Error(), "put it back from your copy") {
			t.Errorf("without %s: %v", name, err)
		}
		if err := os.Rename(away, keyFile(data, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(keyFile(data, "checkpoint.pub")); err != nil {
		t.Fatal(err)
	}
	again, err := loadKeys(data)
	if err != nil || again.verifier != k.verifier {
		t.Fatalf("the verifier key does not come back: %v", err)
	}
	for _, name := range []string{"checkpoint", "checkpoint.pub"} {
		if err := os.Remove(keyFile(data, name)); err != nil {
			t.Fatal(err)
		}
	}
	if k, err := loadKeys(data); err != nil || !k.feed.Equal(again.feed) {
		t.Errorf("a first start that was broken off after the first key: %v", err)
	}
}

// A database whose log another installation's key has signed is refused, before anything is written that could not be sealed.
func TestAnotherInstallationsLogIsRefused(t *testing.T) {
	ctx, mine, other := t.Context(), t.TempDir(), t.TempDir()
	var ks [2]*keys
	for i, data := range []string{mine, other} {
		if err := makeData(data); err != nil {
			t.Fatal(err)
		}
		var err error
		if ks[i], err = loadKeys(data); err != nil {
			t.Fatal(err)
		}
	}
	st, err := OpenStore(ctx, config.Config{Data: mine}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	if err := ownLog(ctx, st, ks[1]); err != nil {
		t.Errorf("a log that nobody has signed: %v", err)
	}
	signed, err := ks[0].SignCheckpoint(audit.Checkpoint{Origin: signerName, At: time.Now()}.Text())
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Update(ctx, func(tx store.Tx) error { return tx.PutCheckpoint(ctx, 0, signed, time.Now()) }); err != nil {
		t.Fatal(err)
	}
	if err := ownLog(ctx, st, ks[0]); err != nil {
		t.Errorf("our own: %v", err)
	}
	if err := ownLog(ctx, st, ks[1]); err == nil || !strings.Contains(err.Error(), "was signed by another key") {
		t.Errorf("another one's: %v", err)
	}
}

func TestAKeyThatOthersCanReadIsRefused(t *testing.T) {
	for _, name := range []string{"feed", "checkpoint"} {
		data := t.TempDir()
		if err := makeData(data); err != nil {
			t.Fatal(err)
		}
		if _, err := loadKeys(data); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(keyFile(data, name), 0o640); err != nil {
			t.Fatal(err)
		}
		if _, err := loadKeys(data); err == nil || !strings.Contains(err.Error(), "chmod 600") {
			t.Errorf("%s: %v", name, err)
		}
		if err := os.WriteFile(keyFile(data, name), []byte("nonsense"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(keyFile(data, name), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := loadKeys(data); err == nil {
			t.Errorf("%s: nonsense is taken for a key", name)
		}
	}
}

func TestGatewaysListenTenPortsApart(t *testing.T) {
	at := config.Listener{Listen: "127.0.0.1:8000", URL: "https://api.example"}
	for n, want := range []string{"127.0.0.1:8000", "127.0.0.1:8010", "127.0.0.1:8020"} {
		l, err := nth(at, n)
		if err != nil || l.Listen != want || (l.URL != "") != (n == 0) {
			t.Errorf("gateway %d: %+v, %v", n, l, err)
		}
	}
	if l, err := nth(config.Listener{Listen: "127.0.0.1:0"}, 3); err != nil || l.Listen != "127.0.0.1:0" {
		t.Errorf("a free port: %+v, %v", l, err)
	}
	if _, err := nth(config.Listener{Listen: "127.0.0.1:65530"}, 1); err == nil {
		t.Error("there is no port 65540")
	}
}

func TestAPortInUseIsNamedWithTheMend(t *testing.T) {
	n, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	_, err = (&sockets{}).tls(context.Background(), slog.New(slog.DiscardHandler), "control", config.Listener{Listen: n.Addr().String()}, "the portal", "control")
	if err == nil || !strings.Contains(err.Error(), n.Addr().String()) || !strings.Contains(err.Error(), "--control") || !strings.Contains(err.Error(), "GATEHOUSE_CONTROL_LISTEN") {
		t.Errorf("the error is %v", err)
	}
}

func TestHostFileIsForItsOwner(t *testing.T) {
	data := t.TempDir()
	if err := writeHost(data, "http://localhost:1", secret.New("ghh_x")); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(hostFile(data))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the mode is %v, %v", info.Mode(), err)
	}
	b, err := os.ReadFile(hostFile(data))
	if err != nil || string(b) != `{"token":"ghh_x","url":"http://localhost:1"}`+"\n" {
		t.Errorf("it holds %s, %v", b, err)
	}
}

func TestCheckSaysAMistakeOnceForAllEnvironments(t *testing.T) {
	b := manifest.Bundle{"gatehouse.yaml": []byte("gatehouse: 1\nenvironments: [{name: live}, {name: test}]\nupstreams: [{name: u, targets: ['http://127.0.0.1:1']}]\n" +
		"apis: [{name: a, openapi: a.yaml, path: /a, upstream: u, policies: [rate_limit]}]\n"),
		"a.yaml": []byte("openapi: 3.1.0\ninfo: {title: A, version: '1'}\npaths: {/x: {get: {operationId: x, responses: {'200': {description: ok}}}}}\n")}
	seen := map[string]int{}
	for _, d := range Check(b) {
		if !d.Warning {
			seen[d.String()]++
		}
	}
	if len(seen) == 0 {
		t.Fatal("a route without authentication compiles")
	}
	for text, n := range seen {
		if n != 1 {
			t.Errorf("%d times: %s", n, text)
		}
	}
}
