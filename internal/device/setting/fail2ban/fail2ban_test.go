package fail2ban_test

import (
	"errors"
	"os/exec"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/device/setting/fail2ban"
	"github.com/paperclip-nas/paperclip/internal/device/setting/settingtest"
	"github.com/paperclip-nas/paperclip/internal/device/setting/unit"
	"github.com/paperclip-nas/paperclip/internal/device/setting/unit/unittest"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

const service = "fail2ban.service"

var everything = setting.Request{Mode: reset.Soft, Scope: reset.All}

func system(t testing.TB) *unittest.Systemd {
	s := unittest.New(t, map[string]*unittest.Unit{service: {Boots: true, Active: true}})
	s.Write(t, fail2ban.Database, "not a real database")
	s.Tools = func(string, opfs.Command) (opfs.Output, error) {
		return opfs.Output{Stdout: []byte(`["192.0.2.7", "2001:db8::/64", "; rm -rf /"]`)}, nil
	}
	return s
}

func TestContract(t *testing.T) {
	settingtest.Run(t, func(t testing.TB) settingtest.System {
		s := system(t)
		return settingtest.System{
			Adapter: fail2ban.New(s.System()),
			Request: everything,
			Idle:    setting.Request{Mode: reset.Soft, Scope: reset.Credentials},
			Stored:  s.Stored,
			Meddle:  func(t testing.TB) { s.Write(t, unit.File(service), "[Service]\n") },
			Restart: func(testing.TB) setting.Adapter { return fail2ban.New(s.System()) },
		}
	})
}

// E8: off, and the list of blocked addresses stays.
func TestOffWithTheListKept(t *testing.T) {
	s := system(t)
	a := fail2ban.New(s.System())
	list := []string{"192.0.2.7", "2001:db8::/64"}
	var before, after nas.Settings
	if err := a.Read(t.Context(), &before); err != nil || !reflect.DeepEqual(before.AutoBlock, &nas.AutoBlock{Enabled: true, Blocked: list}) {
		t.Errorf("before: %+v, %v", before.AutoBlock, err)
	}
	steps, err := a.Prepare(t.Context(), everything)
	if err != nil || len(steps) != 1 {
		t.Fatal(steps, err)
	}
	if err := errors.Join(a.Persist(t.Context(), steps[0]), a.Activate(t.Context(), steps[0]), a.Verify(t.Context(), steps[0])); err != nil {
		t.Fatal(err)
	}
	if err := a.Read(t.Context(), &after); err != nil || !reflect.DeepEqual(after.AutoBlock, &nas.AutoBlock{Blocked: list}) {
		t.Errorf("after: %+v, %v", after.AutoBlock, err)
	}
}

// The script over a database of the form that fail2ban 1.0 has.
func TestReadsTheDatabase(t *testing.T) {
	if exec.Command("/usr/bin/python3", "-c", "import sqlite3").Run() != nil {
		t.Skip("no Python with sqlite3 here")
	}
	s := unittest.New(t, map[string]*unittest.Unit{service: {Active: true}})
	s.Write(t, fail2ban.Database, "its script is given another")
	db := filepath.Join(t.TempDir(), "f2b.sqlite3")
	make := `import sqlite3,sys,time
d=sqlite3.connect(sys.argv[1])
d.execute("CREATE TABLE bips(ip TEXT NOT NULL, jail TEXT NOT NULL, timeofban INTEGER NOT NULL, bantime INTEGER NOT NULL, bancount INTEGER NOT NULL default 1, data JSON, PRIMARY KEY(ip, jail))")
n=int(time.time())
d.executemany("INSERT INTO bips VALUES(?,?,?,?,1,'{}')", [("192.0.2.1","sshd",n,600),("192.0.2.1","smb",n,600),("192.0.2.2","sshd",n-999,600),("2001:db8::1","sshd",1,-1)])
d.commit()`
	if out, err := exec.Command("/usr/bin/python3", "-c", make, db).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	s.Tools = func(op string, c opfs.Command) (opfs.Output, error) {
		c.Args[len(c.Args)-1] = db
		return opfs.Exec(nil).Run(t.Context(), op, c)
	}
	var got nas.Settings
	if err := fail2ban.New(s.System()).Read(t.Context(), &got); err != nil {
		t.Fatal(err)
	}
	if want := []string{"192.0.2.1", "2001:db8::1"}; !reflect.DeepEqual(got.AutoBlock.Blocked, want) {
		t.Errorf("blocked %q, want %q", got.AutoBlock.Blocked, want)
	}
}

// Where it never ran there is nothing that a program would have to be started for.
func TestNeverRan(t *testing.T) {
	s := unittest.New(t, map[string]*unittest.Unit{service: {}})
	s.Tools = func(op string, _ opfs.Command) (opfs.Output, error) {
		t.Errorf("%s was started", op)
		return opfs.Output{}, nil
	}
	var got nas.Settings
	if err := fail2ban.New(s.System()).Read(t.Context(), &got); err != nil || !reflect.DeepEqual(got.AutoBlock, &nas.AutoBlock{}) {
		t.Errorf("%+v, %v", got.AutoBlock, err)
	}
}

func TestNotInstalled(t *testing.T) {
	found, err := fail2ban.New(unittest.New(t, nil).System()).Detect(t.Context())
	if err != nil || found.Present || found.Why != "fail2ban is not installed" {
		t.Errorf("%+v, %v", found, err)
	}
}
