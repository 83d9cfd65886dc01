// Package browsertest walks the portal in a real browser, against the real program, and keeps pictures of what it saw in
// the folder screenshots. It needs Chromium.
package browsertest

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// pictures is where screenshots go, from this package's folder.
const pictures = "../../screenshots"

// patience is how long one step of a browser may take on a busy machine.
const patience = time.Minute

// browser is one profile of Chromium with one page open.
type browser struct {
	t    *testing.T
	ctx  context.Context
	home string

	mu      sync.Mutex
	trouble []string
}

// chromium finds the browser, or says how it is installed.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatal("Chromium is needed. Run this once, then again the tests:\n  sudo apt-get update && sudo apt-get install -y chromium")
	return ""
}

// open starts a browser of its own.
func open(t *testing.T, home string) *browser {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(chromium(t)), chromedp.NoSandbox,
		chromedp.UserDataDir(t.TempDir()), chromedp.WSURLReadTimeout(patience), chromedp.Flag("disable-background-networking", true))
	alloc, stopAlloc := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, stop := chromedp.NewContext(alloc)
	b := &browser{t: t, ctx: ctx, home: home}
	chromedp.ListenTarget(ctx, b.hear)
	b.do(network.Enable(), runtime.Enable(), cdplog.Enable(), view(1280, false))
	t.Cleanup(func() {
		if err := chromedp.Cancel(ctx); err != nil {
			t.Error(err)
		}
		stop()
		stopAlloc()
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, s := range b.trouble {
			t.Error(s)
		}
	})
	return b
}

// hear notes what must not happen on any page: a request to elsewhere, an error of a script, a breach of the policy.
func (b *browser) hear(event any) {
	var s string
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		u, err := url.Parse(e.Request.URL)
		if err != nil || u.Scheme != "data" && "http://"+u.Host != b.home {
			s = "a request to elsewhere: " + e.Request.URL
		}
	case *runtime.EventExceptionThrown:
		s = "an error of a script: " + e.ExceptionDetails.Error()
	case *cdplog.EventEntryAdded:
		if e.Entry.Level == cdplog.LevelError && e.Entry.Source != cdplog.SourceNetwork {
			s = "the browser says: " + e.Entry.Text
		}
	}
	if s != "" {
		b.mu.Lock()
		b.trouble = append(b.trouble, s)
		b.mu.Unlock()
	}
}

func (b *browser) do(actions ...chromedp.Action) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	// The first Run starts the browser and binds it to its context: that one must live as long as the browser.
	if chromedp.FromContext(b.ctx).Target == nil {
		ctx = b.ctx
	}
	if err := chromedp.Run(ctx, actions...); err != nil {
		b.t.Fatalf("%v; the page says: %s", err, b.text("main"))
	}
}

// text is what an element shows; "" when there is none.
func (b *browser) text(selector string) string {
	var s string
	_ = chromedp.Run(b.ctx, chromedp.Evaluate(fmt.Sprintf(`document.querySelector(%q)?.innerText ?? ""`, selector), &s)) // "" says enough
	return strings.Join(strings.Fields(s), " ")
}

func (b *browser) visit(path string) {
	b.t.Helper()
	b.do(chromedp.Navigate(b.home + path))
}

// says waits until the page shows the words.
func (b *browser) says(words ...string) {
	b.t.Helper()
	for _, w := range words {
		b.until(fmt.Sprintf(`document.body.innerText.replace(/\s+/g, " ").includes(%q)`, w))
	}
}

// press clicks the link or button with that text, and waits for the page that it leads to.
func (b *browser) press(text string) {
	b.t.Helper()
	xpath := fmt.Sprintf(`//main//*[self::a or self::button][starts-with(normalize-space(.), %q)]`, text)
	b.leave(chromedp.Click(xpath, chromedp.BySearch, chromedp.NodeVisible))
}

// leave does something that leads to another page, and waits until that one is there.
func (b *browser) leave(action chromedp.Action) {
	b.t.Helper()
	b.do(chromedp.Evaluate(`window.before = true`, nil), action)
	b.until(`window.before === undefined`)
}

// until waits for a condition on a page that is wholly there. While one page goes and the next comes there is none to ask.
func (b *browser) until(condition string) {
	b.t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(15 * time.Millisecond) {
		var ok bool
		err := chromedp.Run(b.ctx, chromedp.Evaluate(`document.readyState === "complete" && `+condition, &ok))
		if err == nil && ok {
			return
		}
	}
	b.t.Fatalf("%s: %s did not come true; the page says: %s", b.path(), condition, b.text("main"))
}

func (b *browser) write(id, text string) {
	b.t.Helper()
	b.do(chromedp.SendKeys("#"+id, text, chromedp.ByQuery, chromedp.NodeVisible))
}

func (b *browser) choose(name, value string) {
	b.t.Helper()
	b.do(chromedp.Click(fmt.Sprintf(`input[name=%q][value=%q]`, name, value), chromedp.ByQuery))
}

func (b *browser) path() string {
	b.t.Helper()
	var s string
	b.do(chromedp.Location(&s))
	return strings.TrimPrefix(s, b.home)
}

// tab presses the tab key and returns what has the focus then. What has it must show it.
func (b *browser) tab() string {
	b.t.Helper()
	var where string
	var visible bool
	b.do(chromedp.KeyEvent(kb.Tab),
		chromedp.Evaluate(`(e => e.id || e.className || e.tagName)(document.activeElement)`, &where),
		chromedp.Evaluate(`(s => s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 2)(getComputedStyle(document.activeElement))`, &visible))
	if !visible {
		b.t.Errorf("%s: %s has the focus and does not show it", b.path(), where)
	}
	return where
}

// view sets the window: how wide, and whether the visitor prefers the dark.
func view(width int64, dark bool) chromedp.Action {
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	return chromedp.Tasks{
		emulation.SetDeviceMetricsOverride(width, 860, 1, width < 600),
		emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: scheme},
			{Name: "prefers-reduced-motion", Value: "reduce"}, // a picture is not to show half a change of colours
		}),
	}
}

// picture keeps the page as it looks on a desk and on a phone, light and dark, and checks that nothing hangs out of it.
func (b *browser) picture(name string) {
	b.t.Helper()
	if err := os.MkdirAll(pictures, 0o755); err != nil {
		b.t.Fatal(err)
	}
	for _, mode := range []struct {
		name  string
		width int64
		dark  bool
	}{{"desktop-light", 1280, false}, {"desktop-dark", 1280, true}, {"phone-light", 390, false}, {"phone-dark", 390, true}} {
		var png []byte
		b.do(view(mode.width, mode.dark), chromedp.FullScreenshot(&png, 100))
		if err := os.WriteFile(filepath.Join(pictures, name+"-"+mode.name+".png"), png, 0o644); err != nil {
			b.t.Fatal(err)
		}
	}
	var wide string
	b.do(view(360, false), chromedp.Evaluate(`(() => {
		const width = document.documentElement.clientWidth
		if (document.documentElement.scrollWidth <= width) return ""
		const out = [...document.querySelectorAll("body *")].find(e => e.getBoundingClientRect().right > width + 1)
		return out ? out.outerHTML.slice(0, 120) : "something"
	})()`, &wide), view(1280, false))
	if wide != "" {
		b.t.Errorf("%s: at 360 pixels this hangs out of the page: %s", b.path(), wide)
	}
}
