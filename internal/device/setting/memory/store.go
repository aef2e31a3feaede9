// Package memory is the settings of a NAS that has no hardware: the lab's
// virtual NAS and tests. It can express every row from E1 to E13 and carries
// each out through an adapter of its own, by what package reset says the row
// does.
//
// Its "disk" is one file, replaced whole by named operations, and its "running
// system" is memory that Activate brings up to date, so that a power cut, a
// forgotten activation and a write that gets lost look as they do on a real
// NAS. It never touches the system it runs on, and never holds a password but
// as a hash.
package memory

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"golang.org/x/crypto/argon2"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/x/atomicfile"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
	"github.com/paperclip-nas/paperclip/internal/x/strictjson"
)

// State is what the file holds.
type State struct {
	Version  int               `json:"version"`
	Settings nas.Settings      `json:"settings"`
	Hashes   map[string]string `json:"hashes"` // account to password hash, as Hash writes
}

// Store is one NAS's settings. It is safe for concurrent use.
type Store struct {
	fsys opfs.FS
	file string

	mu      sync.Mutex
	running State // what the running system uses
}

// Create makes the file of a new NAS.
func Create(fsys opfs.FS, file string, s State) (*Store, error) {
	st := &Store{fsys: fsys, file: file}
	s.Version = 1
	if err := st.save("memory.create", s); err != nil {
		return nil, err
	}
	return Open(fsys, file)
}

// Open starts a NAS from its file, as a boot does.
func Open(fsys opfs.FS, file string) (*Store, error) {
	st := &Store{fsys: fsys, file: file}
	s, err := st.load()
	if err != nil {
		return nil, err
	}
	st.running = s
	return st, nil
}

// Running is what the running system uses. The caller may change it.
func (st *Store) Running() State {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.running.clone()
}

func (s State) clone() State {
	c := State{Version: s.Version, Settings: s.Settings.Clone(), Hashes: make(map[string]string, len(s.Hashes))}
	for k, v := range s.Hashes {
		c.Hashes[k] = v
	}
	return c
}

func (st *Store) load() (State, error) {
	var s State
	raw, err := st.fsys.ReadFile(st.file)
	if err != nil {
		return s, fmt.Errorf("reading the settings of a virtual NAS: %w", err)
	}
	if err := strictjson.Unmarshal(raw, &s); err != nil {
		return s, fmt.Errorf("%s: %w", st.file, err)
	}
	if s.Version != 1 {
		return s, fmt.Errorf("%s is of version %d, not 1", st.file, s.Version)
	}
	if s.Hashes == nil {
		s.Hashes = map[string]string{}
	}
	return s, nil
}

func (st *Store) save(op string, s State) error {
	raw, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return atomicfile.Replace(st.fsys, op, st.file, append(raw, '\n'), atomicfile.Options{Mode: 0o600})
}

// settle is for a file that is as it is to be: what a run that was cut short has
// left goes, and what it wrote is durable.
func (st *Store) settle(op string) error { return atomicfile.Settle(st.fsys, op, st.file) }

// Check says whether the password is the account's, on the running system. A
// missing account costs the same work and is false.
func (st *Store) Check(_ context.Context, user string, password access.Secret) (bool, error) {
	st.mu.Lock()
	hash := st.running.Hashes[user]
	a, known := st.running.Settings.Account(user)
	st.mu.Unlock()
	if hash == "" {
		hash = dummyHash
	}
	fits := Matches(hash, password)
	return fits && known && a.Enabled && hash != dummyHash, nil
}

// Mark is a name for the password that the account has now.
func (st *Store) Mark(_ context.Context, user string) (string, error) {
	sum := sha256.Sum256([]byte(user + "\x00" + st.Running().Hashes[user]))
	return hex.EncodeToString(sum[:]), nil
}

// Argon2id's cost: small, as virtual NAS are many and guard nothing. hashMemory
// is in KiB.
const (
	hashTime, hashThreads, hashLen = 1, 1, 32

	dummyHash = "argon2id$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
)

// Hash makes the hash of a password, with salt from r.
func Hash(r io.Reader, password access.Secret) (string, error) {
	salt := make([]byte, 16)
	if _, err := io.ReadFull(r, salt); err != nil {
		return "", err
	}
	e := base64.RawStdEncoding
	return "argon2id$" + e.EncodeToString(salt) + "$" + e.EncodeToString(key(password, salt)), nil
}

func key(password access.Secret, salt []byte) []byte {
	return argon2.IDKey([]byte(password.Reveal()), salt, hashTime, hashMemory, hashThreads, hashLen)
}

// Matches says whether the hash is that of the password.
func Matches(hash string, password access.Secret) bool {
	parts := strings.Split(hash, "$")
	if len(parts) != 3 || parts[0] != "argon2id" {
		return false
	}
	salt, err1 := base64.RawStdEncoding.DecodeString(parts[1])
	want, err2 := base64.RawStdEncoding.DecodeString(parts[2])
	if errors.Join(err1, err2) != nil {
		return false
	}
	return subtle.ConstantTimeCompare(key(password, salt), want) == 1
}

// randomness is where salts come from; a NAS in a test may want its own.
func randomness() io.Reader { return rand.Reader }
