package gatehouse

import (
	"path"
	"slices"
	"strings"
	"time"

	"gatehouse/drift"
	"gatehouse/drift/source"
)

// certificates lists what the start-up configuration names: what the listener shows, and what it verifies callers by. Paths are
// taken relative to the file that names them; what is not among the files is told as such. Keys are not read.
func (r *reader) certificates(file string) {
	const scope = "start-up configuration"
	tls := r.start.top.Get("gateway", "tls")
	for _, c := range []struct{ setting, use string }{{"certificate", "server"}, {"client-authorities", "ca"}} {
		n := tls.Get(c.setting)
		if n.Str() == "" {
			continue
		}
		x := r.certificate(path.Join(path.Dir(file), n.Str()), n.Str(), c.use, n.Origin(scope))
		if c.use == "server" {
			r.shown = append(r.shown, x.Ref)
		}
	}
	if n := tls.Get("folder"); n.Str() != "" {
		r.folder(path.Join(path.Dir(file), n.Str()), n)
	}
}

// folder lists the certificates that clients choose by name.
func (r *reader) folder(dir string, n *source.Node) {
	for _, name := range r.Names() {
		below, inside := strings.CutPrefix(name, dir+"/")
		if inside && (strings.HasSuffix(below, ".crt") || strings.HasSuffix(below, ".pem")) {
			x := r.certificate(name, path.Join(n.Str(), below), "server", n.Origin("start-up configuration"))
			r.shown = append(r.shown, x.Ref)
		}
	}
}

func (r *reader) certificate(name, said, use string, o drift.Origin) drift.Certificate {
	const cause = "the certificate is not among the files"
	ref := drift.Mask(said)
	x := drift.Certificate{Ref: ref, Kind: "file", Use: use, Ends: drift.Unknown[time.Time](cause, o), KeyAlg: drift.Unknown[string](cause, o), Pinned: drift.ByDefault(false), Rotates: drift.Unknown[bool](cause, o), Origin: o}
	if !path.IsAbs(said) && r.Has(name) {
		r.taken = append(r.taken, name)
		if text, ok := r.Text(name); ok {
			if c, ok := drift.CertificateOf(ref, use, string(text), o); ok {
				c.Kind, x = "file", c
			}
		}
	}
	r.env.Refer("certificate", said, o)
	r.env.Certificates = append(r.env.Certificates, x)
	return x
}

// took reports whether a file has been read as something other than a part of the manifest.
func (r *reader) took(name string) bool { return slices.Contains(r.taken, name) }
