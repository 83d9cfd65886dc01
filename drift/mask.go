package drift

import (
	"crypto/sha256"
	"encoding/hex"
	"reflect"
	"regexp"
	"strings"
	"time"
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

var schemes = []string{"bearer", "basic", "sharedaccesssignature", "apikey", "token", "digest", "splunk"}

// schemed reports whether a scheme may be named in s, which is told faster than found. Other scripts have letters that fold to ours.
func schemed(s string) bool {
	for i := range len(s) {
		switch c := s[i]; c | 0x20 {
		case 'b', 's', 'a', 't', 'd':
			for _, w := range schemes {
				if w[0] == c|0x20 && len(s)-i > len(w) && strings.EqualFold(s[i:i+len(w)], w) {
					return true
				}
			}
		default:
			if c >= 0x80 {
				return true
			}
		}
	}
	return false
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
	if strings.ContainsAny(s, " \t\n\r\f") && schemed(s) {
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

// Hide masks every text of the environment but the names of files and the places within them: whatever a reader took over from a name,
// a host or a list is shown no more than a value is.
func Hide(e *Environment) { hide(reflect.ValueOf(e).Elem(), map[*Policy]bool{}) }

func hide(v reflect.Value, seen map[*Policy]bool) {
	switch v.Kind() {
	case reflect.String:
		if s := v.String(); len(s) >= 6 {
			if m := Mask(s); m != s {
				v.SetString(m)
			}
		}
	case reflect.Pointer:
		if v.IsNil() {
			return
		}
		if p, ok := v.Interface().(*Policy); ok {
			if seen[p] {
				return
			}
			seen[p] = true
		}
		hide(v.Elem(), seen)
	case reflect.Slice:
		for i := range v.Len() {
			hide(v.Index(i), seen)
		}
	case reflect.Struct:
		switch v.Type() {
		case reflect.TypeFor[Source](), reflect.TypeFor[time.Time]():
			return
		case reflect.TypeFor[Origin]():
			hide(v.FieldByName("Scope"), seen)
			return
		case reflect.TypeFor[Problem]():
			hide(v.FieldByName("Text"), seen)
			return
		}
		for i := range v.NumField() {
			if f := v.Field(i); f.CanSet() {
				hide(f, seen)
			}
		}
	}
}
