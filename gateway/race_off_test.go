//go:build !race

package gateway

const mostAllocations = 0
