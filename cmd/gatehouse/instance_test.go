package main_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// patience is how long anything may take before a script gives up.
const patience = 20 * time.Second

// instance is the server of one script: at most one at a time.
type instance struct {
	upstream *upstream
	work     string
	cmd      *exec.Cmd
	log      *os.File
	ended    chan error
	gateways map[string]*gatewayProcess

	published *published
}

// env is the environment of the server: what the script has set of it.
func (i *instance) env(ts *testscript.TestScript) []string {
	var env []string
	for _, name := range []string{"HOME", "PATH", "GATEHOUSE_CONTROL_LISTEN", "GATEHOUSE_GATEWAY_LISTEN", "GATEHOUSE_OPERATIONS_LISTEN", "GATEHOUSE_SECRET_EID_GATEWAY", "GATEHOUSE_DRIFT_ENVIRONMENTS"} {
		env = append(env, name+"="+ts.Getenv(name))
	}
	if trusted := ts.Getenv("SSL_CERT_FILE"); trusted != "" {
		env = append(env, "SSL_CERT_FILE="+trusted)
	}
	return env
}

// serve ARG… starts `gatehouse serve -o json ARG…`, waits until it is ready, and sets PORTAL, OPERATIONS, LINK (the token
// of the sign-in link) and one variable for each environment, such as LIVE. What it says goes to serve.log.
func (i *instance) serve(ts *testscript.TestScript, args []string) {
	if i.cmd != nil {
		ts.Fatalf("a server runs already")
	}
	var err error
	i.log, err = os.OpenFile(filepath.Join(i.work, "serve.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	ts.Check(err)
	what := "serve"
	if len(args) > 0 && args[0] == "control" { // the control plane alone
		what, args = args[0], args[1:]
	}
	i.cmd = exec.Command(filepath.Join(binary, "gatehouse"), append([]string{what, "-o", "json"}, args...)...)
	i.cmd.Dir, i.cmd.Env, i.cmd.Stderr = ts.MkAbs("."), i.env(ts), i.log
	out, err := i.cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(i.cmd.Start())
	i.ended = make(chan error, 1)
	line := make(chan string, 1)
	go func(cmd *exec.Cmd, ended chan error) {
		in := bufio.NewScanner(out)
		if in.Scan() {
			line <- in.Text()
		}
		_, _ = io.Copy(io.Discard, out)
		ended <- cmd.Wait()
	}(i.cmd, i.ended)
	var ready struct {
		Portal, Operations string
		Gateways           map[string]string
		SignIn             string `json:"sign_in"`
	}
	select {
	case l := <-line:
		ts.Check(json.Unmarshal([]byte(l), &ready))
	case err := <-i.ended:
		i.cmd = nil
		ts.Fatalf("the server ended: %v\n%s", err, ts.ReadFile(filepath.Join(i.work, "serve.log")))
	case <-time.After(patience):
		ts.Fatalf("the server is not ready after %s", patience)
	}
	ts.Setenv("PORTAL", ready.Portal)
	ts.Setenv("OPERATIONS", ready.Operations)
	for name, address := range ready.Gateways {
		ts.Setenv(strings.ToUpper(name), address)
	}
	if u, err := url.Parse(ready.SignIn); err == nil {
		ts.Setenv("LINK", u.Query().Get("token"))
	}
}

// stop [SIGKILL] interrupts the server, which must end by itself and well; or kills it.
func (i *instance) stop(ts *testscript.TestScript, args []string) {
	if i.cmd == nil {
		ts.Fatalf("no server runs")
	}
	if len(args) == 1 && args[0] == "SIGKILL" {
		i.kill()
		return
	}
	ts.Check(i.cmd.Process.Signal(syscall.SIGINT))
	i.wait(ts)
}

func (i *instance) wait(ts *testscript.TestScript) {
	select {
	case err := <-i.ended:
		i.cmd = nil
		i.log.Close()
		if err != nil {
			ts.Fatalf("the server ended with %v\n%s", err, ts.ReadFile(filepath.Join(i.work, "serve.log")))
		}
	case <-time.After(patience):
		ts.Fatalf("the server goes on %s after it was interrupted", patience)
	}
}

// kill ends the server as a power cut would.
func (i *instance) kill() {
	if i.cmd == nil {
		return
	}
	_ = i.cmd.Process.Kill() // it may have ended
	<-i.ended
	i.log.Close()
	i.cmd = nil
}

// drain URL [now] calls something slow, interrupts the server meanwhile, and expects the call to be answered, the listener to
// be closed, and the server to end well. With now it interrupts a second time, and expects the end at once.
func (i *instance) drain(ts *testscript.TestScript, args []string) {
	u, err := url.Parse(args[0])
	ts.Check(err)
	answer := make(chan string, 1)
	go func() {
		res, err := http.Get(args[0])
		if err != nil {
			answer <- err.Error()
			return
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		answer <- fmt.Sprint(res.StatusCode, " ", string(b), err)
	}()
	select {
	case <-i.upstream.slow:
	case a := <-answer:
		ts.Fatalf("the slow call did not wait: %s", a)
	case <-time.After(patience):
		ts.Fatalf("the slow call did not reach the upstream")
	}
	ts.Check(i.cmd.Process.Signal(syscall.SIGINT))
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) { // until nothing listens there
		c, err := net.Dial("tcp", u.Host)
		if err != nil {
			break
		}
		c.Close()
		if time.Now().After(deadline) {
			ts.Fatalf("the gateway still takes connections")
		}
	}
	if len(args) == 2 && args[1] == "now" {
		ts.Check(i.cmd.Process.Signal(syscall.SIGINT))
		select {
		case <-i.ended:
		case <-time.After(patience):
			ts.Fatalf("the server goes on after the second interrupt")
		}
		i.cmd = nil
		i.log.Close()
		close(i.upstream.release)
		<-answer
		return
	}
	close(i.upstream.release)
	if a := <-answer; !strings.HasPrefix(a, "200 ") {
		ts.Fatalf("the call that was running got %s", a)
	}
	i.wait(ts)
}

// http STATUS [-as VARIABLE] [-key VARIABLE] METHOD URL [JSON] asks, expects that status, and puts the answer's body on
// standard output. A path is the portal's. "soon" before the status asks until it is the one.
func (i *instance) http(ts *testscript.TestScript, args []string) {
	soon := args[0] == "soon"
	if soon {
		args = args[1:]
	}
	want, header := args[0], http.Header{"Accept": {"application/json"}}
	args = args[1:]
	for len(args) > 1 && strings.HasPrefix(args[0], "-") {
		switch args[0] {
		case "-as":
			header.Set("Authorization", "Bearer "+ts.Getenv(args[1]))
		case "-key":
			header.Set("X-API-Key", ts.Getenv(args[1]))
		}
		args = args[2:]
	}
	if len(args) < 2 {
		ts.Fatalf("usage: http [soon] STATUS [-as VARIABLE] [-key VARIABLE] METHOD URL [JSON]")
	}
	address := args[1]
	if strings.HasPrefix(address, "/") {
		address = ts.Getenv("PORTAL") + address
	}
	body := strings.Join(args[2:], " ")
	if body != "" {
		header.Set("Content-Type", "application/json")
	}
	var status int
	var b []byte
	for deadline := time.Now().Add(patience); ; time.Sleep(2 * time.Millisecond) { // the condition is the answer
		req, err := http.NewRequest(args[0], address, strings.NewReader(body))
		ts.Check(err)
		req.Header = header
		res, err := http.DefaultTransport.RoundTrip(req)
		ts.Check(err)
		b, err = io.ReadAll(res.Body)
		res.Body.Close()
		ts.Check(err)
		status = res.StatusCode
		if !soon || fmt.Sprint(status) == want || time.Now().After(deadline) {
			break
		}
	}
	_, err := ts.Stdout().Write(b)
	ts.Check(err)
	if fmt.Sprint(status) != want {
		ts.Fatalf("%s %s answers %d, want %s: %s", args[0], address, status, want, b)
	}
}

// keep NAME PATH sets a variable from the JSON on standard output, such as person.organization or items.0.id.
func (i *instance) keep(ts *testscript.TestScript, args []string) {
	for n := 0; n+1 < len(args); n += 2 {
		var v any
		ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &v))
		for _, part := range strings.Split(args[n+1], ".") {
			switch at := v.(type) {
			case map[string]any:
				v = at[part]
			case []any:
				var k int
				_, err := fmt.Sscan(part, &k)
				if ts.Check(err); k >= len(at) {
					ts.Fatalf("there is no %s", args[n+1])
				}
				v = at[k]
			}
		}
		if v == nil {
			ts.Fatalf("there is no %s", args[n+1])
		}
		ts.Setenv(args[n], fmt.Sprint(v))
	}
}

// letter ADDRESS PAGE NAME waits for a letter with a link to that page, and keeps the link's token.
func (i *instance) letter(ts *testscript.TestScript, args []string) {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) { // until it is there
		req, err := http.NewRequest(http.MethodGet, ts.Getenv("PORTAL")+"/dev/mail", nil)
		ts.Check(err)
		req.Header.Set("Accept", "application/json")
		res, err := http.DefaultClient.Do(req)
		ts.Check(err)
		var box struct {
			Items []struct {
				To    string
				Links []string
			}
		}
		err = json.NewDecoder(res.Body).Decode(&box)
		res.Body.Close()
		ts.Check(err)
		for _, l := range box.Items {
			for _, link := range l.Links {
				if u, err := url.Parse(link); err == nil && l.To == args[0] && u.Path == args[1] {
					ts.Setenv(args[2], u.Query().Get("token"))
					return
				}
			}
		}
	}
	ts.Fatalf("no letter to %s with a link to %s", args[0], args[1])
}

var userCode = regexp.MustCompile(`[A-Z]{4}-[A-Z]{4}`)

// login allow|deny VARIABLE runs `gatehouse login` at the portal, and answers it as whoever has the token.
func (i *instance) login(ts *testscript.TestScript, args []string) {
	cmd := exec.Command(filepath.Join(binary, "gatehouse"), "login", "--server", ts.Getenv("PORTAL"))
	cmd.Dir, cmd.Env = ts.MkAbs("."), i.env(ts)
	var out bytes.Buffer
	cmd.Stdout = &out
	said, err := cmd.StderrPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	lines := bufio.NewScanner(said)
	code := ""
	for code == "" && lines.Scan() {
		code = userCode.FindString(lines.Text())
	}
	body := `{"allow":` + fmt.Sprint(args[0] == "allow") + `}`
	i.http(ts, []string{"204", "-as", args[1], "POST", "/api/devices/" + code + "/decision", body})
	rest, err := io.ReadAll(said)
	ts.Check(err)
	err = cmd.Wait()
	fmt.Fprint(ts.Stdout(), out.String())
	fmt.Fprint(ts.Stderr(), string(rest))
	if (err == nil) != (args[0] == "allow") {
		ts.Fatalf("login ended with %v: %s", err, rest)
	}
}
