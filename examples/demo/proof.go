package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// revisionIn is what a publish sends.
type revisionIn struct {
	Files map[string][]byte `json:"files"` // written as base64
	Note  string            `json:"note"`
}

// newest is the number of the newest revision of live.
func (v *visit) newest(ctx context.Context) (int64, error) {
	var list struct{ Items []struct{ Number int64 } }
	if err := v.operator.get(ctx, "/api/environments/live/revisions?limit=1").into(http.StatusOK, &list); err != nil {
		return 0, err
	}
	if len(list.Items) != 1 {
		return 0, fmt.Errorf("live has no revision")
	}
	return list.Items[0].Number, nil
}

// during calls an open operation from several clients, before, while and after fn runs. Not one call may fail.
func (v *visit) during(ctx context.Context, fn func() error) (calls int64, err error) {
	const enough = 60
	var n, failed atomic.Int64
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range clients {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				r, err := v.call(ctx, "live", "", http.MethodGet, "/health", nil)
				if err != nil || r.status != http.StatusOK {
					failed.Add(1)
				}
				n.Add(1)
			}
		})
	}
	reach := func(want int64) {
		for n.Load() < want && ctx.Err() == nil {
			time.Sleep(breath)
		}
	}
	reach(enough / 2)
	err = fn()
	reach(n.Load() + enough/2)
	close(stop)
	wg.Wait()
	if err == nil && failed.Load() > 0 {
		err = fmt.Errorf("%d of %d calls failed meanwhile", failed.Load(), n.Load())
	}
	return n.Load(), err
}

func publish(ctx context.Context, v *visit) (string, error) {
	before, err := v.newest(ctx)
	if err != nil {
		return "", err
	}
	files, err := v.files()
	if err != nil {
		return "", err
	}
	files["products.yaml"] = bytes.Replace(files["products.yaml"], []byte("For services in operation."), []byte("For services in operation, day and night."), 1)
	calls, err := v.during(ctx, func() error {
		if err := v.operator.post(ctx, "/api/environments/live/revisions", revisionIn{files, "a better description"}).is(http.StatusCreated); err != nil {
			return err
		}
		for { // until the gateway serves it
			var list struct {
				Items []struct {
					Name     string
					Revision int64
					Gateways []struct{ Revision int64 }
				}
			}
			if err := v.operator.get(ctx, "/api/environments").into(http.StatusOK, &list); err != nil {
				return err
			}
			for _, e := range list.Items {
				if e.Name == "live" && e.Revision == before+1 && len(e.Gateways) > 0 && e.Gateways[0].Revision == e.Revision {
					return nil
				}
			}
			if err := pause(ctx, 20*time.Millisecond); err != nil {
				return err
			}
		}
	})
	v.revision = before + 1
	return fmt.Sprintf("revision %d is served; %d calls around it, none failed", v.revision, calls), err
}

func badManifest(ctx context.Context, v *visit) (string, error) {
	files, err := v.files()
	if err != nil {
		return "", err
	}
	files["products.yaml"] = bytes.Replace(files["products.yaml"], []byte("requests: 10, per: 1s"), []byte("requests: none, pre: 1s"), 1)
	files["gatehouse.yaml"] = bytes.Replace(files["gatehouse.yaml"], []byte("upstream: eid"), []byte("upstream: eit"), 1)
	var p problem
	calls, err := v.during(ctx, func() error {
		p, err = v.operator.post(ctx, "/api/environments/live/revisions", revisionIn{files, "a mistake"}).refused(http.StatusUnprocessableEntity)
		return err
	})
	if err != nil {
		return "", err
	}
	if len(p.Errors) < 3 {
		return "", fmt.Errorf("of three mistakes, %d are named", len(p.Errors))
	}
	for _, e := range p.Errors {
		if e.File == "" || e.Line == 0 {
			return "", fmt.Errorf("a mistake has no file or line: %+v", e)
		}
	}
	now, err := v.newest(ctx)
	if err != nil {
		return "", err
	}
	if now != v.revision {
		return "", fmt.Errorf("the newest revision is %d, it was %d", now, v.revision)
	}
	e := p.Errors[0]
	return fmt.Sprintf("%d mistakes, such as %s:%d %s; revision %d goes on, %d calls around it, none failed", len(p.Errors), e.File, e.Line, e.Pointer, now, calls), nil
}

// proof is what is left of the story.
func proof() []step {
	return []step{
		{"nothing can be reached any more", reachNothing},
		{"the audit tells who, when, why, before and after", audit},
		{"the audit log verifies; a changed copy does not", tamper},
		{"everything stops and nothing is left behind", depart},
	}
}

func reachNothing(ctx context.Context, v *visit) (string, error) {
	for _, env := range []string{"live", "test"} {
		var view struct {
			Operations []struct {
				Operation   string
				Grant       string
				Credentials []string
			}
		}
		if err := v.member.get(ctx, "/api/applications/"+v.portalApp+"/reach?environment="+env).into(http.StatusOK, &view); err != nil {
			return "", err
		}
		for _, o := range view.Operations {
			if o.Operation != "getHealth" && (env == "test" || len(o.Credentials) > 0) {
				return "", fmt.Errorf("%s in %s is said to be reached by %s with %v", o.Operation, env, o.Grant, o.Credentials)
			}
		}
	}
	return "live: no key opens anything; test: the grant is over; only the open operation is left", nil
}

// entry is one entry of the audit.
type entry struct {
	ID, Actor, Action, Object, Reason string
	At                                time.Time
	Before, After                     json.RawMessage
}

func audit(ctx context.Context, v *visit) (string, error) {
	total := 0
	for _, want := range []struct {
		object, reason string
		before         bool
	}{{v.organization, verifiedNote, true}, {v.portalApp, "", false}, {v.request, "", true}, {v.grant, suspendReason, true}, {v.credential, revokeReason, true}} {
		var list struct{ Items []entry }
		if err := v.admin.get(ctx, "/api/audit?object="+url.QueryEscape(want.object)).into(http.StatusOK, &list); err != nil {
			return "", err
		}
		found := false
		for _, e := range list.Items {
			total++
			if e.Actor == "" || e.Action == "" || e.At.Before(v.started.Add(-time.Second)) || e.Object != want.object || len(e.After) == 0 {
				return "", fmt.Errorf("an entry is not whole: %+v", e)
			}
			found = found || strings.Contains(e.Reason, want.reason) && (len(e.Before) > 0 || !want.before)
		}
		if !found {
			return "", fmt.Errorf("of %s there is no entry with the reason %q", want.object, want.reason)
		}
	}
	var own struct{ Items []entry }
	if err := v.member.get(ctx, "/api/audit").into(http.StatusOK, &own); err != nil {
		return "", err
	}
	if len(own.Items) == 0 {
		return "", fmt.Errorf("the member sees no entry")
	}
	return fmt.Sprintf("%d entries about 5 objects; the member sees the own organization's", total), nil
}

// report is what verifying found.
type report struct {
	Entries  int64
	Unsealed int64
	OK       bool
	Problems []struct{ Entry, Text string }
}

func tamper(ctx context.Context, v *visit) (string, error) {
	var r report
	for r.Entries == 0 || r.Unsealed > 0 {
		if err := v.admin.get(ctx, "/api/audit/verification").into(http.StatusOK, &r); err != nil {
			return "", err
		}
		if !r.OK {
			return "", fmt.Errorf("the log does not verify: %+v", r.Problems)
		}
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return "", err
		}
	}
	var b struct{ File string }
	if err := v.admin.post(ctx, "/api/backups", struct {
		File string `json:"file"`
	}{}).into(http.StatusCreated, &b); err != nil {
		return "", err
	}
	if !filepath.IsAbs(b.File) {
		b.File = filepath.Join(v.dir, b.File)
	}
	if text, err := v.verifyFile(ctx, b.File); err != nil {
		return "", fmt.Errorf("the untouched copy: %w: %s", err, clip(text))
	}
	data, err := os.ReadFile(b.File)
	if err != nil {
		return "", err
	}
	other := strings.Repeat("x", len(revokeReason))
	if !bytes.Contains(data, []byte(revokeReason)) {
		return "", fmt.Errorf("the copy does not hold the reason in plain text")
	}
	changed := filepath.Join(v.dir, "changed.db")
	if err := os.WriteFile(changed, bytes.ReplaceAll(data, []byte(revokeReason), []byte(other)), 0o600); err != nil {
		return "", err
	}
	text, err := v.verifyFile(ctx, changed)
	if err == nil {
		return "", fmt.Errorf("a copy with another reason verifies: %s", clip(text))
	}
	var bad report
	if err := json.Unmarshal(text, &bad); err != nil {
		return "", fmt.Errorf("%w in %s", err, clip(text))
	}
	if bad.OK || len(bad.Problems) == 0 || bad.Problems[0].Entry == "" {
		return "", fmt.Errorf("the changed entry is not named: %s", clip(text))
	}
	return fmt.Sprintf("%d entries verify; one reason changed in a copy: %s is named", r.Entries, bad.Problems[0].Entry), nil
}

// verifyFile lets the binary verify the log in a file, offline, against the checkpoint that was kept early in the story.
func (v *visit) verifyFile(ctx context.Context, file string) ([]byte, error) {
	path, err := filepath.Abs(v.gatehouse)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, path, "audit", "verify", "--database", file, "--key", v.verifier, "--checkpoint", v.kept(), "-o", "json")
	cmd.Dir, cmd.Env = v.dir, []string{"HOME=" + v.dir}
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && len(exit.Stderr) > 0 {
		return out, fmt.Errorf("%w: %s", err, clip(exit.Stderr))
	}
	return out, err
}

func (v *visit) kept() string { return filepath.Join(v.dir, "checkpoint") }

// keep stores a checkpoint where nobody who runs Gatehouse can reach it.
func keep(ctx context.Context, v *visit) (string, error) {
	var c struct{ Checkpoint, Verifier string }
	for c.Checkpoint == "" {
		if err := v.admin.get(ctx, "/api/audit/checkpoint").into(http.StatusOK, &c); err != nil {
			return "", err
		}
		if err := pause(ctx, 5*time.Millisecond); err != nil {
			return "", err
		}
	}
	v.verifier = c.Verifier
	lines := strings.Split(c.Checkpoint, "\n")
	if len(lines) < 4 {
		return "", fmt.Errorf("the checkpoint reads %q", c.Checkpoint)
	}
	return fmt.Sprintf("of %s entries, signed by %s", lines[1], strings.Split(c.Verifier, "+")[0]), os.WriteFile(v.kept(), []byte(c.Checkpoint), 0o600)
}

func depart(ctx context.Context, v *visit) (string, error) {
	began := time.Now()
	if err := v.leave(); err != nil {
		return "", err
	}
	if _, err := os.Stat(v.dir); !os.IsNotExist(err) {
		return "", fmt.Errorf("%s is still there", v.dir)
	}
	for _, address := range []string{v.at.Portal, v.at.Gateways["live"], v.at.Gateways["test"], v.eidAt} {
		u, err := url.Parse(address)
		if err != nil {
			return "", err
		}
		if c, err := net.DialTimeout("tcp", u.Host, time.Second); err == nil {
			c.Close()
			return "", fmt.Errorf("something still listens on %s", u.Host)
		}
	}
	v.dir = ""
	return fmt.Sprintf("drained in %d ms; the whole story took %.1f s", time.Since(began).Milliseconds(), time.Since(v.started).Seconds()), nil
}
