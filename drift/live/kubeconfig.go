package live

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"

	"gatehouse/drift/source"
	"gatehouse/fault"
	"gatehouse/secret"
)

// pod is where Kubernetes puts what a pod needs to ask its cluster.
const pod = "/var/run/secrets/kubernetes.io/serviceaccount"

// small bounds the files of credentials.
const small = 1 << 20

func readSmall(name string) ([]byte, error) {
	st, err := os.Stat(name)
	if err != nil {
		return nil, fault.New(fault.NotFound, "%s cannot be read", name).Because(err)
	}
	if st.Size() > small || !st.Mode().IsRegular() {
		return nil, fault.Bad("", "%s is not a file of credentials", name)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, fault.New(fault.NotFound, "%s cannot be read", name).Because(err)
	}
	return b, nil
}

// cluster is a client of the context's cluster, or of the one that this pod runs in. Programs that a configuration names to fetch
// credentials are not run.
func (f *fetch) cluster(context string) (*client, error) {
	if f.o.Kubeconfig == "" {
		return f.inside(context)
	}
	b, err := readSmall(f.o.Kubeconfig)
	if err != nil {
		return nil, err
	}
	docs, _, err := source.Parse("kubeconfig.yaml", b)
	if err != nil || len(docs) == 0 {
		return nil, fault.Bad("", "%s is not a configuration of clusters", f.o.Kubeconfig)
	}
	d, dir := docs[0], filepath.Dir(f.o.Kubeconfig)
	if context == "" {
		context = d.Get("current-context").Str()
	}
	c := named(d.Get("contexts"), context).Get("context")
	if c == nil {
		return nil, fault.New(fault.NotFound, "%s has no context %q", f.o.Kubeconfig, context)
	}
	to, who := named(d.Get("clusters"), c.Get("cluster").Str()).Get("cluster"), named(d.Get("users"), c.Get("user").Str()).Get("user")
	conf := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: to.Get("tls-server-name").Str()}
	if skip, _ := to.Get("insecure-skip-tls-verify").Bool(); skip {
		return nil, fault.Bad("", "the cluster of context %q is not verified (insecure-skip-tls-verify): give its authority as certificate-authority instead", context)
	}
	authority, err := material(to, dir, "certificate-authority")
	if err != nil {
		return nil, err
	}
	if authority != nil {
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(authority) {
			return nil, fault.Bad("", "the certificate-authority of context %q cannot be read", context)
		}
	}
	token := secret.New(who.Get("token").Str())
	if name := who.Get("tokenFile").Str(); name != "" {
		t, err := readSmall(beside(dir, name))
		if err != nil {
			return nil, err
		}
		token = secret.New(strings.TrimSpace(string(t)))
	}
	cert, err := material(who, dir, "client-certificate")
	if err != nil {
		return nil, err
	}
	key, err := material(who, dir, "client-key")
	if err != nil {
		return nil, err
	}
	if cert != nil {
		pair, err := tls.X509KeyPair(cert, key)
		if err != nil {
			return nil, fault.Bad("", "the client certificate of context %q cannot be read", context)
		}
		conf.Certificates = []tls.Certificate{pair}
	}
	if token.Empty() && cert == nil && (who.Has("exec") || who.Has("auth-provider")) {
		return nil, fault.Bad("", "context %q gets its credentials from a program, which is not run here: make a token with kubectl create token and put it into the file", context)
	}
	return f.newClient(to.Get("server").Str(), token, conf)
}

func named(list *source.Node, name string) *source.Node {
	for _, n := range list.Items() {
		if n.Get("name").Str() == name {
			return n
		}
	}
	return nil
}

func beside(dir, name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(dir, name)
}

// material is a certificate or key: written in, or in a file beside.
func material(n *source.Node, dir, key string) ([]byte, error) {
	if s := n.Get(key + "-data").Str(); s != "" {
		b, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			return nil, fault.Bad("", "%s-data is not base64", key)
		}
		return b, nil
	}
	if s := n.Get(key).Str(); s != "" {
		return readSmall(beside(dir, s))
	}
	return nil, nil
}

func (f *fetch) inside(context string) (*client, error) {
	env := f.o.Environ
	if env == nil || env("KUBERNETES_SERVICE_HOST") == "" || context != "" {
		return nil, fault.Bad("", "no configuration of clusters is given, and this is no pod: set KUBECONFIG")
	}
	token, err := readSmall(pod + "/token")
	if err != nil {
		return nil, err
	}
	authority, err := readSmall(pod + "/ca.crt")
	if err != nil {
		return nil, err
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: x509.NewCertPool()}
	conf.RootCAs.AppendCertsFromPEM(authority)
	host := env("KUBERNETES_SERVICE_HOST")
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return f.newClient("https://"+host+":"+env("KUBERNETES_SERVICE_PORT"), secret.New(strings.TrimSpace(string(token))), conf)
}
