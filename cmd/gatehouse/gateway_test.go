package main_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// gatewayProcess is a gateway of a script.
type gatewayProcess struct {
	cmd   *exec.Cmd
	ended chan error
}

// freeAddress finds a port on an address that nobody else uses, so that it is free later too.
func freeAddress(at string) (string, error) {
	l, err := net.Listen("tcp", at)
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// gateway NAME ARG… starts `gatehouse gateway ARG…` with the data directory NAME and the enrolment token in TOKEN, waits until
// it serves, and puts its address into the variable of its name, and that of its operations
// listener into NAME_OPERATIONS.
func (i *instance) gateway(ts *testscript.TestScript, args []string) {
	name := args[0]
	log, err := os.OpenFile(filepath.Join(i.work, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	ts.Check(err)
	defer log.Close()
	cmd := exec.Command(filepath.Join(binary, "gatehouse"), append([]string{"gateway", "-o", "json", "--data", name}, args[1:]...)...)
	cmd.Dir, cmd.Env, cmd.Stderr = ts.MkAbs("."), append(i.env(ts), "GATEHOUSE_FEED_TOKEN="+ts.Getenv("TOKEN")), log
	out, err := cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	g := &gatewayProcess{cmd, make(chan error, 1)}
	line := make(chan string, 1)
	go func() {
		in := bufio.NewScanner(out)
		if in.Scan() {
			line <- in.Text()
		}
		_, _ = io.Copy(io.Discard, out)
		g.ended <- cmd.Wait()
	}()
	if i.gateways == nil {
		i.gateways = map[string]*gatewayProcess{}
	}
	i.gateways[name] = g
	var ready struct{ Gateway, Operations, From string }
	select {
	case l := <-line:
		ts.Check(json.Unmarshal([]byte(l), &ready))
	case err := <-g.ended:
		delete(i.gateways, name)
		ts.Fatalf("the gateway ended: %v\n%s", err, ts.ReadFile(filepath.Join(i.work, name+".log")))
	case <-time.After(patience):
		ts.Fatalf("the gateway is not ready after %s\n%s", patience, ts.ReadFile(filepath.Join(i.work, name+".log")))
	}
	ts.Setenv(strings.ToUpper(name), ready.Gateway)
	ts.Setenv(strings.ToUpper(name)+"_OPERATIONS", ready.Operations)
	ts.Setenv("FROM", ready.From)
}

// kill NAME ends a gateway as a power cut would.
func (i *instance) killGateway(ts *testscript.TestScript, args []string) {
	g := i.gateways[args[0]]
	if g == nil {
		ts.Fatalf("there is no gateway %s", args[0])
	}
	ts.Check(g.cmd.Process.Kill())
	<-g.ended
	delete(i.gateways, args[0])
}

func (i *instance) killGateways() {
	for _, g := range i.gateways {
		_ = g.cmd.Process.Kill() // it may have ended
		<-g.ended
	}
	i.gateways = nil
}
