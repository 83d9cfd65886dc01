package app

import (
	"context"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"gatehouse/audit"
	"gatehouse/config"
	"gatehouse/control"
	"gatehouse/feed"
	"gatehouse/secret"
	"gatehouse/store"
	"gatehouse/store/sqldb"
)

// signerName is the name that checkpoints are signed under.
const signerName = "gatehouse"

// Database is the path of the database file in a data directory.
func Database(data string) string { return filepath.Join(data, "gatehouse.db") }

// OpenStore opens the database that the configuration names: PostgreSQL, or the file in the data directory.
func OpenStore(ctx context.Context, c config.Config, log *slog.Logger) (store.Store, error) {
	if c.Database.Empty() {
		return sqldb.OpenSQLite(ctx, Database(c.Data), sqldb.Options{})
	}
	return sqldb.OpenPostgres(ctx, c.Database, sqldb.PostgresOptions{Log: log})
}

// openReplica opens the standby that the feed is read of for gateways elsewhere; nil when the configuration names none.
func openReplica(ctx context.Context, c config.Config, of store.Store, log *slog.Logger) (store.Store, error) {
	if c.Feed.Database.Empty() {
		return nil, nil
	}
	s, err := sqldb.OpenStandby(ctx, c.Feed.Database, of, sqldb.PostgresOptions{Log: log})
	if err != nil {
		return nil, fmt.Errorf("the feed cannot be read of the database that feed.database names: %w", err)
	}
	return s, nil
}

func backups(data string) string  { return filepath.Join(data, "backups") }
func hostFile(data string) string { return filepath.Join(data, "host.json") }
func keyFile(data, name string) string {
	return filepath.Join(data, "keys", name)
}

// makeData makes the data directory and its folders, readable by their owner only.
func makeData(data string) error {
	for _, dir := range []string{data, filepath.Join(data, "keys"), backups(data)} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("the data directory %s cannot be made (%w): name another one with --data, or make it writable", data, cause(err))
		}
	}
	probe, err := os.CreateTemp(data, ".probe-*")
	if err != nil {
		return fmt.Errorf("the data directory %s cannot be written (%w): name another one with --data, or make it writable", data, cause(err))
	}
	probe.Close()
	return os.Remove(probe.Name())
}

// cause is what the operating system said, without the name that the caller says itself.
func cause(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	return err
}

// keys signs feed entries and checkpoints. They are made at the first start and never leave the data directory.
type keys struct {
	feed     ed25519.PrivateKey
	signer   note.Signer
	verifier string
}

// loadKeys reads the keys of the data directory, and makes them at the first start, one after the other. So one that is missing while a
// later one is there was lost. It is not made anew: gateways would refuse its feed, and the audit log would go on unsigned.
func loadKeys(data string) (*keys, error) {
	for _, order := range [][2]string{{"feed", "checkpoint"}, {"checkpoint", "checkpoint.pub"}} {
		if there(keyFile(data, order[1])) && !there(keyFile(data, order[0])) {
			return nil, fmt.Errorf("%s is missing, and %s beside it is there: put it back from your copy", keyFile(data, order[0]), order[1])
		}
	}
	seed, err := keyText(keyFile(data, "feed"), func() (string, error) {
		var b [ed25519.SeedSize]byte
		_, err := rand.Read(b[:])
		return base64.StdEncoding.EncodeToString(b[:]), err
	})
	if err != nil {
		return nil, err
	}
	raw, err := base64.StdEncoding.DecodeString(seed)
	if err != nil || len(raw) != ed25519.SeedSize {
		return nil, fmt.Errorf("%s is not the key that this program wrote: put it back from your copy", keyFile(data, "feed"))
	}
	skey, err := keyText(keyFile(data, "checkpoint"), func() (string, error) {
		s, _, err := note.GenerateKey(rand.Reader, signerName)
		return s, err
	})
	if err != nil {
		return nil, err
	}
	signer, err := note.NewSigner(skey)
	if err != nil {
		return nil, fmt.Errorf("%s is not the key that this program wrote: put it back from your copy", keyFile(data, "checkpoint"))
	}
	if !there(keyFile(data, "checkpoint.pub")) {
		public, err := verifierOf(skey)
		if err == nil {
			err = writePrivate(keyFile(data, "checkpoint.pub"), public+"\n", 0o600)
		}
		if err != nil {
			return nil, err
		}
	}
	verifier, err := readVerifier(data)
	if err != nil {
		return nil, err
	}
	return &keys{feed: ed25519.NewKeyFromSeed(raw), signer: signer, verifier: verifier}, nil
}

// there reports whether something has that name.
func there(file string) bool {
	_, err := os.Lstat(file)
	return err == nil
}

// verifierOf is the verifier key that belongs to a note signer's key, as note.GenerateKey made both.
func verifierOf(skey string) (string, error) {
	parts := strings.SplitN(skey, "+", 5) // PRIVATE, KEY, name, hash, and in base64, which has a plus of its own, algorithm and seed
	raw, err := base64.StdEncoding.DecodeString(parts[len(parts)-1])
	if err != nil || len(raw) != 1+ed25519.SeedSize {
		return "", errors.New("the key of checkpoints is not one of Ed25519")
	}
	return note.NewEd25519VerifierKey(signerName, ed25519.NewKeyFromSeed(raw[1:]).Public().(ed25519.PublicKey))
}

// ownLog refuses a database whose audit log was signed by another key: its keys were left behind, or it is another installation's.
func ownLog(ctx context.Context, st store.Store, k *keys) error {
	var signed string
	err := st.View(ctx, func(tx store.Tx) (err error) {
		signed, err = tx.Checkpoint(ctx)
		return err
	})
	if err != nil || signed == "" {
		return err
	}
	if _, err := audit.OpenCheckpoint(signed, k.verifier); err != nil {
		return fmt.Errorf("the audit log in the database was signed by another key than keys/checkpoint: put the keys of this installation there from your copy (%w)", err)
	}
	return nil
}

// OpenKeys reads the keys of a data directory, and makes those that are missing: for a control plane that is no server.
func OpenKeys(data string) (control.Keys, error) { return loadKeys(data) }

// instanceOf is what the data directory's process is told from others by that share its database. It is made at the first start.
func instanceOf(data string) (string, error) {
	file := filepath.Join(data, "instance")
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		fresh := strings.ToLower(rand.Text()[:8])
		return fresh, writePrivate(file, fresh+"\n", 0o600)
	}
	text := strings.TrimSpace(string(b))
	if err == nil && len(text) != 8 {
		err = fmt.Errorf("%s does not hold what this program wrote there: remove it, and another one is made", file)
	}
	return text, err
}

// readVerifier reads the public key of checkpoints.
func readVerifier(data string) (string, error) {
	b, err := os.ReadFile(keyFile(data, "checkpoint.pub"))
	if err != nil {
		return "", fmt.Errorf("the verifier key of the audit log cannot be read: %w", err)
	}
	return strings.TrimSpace(string(b)), nil
}

// keyText reads a private key, or makes it. One that others can read is refused: it may have been.
func keyText(file string, fresh func() (string, error)) (string, error) {
	info, err := os.Stat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		text, err := fresh()
		if err != nil {
			return "", err
		}
		return text, writePrivate(file, text+"\n", 0o600)
	case err != nil:
		return "", err
	case info.Mode().Perm()&0o077 != 0:
		return "", fmt.Errorf("%s can be read by others than its owner: run 'chmod 600 %s', and ask who may have read it", file, file)
	}
	b, err := os.ReadFile(file)
	return strings.TrimSpace(string(b)), err
}

// writePrivate writes a file whole or not at all.
func writePrivate(file, text string, mode fs.FileMode) error {
	t, err := os.CreateTemp(filepath.Dir(file), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(t.Name())
	_, err = t.WriteString(text)
	err = errors.Join(err, t.Chmod(mode), t.Sync(), t.Close())
	if err != nil {
		return err
	}
	return os.Rename(t.Name(), file)
}

// SignFeed signs the digest of a feed entry.
func (k *keys) SignFeed(digest string) []byte { return feed.Sign(k.feed, digest) }

// SignCheckpoint signs a checkpoint's text as a note.
func (k *keys) SignCheckpoint(text string) (string, error) {
	signed, err := note.Sign(&note.Note{Text: text}, k.signer)
	return string(signed), err
}

// Derive makes a secret key for the purpose from the key of the feed (RFC 5869).
func (k *keys) Derive(purpose string) [32]byte {
	key, err := hkdf.Key(sha256.New, k.feed.Seed(), nil, "gatehouse "+purpose, 32)
	if err != nil { // only of a length that cannot be
		panic(fmt.Sprintf("app: derive a key: %v", err))
	}
	return [32]byte(key)
}

// gateway is the key by which a gateway of this process swears what it enforces.
func (k *keys) gateway(name string) ed25519.PrivateKey {
	seed := k.Derive("gateway " + name)
	return ed25519.NewKeyFromSeed(seed[:])
}

// Verifier is the verifier key of checkpoints.
func (k *keys) Verifier() string { return k.verifier }

// writeHost leaves the address and the host's token for the command line of the data directory's owner.
func writeHost(data, url string, token secret.Value) error {
	b, err := json.Marshal(map[string]string{"url": url, "token": token.Reveal()})
	if err != nil {
		return err
	}
	return writePrivate(hostFile(data), string(b)+"\n", 0o600)
}
