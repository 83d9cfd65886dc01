package main

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// decided is how grants come about.
func decided() []step {
	return []step{
		{"the partner asks; nobody approves their own request", ownRequest},
		{"three people approve in three stages, nobody twice", threeStages},
		{"a rule decides what is small", byRule},
		{"the decision verifies offline", decisionEvidence},
	}
}

func ownRequest(ctx context.Context, v *visit) (string, error) {
	for _, a := range []struct {
		name string
		id   *string
	}{{"Account opening", &v.portalApp}, {"Nightly report", &v.batchApp}} {
		var app struct{ ID string }
		if err := v.member.post(ctx, "/api/applications", map[string]string{"name": a.name, "purpose": portalPurpose}).into(http.StatusCreated, &app); err != nil {
			return "", err
		}
		*a.id = app.ID
	}
	wish := v.wish(v.portalApp, "live", "verification", "regulated", "verifications:read verifications:write documents:check")
	wish.Duration = "365d"
	var r request
	if err := v.member.post(ctx, "/api/requests", wish).into(http.StatusCreated, &r); err != nil {
		return "", err
	}
	v.request = r.ID
	member, err := v.member.post(ctx, "/api/requests/"+r.ID+"/decisions", decision{Approve: true}).refused(http.StatusForbidden)
	if err != nil {
		return "", fmt.Errorf("the member approves the own request: %w", err)
	}
	// who asked is refused by whatever role: Sven may approve and operate
	var own request
	if err := v.life.second.post(ctx, "/api/requests", v.wish(v.portalApp, "test", "verification", "standard", "verifications:read")).into(http.StatusCreated, &own); err != nil {
		return "", fmt.Errorf("an operator asks for a partner: %w", err)
	}
	staff, err := v.life.second.post(ctx, "/api/requests/"+own.ID+"/decisions", decision{Approve: true}).refused(http.StatusForbidden, "own-request")
	if err != nil {
		return "", fmt.Errorf("the approver approves the own request: %w", err)
	}
	return fmt.Sprintf("%s waits; the member's own approval: 403 %s, an approver's own: 403 %s", r.ID, member.short(), staff.short()), v.life.second.post(ctx, "/api/requests/"+own.ID+"/withdraw", nil).is(http.StatusOK)
}

func threeStages(ctx context.Context, v *visit) (string, error) {
	path := "/api/requests/" + v.request + "/decisions"
	yes := decision{Approve: true}
	if _, err := v.operator.post(ctx, path, yes).refused(http.StatusForbidden, "role-missing"); err != nil {
		return "", fmt.Errorf("the third stage's role in the first: %w", err)
	}
	var r request
	if err := v.life.owner.post(ctx, path, yes).into(http.StatusOK, &r); err != nil {
		return "", fmt.Errorf("the API owner: %w", err)
	}
	until := time.Now().Add(180 * 24 * time.Hour).UTC().Truncate(time.Second)
	if err := v.life.second.post(ctx, path, decision{Approve: true, Until: &until}).into(http.StatusOK, &r); err != nil {
		return "", fmt.Errorf("the approver: %w", err)
	}
	if r.State != "open" || r.Grant != "" {
		return "", fmt.Errorf("after two of three stages the request is %s, with the grant %q", r.State, r.Grant)
	}
	p, err := v.life.second.post(ctx, path, yes).refused(http.StatusForbidden, "decided-before")
	if err != nil {
		return "", fmt.Errorf("the same person decides again, by the other role: %w", err)
	}
	if err := v.operator.post(ctx, path, yes).into(http.StatusOK, &r); err != nil {
		return "", fmt.Errorf("the operator: %w", err)
	}
	who := map[string]bool{}
	for _, d := range r.Decisions {
		who[d.By] = true
	}
	if r.State != "approved" || r.Grant == "" || len(who) != 3 {
		return "", fmt.Errorf("the request is %s, decided by %d people", r.State, len(who))
	}
	v.grant = r.Grant
	return fmt.Sprintf("by 3 people, until %s instead of a year; the second again, as an operator: 403 %s; %s", until.Format(time.DateOnly), p.short(), v.grant), nil
}

func byRule(ctx context.Context, v *visit) (string, error) {
	var r struct {
		State, Grant string
		Rule         struct{ Rule string }
	}
	if err := v.member.post(ctx, "/api/requests", v.wish(v.batchApp, "live", "starter", "reading", "verifications:read")).into(http.StatusCreated, &r); err != nil {
		return "", err
	}
	if r.State != "approved" || r.Grant == "" || r.Rule.Rule != "reading for a month" {
		return "", fmt.Errorf("the request is %s, by the rule %q", r.State, r.Rule.Rule)
	}
	v.life.byRule = r.Grant
	return fmt.Sprintf("approved by the rule %q, which is in the record; %s", r.Rule.Rule, r.Grant), nil
}

func decisionEvidence(ctx context.Context, v *visit) (string, error) {
	_, n, err := v.evidenceOf(ctx, v.request)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d entries about %s, each with its proof: who, when, for what, until when, on which facts", n, v.request), nil
}
