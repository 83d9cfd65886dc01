package h2

import "time"

// patience is how much work without a result a connection may still cause. It comes back with time, and with what gets done.
type patience struct {
	left int
	seen time.Time
}

// What things cost. A client that cancels all the streams that it may have at a time, or a dozen in each second for ever, is
// borne; so is one that cancels no more than it lets be answered.
const (
	patienceMost   = 5120
	patienceSecond = 512 // comes back

	costIdle     = 1  // a frame that changes next to nothing
	costPing     = 1  // one to be answered
	costEmpty    = 10 // content without content
	costSettings = 20
	costReset    = 40 // a stream that was opened for nothing
)

func (p *patience) full(now time.Time) { p.left, p.seen = patienceMost, now }

// spend takes n, and reports whether there was so much.
func (p *patience) spend(n int) bool {
	if p.left < patienceMost/2 { // looking at the clock costs more than most frames
		now := time.Now()
		if back := int(now.Sub(p.seen) * patienceSecond / time.Second); back > 0 {
			p.left, p.seen = min(p.left+back, patienceMost), now
		}
	}
	p.left -= n
	return p.left >= 0
}

// earn gives n back.
func (p *patience) earn(n int) { p.left = min(p.left+n, patienceMost) }
