package main_test

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // to look at what is kept
	_ "modernc.org/sqlite"

	"gatehouse/store/pgtest"
)

// quotaKills is how many rounds of kills TestKilledGatewaysCountOnce makes on each database. `make kill-quotas` asks for more.
const quotaKills = "GATEHOUSE_QUOTA_KILLS"

const (
	// mayBeLost is what a gateway that is killed may lose: what it let through since it told last, which it does each second.
	mayBeLost = time.Second
	// slowness is what the machine may add to that: until the tick is heeded, and until what was told is committed.
	slowness = 1500 * time.Millisecond
)

// counted is one gateway and what is known of its calls by what was answered.
type counted struct {
	name, at string
	process  *victim

	mu         sync.Mutex
	passed     []time.Time // when requests of the running round were answered
	unanswered int         // requests that may have been let through or not
	settled    int64       // what the control plane keeps of all rounds before
}

// counting is a control plane with two gateways.
type counting struct {
	*killed
	db       *sql.DB
	gateways [2]*counted
	key      string
	worst    time.Duration // what was lost was let through in so long before a kill
	lost     int64
	sent     int64
}

// Gateways and control plane killed again and again while requests come: of what a quota counts is lost at most what one gateway let through
// in its last second, whoever dies with it, and nothing counts twice.
func TestKilledGatewaysCountOnce(t *testing.T) {
	rounds := 4
	if n, err := strconv.Atoi(os.Getenv(quotaKills)); err == nil {
		rounds = n
	}
	for _, database := range []string{"sqlite", "postgres"} {
		t.Run(database, func(t *testing.T) {
			c := newCounting(t, database)
			for round := range rounds {
				c.round(round)
				if t.Failed() {
					t.Fatalf("in round %d", round)
				}
			}
			t.Logf("%d rounds, %d requests passed; %d were lost with gateways, at worst those of the last %s", rounds, c.sent, c.lost, c.worst.Round(time.Millisecond))
		})
	}
}

func newCounting(t *testing.T, database string) *counting {
	c := &counting{killed: &killed{T: t, dir: t.TempDir(), keys: map[string]*killedKey{}}}
	driver, source := "sqlite", "file:"+filepath.Join(c.dir, "control-data", "gatehouse.db")+"?mode=ro&_pragma=busy_timeout(10000)"
	if database == "postgres" {
		address, err := pgtest.Address()
		if err != nil {
			t.Fatal(err)
		}
		driver, source, c.database = "pgx", address.Reveal(), address.Reveal()
	}
	up := newUpstream()
	t.Cleanup(up.Close)
	declared := filepath.Join(c.dir, "manifest", "gatehouse.yaml")
	err := errors.Join(copyManifest(filepath.Join(c.dir, "manifest"), up.URL),
		replaceIn(declared, "approval: { stages: [{ name: owner, role: approver }] }", "approval: { automatic: true }"),
		replaceIn(declared, "limits: [{ requests: 1000, per: 1s }]", "quotas: [1000000000/month]"))
	if err != nil {
		t.Fatal(err)
	}
	if c.feed, err = freeAddress("127.0.3.2:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.control.kill() })
	c.startControl()
	if c.db, err = sql.Open(driver, source); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.db.Close() })
	c.partner()
	var made struct{ Key string }
	c.must("POST", "/api/credentials", c.member, map[string]string{"application": c.application, "environment": "live", "name": "k", "lifetime": "1d"}, &made)
	c.key = made.Key
	for i, name := range []string{"one", "two"} {
		g := &counted{name: name}
		c.gateways[i] = g
		var e struct{ Token string }
		c.must("POST", "/api/gateway-enrolments", c.admin, map[string]string{"environment": "live", "name": name}, &e)
		t.Cleanup(func() { g.process.kill() })
		c.begin(g, "GATEHOUSE_FEED_TOKEN="+e.Token)
	}
	return c
}

// begin starts a gateway, and settles what its earlier lives have told: once its own first word is taken, nothing of them is any more.
func (c *counting) begin(g *counted, env ...string) {
	c.Helper()
	var at struct{ Gateway string }
	g.process = c.start(&at, env, "gateway", "-o", "json", "--control", c.feed, "--data", "data-"+g.name)
	g.at = at.Gateway
	var status int
	c.until(g.name+" lets the key in", func() bool {
		status, _ = c.pass(g)
		return status == http.StatusOK
	})
	c.until("what "+g.name+" lets through is told", func() bool { return c.newest(g) >= 1 })
}

// until waits for a condition.
func (c *counting) until(what string, holds func() bool) {
	c.Helper()
	for deadline := time.Now().Add(2 * patience); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			c.Fatalf("not within %s: %s", 2*patience, what)
		}
	}
}

var ofMonth = regexp.MustCompile(`"month";r=[0-9]+`)

// pass sends one request and notes it if it was let through. An error is no answer.
func (c *counting) pass(g *counted) (int, error) {
	r, err := http.NewRequest("GET", g.at+"/echo/things", nil)
	if err != nil {
		return 0, err
	}
	r.Header.Set("X-API-Key", c.key)
	res, err := http.DefaultClient.Do(r)
	g.mu.Lock()
	defer g.mu.Unlock()
	if err != nil {
		g.unanswered++
		return 0, err
	}
	_, _ = io.Copy(io.Discard, res.Body)
	res.Body.Close()
	if res.StatusCode == http.StatusOK && ofMonth.MatchString(res.Header.Get("RateLimit")) {
		g.passed = append(g.passed, time.Now())
	}
	return res.StatusCode, nil
}

// kept is what the control plane keeps of the gateway's lives: of the newest one, or of all others.
func (c *counting) kept(g *counted, which string) (n int64) {
	c.Helper()
	const q = ` (SELECT MAX(begun) FROM quota_tallies WHERE gateway = $1)`
	row := c.db.QueryRowContext(context.Background(), `SELECT CAST(COALESCE(SUM(calls), 0) AS BIGINT) FROM quota_tallies WHERE gateway = $1 AND begun `+which+q, g.name)
	if err := row.Scan(&n); err != nil {
		c.Fatal(err)
	}
	return n
}

func (c *counting) newest(g *counted) int64 { return c.kept(g, "=") }
func (c *counting) all(g *counted) int64    { return c.kept(g, "<=") }

// round lets requests come, kills somebody, and looks at what is known then.
func (c *counting) round(n int) {
	c.Helper()
	stop := make(chan struct{})
	var senders sync.WaitGroup
	for _, g := range c.gateways {
		for range 2 {
			senders.Go(func() {
				for {
					select {
					case <-stop:
						return
					case <-time.After(time.Duration(rand.IntN(8)) * time.Millisecond):
					}
					if _, err := c.pass(g); err != nil {
						return // it was killed
					}
				}
			})
		}
	}
	time.Sleep(time.Duration(500+rand.IntN(2500)) * time.Millisecond) // at a moment that nobody chose
	dies := map[int]*counted{1: c.gateways[0], 2: c.gateways[1], 3: c.gateways[rand.IntN(2)]}[n%4]
	at := time.Now()
	switch n % 4 {
	case 0:
		c.control.kill()
		time.Sleep(time.Duration(rand.IntN(1500)) * time.Millisecond) // while requests go on
	case 3:
		c.control.kill()
		dies.process.kill()
	default:
		dies.process.kill()
	}
	close(stop)
	senders.Wait()
	if n%4 == 0 || n%4 == 3 {
		c.startControl()
	}
	for _, g := range c.gateways {
		if g == dies {
			c.bury(g, at)
		} else {
			c.settle(g)
		}
	}
}

// settle waits until everything that the gateway, which lives, has let through is kept.
func (c *counting) settle(g *counted) {
	c.Helper()
	want := g.settled + int64(len(g.passed))
	c.until("all that "+g.name+" let through is kept", func() bool { return c.all(g) >= want })
	if got := c.all(g); got != want || g.unanswered > 0 {
		c.Errorf("%d requests of %s are kept, and it let %d through; %d were not answered", got, g.name, want, g.unanswered)
	}
	c.sent += int64(len(g.passed))
	g.settled, g.passed = want, nil
}

// bury looks at what was lost of a gateway that was killed then, and starts it anew.
func (c *counting) bury(g *counted, at time.Time) {
	c.Helper()
	passed, unanswered, before := g.passed, int64(g.unanswered), g.settled
	g.passed, g.unanswered = nil, 0
	lives := c.lives(g)
	g.process = nil
	c.begin(g)
	c.until("the life of "+g.name+" that began now is known", func() bool { return c.lives(g) != lives })
	c.until("all that it let through is kept", func() bool { return c.newest(g) == int64(len(g.passed)) })
	kept := c.all(g) - c.newest(g)
	lost := before + int64(len(passed)) - kept
	if lost < -unanswered {
		c.Errorf("%d requests of %s are kept, and it let %d through and perhaps %d more: some count twice", kept-before, g.name, len(passed), unanswered)
	}
	if lost > 0 {
		back := at.Sub(passed[len(passed)-int(lost)])
		if c.worst = max(c.worst, back); back > mayBeLost+slowness {
			c.Errorf("%s lost %d requests, and the first of them was let through %s before it was killed", g.name, lost, back)
		}
		c.lost += lost
	}
	c.sent += int64(len(passed) + len(g.passed))
	g.settled, g.passed = kept+int64(len(g.passed)), nil
}

// lives is when the newest life of the gateway began, that has told.
func (c *counting) lives(g *counted) (begun int64) {
	if err := c.db.QueryRowContext(context.Background(), `SELECT COALESCE(MAX(begun), 0) FROM quota_tallies WHERE gateway = $1`, g.name).Scan(&begun); err != nil {
		c.Fatal(err)
	}
	return begun
}
