package shadow_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/device/setting/settingtest"
	"github.com/paperclip-nas/paperclip/internal/device/setting/shadow"
	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/x/clock"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
	"github.com/paperclip-nas/paperclip/internal/x/opfs/crashfs"
)

// disk is the same system in memory, where nobody needs to be root.
func disk(change map[string]string) *crashfs.Disk {
	d := crashfs.New(crashfs.Weak)
	files := map[string]string{
		"/etc/passwd": passwdFile, "/etc/group": groupFile + "video:x:44:anna,cara,dirk\nanna:x:1000:\nlate:x:1007:\n", "/etc/gshadow": "sudo:*::anna,dirk\nvideo:*::anna,cara,dirk\n",
		"/etc/shadow":     "root:*:19000:0:99999:7:::\nanna:$y$j9T$x$y:19000:0:99999:7:::\nben:$6$x$y:19000:0:99999:7:::\ncara:!:19000:0:99999:7:::\ndirk:!:19000:0:99999:7:::\n",
		"/etc/login.defs": "# the range\nUID_MIN\t\t 1000\nUID_MAX 60000\n", "/srv/song": "data", shadow.Homes + "/.keep": "",
	}
	for name, content := range change {
		files[name] = content
	}
	for name, content := range files {
		if content != "gone" {
			d.Put(name, crashfs.File{Data: []byte(content), Attributes: opfs.Attributes{Mode: 0o640}})
		}
	}
	return d
}

func accountsOn(d *crashfs.Disk) *shadow.Adapter {
	return shadow.New(shadow.Config{FS: d, Clock: clock.System(), Rand: rand.Reader})
}

func newcomer(name string) setting.Request {
	return setting.Request{
		Mode: reset.Hard, Administrator: name, Password: access.NewSecret(newPassword), Wizard: reset.Wizard{NewAdministrator: true},
	}
}

func all(d *crashfs.Disk) string {
	var b strings.Builder
	for path, f := range d.Files("/") {
		if path != "/etc/.pwd.lock" {
			fmt.Fprintf(&b, "%s %v %d:%d %q\n", path, f.Mode, f.UID, f.GID, f.Data)
		}
	}
	return b.String()
}

func text(t testing.TB, d *crashfs.Disk, path string) string {
	t.Helper()
	data, err := d.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestNewAdministratorContract(t *testing.T) {
	// It hashes dozens of times, and yescrypt is slow on purpose: TestNewAdministrator has it.
	cheap := strings.Replace(text(t, disk(nil), "/etc/shadow"), "$y$j9T$", "$6$", 1)
	settingtest.Run(t, func(t testing.TB) settingtest.System {
		d := disk(map[string]string{"/etc/shadow": cheap})
		return settingtest.System{
			Adapter: accountsOn(d), Request: newcomer("carla"), Idle: setting.Request{Mode: reset.Soft, Scope: reset.Network}, Simulated: true,
			Stored:  func(testing.TB) []byte { return []byte(all(d)) },
			Restart: func(testing.TB) setting.Adapter { return accountsOn(d) },
			Meddle: func(t testing.TB) { // somebody makes another account of that name, in every file
				for path, line := range map[string]string{"/etc/passwd": "carla:x:1444:1444::/home/carla:/bin/sh\n", "/etc/shadow": "carla:*:1:0:99999:7:::\nben:x:1:::::\n"} {
					d.Put(path, crashfs.File{Data: []byte(text(t, d, path) + line), Attributes: opfs.Attributes{Mode: 0o640}})
				}
			},
			Change: func(t testing.TB, n int) {
				changed := regexp.MustCompile(`(?m)^ben:[^:]*`).ReplaceAllLiteralString(text(t, d, "/etc/shadow"), fmt.Sprintf("ben:$6$x$%d", n))
				d.Put("/etc/shadow", crashfs.File{Data: []byte(changed), Attributes: opfs.Attributes{Mode: 0o640}})
			},
		}
	})
}

// H3, E1, promise 1: a new administrator's account is as those that there are, has
// a number that nothing has and a home on no volume, and is the one that signs in.
func TestNewAdministrator(t *testing.T) {
	d := disk(nil)
	a := accountsOn(d)
	steps, err := a.Prepare(t.Context(), newcomer("carla"))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range steps {
		if err := errors.Join(a.Persist(t.Context(), s), a.Activate(t.Context(), s), a.Verify(t.Context(), s)); err != nil {
			t.Fatalf("%s: %v", s.Name, err)
		}
	}
	for path, want := range map[string]string{
		"/etc/passwd":  "\ncarla:x:1008:1008::/var/lib/paperclip-home/carla:/bin/bash\n",
		"/etc/group":   "\ncarla:x:1008:\n",
		"/etc/gshadow": "\ncarla:!::\n",
		"/etc/shadow":  "\ncarla:$y$j9T$",
	} {
		if got := text(t, d, path); !strings.Contains(got, want) {
			t.Errorf("%s:\n%s", path, got)
		}
	}
	if g := text(t, d, "/etc/group"); !strings.Contains(g, "sudo:x:27:anna,dirk,ghost,carla\nusers:x:100:ben\nvideo:x:44:anna,cara,dirk,carla\n") {
		t.Errorf("groups:\n%s", g)
	}
	home, err := d.Attributes(shadow.Homes + "/carla")
	if err != nil || home.UID != 1008 || home.GID != 1008 || home.Mode != 0o700 {
		t.Errorf("home: %v %+v", err, home)
	}
	var s nas.Settings
	if err := a.Read(t.Context(), &s); err != nil {
		t.Fatal(err)
	}
	if carla, _ := s.Account("carla"); !carla.Administrator || !carla.Enabled || carla.BuiltIn {
		t.Errorf("%+v", carla)
	}
	if ok, err := a.Check(t.Context(), "carla", access.NewSecret(newPassword)); !ok || err != nil {
		t.Errorf("carla cannot sign in: %v", err)
	}
	for _, other := range []string{"anna", "ben", "dirk"} {
		if x, _ := s.Account(other); x.Enabled {
			t.Errorf("%s is not locked", other)
		}
	}
}

// A name that is known in any way, and a system that cannot take an account, are
// refused before anything is changed.
func TestNewAdministratorRefused(t *testing.T) {
	for why, c := range map[string]struct {
		name   string
		change map[string]string
		says   string
	}{
		"a person":             {name: "ben", says: "an account ben already"},
		"a service":            {name: "daemon", says: "an account daemon already"},
		"a group":              {name: "video", says: "a group video already"},
		"a group of shadow's":  {name: "old", change: map[string]string{"/etc/gshadow": "old:!::\n"}, says: "a group old already"},
		"still in a group":     {name: "ghost", says: "still named in the group sudo"},
		"still in shadow":      {name: "left", change: map[string]string{"/etc/shadow": "anna:$6$x$y:1:0:99999:7:::\nleft:x:1\n"}, says: "an account left already"},
		"a home left":          {name: "carla", change: map[string]string{shadow.Homes + "/carla/.ssh/authorized_keys": "ssh-ed25519 AAAA"}, says: "a home folder of carla already"},
		"no folder for homes":  {name: "carla", change: map[string]string{shadow.Homes + "/.keep": "gone"}, says: "is missing"},
		"no group of theirs":   {name: "carla", change: map[string]string{"/etc/group": "users:x:100:\n"}, says: "no group sudo"},
		"no number":            {name: "carla", change: map[string]string{"/etc/login.defs": "UID_MIN 1000\nUID_MAX 1001\n"}, says: "every user id"},
		"accounts not a file":  {name: "carla", change: map[string]string{"/etc/gshadow": "gone", "/etc/gshadow/x": ""}, says: "cannot be replaced"},
		"a name in every case": {name: "root", says: "an account root already"},
	} {
		t.Run(why, func(t *testing.T) {
			d := disk(c.change)
			before := all(d)
			_, err := accountsOn(d).Prepare(t.Context(), newcomer(c.name))
			if !errors.Is(err, catalog.New("account_name")) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v", err)
			}
			if all(d) != before {
				t.Error("something was changed")
			}
		})
	}
}

// The lowest free number is taken where none is left above.
func TestNewAdministratorNumber(t *testing.T) {
	d := disk(map[string]string{"/etc/login.defs": "UID_MIN 1000\nUID_MAX 1008\n", "/etc/group": groupFile + "late:x:1008:\n"})
	a := accountsOn(d)
	steps, err := a.Prepare(t.Context(), newcomer("carla"))
	if err != nil || !strings.Contains(string(steps[0].Data), `"uid":1004`) {
		t.Errorf("%v %s", err, steps)
	}
}

// What somebody has put into the home folder stays, and so does what another
// program has made of the account.
func TestNewAdministratorUndoSparesOthers(t *testing.T) {
	for why, put := range map[string][2]string{
		"a file in the home": {shadow.Homes + "/carla/letter", "dear"},
		"another line":       {"/etc/passwd", passwdFile + "carla:x:1008:1008:Carla:/srv/carla:/bin/zsh\n"},
	} {
		d := disk(nil)
		a := accountsOn(d)
		steps, err := a.Prepare(t.Context(), newcomer("carla"))
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Persist(t.Context(), steps[0]); err != nil {
			t.Fatal(err)
		}
		d.Put(put[0], crashfs.File{Data: []byte(put[1])})
		if err := a.Undo(t.Context(), steps[0]); !errors.Is(err, setting.ErrThirdValue) {
			t.Errorf("%s: %v", why, err)
		}
		if got := text(t, d, put[0]); got != put[1] {
			t.Errorf("%s: %q", why, got)
		}
	}
}

// Making an account and taking it away again leaves every file as it was, to the
// byte, whatever it looks like.
func TestNewAdministratorUndoIsExact(t *testing.T) {
	line := rapid.SampledFrom([]string{"", "# a comment", "sudo:x:27:", "sudo:x:27:anna", "users:x:100:ben\r", "games:x:60", "x:y:z", "wheel:x:10:anna", "staff:x:1500:anna,ben", "+::::::"})
	rapid.Check(t, func(t *rapid.T) {
		file := func(of string) string {
			return strings.Join(rapid.SliceOfN(line, 0, 6).Draw(t, of), "\n") + rapid.SampledFrom([]string{"", "\n", "\n\n"}).Draw(t, of+"'s end")
		}
		d := disk(map[string]string{"/etc/group": "sudo:x:27:anna\n" + file("group"), "/etc/gshadow": file("gshadow"), "/etc/passwd": passwdFile + file("passwd"), "/etc/shadow": "anna:$6$x$y:1:0:99999:7:::\n" + file("shadow")})
		a := accountsOn(d)
		steps, err := a.Prepare(t.Context(), newcomer("carla"))
		if err != nil {
			t.Skip(err)
		}
		before := all(d)
		for _, s := range steps {
			if err := a.Persist(t.Context(), s); err != nil {
				t.Fatal(s.Name, err)
			}
		}
		for i := range steps {
			if err := a.Undo(t.Context(), steps[len(steps)-1-i]); err != nil {
				t.Fatal(err)
			}
		}
		if after := all(d); after != before {
			t.Fatalf("before:\n%s\nafter:\n%s", before, after)
		}
	})
}
