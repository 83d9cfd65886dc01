package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"syscall"
	"time"

	"gatehouse/gateway"
)

// udpAgain is between two tries to take a UDP port that a predecessor still has: its connections end first, and clients come
// back over TCP meanwhile.
const udpAgain = 250 * time.Millisecond

// serveH3 speaks HTTP/3 on the UDP port of the same number as the listener's.
func serveH3(ctx context.Context, log *slog.Logger, environment string, g *gateway.Gateway, l *secureListener) error {
	at := l.Addr().String()
	for told := false; ; told = true {
		pc, err := new(net.ListenConfig).ListenPacket(ctx, "udp", at)
		if err == nil {
			return g.ServeH3(ctx, pc, l.certs.Config())
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			return fmt.Errorf("HTTP/3 cannot listen on the UDP port %s: %w. Choose another address with gateway.listen, or set gateway.http3 to false", at, err)
		}
		if !told {
			log.Warn("HTTP/3 waits: somebody else has the UDP port", "environment", environment, "address", at)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(udpAgain):
		}
	}
}
