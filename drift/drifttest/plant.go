package drifttest

import (
	"fmt"
	"regexp"
	"strings"
)

// secretField are fields that hold a secret by their name, in YAML and JSON; secretAttr the same in XML.
var (
	secretField = regexp.MustCompile(`(?im)((?:^|[\s{,"'-])["']?(?:password|passwd|client[_-]?secret|app[_-]?secret|shared[_-]?secret|hmac[_-]?secret|session[_-]?secret|secret[_-]?key|secret[_-]?value|private[_-]?key|signing[_-]?key|access[_-]?key|primarykey|secondarykey|connectionstring|instrumentationkey|redis[_-]?password|bind[_-]?password|auth[_-]?token|access[_-]?token|bearer[_-]?token)["']?\s*:[ \t]*)(["']?)([A-Za-z0-9+/=._~!#-]{4,})(["']?)([ \t]*(?:[,}\]\r\n]|$))`)
	secretAttr  = regexp.MustCompile(`(?i)(\b(?:password|client-secret|key)=")([^"@{<>]{4,})(")`)
	secretScope = regexp.MustCompile(`(?i)(\b(?:Bearer|Basic)\s+)([A-Za-z0-9+/=._-]{12,})`)
	address     = regexp.MustCompile(`\b(https?://)([a-z0-9][a-z0-9.-]*[a-z0-9](?:[:/"'\s]|$))`)
	reference   = regexp.MustCompile(`(?i)^(?:true|false|null|none|header|query|body|https?:.*|.*\$\{.*|[a-z-]+(?:/[a-z-]+)+|.*[-_.](?:secret|key|token|password)s?)$`)
)

// Planted replaces what stands in fields of secrets by values that can be looked for, puts a password into the first addresses, and
// returns these. named is how many of them stand in fields.
func Planted(text []byte) (out []byte, secrets []string, named int) {
	s := string(text)
	fresh := func() string {
		v := fmt.Sprintf("qz9Planted7f3a9c1e%04d", len(secrets))
		secrets = append(secrets, v)
		return v
	}
	s = secretField.ReplaceAllStringFunc(s, func(m string) string {
		p := secretField.FindStringSubmatch(m)
		if reference.MatchString(p[3]) || p[2] != p[4] {
			return m
		}
		return p[1] + p[2] + fresh() + p[4] + p[5]
	})
	if strings.Contains(s, "<") {
		s = secretAttr.ReplaceAllStringFunc(s, func(m string) string {
			p := secretAttr.FindStringSubmatch(m)
			return p[1] + fresh() + p[3]
		})
	}
	s = secretScope.ReplaceAllStringFunc(s, func(m string) string {
		p := secretScope.FindStringSubmatch(m)
		return p[1] + fresh()
	})
	named = len(secrets)
	const addresses = 4 // of a file
	s = address.ReplaceAllStringFunc(s, func(m string) string {
		if len(secrets)-named == addresses || strings.Contains(m, "schema") || strings.Contains(m, "w3.org") {
			return m
		}
		p := address.FindStringSubmatch(m)
		return p[1] + "someone:" + fresh() + "@" + p[2]
	})
	return []byte(s), secrets, named
}
