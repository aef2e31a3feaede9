package core

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/x/atomicfile"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// codes are the recovery codes that were given out: not the codes, but their
// keyed hashes, with the key in a file of its own. A code has 65 random bits,
// so that a fast hash is enough. A code that was used stays on the list as
// spent; no reset and no restore brings it back.
type codes struct {
	fsys opfs.FS
	file string
	key  []byte
	kept codesFile
}

type codesFile struct {
	Version int                  `json:"version"`
	Users   map[string][]oneCode `json:"users"`
}

type oneCode struct {
	Hash  string `json:"hash"`
	Spent bool   `json:"spent"`
}

func loadCodes(fsys opfs.FS, dir string, rand io.Reader) (*codes, error) {
	c := &codes{fsys: fsys, file: path.Join(dir, "codes.json"), kept: codesFile{Version: 1, Users: map[string][]oneCode{}}}
	if err := readState(fsys, c.file, &c.kept); err != nil {
		return nil, err
	}
	if c.kept.Version != 1 {
		return nil, fmt.Errorf("%s is of version %d, not 1", c.file, c.kept.Version)
	}
	if c.kept.Users == nil {
		c.kept.Users = map[string][]oneCode{}
	}
	return c, c.loadKey(path.Join(dir, "codes.key"), rand)
}

func (c *codes) loadKey(file string, rand io.Reader) error {
	key, err := c.fsys.ReadFile(file)
	switch {
	case err == nil && len(key) == sha256.Size:
		c.key = key
		return nil
	case err == nil:
		return fmt.Errorf("%s is not a key: it has %d bytes, not %d", file, len(key), sha256.Size)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	case len(c.kept.Users) > 0:
		return fmt.Errorf("%s is gone: the recovery codes cannot be checked any more; give out new ones", file)
	}
	c.key = make([]byte, sha256.Size)
	if _, err := io.ReadFull(rand, c.key); err != nil {
		return err
	}
	return atomicfile.Replace(c.fsys, "codes.key", file, c.key, atomicfile.Options{Mode: 0o600})
}

func (c *codes) hash(user string, code access.Secret) string {
	m := hmac.New(sha256.New, c.key)
	fmt.Fprintf(m, "%d:%s:%s", len(user), user, code.Reveal())
	return hex.EncodeToString(m.Sum(nil))
}

// make gives a user new codes. Those of before are worth nothing then.
func (c *codes) make(user string, rand io.Reader) ([]access.Secret, error) {
	var out []access.Secret
	var list []oneCode
	for range access.RecoveryCodes {
		code, err := access.NewRecoveryCode(rand)
		if err != nil {
			return nil, err
		}
		out, list = append(out, code), append(list, oneCode{Hash: c.hash(user, code)})
	}
	return out, c.keep("codes.make", user, list)
}

// spend uses a code up, on disk, before it counts for anything. Every hash is
// compared, so that the time tells nothing.
func (c *codes) spend(user string, code access.Secret) error {
	want, found := []byte(c.hash(user, code)), -1
	for i, o := range c.kept.Users[user] {
		if subtle.ConstantTimeCompare([]byte(o.Hash), want) == 1 && !o.Spent {
			found = i
		}
	}
	if found < 0 {
		return catalog.New("second_proof_wrong")
	}
	list := append([]oneCode(nil), c.kept.Users[user]...)
	list[found].Spent = true
	return c.keep("codes.spend", user, list)
}

// left is how many unused codes the user has.
func (c *codes) left(user string) (n int) {
	for _, o := range c.kept.Users[user] {
		if !o.Spent {
			n++
		}
	}
	return n
}

func (c *codes) keep(op, user string, list []oneCode) error {
	next := codesFile{Version: 1, Users: map[string][]oneCode{}}
	for u, l := range c.kept.Users {
		next.Users[u] = l
	}
	next.Users[user] = list
	if err := writeState(c.fsys, op, c.file, next); err != nil {
		return err
	}
	c.kept = next
	return nil
}
