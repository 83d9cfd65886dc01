//go:build !unix

package http1

import "errors"

// polled tells that waiting and reading can be done apart: not here.
const polled = false

var errNothing = errors.ErrUnsupported

func readNow(uintptr, []byte) (int, error) { return 0, errors.ErrUnsupported }

func writeNow(uintptr, []byte) (int, error) { return 0, errors.ErrUnsupported }

func hasLeft(uintptr) bool { return false }
