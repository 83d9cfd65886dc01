package rawtest

import (
	"fmt"
	"strconv"
	"strings"
)

// A Strange is a message that some program reads in another way than others. It asks for /visible, and hides a request for
// /hidden. Whoever forwards it must do so with the one reading that its plain fields give.
type Strange struct {
	Name string // the twist
	Raw  string // with {mark} in each target
	Body string // of the one reading
	Then bool   // the hidden request stands behind the message, for whoever reads it to its end to see
}

// Marked is the message with its mark in each target.
func (s Strange) Marked(mark string) string { return strings.ReplaceAll(s.Raw, place, mark) }

// hidden is what some take for a second request behind an empty chunked body, and others for content.
const hidden = "0\r\n\r\nGET /hidden{mark} HTTP/1.1\r\nHost: a.test\r\n\r\n"

// place is where a mark goes.
const place = "{mark}"

// markLen is how long marks are: lengths in messages count with it.
const markLen = 8

// Mark makes the n-th mark.
func Mark(n int) string { return fmt.Sprintf("?%07d", n) }

// Messages are all that this package knows to twist, each once.
func Messages() []Strange {
	var all []Strange
	seen := map[string]bool{}
	add := func(name, raw, body string) {
		if !seen[raw] {
			seen[raw] = true
			all = append(all, Strange{Name: name, Raw: raw, Body: body})
		}
	}
	size := len(hidden) - len(place) + markLen
	for _, line := range append(names("Transfer-Encoding", "chunked"), values("Transfer-Encoding", "chunked")...) {
		add(line, "POST /visible{mark} HTTP/1.1\r\nHost: a.test\r\nContent-Length: "+strconv.Itoa(size)+"\r\n"+line+"\r\n\r\n"+hidden, hidden)
		add(line+" before", "POST /visible{mark} HTTP/1.1\r\n"+line+"\r\nHost: a.test\r\nContent-Length: "+strconv.Itoa(size)+"\r\n\r\n"+hidden, hidden)
	}
	for _, line := range append(names("Content-Length", "6"), append(values("Content-Length", "6"), lengths()...)...) {
		add(line, "POST /visible{mark} HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n"+line+"\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "hello")
		add(line+" beside another", "POST /visible{mark} HTTP/1.1\r\nHost: a.test\r\nContent-Length: "+strconv.Itoa(size)+"\r\n"+line+"\r\n\r\n"+hidden, hidden)
	}
	for _, c := range chunks() {
		add("chunk "+strconv.Quote(c), "POST /visible{mark} HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n"+c+"0\r\n\r\nGET /hidden{mark} HTTP/1.1\r\nHost: a.test\r\n\r\n", "hello")
		all[len(all)-1].Then = true
	}
	for _, line := range names("Host", "evil.test") {
		add(line, "GET /visible{mark} HTTP/1.1\r\nHost: a.test\r\n"+line+"\r\n\r\n", "")
	}
	return all
}

// names are field lines whose name is twisted: a byte more at each place or another one there, other separators, prefixes,
// what stands around it, letters that look alike.
func names(name, value string) (lines []string) {
	add := func(n string) { lines = append(lines, n+": "+value) }
	for b := range 256 {
		c := string([]byte{byte(b)})
		for i := 0; i <= len(name); i++ {
			add(name[:i] + c + name[i:])
			if i < len(name) && (b < 0x30 || b > 0x7a || byte(b) == name[i]^0x20 || byte(b)&0x7f == name[i]) {
				add(name[:i] + c + name[i+1:])
			}
		}
	}
	around := []string{"()", "[]", "{}", "<>", `""`, "''", "``", "**", "||", "  ", "\t\t", "__", "--", "~~", "##", "==", "//", "\x00\x00", "%%", "$$", "^^", "!!", "&&", "++", ".."}
	for _, w := range around {
		add(w[:1] + name + w[1:])
		add(w[:1] + name)
		add(name + w[1:])
		add(w[:1] + " " + name + " " + w[1:])
	}
	for _, s := range []string{"_", ".", "~", "--", "-_", "_-", "- ", " -", "-\t", "+", "|", "/", "\\", ":", ";", ",", "=", "%2d", "%2D", "&#45;", "\u2010", "\u2011", "\u2013", "\u00ad", "\u2212", "\ufe63", "\uff0d", "\x00", "", "\r", "\n", "\r\n ", "\r\n", "-\r\n-"} {
		if strings.Contains(name, "-") {
			add(strings.ReplaceAll(name, "-", s))
		}
	}
	for _, p := range []string{"X-", "X_", "HTTP_", "HTTP-", "http_", "Http.", "x", "1", "0", "_", "-", "+", ":", "::", ";", ",", "\ufeff", "\u200b", "\u00a0", "\u0085", "\u2028", "\x1f", "\x7f", "\x0b", "\x0c", "\x08", "\\", "/", "#", "//", "%00", "%20", "X: y\r", "X: y\n", "X: y\r\n ", "X: y\x00", "X: y\x0b", "X\r\n", "Foo\r\n\r", "\r"} {
		add(p + name)
		add(name + p)
		add(p + strings.ToLower(name))
		add(p + strings.ReplaceAll(strings.ToUpper(name), "-", "_"))
	}
	for _, r := range []struct{ of, to string }{{"s", "\u017f"}, {"i", "\u0131"}, {"i", "\u0130"}, {"e", "\u0435"}, {"T", "\uff34"}, {"C", "\u0421"}, {"o", "\u043e"}, {"n", "\u0578"}, {"H", "\u041d"}, {"t", "+AHQ-"}, {"e", "%65"}, {"e", "e\u0301"}, {"t", "T"}, {"r", "r\u200d"}} {
		add(strings.Replace(name, r.of, r.to, 1))
	}
	return lines
}

// values are field lines whose value is twisted, or what stands before and behind it.
func values(name, value string) (lines []string) {
	add := func(format string, v ...any) { lines = append(lines, fmt.Sprintf(format, v...)) }
	for b := range 256 {
		c := string([]byte{byte(b)})
		for i := 0; i <= len(value); i++ {
			add("%s: %s%s%s", name, value[:i], c, value[i:])
			if i < len(value) && b != '%' {
				add("%s: %s%s%s", name, value[:i], c, value[i+1:])
			}
		}
		add("%s:%s%s", name, c, value)
		add("%s%s%s", name, c, value)
		add("%s:%s%s%s", name, c, value, c)
		add("%s: x%s%s: %s", "X-A", c, name, value)
		add("%s: x\r%s%s: %s", "X-A", c, name, value)
	}
	for _, f := range []string{"%s,%s", "%s , %s", "%s\t,%s", "%s;%s", "%s %s", "%s\r\n %s", "%s\r\n\t%s", "%s,identity,%s", "%s\x00%s"} {
		add("%s: "+f, name, value, value)
	}
	for _, f := range []string{`"%s"`, `'%s'`, "(%s)", "<%s>", "[%s]", "{%s}", "%s;", "%s;q=1", `%s;a="b"`, "%s,", ",%s", ",,%s", ", %s", "%s, identity", "identity, %s", "gzip, %s", "%s, gzip", "x-%s", "%sx", "x%s",
		"%s\r\n", "\r\n %s", "\r\n\t%s", "\r\n\r\n%s", "\n%s", "\n %s", "\r%s", "%s\r", "%s\n", "%s\r\r", "%s\x00", "\x00%s", "%s #", "%s //", "%s(x)", "=%s", ":%s", ": %s", "\\%s", "%%%s", "%s%%0d%%0a", "\u00a0%s", "%s\u00a0", "\u3000%s", "\ufeff%s", "%s\u0085"} {
		add("%s: "+f, name, value)
	}
	add("%s: %s\r\n%s: %s", name, value, name, value)
	add("%s: %s\r\n%s: identity", name, value, name)
	add("%s: identity\r\n%s: %s", name, name, value)
	add("%s: %s\r\n%s:", name, value, name)
	add("%s:\r\n%s: %s", name, name, value)
	add("%s:\r\n %s", name, value)
	add("%s\r\n : %s", name, value)
	add("%s\r\n: %s", name, value)
	add("%s: %s", strings.ToLower(name), strings.ToUpper(value))
	return lines
}

// lengths are Content-Lengths that some read as 6 and some do not.
func lengths() (lines []string) {
	for _, v := range []string{"+6", "-6", "06", "006", "0x6", "0X6", "0o6", "0b110", "6.0", "6.", ".6", "6e0", "6_", "_6", "6,6", "6, 6", "6;6", "6 6", "6\t6", "6,7", "7,6", "6\x0b", "\x0b6", "6\x0c",
		"18446744073709551622", "4294967302", "340282366920938463463374607431768211462", "-18446744073709551610", "9223372036854775814", "\u0666", "\uff16", "\u00b2", "6\u00a0", "six", "NaN", "6L", "6u", "06.0", "6d", "'6'", "", " ", "0", "00", "6%", "6\r", "6\x00", "\x006", "6/1"} {
		lines = append(lines, "Content-Length: "+v)
	}
	return lines
}

// chunks are chunked bodies up to the last chunk, that should be hello.
func chunks() (all []string) {
	for b := range 256 {
		c := string([]byte{byte(b)})
		all = append(all, c+"5\r\nhello\r\n", "5"+c+"\r\nhello\r\n", "5"+c+"\nhello\r\n", "5\r"+c+"hello\r\n", "5\r\nhello"+c+"\n", "5\r\nhello\r"+c, "5;"+c+"\r\nhello\r\n", "5;a"+c+"b\r\nhello\r\n", "5;a="+c+"\r\nhello\r\n",
			"5\r\nhello\r\n"+c, "5\r\nhello"+c+"\r\n", "0"+c+"5\r\nhello\r\n")
	}
	for _, s := range []string{"0x5", "0X5", "+5", "-5", "05", "0000000000000005", "00000000000000005", "10000000000000005", "100000005", "fffffffffffffffb", "5.", "5_", "5 ", " 5", "5\t", "5;", "5 ;a", "5; a", "5;a;", "5;a=", `5;a="`, `5;a="\r\n"`, "5;a=\"b\r\n", "5,", "5\uff15", "\uff15", "", "g", "5g", "5\x00", "5\r", "5;\n", "5;\r"} {
		all = append(all, s+"\r\nhello\r\n", s+"\nhello\n", s+"\r\nhello\n", s+"\r\nhello", s+"\r\nhellohello\r\n", s+"\r\nhell\r\n")
	}
	for _, s := range []string{"00", "000", "0;x", "0 ", "0x0", "-0", "+0", "0\n", "0\r", "0\x00", "0\x0b"} {
		all = append(all, "5\r\nhello\r\n"+s+"\r\n\r\n", "5\r\nhello\r\n"+s+"\r\nX: y\r\n\r\n")
	}
	for _, f := range []string{"Content-Length: 5", "Transfer-Encoding: chunked", "Host: evil.test", "X : y", " X: y", "X", "X: y\n", "X: \x00", "X_Y: z", ": y", "Content-Length : 5"} {
		all = append(all, "5\r\nhello\r\n0\r\n"+f+"\r\n\r\n")
	}
	return all
}
