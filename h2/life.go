package h2

import (
	"context"
	"sync"
	"time"
)

// life is the context of one exchange, as part of its memory: those of package context would cost several pieces of memory and
// a place in a list of the server's for each. It carries no values and has no deadline of its own.
type life struct {
	mu   sync.Mutex
	err  error
	done chan struct{} // made when somebody asks for it
	over func()        // of WhenOver
	more []*func()     // of AfterFunc; nil: taken back
	kept bool          // somebody has asked to be told of the end, and may hold it for longer
}

var _ context.Context = (*life)(nil)

// Deadline says that there is none.
func (l *life) Deadline() (time.Time, bool) { return time.Time{}, false }

// Value knows nothing.
func (l *life) Value(any) any { return nil }

// Err is nil while the exchange goes on, and context.Canceled afterwards.
func (l *life) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// Done is closed when the exchange is over.
func (l *life) Done() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.kept = true
	if l.done == nil {
		l.done = make(chan struct{})
		if l.err != nil {
			close(l.done)
		}
	}
	return l.done
}

// WhenOver has f called when the exchange is over: at once when it is already. f must not wait for anybody. There can be one
// at a time, until Forget.
func (l *life) WhenOver(f func()) {
	l.mu.Lock()
	over := l.err != nil
	if !over {
		l.over = f
	}
	l.mu.Unlock()
	if over {
		f()
	}
}

// Forget takes WhenOver back, and reports whether it came before the end, so that f was not called and never will be.
func (l *life) Forget() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = nil
	return l.err == nil
}

// AfterFunc is what package context asks a context for that is not its own, so that it needs no goroutine to wait for Done.
func (l *life) AfterFunc(f func()) (stop func() bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		go f()
		return func() bool { return false }
	}
	l.kept = true
	at := len(l.more)
	l.more = append(l.more, &f)
	return func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.err != nil || l.more[at] == nil {
			return false
		}
		l.more[at] = nil
		return true
	}
}

// asked reports whether somebody may hold it for longer than the exchange lasts.
func (l *life) asked() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.kept
}

// end says that the exchange is over.
func (l *life) end() {
	l.mu.Lock()
	if l.err != nil {
		l.mu.Unlock()
		return
	}
	l.err = context.Canceled
	if l.done != nil {
		close(l.done)
	}
	over, more := l.over, l.more
	l.over, l.more = nil, nil
	l.mu.Unlock()
	if over != nil {
		over()
	}
	for _, f := range more {
		if f != nil {
			go (*f)()
		}
	}
}
