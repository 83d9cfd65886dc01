//go:build race

package gateway

// mostAllocations of an exchange: the race detector drops what pools keep.
const mostAllocations = 4
