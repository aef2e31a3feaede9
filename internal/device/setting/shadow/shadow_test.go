package shadow_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/device/setting/settingtest"
	"github.com/paperclip-nas/paperclip/internal/device/setting/shadow"
	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/x/clock"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
	"github.com/paperclip-nas/paperclip/internal/x/scratch"
)

const (
	passwdFile     = "root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1::/:/usr/sbin/nologin\nanna:x:1000:1000:Anna:/home/anna:/bin/bash\nben:x:1001:1001::/home/ben:/bin/bash\ncara:x:1002:27::/home/cara:/bin/bash\nback:x:0:0::/:/bin/bash\nnobody:x:65534:65534::/:/usr/sbin/nologin\ndirk:x:1003:1003::/home/dirk:/bin/bash\nshort:line\n"
	groupFile      = "root:x:0:\nsudo:x:27:anna,dirk,ghost\nusers:x:100:ben\n"
	newPassword    = "four words quite apart"
	anotherLongOne = "something else entirely"
)

// system is an /etc with accounts.
type system struct {
	root string
	etc  func(name string) string
}

func newSystem(t testing.TB, shadowFile string) *system {
	t.Helper()
	s := &system{root: scratch.Dir(t)}
	s.etc = func(name string) string { return filepath.Join(s.root, "etc", name) }
	if err := os.Mkdir(filepath.Join(s.root, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"passwd": passwdFile, "group": groupFile, "shadow": shadowFile} {
		if err := os.WriteFile(s.etc(name), []byte(content), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func (s *system) adapter(hook opfs.Hook) *shadow.Adapter {
	return shadow.New(shadow.Config{FS: opfs.Under(s.root, opfs.OS(hook)), Clock: clock.System(), Rand: rand.Reader})
}

func (s *system) shadow(t testing.TB) string {
	t.Helper()
	data, err := os.ReadFile(s.etc("shadow"))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// line is a user's whole line.
func (s *system) line(t testing.TB, user string) []string {
	t.Helper()
	for l := range strings.Lines(s.shadow(t)) {
		if strings.HasPrefix(l, user+":") {
			return strings.Split(strings.TrimSuffix(l, "\n"), ":")
		}
	}
	t.Fatalf("%s has no line", user)
	return nil
}

func request(user, password string) setting.Request {
	return setting.Request{Mode: reset.Soft, Scope: reset.Credentials, Administrator: user, Password: access.NewSecret(password)}
}

// usual is a shadow file in which anna's password is "hunter2".
func usual(t testing.TB) string {
	h := minted(t, "hunter2")
	return "root:*:19000:0:99999:7:::\n# a comment\nanna:" + h + ":19000:0:99999:7:::\nben:" + h + ":19000:0:99999:7:::\n\nnonsense\ncara:!:19000:0:99999:7:::\ndirk:!" + h + ":19000:0:99999:7::19100:\n"
}

// minted makes a hash through the adapter itself, so that the file has one.
func minted(t testing.TB, password string) string {
	t.Helper()
	s := newSystem(t, "anna:*:19000:0:99999:7:::\n")
	s.change(t, "anna", password)
	return s.line(t, "anna")[1]
}

func (s *system) change(t testing.TB, user, password string) {
	t.Helper()
	a := s.adapter(nil)
	steps, err := a.Prepare(t.Context(), request(user, password))
	if err != nil || len(steps) != 1 {
		t.Fatalf("prepare: %v, %v", steps, err)
	}
	if err := a.Persist(t.Context(), steps[0]); err != nil {
		t.Fatal(err)
	}
	if err := a.Verify(t.Context(), steps[0]); err != nil {
		t.Fatal(err)
	}
}

// H3: a hard reset locks every other person's account, SSH keys included, and
// leaves root's, the guests' and every account's place as they were.
func TestHardLocksEverybodyElse(t *testing.T) {
	before := usual(t)
	s := newSystem(t, before)
	a := s.adapter(nil)
	r := request("anna", newPassword)
	r.Mode, r.Scope = reset.Hard, ""
	steps, err := a.Prepare(t.Context(), r)
	if err != nil || len(steps) != 4 || !slices.Equal(steps[0].Effects, []nas.Effect{nas.E1}) || !slices.Equal(steps[3].Effects, []nas.Effect{nas.H3}) {
		t.Fatalf("%v, %+v", err, steps)
	}
	for _, st := range steps {
		if err := errors.Join(a.Persist(t.Context(), st), a.Verify(t.Context(), st)); err != nil {
			t.Fatal(err)
		}
	}
	for _, user := range []string{"ben", "cara", "dirk"} {
		line := s.line(t, user)
		if !strings.HasPrefix(line[1], "!") || line[7] != "1" {
			t.Errorf("%s: %q", user, line)
		}
		if ok, err := a.Check(t.Context(), user, access.NewSecret("hunter2")); ok || err != nil {
			t.Errorf("%s can still sign in: %v", user, err)
		}
	}
	if ok, err := a.Check(t.Context(), "anna", access.NewSecret(newPassword)); !ok || err != nil || s.line(t, "root")[1] != "*" {
		t.Errorf("anna cannot sign in, or root was changed: %v", err)
	}
	var now nas.Settings
	if err := a.Read(t.Context(), &now); err != nil || len(now.Accounts) != 5 {
		t.Errorf("accounts are gone: %+v %v", now.Accounts, err)
	}
	for _, st := range slices.Backward(steps) {
		if err := a.Undo(t.Context(), st); err != nil {
			t.Fatal(err)
		}
	}
	if s.shadow(t) != before {
		t.Error("the way back is not exact")
	}
	// What is locked already, to the letter, is no step.
	for _, st := range steps {
		if err := a.Persist(t.Context(), st); err != nil {
			t.Fatal(err)
		}
	}
	if again, err := a.Prepare(t.Context(), r); err != nil || len(again) != 1 {
		t.Errorf("%v %d steps", err, len(again))
	}
}

func TestContract(t *testing.T) {
	off := setting.Request{Mode: reset.Account, Scope: reset.SwitchOff, Administrator: "anna"}
	for name, r := range map[string]setting.Request{"password": request("anna", newPassword), "switched off": off} {
		t.Run(name, func(t *testing.T) { contract(t, r) })
	}
}

func contract(t *testing.T, r setting.Request) {
	settingtest.Run(t, func(t testing.TB) settingtest.System {
		s := newSystem(t, usual(t))
		return settingtest.System{
			Adapter: s.adapter(nil),
			Request: r,
			Idle:    setting.Request{Mode: reset.Soft, Scope: reset.Network},
			Stored:  func(t testing.TB) []byte { return []byte(s.shadow(t)) },
			Meddle: func(t testing.TB) {
				changed := strings.NewReplacer("anna:$6$", "anna:$6$theirs", "anna:!$6$", "anna:!$6$theirs").Replace(s.shadow(t))
				if err := os.WriteFile(s.etc("shadow"), []byte(changed), 0o640); err != nil {
					t.Fatal(err)
				}
			},
			Restart: func(testing.TB) setting.Adapter { return s.adapter(nil) },
			Change:  func(t testing.TB, n int) { s.set(t, "ben", fmt.Sprintf("!$6$x$theirs%d", n)) },
		}
	})
}

// R4: what is switched off opens with nothing, and on again with what it had.
func TestSwitchOffAndOn(t *testing.T) {
	s := newSystem(t, usual(t))
	a := s.adapter(nil)
	carry := func(scope reset.Scope, user string) (int, error) {
		steps, err := a.Prepare(t.Context(), setting.Request{Mode: reset.Account, Scope: scope, Administrator: user})
		for _, step := range steps {
			if err := errors.Join(a.Persist(t.Context(), step), a.Verify(t.Context(), step)); err != nil {
				t.Fatal(err)
			}
		}
		return len(steps), err
	}
	opens := func() bool {
		ok, err := a.Check(t.Context(), "anna", access.NewSecret("hunter2"))
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	before := s.shadow(t)
	mark, err := a.Mark(t.Context(), "anna")
	if err != nil {
		t.Fatal(err)
	}
	if n, err := carry(reset.SwitchOff, "anna"); n != 1 || err != nil || opens() {
		t.Errorf("off: %d steps, %v, opens %v", n, err, opens())
	}
	if l := s.line(t, "anna"); l[1][0] != '!' || l[7] != "1" {
		t.Errorf("keys still open it: %v", l)
	}
	if n, err := carry(reset.SwitchOff, "anna"); n != 0 || err != nil {
		t.Errorf("off twice: %d steps, %v", n, err)
	}
	if n, err := carry(reset.SwitchOn, "anna"); n != 1 || err != nil || !opens() || s.shadow(t) != before {
		t.Errorf("on: %d steps, %v", n, err)
	}
	if again, err := a.Mark(t.Context(), "anna"); err != nil || again != mark {
		t.Errorf("the same password has another mark: %v", err)
	}
	s.change(t, "anna", newPassword)
	if again, err := a.Mark(t.Context(), "anna"); err != nil || again == mark {
		t.Errorf("another password has the same mark: %v", err)
	}
	if _, err := carry(reset.SwitchOn, "cara"); !errors.Is(err, setting.ErrPermanent) {
		t.Errorf("an account without a password is switched on: %v", err)
	}
	if _, err := carry(reset.SwitchOff, "ben"); !errors.Is(err, setting.ErrPermanent) {
		t.Errorf("somebody who is no administrator: %v", err)
	}
	if n, err := carry(reset.SwitchOff, "root"); n != 1 || err != nil || s.line(t, "root")[7] != "" {
		t.Errorf("root: %d steps, %v, %v: an expired root has no scheduled jobs", n, err, s.line(t, "root"))
	}
}

// set replaces a hash, as another program does.
func (s *system) set(t testing.TB, user, hash string) {
	t.Helper()
	line := s.line(t, user)
	old := strings.Join(line, ":")
	line[1] = hash
	if err := os.WriteFile(s.etc("shadow"), []byte(strings.Replace(s.shadow(t), old, strings.Join(line, ":"), 1)), 0o640); err != nil {
		t.Fatal(err)
	}
}

// R6, promise 2: a restore never brings back an administrator's password, root's
// or a blank one, and makes no account.
func TestARestoreOpensNothing(t *testing.T) {
	s := newSystem(t, usual(t))
	a := s.adapter(nil)
	raw, err := a.Save(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, admin := range []string{"root", "anna", "cara", "dirk"} {
		if strings.Contains(string(raw), `"`+admin+`"`) {
			t.Errorf("%s's line is in the snapshot: %s", admin, raw)
		}
		forged := strings.Replace(string(raw), `"ben"`, `"`+admin+`"`, 1)
		if steps, err := a.PrepareRestore(t.Context(), []byte(forged)); err != nil || len(steps) != 0 {
			t.Errorf("%s's would be replaced: %v, %v", admin, steps, err)
		}
	}
	hash := s.line(t, "ben")[1]
	for name, to := range map[string]string{
		"nobody known": strings.Replace(string(raw), `"ben"`, `"ghost"`, 1), "a blank one": strings.Replace(string(raw), hash, "", 1),
	} {
		if steps, err := a.PrepareRestore(t.Context(), []byte(to)); err != nil || len(steps) != 0 {
			t.Errorf("%s: %v, %v", name, steps, err)
		}
	}
	for _, bad := range []string{"x:0:0", "x\nroot::1:", "x y", "\u0000"} {
		to := strings.Replace(string(raw), hash, bad, 1)
		if steps, err := a.PrepareRestore(t.Context(), []byte(to)); !errors.Is(err, setting.ErrSaved) || len(steps) != 0 {
			t.Errorf("%q as a hash: %v, %v", bad, steps, err)
		}
	}
}

// E1, promise 2: the new password opens, the old does not, nobody else is touched.
func TestNewPasswordOpensOldDoesNot(t *testing.T) {
	s := newSystem(t, usual(t))
	s.change(t, "anna", newPassword)
	for _, c := range []struct {
		user, password string
		want           bool
	}{
		{"anna", newPassword, true},
		{"anna", "hunter2", false},
		{"anna", "", false},
		{"ben", "hunter2", true},
		{"ben", newPassword, false},
		{"root", "", false},
		{"cara", "hunter2", false},  // locked
		{"dirk", "hunter2", false},  // locked and expired
		{"ghost", "hunter2", false}, // missing
		{"ghost", newPassword, false},
		{"back", "hunter2", false},
		{"anna", strings.Repeat("x", 10_000), false},
	} {
		got, err := s.adapter(nil).Check(t.Context(), c.user, access.NewSecret(c.password))
		if err != nil || got != c.want {
			t.Errorf("%s: %t, %v; want %t", c.user, got, err, c.want)
		}
	}
}

// The system's own crypt(3) agrees, for both styles.
func TestLibcryptAgrees(t *testing.T) {
	perl, err := exec.LookPath("perl")
	if err != nil {
		t.Skip("no perl to ask libcrypt with")
	}
	for _, first := range []string{"$6$x$y", "$6$rounds=7000$x$y", "$y$j9T$x$y"} {
		s := newSystem(t, "anna:"+first+":19000:0:99999:7:::\n")
		s.change(t, "anna", newPassword)
		hash := s.line(t, "anna")[1]
		if want := first[:strings.LastIndex(first[:len(first)-2], "$")+1]; !strings.HasPrefix(hash, want) {
			t.Errorf("style %s became %.20s", want, hash)
		}
		c := exec.Command(perl, "-e", `$_=<STDIN>; chomp; ($p,$h)=split /\t/; print crypt($p,$h) eq $h ? "yes" : "no"`)
		c.Stdin = strings.NewReader(newPassword + "\t" + hash + "\n")
		out, err := c.Output()
		if err != nil || string(out) != "yes" {
			t.Errorf("libcrypt on %.10s: %s, %v", hash, out, err)
		}
	}
}

func TestStyleIsTheFilesOwn(t *testing.T) {
	for _, c := range []struct{ name, file, want string }{
		{"own", "anna:$6$s$h:1:0:99999:7:::\nben:$y$j9T$s$h:1:0:99999:7:::\n", "$6$"},
		{"own when locked", "anna:!$y$j9T$s$h:1:0:99999:7:::\n", "$y$j9T$"},
		{"another's", "anna:*:1:0:99999:7:::\nben:$y$j9T$s$h:1:0:99999:7:::\n", "$y$j9T$"},
		{"none known", "anna:$1$s$h:1:0:99999:7:::\n", "$6$"},
		{"cost is bounded", "anna:$6$rounds=900000000$s$h:1:0:99999:7:::\n", "$6$rounds=1000000$"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSystem(t, c.file)
			s.change(t, "anna", newPassword)
			if got := s.line(t, "anna")[1]; !strings.HasPrefix(got, c.want) {
				t.Errorf("hash %.20s, want style %s", got, c.want)
			}
		})
	}
}

func TestUnlockAndAgeing(t *testing.T) {
	for _, c := range []struct{ name, before, changed, expires string }{
		{"locked", "!$6$s$h:19000:0:99999:7:::", "today", ""},
		{"expired account", "$6$s$h:19000:0:99999:7::19100:", "today", ""},
		{"expires later", "$6$s$h:19000:0:99999:7::99999:", "today", "99999"},
		{"change was demanded", "$6$s$h:0:0:99999:7:::", "today", ""},
		{"ageing off", "$6$s$h:::::::", "", ""},
		{"changed in the future", "$6$s$h:88888:0:99999:7:::", "88888", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSystem(t, "anna:"+c.before+"\n")
			s.change(t, "anna", newPassword)
			l := s.line(t, "anna")
			want := c.changed
			if want == "today" {
				want = strconv.FormatInt(time.Now().Unix()/86400, 10)
			}
			if l[2] != want || l[7] != c.expires {
				t.Errorf("changed %q, expires %q; want %q, %q", l[2], l[7], want, c.expires)
			}
			if ok, err := s.adapter(nil).Check(t.Context(), "anna", access.NewSecret(newPassword)); !ok || err != nil {
				t.Errorf("the new password does not open: %v", err)
			}
		})
	}
}

// Whatever else is in the file stays byte for byte.
func TestOtherLinesAreByteIdentical(t *testing.T) {
	hash := minted(t, "hunter2")
	rapid.Check(t, func(rt *rapid.T) {
		junk := rapid.SliceOfN(rapid.StringMatching(`[ -9;-~\t\r]{0,40}|[a-z]{1,8}:[!-9;-~]{0,20}(:[0-9]{0,5}){0,9}`), 0, 6)
		ours := "anna:" + hash + ":19000:0:99999:7:::"
		end := rapid.SampledFrom([]string{"\n", "\r\n", ""}).Draw(rt, "end")
		var before, after []string
		for _, l := range junk.Draw(rt, "before") {
			if !strings.HasPrefix(l, "anna:") {
				before = append(before, l)
			}
		}
		if end != "" {
			after = junk.Draw(rt, "after")
		}
		head := strings.Join(append(before, ""), "\n")
		tail := strings.Join(after, "\n")
		s := newSystem(t, head+ours+end+tail)
		s.change(t, "anna", newPassword)
		got := s.shadow(t)
		if !strings.HasPrefix(got, head+"anna:") || !strings.HasSuffix(got, ":0:99999:7:::"+end+tail) {
			rt.Fatalf("before %q\nafter  %q", head+ours+end+tail, got)
		}
	})
}

func TestAccounts(t *testing.T) {
	s := newSystem(t, usual(t))
	var got nas.Settings
	if err := s.adapter(nil).Read(t.Context(), &got); err != nil {
		t.Fatal(err)
	}
	want := []nas.Account{
		{Name: "root", Administrator: true, BuiltIn: true},
		{Name: "anna", Administrator: true, Enabled: true},
		{Name: "ben", Enabled: true},
		{Name: "cara", Administrator: true},
		{Name: "dirk", Administrator: true},
	}
	if !slices.Equal(got.Accounts, want) {
		t.Errorf("accounts %+v\nwant     %+v", got.Accounts, want)
	}
}

func TestWhatIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		file string
		r    setting.Request
	}{
		"blank password":       {usual(t), request("anna", "")},
		"not an administrator": {usual(t), request("ben", newPassword)},
		"system account":       {usual(t), request("daemon", newPassword)},
		"nobody":               {usual(t), request("", newPassword)},
		"malformed line":       {"anna:$6$s$h:1\n", request("anna", newPassword)},
		"no line":              {"", request("anna", newPassword)},
	} {
		s := newSystem(t, c.file)
		if steps, err := s.adapter(nil).Prepare(t.Context(), c.r); err == nil {
			t.Errorf("%s: prepared %v", name, steps)
		}
		if s.shadow(t) != c.file {
			t.Errorf("%s: the file changed", name)
		}
	}
}

// The lock of the system's tools is respected: waited for, within bounds, then
// a clear error; and free again afterwards.
func TestLockHeldByAnother(t *testing.T) {
	s := newSystem(t, usual(t))
	fsys := opfs.Under(s.root, opfs.OS(nil))
	release, err := fsys.Lock(t.Context(), "other", "/etc/.pwd.lock")
	if err != nil {
		t.Skip("no locks here:", err)
	}
	a := shadow.New(shadow.Config{FS: fsys, Clock: clock.System(), Rand: rand.Reader, LockWait: 100 * time.Millisecond})
	steps, err := a.Prepare(t.Context(), request("anna", newPassword))
	if err != nil {
		t.Fatal(err)
	}
	before := s.shadow(t)
	err = a.Persist(t.Context(), steps[0])
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "another program") {
		t.Errorf("err = %v, want a clear one about another program", err)
	}
	if errors.Is(err, setting.ErrPermanent) || s.shadow(t) != before {
		t.Error("a held lock is not for ever, and changes nothing")
	}
	// Given up by the other program while we wait: then it works.
	done := make(chan error, 1)
	slow := s.adapter(func(op string, w opfs.When) error {
		if op == "shadow.persist.lock" && w == opfs.Before {
			release()
		}
		return nil
	})
	go func() { done <- slow.Persist(t.Context(), steps[0]) }()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestASymlinkIsNotWrittenThrough(t *testing.T) {
	s := newSystem(t, usual(t))
	if err := errors.Join(os.Rename(s.etc("shadow"), s.etc("elsewhere")), os.Symlink("elsewhere", s.etc("shadow"))); err != nil {
		t.Skip("no symbolic links here:", err)
	}
	found, err := s.adapter(nil).Detect(t.Context())
	if err != nil || found.Present || !strings.Contains(found.Why, "symbolic link") {
		t.Errorf("found %+v, %v; want absent, because of the link", found, err)
	}
	a := s.adapter(nil)
	steps, err := a.Prepare(t.Context(), request("anna", newPassword))
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Persist(t.Context(), steps[0]); !errors.Is(err, setting.ErrPermanent) {
		t.Errorf("err = %v, want ErrPermanent", err)
	}
}

// No operation and no error ever shows a hash or a password.
func TestErrorsHoldNoSecret(t *testing.T) {
	s := newSystem(t, "anna:$9$secretsecret:19000:0:99999:7:::\n")
	if ok, err := s.adapter(nil).Check(t.Context(), "anna", access.NewSecret("hunter2")); ok || err != nil {
		t.Errorf("an unknown style: %t, %v; want false like any other", ok, err)
	}
	boom := errors.New("boom")
	s = newSystem(t, usual(t))
	for _, op := range []string{"lock", "create", "write", "sync", "rename", "syncdir"} {
		a := s.adapter(func(name string, w opfs.When) error {
			if name == "shadow.persist."+op && w == opfs.Before {
				return boom
			}
			return nil
		})
		steps, err := a.Prepare(t.Context(), request("anna", anotherLongOne))
		if err != nil {
			t.Fatal(err)
		}
		err = a.Persist(t.Context(), steps[0])
		if !errors.Is(err, boom) || strings.Contains(err.Error(), "$6$") || strings.Contains(err.Error(), anotherLongOne) {
			t.Errorf("%s: err = %v", op, err)
		}
	}
}

func BenchmarkCheck(b *testing.B) {
	s := newSystem(b, usual(b))
	a := s.adapter(nil)
	for _, user := range []string{"anna", "missing"} {
		b.Run(user, func(b *testing.B) {
			for b.Loop() {
				_, _ = a.Check(b.Context(), user, access.NewSecret("hunter3"))
			}
		})
	}
}
