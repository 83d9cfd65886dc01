// Package pgtest starts a PostgreSQL for the tests of one package: on a free port of the loopback interface, with a folder of
// its own, ended with the process.
package pgtest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver, to make databases

	"gatehouse/secret"
)

// Install is the one command that brings what is missing.
const Install = "sudo apt-get update && sudo apt-get install -y postgresql"

const startTime = time.Minute // on a busy machine

// A Server is one PostgreSQL.
type Server struct {
	Port int
	cmd  *exec.Cmd
	dir  string
	done chan struct{}

	mu sync.Mutex
}

var shared struct {
	once   sync.Once
	server *Server
	err    error
}

// Tests are the tests of a package after which the server ends: what TestMain runs, or gives to goleak.
type Tests struct{ *testing.M }

// Run runs them.
func (t Tests) Run() int {
	code := t.M.Run()
	Stop()
	return code
}

// Stop ends the shared server, if there is one.
func Stop() {
	if s := shared.server; s != nil {
		s.Stop()
	}
}

// Database makes a fresh, empty database on the shared server and returns how it is reached. Its writes are not synced to
// disk: that is for tests with a server of their own.
func Database(t testing.TB) secret.Value {
	t.Helper()
	dsn, err := Address()
	if err != nil {
		t.Fatal(err)
	}
	return dsn
}

// Address is Database where there is no testing.TB.
func Address() (secret.Value, error) {
	shared.once.Do(func() { shared.server, shared.err = Start("-c", "fsync=off", "-c", "full_page_writes=off") })
	if shared.err != nil {
		return secret.Value{}, shared.err
	}
	return shared.server.Database()
}

// Start starts a server with further arguments. Stop must be called.
func Start(args ...string) (*Server, error) { return start(nil, args) }

// Standby starts a hot standby that follows the server by streaming. Stop must be called, before that of the server.
func (s *Server) Standby(args ...string) (*Server, error) { return start(s, args) }

// At is how the database of the DSN, which Database has made, is reached on this server: a standby has those of the one it follows.
func (s *Server) At(dsn secret.Value) secret.Value {
	_, path, _ := strings.Cut(strings.TrimPrefix(dsn.Reveal(), "postgres://"), "/")
	name, _, _ := strings.Cut(path, "?")
	return secret.New(s.address(name))
}

// Do runs a statement on the server as its owner.
func (s *Server) Do(ctx context.Context, statement string, args ...any) error {
	d, err := sql.Open("pgx", s.address("postgres"))
	if err != nil {
		return err
	}
	defer d.Close()
	_, err = d.ExecContext(ctx, statement, args...)
	return err
}

// start starts a fresh server, or one that follows another.
func start(of *Server, args []string) (*Server, error) {
	bin, err := programs()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "gatehouse-pg-")
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir, done: make(chan struct{})}
	as := &syscall.SysProcAttr{}
	if os.Getuid() == 0 { // it refuses to run as root
		if as.Credential, err = other(dir); err != nil {
			return nil, errors.Join(err, os.RemoveAll(dir))
		}
	}
	fill := exec.Command(filepath.Join(bin, "initdb"), "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions")
	if of != nil {
		fill = exec.Command(filepath.Join(bin, "pg_basebackup"), "-d", of.address("postgres"), "-R", "-X", "stream", "-c", "fast", "--no-sync")
	}
	fill.Args = append(fill.Args, "-D", filepath.Join(dir, "data"))
	fill.SysProcAttr, fill.Dir = as, dir
	if out, err := fill.CombinedOutput(); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w\n%s", fill.Args[0], err, out), os.RemoveAll(dir))
	}
	if err := s.run(bin, as, args); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return s, nil
}

func (s *Server) run(bin string, as *syscall.SysProcAttr, args []string) error {
	var err error
	if s.Port, err = free(); err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(s.dir, "log"))
	if err != nil {
		return err
	}
	defer log.Close()
	all := append([]string{"-D", filepath.Join(s.dir, "data"), "-p", strconv.Itoa(s.Port), "-h", "127.0.0.1", "-c", "unix_socket_directories=",
		"-c", "max_connections=200", "-c", "shared_buffers=64MB", "-c", "max_pred_locks_per_transaction=256"}, args...)
	s.cmd = exec.Command(filepath.Join(bin, "postgres"), all...)
	s.cmd.Stdout, s.cmd.Stderr, s.cmd.Dir = log, log, s.dir
	with := *as
	with.Pdeathsig = syscall.SIGQUIT // it ends when the tests are killed
	s.cmd.SysProcAttr = &with
	if err := s.cmd.Start(); err != nil {
		return err
	}
	go func() { _ = s.cmd.Wait(); close(s.done) }()
	d, err := sql.Open("pgx", s.address("postgres"))
	if err != nil {
		return err
	}
	defer d.Close()
	for deadline := time.Now().Add(startTime); ; time.Sleep(20 * time.Millisecond) {
		if err = d.Ping(); err == nil {
			return nil
		}
		select {
		case <-s.done:
		default:
			if time.Now().Before(deadline) {
				continue
			}
		}
		s.kill()
		said, _ := os.ReadFile(log.Name())
		return fmt.Errorf("PostgreSQL did not start: %w\n%s", err, said)
	}
}

func (s *Server) address(database string) string {
	return "postgres://postgres@127.0.0.1:" + strconv.Itoa(s.Port) + "/" + database + "?sslmode=disable"
}

// Database makes a fresh, empty database and returns how it is reached. It goes with the server.
func (s *Server) Database() (secret.Value, error) {
	name := "t" + strings.ToLower(rand.Text())
	d, err := sql.Open("pgx", s.address("postgres"))
	if err != nil {
		return secret.Value{}, err
	}
	defer d.Close()
	s.mu.Lock()
	defer s.mu.Unlock() // one copies the template at a time
	if _, err := d.ExecContext(context.Background(), `CREATE DATABASE `+name+` TEMPLATE template0`); err != nil {
		return secret.Value{}, err
	}
	return secret.New(s.address(name)), nil
}

// Stop ends the server and removes its folder.
func (s *Server) Stop() {
	s.kill()
	_ = os.RemoveAll(s.dir)
}

// kill ends it at once: what it holds is not wanted any more.
func (s *Server) kill() {
	_ = s.cmd.Process.Signal(syscall.SIGQUIT)
	select {
	case <-s.done:
	case <-time.After(startTime):
		_ = s.cmd.Process.Kill()
		<-s.done
	}
}

// programs is the folder with initdb and postgres.
func programs() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err == nil && len(found) > 0 {
		return filepath.Dir(found[len(found)-1]), nil
	}
	if p, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(p), nil
	}
	return "", errors.New("PostgreSQL is needed. Run this once, then again the tests:\n  " + Install)
}

// other gives the folder to the user that Debian's package makes.
func other(dir string) (*syscall.Credential, error) {
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL refuses to run as root, and there is no user postgres: %w", err)
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, os.Chown(dir, uid, gid)
}

func free() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
