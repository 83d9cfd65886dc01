package control

import "gatehouse/feed"

// Source is the control plane's end of the feed.
func (c *Control) Source() feed.Source { panic("control: to be written") }
