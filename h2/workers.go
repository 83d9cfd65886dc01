package h2

import (
	"sync"

	"gatehouse/http1"
)

// mostWorkers is how many goroutines wait for a next request while they have none. Each has a stack that has grown to what a
// request needs, which to grow anew for each costs more than the goroutine.
const mostWorkers = 256

// workers run handlers, one after the other.
type workers struct {
	mu     sync.Mutex
	idle   []*worker
	closed bool
}

type worker struct{ next chan job }

// job is a request to be handled.
type job struct {
	c *serverConn
	s *stream
	r http1.Reason
}

// run has somebody handle the request.
func (p *workers) run(j job) {
	var w *worker
	p.mu.Lock()
	if n := len(p.idle); n > 0 { // whoever waits for the shortest time: its memory is near
		w, p.idle[n-1] = p.idle[n-1], nil
		p.idle = p.idle[:n-1]
	}
	p.mu.Unlock()
	if w == nil {
		w = &worker{make(chan job, 1)}
		go p.work(w)
	}
	w.next <- j
}

func (p *workers) work(w *worker) {
	for j := range w.next {
		j.c.handle(j.s, j.r)
		p.mu.Lock()
		if p.closed || len(p.idle) >= mostWorkers {
			p.mu.Unlock()
			return
		}
		p.idle = append(p.idle, w)
		p.mu.Unlock()
	}
}

// rest ends those that wait; with forGood, the others too when they have done what they do. run works on.
func (p *workers) rest(forGood bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = p.closed || forGood
	for i, w := range p.idle {
		close(w.next)
		p.idle[i] = nil
	}
	p.idle = p.idle[:0]
}
