package storetest

import "runtime"

// ended ends the goroutine, as a test does that fails within fn.
func ended() { runtime.Goexit() }
