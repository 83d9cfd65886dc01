package gateway

import (
	"strconv"
	"sync"
	"testing"
	"time"

	"gatehouse/event"
	"gatehouse/wire"
)

// told keeps the paths of events, each of which must come once.
type told struct {
	mu    sync.Mutex
	paths map[string]int
	hosts map[string]bool
}

func (t *told) Write(e *event.Exchange) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.paths[string([]byte(e.Path))]++
	t.hosts[string([]byte(e.Host))] = true
}

func (t *told) once() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for _, times := range t.paths {
		if times != 1 {
			return -1
		}
		n++
	}
	return n
}

func noted(g *Gateway, c *carrier, path string) {
	c.began, c.view, c.path = time.Now(), g.View(), wire.View(path)
	c.x.Now, c.x.Request.Authority = c.began, wire.View("api.example.test")
	g.record(c, 0, nil)
}

// What is noted is written up in a moment though nobody calls any more, and at once when somebody asks for the figures.
func TestNotesAreWrittenInAMoment(t *testing.T) {
	sink := &told{paths: map[string]int{}, hosts: map[string]bool{}}
	b := newBench(t, sink)
	c := b.g.newCarrier()
	for i := range notesMost - 1 {
		noted(b.g, c, "/"+strconv.Itoa(i))
	}
	for begun := time.Now(); sink.once() != notesMost-1; time.Sleep(time.Millisecond) {
		if time.Since(begun) > 10*time.Second {
			t.Fatalf("%d of %d were written", sink.once(), notesMost-1)
		}
	}
	noted(b.g, c, "/asked")
	if _, err := b.g.Metrics().Gather(); err != nil || sink.once() != notesMost {
		t.Errorf("figures were gathered (%v) and %d of %d written", err, sink.once(), notesMost)
	}
	noted(b.g, c, "/last")
	b.g.meters.running.Add(1)
	b.g.ended()
	if n := sink.once(); n != notesMost+1 {
		t.Errorf("the last exchange has ended, and %d of %d were written", n, notesMost+1)
	}
}

// Of what many note at the same time nothing is lost, doubled or mixed, long paths included.
func TestNotesOfManyAreWrittenOnce(t *testing.T) {
	sink := &told{paths: map[string]int{}, hosts: map[string]bool{}}
	b := newBench(t, sink)
	const many, each = 8, 2000
	var all sync.WaitGroup
	for i := range many {
		all.Go(func() {
			c := b.g.newCarrier()
			long := string(make([]byte, i*500))
			for j := range each {
				noted(b.g, c, "/"+strconv.Itoa(i*each+j)+long)
				if j%100 == 0 {
					b.g.notes.settle()
				}
			}
		})
	}
	all.Wait()
	b.g.notes.settle()
	if n := sink.once(); n != many*each || len(sink.hosts) != 1 {
		t.Errorf("%d of %d were written once, of %d hosts", n, many*each, len(sink.hosts))
	}
}
