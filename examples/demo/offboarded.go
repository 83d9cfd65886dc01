package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// offboarded is the end of the partner, and its proof.
func offboarded() []step {
	return []step{
		{"credentials of every kind count until the end", stillThere},
		{"the organization is offboarded: everything is refused", offboard},
		{"every gateway swears about every credential", sworn},
		{"the evidence verifies offline, a changed copy does not", endEvidence},
		{"the audit log verifies from the kept checkpoint", wholeLog},
		{"everything stops and nothing is left behind", depart},
	}
}

func stillThere(ctx context.Context, v *visit) (string, error) {
	certificate, err := enrolled(ctx, v)
	if err != nil {
		return "", err
	}
	pod, err := v.workload(ctx, "system:serviceaccount:payments:reports")
	if err != nil {
		return "", err
	}
	v.life.left = append(v.life.left, certificate, pod)
	for _, w := range v.life.left {
		if err := v.letIn(ctx, w); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%d let in: an OAuth client's token, an API key, a client certificate, a workload", len(v.life.left)), nil
}

func offboard(ctx context.Context, v *visit) (string, error) {
	path := "/api/organizations/" + v.organization + "/offboard"
	if _, err := v.member.post(ctx, path, reason{endReason}).refused(http.StatusForbidden); err != nil {
		return "", fmt.Errorf("the member: %w", err)
	}
	began := time.Now()
	if err := v.operator.post(ctx, path, reason{endReason}).is(http.StatusOK); err != nil {
		return "", err
	}
	answered := time.Since(began)
	last := time.Duration(0)
	codes := []string{}
	for _, w := range v.life.left {
		r, err := w.call(ctx)
		for err == nil && r.status == http.StatusOK {
			if err = pause(ctx, breath); err == nil {
				r, err = w.call(ctx)
			}
		}
		if err != nil {
			return "", err
		}
		if r.status != http.StatusUnauthorized && r.status != http.StatusForbidden {
			return "", r.is(http.StatusUnauthorized)
		}
		p, err := r.refused(r.status)
		if err != nil {
			return "", err
		}
		codes = append(codes, p.short())
		last = max(last, time.Since(began)-answered)
	}
	slices.Sort(codes)
	return fmt.Sprintf("answered after %d ms, canaries included; all %d refused %s later: %s", answered.Milliseconds(), len(codes), milliseconds(last), strings.Join(slices.Compact(codes), ", ")), nil
}

// oath is an answer that a gateway has signed.
type oath struct{ Answer, Key, Signature string }

func sworn(ctx context.Context, v *visit) (string, error) {
	began := time.Now()
	var o struct {
		Organization struct{ State string }
		Ended        []struct{ ID, Kind string }
		Canaries     []struct{ Kind, Credential string }
		Waits, Notes []string
		Unshown      map[string]string // gateways that had no time for the canaries, and why
		Gateways     []struct {
			Environment   string
			Receipts      []struct{ Gateway string }
			Before, Sworn []oath
		}
	}
	for o.Organization.State != "offboarded" {
		if err := v.operator.get(ctx, "/api/organizations/"+v.organization+"/offboarding").into(http.StatusOK, &o); err != nil {
			return "", err
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return "", fmt.Errorf("it waits for %s: %w", strings.Join(o.Waits, "; "), err)
		}
	}
	took := time.Since(began)
	kinds, credentials, grants := []string{}, 0, 0
	var looked [2]int // credentials of which gateways have sworn, before and after the end
	canaries := 0
	for _, c := range o.Canaries {
		if c.Credential != "" {
			canaries, kinds = canaries+1, append(kinds, c.Kind)
		}
	}
	slices.Sort(kinds)
	kinds = slices.Compact(kinds)
	for _, e := range o.Ended {
		switch {
		case strings.HasPrefix(e.ID, "crd_"):
			credentials++
		case strings.HasPrefix(e.ID, "gr_"):
			grants++
		}
	}
	for _, g := range o.Gateways {
		if len(g.Receipts) == 0 {
			return "", fmt.Errorf("%s has no receipt", g.Environment)
		}
		for n, list := range [][]oath{g.Before, g.Sworn} {
			for _, s := range list {
				var a struct{ Seen []struct{ Verdict string } }
				if err := json.Unmarshal([]byte(s.Answer), &a); err != nil {
					return "", fmt.Errorf("%w in %s", err, clip([]byte(s.Answer)))
				}
				looked[n] += len(a.Seen)
			}
		}
	}
	if len(kinds) != 4 || len(o.Unshown) == 0 && looked[0] != canaries || looked[1] != credentials {
		return "", fmt.Errorf("canaries of %v; sworn about %d canaries of %d before the end, and about %d credentials of %d after it", kinds, looked[0], canaries, looked[1], credentials)
	}
	told := fmt.Sprintf("done %.1f s later: %d grants and %d credentials are over; sworn: canaries of %s let in before the end, all %d credentials refused after it",
		took.Seconds(), grants, credentials, strings.Join(kinds, ", "), looked[1])
	if len(o.Notes) > 0 {
		told += "; not shown: " + strings.Join(o.Notes, "; ")
	}
	return told, nil
}

func endEvidence(ctx context.Context, v *visit) (string, error) {
	file, n, err := v.evidenceOf(ctx, v.organization)
	if err != nil {
		return "", err
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	if !bytes.Contains(data, []byte(endReason)) {
		return "", fmt.Errorf("the evidence does not hold the reason")
	}
	changed := filepath.Join(v.dir, "changed.json")
	if err := os.WriteFile(changed, bytes.ReplaceAll(data, []byte(endReason), []byte("they asked us to")), 0o600); err != nil {
		return "", err
	}
	got, text, err := v.verifyEvidence(ctx, changed)
	if err != nil {
		return "", err
	}
	if got.OK || len(got.Problems) == 0 {
		return "", fmt.Errorf("a copy with another reason verifies: %s", clip(text))
	}
	return fmt.Sprintf("%d entries in %d KB hold by the auditor's key, without server or network; another reason: %s", n, len(data)>>10, got.Problems[0].Text), nil
}

func wholeLog(ctx context.Context, v *visit) (string, error) {
	kept, err := os.ReadFile(v.kept())
	if err != nil {
		return "", err
	}
	var b struct{ File string }
	if err := v.admin.post(ctx, "/api/backups", struct{}{}).into(http.StatusCreated, &b); err != nil {
		return "", err
	}
	if !filepath.IsAbs(b.File) {
		b.File = filepath.Join(v.dir, b.File)
	}
	text, err := v.verifyFile(ctx, b.File)
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, clip(text))
	}
	return fmt.Sprintf("a backup's log continues the checkpoint of %s entries that the auditor kept", strings.Split(string(kept), "\n")[1]), nil
}
