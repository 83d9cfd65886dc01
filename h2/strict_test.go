package h2_test

import (
	"strings"
	"testing"

	"golang.org/x/net/http2"

	"gatehouse/h2"
)

// What is refused, and how; and that what comes next on the connection is read as it was sent.
func TestStrict(t *testing.T) {
	h := serve(t, h2.Limits{}, nil)
	with := func(more ...string) []string { return append(append([]string(nil), get...), more...) }
	but := func(i int, f string) []string {
		all := append([]string(nil), get...)
		all[i] = f
		return all
	}
	const reset = "RST PROTOCOL_ERROR"
	for _, c := range []struct {
		name   string
		fields []string
		want   string
	}{
		{"plain", get, "200 GET api.example /"},
		{"fields", with("accept: */*", "x_y: 1"), "200 GET api.example /\naccept: */*\nx_y: 1"},
		{"upper case", with("X-A: 1"), reset},
		{"a space in a name", with("x a: 1"), reset},
		{"a colon in a name", with("x:a: 1"), reset},
		{"a CR in a name", with("x\r: 1"), reset},
		{"LF in a value", with("x: a\nb"), reset},
		{"CR in a value", with("x: a\rb"), reset},
		{"a hidden request in a value", with("x: a\r\n\r\nGET /secret HTTP/1.1\r\nhost: b"), reset},
		{"NUL in a value", with("x: a\x00b"), reset},
		{"DEL in a value", with("x: a\x7fb"), reset},
		{"a tab in a value", with("x: a\tb"), "200 GET api.example /\nx: a\tb"},
		{"a space before a value", with("x:  a"), reset},
		{"a space after a value", with("x: a "), reset},
		{"connection", with("connection: close"), reset},
		{"keep-alive", with("keep-alive: 1"), reset},
		{"proxy-connection", with("proxy-connection: close"), reset},
		{"transfer-encoding", with("transfer-encoding: chunked"), reset},
		{"transfer-encoding identity", with("transfer-encoding: identity"), reset},
		{"upgrade", with("upgrade: websocket"), reset},
		{"te gzip", with("te: gzip"), reset},
		{"te trailers", with("te: trailers"), "200 GET api.example /\nte: trailers"},
		{"te trailers and more", with("te: trailers, gzip"), reset},
		{"a look-alike", with("content_length: 5"), "400 lookalike-name"},
		{"another look-alike", with("transfer_encoding: chunked"), "400 lookalike-name"},
		{"a look-alike of host", with("ho.st: other"), "400 lookalike-name"},
		{"host that agrees", with("host: API.example"), "200 GET api.example /"},
		{"host alone", []string{":method: GET", ":scheme: http", ":path: /", "host: api.example:80"}, "200 GET api.example:80 /"},
		{"host that differs", with("host: other.example"), "400 host-mismatch"},
		{"host twice", with("host: api.example", "host: api.example"), reset},
		{"no host", []string{":method: GET", ":scheme: http", ":path: /"}, "400 no-host"},
		{"an empty authority", but(2, ":authority: "), "400 bad-host"},
		{"user in the authority", but(2, ":authority: a@api.example"), "400 bad-host"},
		{"two hosts in the authority", but(2, ":authority: api.example,b"), "400 bad-host"},
		{"a path in the authority", but(2, ":authority: api.example/x"), "400 bad-host"},
		{"a space in the authority", but(2, ":authority: api example"), "400 bad-host"},
		{"port 0", but(2, ":authority: api.example:0"), "400 bad-host"},
		{"CONNECT", []string{":method: CONNECT", ":authority: api.example:443"}, "501 method-connect"},
		{"CONNECT with a path", but(0, ":method: CONNECT"), "501 method-connect"},
		{"TRACE", but(0, ":method: TRACE"), "501 method-trace"},
		{"a space in the method", but(0, ":method: GET /x HTTP/1.1"), "400 bad-method"},
		{"an empty method", but(0, ":method: "), "400 bad-method"},
		{"LF in the method", but(0, ":method: GET\n"), reset},
		{"a scheme of another connection", but(1, ":scheme: https"), "400 scheme-mismatch"},
		{"another scheme", but(1, ":scheme: ftp"), "400 scheme-mismatch"},
		{"no scheme", []string{":method: GET", ":authority: api.example", ":path: /"}, reset},
		{"no path", []string{":method: GET", ":scheme: http", ":authority: api.example"}, reset},
		{"an empty path", but(3, ":path: "), reset},
		{"path twice", with(":path: /b"), reset},
		{"a pseudo-header field late", []string{":method: GET", ":scheme: http", ":authority: api.example", "x: 1", ":path: /"}, reset},
		{"an unknown pseudo-header field", with(":protocol: websocket"), reset},
		{"a response's pseudo-header field", with(":status: 200"), reset},
		{"no leading slash", but(3, ":path: x"), "400 bad-target"},
		{"an address as a path", but(3, ":path: http://api.example/x"), "400 bad-target"},
		{"asterisk", but(3, ":path: *"), "501 asterisk-target"},
		{"a space in the path", but(3, ":path: /a b"), "400 bad-target"},
		{"a hidden request in the path", but(3, ":path: / HTTP/1.1\r\nhost: b\r\n\r\n"), reset},
		{"dot segments", but(3, ":path: /a/../b"), "400 dot-segment"},
		{"escaped dot segments", but(3, ":path: /a/%2e%2e/b"), "400 dot-segment"},
		{"an escaped slash", but(3, ":path: /a%2fb"), "400 ambiguous-escape"},
		{"an empty segment", but(3, ":path: /a//b"), "400 empty-segment"},
		{"escapes of plain letters", but(3, ":path: /%61?q=%61"), "200 GET api.example /a?q=%61"},
		{"a fragment", but(3, ":path: /a#b"), "400 bad-target"},
		{"a fragment in the query", but(3, ":path: /a?b#c"), "400 bad-target"},
		{"content-length without content", with("content-length: 5"), reset},
		{"content-length twice", with("content-length: 0", "content-length: 0"), reset},
		{"content-length with a sign", with("content-length: +0"), reset},
		{"content-length as a list", with("content-length: 0, 0"), reset},
		{"content-length 0", with("content-length: 0"), "200 GET api.example /"},
		{"cookies in crumbs", with("cookie: a=1", "x: y", "cookie: b=2"), "200 GET api.example /\ncookie: a=1; b=2\nx: y"},
		{"another expectation", with("expect: 200-ok"), "417 bad-expectation"},
		{"too many fields", with(strings.Split(strings.Repeat("x: 1\n", 120)+"x: 1", "\n")...), "431"},
		{"too large a field", with("x: " + strings.Repeat("a", 31<<10)), "200"},
		{"too large a head", with("x: "+strings.Repeat("a", 20<<10), "y: "+strings.Repeat("b", 20<<10)), "431 head-too-large"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := h.open()
			b := r.block(c.fields...)
			for first := true; first || len(b) > 0; first = false {
				n := min(len(b), 16<<10)
				if first {
					_ = r.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: b[:n], EndStream: true, EndHeaders: n == len(b)})
				} else {
					_ = r.fr.WriteContinuation(1, n == len(b), b[:n])
				}
				b = b[n:]
			}
			if got := r.outcome(1); got != c.want && (len(c.want) > 3 || !strings.HasPrefix(got, c.want)) {
				t.Errorf("it came to %.100q, want %q", got, c.want)
			}
			r.head(3, true, ":method: GET", ":scheme: http", ":authority: api.example", ":path: /next")
			if got := r.outcome(3); got != "200 GET api.example /next" {
				t.Errorf("the next one came to %q", got)
			}
		})
	}
}

// Content, its length, and what comes after it.
func TestContent(t *testing.T) {
	h := serve(t, h2.Limits{}, nil)
	post := []string{":method: POST", ":scheme: http", ":authority: a", ":path: /"}
	const reset = "RST PROTOCOL_ERROR"
	for _, c := range []struct {
		name string
		send func(r *raw)
		want string
	}{
		{"content and a trailer", func(r *raw) {
			r.head(1, false, post...)
			_ = r.fr.WriteData(1, false, []byte("he"))
			_ = r.fr.WriteData(1, false, []byte("llo"))
			r.head(1, true, "x-sum: 5")
		}, "200 POST a /\n\nhello\nx-sum= 5"},
		{"padded", func(r *raw) {
			r.head(1, false, append(post, "content-length: 5")...)
			_ = r.fr.WriteDataPadded(1, true, []byte("hello"), make([]byte, 200))
		}, "200 POST a /\n\nhello"},
		{"more than was promised", func(r *raw) {
			r.head(1, false, append(post, "content-length: 4")...)
			_ = r.fr.WriteData(1, true, []byte("hello"))
		}, reset},
		{"less than was promised", func(r *raw) {
			r.head(1, false, append(post, "content-length: 6")...)
			_ = r.fr.WriteData(1, true, []byte("hello"))
		}, reset},
		{"less, with a trailer", func(r *raw) {
			r.head(1, false, append(post, "content-length: 6")...)
			_ = r.fr.WriteData(1, false, []byte("hello"))
			r.head(1, true, "x: 1")
		}, reset},
		{"a trailer that does not end", func(r *raw) {
			r.head(1, false, post...)
			r.head(1, false, "x: 1")
		}, reset},
		{"a trailer that frames", func(r *raw) {
			r.head(1, false, post...)
			r.head(1, true, "content-length: 0")
		}, reset},
		{"a trailer that authorizes", func(r *raw) {
			r.head(1, false, post...)
			r.head(1, true, "authorization: Bearer x")
		}, reset},
		{"a trailer with CR", func(r *raw) {
			r.head(1, false, post...)
			r.head(1, true, "x: a\r\nb: c")
		}, reset},
		{"a trailer in upper case", func(r *raw) {
			r.head(1, false, post...)
			r.head(1, true, "X: a")
		}, reset},
		{"100 is said before content is awaited", func(r *raw) {
			r.head(1, false, append(post, "expect: 100-continue")...)
			for {
				f, err := r.fr.ReadFrame()
				if err != nil {
					t.Errorf("no 100: %v", err)
					return
				}
				if m, ok := f.(*http2.MetaHeadersFrame); ok {
					if m.PseudoValue("status") != "100" {
						t.Errorf("instead of 100: %v", m)
					}
					break
				}
			}
			_ = r.fr.WriteData(1, true, []byte("go"))
		}, "200 POST a /\n\ngo"},
		{"content on a stream that has ended", func(r *raw) {
			r.head(1, true, get...)
			_ = r.fr.WriteData(1, true, []byte("x"))
		}, "RST STREAM_CLOSED"},
		{"content on no stream", func(r *raw) { _ = r.fr.WriteData(1, true, []byte("x")) }, "GOAWAY PROTOCOL_ERROR"},
		{"an even stream", func(r *raw) { r.head(2, true, get...) }, "GOAWAY PROTOCOL_ERROR"},
		{"an older stream", func(r *raw) { r.head(5, true, get...); r.head(3, true, get...) }, "GOAWAY PROTOCOL_ERROR"},
		{"a promise", func(r *raw) {
			_ = r.fr.WritePushPromise(http2.PushPromiseParam{StreamID: 1, PromiseID: 2, BlockFragment: r.block(get...), EndHeaders: true})
		}, "GOAWAY PROTOCOL_ERROR"},
		{"more than the window", func(r *raw) {
			r.head(1, false, ":method: POST", ":scheme: http", ":authority: a", ":path: /wait")
			for range 66 {
				_ = r.fr.WriteData(1, false, make([]byte, 16<<10))
			}
		}, "RST FLOW_CONTROL_ERROR"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.name == "more than the window" {
				h := serve(t, h2.Limits{}, func(e *h2.Exchange) { <-e.Context().Done() })
				r := h.open()
				c.send(r)
				if got := r.outcome(1); got != c.want {
					t.Errorf("it came to %.100q, want %q", got, c.want)
				}
				return
			}
			r := h.open()
			c.send(r)
			if got := r.outcome(1); got != c.want && !(strings.HasPrefix(c.want, "RST STREAM_CLOSED") && strings.HasPrefix(got, "200")) {
				t.Errorf("it came to %.100q, want %q", got, c.want)
			}
		})
	}
}
