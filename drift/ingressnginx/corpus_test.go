package ingressnginx_test

import (
	"io/fs"
	"testing"

	"gatehouse/drift"
	"gatehouse/drift/drifttest"
	"gatehouse/drift/ingressnginx"
)

func TestCorpus(t *testing.T) {
	files, ops := 0, 0
	var all []*drift.Environment
	for _, dir := range []string{"ingress-nginx", "traefik/k8s-fixtures/pkg/provider/kubernetes/ingress-nginx"} {
		drifttest.EachFile(t, drifttest.Corpus(t, dir), []string{".yaml", ".yml"}, func(name string, fsys fs.FS, text []byte) {
			files++
			e, _ := ingressnginx.Read(fsys, drift.Options{Name: "corpus", Now: drifttest.Now()})
			drifttest.Invariants(t, name, e)
			drifttest.Hidden(t, name, e, drifttest.Secrets(text))
			ops += len(e.Operations)
			e, _ = ingressnginx.Read(fsys, drift.Options{Name: "corpus", Now: drifttest.Now(), Values: map[string]string{"configmap": "none", "replicas": "2"}})
			drifttest.Invariants(t, name, e)
			all = append(all, e)
		})
	}
	if ops < 90 {
		t.Errorf("only %d operations in %d files", ops, files)
	}
	t.Logf("%d files, %d operations; %s", files, ops, drift.CoverAll(all))
}
