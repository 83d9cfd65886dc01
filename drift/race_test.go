//go:build race

package drift_test

// raced says that the race detector is on, under which times mean nothing.
const raced = true
