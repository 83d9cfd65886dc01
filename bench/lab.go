package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"
)

// lab is one run: what was started for it, each of them once.
type lab struct {
	options
	dir              string
	log              io.Writer
	upstream         string
	certificate, key string // files
	started          []*process
	houses           map[string]*house
	cores            int      // that a Gatehouse may use; 0: all
	missing          []string // what could not be measured, and why
}

// workers is how many threads or workers each target has: one for each core.
func workers() int { return runtime.NumCPU() }

func (l *lab) begin(ctx context.Context) (err error) {
	l.houses = map[string]*house{}
	if err := l.certify(); err != nil {
		return err
	}
	l.miss("Traefik: its module needs others that Go's module proxy does not serve, so not measured; published is 4.4 to 4.8 of nginx plain (2.8 to 3.5 on its fast path)")
	l.upstream, err = l.upstreamAt(ctx)
	return err
}

// once starts a process unless it runs already, and waits until it listens.
func (l *lab) once(name string, start func() (*process, error)) (*process, error) {
	for _, p := range l.started {
		if p.name == name {
			return p, nil
		}
	}
	p, err := start()
	if err != nil {
		return nil, err
	}
	p.name = name
	l.started = append(l.started, p)
	return p, p.ready(context.Background())
}

// end ends one process.
func (l *lab) end(p *process) error {
	l.started = slices.DeleteFunc(l.started, func(o *process) bool { return o == p })
	return p.stop()
}

func (l *lab) close() (all error) {
	for _, p := range slices.Backward(l.started) {
		all = errors.Join(all, p.stop())
	}
	l.started = nil
	return all
}

func (l *lab) miss(text string) {
	if !slices.Contains(l.missing, text) {
		l.missing = append(l.missing, text)
	}
}

func (l *lab) wanted(g group) bool {
	if l.only != nil {
		return slices.Contains(l.only, g.name)
	}
	return g.short || !l.short
}

// certify makes the certificate that all targets show: ECDSA on P-256, as is usual.
func (l *lab) certify() error {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, c, c, &k.PublicKey, k)
	if err != nil {
		return err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		return err
	}
	l.certificate, l.key = filepath.Join(l.dir, "certificate.pem"), filepath.Join(l.dir, "key.pem")
	return errors.Join(
		os.WriteFile(l.certificate, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), 0o600),
		os.WriteFile(l.key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600))
}

// selfSigned trusts whoever answers: it is a process that we started.
func selfSigned() *tls.Config { return &tls.Config{InsecureSkipVerify: true} }

// measure runs a group's targets in turn, round after round, and then counts system calls.
func (l *lab) measure(ctx context.Context, g group) ([]result, error) {
	entrants, err := g.build(ctx, l)
	if err != nil {
		return nil, err
	}
	for _, e := range entrants { // caches, pools and the branch predictor: nothing of it counts
		if _, err := e.load.run(ctx, e.process, max(e.load.warm, time.Second)); err != nil {
			return nil, fmt.Errorf("%s %s: %w", e.kase, e.target, err)
		}
	}
	rounds := make([][]tally, len(entrants))
	for round := range l.rounds {
		for i, e := range entrants {
			t, err := e.load.run(ctx, e.process, l.spell)
			if err != nil {
				return nil, fmt.Errorf("%s %s: %w", e.kase, e.target, err)
			}
			rounds[i] = append(rounds[i], t)
			for _, h := range l.houses {
				h.settle()
			}
		}
		fmt.Fprintf(l.log, "round %d of %d\n", round+1, l.rounds)
	}
	var results []result
	for i, e := range entrants {
		r := summary(e, rounds[i], rounds[0])
		r.RSS = round(e.process.memory(), 1)
		n, err := e.load.calls(ctx, e.process)
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", e.kase, e.target, err)
		}
		r.Calls = round(n, 2)
		results = append(results, r)
	}
	return results, nil
}

// hold starts a group's targets and prints how they are asked.
func (l *lab) hold(ctx context.Context, g group) error {
	entrants, err := g.build(ctx, l)
	for _, e := range entrants {
		fmt.Fprintf(l.log, "%s %s, process %d: %q\n", e.kase, e.target, e.process.cmd.Process.Pid, e.load.command(e.process, l.spell))
	}
	return err
}
