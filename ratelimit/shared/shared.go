// Package shared counts keys against windows together with other gateways, in Valkey or Redis: GCRA in one round trip.
package shared

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"gatehouse/fault"
	"gatehouse/ratelimit"
)

const (
	// Deadline is how long a request waits for the counter at most; then the limit's declared answer holds.
	Deadline = 50 * time.Millisecond
	pause    = time.Second // after a failure nobody asks for so long: requests get the declared answer at once
	beat     = 5 * time.Second
	gone     = 3 * beat // without a sign of life a gateway does not count any more
)

// Options is how a Store reaches its server. The address is a URL: redis://user:password@host:6379/0, rediss:// with TLS; a
// Cluster is told by further nodes, as ?addr=host2:6379&addr=host3:6379.
type Options struct {
	Address string
	CA      string // a file with the authorities that have signed the server's certificate; "": those of the system
	Group   string // counts are shared by all that say the same, such as the environment
	Log     *slog.Logger
}

// Store is the counters in one server or Cluster. It keeps nothing of what was read: no client-side caching.
type Store struct {
	how      rueidis.ClientOption
	client   atomic.Pointer[rueidis.Client] // nil: it was never reached
	script   *rueidis.Lua
	group    string
	me       string
	log      *slog.Logger
	gateways atomic.Int64 // that share the counts; 0: not known yet
	until    atomic.Int64 // nobody asks before that time, in Unix nanoseconds; 0: all is well
	failures atomic.Int64
	leases   leases
}

// Open makes a Store. A server that is away now is tried again by Run.
func Open(o Options) (*Store, error) {
	c, err := rueidis.ParseURL(o.Address)
	if err != nil {
		return nil, fault.New(fault.Invalid, "the address of the counters is not understood: it has the form redis://user:password@host:6379/0, or rediss:// with TLS")
	}
	if c.TLSConfig != nil && o.CA != "" {
		pem, err := os.ReadFile(o.CA)
		if err != nil {
			return nil, fmt.Errorf("the authorities of the counters' server cannot be read: %w", err)
		}
		c.TLSConfig.RootCAs = x509.NewCertPool()
		if !c.TLSConfig.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fault.New(fault.Invalid, "%s holds no certificate", o.CA)
		}
		c.TLSConfig.MinVersion = tls.VersionTLS12
	}
	c.DisableCache, c.DisableRetry, c.ForceSingleClient = true, true, false
	c.Dialer.Timeout, c.ConnWriteTimeout = pause, pause
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Store{how: c, script: rueidis.NewLuaScript(script), group: o.Group, me: rand.Text(), log: o.Log}
	s.leases.init()
	s.connect()
	return s, nil
}

// connect reaches the server for the first time.
func (s *Store) connect() {
	if s.client.Load() != nil {
		return
	}
	client, err := rueidis.NewClient(s.how)
	if s.note(err); err == nil {
		s.client.Store(&client)
	}
}

// Close ends the connections. Nothing else may run any more.
func (s *Store) Close() {
	if c := s.client.Load(); c != nil {
		(*c).Close()
	}
}

// Run tells the others that this gateway is there, and learns how many they are, until ctx ends.
func (s *Store) Run(ctx context.Context) error {
	t := time.NewTicker(beat)
	defer t.Stop()
	key := "gh:{" + s.group + "}:gateways"
	for {
		s.connect()
		if c := s.client.Load(); c != nil {
			if n, err := s.count(ctx, *c, key); err == nil {
				s.gateways.Store(n)
			}
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			if c := s.client.Load(); c != nil {
				last, cancel := context.WithTimeout(context.WithoutCancel(ctx), Deadline)
				defer cancel()
				(*c).Do(last, (*c).B().Zrem().Key(key).Member(s.me).Build())
			}
			return nil
		}
	}
}

// count says that we are there and how many are.
func (s *Store) count(ctx context.Context, c rueidis.Client, key string) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, pause)
	defer cancel()
	now := float64(time.Now().Unix())
	for _, r := range c.DoMulti(ctx,
		c.B().Zadd().Key(key).ScoreMember().ScoreMember(now, s.me).Build(),
		c.B().Zremrangebyscore().Key(key).Min("-inf").Max(strconv.FormatFloat(now-gone.Seconds(), 'f', 0, 64)).Build(),
		c.B().Expire().Key(key).Seconds(int64(2*gone.Seconds())).Build()) {
		if err := r.Error(); err != nil {
			return 0, err
		}
	}
	return c.Do(ctx, c.B().Zcard().Key(key).Build()).AsInt64()
}

// Away reports whether the counters do not answer.
func (s *Store) Away() bool { return s.until.Load() != 0 }

// Failures is how often they did not answer in time.
func (s *Store) Failures() int64 { return s.failures.Load() }

// Gateways is how many share the counts; 0: it is not known.
func (s *Store) Gateways() int64 { return s.gateways.Load() }

var errAway = errors.New("the counters are away")

// script takes as many of ARGV[1] calls as all windows have room for. ARGV[2i] and ARGV[2i+1] are the step and the tolerance of
// the window KEYS[i], in microseconds. It answers how many it took, and how far each window was ahead of now before.
const script = `local t = redis.call('TIME')
local now = (tonumber(t[1]) - 1700000000) * 1000000 + tonumber(t[2])
local n, at = tonumber(ARGV[1]), {}
for i = 1, #KEYS do
  local step, tolerance = tonumber(ARGV[2 * i]), tonumber(ARGV[2 * i + 1])
  local tat = tonumber(redis.call('GET', KEYS[i]) or '0')
  at[i] = math.min(math.max(tat, now), now + tolerance)
  n = math.min(n, math.floor((now + tolerance - at[i]) / step + 0.001))
end
local out = {n}
for i = 1, #KEYS do
  if n > 0 then
    local tat = at[i] + n * tonumber(ARGV[2 * i])
    redis.call('SET', KEYS[i], string.format('%.2f', tat), 'PX', math.ceil((tat - now) / 1000) + 1)
  end
  out[i + 1] = string.format('%.0f', at[i] - now)
end
return out`

// take takes up to n calls of the key, and says how far ahead each window was.
func (s *Store) take(key string, windows []ratelimit.Window, n int64) (taken int64, ahead []time.Duration, err error) {
	now, client := time.Now(), s.client.Load()
	if client == nil {
		return 0, nil, errAway
	}
	if until := s.until.Load(); until > now.UnixNano() || until != 0 && !s.until.CompareAndSwap(until, now.Add(pause).UnixNano()) {
		return 0, nil, errAway // of those that come when the pause is over, one asks
	}
	keys, args := make([]string, len(windows)), make([]string, 1, 1+2*len(windows))
	args[0] = strconv.FormatInt(n, 10)
	for i := range windows {
		w := &windows[i]
		burst := w.Burst
		if burst == 0 {
			burst = w.Requests
		}
		step := float64(w.Per) / float64(w.Requests) / 1000
		keys[i] = "gh:{" + s.group + ":" + key + "}:" + w.Name
		args = append(args, strconv.FormatFloat(step, 'f', 4, 64), strconv.FormatFloat(step*float64(burst), 'f', 4, 64))
	}
	ctx, cancel := context.WithTimeout(context.Background(), Deadline)
	defer cancel()
	answer, err := s.script.Exec(ctx, *client, keys, args).ToArray()
	if err == nil && len(answer) != len(windows)+1 {
		err = errors.New("the answer has another length")
	}
	if err == nil {
		taken, err = answer[0].AsInt64()
	}
	for i := 1; err == nil && i < len(answer); i++ {
		var us int64
		us, err = answer[i].AsInt64()
		ahead = append(ahead, time.Duration(us)*time.Microsecond)
	}
	s.note(err)
	return taken, ahead, err
}

// note keeps whether the counters answer, and logs when that changes.
func (s *Store) note(err error) {
	if err == nil {
		if s.until.Swap(0) != 0 {
			s.log.Info("the counters of shared limits are back")
		}
		return
	}
	s.failures.Add(1)
	if s.until.Swap(time.Now().Add(pause).UnixNano()) == 0 {
		s.log.Warn("the counters of shared limits are away: each limit's declared answer holds", "error", err)
	}
}

// Spend counts one request of the key against all windows at once, as ratelimit.Limiter does, and appends a Result for each.
// leased: from what this gateway took before, if there is something. An error says that the counters are away; nothing was
// counted then, or nobody knows.
func (s *Store) Spend(name string, key []byte, windows []ratelimit.Window, leased bool, out []ratelimit.Result) ([]ratelimit.Result, bool, error) {
	full := name + ":" + string(key)
	if leased {
		if n := s.size(windows); n > 1 {
			return s.lease(full, windows, n, out)
		}
	}
	taken, ahead, err := s.take(full, windows, 1)
	if err != nil {
		return out, false, err
	}
	return results(out, windows, ahead, taken), taken > 0, nil
}

// size is how many calls a gateway may take at once: so that all gateways together hold no more than half of the limit.
func (s *Store) size(windows []ratelimit.Window) int64 {
	g := s.gateways.Load()
	if g == 0 {
		return 1
	}
	n := int64(math.MaxInt64)
	for _, w := range windows {
		burst := w.Burst
		if burst == 0 {
			burst = w.Requests
		}
		n = min(n, min(burst, w.Requests)/(2*g))
	}
	return n
}

// results tells how the windows stand after so many calls were taken.
func results(out []ratelimit.Result, windows []ratelimit.Window, ahead []time.Duration, taken int64) []ratelimit.Result {
	for i := range windows {
		w := &windows[i]
		step := int64(w.Per) / w.Requests
		at := int64(ahead[i])
		_, fits := w.Spend(at, 0)
		if taken > 0 {
			at += step * taken
		}
		out = append(out, w.Result(at, 0, fits || taken > 0))
	}
	return out
}

// leases is what this gateway took and has not spent.
type leases struct {
	mu   sync.Mutex
	held map[string]*held
}

// mostHeld is how many keys have a lease; further ones ask for each request.
const mostHeld = 1 << 16

type held struct {
	mu    sync.Mutex // held while more is taken: those that wait share it
	left  int64
	until time.Time
	ahead []time.Duration
}

func (l *leases) init() { l.held = map[string]*held{} }

// of returns the lease of the key; nil: there is no room for another one.
func (l *leases) of(key string, now time.Time) *held {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := l.held[key]
	if h == nil {
		if len(l.held) >= mostHeld {
			for k, old := range l.held { // some that are over, if a look finds them
				if old.mu.TryLock() {
					over := now.After(old.until)
					old.mu.Unlock()
					if over {
						delete(l.held, k)
					}
				}
				if len(l.held) < mostHeld*3/4 {
					break
				}
			}
			if len(l.held) >= mostHeld {
				return nil
			}
		}
		h = &held{}
		l.held[key] = h
	}
	return h
}

// lease spends from what is held, and takes more when nothing is. What is not spent within the time in which the window
// refills as much is given up.
func (s *Store) lease(key string, windows []ratelimit.Window, n int64, out []ratelimit.Result) ([]ratelimit.Result, bool, error) {
	now := time.Now()
	h := s.leases.of(key, now)
	if h == nil {
		taken, ahead, err := s.take(key, windows, 1)
		if err != nil {
			return out, false, err
		}
		return results(out, windows, ahead, taken), taken > 0, nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.left == 0 || now.After(h.until) || len(h.ahead) != len(windows) {
		taken, ahead, err := s.take(key, windows, n)
		if err != nil {
			return out, false, err
		}
		h.left, h.ahead, h.until = taken, ahead, now.Add(refill(windows, taken))
		if taken == 0 {
			return results(out, windows, ahead, 0), false, nil
		}
		for i := range windows { // what is held is spent as far as others can see
			h.ahead[i] += time.Duration(int64(windows[i].Per) / windows[i].Requests * taken)
		}
	}
	h.left--
	return results(out, windows, h.ahead, 0)[:len(out)+len(windows)], true, nil
}

// refill is the shortest time in which a window has room for so many calls again.
func refill(windows []ratelimit.Window, n int64) time.Duration {
	shortest := time.Duration(math.MaxInt64)
	for _, w := range windows {
		shortest = min(shortest, time.Duration(int64(w.Per)/w.Requests*n))
	}
	return shortest
}
