package wire_test

import (
	"strings"
	"testing"

	"gatehouse/wire"
)

func TestNormalPath(t *testing.T) {
	for _, c := range []struct{ in, want, why string }{
		{in: "/", want: "/"},
		{in: "/a/b", want: "/a/b"},
		{in: "/a/", want: "/a/"},
		{in: "/a:verb/x@y;v=1,2", want: "/a:verb/x@y;v=1,2"},
		{in: "/%61/%7Eb", want: "/a/~b"},
		{in: "/caf%c3%a9", want: "/caf%C3%A9"},
		{in: "/100%25", want: "/100%25"},
		{in: "/100%25zz", want: "/100%25zz"},
		{in: "/a%2Eb", want: "/a.b"},
		{in: "/a..b/...", want: "/a..b/..."},
		{in: "/%3Fq", want: "/%3Fq"},
		{in: "", why: "begin with a slash"},
		{in: "a", why: "begin with a slash"},
		{in: "*", why: "begin with a slash"},
		{in: "/a%2fb", why: "escaped slash"},
		{in: "/a%5Cb", why: "escaped slash"},
		{in: `/a\b`, why: "must be escaped"},
		{in: "/a%00", why: "control"},
		{in: "/a%0d%0ab", why: "control"},
		{in: "/a%252e", why: "twice"},
		{in: "/%2e%2e/b", why: "dot segment"},
		{in: "/a/../b", why: "dot segment"},
		{in: "/a/..;x/b", why: "dot segment"},
		{in: "/a/.", why: "dot segment"},
		{in: "/.;/b", why: "dot segment"},
		{in: "/a/;x/b", why: "empty segment"},
		{in: "/;", why: "empty segment"},
		{in: "/%c0%ae%c0%ae/b", why: "no UTF-8"},
		{in: "/a%C1%9Cb", why: "no UTF-8"},
		{in: "/a%e0%80%af", why: "no UTF-8"},
		{in: "/a%f0%80%80%af", why: "no UTF-8"},
		{in: "/%e0%a4%85/%f0%9f%98%80/%e9", want: "/%E0%A4%85/%F0%9F%98%80/%E9"},
		{in: "//a", why: "empty segment"},
		{in: "/a//b", why: "empty segment"},
		{in: "/a%", why: "no escape"},
		{in: "/a%2", why: "no escape"},
		{in: "/a%zz", why: "no escape"},
		{in: "/é", why: "must be escaped"},
		{in: "/a b", why: "must be escaped"},
		{in: "/a#b", why: "must be escaped"},
		{in: "/a\x00", why: "must be escaped"},
	} {
		got, why := wire.NormalPath(nil, wire.View(c.in))
		if c.why == "" && why != "" || c.why != "" && !strings.Contains(why, c.why) || string(got) != c.want {
			t.Errorf("NormalPath(%q) is %q, refused for %q; want %q, refused for %q", c.in, got, why, c.want, c.why)
		}
	}
}

// What was made normal is normal.
func FuzzNormalPath(f *testing.F) {
	for _, s := range []string{"/", "/a/%7e/..;x", "/%2e%2e/", "/a%25%32%65", "/%c3%a9/x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		once, why := wire.NormalPath(nil, wire.View(s))
		if why != "" {
			return
		}
		again, why := wire.NormalPath(nil, once)
		if why != "" || string(again) != string(once) {
			t.Errorf("%q became %q, and that became %q (%s)", s, once, again, why)
		}
	})
}

func TestNormalPathAllocatesNothing(t *testing.T) {
	buf := make([]byte, 0, 64)
	if n := testing.AllocsPerRun(100, func() {
		wire.NormalPath(buf, wire.View("/verifications/01kas0v2m8c4/result"))
		wire.NormalPath(buf, wire.View("/verifications/%61/result"))
	}); n != 0 {
		t.Errorf("it allocates %v times", n)
	}
}
