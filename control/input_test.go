package control_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"gatehouse/control"
)

func TestClean(t *testing.T) {
	for _, c := range []struct {
		name  string
		in    string
		lines bool
		want  string
		ok    bool
	}{
		{"any script", " 検査 Größe Ελλάς עברית हिन्दी ", false, "検査 Größe Ελλάς עברית हिन्दी", true},
		{"composed", "e\u0301", false, "é", true},
		{"joiners that scripts need", "می\u200cخواهم क्\u200dष", false, "می\u200cخواهم क्\u200dष", true},
		{"an emoji of several characters", "👩\u200d💻", false, "👩\u200d💻", true},
		{"thirty characters", strings.Repeat("検", 30), false, strings.Repeat("検", 30), true},
		{"thirty-one characters", strings.Repeat("検", 31), false, "", false},
		{"a megabyte", strings.Repeat("x", 1<<20), false, "", false},
		{"a line break", "a\nb", false, "", false},
		{"lines", "a\r\nb\tc\nd", true, "a\nb\tc\nd", true},
		{"a lone carriage return", "a\rb", true, "", false},
		{"NUL", "a\x00b", true, "", false},
		{"escape", "a\x1b[31mb", true, "", false},
		{"delete", "a\x7f", false, "", false},
		{"C1", "a\u0085b", true, "", false},
		{"override", "a\u202eb", false, "", false},
		{"isolate", "a\u2066b", true, "", false},
		{"line separator", "a\u2028b", true, "", false},
		{"nothing of no width", "a\u200bb", false, "", false},
		{"byte order mark inside", "a\ufeffb", false, "", false},
		{"tags", "a\U000E0041", false, "", false},
		{"noncharacter", "a\ufffe", false, "", false},
		{"not UTF-8", "a\xff", false, "", false},
		{"a surrogate", "a\xed\xa0\x80", false, "", false},
		{"a soft hyphen", "Ac\u00adme", false, "", false},
		{"a filler", "Acme\u3164", false, "", false},
		{"an invisible operator", "Acme\u2063", true, "", false},
		{"a joiner between Latin letters", "Ac\u200dme", false, "", false},
		{"a joiner at the end", "می\u200c", false, "", false},
		{"a mark of direction in a name", "Acme\u200e", false, "", false},
		{"a mark of direction in a text", "עברית\u200f!", true, "עברית\u200f!", true},
		{"blanks alone", " \t\u00a0 ", false, "", true},
	} {
		got, why := control.Clean(c.in, 30, c.lines)
		if got != c.want || (why == "") != c.ok {
			t.Errorf("%s: %q (%s), want %q", c.name, got, why, c.want)
		}
	}
}

func TestCleanEmail(t *testing.T) {
	for in, want := range map[string]string{
		"Dana@Example.ORG":                "dana@example.org",
		" dana+gatehouse@example.org ":    "dana+gatehouse@example.org",
		"admin@localhost":                 "admin@localhost",
		"用户@例子.广告":                        "用户@xn--fsqu00a.xn--4rr70v",
		"Dörte@Bücher.example":            "dörte@xn--bcher-kva.example",
		"":                                "",
		"dana":                            "",
		"@example.org":                    "",
		"dana@":                           "",
		"dana@@example.org":               "",
		"dana@example..org":               "",
		"dana@-example.org":               "",
		"dana@example.org.":               "",
		"a b@example.org":                 "",
		"\"a b\"@example.org":             "",
		"Dana <dana@example.org>":         "",
		"<dana@example.org>":              "",
		"dana@example.org, b@example.org": "",
		"dana@[127.0.0.1]":                "",
		"dana@example.org\r\nBcc: all@example.org": "",
		"dana@exa\u202emple.org":                   "",
		"dana\x00@example.org":                     "",
		"\xff@example.org":                         "",
		strings.Repeat("l", 65) + "@example.org":   "",
		"a@" + strings.Repeat("d.", 130) + "org":   "",
	} {
		got, why := control.CleanEmail(in)
		if got != want || (why == "") != (want != "") {
			t.Errorf("%q: %q (%s), want %q", in, got, why, want)
		}
	}
}

func TestCleanPassword(t *testing.T) {
	about := []string{"dana.smith@example.org", "Acme Identity BV", "Dana Smith van Dam"}
	for in, ok := range map[string]bool{
		"seven green horses": true,
		"長い合言葉をここに書いておきます":              true,
		"correcthorse-staple-9":         true,
		"elevenchars":                   false,
		"長い合言葉":                         false,
		"dana.smith@example.org":        false,
		"DANA.SMITH@example.org":        false,
		"acme identity bv":              false,
		"AcmeIdentityBV":                false,
		"dana smith van dam":            false,
		"correct horse battery staple":  false,
		"Password1234":                  false,
		"qwertyuiop123":                 false,
		"aaaaaaaaaaaaaaaaaaaa":          false,
		"abcabcabcabcabcabc":            false,
		"abcdefghijklmnop":              false,
		"0123456789012345":              false,
		"987654321098":                  false,
		"abababababab":                  false,
		"with\x00a nul inside":          false,
		"\xff\xfenot utf-8 at all":      false,
		strings.Repeat("9a-", 85) + "x": false, // one piece again and again
		strings.Repeat("q", 257):        false,
	} {
		if _, why := control.CleanPassword(in, about); (why == "") != ok {
			t.Errorf("%q: %q, want it taken: %v", in, why, ok)
		}
	}
}

func TestUserCodes(t *testing.T) {
	for range 200 {
		c := control.UserCode()
		if len(c) != 9 || c[4] != '-' || control.ReadCode(strings.ToLower(" "+strings.ReplaceAll(c, "-", "")+" ")) != c {
			t.Fatalf("code %q does not read back", c)
		}
	}
	for _, bad := range []string{"", "BCDF", "BCDF-GHJKL", "AEIO-UAEI", strings.Repeat("B", 1<<20)} {
		if got := control.ReadCode(bad); got != "" {
			t.Errorf("%.20q reads as %q", bad, got)
		}
	}
}

func FuzzClean(f *testing.F) {
	for _, s := range []string{"検査", "a\u202eb", "e\u0301", "\xff", " \u00a0x", "a\r\nb", "\u0344\u0344"} {
		f.Add(s, 20, true)
	}
	f.Fuzz(func(t *testing.T, s string, most int, lines bool) {
		most = max(0, min(most, 1000))
		got, why := control.Clean(s, most, lines)
		if why != "" {
			if got != "" {
				t.Errorf("%q is refused and comes back as %q", s, got)
			}
			return
		}
		if !utf8.ValidString(got) || utf8.RuneCountInString(got) > most || !norm.NFC.IsNormalString(got) || strings.TrimSpace(got) != got {
			t.Errorf("%q becomes %q", s, got)
		}
		for _, r := range got {
			if unicode.IsControl(r) && !(lines && (r == '\n' || r == '\t')) || r >= 0x202a && r <= 0x202e {
				t.Errorf("%q keeps %U", s, r)
			}
		}
		if again, why := control.Clean(got, most, lines); again != got || why != "" {
			t.Errorf("%q becomes %q, and that %q (%s)", s, got, again, why)
		}
	})
}

func FuzzCleanEmail(f *testing.F) {
	for _, s := range []string{"dana@example.org", "用户@例子.广告", "a@b\r\nc", "A\u0130@x.y", "\"a\"@b.c", "a@\u212a.org", "a@xn--0.org"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, why := control.CleanEmail(s)
		if why != "" {
			if got != "" {
				t.Errorf("%q is refused and comes back as %q", s, got)
			}
			return
		}
		if strings.ContainsAny(got, " \t\r\n<>,;:\"\\()[]\x00") || strings.Count(got, "@") != 1 || len(got) > 254 {
			t.Errorf("%q becomes %q", s, got)
		}
		if again, why := control.CleanEmail(got); again != got || why != "" {
			t.Errorf("%q becomes %q, and that %q (%s): it would not be found again", s, got, again, why)
		}
	})
}

func FuzzCleanPassword(f *testing.F) {
	f.Add("seven green horses", "dana@example.org")
	f.Add("ééééééééééééé", "é")
	f.Add("\xff", "")
	f.Fuzz(func(t *testing.T, p, about string) {
		got, why := control.CleanPassword(p, []string{about})
		if why != "" {
			return
		}
		if utf8.RuneCountInString(got) < 12 || !norm.NFC.IsNormalString(got) || strings.EqualFold(got, about) {
			t.Errorf("%q is taken", p)
		}
	})
}

func FuzzCleanAgent(f *testing.F) {
	f.Add("Mozilla/5.0\x00\u202e")
	f.Add(strings.Repeat("é", 500))
	f.Fuzz(func(t *testing.T, s string) {
		got := control.CleanAgent(s)
		if !utf8.ValidString(got) || utf8.RuneCountInString(got) > 200 {
			t.Errorf("%q becomes %q", s, got)
		}
	})
}
