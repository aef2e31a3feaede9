package core

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"time"

	"github.com/paperclip-nas/paperclip/internal/protocol/corewire"
	"github.com/paperclip-nas/paperclip/internal/protocol/identity"
	"github.com/paperclip-nas/paperclip/internal/x/atomicfile"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// loadIdentity reads the device's key, or makes it at the first start: never
// in an image, so that no two devices share one. A file that is not a key is an
// error: a device must not change who it is by itself.
func loadIdentity(fsys opfs.FS, dir string, rand io.Reader) (ed25519.PrivateKey, error) {
	file := path.Join(dir, "identity.key")
	seed, err := fsys.ReadFile(file)
	switch {
	case err == nil && len(seed) == ed25519.SeedSize:
		return ed25519.NewKeyFromSeed(seed), nil
	case err == nil:
		return nil, fmt.Errorf("%s is not an identity key: it has %d bytes, not %d", file, len(seed), ed25519.SeedSize)
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("reading the identity key: %w", err)
	}
	key, err := identity.New(rand)
	if err != nil {
		return nil, err
	}
	if err := atomicfile.MakeDir(fsys, "identity.create", dir, 0o700); err != nil {
		return nil, err
	}
	if err := atomicfile.Replace(fsys, "identity.create", file, key.Seed(), atomicfile.Options{Mode: 0o600}); err != nil {
		return nil, fmt.Errorf("keeping the identity key: %w", err)
	}
	return key, nil
}

// leaf is a TLS key of a front that core certified.
type leaf struct {
	spki    string
	expires time.Duration // on the monotonic clock
}

// Lives of a front's certificate. The span before now forgives a clock that is
// a little behind on the owner's computer.
const (
	leafLife   = 24 * time.Hour
	leafBefore = time.Hour
	leavesKept = 8
)

// certify signs a front's TLS key for a day.
func (c *Core) certify(spki []byte) (corewire.CertifyReply, error) {
	now := c.cfg.Clock.Now()
	cert, err := identity.CertifyLeaf(c.identity, spki, now.Add(-leafBefore), now.Add(leafLife))
	if err != nil {
		return corewire.CertifyReply{}, err
	}
	own, err := identity.SelfSigned(c.identity)
	if err != nil {
		return corewire.CertifyReply{}, err
	}
	c.leaves = append(c.leaves, leaf{string(spki), c.cfg.Clock.Monotonic() + leafLife})
	if len(c.leaves) > leavesKept {
		c.leaves = c.leaves[1:]
	}
	return corewire.CertifyReply{Chain: [][]byte{cert, own}}, nil
}

// certified reports whether core signed that TLS key and it is still valid.
func (c *Core) certified(spki []byte) bool {
	now := c.cfg.Clock.Monotonic()
	for _, l := range c.leaves {
		if l.spki == string(spki) && now < l.expires {
			return true
		}
	}
	return false
}
