// Package lock keeps other processes away from what one process has: by an advisory lock on a file, which goes with its process, however
// that ends.
package lock
