package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// request is an access request as the admin API answers it.
type request struct {
	ID, State, Grant string
	Decisions        []struct{ By string }
}

// decision is an approver's answer.
type decision struct {
	Approve bool       `json:"approve"`
	Scopes  []string   `json:"scopes,omitempty"`
	Until   *time.Time `json:"until,omitempty"`
	Reason  string     `json:"reason,omitempty"`
}

// access is how a grant comes about.
func access() []step {
	return []step{
		{"the member finds the product and reads its reference", catalogue},
		{"the member requests access; nobody decides on their own", requestAccess},
		{"an approver sees the facts and approves less", approve},
		{"a starter plan is approved at once", starter},
		{"a large plan needs two people", twoPeople},
		{"an API key is issued, shown once", issueKey},
	}
}

func catalogue(ctx context.Context, v *visit) (string, error) {
	var list struct{ Items []struct{ Name string } }
	if err := v.member.get(ctx, "/api/products").into(http.StatusOK, &list); err != nil {
		return "", err
	}
	names := []string{}
	for _, p := range list.Items {
		names = append(names, p.Name)
	}
	if !slices.Equal(names, []string{"starter", "verification"}) {
		return "", fmt.Errorf("the catalogue has %v", names)
	}
	r := v.member.get(ctx, "/api/apis/eid/openapi")
	if err := r.is(http.StatusOK); err != nil {
		return "", err
	}
	text := string(r.body)
	operations := strings.Count(text, "operationId")
	if operations < 10 {
		return "", fmt.Errorf("the reference has %d operations", operations)
	}
	for _, env := range []string{"live", "test"} {
		if !strings.Contains(text, v.at.Gateways[env]) {
			return "", fmt.Errorf("the reference does not name the address of %s, %s", env, v.at.Gateways[env])
		}
	}
	return fmt.Sprintf("products %s; reference of %d operations with both addresses", strings.Join(names, ", "), operations), nil
}

func requestAccess(ctx context.Context, v *visit) (string, error) {
	wish := v.wish(v.portalApp, "live", "verification", "standard", requestedScopes)
	strange := wish
	strange.Scopes = []string{"verifications:read", "everything"}
	if _, err := v.member.post(ctx, "/api/requests", strange).refused(http.StatusUnprocessableEntity); err != nil {
		return "", fmt.Errorf("a scope that the product does not have: %w", err)
	}
	strange = wish
	strange.Duration = "3650d"
	if _, err := v.member.post(ctx, "/api/requests", strange).refused(http.StatusUnprocessableEntity); err != nil {
		return "", fmt.Errorf("longer than the plan allows: %w", err)
	}
	var r request
	if err := v.member.post(ctx, "/api/requests", wish).into(http.StatusCreated, &r); err != nil {
		return "", err
	}
	v.request = r.ID
	if _, err := v.member.post(ctx, "/api/requests", wish).refused(http.StatusConflict); err != nil {
		return "", fmt.Errorf("the same request again: %w", err)
	}
	p, err := v.member.post(ctx, "/api/requests/"+r.ID+"/decisions", decision{Approve: true}).refused(http.StatusForbidden)
	if err != nil {
		return "", fmt.Errorf("the member approves the own request: %w", err)
	}
	// an admin may decide, but not on a request that the admin made
	var own request
	if err := v.admin.post(ctx, "/api/requests", v.wish(v.portalApp, "test", "verification", "standard", "verifications:read")).into(http.StatusCreated, &own); err != nil {
		return "", err
	}
	q, err := v.admin.post(ctx, "/api/requests/"+own.ID+"/decisions", decision{Approve: true}).refused(http.StatusForbidden, "own-request")
	if err != nil {
		return "", fmt.Errorf("the admin approves the own request: %w", err)
	}
	if err := v.admin.post(ctx, "/api/requests/"+own.ID+"/withdraw", nil).is(http.StatusOK); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s is %s; approving one's own: member 403 %s, admin 403 %s", r.ID, r.State, p.Type, q.Type), nil
}

func approve(ctx context.Context, v *visit) (string, error) {
	facts := v.approver.get(ctx, "/api/requests/"+v.request+"/facts")
	if err := facts.is(http.StatusOK); err != nil {
		return "", err
	}
	for _, want := range []string{partnerName, portalPurpose, "Account opening"} {
		if !strings.Contains(string(facts.body), want) {
			return "", fmt.Errorf("the facts do not name %q", want)
		}
	}
	until := time.Now().Add(10 * 24 * time.Hour).UTC().Truncate(time.Second)
	more := decision{Approve: true, Scopes: append(strings.Fields(requestedScopes), "callbacks:manage")}
	if _, err := v.approver.post(ctx, "/api/requests/"+v.request+"/decisions", more).refused(http.StatusUnprocessableEntity); err != nil {
		return "", fmt.Errorf("approving more than was asked: %w", err)
	}
	less := decision{Approve: true, Until: &until, Scopes: []string{"verifications:read", "verifications:write", "documents:check"}}
	var r request
	if err := v.approver.post(ctx, "/api/requests/"+v.request+"/decisions", less).into(http.StatusOK, &r); err != nil {
		return "", err
	}
	if r.State != "approved" || r.Grant == "" {
		return "", fmt.Errorf("the request is %s, with the grant %q", r.State, r.Grant)
	}
	v.grant = r.Grant
	if _, err := v.approver.post(ctx, "/api/requests/"+v.request+"/decisions", less).refused(http.StatusConflict); err != nil {
		return "", fmt.Errorf("decided a second time: %w", err)
	}
	var g struct {
		Application, Environment, Product, Plan, Purpose string
		Scopes                                           []string
		Until                                            time.Time
	}
	if err := v.member.get(ctx, "/api/grants/"+v.grant).into(http.StatusOK, &g); err != nil {
		return "", err
	}
	slices.Sort(g.Scopes)
	if g.Application != v.portalApp || g.Environment != "live" || g.Product != "verification" || g.Plan != "standard" || g.Purpose != portalPurpose ||
		!g.Until.Equal(until) || !slices.Equal(g.Scopes, []string{"documents:check", "verifications:read", "verifications:write"}) {
		return "", fmt.Errorf("the grant is not what was approved: %+v", g)
	}
	return fmt.Sprintf("3 of 4 scopes, until %s; %s", until.Format(time.DateOnly), v.grant), nil
}

func starter(ctx context.Context, v *visit) (string, error) {
	var r request
	if err := v.member.post(ctx, "/api/requests", v.wish(v.batchApp, "test", "starter", "free", "documents:check")).into(http.StatusCreated, &r); err != nil {
		return "", err
	}
	if r.State != "approved" || r.Grant == "" {
		return "", fmt.Errorf("the request is %s", r.State)
	}
	return "approved with the request; " + r.Grant, nil
}

func twoPeople(ctx context.Context, v *visit) (string, error) {
	var r request
	if err := v.member.post(ctx, "/api/requests", v.wish(v.batchApp, "live", "verification", "high-volume", "documents:check")).into(http.StatusCreated, &r); err != nil {
		return "", err
	}
	path := "/api/requests/" + r.ID + "/decisions"
	if _, err := v.operator.post(ctx, path, decision{Approve: true}).refused(http.StatusForbidden, "role-missing"); err != nil {
		return "", fmt.Errorf("the second stage's role in the first: %w", err)
	}
	if err := v.approver.post(ctx, path, decision{Approve: true}).into(http.StatusOK, &r); err != nil {
		return "", err
	}
	if r.State != "open" {
		return "", fmt.Errorf("after the first decision the request is %s", r.State)
	}
	p, err := v.approver.post(ctx, path, decision{Approve: true}).refused(http.StatusForbidden, "decided-before", "role-missing")
	if err != nil {
		return "", fmt.Errorf("one person decides twice: %w", err)
	}
	if err := v.operator.post(ctx, path, decision{Approve: true}).into(http.StatusOK, &r); err != nil {
		return "", err
	}
	if r.State != "approved" || len(r.Decisions) != 2 || r.Decisions[0].By == r.Decisions[1].By {
		return "", fmt.Errorf("the request is %s after %d decisions", r.State, len(r.Decisions))
	}
	return "one person twice: 403 " + p.Type + "; then approved by two", nil
}

// wantedKey is what a key is made from.
type wantedKey struct {
	Application string `json:"application"`
	Environment string `json:"environment"`
	Name        string `json:"name"`
	Lifetime    string `json:"lifetime"`
}

// issued is the one answer that holds the key.
type issued struct {
	Credential struct{ ID string }
	Key        string
}

func (v *visit) issue(ctx context.Context, app, env string) (issued, error) {
	var k issued
	err := v.member.post(ctx, "/api/credentials", wantedKey{app, env, "demo", "30d"}).into(http.StatusCreated, &k)
	return k, err
}

func issueKey(ctx context.Context, v *visit) (string, error) {
	k, err := v.issue(ctx, v.portalApp, "live")
	if err != nil {
		return "", err
	}
	if !strings.HasPrefix(k.Key, "gh_live_") {
		return "", fmt.Errorf("the key does not begin with gh_live_")
	}
	v.key, v.credential = k.Key, k.Credential.ID
	again := v.member.get(ctx, "/api/credentials/"+v.credential)
	if err := again.is(http.StatusOK); err != nil {
		return "", err
	}
	secret := k.Key[strings.LastIndexByte(k.Key, '_')+1:]
	if strings.Contains(string(again.body), secret) {
		return "", fmt.Errorf("the credential shows the secret a second time")
	}
	var other issued
	if other, err = v.issue(ctx, v.batchApp, "test"); err != nil {
		return "", err
	}
	v.batchKey = other.Key
	if !json.Valid(again.body) {
		return "", fmt.Errorf("the credential is no JSON")
	}
	return fmt.Sprintf("%s…, %d characters, never shown again", k.Key[:strings.LastIndexByte(k.Key, '_')+1], len(k.Key)), nil
}
