package crash

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/device/setting/memory"
	"github.com/paperclip-nas/paperclip/internal/device/setting/shadow"
	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/x/clock"
	"github.com/paperclip-nas/paperclip/internal/x/opfs/crashfs"
)

// doors looks for doors that stand open, and for one that must be. It remembers
// which password fits which line, as hashing is slow.
type doors struct {
	kind  kind
	known map[string]bool
}

func (k kind) doors() doors { return doors{k, map[string]bool{}} }

// fits reports whether one of the passwords that an account may have opens it.
func (k doors) fits(user, line string, opens func(password string) bool) bool {
	fits, known := k.known[line]
	if !known {
		fits = slices.ContainsFunc(k.kind.opens[user], opens)
		k.known[line] = fits
	}
	return fits
}

// open says which door stands open that should not: a blank password, an account
// that is not locked any more, or one that opens with a password of nobody's.
// And, where an administrator must always have a way in (X24), that there is none.
func (k doors) open(d *crashfs.Disk) error {
	text, err := d.ReadFile("/etc/shadow")
	if errors.Is(err, fs.ErrNotExist) {
		return k.openVirtual(d)
	}
	if err != nil {
		return err
	}
	seen, ways := 0, 0
	for line := range strings.Lines(string(text)) {
		f := strings.Split(line, ":")
		if len(f) != 9 {
			continue
		}
		seen++
		user := f[0]
		_, may := k.kind.opens[user]
		switch locked := f[1] != "" && (f[1][0] == '!' || f[1][0] == '*'); {
		case f[1] == "":
			return fmt.Errorf("the password of %s is blank", user)
		case locked || user == "cleo" || user == "guest": // who never was
		case !may:
			return fmt.Errorf("%s was locked and is not any more", user)
		case k.fits(user, line, func(password string) bool { return signsIn(d, user, password) }):
			ways++
		default:
			return fmt.Errorf("%s's account is unlocked, and not with a password of theirs", user)
		}
	}
	if _, made := k.kind.opens[newcomer]; seen != 5 && (seen != 6 || !made) {
		return fmt.Errorf("%d accounts in the shadow file, not 5", seen)
	}
	return k.way(ways)
}

func (k doors) way(n int) error {
	if k.kind.wayIn && n == 0 {
		return errors.New("no administrator can sign in")
	}
	return nil
}

// signsIn reports whether a password opens an account.
func signsIn(d *crashfs.Disk, user, password string) bool {
	ok, err := shadow.New(shadow.Config{FS: d, Clock: clock.System(), Rand: rand.Reader}).Check(context.Background(), user, access.NewSecret(password))
	return ok && err == nil
}

func (k doors) openVirtual(d *crashfs.Disk) error {
	raw, err := d.ReadFile(memoryFile)
	if err != nil {
		return err
	}
	var s memory.State
	if err := json.Unmarshal(raw, &s); err != nil {
		return err
	}
	ways := 0
	for _, a := range s.Settings.Accounts {
		hash := s.Hashes[a.Name]
		_, may := k.kind.opens[a.Name]
		switch {
		case hash == "" && (a.Name != "root" || a.Enabled):
			return fmt.Errorf("the password of %s is blank", a.Name)
		case !a.Enabled || a.Name == "cleo":
		case !may:
			return fmt.Errorf("%s was locked and is not any more", a.Name)
		case !k.fits(a.Name, a.Name+hash, func(p string) bool { return memory.Matches(hash, access.NewSecret(p)) }):
			return fmt.Errorf("%s's account is unlocked, and not with a password of theirs", a.Name)
		default:
			ways++
		}
	}
	return k.way(ways)
}
