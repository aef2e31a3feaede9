package sandbox

import (
	"errors"
	"fmt"
	"os"

	"github.com/landlock-lsm/go-landlock/landlock"
	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
)

// writing are the rights by which a file system changes. Moving a file to
// another folder (refer) is forbidden by every ruleset that does not allow it.
const writing = ll.AccessFSWriteFile | ll.AccessFSTruncate | ll.AccessFSRemoveDir | ll.AccessFSRemoveFile |
	ll.AccessFSMakeReg | ll.AccessFSMakeDir | ll.AccessFSMakeSock | ll.AccessFSMakeFifo | ll.AccessFSMakeSym |
	ll.AccessFSMakeChar | ll.AccessFSMakeBlock

// making are the rights a folder of configuration has: no device is made there.
const making = writing &^ (ll.AccessFSMakeChar | ll.AccessFSMakeBlock)

// toFiles are the rights that a rule on a single file can have.
const toFiles = ll.AccessFSWriteFile | ll.AccessFSTruncate

// Apply restricts this process and all that it starts, as far as this kernel's
// Landlock goes, and can't be taken back. It returns what is allowed of what was
// there, and the ABI: 0, and no error, where the kernel has no Landlock. That is
// for Check to judge.
func (r Rules) Apply() (abi int, write []string, err error) {
	abi, err = ll.LandlockGetABIVersion()
	if err != nil || abi < 1 {
		return 0, r.there(), nil //nolint:nilerr // no Landlock is an answer
	}
	handled := landlock.AccessFSSet(writing)
	config := []any{handled}
	if r.Alone {
		config[0] = handled | landlock.AccessFSSet(ll.AccessFSExecute)
		config = append(config, landlock.AccessNetSet(ll.AccessNetConnectTCP))
	}
	c, err := landlock.NewConfig(config...)
	if err != nil {
		return 0, nil, err
	}
	var rules []landlock.Rule
	for _, path := range r.Write {
		info, err := os.Stat(path)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return 0, nil, err
		}
		rights := landlock.AccessFSSet(toFiles)
		if info.IsDir() {
			rights = making
		}
		rules = append(rules, landlock.PathAccess(rights, path).IgnoreIfMissing())
		write = append(write, path)
	}
	if err := c.BestEffort().Restrict(rules...); err != nil {
		return 0, nil, fmt.Errorf("landlock: %w", err)
	}
	return abi, write, nil
}

// there are the paths that exist.
func (r Rules) there() []string {
	var all []string
	for _, path := range r.Write {
		if _, err := os.Stat(path); err == nil {
			all = append(all, path)
		}
	}
	return all
}
