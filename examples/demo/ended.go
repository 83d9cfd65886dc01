package main

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// ended is how access is renewed and how it ends by itself.
func ended() []step {
	return []step{
		{"a key is replaced with an overlap: both count", rotate},
		{"a grant expires by itself, on time", expire},
		{"a review that nobody answers ends the grant", silence},
		{"the replaced key is refused from its minute on", retired},
	}
}

func keyed(v *visit, id, key string) way {
	return way{credential: id, call: v.with(v.web, whoami, func() (http.Header, error) { return http.Header{"X-Api-Key": {key}}, nil })}
}

func rotate(ctx context.Context, v *visit) (string, error) {
	was, err := v.issue(ctx, v.portalApp, "live")
	if err != nil {
		return "", err
	}
	old := keyed(v, was.Credential.ID, was.Key)
	if err := v.letIn(ctx, old); err != nil {
		return "", err
	}
	overlap := "1m" // to the next full minute, unless that is too near to see both, and what comes before it is looked at again
	if now := time.Now(); now.Truncate(time.Minute).Add(time.Minute).Sub(now) < min(v.within(15*time.Second), 40*time.Second) {
		overlap = "2m"
	}
	var made struct {
		Credential, Replaced struct {
			ID, Standing string
			RetireAt     time.Time `json:"retire_at"`
		}
		Key string
	}
	if err := v.member.post(ctx, "/api/credentials/"+was.Credential.ID+"/rotate", map[string]string{"overlap": overlap}).into(http.StatusCreated, &made); err != nil {
		return "", err
	}
	fresh := keyed(v, made.Credential.ID, made.Key)
	for _, w := range []way{fresh, old} {
		if err := v.letIn(ctx, w); err != nil {
			return "", err
		}
	}
	v.life.replaced, v.life.retires, v.life.left = old, made.Replaced.RetireAt, append(v.life.left, fresh)
	if made.Replaced.Standing != "retiring" || !v.life.retires.After(time.Now()) || v.life.retires.Second() != 0 {
		return "", fmt.Errorf("the replaced key is %s, until %s", made.Replaced.Standing, v.life.retires)
	}
	return fmt.Sprintf("both 200; the old one is %s until %s", made.Replaced.Standing, v.life.retires.Format(time.TimeOnly)), nil
}

func retired(ctx context.Context, v *visit) (string, error) {
	wait := time.Until(v.life.retires) - time.Second
	if wait > 0 {
		if err := pause(ctx, wait); err != nil {
			return "", err
		}
	}
	late := !time.Now().Before(v.life.retires) // what came before took longer: it is seen that it is refused, and not since when
	p, at, err := v.turnedAway(ctx, v.life.replaced, http.StatusUnauthorized)
	if err != nil {
		return "", err
	}
	if at.Before(v.life.retires) || !late && at.After(v.life.retires.Add(v.within(promptly))) {
		return "", fmt.Errorf("it retires at %s, and was refused at %s", v.life.retires, at)
	}
	return fmt.Sprintf("401 %s %s after its minute; the new key 200", p.short(), milliseconds(at.Sub(v.life.retires))), v.letIn(ctx, v.life.left[len(v.life.left)-1])
}

func silence(ctx context.Context, v *visit) (string, error) {
	k, err := v.issue(ctx, v.batchApp, "live")
	if err != nil {
		return "", err
	}
	w := keyed(v, k.Credential.ID, k.Key)
	var s seen
	for s.Grant == "" {
		r, err := w.call(ctx)
		if err != nil {
			return "", err
		}
		if r.status == http.StatusUnauthorized {
			if err := pause(ctx, breath); err != nil {
				return "", err
			}
			continue
		}
		if err := r.into(http.StatusOK, &s); err != nil {
			return "", err
		}
	}
	if s.Grant != v.life.byRule {
		return "", fmt.Errorf("the call used %s, told is %s", s.Grant, v.life.byRule)
	}
	var review struct {
		ID    string
		Items int
	}
	ends := time.Now().Add(min(v.within(2*time.Second), 6*time.Second)).UTC().Truncate(time.Millisecond)
	asked := map[string]any{"name": "What is still needed?", "ends": ends, "product": "starter", "organization": v.organization}
	if err := v.operator.post(ctx, "/api/reviews", asked).into(http.StatusCreated, &review); err != nil {
		return "", err
	}
	if review.Items != 1 {
		return "", fmt.Errorf("the review asks about %d grants", review.Items)
	}
	var items struct{ Items []struct{ ID string } }
	if err := v.member.get(ctx, "/api/review-items?mine=true&review="+review.ID).into(http.StatusOK, &items); err != nil || len(items.Items) != 1 {
		return "", fmt.Errorf("the member is asked about %d grants: %w", len(items.Items), err)
	}
	if _, err := v.member.post(ctx, "/api/review-items/"+items.Items[0].ID+"/answer", map[string]string{"answer": "confirm"}).refused(http.StatusForbidden, "own-grant"); err != nil {
		return "", fmt.Errorf("who asked for the grant confirms it: %w", err)
	}
	p, at, err := v.turnedAway(ctx, w, http.StatusForbidden)
	if err != nil {
		return "", err
	}
	if at.Before(ends) {
		return "", fmt.Errorf("refused %s before the review's end", ends.Sub(at))
	}
	for state := ""; state != "closed"; {
		var now struct{ State string }
		if err := v.operator.get(ctx, "/api/reviews/"+review.ID).into(http.StatusOK, &now); err != nil {
			return "", err
		}
		if state = now.State; state != "closed" {
			if err := pause(ctx, 20*time.Millisecond); err != nil {
				return "", fmt.Errorf("the review is %s: %w", state, err)
			}
		}
	}
	_, n, err := v.evidenceOf(ctx, review.ID)
	return fmt.Sprintf("confirming one's own: 403 own-grant; 403 %s %.1f s after the review's end; its report verifies offline (%d entries)", p.short(), at.Sub(ends).Seconds(), n), err
}
