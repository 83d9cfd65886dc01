package gateway

// Poison overwrites connections' buffers once they are given back, so that whoever kept a View notices.
func (g *Gateway) Poison() { g.buffers.Poison = true }
