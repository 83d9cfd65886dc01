package http1_test

import (
	"fmt"
	"strings"
	"testing"
)

// hidden is what some would take for a second request after an empty chunked body.
const hidden = "0\r\n\r\nGET /hidden HTTP/1.1\r\nHost: a.test\r\n\r\n"

// twisted are field lines that some parser somewhere takes for the field, and some do not.
func twisted(name, value string) map[string]string {
	all := map[string]string{}
	add := func(format string, v ...any) {
		s := fmt.Sprintf(format, v...)
		all[s] = s
	}
	half := strings.IndexByte(name, '-')
	for b := range 256 {
		c := string([]byte{byte(b)})
		add("%s%s: %s", c, name, value)                         // before the name
		add("%s%s: %s", name, c, value)                         // before the colon
		add("%s%s%s: %s", name[:half], c, name[half+1:], value) // instead of the hyphen
		add("%s%s%s: %s", name[:half+1], c, name[half+1:], value)
		add("%s:%s%s", name, c, value)  // before the value
		add("%s: %s%s", name, value, c) // after it
		add("%s: %s%s%s", name, c, value, c)
		add("%s%s %s", name, c, value) // instead of the colon
		add("X: y%s%s: %s", c, name, value)
		add("X: y\r%s%s: %s", c, name, value)
	}
	for _, c := range []string{"\u00a0", "\u2028", "\u0085", "\ufeff", "\u200b", "\u017f", "\u0131", "\r\n", "\r\n ", "\r\n\t", "\n", "\n ", "\r", "\x00", "\\r\\n", "%0d%0a", "  ", "\t ", ",", ", ", ";", "()", "\"\""} {
		add("%s%s: %s", c, name, value)
		add("%s%s: %s", name, c, value)
		add("%s:%s%s", name, c, value)
		add("%s: %s%s", name, value, c)
		add("%s%s%s: %s", name[:half], c, name[half:], value)
		add("%s: %s%s%s", name, value[:1], c, value[1:])
		add("X: y%s%s: %s", c, name, value)
		add("X:%s%s: %s", c, name, value)
	}
	for _, v := range []string{"%s,%s", "%s, %s", "%s;%s", "%s %s", "%s\r\n %s", "%s,identity,%s"} {
		add("%s: "+v, name, value, value)
	}
	for _, s := range []string{"_", "--", ".", "~", "-.-", "'", "`", "|", "^", "", "- ", " -"} {
		add("%s: %s", strings.ReplaceAll(name, "-", s), value)
	}
	for _, s := range []string{"'%s'", "\"%s\"", "(%s)", "<%s>", "{%s}", "[%s]", "+%s", "-%s", "0%s", "00%s", "0x%s", "%s.0", "%se0", "x%s", "%sx", "%s,", ",%s", "%s;q=1", "identity, %s", "%s, identity", "gzip, %s", "%s%%00", "=%s", "$%s"} {
		add("%s: "+s, name, value)
	}
	add("%s:", name)
	add("%s: ", name)
	add("%s", name)
	add(":%s: %s", name, value)
	add("%s:: %s", name, value)
	add("%s: %s\r\n%s: %s", name, value, name, value)
	add("%s: %s\r\n%s: %s", name, value, strings.ToUpper(name), value)
	add("%s: %s", strings.ToUpper(name), strings.ToUpper(value))
	add("%s: %s", strings.ToLower(name), value)
	return all
}

// Whatever a Transfer-Encoding beside a Content-Length is twisted into, and the other way round: the message is refused,
// or the upstream gets one message with the one reading that the plain field gives.
func TestTwistedFraming(t *testing.T) {
	up := newRecorder(t)
	p := newProxy(t, up.addr, nil)
	total, refused := 0, 0
	check := func(line, raw, body string) {
		total++
		before, failed := len(p.reasons()), len(p.failures())
		answer := say(t, p.addr, raw)
		sent := up.take(p)
		stopped := len(p.reasons())-before+len(p.failures())-failed > 0
		if len(sent) == 0 {
			if !stopped || !strings.HasPrefix(answer, "HTTP/1.1 4") && !strings.HasPrefix(answer, "HTTP/1.1 501 ") {
				t.Errorf("%q: neither forwarded nor refused, answered %q", line, answer)
			}
			refused++
			return
		}
		if stopped {
			t.Errorf("%q: forwarded %q and then refused, answered %q", line, sent, answer)
			return
		}
		if len(sent) != 1 {
			t.Errorf("%q: forwarded %q", line, sent)
			return
		}
		if m := readings(t, sent[0]); len(m) != 1 || m[0].Target != "/visible" || m[0].Body != body {
			t.Errorf("%q: forwarded %q, and not the one reading", line, sent)
		}
	}
	for line := range twisted("Transfer-Encoding", "chunked") {
		if strings.HasPrefix(line, "\r\n") {
			continue // that is the end of the head
		}
		check(line, fmt.Sprintf("POST /visible HTTP/1.1\r\nHost: a.test\r\nContent-Length: %d\r\n%s\r\n\r\n%s", len(hidden), line, hidden), hidden)
		check(line, fmt.Sprintf("POST /visible HTTP/1.1\r\n%s\r\nHost: a.test\r\nContent-Length: %d\r\n\r\n%s", line, len(hidden), hidden), hidden)
	}
	for line := range twisted("Content-Length", "28") {
		if strings.HasPrefix(line, "\r\n") {
			continue
		}
		check(line, "POST /visible HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n"+line+"\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "hello")
	}
	if total < 5000 || refused < total/2 {
		t.Errorf("%d messages, %d of them refused: that is not what was meant", total, refused)
	}
	t.Logf("%d messages, %d refused", total, refused)
}

// A Host that is twisted is refused, or is a field of another name beside the one Host that counts.
func TestTwistedHost(t *testing.T) {
	up := newRecorder(t)
	p := newProxy(t, up.addr, nil)
	for b := range 256 {
		c := string([]byte{byte(b)})
		for _, line := range []string{c + "Host: evil.test", "Host" + c + ": evil.test", "Ho" + c + "st: evil.test", "Host:" + c + "evil.test", "Host" + c + "evil.test", "X: y\r" + c + "Host: evil.test"} {
			say(t, p.addr, "GET /visible HTTP/1.1\r\nHost: a.test\r\n"+line+"\r\n\r\n")
			for _, sent := range up.take(p) {
				m := readings(t, sent)
				if len(m) != 1 || m[0].Target != "/visible" || m[0].Fields[0] != "host: a.test" {
					t.Errorf("%q: forwarded %q", line, sent)
				}
			}
		}
	}
}

// Request lines and line ends with each byte in each place.
func TestTwistedRequestLine(t *testing.T) {
	up := newRecorder(t)
	p := newProxy(t, up.addr, nil)
	for b := range 256 {
		c := string([]byte{byte(b)})
		for _, raw := range []string{
			c + "GET /visible HTTP/1.1\r\nHost: a.test\r\n\r\n",
			"GET" + c + "/visible HTTP/1.1\r\nHost: a.test\r\n\r\n",
			"GET " + c + "/visible HTTP/1.1\r\nHost: a.test\r\n\r\n",
			"GET /vis" + c + "ible HTTP/1.1\r\nHost: a.test\r\n\r\n",
			"GET /visible" + c + "HTTP/1.1\r\nHost: a.test\r\n\r\n",
			"GET /visible " + c + "HTTP/1.1\r\nHost: a.test\r\n\r\n",
			"GET /visible HTTP" + c + "1.1\r\nHost: a.test\r\n\r\n",
			"GET /visible HTTP/1" + c + "1\r\nHost: a.test\r\n\r\n",
			"GET /visible HTTP/1." + c + "\r\nHost: a.test\r\n\r\n",
			"GET /visible HTTP/1.1" + c + "\r\nHost: a.test\r\n\r\n",
			"GET /visible HTTP/1.1\r" + c + "\nHost: a.test\r\n\r\n",
			"GET /visible HTTP/1.1" + c + "\nHost: a.test\r\n\r\n",
			"GET /visible HTTP/1.1\r\nHost: a.test\r\n" + c + "\r\n",
			"GET /visible HTTP/1.1\r\nHost: a.test\r\n\r" + c + "GET /hidden HTTP/1.1\r\nHost: a.test\r\n\r\n",
		} {
			say(t, p.addr, raw)
			for _, sent := range up.take(p) {
				for i, m := range readings(t, sent) {
					// With LF in the last place, the second request is there for everybody to see.
					if m.Target == "/hidden" && !(i == 1 && strings.Contains(raw, "\r\n\r\nGET /hidden")) {
						t.Errorf("%q: forwarded %q", raw, sent)
					}
				}
			}
		}
	}
}
