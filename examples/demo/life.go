package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// What the platform of this story declares, and what it declares about offers.
var (
	//go:embed lifecycle/gatehouse.yaml
	lifeManifest []byte
	//go:embed lifecycle/products.yaml
	lifeProducts []byte
)

const (
	cloudAudience = "https://eid.example"
	ownerEmail    = "olga@platform.example"
	secondEmail   = "sven@platform.example"
	endReason     = "the contract ends"
)

// life is what the story of the lifecycle knows beside the rest of a visit.
type life struct {
	world
	settings []string          // of gatehouse, as variables
	manifest map[string][]byte // files in the place of the example's

	owner, second caller // an API owner, and somebody who approves and operates
	left          []way  // credentials that count until the end of the organization
	byRule        string // the grant that a rule approved
	replaced      way    // the key that another one has replaced
	retires       time.Time
}

// grounds is how everything starts.
func grounds() []step {
	return []step{
		{"the partner's issuer and a listeners' authority start", startOutside},
		{"the upstream starts and trusts only the gateway", startUpstream},
		{"gatehouse starts with the manifest", startGatehouse},
		{"an open operation answers without a key", openOperation},
		{"staff sign in by the printed link", staffSignIn},
		{"the admin invites four who decide, each with roles", inviteDeciders},
		{"a partner registers and confirms the address", register},
		{"an operator verifies the organization", verify},
		{"an auditor keeps a checkpoint of the audit log", keep},
	}
}

func inviteDeciders(ctx context.Context, v *visit) (string, error) {
	for _, s := range []struct {
		email, name string
		roles       []string
		who         *caller
	}{
		{ownerEmail, "Olga Owner", []string{"api-owner@api:eid", "api-owner@api:eid-mutual"}, &v.life.owner},
		{approverEmail, "Asta Approver", []string{"approver"}, &v.approver},
		{secondEmail, "Sven Both", []string{"approver", "operator"}, &v.life.second},
		{operatorEmail, "Omar Operator", []string{"operator"}, &v.operator},
	} {
		if err := v.invite(ctx, s.email, s.name, s.roles, s.who); err != nil {
			return "", err
		}
	}
	return "Olga owns the API, Asta approves, Sven approves and operates, Omar operates", nil
}

// evidenceOf verifies the evidence about an object with the binary alone, in a folder without any data of the instance. It
// returns the file and how many entries it holds.
func (v *visit) evidenceOf(ctx context.Context, object string) (file string, entries int, err error) {
	r := v.admin.get(ctx, "/api/evidence/"+object)
	for r.status == http.StatusServiceUnavailable { // its newest entry is sealed within moments
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return "", 0, fmt.Errorf("%w: %w", err, r.is(http.StatusOK))
		}
		r = v.admin.get(ctx, "/api/evidence/"+object)
	}
	if err := r.is(http.StatusOK); err != nil {
		return "", 0, err
	}
	file = filepath.Join(v.dir, object+".json")
	if err := os.WriteFile(file, r.body, 0o600); err != nil {
		return "", 0, err
	}
	got, text, err := v.verifyEvidence(ctx, file)
	if err == nil && (!got.OK || got.Entries == 0) {
		err = fmt.Errorf("it does not verify: %s", clip(text))
	}
	return file, int(got.Entries), err
}

// verifyEvidence lets the binary verify a file of evidence offline: no server is named, and the folder is empty.
func (v *visit) verifyEvidence(ctx context.Context, file string) (report, []byte, error) {
	var got report
	path, err := filepath.Abs(v.gatehouse)
	if err != nil {
		return got, nil, err
	}
	empty, err := os.MkdirTemp(v.dir, "auditor-")
	if err != nil {
		return got, nil, err
	}
	cmd := exec.CommandContext(ctx, path, "audit", "verify", "--evidence", file, "--key", v.verifier, "-o", "json")
	cmd.Dir, cmd.Env = empty, []string{"HOME=" + empty}
	out, failed := cmd.Output()
	if err := json.Unmarshal(out, &got); err != nil {
		return got, out, fmt.Errorf("gatehouse audit verify: %w %w: %s", failed, err, clip(out))
	}
	if failed != nil && got.OK {
		return got, out, fmt.Errorf("gatehouse audit verify: %w", failed)
	}
	return got, out, nil
}

// milliseconds tells a time as people read it.
func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
}

// short is the end of a problem's type.
func (p problem) short() string { return p.Type[strings.LastIndexByte(p.Type, '/')+1:] }
