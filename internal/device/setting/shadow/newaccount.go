package shadow

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/x/atomicfile"
)

// Homes is where the home folder of an account is that a hard reset makes: on
// the system's own disk. /home may be a volume, and no reset writes to one.
const Homes = "/var/lib/paperclip-home"

const (
	passwdFile  = "/etc/passwd"
	groupFile   = "/etc/group"
	gshadowFile = "/etc/gshadow"
	loginDefs   = "/etc/login.defs"

	passwdFields, groupFields = 7, 4
)

// newAccount is what a step's Data holds that makes an account.
type newAccount struct {
	Name   string   `json:"name"`
	UID    int      `json:"uid"` // of its own group too
	Shell  string   `json:"shell"`
	Groups []string `json:"groups"` // beside its own
}

func (n newAccount) home() string { return path.Join(Homes, n.Name) }
func (n newAccount) passwd() string {
	return fmt.Sprintf("%s:x:%d:%[2]d::%s:%s", n.Name, n.UID, n.home(), n.Shell)
}
func (n newAccount) group() string   { return fmt.Sprintf("%s:x:%d:", n.Name, n.UID) }
func (n newAccount) gshadow() string { return n.Name + ":!::" }

// step is the one that makes the account.
func (n newAccount) step() (reset.Step, error) {
	data, err := json.Marshal(struct {
		Account newAccount `json:"account"`
	}{n})
	return reset.Step{Name: "account " + n.Name, Adapter: ID, Effects: []nas.Effect{nas.E1}, Data: data}, err
}

// readAccount is the account that a step makes; ok is false for a step about an
// account that there is.
func readAccount(s reset.Step) (n newAccount, ok bool) {
	var d struct {
		Account newAccount `json:"account"`
	}
	err := json.Unmarshal(s.Data, &d)
	return d.Account, err == nil && d.Account.Name != "" && d.Account.UID >= firstHuman
}

// tables are the files that know accounts and groups.
type tables struct{ passwd, group, gshadow *table }

func (a *Adapter) tables() (t tables, err error) {
	var err1, err2, err3 error
	t.passwd, err1 = loadTable(a.cfg.FS, passwdFile, true)
	t.group, err2 = loadTable(a.cfg.FS, groupFile, true)
	t.gshadow, err3 = loadTable(a.cfg.FS, gshadowFile, false)
	return t, errors.Join(err1, err2, err3)
}

// refused is why an account cannot be made, for the person who chose its name.
func refused(format string, args ...any) error {
	return catalog.New("account_name", fmt.Sprintf(format, args...))
}

// draft works out the account that a hard reset makes, as the administrators that
// there are: their shell, and each group that all of them are in.
func (a *Adapter) draft(name string, accounts []nas.Account) (newAccount, error) {
	n := newAccount{Name: name}
	for _, file := range []string{passwdFile, groupFile, gshadowFile} {
		if err := atomicfile.Check(a.cfg.FS, file); err != nil {
			return n, refused("%s cannot be replaced safely", file)
		}
	}
	t, err := a.tables()
	if err != nil {
		return n, err
	}
	if err := a.free(name, t); err != nil {
		return n, err
	}
	if t.group.find(a.cfg.AdminGroup) < 0 {
		return n, refused("this NAS has no group %s, whose members are administrators", a.cfg.AdminGroup)
	}
	n.Shell, n.Groups = a.manner(accounts, t)
	n.UID, err = a.freeID(t)
	return n, err
}

// free refuses a name that is known in any way: to whom it belonged, its files
// and keys may still lie about.
func (a *Adapter) free(name string, t tables) error {
	f, err := a.load()
	if err != nil {
		return err
	}
	_, inShadow := f.find(name)
	switch {
	case t.passwd.find(name) >= 0 || inShadow != nil:
		return refused("there is an account %s already", name)
	case t.group.find(name) >= 0 || t.gshadow.find(name) >= 0:
		return refused("there is a group %s already", name)
	}
	for _, entry := range append(t.group.rows(groupFields), t.gshadow.rows(groupFields)...) {
		if slices.Contains(strings.Split(entry[3], ","), name) {
			return refused("%s is still named in the group %s", name, entry[0])
		}
	}
	if info, err := a.cfg.FS.Lstat(Homes); err != nil || !info.IsDir() {
		return refused("the folder %s is missing, which paperclipd's installation makes", Homes)
	}
	if _, err := a.cfg.FS.Lstat(path.Join(Homes, name)); !errors.Is(err, fs.ErrNotExist) {
		return refused("there is a home folder of %s already, whoever's it is", name)
	}
	return nil
}

// manner is the shell and the groups of a new administrator.
func (a *Adapter) manner(accounts []nas.Account, t tables) (shell string, groups []string) {
	shell, groups = "/bin/sh", []string{a.cfg.AdminGroup}
	if _, err := a.cfg.FS.Stat("/bin/bash"); err == nil {
		shell = "/bin/bash"
	}
	var others []string
	for _, x := range accounts {
		if !x.Administrator || x.BuiltIn {
			continue
		}
		others = append(others, x.Name)
		entry := strings.Split(t.passwd.line(x.Name), ":")
		if own := entry[len(entry)-1]; len(others) == 1 && path.IsAbs(own) && path.Base(own) != "nologin" && path.Base(own) != "false" {
			shell = own
		}
	}
	for _, entry := range t.group.rows(groupFields) {
		members := strings.Split(entry[3], ",")
		all := !slices.ContainsFunc(others, func(o string) bool { return !slices.Contains(members, o) })
		if len(others) > 0 && all && entry[0] != a.cfg.AdminGroup {
			groups = append(groups, entry[0])
		}
	}
	return shell, groups
}

// freeID is a number that neither a user nor a group has, chosen as useradd(8)
// does: in its range, above the highest in use, or the lowest free one.
func (a *Adapter) freeID(t tables) (int, error) {
	low, high := a.idRange()
	used, next := map[int]bool{}, low
	for _, rows := range [][][]string{t.passwd.rows(passwdFields), t.group.rows(groupFields)} {
		for _, entry := range rows {
			id, err := strconv.Atoi(entry[2])
			if err != nil {
				continue
			}
			used[id] = true
			if id >= next && id < high {
				next = id + 1
			}
		}
	}
	for id := next; id <= high; id++ {
		if !used[id] {
			return id, nil
		}
	}
	for id := low; id < next; id++ {
		if !used[id] {
			return id, nil
		}
	}
	return 0, refused("every user id from %d to %d is in use", low, high)
}

// idRange is useradd's, within what counts as a person here.
func (a *Adapter) idRange() (low, high int) {
	low, high = firstHuman, lastHuman
	data, err := a.cfg.FS.ReadFile(loginDefs)
	if err != nil {
		return low, high
	}
	for line := range strings.Lines(string(data)) {
		words := strings.Fields(line)
		if len(words) < 2 {
			continue
		}
		id, err := strconv.Atoi(words[1])
		switch {
		case err != nil || id < firstHuman || id > lastHuman:
		case words[0] == "UID_MIN":
			low = id
		case words[0] == "UID_MAX":
			high = id
		}
	}
	return low, high
}

// makeAccount makes it, or what is left of that. Somebody else's account or
// group of that name or number meanwhile stays, and is an error.
func (a *Adapter) makeAccount(n newAccount) error {
	const op = "shadow.account"
	t, err := a.tables()
	if err != nil {
		return err
	}
	if !n.fits(t) {
		return fmt.Errorf("an account or group like %s: %w", n.Name, setting.ErrThirdValue)
	}
	if err := a.makeHome(op, n); err != nil {
		return err
	}
	for _, x := range []struct {
		table *table
		line  string
	}{{t.group, n.group()}, {t.gshadow, n.gshadow()}} {
		if x.table.find(n.Name) < 0 {
			x.table.add(x.line)
		}
		for _, g := range n.Groups {
			x.table.join(g, n.Name)
		}
	}
	if t.passwd.find(n.Name) < 0 {
		t.passwd.add(n.passwd())
	}
	return a.write(op, t.group, t.gshadow, t.passwd)
}

// write replaces the files, in this order, and makes them durable together.
func (a *Adapter) write(op string, all ...*table) error {
	for _, t := range all {
		if err := t.write(a.cfg.FS, op+"."+path.Base(t.path)); err != nil {
			return permanent(err)
		}
	}
	return a.cfg.FS.SyncDir(op+".syncdir", path.Dir(passwdFile))
}

// permanent marks what no other try can mend.
func permanent(err error) error {
	if errors.Is(err, atomicfile.ErrMountPoint) || errors.Is(err, atomicfile.ErrNotRegular) {
		return fmt.Errorf("%w: %w", setting.ErrPermanent, err)
	}
	return err
}

// fits tells whether what there is of that name and number is this account's.
func (n newAccount) fits(t tables) bool {
	mine := func(now, want string) bool { return now == "" || now == want }
	if !mine(t.passwd.line(n.Name), n.passwd()) || !mine(t.group.line(n.Name), n.group()) || !mine(t.gshadow.line(n.Name), n.gshadow()) {
		return false
	}
	for _, entry := range append(t.passwd.rows(passwdFields), t.group.rows(groupFields)...) {
		if entry[0] != n.Name && entry[2] == strconv.Itoa(n.UID) {
			return false
		}
	}
	return true
}

// makeHome makes the home folder, closed to others. One that holds something and
// is not the account's is somebody's.
func (a *Adapter) makeHome(op string, n newAccount) error {
	home := n.home()
	switch mine, err := a.ownHome(n); {
	case errors.Is(err, fs.ErrNotExist):
		if err := a.cfg.FS.MkdirAll(op+".mkdir", home, 0o700); err != nil {
			return err
		}
	case err != nil:
		return err
	case !mine:
		return fmt.Errorf("the home folder of %s: %w", n.Name, setting.ErrThirdValue)
	}
	if err := a.cfg.FS.Chown(op+".owner", home, n.UID, n.UID); err != nil {
		return err
	}
	if err := a.cfg.FS.SyncDir(op+".synchome", home); err != nil {
		return err
	}
	return a.cfg.FS.SyncDir(op+".synchomes", Homes)
}

// ownHome tells whether the home folder is the account's, or one that was just
// made for it.
func (a *Adapter) ownHome(n newAccount) (bool, error) {
	info, err := a.cfg.FS.Lstat(n.home())
	if err != nil || !info.IsDir() {
		return false, err
	}
	attr, err := a.cfg.FS.Attributes(n.home())
	if err != nil {
		return false, err
	}
	if attr.UID == n.UID {
		return true, nil
	}
	inside, err := a.cfg.FS.ReadDir(n.home())
	return len(inside) == 0 && attr.UID <= 0, err
}

// unmakeAccount takes away again what makeAccount made, and nothing else: an
// account that was changed since stays, and so does a folder that holds a file.
func (a *Adapter) unmakeAccount(n newAccount) error {
	const op = "shadow.unaccount"
	t, err := a.tables()
	if err != nil {
		return err
	}
	if !n.fits(t) {
		return fmt.Errorf("the account %s: %w", n.Name, setting.ErrThirdValue)
	}
	t.passwd.remove(n.Name)
	for _, x := range []*table{t.group, t.gshadow} {
		x.remove(n.Name)
		for _, g := range n.Groups {
			x.leave(g, n.Name)
		}
	}
	if err := a.write(op, t.passwd, t.gshadow, t.group); err != nil {
		return err
	}
	return a.unmakeHome(op, n)
}

func (a *Adapter) unmakeHome(op string, n newAccount) error {
	mine, err := a.ownHome(n)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = a.cfg.FS.SyncDir(op+".synchomes", Homes)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	case err != nil:
		return err
	}
	inside, err := a.cfg.FS.ReadDir(n.home())
	if err != nil {
		return err
	}
	if !mine || len(inside) > 0 {
		return fmt.Errorf("the home folder of %s: %w", n.Name, setting.ErrThirdValue)
	}
	if err := a.cfg.FS.Remove(op+".rmdir", n.home()); err != nil {
		return err
	}
	return a.cfg.FS.SyncDir(op+".synchomes", Homes)
}

// verifyAccount reads the files again.
func (a *Adapter) verifyAccount(n newAccount) error {
	t, err := a.tables()
	if err != nil {
		return err
	}
	info, err := a.cfg.FS.Lstat(n.home())
	if err != nil {
		return err
	}
	mine, err := a.ownHome(n)
	if err != nil {
		return err
	}
	outside := slices.ContainsFunc(n.Groups, func(g string) bool {
		entry := strings.Split(t.group.line(g), ":")
		return !slices.Contains(strings.Split(entry[len(entry)-1], ","), n.Name)
	})
	if !mine || info.Mode().Perm() != 0o700 || t.passwd.line(n.Name) != n.passwd() || t.group.line(n.Name) != n.group() || outside {
		return fmt.Errorf("the account %s is not as it was made", n.Name)
	}
	return nil
}
