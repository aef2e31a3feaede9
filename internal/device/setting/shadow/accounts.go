package shadow

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
)

// User ids of people, as Debian and systemd draw the line.
const (
	firstHuman = 1000
	lastHuman  = 59999
)

// person is a line of passwd(5).
type person struct {
	name     string
	uid, gid int
}

// accounts are the people of this system that have a line in the shadow file,
// in the order of the passwd file.
func (a *Adapter) accounts() ([]nas.Account, error) {
	people, err := a.people()
	if err != nil {
		return nil, err
	}
	admins, gid, err := a.adminGroup()
	if err != nil {
		return nil, err
	}
	f, err := a.load()
	if err != nil {
		return nil, err
	}
	var all []nas.Account
	for _, p := range people {
		v, err := f.value(p.name)
		if err != nil {
			continue // managed elsewhere, or a line that nobody can read
		}
		all = append(all, nas.Account{
			Name:          p.name,
			Administrator: p.uid == 0 || p.gid == gid || slices.Contains(admins, p.name),
			BuiltIn:       p.uid == 0 || p.name == "admin",
			Enabled:       v.usable(a.today()),
		})
	}
	return all, nil
}

func (a *Adapter) people() ([]person, error) {
	data, err := a.cfg.FS.ReadFile("/etc/passwd")
	if err != nil {
		return nil, fmt.Errorf("read the accounts: %w", err)
	}
	var people []person
	for line := range strings.Lines(string(data)) {
		entry := strings.Split(strings.TrimRight(line, "\r\n"), ":")
		if len(entry) != 7 {
			continue
		}
		uid, err1 := strconv.Atoi(entry[2])
		gid, err2 := strconv.Atoi(entry[3])
		if err1 != nil || err2 != nil || !isPerson(uid, entry[0]) {
			continue
		}
		people = append(people, person{entry[0], uid, gid})
	}
	return people, nil
}

// isPerson leaves out system accounts, and a second account with user id 0,
// which is a back door and not a person.
func isPerson(uid int, name string) bool {
	return uid == 0 && name == "root" || uid >= firstHuman && uid <= lastHuman
}

// adminGroup is the members and the id of the administrators' group; -1 when
// the system has no such group.
func (a *Adapter) adminGroup() (members []string, gid int, err error) {
	data, err := a.cfg.FS.ReadFile("/etc/group")
	if err != nil {
		return nil, 0, fmt.Errorf("read the groups: %w", err)
	}
	for line := range strings.Lines(string(data)) {
		entry := strings.Split(strings.TrimRight(line, "\r\n"), ":")
		if len(entry) != 4 || entry[0] != a.cfg.AdminGroup {
			continue
		}
		gid, err := strconv.Atoi(entry[2])
		if err != nil {
			continue
		}
		return strings.Split(entry[3], ","), gid, nil
	}
	return nil, -1, nil
}

// maxPassword is what crypt(3) takes, in bytes.
const maxPassword = 511

// Check says whether the password is the account's, for the device's own
// sign-in. An account that is missing, locked, expired, without a password, or
// with a hash of a style that is not known here, is false after the same work
// as any other: nothing but the answer tells them apart.
func (a *Adapter) Check(_ context.Context, user string, password access.Secret) (bool, error) {
	f, err := a.load()
	if err != nil {
		return false, err
	}
	text := password.Reveal()
	v, err := f.value(user)
	genuine := err == nil && v.usable(a.today()) && known(v.Hash) && a.isPerson(user) &&
		text != "" && len(text) <= maxPassword
	hash := v.Hash
	if !genuine {
		hash = decoy(f.hashes())
		text = text[:min(len(text), maxPassword)]
	}
	ok, err := match(hash, text)
	return ok && genuine, err
}

func (a *Adapter) isPerson(user string) bool {
	people, err := a.people()
	return err == nil && slices.ContainsFunc(people, func(p person) bool { return p.name == user })
}

// decoy is a hash that costs what this system's hashes cost: the first one in
// the file of a usual style, else one of our own. What it matches opens nothing.
func decoy(hashes []string) string {
	for _, h := range hashes {
		if (strings.HasPrefix(h, "$y$") || strings.HasPrefix(h, "$6$")) && known(h) {
			return h
		}
	}
	return "$6$saltsaltsaltsalt$" + strings.Repeat(".", 86)
}
