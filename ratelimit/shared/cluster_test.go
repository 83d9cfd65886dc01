package shared_test

import (
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/ratelimit"
	"gatehouse/ratelimit/shared"
)

// ask says one command to a node.
func (s *server) ask(words ...string) string {
	s.t.Helper()
	program, err := exec.LookPath("valkey-cli")
	if err != nil {
		if program, err = exec.LookPath("redis-cli"); err != nil {
			s.t.Fatal("neither valkey-cli nor redis-cli is here: make tools installs one")
		}
	}
	out, err := exec.Command(program, append([]string{"-h", "127.0.0.1", "-p", strconv.Itoa(s.port)}, words...)...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("%s: %v: %s", strings.Join(words, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// cluster is three nodes that share the slots, without replicas.
func cluster(t *testing.T) []*server {
	t.Helper()
	var nodes []*server
	var buses []int
	for n := range 3 {
		bus := free(t)
		buses = append(buses, bus)
		nodes = append(nodes, serve(t, "--cluster-enabled", "yes", "--cluster-config-file", fmt.Sprintf("nodes-%d.conf", n), "--cluster-node-timeout", "15000",
			"--cluster-port", strconv.Itoa(bus)))
	}
	for n, slots := range [][]string{{"0", "5460"}, {"5461", "10922"}, {"10923", "16383"}} {
		if got := nodes[n].ask("cluster", "addslotsrange", slots[0], slots[1]); got != "OK" {
			t.Fatal(got)
		}
	}
	for n := range nodes[1:] {
		if got := nodes[0].ask("cluster", "meet", "127.0.0.1", strconv.Itoa(nodes[n+1].port), strconv.Itoa(buses[n+1])); got != "OK" {
			t.Fatal(got)
		}
	}
	wait(t, "the cluster is whole", func() bool {
		for _, s := range nodes {
			info := s.ask("cluster", "info")
			if !strings.Contains(info, "cluster_state:ok") || !strings.Contains(info, "cluster_known_nodes:3") {
				return false
			}
		}
		return true
	})
	return nodes
}

// In a Cluster limits are as exact as with one server, whichever node a key is on and whichever nodes the address names; and
// all windows of a key are on one node.
func TestCluster(t *testing.T) {
	nodes := cluster(t)
	whole := "redis://" + nodes[0].address() + "?addr=" + nodes[1].address()
	gateways := []*shared.Store{gateway(t, shared.Options{Address: whole}), gateway(t, shared.Options{Address: "redis://" + nodes[2].address() + "?addr=" + nodes[0].address()})}
	wait(t, "they know of each other", func() bool { return gateways[0].Gateways() == 2 && gateways[1].Gateways() == 2 })
	ws := []ratelimit.Window{{Name: "day", Requests: 5000, Per: 24 * time.Hour, Burst: 1000}, {Name: "hour", Requests: 20, Per: time.Hour}}
	const keys = 12
	for _, leased := range []bool{false, true} {
		var passed [keys]atomic.Int64
		var wg sync.WaitGroup
		for _, g := range gateways {
			wg.Go(func() {
				for range 40 {
					for k := range keys {
						if _, ok := spend(t, g, fmt.Sprintf("gr_%v_%d", leased, k), ws, leased); ok {
							passed[k].Add(1)
						}
					}
				}
			})
		}
		wg.Wait()
		for k := range keys {
			// An answer that came too late may have counted; the hour goes on while it is counted.
			if n := passed[k].Load(); n > 21 || !leased && n < 15 || n < 9 {
				t.Errorf("leased %v, key %d: %d passed, the limit is 20", leased, k, n)
			}
		}
	}
	used := 0
	for _, s := range nodes {
		if s.ask("dbsize") != "0" {
			used++
		}
	}
	if used < 2 {
		t.Errorf("the keys are on %d of three nodes", used)
	}
}
