//go:build !race

package drifttest

// healEvery is of how many weakenings one is planned away.
const healEvery = 1
