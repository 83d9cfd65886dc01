//go:build race

package drifttest

// healEvery is of how many weakenings one is planned away: the race detector makes each many times slower.
const healEvery = 4
