package core

import (
	"crypto/ed25519"
	"fmt"
	"path"
	"slices"
	"time"

	"github.com/paperclip-nas/paperclip/internal/device/journal"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/protocol/identity"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// Owner is a key that opens an owner's conversation. A key is enrolled when a
// claim's plan is committed: for the administrator whose password that plan
// replaced, or, where it replaced none, for the receipt of that transaction
// alone. No reset takes the list back.
type Owner struct {
	ID          string            `json:"id"`
	PublicKey   ed25519.PublicKey `json:"public_key"`
	Account     string            `json:"account,omitempty"` // empty: the receipt of Transaction alone
	Label       string            `json:"label,omitempty"`   // what the owner's computer calls itself
	Transaction string            `json:"transaction"`
	EnrolledAt  time.Time         `json:"enrolled_at"`
}

// ownersKept bounds the list; the one that was enrolled first goes.
const ownersKept = 32

// owners is the list on disk.
type owners struct {
	fsys   opfs.FS
	file   string
	kept   []Owner
	behind bool // the file is not yet as kept is
}

type ownersFile struct {
	Version int     `json:"version"`
	Owners  []Owner `json:"owners"`
}

func loadOwners(fsys opfs.FS, dir string) (*owners, error) {
	o := &owners{fsys: fsys, file: path.Join(dir, "owners.json")}
	f := ownersFile{Version: 1}
	if err := readState(fsys, o.file, &f); err != nil {
		return nil, err
	}
	if f.Version != 1 {
		return nil, fmt.Errorf("%s is of version %d, not 1", o.file, f.Version)
	}
	for _, one := range f.Owners {
		if len(one.PublicKey) != ed25519.PublicKeySize {
			return nil, fmt.Errorf("%s cannot be understood: a key in it is none", o.file)
		}
	}
	o.kept = f.Owners
	return o, nil
}

// OwnerList is what ReadOwners answers.
type OwnerList struct {
	Owners []Owner `json:"owners"`
}

func (c *Core) ownerList() OwnerList {
	return OwnerList{Owners: append([]Owner{}, c.owners.kept...)}
}

// enrol takes the claimant's key of a committed record into the list. Doing it
// again changes nothing. As every session of an administrator ends with the
// password of before, so do the keys that were enrolled for it before.
func (o *owners) enrol(r *journal.Record) error {
	anew := reset.SetsPassword(r.Mode, r.Scope)
	switch {
	case r.State != journal.Committed:
		return nil
	case len(r.OwnerKey) != ed25519.PublicKeySize && !anew:
		return nil
	case len(r.OwnerKey) != ed25519.PublicKeySize: // set by root, or by another administrator
		list := slices.DeleteFunc(slices.Clone(o.kept), func(have Owner) bool { return have.Account == r.Administrator })
		if len(list) == len(o.kept) && !o.behind {
			return nil
		}
		return o.replace(list)
	}
	next := Owner{
		ID: identity.KeyID(r.OwnerKey), PublicKey: r.OwnerKey, Label: r.OwnerLabel,
		Transaction: r.ID, EnrolledAt: r.AcceptedAt.UTC().Truncate(time.Second),
	}
	if anew {
		next.Account = r.Administrator
	}
	list := slices.DeleteFunc(slices.Clone(o.kept), func(have Owner) bool {
		same := have.PublicKey.Equal(next.PublicKey)
		return have.Account == next.Account && (same || next.Account != "")
	})
	return o.replace(bounded(append(list, next)))
}

// replace is keep for what a commit has brought about: it holds also while it
// cannot be written, so that no key of before opens anything meanwhile.
func (o *owners) replace(list []Owner) error {
	o.kept, o.behind = list, true
	return o.keep("owners.enrol", list)
}

// bounded drops the oldest, those for a receipt alone first.
func bounded(list []Owner) []Owner {
	for len(list) > ownersKept {
		oldest := max(0, slices.IndexFunc(list, func(o Owner) bool { return o.Account == "" }))
		list = slices.Delete(list, oldest, oldest+1)
	}
	return list
}

// remove forgets every entry of a key.
func (o *owners) remove(id string) error {
	list := slices.DeleteFunc(slices.Clone(o.kept), func(have Owner) bool { return have.ID == id })
	if len(list) == len(o.kept) {
		return catalog.New("unknown_owner", id)
	}
	return o.keep("owners.remove", list)
}

// of lists what a key was enrolled for, the latest first.
func (o *owners) of(key ed25519.PublicKey) []Owner {
	var out []Owner
	for _, one := range slices.Backward(o.kept) {
		if one.PublicKey.Equal(key) {
			out = append(out, one)
		}
	}
	return out
}

func (o *owners) keep(op string, list []Owner) error {
	if err := writeState(o.fsys, op, o.file, ownersFile{Version: 1, Owners: list}); err != nil {
		return err
	}
	o.kept, o.behind = list, false
	return nil
}

// enrol is owners.enrol where the list is changed: in Run's goroutine, or
// before it serves anybody.
func (c *Core) enrol(record *journal.Record) error {
	err := c.owners.enrol(record)
	if err == nil && len(record.OwnerKey) > 0 && record.State == journal.Committed {
		c.cfg.Log.Info("an owner key is enrolled", "transaction", record.ID, "administrator", record.Administrator)
	}
	return err
}
