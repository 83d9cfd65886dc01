package sqldb_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"gatehouse/audit"
	"gatehouse/id"
	"gatehouse/organization"
	"gatehouse/store"
	"gatehouse/store/sqldb"
)

// writeUntilKilled is the child: several writers, and each write is told on standard output once it was answered.
func writeUntilKilled() {
	ctx := context.Background()
	s, err := sqldb.OpenSQLite(ctx, os.Getenv("SQLDB_TEST_FILE"), sqldb.Options{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				now := time.Now()
				o := organization.Organization{ID: id.New(id.Organization, now), Name: "A", Created: now}
				err := s.Update(ctx, func(tx store.Tx) error {
					if _, err := tx.PutOrganization(ctx, o); err != nil {
						return err
					}
					return tx.AppendAudit(ctx, audit.New(now, audit.Entry{Action: "organization.register", Object: o.ID}))
				})
				if err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
				_, _ = os.Stdout.WriteString(string(o.ID) + "\n")
			}
		})
	}
	wg.Wait()
}

// Killed at any moment, the store has every write that was answered, whole, and opens again without repair. SQLDB_KILLS sets
// how many times.
func TestKilledLosesNothingAnswered(t *testing.T) {
	rounds := 20
	if n, err := strconv.Atoi(os.Getenv("SQLDB_KILLS")); err == nil {
		rounds = n
	}
	file := filepath.Join(t.TempDir(), "gatehouse.db")
	answered := map[string]bool{}
	for range rounds {
		child := exec.CommandContext(t.Context(), os.Args[0])
		child.Env = append(os.Environ(), "SQLDB_TEST_CHILD=write", "SQLDB_TEST_FILE="+file)
		child.Stderr = os.Stderr
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		kill := time.AfterFunc(time.Hour, func() {})
		for first := true; lines.Scan(); first = false {
			answered[lines.Text()] = true
			if first { // once it writes, at a moment that nobody chose
				kill = time.AfterFunc(time.Duration(rand.IntN(30_000))*time.Microsecond, func() { _ = child.Process.Kill() })
			}
		}
		_ = child.Wait()
		kill.Stop()
		if len(answered) == 0 {
			t.Fatal("the child wrote nothing")
		}
	}
	s := open(t, file)
	there := map[string]bool{}
	err := s.View(t.Context(), func(tx store.Tx) error {
		os, err := tx.Organizations(t.Context(), "", "", "", 1<<30)
		for _, o := range os {
			there[string(o.ID)] = true
		}
		if err != nil {
			return err
		}
		es, err := tx.Unsealed(t.Context(), 1<<30)
		if len(es) != len(os) {
			t.Errorf("%d organizations and %d audit entries: a write is there by half", len(os), len(es))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range answered {
		if !there[i] {
			t.Errorf("%s was answered and is lost", i)
		}
	}
	if _, err := sqldb.Inspect(t.Context(), file); err != nil {
		t.Error(err)
	}
	t.Logf("%d kills, %d answered writes, %d there", rounds, len(answered), len(there))
}
