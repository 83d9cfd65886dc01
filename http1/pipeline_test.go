package http1_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"gatehouse/http1/rawtest"
)

// However much comes at once after bodies of whatever size, each request is answered, in order, and only once.
func TestPipelines(t *testing.T) {
	up := newRecorder(t)
	p := newProxy(t, up.addr, nil)
	for _, size := range []int{0, 1, 3000, 4000, 4090, 5000, 10_000, 16_000, 17_000, 40_000, 100_000} {
		for _, chunked := range []bool{false, true} {
			for _, behind := range []int{1, 10, 60, 300} {
				body := strings.Repeat("GET /hidden HTTP/1.1\r\nHost: a.test\r\n\r\n", size/38+1)[:size]
				raw := fmt.Sprintf("POST /first HTTP/1.1\r\nHost: a.test\r\nContent-Length: %d\r\n\r\n%s", size, body)
				if chunked {
					raw = fmt.Sprintf("POST /first HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", size, body)
					if size == 0 {
						raw = "POST /first HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
					}
				}
				for i := range behind {
					raw += fmt.Sprintf("GET /%d HTTP/1.1\r\nHost: a.test\r\nX: %s\r\n\r\n", i, strings.Repeat("y", 60))
				}
				answer := say(t, p.addr, raw)
				if n := strings.Count(answer, "HTTP/1.1 200 OK\r\n"); n != behind+1 {
					t.Fatalf("%d bytes, chunked %t, %d requests behind: %d answers of 200, %d in all", size, chunked, behind, n, strings.Count(answer, "HTTP/1.1 "))
				}
				var got []rawtest.Message
				for _, sent := range up.take(p) {
					got = append(got, readings(t, sent)...)
				}
				slices.SortStableFunc(got, func(a, b rawtest.Message) int { // on a loop another connection is used than off it
					return cmp.Or(len(a.Target)-len(b.Target), strings.Compare(a.Target, b.Target))
				})
				first := slices.IndexFunc(got, func(m rawtest.Message) bool { return m.Target == "/first" })
				if len(got) != behind+1 || first < 0 || got[first].Body != body {
					t.Fatalf("%d bytes, chunked %t, %d requests behind: the upstream got %d, the first one at %d", size, chunked, behind, len(got), first)
				}
				for i, m := range slices.Delete(got, first, first+1) {
					if m.Target != fmt.Sprintf("/%d", i) {
						t.Fatalf("%d bytes, chunked %t, %d requests behind: %s stands for %d", size, chunked, behind, m.Target, i)
					}
				}
			}
		}
	}
}

// Streams of requests made at random, cut into pieces at random: the upstream gets exactly those, and each is answered.
func TestRandomStreams(t *testing.T) {
	up := newRecorder(t)
	p := newProxy(t, up.addr, nil)
	for seed := range 150 {
		rnd := rand.New(rand.NewPCG(uint64(seed), 3))
		var raw strings.Builder
		var want []rawtest.Message
		for i := range 1 + rnd.IntN(30) {
			m := rawtest.Message{Method: "POST", Target: fmt.Sprintf("/%d/%d", seed, i)}
			size := []int{0, 1, 10, 2000, 4096, 5000, 16384, 30_000, 70_000}[rnd.IntN(9)]
			switch rnd.IntN(4) {
			case 0:
				m.Method = "GET"
				fmt.Fprintf(&raw, "GET %s HTTP/1.1\r\nHost: a\r\nX: %s\r\n\r\n", m.Target, strings.Repeat("x", rnd.IntN(5000)))
			case 1, 2:
				m.Body = strings.Repeat(string(rune('a'+i%26)), size)
				fmt.Fprintf(&raw, "POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", m.Target, size, m.Body)
			default:
				fmt.Fprintf(&raw, "POST %s HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", m.Target)
				for range rnd.IntN(5) {
					part := strings.Repeat(string(rune('A'+i%26)), 1+rnd.IntN(size+1))
					m.Body += part
					fmt.Fprintf(&raw, "%x%s\r\n%s\r\n", len(part), []string{"", ";a", ";a=b"}[rnd.IntN(3)], part)
				}
				raw.WriteString([]string{"0\r\n\r\n", "00\r\nDigest: x\r\n\r\n", "0;x\r\nX-Y: z\r\n\r\n"}[rnd.IntN(3)])
			}
			if rnd.IntN(5) == 0 {
				raw.WriteString("\r\n")
			}
			want = append(want, m)
		}
		c := dial(t, p)
		go func() {
			for rest := raw.String(); rest != ""; {
				n := min(len(rest), 1+rnd.IntN([]int{3, 100, 5000, 100_000}[rnd.IntN(4)]))
				c.say(rest[:n])
				rest = rest[n:]
			}
			c.closeWrite()
		}()
		for _, m := range want {
			if status, body := c.answer(m.Method); status != 200 || body != "ok" {
				t.Fatalf("seed %d: %s was answered %d %q", seed, m.Target, status, body)
			}
		}
		c.ends()
		got := map[string]string{}
		n := 0
		for _, sent := range up.take(p) {
			for _, m := range readings(t, sent) {
				got[m.Method+m.Target] = m.Body
				n++
			}
		}
		for _, m := range want {
			if body, there := got[m.Method+m.Target]; !there || body != m.Body || n != len(want) {
				t.Fatalf("seed %d: %s has %d bytes at the upstream (%t), not %d; %d requests, not %d", seed, m.Target, len(body), there, len(m.Body), n, len(want))
			}
		}
	}
}
