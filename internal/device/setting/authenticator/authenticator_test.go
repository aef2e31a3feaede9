package authenticator_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/device/setting/authenticator"
	"github.com/paperclip-nas/paperclip/internal/device/setting/settingtest"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

const factor = "JBSWY3DPEHPK3PXP\n\" TOTP_AUTH\n12345678\n"

// request stands for one that a second proof came with.
var request = setting.Request{Mode: reset.Soft, Scope: reset.All, Administrator: "anna"}

func proved(r setting.Request) bool { return r.Scope == reset.All }

type system struct{ root string }

func newSystem(t testing.TB) system {
	s := system{t.TempDir()}
	s.write(t, "/etc/passwd", "root:x:0:0::/root:/bin/sh\nanna:x:1000:1000::/home/anna:/bin/bash\nben:x:1001:1001::/home/ben:/bin/bash\n")
	s.write(t, "/etc/pam.d/sshd", "# auth required pam_google_authenticator.so secret=/x\nauth required pam_google_authenticator.so nullok\n")
	s.write(t, "/home/anna/.google_authenticator", factor)
	s.write(t, "/home/ben/.google_authenticator", "BEN\n")
	return s
}

func (s system) write(t testing.TB, path, content string) {
	t.Helper()
	full := filepath.Join(s.root, path)
	if err := errors.Join(os.MkdirAll(filepath.Dir(full), 0o755), os.WriteFile(full, []byte(content), 0o400), os.Chmod(full, 0o400)); err != nil {
		t.Fatal(err)
	}
}

func (s system) adapter() *authenticator.Adapter {
	return authenticator.New(opfs.Under(s.root, opfs.OS(nil)), s, proved)
}

// Run is systemd-run with rm, or with the script that puts a file back.
func (s system) Run(_ context.Context, op string, c opfs.Command) (opfs.Output, error) {
	at := slices.Index(c.Args, "--") + 1
	last := c.Args[len(c.Args)-1]
	switch {
	case c.Args[at] == "/usr/bin/rm":
		return opfs.Output{}, os.Remove(filepath.Join(s.root, last))
	case c.Args[at] == "/bin/sh":
		to := filepath.Join(s.root, c.Args[at+5])
		data, err := os.ReadFile(filepath.Join(s.root, c.Args[at+4]))
		mode, err1 := strconv.ParseUint(c.Args[at+6], 8, 9)
		uid, err2 := strconv.Atoi(c.Args[at+7])
		gid, err3 := strconv.Atoi(c.Args[at+8])
		if err = errors.Join(err, err1, err2, err3); err == nil {
			err = errors.Join(os.WriteFile(to, data, 0o400), os.Chmod(to, fs.FileMode(mode)), os.Chown(to, uid, gid))
		}
		return opfs.Output{}, err
	}
	return opfs.Output{}, fmt.Errorf("%s: %v", op, c.Args)
}

// stored is every file with its mode, but for those that only activation
// changes, which TestTakenAwayAndKept is about.
func (s system) stored(t testing.TB) []byte {
	t.Helper()
	var all []byte
	err := filepath.WalkDir(s.root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path == filepath.Join(s.root, authenticator.Kept, "anna") || path == filepath.Join(s.root, "/home/anna/.google_authenticator") {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		data, err := os.ReadFile(path)
		all = append(append(append(all, path...), info.Mode().String()...), data...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestContract(t *testing.T) {
	settingtest.Run(t, func(t testing.TB) settingtest.System {
		s := newSystem(t)
		return settingtest.System{
			Adapter: s.adapter(),
			Request: request,
			Idle:    setting.Request{Mode: reset.Soft, Scope: reset.Network, Administrator: "anna"},
			Stored:  s.stored,
			Meddle: func(t testing.TB) {
				if err := os.Remove(filepath.Join(s.root, "/home/anna/.google_authenticator")); err != nil && !errors.Is(err, fs.ErrNotExist) {
					t.Fatal(err)
				}
				s.write(t, "/home/anna/.google_authenticator", "ANOTHER\n")
			},
			Restart: func(testing.TB) setting.Adapter { return s.adapter() },
			Silent:  true,
		}
	})
}

// E13 is in no scope: a claim alone never gets a step.
func TestNoClaimTakesItAway(t *testing.T) {
	s := newSystem(t)
	a := authenticator.New(opfs.Under(s.root, opfs.OS(nil)), s, nil)
	for _, m := range []reset.Mode{reset.Soft, reset.Hard} {
		for _, scope := range []reset.Scope{reset.Credentials, reset.Network, reset.All} {
			if steps, err := a.Prepare(t.Context(), setting.Request{Mode: m, Scope: scope, Administrator: "anna"}); err != nil || steps != nil {
				t.Errorf("%s %s: %v, %v", m, scope, steps, err)
			}
		}
	}
}

func TestTakenAwayAndKept(t *testing.T) {
	s := newSystem(t)
	a := s.adapter()
	settings := nas.Settings{Accounts: []nas.Account{{Name: "root"}, {Name: "anna"}}}
	if err := a.Read(t.Context(), &settings); err != nil || settings.Accounts[0].SecondFactor || !settings.Accounts[1].SecondFactor {
		t.Errorf("%+v, %v", settings.Accounts, err)
	}
	steps, err := a.Prepare(t.Context(), request)
	if err != nil || len(steps) != 1 {
		t.Fatal(steps, err)
	}
	if text, _ := json.Marshal(steps); strings.Contains(string(text), "JBSWY") {
		t.Errorf("the step holds the secret: %s", text)
	}
	if err := errors.Join(a.Persist(t.Context(), steps[0]), a.Activate(t.Context(), steps[0]), a.Verify(t.Context(), steps[0])); err != nil {
		t.Fatal(err)
	}
	kept := filepath.Join(s.root, authenticator.Kept, "anna")
	if info, err := os.Stat(kept); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if data, err := os.ReadFile(kept); err != nil || string(data) != factor {
		t.Errorf("kept %q, %v", data, err)
	}
	// Undone, it is there again as it was.
	if err := errors.Join(a.Undo(t.Context(), steps[0]), a.Activate(t.Context(), steps[0])); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(filepath.Join(s.root, "/home/anna/.google_authenticator")); err != nil || string(data) != factor {
		t.Errorf("undone: %q, %v", data, err)
	}
	if data, err := os.ReadFile(filepath.Join(s.root, "/home/ben/.google_authenticator")); err != nil || string(data) != "BEN\n" {
		t.Errorf("ben's: %q, %v", data, err)
	}
}

// A link in its place may lead anywhere, and is not followed.
func TestALinkIsRefused(t *testing.T) {
	s := newSystem(t)
	file := filepath.Join(s.root, "/home/anna/.google_authenticator")
	if err := errors.Join(os.Remove(file), os.Symlink("/etc/passwd", file)); err != nil {
		t.Fatal(err)
	}
	if steps, err := s.adapter().Prepare(t.Context(), request); !errors.Is(err, setting.ErrPermanent) {
		t.Errorf("%v, %v", steps, err)
	}
}

func TestNotPresent(t *testing.T) {
	for content, why := range map[string]string{
		"auth required pam_unix.so\n":                                       "no service asks",
		"auth required pam_google_authenticator.so secret=/var/x/${USER}\n": "elsewhere",
	} {
		s := newSystem(t)
		if err := os.Remove(filepath.Join(s.root, "/etc/pam.d/sshd")); err != nil {
			t.Fatal(err)
		}
		s.write(t, "/etc/pam.d/sshd", content)
		if found, err := s.adapter().Detect(t.Context()); err != nil || found.Present || !strings.Contains(found.Why, why) {
			t.Errorf("%q: %+v, %v", content, found, err)
		}
	}
}

// Homes may be on a volume that is not there when files are recovered at the
// start: then only the mark moves, and nothing fails.
func TestHomesAreNotThereAtTheStart(t *testing.T) {
	s := newSystem(t)
	a := s.adapter()
	steps, err := a.Prepare(t.Context(), request)
	if err != nil || len(steps) != 1 {
		t.Fatal(steps, err)
	}
	home, away := filepath.Join(s.root, "home"), filepath.Join(s.root, "away")
	if err := os.Rename(home, away); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(a.Persist(t.Context(), steps[0]), a.Undo(t.Context(), steps[0]), a.Persist(t.Context(), steps[0])); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(away, home); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(a.Activate(t.Context(), steps[0]), a.Verify(t.Context(), steps[0])); err != nil {
		t.Error(err)
	}
}
