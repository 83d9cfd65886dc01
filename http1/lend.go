package http1

import "gatehouse/wire"

// Lend lets another goroutine read the request's body until Return, while the answer may already be sent. A client that
// waits for 100 Continue is told to go on.
func (e *Exchange) Lend() error {
	err := e.goOn()
	e.body.wanted, e.lent = nil, true
	return err
}

// Halt makes a Read of a lent body end that waits, and all later ones.
func (e *Exchange) Halt() { e.src.halt() }

// Return ends what Lend began: nobody reads the body any more. When it was not read to its end, the connection ends after this
// exchange.
func (e *Exchange) Return() {
	if !e.lent {
		return
	}
	e.lent = false
	e.c.reading.forget()
	if !e.c.s.cutting.Load() {
		e.src.halted.Store(false)
	}
	if !e.body.over {
		e.closing = true
	}
}

// Gone reports whether the client has ended its side with nothing left to read, or its server ends everything: nobody waits
// for the answer any more. It may be asked while the connection is read.
func (e *Exchange) Gone() bool { return e.gone() }

// Trailer is what came after the body, once reading it has returned io.EOF.
func (e *Exchange) Trailer() wire.Fields { return e.Request.Trailer }
