package mail

import (
	"context"
	"strings"
	"sync"
)

// boxSize is how many letters a Box keeps: enough for an afternoon of development, too few to fill the memory.
const boxSize = 200

// Box keeps the newest letters in memory and delivers none. It is for development.
type Box struct {
	mu      sync.Mutex
	letters []Letter // oldest first
}

// NewBox returns an empty box.
func NewBox() *Box { return &Box{} }

// Send keeps the letter. The oldest one goes when the box is full.
func (b *Box) Send(ctx context.Context, l Letter) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := check(l); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.letters) == boxSize {
		copy(b.letters, b.letters[1:])
		b.letters = b.letters[:boxSize-1]
	}
	b.letters = append(b.letters, l)
	return nil
}

// Letters returns what is kept, newest first.
func (b *Box) Letters() []Letter {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]Letter, 0, len(b.letters))
	for i := len(b.letters) - 1; i >= 0; i-- {
		out = append(out, b.letters[i])
	}
	return out
}

// Links returns the addresses that stand on lines of their own in a letter's text, in their order.
func Links(text string) []string {
	var out []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if (strings.HasPrefix(line, "https://") || strings.HasPrefix(line, "http://")) && !strings.ContainsAny(line, " \t") {
			out = append(out, line)
		}
	}
	return out
}
