package qts

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/paperclip-nas/paperclip/internal/device/setting/memory"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/lab/face"
)

// functions are what the CGI do, by subfunc or wiz_func, and by action where it
// has one (vendors/qnap.md §3.4, §3.5).
func functions() map[string]func(*call) {
	return map[string]func(*call){
		"user":                                  (*call).users,
		"share":                                 (*call).shares,
		"user_edit":                             (*call).userGet,
		"user_edit account_edit":                (*call).userEdit,
		"user_password_edit user_password_edit": (*call).setPassword,
		"user_create add_user":                  (*call).userCreate,
		"user_group_edit":                       (*call).groupsOf,
		"group_user_edit group_user_edit":       (*call).groupEdit,
		"share_create add_share":                (*call).shareCreate,
		"sysinfo":                               (*call).sysInfo,
		"notification":                          (*call).whereAreYou,
		"power_mgmt":                            (*call).power,
		"backup_setting":                        (*call).backup,
		"firm_update":                           (*call).firmware,
	}
}

func (c *call) accounts() []nas.Account { return c.w.box.Settings().Accounts }

// uid is 0 for the built-in administrator (§3.4).
func (c *call) uid(a nas.Account) int {
	if a.BuiltIn {
		return 0
	}
	return 1000 + slices.IndexFunc(c.accounts(), func(x nas.Account) bool { return x.Name == a.Name })
}

func (c *call) users() {
	if c.str("apply") == "1" && c.str("fork_del") == "1" {
		c.userDelete()
		return
	}
	var data []el
	for _, a := range c.accounts() {
		data = append(data, in("user",
			t("username", a.Name), n("userid", c.uid(a)), t("QuotaSize", "--"), t("fullname", ""), t("email", ""), t("description", ""),
			flag("user_enable", a.Enabled), flag("user_account_expiry", c.w.box.Memory().Expires[a.Name] != ""),
		))
	}
	c.done(append(c.w.about(true), in("userroot", n("done", 1), n("timeout", 0), n("count", len(data)), in("data", data...), n("ret", 0)))...)
}

func (c *call) userDelete() {
	names := strings.Split(c.str("user_list"), ",")
	c.edit(func(s *memory.State) {
		s.Settings.Accounts = slices.DeleteFunc(s.Settings.Accounts, func(a nas.Account) bool { return !a.BuiltIn && slices.Contains(names, a.Name) })
	})
	c.done()
}

// edit changes the settings. QTS does not say whether it did: read back.
func (c *call) edit(change func(*memory.State)) {
	_ = c.w.box.Store().Edit("face.qts", func(s *memory.State) error {
		change(s)
		return nil
	})
}

func (c *call) find(name string) (nas.Account, bool) { return c.w.box.Settings().Account(name) }

// userGet tells of one account; chk_disable is the inverse of user_enable.
func (c *call) userGet() {
	a, ok := c.find(c.str("userName"))
	if !ok {
		c.done(in("userInfo"))
		return
	}
	c.done(in("userInfo",
		t("username", a.Name), n("userid", c.uid(a)), flag("chk_disable", !a.Enabled), n("a_expire", 0), t("year", ""), t("month", ""), t("day", ""),
		t("description", ""), t("email", ""), t("tel_country_code", ""), t("tel", ""),
	))
}

// userEdit writes a whole account: a_enable alone does nothing.
func (c *call) userEdit() {
	if c.has("username", "a_enable", "a_expire", "a_uid", "year", "month", "day", "a_description", "a_email", "type") {
		name, on := c.str("username"), c.str("a_enable") == "1"
		c.edit(func(s *memory.State) {
			if i := slices.IndexFunc(s.Settings.Accounts, func(a nas.Account) bool { return a.Name == name }); i >= 0 {
				s.Settings.Accounts[i].Enabled = on
			}
		})
		if !on {
			c.w.box.EndSessions(func(_ string, s face.Session) bool { return s.User == name })
		}
	}
	c.done()
}

// maxPassword is the longest in bytes.
const maxPassword = 64

// setPassword: authPassed says only that the session stands; both results must
// be 0. A default password cannot become the new one.
func (c *call) setPassword() {
	name, secret := c.str("username"), password(c.str("password"))
	check, change := 0, 0
	_, known := c.find(name)
	box := c.w.box
	unset := DefaultPassword(box.Firmware(), box.Identity().MACs[0], box.CloudKey())
	switch size := len(secret.Reveal()); {
	case size < 1 || size > maxPassword || secret.Reveal() == unset.Reveal():
		check, change = 1, 1
	case !known || box.SetPassword(name, secret, c.sid) != nil:
		change = 1
	}
	c.done(in("func", in("userPasswordEdit", n("passwordCheck", check), n("passwordChange", change))))
}

func (c *call) userCreate() {
	name, secret := c.str("a_username"), password(c.str("a_passwd"))
	if _, there := c.find(name); name != "" && !there && !secret.Empty() {
		if hash, err := memory.Hash(randomness(), secret); err == nil {
			c.edit(func(s *memory.State) {
				s.Settings.Accounts = append(s.Settings.Accounts, nas.Account{Name: name, Enabled: true})
				s.Hashes[name] = hash
			})
		}
	}
	c.done()
}

func (c *call) groupsOf() {
	own := "everyone"
	if a, _ := c.find(c.str("userName")); a.Administrator {
		own = "administrators, everyone"
	}
	c.done(in("func", in("ownContent", t("ownGroup", own))))
}

func (c *call) groupEdit() {
	group := c.str("groupname")
	if group == "administrators" && c.has("select_user") {
		chosen := strings.Split(c.str("select_user"), ",")
		dropped := strings.Split(c.str("unselect_user"), ",")
		c.edit(func(s *memory.State) {
			for i := range s.Settings.Accounts {
				a := &s.Settings.Accounts[i]
				a.Administrator = a.BuiltIn || a.Administrator && !slices.Contains(dropped, a.Name) || slices.Contains(chosen, a.Name)
			}
		})
	}
	var own []string
	for _, a := range c.accounts() {
		if group != "administrators" || a.Administrator {
			own = append(own, a.Name)
		}
	}
	c.done(in("func", in("ownContent", t("ownUser", strings.Join(own, ", ")))))
}

func (c *call) shares() {
	c.w.box.Made("qts_share_list")
	var data []el
	for _, s := range c.w.box.Memory().Shares {
		data = append(data, in("share", t("sharename", s), n("used_vol_no", 1)))
	}
	c.done(in("shareroot", n("count", len(data)), in("data", data...), n("ret", 0)))
}

// shareCreate with an old name has the old files back (§4.1).
func (c *call) shareCreate() {
	name := c.str("share_name")
	if name != "" && !strings.ContainsAny(name, "/\\") {
		_ = c.w.box.Remember(func(m *face.Memory) {
			if !slices.Contains(m.Shares, name) {
				m.Shares = append(m.Shares, name)
			}
		})
	}
	c.done()
}

func (c *call) sysInfo() {
	box := c.w.box
	id := box.Identity()
	_, up := box.Phase()
	root := []el{
		t("serial_number", id.Serial), t("server_name", id.Name), t("uptime_day", "0"), n("uptime_hour", int(up/time.Hour)), n("uptime_min", int(up/time.Minute)%60),
		t("cpu_usage", "1.0 %"), n("sys_tempc", 40), t("nic_cnt", "2"),
	}
	for i, one := range box.Settings().Interfaces {
		at, usage, number := "", "STATIC", string(rune('1'+i))
		if one.Method == nas.DHCP {
			usage = "DHCP"
		} else if len(one.Addresses) > 0 {
			at = one.Addresses[0].Addr().String()
		}
		if i == 0 && one.Method == nas.DHCP {
			at = c.w.thinks().String()
		}
		root = append(root, t("ifname"+number, one.Name), t("eth_ip"+number, at), t("eth_mask"+number, mask(one)), t("eth_usage"+number, usage))
		if i < len(id.MACs) {
			root = append(root, t("eth_mac"+number, strings.ToUpper(id.MACs[i])))
		}
		if i == 0 {
			for j, d := range one.DNS[:min(len(one.DNS), 2)] {
				root = append(root, t([]string{"dns1", "dns2"}[j], d))
			}
		}
	}
	c.done(append(c.w.about(true), in("func", t("name", "sysinfo"), in("ownContent", in("root", root...))))...)
}

func mask(one nas.Interface) string {
	bits := 24
	if len(one.Addresses) > 0 {
		bits = one.Addresses[0].Bits()
	}
	p, err := netip.AddrFrom4([4]byte{255, 255, 255, 255}).Prefix(bits)
	if err != nil {
		return ""
	}
	return p.Addr().String()
}

// whereAreYou beeps, so that a person hears which box it is (§3.5).
func (c *call) whereAreYou() {
	if c.str("apply") == "where_are_you" {
		_ = c.w.box.Beep(3)
	}
	c.done()
}

func (c *call) power() {
	if c.str("apply") == "restart" {
		_ = c.w.box.Reboot()
	}
	c.done()
}

// backup is the settings in a file; what is in it is nobody's to read.
func (c *call) backup() {
	c.rw.Header().Set("Content-Type", "application/octet-stream")
	c.rw.Header().Set("Content-Disposition", `attachment; filename="settings.bin"`)
	_, _ = c.rw.Write(append([]byte("QNAP\x00lab\x00"), c.w.box.Identity().Serial...))
}

func (c *call) firmware() {
	f := c.w.box.Firmware()
	c.done(in("func", in("ownContent", t("newVersion", "none"), t("version", f.Version))))
}
