package certs

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// pairs lists the files as they are now.
func (s *Store) pairs() ([]Pair, error) {
	all := slices.Clone(s.o.Pairs)
	if s.o.Folder == "" {
		return all, nil
	}
	entries, err := os.ReadDir(s.o.Folder)
	if err != nil {
		return nil, fmt.Errorf("the folder of certificates cannot be read: %w", err)
	}
	for _, e := range entries {
		name, path := e.Name(), filepath.Join(s.o.Folder, e.Name())
		if strings.HasPrefix(name, ".") { // Kubernetes keeps what it swaps in ..data
			continue
		}
		if ext := filepath.Ext(name); ext == ".crt" || ext == ".pem" {
			all = append(all, Pair{path, strings.TrimSuffix(path, ext) + ".key"})
			continue
		}
		if at, err := os.Stat(filepath.Join(path, "tls.crt")); err == nil && at.Mode().IsRegular() {
			all = append(all, Pair{filepath.Join(path, "tls.crt"), filepath.Join(path, "tls.key")})
		}
	}
	return all, nil
}

// look says how the files look without reading them; settled is false while one of them is so fresh that it could change
// again and look the same.
func (s *Store) look(all []Pair) (seen string, settled bool, err error) {
	var b strings.Builder
	settled = true
	files := make([]string, 0, 2*len(all)+1)
	for _, p := range all {
		files = append(files, p.Certificate, p.Key)
	}
	if s.o.Authorities != "" {
		files = append(files, s.o.Authorities)
	}
	for _, f := range files {
		i, err := os.Stat(f)
		if err != nil {
			return "", false, err
		}
		fmt.Fprintln(&b, f, i.Size(), i.ModTime().UnixNano())
		settled = settled && time.Since(i.ModTime()) > 2*pollEvery
	}
	return b.String(), settled, nil
}

// read makes a generation of the files.
func (s *Store) read(all []Pair) (*generation, error) {
	if len(all) == 0 {
		return nil, errors.New("there is no certificate")
	}
	g, sum := &generation{names: map[string][]*tls.Certificate{}}, sha256.New()
	for _, p := range all {
		certificate, err := os.ReadFile(p.Certificate)
		if err != nil {
			return nil, fmt.Errorf("the certificate %s cannot be read: %w", p.Certificate, err)
		}
		key, err := os.ReadFile(p.Key)
		if err != nil {
			return nil, fmt.Errorf("the key %s cannot be read: %w", p.Key, err)
		}
		c, err := tls.X509KeyPair(certificate, key)
		if err != nil {
			return nil, fmt.Errorf("the certificate %s cannot be used with the key %s: %w", p.Certificate, p.Key, err)
		}
		g.add(&c)
		fmt.Fprintf(sum, "%d %d\n%s%s", len(certificate), len(key), certificate, key)
	}
	var authorities *x509.CertPool
	if s.o.Authorities != "" {
		pem, err := os.ReadFile(s.o.Authorities)
		if err != nil {
			return nil, fmt.Errorf("the authorities %s cannot be read: %w", s.o.Authorities, err)
		}
		authorities = x509.NewCertPool()
		if !authorities.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("there is no certificate in %s", s.o.Authorities)
		}
		g.authorities = sha256.Sum256(pem)
		sum.Write(g.authorities[:])
	}
	sum.Sum(g.digest[:0])
	s.build(g, authorities)
	return g, nil
}

// add takes a certificate under the names that it has.
func (g *generation) add(c *tls.Certificate) {
	if g.first == nil {
		g.first = c
	}
	for _, n := range c.Leaf.DNSNames {
		n = strings.ToLower(strings.TrimSuffix(n, "."))
		g.names[n] = append(g.names[n], c)
	}
}
