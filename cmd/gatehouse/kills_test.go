package main_test

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/store/pgtest"
)

// howMany is how many times TestKilledFleetLosesNothing kills. `make kill-loop` asks for more.
const howMany = "GATEHOUSE_KILLS"

// onWhat is the database under the control plane that TestKilledFleetLosesNothing kills: "postgres", else SQLite.
const onWhat = "GATEHOUSE_KILLS_DATABASE"

// killed is a control plane and a gateway that are killed again and again.
type killed struct {
	*testing.T
	dir, feed        string
	program          string // what is started; "": that of this build
	database         string // of PostgreSQL; "": SQLite
	control, gateway *victim
	portal, at       string // of the control plane, of the gateway
	admin, member    string
	application      string
	applied          int // for applications

	mu   sync.Mutex
	keys map[string]*killedKey // by the credential's ID
}

// killedKey is what is known of one credential by what was answered.
type killedKey struct {
	key      string
	revoked  bool // that was answered
	touched  bool // a revocation was asked for: without an answer it may have come about or not
	inForce  bool // the gateway has said so of its issue
	receipts bool // the gateway has said so of its revocation
}

// victim is a process that may be killed at any moment.
type victim struct {
	cmd   *exec.Cmd
	ended chan error
}

// start starts the real binary and reads its first line.
func (k *killed) start(ready any, env []string, args ...string) *victim {
	k.Helper()
	v, err := k.launch(args[0], ready, env, args...)
	if err != nil {
		k.Fatal(err)
	}
	return v
}

// launch is start for what may not come about: its error holds what the process said.
func (k *killed) launch(name string, ready any, env []string, args ...string) (*victim, error) {
	log, err := os.OpenFile(filepath.Join(k.dir, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	program := cmp.Or(k.program, filepath.Join(binary, "gatehouse"))
	v := &victim{exec.Command(program, args...), make(chan error, 1)}
	v.cmd.Dir, v.cmd.Stderr = k.dir, log
	v.cmd.Env = append([]string{"HOME=" + k.dir, "PATH=" + os.Getenv("PATH"), "GATEHOUSE_CONTROL_LISTEN=127.0.0.1:0", "GATEHOUSE_OPERATIONS_LISTEN=127.0.0.1:0", "GATEHOUSE_GATEWAY_LISTEN=127.0.0.1:0"}, env...)
	out, err := v.cmd.StdoutPipe()
	if err = errors.Join(err, v.cmd.Start()); err != nil {
		return nil, err
	}
	line := make(chan []byte, 1)
	go func() {
		in := bufio.NewReader(out)
		if b, err := in.ReadBytes('\n'); err == nil {
			line <- b
		}
		_, _ = io.Copy(io.Discard, in)
		v.ended <- v.cmd.Wait()
	}()
	select {
	case b := <-line:
		return v, json.Unmarshal(b, ready)
	case err := <-v.ended:
		said, _ := os.ReadFile(log.Name())
		return nil, fmt.Errorf("%s does not start: %w\n%s", name, err, said)
	case <-time.After(time.Minute):
		v.kill()
		said, _ := os.ReadFile(log.Name())
		return nil, fmt.Errorf("%s is not ready after a minute\n%s", name, said)
	}
}

// kill ends it with SIGKILL.
func (v *victim) kill() {
	if v != nil && v.cmd.ProcessState == nil {
		_ = v.cmd.Process.Kill()
		<-v.ended
	}
}

func (k *killed) startControl() {
	k.Helper()
	var at struct {
		Portal string
		SignIn string `json:"sign_in"`
	}
	var env []string
	if k.database != "" {
		env = append(env, "GATEHOUSE_DATABASE="+k.database)
	}
	k.control = k.start(&at, env, "control", "-o", "json", "--dev", "--manifest", "manifest", "--data", "control-data", "--feed", k.feed)
	k.portal = at.Portal
	if u, err := url.Parse(at.SignIn); err == nil && k.admin == "" {
		var in struct{ Token string }
		k.must("POST", "/api/sessions/link", "", map[string]string{"token": u.Query().Get("token")}, &in)
		k.admin = in.Token
	}
}

func (k *killed) startGateway(env ...string) {
	k.Helper()
	var at struct{ Gateway, From string }
	k.gateway = k.start(&at, env, "gateway", "-o", "json", "--control", k.feed, "--data", "gateway-data")
	k.at = at.Gateway
	if env == nil && at.From != "disk" {
		k.Fatalf("the gateway began from %q, not from its disk", at.From)
	}
	if refused, _ := filepath.Glob(filepath.Join(k.dir, "gateway-data", "gateway", "*", "*.refused")); len(refused) > 0 {
		k.Fatalf("a kill made %v unusable", refused)
	}
}

// ask asks the admin API. An error is no answer.
func (k *killed) ask(method, path, token string, in, out any) (int, error) {
	b, err := json.Marshal(in)
	if err != nil {
		return 0, err
	}
	r, err := http.NewRequest(method, k.portal+path, bytes.NewReader(b))
	if err != nil {
		return 0, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	said, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err
	}
	if res.StatusCode > 299 {
		return res.StatusCode, fmt.Errorf("%s %s is answered %d: %s", method, path, res.StatusCode, said)
	}
	if out == nil {
		return res.StatusCode, nil
	}
	return res.StatusCode, json.Unmarshal(said, out)
}

func (k *killed) must(method, path, token string, in, out any) {
	k.Helper()
	if _, err := k.ask(method, path, token, in, out); err != nil {
		k.Fatal(err)
	}
}

// partner makes a member with an application and a grant.
func (k *killed) partner() {
	k.Helper()
	const email, password = "ines@fjord-bank.example", "correct horse battery staple 7"
	k.must("POST", "/api/registrations", "", map[string]string{"organization": "Fjord Bank", "name": "Ines", "email": email, "password": password}, nil)
	token := ""
	for deadline := time.Now().Add(patience); token == "" && time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		var box struct {
			Items []struct {
				To    string
				Links []string
			}
		}
		k.must("GET", "/dev/mail", "", nil, &box)
		for _, l := range box.Items {
			for _, link := range l.Links {
				if _, value, ok := strings.Cut(link, "/confirm?token="); ok && l.To == email {
					token = value
				}
			}
		}
	}
	k.must("POST", "/api/confirmations", "", map[string]string{"token": token}, nil)
	var in struct {
		Token  string
		Person struct{ Organization string }
	}
	k.must("POST", "/api/sessions", "", map[string]string{"email": email, "password": password}, &in)
	k.member = in.Token
	k.must("POST", "/api/organizations/"+in.Person.Organization+"/verify", k.admin, map[string]string{"note": "seen"}, nil)
	k.apply()
}

// apply makes an application with a grant, for which keys are issued from now on.
func (k *killed) apply() {
	k.Helper()
	k.applied++
	var made struct{ ID string }
	k.must("POST", "/api/applications", k.member, map[string]string{"name": fmt.Sprintf("killed %d", k.applied), "purpose": "to be killed"}, &made)
	k.application = made.ID
	k.must("POST", "/api/requests", k.member, map[string]any{"application": k.application, "environment": "live", "product": "echo", "plan": "reviewed",
		"scopes": []string{"things:read"}, "purpose": "to be killed", "duration": "30d"}, nil)
}

// write issues keys and revokes most of them until it gets no answer, and notes what was answered.
func (k *killed) write() error {
	for n := 0; ; n++ {
		var made struct {
			Key        string
			Credential struct{ ID string }
		}
		if status, err := k.ask("POST", "/api/credentials", k.member, map[string]string{"application": k.application, "environment": "live", "name": "k", "lifetime": "1d"}, &made); err != nil {
			return answered(status, err)
		}
		c := &killedKey{key: made.Key}
		k.mu.Lock()
		k.keys[made.Credential.ID] = c
		k.mu.Unlock()
		if n%4 == 0 { // seen in force before it ends, or not
			inForce, status, err := k.inForce(made.Credential.ID)
			if err != nil {
				return answered(status, err)
			}
			k.note(func() { c.inForce = inForce })
		}
		if n%8 == 0 && k.live() < 40 {
			continue
		}
		k.note(func() { c.touched = true })
		if status, err := k.ask("POST", "/api/credentials/"+made.Credential.ID+"/revoke", k.member, map[string]string{"reason": "r"}, nil); err != nil {
			return answered(status, err)
		}
		k.note(func() { c.revoked = true })
		inForce, status, err := k.inForce(made.Credential.ID)
		if err != nil {
			return answered(status, err)
		}
		k.note(func() { c.receipts = inForce })
	}
}

// answered is an error only when there was an answer: without one the process was killed.
func answered(status int, err error) error {
	if status == 0 {
		return nil
	}
	return err
}

func (k *killed) note(fn func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	fn()
}

func (k *killed) live() (n int) {
	k.note(func() {
		for _, c := range k.keys {
			if !c.touched {
				n++
			}
		}
	})
	return n
}

// inForce waits a moment until the newest change of the credential is in force on the gateway.
func (k *killed) inForce(id string) (yes bool, status int, err error) {
	for deadline := time.Now().Add(300 * time.Millisecond); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		var l struct {
			Items []struct{ Seq, Gateways, Done int }
		}
		if status, err := k.ask("GET", "/api/in-force/"+id, k.admin, nil, &l); err != nil {
			return false, status, err
		}
		if len(l.Items) == 1 && l.Items[0].Seq > 0 && l.Items[0].Gateways == 1 && l.Items[0].Done == 1 {
			return true, 0, nil
		}
	}
	return false, 0, nil
}

// call calls the gateway.
func (k *killed) call(key string) int {
	r, err := http.NewRequest("GET", k.at+"/echo/things", nil)
	if err != nil {
		k.Fatal(err)
	}
	r.Header.Set("X-API-Key", key)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		k.Fatal(err)
	}
	res.Body.Close()
	return res.StatusCode
}

// holds checks the gateway alone: what it has said is in force is in force.
func (k *killed) holds(when string) {
	k.Helper()
	for id, c := range k.keys {
		if c.receipts {
			if s := k.call(c.key); s != http.StatusUnauthorized {
				k.Errorf("%s: %s is answered %d after the receipt of its revocation", when, id, s)
			}
		} else if c.inForce && !c.touched {
			if s := k.call(c.key); s != http.StatusOK {
				k.Errorf("%s: %s is answered %d, and it was in force", when, id, s)
			}
		}
	}
}

// settled checks both: every answered write is there, and comes into force.
func (k *killed) settled() {
	k.Helper()
	for id, c := range k.keys {
		var now struct{ State string }
		k.must("GET", "/api/credentials/"+id, k.member, nil, &now)
		want := "active"
		switch {
		case c.revoked:
			want = "revoked"
		case c.touched:
			want = now.State // nobody knows whether it came about
		}
		if now.State != want {
			k.Errorf("%s is %s, and it was answered that it is %s", id, now.State, want)
		}
		status := http.StatusOK
		if now.State == "revoked" {
			status = http.StatusUnauthorized
		}
		deadline := time.Now().Add(patience)
		for k.call(c.key) != status && time.Now().Before(deadline) {
			time.Sleep(2 * time.Millisecond)
		}
		if s := k.call(c.key); s != status {
			k.Errorf("%s is %s and answered %d", id, now.State, s)
		}
		c.inForce = c.inForce || status == http.StatusOK
		c.revoked = now.State == "revoked"
		c.touched = c.revoked
	}
	for id, c := range k.keys { // those that have ended were looked at in their round and after the next kill
		if c.revoked && c.receipts && len(k.keys) > 100 {
			delete(k.keys, id)
		}
	}
}

// Killed at any moment, control plane, gateway and both: no answered write is lost, no revoked key is accepted after its receipt,
// without the control plane too, and every start is an ordinary one.
func TestKilledFleetLosesNothing(t *testing.T) {
	rounds := 18
	if n, err := strconv.Atoi(os.Getenv(howMany)); err == nil {
		rounds = n
	}
	k := &killed{T: t, dir: t.TempDir(), keys: map[string]*killedKey{}}
	if os.Getenv(onWhat) == "postgres" {
		address, err := pgtest.Address()
		if err != nil {
			t.Fatal(err)
		}
		k.database = address.Reveal()
	}
	up := newUpstream()
	t.Cleanup(up.Close)
	if err := errors.Join(copyManifest(filepath.Join(k.dir, "manifest"), up.URL),
		replaceIn(filepath.Join(k.dir, "manifest", "gatehouse.yaml"), "approval: { stages: [{ name: owner, role: approver }] }", "approval: { automatic: true }")); err != nil {
		t.Fatal(err)
	}
	var err error
	if k.feed, err = freeAddress("127.0.3.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.control.kill(); k.gateway.kill() })
	k.startControl()
	k.partner()
	var e struct{ Token string }
	k.must("POST", "/api/gateway-enrolments", k.admin, map[string]string{"environment": "live", "name": "one"}, &e)
	k.startGateway("GATEHOUSE_FEED_TOKEN=" + e.Token)
	writes, seen, kills := 0, 0, 0
	for round := range rounds {
		wrote := make(chan error, 2)
		before := len(k.keys)
		for range cap(wrote) {
			go func() { wrote <- k.write() }()
		}
		time.Sleep(time.Duration(100+rand.IntN(400)) * time.Millisecond) // at a moment that nobody chose
		switch round % 3 {
		case 0:
			k.control.kill()
		case 1: // the control plane goes on until there is nothing more to write
			k.gateway.kill()
			time.Sleep(time.Duration(rand.IntN(50)) * time.Millisecond)
			k.startGateway()
			k.control.kill()
		case 2:
			both := []*victim{k.control, k.gateway}
			rand.Shuffle(2, func(i, j int) { both[i], both[j] = both[j], both[i] })
			for _, v := range both {
				v.kill()
			}
			for range cap(wrote) {
				if err := <-wrote; err != nil {
					t.Fatal(err)
				}
				wrote <- nil
			}
			k.startGateway() // alone
		}
		for range cap(wrote) {
			if err := <-wrote; err != nil {
				t.Fatal(err)
			}
		}
		writes += len(k.keys) - before
		for _, c := range slices.Collect(maps.Values(k.keys)) {
			if c.receipts {
				seen++
			}
		}
		k.holds(fmt.Sprintf("round %d, without the control plane", round))
		k.startControl()
		k.settled()
		if round%40 == 39 { // keys whose issue was not answered stay, and an application may have so many
			k.apply()
		}
		if kills++; round%3 != 0 {
			kills++
		}
		if t.Failed() {
			t.Fatalf("after %d kills", kills)
		}
		if round%30 == 29 {
			t.Logf("%d rounds, %d kills", round+1, kills)
		}
	}
	args := []string{"audit", "verify", "--data", "control-data"} // on PostgreSQL it is the control plane that is asked
	if k.database == "" {
		k.control.kill()
		args = append(args, "--database", filepath.Join("control-data", "gatehouse.db"))
	}
	verify := exec.Command(filepath.Join(binary, "gatehouse"), args...)
	verify.Dir = k.dir
	if said, err := verify.CombinedOutput(); err != nil {
		t.Errorf("audit verify: %v\n%s", err, said)
	}
	t.Logf("%d rounds, %d kills; %d keys issued under them, %d looks at revoked keys after their receipt", rounds, kills, writes, seen)
}
