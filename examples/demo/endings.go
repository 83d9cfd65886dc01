package main

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// promptly is how soon after its commit a change must be felt: for the whole chain, not for one poll.
const promptly = 100 * time.Millisecond

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

// watch calls whoami from several clients without pause until each was refused with the status. change is called once all
// have been let through. It returns when a call was first refused, and when the last one that was let through was sent.
func (v *visit) watch(ctx context.Context, env, key string, status int, change func() error) (refused, passed time.Time, calls int, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	const clients = 4
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

// felt measures a change from its commit.
func (v *visit) felt(ctx context.Context, env, key string, status int, object string, change func() error) (string, error) {
	refused, passed, calls, err := v.watch(ctx, env, key, status, change)
	if err != nil {
		return "", err
	}
	committed, last, err := v.inForce(ctx, object, env)
	if err != nil {
		return "", err
	}
	first, late := refused.Sub(committed), passed.Sub(committed)
	if first > promptly || late > promptly {
		return "", fmt.Errorf("the first call was refused %s after the commit and the last that passed was sent %s after it, told is %s", first, late, promptly)
	}
	return fmt.Sprintf("first refused call %.1f ms after the commit (%d calls by 4 clients, %d), receipt after %.1f ms", float64(first.Microseconds())/1000, calls, status, last), nil
}

func suspend(ctx context.Context, v *visit) (string, error) {
	text, err := v.felt(ctx, "live", v.key, http.StatusForbidden, v.grant, func() error {
		if _, err := v.member.post(ctx, "/api/grants/"+v.grant+"/suspend", reason{suspendReason}).refused(http.StatusForbidden); err != nil {
			return fmt.Errorf("the member suspends: %w", err)
		}
		return v.operator.post(ctx, "/api/grants/"+v.grant+"/suspend", reason{suspendReason}).is(http.StatusOK)
	})
	if err != nil {
		return "", err
	}
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
	return text + "; resumed: passes", err
}

func expire(ctx context.Context, v *visit) (string, error) {
	var r request
	if err := v.member.post(ctx, "/api/requests", v.wish(v.portalApp, "test", "verification", "standard", "verifications:read")).into(http.StatusCreated, &r); err != nil {
		return "", err
	}
	until := time.Now().Add(2500 * time.Millisecond).UTC().Truncate(time.Millisecond)
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
	if refused.Before(until) || passed.After(until.Add(promptly)) || refused.After(until.Add(promptly)) {
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
	return v.felt(ctx, "live", v.key, http.StatusUnauthorized, v.credential, func() error {
		return v.member.post(ctx, "/api/credentials/"+v.credential+"/revoke", reason{revokeReason}).is(http.StatusOK)
	})
}
