package http1_test

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
)

// The cases of testdata are raw messages as text: every line stands for itself with CR LF behind it, unless it ends
// with a backslash, which stands for nothing; escapes are those of Go.

// bytesOf makes what goes over the wire of a case's text.
func bytesOf(t *testing.T, text string) string {
	t.Helper()
	var b strings.Builder
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		end := "\r\n"
		if strings.HasSuffix(line, `\`) && !strings.HasSuffix(line, `\\`) {
			line, end = strings.TrimSuffix(line, `\`), ""
		}
		s, err := strconv.Unquote(`"` + strings.ReplaceAll(line, `"`, `\"`) + `"`)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		b.WriteString(s + end)
	}
	return b.String()
}

// textOf is the other way round.
func textOf(raw string) string {
	var b strings.Builder
	for raw != "" {
		line, rest, ended := strings.Cut(raw, "\r\n")
		q := strings.ReplaceAll(strings.Trim(strconv.QuoteToASCII(line), `"`), `\"`, `"`)
		b.WriteString(q)
		if !ended {
			b.WriteString(`\`)
		}
		b.WriteString("\n")
		raw = rest
	}
	return b.String()
}

var dateLine = regexp.MustCompile("Date: [^\r]*\r\n")

// run goes through the cases of a file: run makes of each .in what its .out is.
func run(t *testing.T, file string, do func(t *testing.T, in string) string) {
	path := filepath.Join("testdata", file)
	a, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for _, f := range a.Files {
		want[f.Name] = string(f.Data)
	}
	out := &txtar.Archive{Comment: a.Comment}
	for _, f := range a.Files {
		name, in := strings.CutSuffix(f.Name, ".in")
		if !in {
			continue
		}
		t.Run(name, func(t *testing.T) {
			got := do(t, bytesOf(t, string(f.Data)))
			if got != want[name+".out"] && !*update {
				t.Errorf("got\n%s\nwant\n%s", got, want[name+".out"])
			}
			out.Files = append(out.Files, f, txtar.File{Name: name + ".out", Data: []byte(got)})
		})
	}
	if *update {
		if err := os.WriteFile(path, txtar.Format(out), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// What the upstream gets of a request, byte for byte, and what the client is answered.
func TestRequests(t *testing.T) {
	files, err := filepath.Glob("testdata/requests*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		run(t, filepath.Base(file), func(t *testing.T, in string) string {
			up := newRecorder(t)
			p := newProxy(t, up.addr, nil)
			answer := say(t, p.addr, in)
			var b strings.Builder
			for _, sent := range up.take(p) {
				if len(p.failures()) == 0 {
					readings(t, sent)
				}
				b.WriteString("> forwarded\n" + textOf(sent))
			}
			b.WriteString("< answered\n" + textOf(dateLine.ReplaceAllString(answer, "")))
			return b.String()
		})
	}
}

// What the client is answered when an upstream says that, and whether the upstream's connection is used again. The
// request is GET, or what the first line of the case says.
func TestAnswers(t *testing.T) {
	run(t, "answers.txtar", func(t *testing.T, in string) string {
		first, raw, _ := strings.Cut(in, "\r\n")
		up := newScripted(t, raw)
		p := newProxy(t, up, nil)
		head := first + " HTTP/1.1\r\nHost: a.test\r\n"
		if strings.HasPrefix(first, "POST") {
			head += "Content-Length: 4\r\n\r\nbody"
		} else {
			head += "\r\n"
		}
		answer := say(t, p.addr, head)
		for p.server.Open() > 0 { // its last deed is done
			time.Sleep(20 * time.Microsecond)
		}
		end := "= connection closed\n"
		if p.upstream.Idle() > 0 {
			end = "= connection kept\n"
		}
		var text strings.Builder
		for _, err := range p.failures() {
			text.WriteString("! " + err.Error() + "\n")
		}
		return textOf(dateLine.ReplaceAllString(answer, "")) + text.String() + end
	})
}

// newScripted starts an upstream that answers the first bytes of each connection with raw. It keeps the connection open
// unless raw ends with <end>.
func newScripted(t *testing.T, raw string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			buf := make([]byte, 4096)
			if _, err := c.Read(buf); err == nil {
				said, ends := strings.CutSuffix(raw, "<end>")
				_, _ = io.WriteString(c, said)
				if !ends {
					_, _ = c.Read(buf)
				}
			}
			_ = c.Close()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	return l.Addr().String()
}
