package gatewayapi

import (
	"encoding/base64"
	"strings"

	"gatehouse/drift/k8s"
)

// Decoded is an entry of a secret or config map: its stringData, its data, or its data decoded.
func Decoded(o *k8s.Object, key string) string {
	if s := o.Node.Get("stringData", key).Str(); s != "" {
		return s
	}
	s := o.Node.Get("data", key).Str()
	if o.Kind != "Secret" {
		return s
	}
	b, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		return ""
	}
	return string(b)
}
