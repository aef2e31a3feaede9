package encrypted_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/device/setting/encrypted"
	"github.com/paperclip-nas/paperclip/internal/device/setting/settingtest"
	"github.com/paperclip-nas/paperclip/internal/device/setting/unit/unittest"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
	"github.com/paperclip-nas/paperclip/internal/x/scratch"
)

const (
	crypttab = "# disks\nroot\tUUID=aa none luks,discard\nvault  /dev/sdb1\t/etc/keys/vault\tluks,nofail # b\nbox /dev/sdc1 none\nswap /dev/sdd2 /dev/urandom swap\nlvm /dev/sde /etc/keys/lvm luks\n"
	fstab    = "UUID=1 / ext4 defaults 0 1\n/dev/mapper/root /var ext4 defaults 0 2\n/dev/mapper/vault /srv/my\\040vault ext4 defaults,nofail 0 2\n" +
		"/srv/papers.enc /srv/papers fuse./usr/bin/gocryptfs nodev,passfile=/etc/keys/papers 0 0\n/dev/mapper/swap none swap sw 0 0\n"
	vaultMount = `srv-my\x20vault.mount`
	vaultCrypt = "systemd-cryptsetup@vault.service"
	papers     = "srv-papers.mount"
)

var everything = setting.Request{Mode: reset.Soft, Scope: reset.All}

// system has a LUKS volume and a gocryptfs folder that are open, and follows its
// units as the kernel would.
func system(t testing.TB) *unittest.Systemd {
	s := unittest.New(t, map[string]*unittest.Unit{
		vaultMount: {Active: true}, vaultCrypt: {Active: true}, papers: {Active: true}, "smbd.service": {Active: true}, "systemd-cryptsetup@box.service": {},
	})
	s.Write(t, "/etc/crypttab", crypttab)
	s.Write(t, "/etc/fstab", fstab)
	for _, key := range []string{"vault", "papers", "lvm"} {
		s.Write(t, "/etc/keys/"+key, "the key of "+key+"\xff")
	}
	s.Changed = func(string, bool) { kernel(t, s) }
	kernel(t, s)
	return s
}

// kernel writes what the kernel says of the units that run.
func kernel(t testing.TB, s *unittest.Systemd) {
	mounts := "20 1 8:1 / / rw - ext4 /dev/sda1 rw\n21 1 253:0 / /var rw - ext4 /dev/mapper/root rw\n"
	if s.Units[vaultMount].Active {
		mounts += "30 20 253:1 / /srv/my\\040vault rw shared:1 - ext4 /dev/mapper/vault rw\n"
	}
	if s.Units[papers].Active {
		mounts += "31 20 0:50 / /srv/papers rw - fuse.gocryptfs /srv/papers.enc rw\n"
	}
	s.Write(t, "/proc/1/mountinfo", mounts)
	s.Write(t, "/proc/swaps", "Filename Type\n/dev/dm-9 partition\n")
	dm := map[string]string{"dm-0": "root", "dm-1": "vault", "dm-5": "lvm"}
	for block, name := range dm {
		dir := "/sys/block/" + block
		if name == "vault" && !s.Units[vaultCrypt].Active {
			if err := os.RemoveAll(filepath.Join(s.Root, dir)); err != nil {
				t.Fatal(err)
			}
			continue
		}
		s.Write(t, dir+"/dm/name", name+"\n")
		s.Write(t, dir+"/dev", "253:"+block[3:]+"\n")
	}
	s.Write(t, "/sys/block/dm-5/holders/dm-6", "")
}

// stored is /etc.
func stored(s *unittest.Systemd) func(testing.TB) []byte {
	return func(t testing.TB) []byte {
		etc := ""
		for _, f := range []string{"crypttab", "fstab", "keys/vault", "keys/papers", "keys/lvm"} {
			data, err := os.ReadFile(filepath.Join(s.Root, "/etc", f))
			info, _ := os.Stat(filepath.Join(s.Root, "/etc", f))
			etc += fmt.Sprintf("%s %v %q", f, err == nil, data)
			if info != nil {
				etc += info.Mode().String()
			}
		}
		return []byte(etc)
	}
}

func TestContract(t *testing.T) {
	for name, keep := range map[string]bool{"the key goes": false, "the key stays": true} {
		t.Run(name, func(t *testing.T) {
			settingtest.Run(t, func(t testing.TB) settingtest.System {
				s := system(t)
				system := settingtest.System{
					Adapter: encrypted.New(s.System(), keep), Request: everything, Idle: setting.Request{Mode: reset.Soft, Scope: reset.Network},
					Stored: stored(s),
					Meddle: func(t testing.TB) {
						text, err := os.ReadFile(filepath.Join(s.Root, "/etc/crypttab"))
						if err != nil {
							t.Fatal(err)
						}
						s.Write(t, "/etc/crypttab", strings.ReplaceAll(string(text), "vault  /dev/sdb1", "vault  /dev/sdz1"))
					},
					Restart: func(testing.TB) setting.Adapter { return encrypted.New(s.System(), keep) },
				}
				if !keep { // a snapshot holds no key: a restore needs it to be there still
					system.Change = func(t testing.TB, n int) {
						if n > 1 {
							s.Write(t, "/etc/crypttab", strings.Replace(crypttab, "vault  /dev/sdb1", "vault  /dev/sdz1", 1))
							return
						}
						s.Write(t, "/etc/crypttab", strings.Replace(crypttab, "nofail", "nofail,noauto", 1))
						s.Write(t, "/etc/fstab", strings.Replace(fstab, "defaults,nofail", "defaults,nofail,noauto", 1))
					}
				}
				return system
			})
		})
	}
}

func carryOut(t *testing.T, a *encrypted.Adapter, request setting.Request) reset.Step {
	t.Helper()
	steps, err := a.Prepare(t.Context(), request)
	if err != nil || len(steps) != 1 {
		t.Fatal(steps, err)
	}
	if err := errors.Join(a.Persist(t.Context(), steps[0]), a.Activate(t.Context(), steps[0]), a.Verify(t.Context(), steps[0])); err != nil {
		t.Fatal(err)
	}
	return steps[0]
}

func (read reader) settings(t *testing.T) []nas.EncryptedFolder {
	t.Helper()
	var s nas.Settings
	if err := read.Read(t.Context(), &s); err != nil {
		t.Fatal(err)
	}
	return s.EncryptedFolders
}

type reader struct{ *encrypted.Adapter }

// E12: closed, not opened at start, the key gone; the root file system, swap and
// what LVM is built on are as they were.
func TestClosedAndTheKeyGone(t *testing.T) {
	s := system(t)
	a := encrypted.New(s.System(), false)
	want := []nas.EncryptedFolder{
		{Name: "/srv/my vault (vault)", Mounted: true, MountOnStart: true, KeySealed: true},
		{Name: "box", MountOnStart: true},
		{Name: "/srv/papers", Mounted: true, MountOnStart: true, KeySealed: true},
	}
	if got := (reader{a}).settings(t); !slices.Equal(got, want) {
		t.Errorf("before %+v", got)
	}
	step := carryOut(t, a, everything)
	if after := reset.Apply(nas.E12, nas.Settings{EncryptedFolders: want}, ""); !slices.Equal(reader{a}.settings(t), after.EncryptedFolders) {
		t.Errorf("after %+v", reader{a}.settings(t))
	}
	wantCrypt := strings.NewReplacer("luks,nofail #", "luks,nofail,noauto #", "box /dev/sdc1 none", "box /dev/sdc1 none noauto").Replace(crypttab)
	if got := read(t, s, "/etc/crypttab"); got != wantCrypt {
		t.Errorf("crypttab\n%s", got)
	}
	wantTab := strings.NewReplacer("defaults,nofail", "defaults,nofail,noauto", "passfile=/etc/keys/papers", "passfile=/etc/keys/papers,noauto").Replace(fstab)
	if got := read(t, s, "/etc/fstab"); got != wantTab {
		t.Errorf("fstab\n%s", got)
	}
	for key, here := range map[string]bool{"vault": false, "papers": false, "lvm": true} {
		if _, err := os.Stat(filepath.Join(s.Root, "/etc/keys", key)); (err == nil) != here {
			t.Errorf("the key of %s: %v", key, err)
		}
	}
	// What is inside is unmounted before its disk is locked.
	if err := errors.Join(a.Undo(t.Context(), step), a.Activate(t.Context(), step)); err != nil {
		t.Fatal(err)
	}
	if got := (reader{a}).settings(t); !slices.Equal(got, want) {
		t.Errorf("undone %+v", got)
	}
}

func read(t testing.TB, s *unittest.Systemd, file string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(s.Root, file))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// The owner's choice beforehand.
func TestTheKeyStaysIfTheOwnerChose(t *testing.T) {
	s := system(t)
	a := encrypted.New(s.System(), true)
	carryOut(t, a, everything)
	if got := read(t, s, "/etc/keys/vault"); got != "the key of vault\xff" {
		t.Errorf("%q", got)
	}
	if f := (reader{a}).settings(t)[0]; f.Mounted || f.MountOnStart || !f.KeySealed || !f.KeepKey {
		t.Errorf("%+v", f)
	}
}

// R6: no key gets into a snapshot, and without it nothing is opened at start.
func TestASnapshotHoldsNoKey(t *testing.T) {
	s := system(t)
	a := encrypted.New(s.System(), false)
	raw, err := a.Save(t.Context())
	if err != nil || strings.Contains(string(raw), "the key") || strings.Contains(string(raw), "dGhlIGtleS") {
		t.Fatalf("%s, %v", raw, err)
	}
	carryOut(t, a, everything)
	if steps, err := a.PrepareRestore(t.Context(), raw); !errors.Is(err, setting.ErrSaved) || steps != nil || !strings.Contains(err.Error(), "put it back first") {
		t.Errorf("%v, %v", steps, err)
	}
}

// A folder in use is tried again with Samba's sessions cut, and then it is an
// error, which goes back.
func TestInUse(t *testing.T) {
	s := system(t)
	a := encrypted.New(s.System(), false)
	s.Stuck = true
	steps, err := a.Prepare(t.Context(), everything)
	if err != nil || len(steps) != 1 {
		t.Fatal(steps, err)
	}
	if err := errors.Join(a.Persist(t.Context(), steps[0]), a.Activate(t.Context(), steps[0])); err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(s.Ops, "encrypted.activate.samba") {
		t.Errorf("ran %q", s.Ops)
	}
	if err := a.Verify(t.Context(), steps[0]); err == nil || !strings.Contains(err.Error(), "still open") {
		t.Errorf("verify: %v", err)
	}
}

// What the system runs from is never touched, and a key it needs is kept.
func TestTheSystemsOwnIsLeftAlone(t *testing.T) {
	for name, line := range map[string]string{
		"root":        "root /dev/sda2 /etc/keys/vault luks\n",
		"swap":        "vault /dev/sda2 /dev/urandom swap\n",
		"in the boot": "vault /dev/sda2 none luks,x-initrd.attach\n",
		"LVM":         "lvm /dev/sda2 none luks\n",
		"plain":       "vault /dev/sda2 none plain\n",
		"a path":      "../x /dev/sda2 none luks\n",
	} {
		s := system(t)
		s.Write(t, "/etc/crypttab", line)
		s.Write(t, "/etc/fstab", "/dev/mapper/root /var ext4 defaults 0 2\n")
		s.Units[papers].Active = false
		kernel(t, s)
		a := encrypted.New(s.System(), false)
		if steps, err := a.Prepare(t.Context(), everything); err != nil || steps != nil {
			t.Errorf("%s: %v, %v", name, steps, err)
		}
		if found, err := a.Detect(t.Context()); err != nil || found.Present || !strings.Contains(found.Why, "left alone") {
			t.Errorf("%s: %+v, %v", name, found, err)
		}
	}
	s := system(t)
	s.Write(t, "/etc/crypttab", "root /dev/sda2 /etc/keys/vault luks\nvault /dev/sdb1 /etc/keys/vault luks\n")
	carryOut(t, encrypted.New(s.System(), false), everything)
	if _, err := os.Stat(filepath.Join(s.Root, "/etc/keys/vault")); err != nil {
		t.Error("the key that the root file system needs is gone:", err)
	}
}

func TestNothingEncrypted(t *testing.T) {
	s := unittest.New(t, nil)
	a := encrypted.New(s.System(), false)
	found, err := a.Detect(t.Context())
	if err != nil || found.Present || !strings.Contains(found.Why, "no encrypted folder") {
		t.Errorf("%+v, %v", found, err)
	}
	raw, err := a.Save(t.Context())
	if err != nil || !json.Valid(raw) {
		t.Error(err)
	}
}

// Anything at all in the tables: no panic, and lines go back as they were.
func FuzzTables(f *testing.F) {
	f.Add(crypttab, fstab)
	f.Add("a\tb", "x y fuse.gocryptfs")
	f.Add("a b c d,noauto", "/x /y fuse.gocryptfs noauto,noauto")
	f.Fuzz(func(t *testing.T, crypt, tab string) {
		root := scratch.Dir(t)
		if err := errors.Join(os.Mkdir(filepath.Join(root, "etc"), 0o755), os.WriteFile(filepath.Join(root, "etc/crypttab"), []byte(crypt), 0o600), os.WriteFile(filepath.Join(root, "etc/fstab"), []byte(tab), 0o600)); err != nil {
			t.Fatal(err)
		}
		s := &unittest.Systemd{Root: root, Units: map[string]*unittest.Unit{}}
		a := encrypted.New(s.System(), false)
		steps, err := a.Prepare(t.Context(), everything)
		if err != nil {
			return
		}
		for _, st := range steps {
			err1, err2 := a.Persist(t.Context(), st), a.Undo(t.Context(), st)
			c, err3 := opfs.Under(root, opfs.OS(nil)).ReadFile("/etc/crypttab")
			d, err4 := opfs.Under(root, opfs.OS(nil)).ReadFile("/etc/fstab")
			if err := errors.Join(err1, err2, err3, err4); err != nil {
				t.Fatal(err)
			}
			if string(c) != crypt || string(d) != tab {
				t.Fatalf("%q became %q, %q became %q", crypt, c, tab, d)
			}
		}
	})
}
