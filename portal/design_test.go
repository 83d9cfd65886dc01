package portal

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var token = regexp.MustCompile(`--([a-z-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\);`)

// themes reads the colours of both themes from the tokens.
func themes(t *testing.T) (light, dark map[string]string) {
	t.Helper()
	css, err := os.ReadFile("assets/tokens.css")
	if err != nil {
		t.Fatal(err)
	}
	light, dark = map[string]string{}, map[string]string{}
	for _, m := range token.FindAllStringSubmatch(string(css), -1) {
		light[m[1]], dark[m[1]] = m[2], m[3]
	}
	if len(light) < 30 {
		t.Fatalf("only %d colours found: has the form of the tokens changed?", len(light))
	}
	return light, dark
}

// TestContrast computes the contrast of every pair that stands on pages (WCAG 2.2, 1.4.3 and 1.4.11).
func TestContrast(t *testing.T) {
	const text, shape = 4.5, 3.0
	pairs := []struct {
		front, back string
		least       float64
	}{
		{"ink", "paper", text}, {"ink", "surface", text}, {"ink", "sunken", text},
		{"ink-soft", "paper", text}, {"ink-soft", "surface", text}, {"ink-soft", "sunken", text}, {"ink-soft", "accent-wash", text},
		{"ink-faint", "paper", text}, {"ink-faint", "surface", text}, {"ink-faint", "sunken", text},
		{"link", "paper", text}, {"link", "surface", text}, {"link", "sunken", text}, {"link", "wait-wash", text},
		{"accent", "surface", text}, {"accent", "paper", text}, {"accent-ink", "accent", text}, {"accent-ink", "accent-deep", text},
		{"accent-deep", "accent-wash", text}, {"accent-deep", "surface", text},
		{"good", "good-wash", text}, {"wait", "wait-wash", text}, {"warn", "warn-wash", text}, {"bad", "bad-wash", text},
		{"ink", "good-wash", text}, {"ink", "wait-wash", text}, {"ink", "warn-wash", text}, {"ink", "bad-wash", text},
		{"bad", "surface", text}, {"good", "surface", text}, {"bad", "paper", text}, {"bad-ink", "bad", text}, {"bad-ink", "bad-deep", text},
		{"gate-ink", "gate", text}, {"gate-soft", "gate", text}, {"brass", "gate", text},
		{"code-ink", "code", text}, {"ink", "code", text},
		{"edge", "surface", shape}, {"edge", "paper", shape}, {"focus", "paper", shape}, {"focus", "surface", shape},
	}
	light, dark := themes(t)
	for name, colours := range map[string]map[string]string{"light": light, "dark": dark} {
		for _, p := range pairs {
			front, back := colours[p.front], colours[p.back]
			if front == "" || back == "" {
				t.Errorf("%s: there is no token %s or %s", name, p.front, p.back)
				continue
			}
			if c := contrast(front, back); c < p.least {
				t.Errorf("%s: %s on %s has contrast %.2f, want %.1f", name, p.front, p.back, c, p.least)
			}
		}
		if c := contrast("#241803", colours["brass"]); c < text {
			t.Errorf("%s: the words on brass buttons have contrast %.2f", name, c)
		}
	}
}

func contrast(a, b string) float64 {
	x, y := luminance(a), luminance(b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

func luminance(hexColour string) float64 {
	part := func(i int) float64 {
		n, err := strconv.ParseUint(hexColour[i:i+2], 16, 8)
		if err != nil {
			panic(err)
		}
		c := float64(n) / 255
		if c <= 0.04045 {
			return c / 12.92
		}
		return math.Pow((c+0.055)/1.055, 2.4)
	}
	return 0.2126*part(1) + 0.7152*part(3) + 0.0722*part(5)
}

// TestStylesUseTokens finds colours that are written down beside the tokens: those would have one theme only.
func TestStylesUseTokens(t *testing.T) {
	allowed := map[string]bool{"#241803": true, "#f3c878": true, "#000": true} // words and hover on brass, which is one colour in both themes; a mask
	colour := regexp.MustCompile(`#[0-9a-fA-F]{3,8}\b`)
	for _, name := range styles {
		if name == "tokens.css" || name == "print.css" {
			continue
		}
		css, err := os.ReadFile("assets/" + name)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range colour.FindAllString(string(css), -1) {
			if !allowed[c] {
				t.Errorf("%s uses the colour %s, which is no token", name, c)
			}
		}
		used := regexp.MustCompile(`var\(--([a-z0-9-]+)`).FindAllStringSubmatch(string(css), -1)
		tokens, _ := os.ReadFile("assets/tokens.css")
		for _, u := range used {
			if !strings.Contains(string(tokens), "--"+u[1]+":") && u[1] != "gutter" {
				t.Errorf("%s uses --%s, which is not there", name, u[1])
			}
		}
	}
}

// TestVendored proves that what was taken from elsewhere is what the README says.
func TestVendored(t *testing.T) {
	readme, err := os.ReadFile("assets/README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"public-sans-latin-wght-normal.woff2", "public-sans-latin-ext-wght-normal.woff2"} {
		b, err := os.ReadFile("assets/" + name)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(b)
		if row := fmt.Sprintf("`%s`", hex.EncodeToString(sum[:])); !strings.Contains(string(readme), row) {
			t.Errorf("%s has another digest than the README says: %s", name, row)
		}
	}
}

// TestIcons draws each icon and refuses an unknown one.
func TestIcons(t *testing.T) {
	for name := range icons {
		if _, err := icon(name); err != nil {
			t.Error(err)
		}
	}
	if _, err := icon("unicorn"); err == nil {
		t.Error("an icon that is not there is drawn")
	}
}
