//go:build linux

package nspawn

import (
	"crypto/rand"
	"slices"
	"strings"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/device/setting/samba"
	"github.com/paperclip-nas/paperclip/internal/device/setting/shadow"
	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/x/clock"
)

// H3, E1: the account that a hard reset makes is one to the system itself and to
// Samba, signs in alone, and is gone again to the byte when it is undone.
func TestNewAdministrator(t *testing.T) {
	const password = "four words quite apart"
	c := boot(t, image(t))
	c.must(t, "install -d -m 0755 "+shadow.Homes)
	c.until(t, "Samba does not answer", func() bool {
		_, ok := c.sh(t, "smbclient -N -L localhost")
		return ok
	})
	accounts := shadow.New(shadow.Config{FS: c.FS(), Clock: clock.System(), Rand: rand.Reader})
	all := []setting.Adapter{accounts, samba.New(samba.Config{Runner: c, Clock: clock.System()})}
	state := func() string {
		return c.must(t, "cd /etc && ls -l passwd group shadow gshadow | cut -d' ' -f1-4 && cat passwd group shadow gshadow && ls -la "+shadow.Homes+" | tail -n +4; pdbedit -L -w | sort")
	}
	// Nobody but root would be asked for no password.
	signsIn := func(user, password string) (string, bool) {
		return c.sh(t, `echo '`+password+`' | setpriv --reuid=1001 --regid=1001 --clear-groups su - `+user+` -c 'pwd; id -nG'`)
	}
	share := func(user, password string) bool {
		_, ok := c.sh(t, "smbclient //localhost/data -U '"+user+"%"+password+"' -c ls")
		return ok
	}
	if out, ok := signsIn(administrator, "old anna password"); !ok {
		t.Fatalf("before: anna cannot sign in, so nothing would be shown: %s", out)
	}
	before := state()

	request := setting.Request{Mode: reset.Hard, Administrator: "carla", Password: access.NewSecret(password), Wizard: reset.Wizard{NewAdministrator: true}}
	var made []reset.Step
	for _, a := range all {
		steps, err := a.Prepare(t.Context(), request)
		if err != nil {
			t.Fatalf("prepare %s: %v", a.ID(), err)
		}
		made = append(made, steps...)
	}
	each(t, all, made, "persist", setting.Adapter.Persist)
	each(t, all, made, "activate", setting.Adapter.Activate)
	each(t, all, made, "verify", setting.Adapter.Verify)

	out, ok := signsIn("carla", password)
	if !ok || !strings.Contains(out, shadow.Homes+"/carla\n") || !strings.Contains(out, "sudo") {
		t.Errorf("carla: %t %s", ok, out)
	}
	if !share("carla", password) || share("carla", "not the password") {
		t.Error("carla's password does not open the share, or another one does")
	}
	if out, ok := signsIn(administrator, "old anna password"); ok || share(administrator, "old anna password") {
		t.Errorf("anna is not locked: %s", out)
	}
	for _, check := range []string{"pwck -rq", "grpck -r"} {
		if out, ok := c.sh(t, check); !ok && strings.Contains(out, "carla") {
			t.Errorf("%s: %s", check, out)
		}
	}
	if out, ok := c.sh(t, "useradd -m dora && id -u dora"); !ok {
		t.Errorf("the next account cannot be made: %s", out)
	}
	c.must(t, "userdel -r dora 2>/dev/null || userdel dora")
	c.must(t, "find "+shadow.Homes+"/carla -mindepth 1 -delete") // what signing in has left

	slices.Reverse(made)
	each(t, all, made, "undo", setting.Adapter.Undo)
	if after := state(); after != before {
		t.Errorf("not as before:\n%s\nafter:\n%s", before, after)
	}
	if out, ok := signsIn(administrator, "old anna password"); !ok {
		t.Errorf("anna cannot sign in any more: %s", out)
	}
}
