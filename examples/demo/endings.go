package main

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// promptly is how soon after its commit a change must be felt: for the whole chain, not for one poll.
const promptly = 100 * time.Millisecond

// clients call side by side while a change is measured, each a millisecond after its last answer: that leaves the machine
// time for the change itself.
const (
	clients = 4
	breath  = time.Millisecond
)

// endings is how access ends.
func endings() []step {
	return []step{
		{"a grant is suspended: the next call is refused", suspend},
		{"a grant expires by itself, on time", expire},
		{"a manifest is published while calls go on", publish},
		{"a bad manifest is refused whole, the running one goes on", badManifest},
		{"a key is revoked: commit to first refused call", revoke},
	}
}

// watch calls whoami from several clients until each was refused with the status. change is called once all
// have been let through. It returns when a call was first refused, and when the last one that was let through was sent.
func (v *visit) watch(ctx context.Context, env, key string, status int, change func() error) (refused, passed time.Time, calls int, err error) {
	ctx, cancel := context.WithTimeout(ctx, v.within(15*time.Second))
	defer cancel()
	var mu sync.Mutex
	var wg sync.WaitGroup
	var total atomic.Int64
	ready := make(chan struct{}, clients)
	fail := func(e error) {
		mu.Lock()
		defer mu.Unlock()
		if err == nil {
			err = e
		}
		cancel()
	}
	for range clients {
		wg.Go(func() {
			for n := 0; ; n++ {
				r, e := v.call(ctx, env, key, http.MethodGet, "/whoami", nil)
				if e != nil {
					fail(e)
					return
				}
				total.Add(1)
				switch r.status {
				case http.StatusOK, http.StatusTooManyRequests: // let in, if not served: limits come after authorization
					mu.Lock()
					if r.sent.After(passed) {
						passed = r.sent
					}
					mu.Unlock()
				case status:
					mu.Lock()
					if refused.IsZero() || r.done.Before(refused) {
						refused = r.done
					}
					mu.Unlock()
					return
				default:
					fail(r.is(status))
					return
				}
				if n == 5 {
					ready <- struct{}{}
				}
				time.Sleep(breath)
			}
		})
	}
	for range clients {
		select {
		case <-ready:
		case <-ctx.Done():
		}
	}
	if ctx.Err() == nil {
		if e := change(); e != nil {
			fail(e)
		}
	}
	wg.Wait()
	return refused, passed, int(total.Load()), err
}

// inForce waits until the newest change of an object is in force everywhere, and returns when it was committed.
func (v *visit) inForce(ctx context.Context, object, env string) (committed time.Time, last float64, err error) {
	for {
		var list struct {
			Items []struct {
				Environment    string
				Committed      time.Time
				Gateways, Done int
				LastMS         float64 `json:"last_ms"`
			}
		}
		if err := v.admin.get(ctx, "/api/in-force/"+object).into(http.StatusOK, &list); err != nil {
			return committed, 0, err
		}
		for _, f := range list.Items {
			if f.Environment == env && f.Gateways > 0 && f.Done == f.Gateways {
				return f.Committed, f.LastMS, nil
			}
		}
		if err := pause(ctx, 5*time.Millisecond); err != nil {
			return committed, 0, fmt.Errorf("%s is not in force in %s: %w", object, env, err)
		}
	}
}

// measure is how soon a change was felt, from its commit.
type measure struct {
	refused time.Duration // until a call was first refused
	passed  time.Duration // until the last one that was let through was sent; negative: before the commit
	receipt float64       // until every gateway had said so, in milliseconds
	calls   int
}

// felt measures one change of an object.
func (v *visit) felt(ctx context.Context, env, key string, status int, object string, change func() error) (m measure, err error) {
	refused, passed, calls, err := v.watch(ctx, env, key, status, change)
	if err != nil {
		return m, err
	}
	committed, last, err := v.inForce(ctx, object, env)
	return measure{refused.Sub(committed), passed.Sub(committed), last, calls}, err
}

// told is the median and the worst of several measures. The promise is of the median: a machine may be busy with something
// else for a moment.
func (v *visit) told(status int, list []measure) (string, error) {
	slices.SortFunc(list, func(a, b measure) int { return cmp.Compare(max(a.refused, a.passed), max(b.refused, b.passed)) })
	median, worst, calls := list[len(list)/2], list[len(list)-1], 0
	for _, m := range list {
		calls += m.calls
	}
	if late := max(median.refused, median.passed); late > v.within(promptly) {
		return "", fmt.Errorf("felt %s after the commit (median of %d, worst %s), told is %s", late, len(list), max(worst.refused, worst.passed), promptly)
	}
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	return fmt.Sprintf("first refused call (%d) %.1f ms after the commit: median of %d, worst %.1f ms; receipt after %.1f ms; %d calls by %d clients", status, ms(median.refused), len(list), ms(worst.refused), median.receipt, calls, clients), nil
}

func suspend(ctx context.Context, v *visit) (string, error) {
	if _, err := v.member.post(ctx, "/api/grants/"+v.grant+"/suspend", reason{suspendReason}).refused(http.StatusForbidden); err != nil {
		return "", fmt.Errorf("the member suspends: %w", err)
	}
	var list []measure
	for range 3 {
		m, err := v.felt(ctx, "live", v.key, http.StatusForbidden, v.grant, func() error {
			return v.operator.post(ctx, "/api/grants/"+v.grant+"/suspend", reason{suspendReason}).is(http.StatusOK)
		})
		if err != nil {
			return "", err
		}
		list = append(list, m)
		if err := v.operator.post(ctx, "/api/grants/"+v.grant+"/resume", reason{"it was a load test of theirs"}).is(http.StatusOK); err != nil {
			return "", err
		}
		if _, _, err := v.inForce(ctx, v.grant, "live"); err != nil {
			return "", err
		}
		r, err := v.call(ctx, "live", v.key, http.MethodGet, "/whoami", nil)
		if err == nil && r.status != http.StatusTooManyRequests {
			err = r.is(http.StatusOK)
		}
		if err != nil {
			return "", fmt.Errorf("after it was resumed: %w", err)
		}
	}
	return v.told(http.StatusForbidden, list)
}

func expire(ctx context.Context, v *visit) (string, error) {
	var r request
	if err := v.member.post(ctx, "/api/requests", v.wish(v.portalApp, "test", "verification", "standard", "verifications:read")).into(http.StatusCreated, &r); err != nil {
		return "", err
	}
	until := time.Now().Add(min(v.within(2500*time.Millisecond), 5*time.Second)).UTC().Truncate(time.Millisecond)
	if err := v.approver.post(ctx, "/api/requests/"+r.ID+"/decisions", decision{Approve: true, Until: &until}).into(http.StatusOK, &r); err != nil {
		return "", err
	}
	k, err := v.issue(ctx, v.portalApp, "test")
	if err != nil {
		return "", err
	}
	v.shortGrant, v.shortKey = r.Grant, k.Key
	if _, _, err := v.inForce(ctx, k.Credential.ID, "test"); err != nil {
		return "", err
	}
	refused, passed, calls, err := v.watch(ctx, "test", v.shortKey, http.StatusForbidden, func() error { return nil })
	if err != nil {
		return "", err
	}
	if refused.Before(until) || passed.After(until.Add(v.within(promptly))) || refused.After(until.Add(v.within(promptly))) {
		return "", fmt.Errorf("the end is %s, the first call refused at %s, the last that passed sent at %s", until, refused, passed)
	}
	answer, err := v.call(ctx, "test", v.shortKey, http.MethodGet, "/whoami", nil)
	if err != nil {
		return "", err
	}
	p, err := answer.refused(http.StatusForbidden, "grant-expired")
	return fmt.Sprintf("first refused call %.1f ms after the end (%d calls), %s", float64(refused.Sub(until).Microseconds())/1000, calls, p.Type), err
}

func revoke(ctx context.Context, v *visit) (string, error) {
	keys := []issued{{Key: v.key}}
	keys[0].Credential.ID = v.credential
	for range 4 {
		k, err := v.issue(ctx, v.portalApp, "live")
		if err != nil {
			return "", err
		}
		if _, _, err := v.inForce(ctx, k.Credential.ID, "live"); err != nil {
			return "", err
		}
		keys = append(keys, k)
	}
	var list []measure
	for _, k := range keys {
		m, err := v.felt(ctx, "live", k.Key, http.StatusUnauthorized, k.Credential.ID, func() error {
			return v.member.post(ctx, "/api/credentials/"+k.Credential.ID+"/revoke", reason{revokeReason}).is(http.StatusOK)
		})
		if err != nil {
			return "", err
		}
		list = append(list, m)
	}
	return v.told(http.StatusUnauthorized, list)
}
