package gateway

import "crypto/x509"

// Poison overwrites connections' buffers once they are given back, so that whoever kept a View notices.
func (g *Gateway) Poison() { g.buffers.Poison = true }

// Trust sets the roots that upstreams are verified by, before the gateway follows anything.
func (g *Gateway) Trust(roots *x509.CertPool) { g.secure.RootCAs = roots }

// Raced tells that the race detector is on.
const Raced = mostAllocations > 0

// Eager has connections ride on loops whenever they wait for anything.
func Eager(yes bool) { eager = yes }
