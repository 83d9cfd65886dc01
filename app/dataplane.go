package app

import (
	"log/slog"
	"os"
	"runtime"
	"sync"
	"time"

	"gatehouse/config"
	"gatehouse/event"
	"gatehouse/gateway"
	"gatehouse/secret"
)

// dataPlane is what the start-up configuration says of a gateway.
func dataPlane(c config.Config, events event.Sink, log *slog.Logger) gateway.Options {
	return gateway.Options{Loops: loops(c), Kinds: Kinds(), Secrets: func(name string) (secret.Value, bool) { v, ok := c.Secrets[name]; return v, ok },
		Events: events, Now: time.Now, Log: log, Codec: gateway.Codec(c.Codec), H2C: c.H2C, DNS: c.DNS,
		Fetch: newOutside(c), Limits: gateway.Limits{Peer: c.Peer, Tunnels: c.Tunnels}}
}

// processors is how many there were for this process at its start.
var processors = sync.OnceValue(func() int { return runtime.GOMAXPROCS(0) })

// loops is on how many threads a gateway serves busy connections. They come on top of those that the scheduler has for everything
// else, which would have to wait for them otherwise.
func loops(c config.Config) int {
	if !c.Ring || c.Gateway.TLS() || c.Codec != string(gateway.HTTP1) {
		return 0
	}
	n := processors()
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(2 * n)
	}
	return n
}
