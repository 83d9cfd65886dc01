package drift

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strings"
)

// Text is text from a configuration that is shown: code, header values, expressions. It is masked when it is made and
// again when it is written.
type Text string

// Shown masks s and bounds its length.
func Shown(s string) Text {
	const most = 4 << 10 // enough to recognise a piece of code by
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return Text(Mask(s))
}

// MarshalText writes the masked text.
func (t Text) MarshalText() ([]byte, error) { return []byte(Mask(string(t))), nil }

// UnmarshalText reads text back, masked.
func (t *Text) UnmarshalText(b []byte) error { *t = Text(Mask(string(b))); return nil }

const masked = "[secret]"

// scheme finds credentials after the name of their scheme; a plain word after it is prose, not a credential.
var scheme = regexp.MustCompile(`(?i)\b(bearer|basic|sharedaccesssignature|apikey|token|digest|splunk)\s+([A-Za-z0-9+/_.~=-]{8,})`)

func hideScheme(m string) string {
	i := strings.IndexAny(m, " \t\r\n")
	word := strings.TrimSpace(m[i:])
	if strings.ContainsAny(word, "0123456789=+/~") || word != strings.ToLower(word) && word[1:] != strings.ToLower(word[1:]) {
		return m[:i] + " " + masked
	}
	return m
}

// pattern finds one shape of secret; the submatch 1 is kept before the mask and 2 after it. Only a text that holds one of the hints is
// looked at, for most texts are short and hold none.
type pattern struct {
	hints []string
	re    *regexp.Regexp
}

var maskPatterns = []pattern{
	{[]string{"PRIVATE KEY"}, regexp.MustCompile(`(?s)(-----BEGIN [A-Z ]*PRIVATE KEY-----).*?(-----END [A-Z ]*PRIVATE KEY-----|$)`)},
	{[]string{"eyJ"}, regexp.MustCompile(`()\beyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)?()`)},
	{[]string{"@"}, regexp.MustCompile(`([a-zA-Z][a-zA-Z0-9+.-]*://)[^/\s@"'<>?#]+(@)`)},
	{[]string{"="}, regexp.MustCompile(`(?i)([?&;](?:sig|se?cret|key|code|token|password|pwd|api[-_]?key|subscription-key|access[-_]?key|client_secret|access_token)=)[^&\s"'<>;]+()`)},
	{[]string{"="}, regexp.MustCompile(`(?i)((?:account|sharedaccess|access|instrumentation|primary|secondary|secret|api|subscription|private|signing|encryption|client)[-_ ]?(?:key|secret)\s*=\s*["']?)[^;&\s"'<>(){}]{6,}()`)},
	{[]string{"ass", "ASS", "wd", "WD", "ecret", "ECRET"}, regexp.MustCompile(`(?i)((?:password|passwd|pwd|client_secret|clientsecret|secret)["']?\s*[:=]\s*["']?)[^;&\s"'<>(){}\[\],]{3,}()`)},
	{[]string{"AKIA", "ASIA"}, regexp.MustCompile(`()\b(?:AKIA|ASIA)[A-Z0-9]{16}\b()`)},
	{[]string{"gh", "glpat", "xox", "sk", "pk", "rk"}, regexp.MustCompile(`()\b(?:ghp|gho|ghs|ghu|github_pat|glpat|xox[abpr]|sk|pk|rk)[-_][A-Za-z0-9_-]{16,}\b()`)},
	{[]string{"gh_"}, regexp.MustCompile(`()\bgh_[a-z0-9-]+_[a-z0-9]+_[A-Za-z0-9]{16,}\b()`)},
}

func (p pattern) hinted(s string) bool {
	for _, h := range p.hints {
		if strings.Contains(s, h) {
			return true
		}
	}
	return false
}

// Mask hides what looks like a secret in s: keys, tokens, passwords in addresses and in connection strings. It changes
// nothing that it has masked before.
func Mask(s string) string {
	if len(s) < 6 {
		return s
	}
	if strings.ContainsAny(s, " \t\n\r\f") {
		s = scheme.ReplaceAllStringFunc(s, hideScheme)
	}
	for _, p := range maskPatterns {
		if p.hinted(s) {
			s = p.re.ReplaceAllString(s, "${1}"+masked+"${2}")
		}
	}
	return s
}

var joined = strings.NewReplacer("-", "", "_", "", ".", "", " ", "")

// SecretName reports whether a header, field or property of this name holds a secret, so that its value is not shown.
func SecretName(name string) bool {
	n := joined.Replace(strings.ToLower(name))
	switch n {
	case "authorization", "proxyauthorization", "cookie", "setcookie", "xapikey", "apikey", "ocpapimsubscriptionkey", "xfunctionskey", "pass":
		return true
	}
	for _, w := range []string{"password", "passwd", "secret", "privatekey", "accesskey", "token", "credential", "subscriptionkey", "apikey", "signingkey", "passphrase"} {
		if strings.Contains(n, w) {
			return true
		}
	}
	return false
}

// ValueOf is the value of a named field as it may be kept: whole, or only its hash when the name says that it is a secret.
func ValueOf(name, value string) Text {
	if value != "" && SecretName(name) {
		return Text(masked)
	}
	return Shown(value)
}

// Hash is a short hash of text without differences of white space, for comparing code.
func Hash(s string) string {
	h := sha256.Sum256([]byte(strings.Join(strings.Fields(s), " ")))
	return hex.EncodeToString(h[:8])
}
