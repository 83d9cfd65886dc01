package http1

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"gatehouse/wire"
)

// parse reads a request's head from raw, which it does not change, in pieces that end at cuts.
func parse(raw []byte, cuts ...int) (m wire.Message, h head, n int, r Reason) {
	buf := bytes.Clone(raw)
	h.reset(false, false)
	for _, end := range append(cuts, len(buf)) {
		if n, r = h.request(buf[:end], "http", &m); n > 0 || r != Fine {
			return m, h, n, r
		}
	}
	return m, h, 0, Fine
}

func shape(m wire.Message, h head) string {
	s := fmt.Sprintf("%s %s %s ?%s(%t) %s length=%d chunked=%t close=%t old=%t expect=%t upgrade=%q", m.Method, m.Authority, m.Path, m.Query, m.Query != nil, m.Scheme,
		h.length, h.chunked, h.close, h.old, h.expect, h.upgrade)
	for _, f := range m.Fields {
		s += fmt.Sprintf("\n%q: %q", f.Name, f.Value)
	}
	return s
}

// seeds are heads to begin fuzzing with.
func seeds() []string {
	const h = "Host: a.test\r\n"
	return []string{
		"GET / HTTP/1.1\r\n" + h + "\r\n",
		"\r\nGET /a/b;c?d=e%20f HTTP/1.0\r\n" + h + "Connection: keep-alive, x\r\nX: y\r\n\r\n",
		"POST http://a.test/%41%c3%a9 HTTP/1.1\r\n" + h + "Content-Length: 5\r\nExpect: 100-continue\r\n\r\nhello",
		"PUT /%25 HTTP/1.1\r\n" + h + "Transfer-Encoding: chunked\r\nTrailer: Digest\r\n\r\n5;a=\"b\"\r\nhello\r\n0\r\nDigest: x\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: [::1]:80\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX_Y: z\r\n\r\n",
		"GET /..;/ HTTP/1.1\r\n" + h + "Content--Length: 5\r\nContent-Length: 5\r\n\r\n",
		"GET * HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n",
		"GET /%2e%2e/%252f HTTP/1.1\nHost: a\n\n",
	}
}

// FuzzRequest: however a head is cut into pieces, it is read the same way; what is accepted can be sent, and what was
// sent is read the same way again, by net/http too; and its path is one that wire takes as it is.
func FuzzRequest(f *testing.F) {
	for _, s := range seeds() {
		f.Add([]byte(s), 3)
	}
	f.Fuzz(func(t *testing.T, raw []byte, cut int) {
		m, h, n, r := parse(raw)
		if cut > 0 && cut < len(raw) {
			m2, h2, n2, r2 := parse(raw, cut, min(len(raw), cut+1))
			if n2 != n || (r2 == Fine) != (r == Fine) || n > 0 && shape(m2, h2) != shape(m, h) { // what is refused may be so earlier, and for another reason
				t.Fatalf("%q: read at once %d %v, in pieces %d %v\n%s\n%s", raw, n, r, n2, r2, shape(m, h), shape(m2, h2))
			}
		}
		var o memo
		for range 2 {
			if m2, h2, n2, r2 := again(&o, raw); n2 != n || r2 != r || n > 0 && shape(m2, h2) != shape(m, h) {
				t.Fatalf("%q: read first %d %v, then %d %v\n%s\n%s", raw, n, r, n2, r2, shape(m, h), shape(m2, h2))
			}
		}
		if n == 0 {
			return
		}
		if path, why := wire.NormalPath(nil, m.Path); why != "" || !bytes.Equal(path, m.Path) {
			t.Fatalf("%q: path %q, which wire makes %q (%s)", raw, m.Path, path, why)
		}
		out, ok := appendRequest(nil, &m, framing{length: h.length, chunked: h.chunked})
		if !ok {
			t.Fatalf("%q was read and cannot be sent", raw)
		}
		m3, h3, n3, r3 := parse(out)
		if n3 != len(out) || r3 != Fine || h3.length != h.length || h3.chunked != h.chunked ||
			!bytes.Equal(m3.Method, m.Method) || !bytes.Equal(m3.Path, m.Path) || !bytes.Equal(m3.Query, m.Query) || !bytes.Equal(m3.Authority, m.Authority) {
			t.Fatalf("%q was sent as %q and read as %d %v\n%s", raw, out, n3, r3, shape(m3, h3))
		}
		q, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(out)))
		if err != nil {
			t.Fatalf("%q was sent as %q, and net/http says %v", raw, out, err)
		}
		chunked := len(q.TransferEncoding) == 1 && q.TransferEncoding[0] == "chunked"
		if q.Method != string(m.Method) || q.Host != string(m.Authority) || chunked != h.chunked || !chunked && q.ContentLength != max(h.length, 0) {
			t.Fatalf("%q was sent as %q, and net/http reads %s %s %d %v", raw, out, q.Method, q.Host, q.ContentLength, q.TransferEncoding)
		}
		for name := range q.Header {
			if strings.EqualFold(name, "Connection") || strings.EqualFold(name, "Upgrade") || strings.EqualFold(name, "Te") {
				t.Fatalf("%q was sent with %s", raw, name)
			}
		}
	})
}

// FuzzResponse is the same for answers.
func FuzzResponse(f *testing.F) {
	for _, s := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
		"HTTP/1.0 304\r\nETag: \"x\"\r\nConnection: close, y\r\nY: z\r\n\r\n",
		"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
		"HTTP/1.1 204 \r\nTransfer-Encoding: chunked\r\n\r\n",
		"HTTP/1.1 200 OK\r\nX_Y: \xff\r\nDate: now\r\nContent--Length: 5\r\n\r\n",
	} {
		f.Add([]byte(s), 3)
	}
	var o *memo
	read := func(raw []byte, cuts ...int) (m wire.Message, h head, n int, r Reason) {
		h.memo = o
		h.reset(true, true)
		for _, end := range append(cuts, len(raw)) {
			if n, r = h.response(raw[:end], &m); n > 0 || r != Fine {
				break
			}
		}
		return m, h, n, r
	}
	f.Fuzz(func(t *testing.T, raw []byte, cut int) {
		m, h, n, r := read(raw)
		if cut > 0 && cut < len(raw) {
			m2, h2, n2, r2 := read(raw, cut, min(len(raw), cut+1))
			if n2 != n || (r2 == Fine) != (r == Fine) || n > 0 && (m2.Status != m.Status || shape(m2, h2) != shape(m, h)) {
				t.Fatalf("%q: read at once %d %v, in pieces %d %v", raw, n, r, n2, r2)
			}
		}
		o = new(memo)
		for range 2 {
			if m2, h2, n2, r2 := read(raw); n2 != n || r2 != r || n > 0 && (m2.Status != m.Status || shape(m2, h2) != shape(m, h)) {
				t.Fatalf("%q: read first %d %v, then %d %v", raw, n, r, n2, r2)
			}
		}
		o = nil
		if n == 0 {
			return
		}
		out, ok := appendResponse(nil, &m.Head, framing{length: h.length, chunked: h.chunked})
		if !ok {
			t.Fatalf("%q was read and cannot be sent", raw)
		}
		q, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(out)), &http.Request{Method: "GET"})
		if err != nil || q.StatusCode != m.Status {
			t.Fatalf("%q was sent as %q, and net/http reads %v (%v)", raw, out, q, err)
		}
	})
}

// a sourceOf is a body's source with all its bytes at hand.
func sourceOf(raw []byte) *source {
	return &source{buf: bytes.Clone(raw), w: len(raw), nc: nil, bufs: new(Buffers)}
}

// readBody reads a chunked body that is all at hand. It reports the content, the trailer, how much was used, and
// whether more is needed.
func readBody(raw []byte) (content []byte, trailer wire.Fields, used int, more bool, r Reason) {
	var b body
	s := sourceOf(raw)
	b.reset(s, byChunks, 0, &trailer)
	b.wanted = func() error { return errHalted }
	p := make([]byte, 7)
	for {
		n, err := b.Read(p)
		content = append(content, p[:n]...)
		switch {
		case err == io.EOF:
			return content, trailer, s.r, false, Fine
		case errors.Is(err, errHalted):
			return content, nil, 0, true, Fine
		case err != nil:
			errors.As(err, &r)
			return content, nil, 0, false, r
		}
	}
}

// FuzzChunked: a body that is read here is read the same way by net/http when it is sent on, and the look ahead at a
// whole one agrees with reading it.
func FuzzChunked(f *testing.F) {
	for _, s := range []string{
		"0\r\n\r\n", "5\r\nhello\r\n0\r\n\r\nGET /", "5;a;b=c;d=\"e\\\"\"\r\nhello\r\n00\r\nDigest: x\r\nY: z\r\n\r\n", "5 \r\nhello\r\n0\r\n\r\n",
		"5\nhello\n0\n\n", "fffffffffffffff\r\n", "5\r\nhello0\r\n\r\n", "1\r\na\r\n1\r\nb\r\n0\r\nContent-Length: 5\r\n\r\n", "0\r\n X: y\r\n\r\n", "5;\"\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if len(raw) > 3000 {
			return // so that no line is refused for its length by one and not by the other
		}
		content, trailer, used, more, r := readBody(raw)
		there, ahead := complete(raw)
		switch {
		case there && (more || ahead != Fine):
			t.Fatalf("%q: complete, and yet more is needed", raw)
		case r == Fine && !more && !there:
			t.Fatalf("%q: read to its end, and yet not complete (%v)", raw, ahead)
		case ahead != Fine && r == Fine:
			t.Fatalf("%q: refused ahead for %v, and yet read", raw, ahead)
		}
		if r != Fine || more {
			return
		}
		sent := appendWhole(nil, content, trailer)
		again, _, n, _, r := readBody(sent)
		if r != Fine || n != len(sent) || !bytes.Equal(again, content) {
			t.Fatalf("%q was sent as %q and read as %q (%v)", raw, sent, again, r)
		}
		q, err := http.ReadRequest(bufio.NewReader(io.MultiReader(strings.NewReader("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"), bytes.NewReader(sent))))
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := io.ReadAll(q.Body)
		if err != nil || !bytes.Equal(theirs, content) {
			t.Fatalf("%q was sent as %q, and net/http reads %q (%v)", raw, sent, theirs, err)
		}
		if plainly, err := http.ReadRequest(bufio.NewReader(io.MultiReader(strings.NewReader("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"), bytes.NewReader(raw[:used])))); err == nil {
			if theirs, err := io.ReadAll(plainly.Body); err == nil && !bytes.Equal(theirs, content) {
				t.Fatalf("%q is read as %q here and as %q by net/http", raw, content, theirs)
			}
		}
	})
}

// Valid messages, made at random: net/http and this package read the same.
func TestAsNetHTTP(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	pick := func(from ...string) string { return from[rnd.IntN(len(from))] }
	word := func(from string, most int) string {
		b := make([]byte, 1+rnd.IntN(most))
		for i := range b {
			b[i] = from[rnd.IntN(len(from))]
		}
		return string(b)
	}
	for range 20_000 {
		var s strings.Builder
		method := pick("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "REPORT")
		path := ""
		for range 1 + rnd.IntN(4) {
			path += "/x" + word(alnum+"-_~!$&'()*+,=:@", 8)
		}
		query := pick("", "?", "?"+word(alnum+"-._~!$&'()*+,;=:@/?%[]|", 20))
		host := pick("a.test", "A.Test:8080", "10.0.0.1", "[2001:db8::1]:443")
		fmt.Fprintf(&s, "%s %s%s HTTP/1.1\r\n", method, path, query)
		lines := []string{"Host: " + host}
		want := map[string][]string{}
		for range rnd.IntN(12) {
			name := "X" + word(alnum+"-", 12) + "-" + word(alnum+"!#$%&'*+.^`|~", 6) + "z"
			value := pick("", word(alnum+" \t!\"#,;:/\\()<>=?@[]{}\xff\x80", 40))
			lines = append(lines, name+":"+pick("", " ", "\t ", "  ")+value+pick("", " ", "\t"))
			key := http.CanonicalHeaderKey(name)
			want[key] = append(want[key], strings.Trim(value, " \t"))
		}
		length, chunked := int64(0), false
		switch rnd.IntN(3) {
		case 0:
			length = rnd.Int64N(1 << 40)
			lines = append(lines, fmt.Sprintf("%s: %d", pick("Content-Length", "content-length", "CONTENT-LENGTH"), length))
		case 1:
			length, chunked = -1, true
			lines = append(lines, pick("Transfer-Encoding", "transfer-encoding")+": "+pick("chunked", "Chunked"))
		}
		rnd.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
		s.WriteString(strings.Join(lines, "\r\n") + "\r\n\r\n")

		m, h, n, r := parse([]byte(s.String()))
		if r != Fine || n != s.Len() {
			t.Fatalf("%q: %v", s.String(), r)
		}
		q, err := http.ReadRequest(bufio.NewReader(strings.NewReader(s.String())))
		if err != nil {
			t.Fatalf("%q: net/http says %v", s.String(), err)
		}
		if q.Method != string(m.Method) || q.RequestURI != path+query || q.RequestURI != string(m.Path)+query || !strings.EqualFold(q.Host, string(m.Authority)) ||
			q.ContentLength != length || chunked != h.chunked || !chunked && length != max(h.length, 0) {
			t.Fatalf("%q: net/http reads %s %s %s %d\n%s", s.String(), q.Method, q.RequestURI, q.Host, q.ContentLength, shape(m, h))
		}
		for _, f := range m.Fields {
			key := http.CanonicalHeaderKey(string(f.Name))
			if len(want[key]) == 0 || want[key][0] != string(f.Value) || len(q.Header[key]) == 0 || q.Header[key][0] != string(f.Value) {
				t.Fatalf("%q: %s is %q; net/http has %q", s.String(), f.Name, f.Value, q.Header[key])
			}
			want[key], q.Header[key] = want[key][1:], q.Header[key][1:]
		}
		for key, rest := range want {
			if len(rest) > 0 {
				t.Fatalf("%q: %s is missing", s.String(), key)
			}
		}
	}
}

// What is too much is refused as soon as it is too much, and not only when it is complete.
func TestBounds(t *testing.T) {
	const first = "GET / HTTP/1.1\r\nHost: a\r\n"
	for _, c := range []struct {
		name, raw string
		want      Reason
	}{
		{"line", "GET /" + strings.Repeat("a", maxLine), LineTooLong},
		{"line, complete", "GET /" + strings.Repeat("a", maxLine) + " HTTP/1.1\r\nHost: a\r\n\r\n", LineTooLong},
		{"line, just right", "GET /" + strings.Repeat("a", maxLine-len("GET / HTTP/1.1")) + " HTTP/1.1\r\nHost: a\r\n\r\n", Fine},
		{"method", strings.Repeat("A", maxMethod+2), BadMethod},
		{"head", first + "X: " + strings.Repeat("a", maxHead), HeadTooLarge},
		{"head, complete", first + "X: " + strings.Repeat("a", maxHead-len(first)-3) + "\r\n\r\n", HeadTooLarge},
		{"head, just right", first + "X: " + strings.Repeat("a", maxHead-len(first)-7) + "\r\n\r\n", Fine},
		{"fields", first + strings.Repeat("X: y\r\n", maxFields+1), TooManyFields},
		{"fields, just right", first + strings.Repeat("X: y\r\n", maxFields) + "\r\n", Fine},
		{"host", "GET / HTTP/1.1\r\nHost: " + strings.Repeat("a", maxHost+1) + "\r\n", BadHost},
		{"another protocol", "\x16\x03\x01", BadMethod},
		{"a space first", " ", BadMethod},
		{"a bare LF", "\n", BareLF},
		{"nothing yet", "GET", Fine},
		{"an empty line", "\r\n", Fine},
		{"half of one", "\r", Fine},
	} {
		_, _, _, r := parse([]byte(c.raw))
		if r != c.want {
			t.Errorf("%s: %v, want %v", c.name, r, c.want)
		}
	}
}

// Every reason is described, and its name is its own.
func TestReasons(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range Reasons() {
		if r.String() == "" || r.Error() == "" || r.Status() < 400 || seen[r.String()] {
			t.Errorf("reason %d: %q, %d, %q", uint8(r), r.String(), r.Status(), r.Error())
		}
		seen[r.String()] = true
	}
}
