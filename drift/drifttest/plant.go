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

// Values that stand alone: of YAML on a line, of JSON behind a key, of XML between tags.
var (
	plainValue  = regexp.MustCompile(`(?m)^(\s*(?:- )?[A-Za-z][\w.-]*:[ \t]+)([A-Za-z][\w./-]{2,})([ \t]*\r?)$`)
	quotedValue = regexp.MustCompile(`("[A-Za-z_][\w.-]*"\s*:\s*")([A-Za-z][^"\\{}$]{2,})(")`)
	innerText   = regexp.MustCompile(`(>)([A-Za-z][^<>{}@&]{2,})(</)`)
)

// Sown puts values that are known by their shape, such as a token, in the place of a few values of a text that holds no secret. Which
// ones is drawn by their number, so that all sorts of fields come in turn over many files.
func Sown(text []byte, turn int) (out []byte, secrets []string) {
	const most, every = 3, 5 // values of a file, and one of so many
	s, seen := string(text), turn
	sow := func(re *regexp.Regexp) {
		s = re.ReplaceAllStringFunc(s, func(m string) string {
			seen++
			p := re.FindStringSubmatch(m)
			if seen%every != 0 || len(secrets) == most || strings.Contains(strings.ToLower(p[1]), "kind") || strings.Contains(strings.ToLower(p[1]), "version") {
				return m
			}
			v := fmt.Sprintf("eyJhbGciOiJub25lIn0.qz9Sown7f3a9c1e%04d.c2ln", len(secrets))
			secrets = append(secrets, v)
			return p[1] + v + p[3]
		})
	}
	sow(quotedValue)
	sow(plainValue)
	sow(innerText)
	return []byte(s), secrets
}

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
