package gateway_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gatehouse/gateway"
)

// One address holds so many connections and no more; when one of them ends, another may come.
func TestConnectionsOfOneAddress(t *testing.T) {
	const most = 3
	h := start(t, setup{codec: gateway.HTTP1, limits: gateway.Limits{Peer: most}})
	var open []net.Conn
	ask := func(nc net.Conn) error {
		_ = nc.SetDeadline(time.Now().Add(10 * time.Second))
		if _, err := io.WriteString(nc, "GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
			return err
		}
		res, err := http.ReadResponse(bufio.NewReader(nc), nil)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, res.Body)
		return errors.Join(err, res.Body.Close())
	}
	// Who is turned away may learn it while still connecting.
	another := func() (net.Conn, error) {
		nc, err := net.Dial("tcp", h.addr)
		if err != nil {
			return nil, err
		}
		t.Cleanup(func() { nc.Close() })
		return nc, ask(nc)
	}
	for range most {
		nc, err := another()
		if err != nil {
			t.Fatalf("within the bound: %v", err)
		}
		open = append(open, nc)
	}
	switch _, err := another(); {
	case err == nil:
		t.Fatalf("a connection beyond %d was served", most)
	case !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF):
		t.Fatalf("a connection beyond the bound: %v", err)
	}
	if n := h.counted("gatehouse_connections_turned_away_total"); n < 1 {
		t.Errorf("%v connections were counted as turned away", n)
	}
	for _, nc := range open {
		if err := ask(nc); err != nil {
			t.Errorf("one of the first is disturbed: %v", err)
		}
	}
	open[0].Close()
	h.wait("another may come", func() bool {
		_, err := another()
		return err == nil
	})
}

// counted is the value of a counter without labels of its own.
func (h *house) counted(name string) float64 {
	h.t.Helper()
	families, err := prometheus.Gatherers{h.g.Metrics()}.Gather()
	if err != nil {
		h.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	h.t.Fatalf("there is no metric %s", name)
	return 0
}
