package control

import (
	"fmt"
	netmail "net/mail"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/language"
	"golang.org/x/text/unicode/norm"

	"gatehouse/fault"
	"gatehouse/secret"
)

// How long things may be, in characters; names and texts in any script.
const (
	longestName     = 120
	longestPurpose  = 2000
	longestReason   = 1000
	longestWebsite  = 200
	longestRegister = 64
	longestEmail    = 254 // RFC 5321 §4.5.3.1.3, without its brackets
	longestLocal    = 64  // RFC 5321 §4.5.3.1.1
	longestAgent    = 200
)

// form checks one input and gathers everything that is wrong with it, by JSON pointer.
type form struct{ wrong []fault.Field }

func (f *form) bad(pointer, format string, args ...any) {
	f.wrong = append(f.wrong, fault.Field{Pointer: pointer, Text: fmt.Sprintf(format, args...)})
}

// err is the fault that lists what is wrong, or nil.
func (f *form) err() error {
	if len(f.wrong) == 0 {
		return nil
	}
	return fault.BadFields(f.wrong)
}

// name takes one line of text with at least one letter or digit in it.
func (f *form) name(pointer, s string, most int) string {
	s = f.optional(pointer, s, most)
	if s == "" {
		if !f.has(pointer) {
			f.bad(pointer, "must be given")
		}
		return ""
	}
	if strings.IndexFunc(s, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }) < 0 {
		f.bad(pointer, "must have a letter or a digit in it")
	}
	return s
}

// optional takes one line of text, or none.
func (f *form) optional(pointer, s string, most int) string {
	s, why := clean(s, most, false)
	if why != "" {
		f.bad(pointer, "%s", why)
	}
	return s
}

// text takes text of several lines; it must not be empty.
func (f *form) text(pointer, s string, most int) string {
	s = f.optionalText(pointer, s, most)
	if s == "" && !f.has(pointer) {
		f.bad(pointer, "must be given")
	}
	return s
}

// optionalText takes text of several lines, or none.
func (f *form) optionalText(pointer, s string, most int) string {
	s, why := clean(s, most, true)
	if why != "" {
		f.bad(pointer, "%s", why)
	}
	return s
}

func (f *form) has(pointer string) bool {
	for _, w := range f.wrong {
		if w.Pointer == pointer {
			return true
		}
	}
	return false
}

// clean normalises text to NFC, trims it, and says what is wrong with it: "" for nothing. What is wrong comes back empty.
func clean(s string, most int, lines bool) (_, why string) {
	const widest = 12 // bytes that one character may take before it is composed; more is refused unread
	switch {
	case len(s) > most*widest+widest:
		return "", fmt.Sprintf("must have at most %d characters", most)
	case !utf8.ValidString(s):
		return "", "must be valid UTF-8"
	}
	if lines {
		s = strings.ReplaceAll(s, "\r\n", "\n")
	}
	s = strings.TrimSpace(norm.NFC.String(s))
	before := rune(0)
	for _, r := range s {
		if lines && (r == '\n' || r == '\t') {
			continue
		}
		if unseen(r) || !lines && (r == 0x200E || r == 0x200F || joiner(r) && before < utf8.RuneSelf) { // text needs them, a name does not
			return "", fmt.Sprintf("must not contain the character %U", r)
		}
		if !lines && joiner(before) && r < utf8.RuneSelf {
			return "", fmt.Sprintf("must not contain the character %U", before)
		}
		before = r
	}
	if !lines && joiner(before) {
		return "", fmt.Sprintf("must not contain the character %U", before)
	}
	if n := utf8.RuneCountInString(s); n > most {
		return "", fmt.Sprintf("must have at most %d characters, not %d", most, n)
	}
	return s, ""
}

// unseen reports whether a character changes how text looks or where its lines end without being seen: control
// characters, overrides and isolates of direction, line separators, tags and noncharacters. Joiners stay: scripts need them.
func unseen(r rune) bool {
	switch {
	case unicode.IsControl(r),
		0x202A <= r && r <= 0x202E, 0x2066 <= r && r <= 0x2069, // direction
		r == 0x2028, r == 0x2029, // line and paragraph separators
		r == 0x200B, 0x2060 <= r && r <= 0x2064, r == 0xFEFF, // nothing at all, of no width
		r == 0x00AD, r == 0x034F, r == 0x061C, 0x180B <= r && r <= 0x180E, 0x206A <= r && r <= 0x206F, 0x1D173 <= r && r <= 0x1D17A, // formats
		r == 0x115F, r == 0x1160, r == 0x17B4, r == 0x17B5, r == 0x2800, r == 0x3164, r == 0xFFA0, // fillers: letters without a shape
		0xFFF9 <= r && r <= 0xFFFB,                     // annotations
		0xE0000 <= r && r <= 0xE007F,                   // tags
		0xFDD0 <= r && r <= 0xFDEF, r&0xFFFE == 0xFFFE: // noncharacters
		return true
	}
	return false
}

// joiner reports whether a character only says how its neighbours are drawn. Between Latin letters it says nothing, so that two
// names would look the same.
func joiner(r rune) bool { return r == 0x200C || r == 0x200D }

// email takes an e-mail address and returns the one form in which it is stored and compared: lower case, the domain in
// ASCII.
func (f *form) email(pointer, s string) string {
	e, why := cleanEmail(s)
	if why != "" {
		f.bad(pointer, "%s", why)
	}
	return e
}

func cleanEmail(s string) (_, why string) {
	const notOne = "must be an e-mail address, such as name@example.org"
	s, why = clean(s, longestEmail, false)
	if why != "" {
		return "", why
	}
	a, err := netmail.ParseAddress(s)
	if s == "" || err != nil || a.Address != s || strings.ContainsAny(s, "\"<>() ,;:\\[]") {
		return "", notOne
	}
	at := strings.LastIndexByte(s, '@')
	local, domain := s[:at], s[at+1:]
	domain, err = idna.Lookup.ToASCII(domain)
	if err != nil || domain == "" || strings.HasSuffix(domain, ".") || len(local) > longestLocal {
		return "", notOne
	}
	e := norm.NFC.String(strings.ToLower(local)) + "@" + strings.ToLower(domain)
	if len(e) > longestEmail {
		return "", fmt.Sprintf("must have at most %d characters", longestEmail)
	}
	return e, ""
}

// website takes an http or https address, or none.
func (f *form) website(pointer, s string) string {
	s = f.optional(pointer, s, longestWebsite)
	if s == "" {
		return ""
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.User != nil || u.Opaque != "" {
		f.bad(pointer, "must be an address such as https://example.org")
		return ""
	}
	return u.String()
}

// country takes an ISO 3166-1 alpha-2 code, or none.
func (f *form) country(pointer, s string) string {
	s = strings.ToUpper(strings.TrimSpace(s))
	if s == "" {
		return ""
	}
	if len(s) == 2 {
		if r, err := language.ParseRegion(s); err == nil && r.IsCountry() && r.String() == s {
			return s
		}
	}
	f.bad(pointer, "must be the two letters of a country (ISO 3166-1), such as NL")
	return ""
}

// once takes the key of a form that must not act twice, or none.
func (f *form) once(s string) string {
	if len(s) > maxOnce || strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) >= 0 {
		f.bad("/once", "must be at most %d visible ASCII characters", maxOnce)
		return ""
	}
	return s
}

// password takes a fresh password for the person with the address; others are further words that it must not be.
func (f *form) password(pointer string, v secret.Value, others ...string) secret.Value {
	p, why := cleanPassword(v.Reveal(), others)
	if why != "" {
		f.bad(pointer, "%s", why)
		return secret.Value{}
	}
	return secret.New(p)
}

// cleanAgent keeps what can be shown of a User-Agent field. It is never refused: it is only shown.
func cleanAgent(s string) string {
	s = strings.Map(func(r rune) rune {
		if unseen(r) || r == utf8.RuneError {
			return -1
		}
		return r
	}, s[:min(len(s), 4*longestAgent)])
	if r := []rune(s); len(r) > longestAgent {
		s = string(r[:longestAgent])
	}
	return strings.TrimSpace(s)
}
