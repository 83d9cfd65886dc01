//go:build race

package http1_test

// raced tells that the race detector is on: it makes sync.Pool forget at random, and everything larger.
const raced = true
