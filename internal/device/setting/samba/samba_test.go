package samba_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/device/setting/samba"
	"github.com/paperclip-nas/paperclip/internal/device/setting/samba/sambatest"
	"github.com/paperclip-nas/paperclip/internal/device/setting/settingtest"
	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/x/clock"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
	"github.com/paperclip-nas/paperclip/internal/x/scratch"
)

const newPassword = "four words quite apart"

func request(user string) setting.Request {
	return setting.Request{Mode: reset.Soft, Scope: reset.Credentials, Administrator: user, Password: access.NewSecret(newPassword)}
}

// newcomer is a hard reset that makes an administrator's account.
func newcomer(user string) setting.Request {
	r := request(user)
	r.Mode, r.Scope, r.Wizard = reset.Hard, "", reset.Wizard{NewAdministrator: true}
	return r
}

// fake is a system whose Samba is a text file.
func fake(t testing.TB, database string) (samba.Config, string) {
	t.Helper()
	config := filepath.Join(scratch.Dir(t), "smb.conf")
	path := sambatest.Database(config)
	if err := os.WriteFile(path, []byte(database), 0o600); err != nil {
		t.Fatal(err)
	}
	return samba.Config{
		Runner: sambatest.Runner(nil), Clock: clock.System(), ConfigFile: config, Pdbedit: sambatest.Path, Python: sambatest.Path,
	}, path
}

const database = "anna:1000:XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX:5C54B3EE4C8287D5A795C0A58FE8201A:[DUX        ]:LCT-6B028451:\n" +
	"ben:1001:XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX:A9F0DD57E1EDAB5BB55A9AC0A99C15EC:[U          ]:LCT-6B028451:\n" +
	"cara:1002:NO PASSWORDXXXXXXXXXXXXXXXXXXXXX:NO PASSWORDXXXXXXXXXXXXXXXXXXXXX:[NU         ]:LCT-00000000:\n"

// H3: accounts that could not be locked refuse the hard reset beforehand, also
// where its administrator has no account for SMB; where there is none to lock,
// nothing stands in the way.
func TestHardIsRefusedWhereNobodyCanBeLocked(t *testing.T) {
	cfg, path := fake(t, database)
	before := string(stored(path)(t))
	cfg.Python = "/nonexistent/python3"
	for _, administrator := range []string{"anna", "nobody-here"} {
		r := request(administrator)
		r.Mode, r.Scope = reset.Hard, ""
		if steps, err := samba.New(cfg).Prepare(t.Context(), r); err == nil {
			t.Errorf("%s: %d steps that can only fail later", administrator, len(steps))
		}
	}
	if string(stored(path)(t)) != before {
		t.Error("a refused reset changed the database")
	}
}

// H3: a hard reset disables every other account that a password opens over SMB.
func TestHardDisablesEverybodyElse(t *testing.T) {
	cfg, path := fake(t, database)
	a := samba.New(cfg)
	r := request("anna")
	r.Mode, r.Scope = reset.Hard, ""
	steps, err := a.Prepare(t.Context(), r)
	if err != nil || len(steps) != 2 || !slices.Equal(steps[1].Effects, []nas.Effect{nas.H3}) {
		t.Fatalf("%v, %+v", err, steps)
	}
	for _, st := range steps {
		if err := a.Persist(t.Context(), st); err != nil {
			t.Fatal(err)
		}
		if err := a.Verify(t.Context(), st); err != nil {
			t.Fatal(err)
		}
	}
	for line := range strings.Lines(string(stored(path)(t))) {
		if disabled := regexp.MustCompile(`\[[A-Z ]*D[A-Z ]*\]`).MatchString(line); disabled != strings.HasPrefix(line, "ben:") {
			t.Errorf("disabled %v: %s", disabled, line)
		}
	}
	if !strings.Contains(string(stored(path)(t)), "A9F0DD57E1EDAB5BB55A9AC0A99C15EC") {
		t.Error("ben's password is gone, and with it the way back")
	}
}

func TestContract(t *testing.T) {
	on := setting.Request{Mode: reset.Account, Scope: reset.SwitchOn, Administrator: "anna"}
	for name, r := range map[string]setting.Request{"password": request("anna"), "switched on": on, "new account": newcomer("dirk")} {
		t.Run(name, func(t *testing.T) { contract(t, r) })
	}
}

func contract(t *testing.T, r setting.Request) {
	settingtest.Run(t, func(t testing.TB) settingtest.System {
		cfg, path := fake(t, strings.Replace(database, "DUX ", "UXD ", 1)) // as the stand-in writes flags
		cfg.Ordinary = ordinary("ben", "cara")
		return settingtest.System{
			Adapter: samba.New(cfg),
			Request: r,
			Idle:    setting.Request{Mode: reset.Soft, Scope: reset.Network},
			Stored:  stored(path),
			Meddle: func(t testing.TB) {
				theirs := strings.Replace(string(stored(path)(t)), "5C54", "AAAA", 1) + "dirk:1003:XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX:AAAAB3EE4C8287D5A795C0A58FE8201A:[U          ]:LCT-6B028451:\n"
				if err := os.WriteFile(path, []byte(theirs), 0o600); err != nil {
					t.Fatal(err)
				}
			},
			Restart: func(testing.TB) setting.Adapter { return samba.New(cfg) },
			Silent:  true,
			Change: func(t testing.TB, n int) {
				text := regexp.MustCompile(`(ben:1001:X+:)[0-9A-F]{32}`).ReplaceAllString(string(stored(path)(t)), fmt.Sprintf("${1}%032X", n))
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			},
		}
	})
}

// ordinary are accounts of people who are no administrators.
func ordinary(names ...string) func(context.Context) (func(string) bool, error) {
	return func(context.Context) (func(string) bool, error) {
		return func(name string) bool { return slices.Contains(names, name) }, nil
	}
}

// R6: neither an administrator's password nor a blank one comes from a snapshot.
func TestASnapshotNeverHoldsAnAdministrator(t *testing.T) {
	cfg, _ := fake(t, database)
	cfg.Ordinary = ordinary("ben", "cara")
	raw, err := samba.New(cfg).Save(t.Context())
	if err != nil || strings.Contains(string(raw), "anna") || strings.Contains(string(raw), "cara") || !strings.Contains(string(raw), "ben") {
		t.Errorf("saved %s, %v", raw, err)
	}
	forged := strings.Replace(string(raw), `"ben"`, `"anna"`, 1)
	if steps, err := samba.New(cfg).PrepareRestore(t.Context(), []byte(forged)); err != nil || len(steps) != 0 {
		t.Errorf("anna's would be replaced: %v, %v", steps, err)
	}
}

func stored(path string) func(testing.TB) []byte {
	return func(t testing.TB) []byte {
		t.Helper()
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
}

func TestWhereThereIsNothingToChange(t *testing.T) {
	cfg, _ := fake(t, database)
	if steps, err := samba.New(cfg).Prepare(t.Context(), request("dirk")); err != nil || steps != nil {
		t.Errorf("no SMB account: %v, %v; want nothing", steps, err)
	}
	if steps, err := samba.New(cfg).Prepare(t.Context(), request("cara")); err != nil || steps != nil {
		t.Errorf("no password: %v, %v; want nothing", steps, err)
	}
	cfg.Pdbedit = "/nonexistent/pdbedit"
	if steps, err := samba.New(cfg).Prepare(t.Context(), request("anna")); err != nil || steps != nil {
		t.Errorf("no Samba: %v, %v; want nothing", steps, err)
	}
	found, err := samba.New(cfg).Detect(t.Context())
	if err != nil || found.Present || found.Why != "Samba is not installed" {
		t.Errorf("found %+v, %v", found, err)
	}
}

// The old SMB password must not quietly go on working.
func TestAnAccountThatCannotBeChangedIsAnError(t *testing.T) {
	cfg, _ := fake(t, database)
	cfg.Python = "/nonexistent/python3"
	if steps, err := samba.New(cfg).Prepare(t.Context(), request("anna")); err == nil {
		t.Errorf("prepared %v without a way to write", steps)
	}
	found, err := samba.New(cfg).Detect(t.Context())
	if err != nil || found.Present || !strings.Contains(found.Why, "python3-samba") {
		t.Errorf("found %+v, %v", found, err)
	}
}

// A new administrator gets no account that somebody else's password may open,
// and none where Samba cannot be changed or is not here.
func TestNewAdministrator(t *testing.T) {
	cfg, path := fake(t, database)
	before := string(stored(path)(t))
	if _, err := samba.New(cfg).Prepare(t.Context(), newcomer("ben")); !errors.Is(err, catalog.New("account_name")) {
		t.Errorf("one that is there: %v", err)
	}
	cfg.Pdbedit = "/nonexistent/pdbedit"
	if steps, err := samba.New(cfg).Prepare(t.Context(), newcomer("dirk")); err != nil || len(steps) != 0 {
		t.Errorf("no Samba: %v, %v", steps, err)
	}
	if string(stored(path)(t)) != before {
		t.Error("asking changed the database")
	}
}

// Neither a hash nor a password is ever an argument or in the environment.
func TestSecretsGoByStandardInput(t *testing.T) {
	cfg, _ := fake(t, database)
	spy := &spy{Runner: cfg.Runner}
	cfg.Runner = spy
	a := samba.New(cfg)
	steps, err := a.Prepare(t.Context(), request("anna"))
	if err != nil || len(steps) != 1 {
		t.Fatal(steps, err)
	}
	for _, do := range []error{a.Persist(t.Context(), steps[0]), a.Verify(t.Context(), steps[0]), a.Undo(t.Context(), steps[0])} {
		if do != nil {
			t.Fatal(do)
		}
	}
	wrote := false
	for _, c := range spy.commands {
		seen := strings.Join(append(c.Args, c.Env...), " ")
		for _, secret := range []string{newPassword, "5C54B3EE4C8287D5A795C0A58FE8201A"} {
			if strings.Contains(seen, secret) {
				t.Errorf("%s shows a secret", c.Path)
			}
		}
		wrote = wrote || strings.Contains(string(c.Stdin), "5C54B3EE4C8287D5A795C0A58FE8201A")
		if strings.Contains(string(c.Stdin), newPassword) {
			t.Error("the password itself was handed on")
		}
	}
	if !wrote {
		t.Error("this test saw no hash at all")
	}
}

type spy struct {
	opfs.Runner
	commands []opfs.Command
}

func (s *spy) Run(ctx context.Context, op string, c opfs.Command) (opfs.Output, error) {
	s.commands = append(s.commands, c)
	return s.Runner.Run(ctx, op, c)
}

// installed is a Samba of its own in a directory, with the tools of this machine.
// Its database is a copy of one that they made.
func installed(t testing.TB) samba.Config {
	t.Helper()
	files, err := made()
	if err != nil {
		t.Skip(err)
	}
	dir := scratch.Dir(t)
	config, err := configure(dir)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range files {
		full := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(full), 0o755), os.WriteFile(full, data, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	return samba.Config{Runner: opfs.Exec(nil), Clock: clock.System(), ConfigFile: config}
}

// lister is what pdbedit says of the accounts. Of the same files it says the same,
// and is asked once; gencache.tdb is a cache, and each run writes it.
func lister() func(t testing.TB, config, flag string) []byte {
	said := map[string][]byte{}
	return func(t testing.TB, config, flag string) []byte {
		t.Helper()
		files, err := filepath.Glob(filepath.Join(filepath.Dir(config), "*.tdb"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%v: no database beside %s", err, config)
		}
		key := flag
		for _, file := range files {
			if filepath.Base(file) == "gencache.tdb" {
				continue
			}
			key += fmt.Sprintf(" %s %x", filepath.Base(file), sha256.Sum256(stored(file)(t)))
		}
		if out, ok := said[key]; ok {
			return out
		}
		out, err := exec.Command("pdbedit", "-s", config, "-d", "0", "-L", flag).Output()
		if err != nil {
			t.Fatal(err)
		}
		said[key] = out
		return out
	}
}

// configure makes a directory a Samba's own.
func configure(dir string) (config string, err error) {
	config = filepath.Join(dir, "smb.conf")
	text := "[global]\n"
	for _, d := range []string{"private dir", "state directory", "cache directory", "lock directory"} {
		text += d + " = " + dir + "\n"
	}
	return config, os.WriteFile(config, []byte(text+"passdb backend = tdbsam\n"), 0o600)
}

// made is every file of a Samba with two accounts, by Samba's own tools, once for
// all tests; or why there is none here.
var made = sync.OnceValues(func() (map[string][]byte, error) {
	if os.Getuid() != 0 {
		return nil, errors.New("needs root: Samba's database is root's")
	}
	for _, tool := range []string{"pdbedit", "smbpasswd"} {
		if _, err := exec.LookPath(tool); err != nil {
			return nil, fmt.Errorf("no Samba installed: %w", err)
		}
	}
	if err := exec.Command("/usr/bin/python3", "-I", "-c", "import samba.samba3").Run(); err != nil {
		return nil, fmt.Errorf("no Python bindings of Samba installed: %w", err)
	}
	dir, err := os.MkdirTemp("", "samba")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	config, err := configure(dir)
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"root", "daemon"} { // accounts that every system has
		if _, err := user.Lookup(name); err != nil {
			return nil, err
		}
		c := exec.Command("smbpasswd", "-c", config, "-s", "-a", name)
		c.Stdin = strings.NewReader("old password\nold password\n")
		if out, err := c.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("smbpasswd does not work here: %w: %s", err, out)
		}
	}
	if out, err := exec.Command("pdbedit", "-s", config, "-u", "root", "-f", "The Owner", "-c", "[DX]").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("pdbedit does not work here: %w: %s", err, out)
	}
	files := map[string][]byte{}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || path == config {
			return err
		}
		name, err1 := filepath.Rel(dir, path)
		data, err2 := os.ReadFile(path)
		files[name] = data
		return errors.Join(err1, err2)
	})
	return files, err
})

// The same contract over Samba's own tools and database: the undo is exact in
// every field that pdbedit knows, and no other account changes.
func TestContractWithSambaItself(t *testing.T) {
	for name, r := range map[string]setting.Request{"password": request("root"), "new account": newcomer("games")} {
		t.Run(name, func(t *testing.T) { contractWithSambaItself(t, r) })
	}
}

func contractWithSambaItself(t *testing.T, r setting.Request) {
	list := lister()
	settingtest.Run(t, func(t testing.TB) settingtest.System {
		cfg := installed(t)
		cfg.Ordinary = ordinary("daemon")
		var adapter setting.Adapter = samba.New(cfg)
		if r.Mode == reset.Hard { // what a snapshot keeps is the same for every request: "password" has it
			adapter = struct{ setting.Adapter }{adapter}
		}
		return settingtest.System{
			Adapter: adapter,
			Request: r,
			Idle:    setting.Request{Mode: reset.Soft, Scope: reset.Network},
			Stored: func(t testing.TB) []byte {
				return slices.Concat(list(t, cfg.ConfigFile, "-v"), list(t, cfg.ConfigFile, "-w"))
			},
			Meddle: func(t testing.TB) {
				c := exec.Command("smbpasswd", "-c", cfg.ConfigFile, "-s", "-a", r.Administrator)
				c.Stdin = strings.NewReader("theirs\ntheirs\n")
				if out, err := c.CombinedOutput(); err != nil {
					t.Fatalf("%v: %s", err, out)
				}
			},
			Silent: true,
			Change: func(t testing.TB, n int) {
				c := exec.Command("smbpasswd", "-c", cfg.ConfigFile, "-s", "daemon")
				c.Stdin = strings.NewReader(fmt.Sprintf("other %d\nother %[1]d\n", n))
				if out, err := c.CombinedOutput(); err != nil {
					t.Fatalf("%v: %s", err, out)
				}
			},
		}
	})
}

func TestOtherFieldsStayWithSambaItself(t *testing.T) {
	cfg, list := installed(t), lister()
	before := string(list(t, cfg.ConfigFile, "-v"))
	a := samba.New(cfg)
	steps, err := a.Prepare(t.Context(), request("root"))
	if err != nil || len(steps) != 1 {
		t.Fatal(steps, err)
	}
	if err := a.Persist(t.Context(), steps[0]); err != nil {
		t.Fatal(err)
	}
	after := string(list(t, cfg.ConfigFile, "-v"))
	old, now := strings.Split(before, "\n"), strings.Split(after, "\n")
	if len(old) != len(now) {
		t.Fatalf("before:\n%s\nafter:\n%s", before, after)
	}
	for i := range old {
		if old[i] == now[i] || strings.HasPrefix(old[i], "Password last set") || strings.HasPrefix(old[i], "Password can change") {
			continue
		}
		if strings.HasPrefix(old[i], "Account Flags:") && strings.Contains(now[i], "[UX ") {
			continue // enabled again (E1)
		}
		t.Errorf("%q became %q", old[i], now[i])
	}
	var s nas.Settings
	if err := a.Read(t.Context(), &s); err != nil || len(s.Accounts) != 0 {
		t.Errorf("read %+v, %v: the accounts are the shadow file's", s, err)
	}
}
