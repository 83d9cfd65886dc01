// Command eid is the example upstream: a small service that verifies electronic identities. It trusts only the gateway,
// which presents a shared secret, and separates what it keeps by the organization that the gateway names.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// secretVariable names the environment variable with the secret that the gateway presents.
const secretVariable = "EID_GATEWAY_SECRET"

func main() {
	listen := flag.String("listen", "127.0.0.1:8009", "address to listen on")
	fast := flag.Bool("fast", false, "answer without the latencies of a real service, and decide at once")
	parent := flag.Bool("until-stdin-ends", false, "stop when standard input ends: with the process that started this one, however that ends")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if *parent {
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			stop()
		}()
	}
	if err := run(ctx, *listen, os.Getenv(secretVariable), *fast); err != nil {
		fmt.Fprintln(os.Stderr, "eid:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends, then lets running requests finish for a moment.
func run(ctx context.Context, listen, secret string, fast bool) error {
	if len(secret) < 16 {
		return fmt.Errorf("set %s to the secret that the gateway presents, of 16 characters or more", secretVariable)
	}
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	pace := realistic
	if fast {
		pace = immediate
	}
	server := &http.Server{
		Handler:           newService(secret, pace, time.Now).handler(),
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       2 * time.Minute,
	}
	fmt.Printf("eid listens on %s\n", l.Addr())
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := server.Shutdown(drain); err != nil {
		return err
	}
	if err := <-done; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
