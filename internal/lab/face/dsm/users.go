package dsm

import (
	"slices"
	"strings"
	"time"

	"github.com/paperclip-nas/paperclip/internal/device/setting/memory"
	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/lab/face"
)

// Error codes of users and groups (vendors/synology.md §3.4, §4.2).
const (
	errBadDate   = 3103
	errNoUser    = 3106
	errUserThere = 3105 // no source: the lab's own number beside its neighbours
	errNoGroup   = 3201
	errPolicy    = 402
)

const minPassword = 8

// dsmUser is one as DSM lists it.
func (w *web) dsmUser(a nas.Account, more []string) map[string]any {
	m := w.box.Memory()
	expired := "normal"
	switch {
	case !a.Enabled:
		expired = "now"
	case m.Expires[a.Name] != "":
		expired = m.Expires[a.Name]
	}
	out := map[string]any{"name": a.Name}
	groups := []string{"users"}
	if a.Administrator {
		groups = []string{"administrators", "users"}
	}
	described := map[bool]string{true: "System default user"}[a.BuiltIn]
	for k, v := range map[string]any{
		"description": described, "email": "", "expired": expired, "cannot_chg_passwd": false, "passwd_never_expire": true,
		"groups": groups, "2fa_status": a.SecondFactor, "uid": 1024 + slices.IndexFunc(w.box.Settings().Accounts, func(x nas.Account) bool { return x.Name == a.Name }),
		"password_last_change": int(w.box.Clock().Now().Unix() / int64(24*time.Hour/time.Second)),
	} {
		if slices.Contains(more, k) {
			out[k] = v
		}
	}
	return out
}

func (w *web) users(c *call) (any, failure) {
	all := w.box.Settings().Accounts
	if g := w.box.Settings().Guest; g != nil {
		all = append(all, nas.Account{Name: "guest", Enabled: g.Enabled})
	}
	slices.SortFunc(all, func(a, b nas.Account) int { return strings.Compare(a.Name, b.Name) })
	total, offset := len(all), 0
	if n, ok := c.number("offset"); ok {
		offset = min(max(n, 0), total)
	}
	all = all[offset:]
	if n, ok := c.number("limit"); ok && n >= 0 {
		all = all[:min(n, len(all))]
	}
	users := []any{}
	for _, a := range all {
		users = append(users, w.dsmUser(a, c.list("additional")))
	}
	return map[string]any{"offset": offset, "total": total, "users": users}, 0
}

func (w *web) userGet(c *call) (any, failure) {
	users := []any{}
	for _, name := range c.list("name") {
		a, ok := w.box.Settings().Account(name)
		if !ok {
			return nil, errNoUser
		}
		users = append(users, w.dsmUser(a, c.list("additional")))
	}
	return map[string]any{"users": users}, 0
}

// userSet changes one. A parameter "disabled" is passed over without a word, and
// the built-in administrator is switched off by itself alone (§3.4, §4.2).
func (w *web) userSet(c *call) (any, failure) {
	name := c.str("name")
	if _, ok := w.box.Settings().Account(name); !ok {
		return nil, errNoUser
	}
	expired := c.str("expired")
	if expired != "" && name == builtIn && c.session.User != builtIn {
		return nil, errPermission
	}
	if c.has("password") {
		password := access.NewSecret(c.str("password"))
		if len(password.Reveal()) < minPassword {
			return nil, errPolicy
		}
		if w.box.SetPassword(name, password, c.sid) != nil {
			return nil, errUnknown
		}
	}
	if expired != "" {
		if code := w.expire(name, expired); code != 0 {
			return nil, code
		}
	}
	return map[string]any{"name": name, "uid": 1026}, 0
}

func (w *web) expire(name, when string) failure {
	if when != "normal" && when != "now" {
		if _, err := time.Parse("2006/1/2", when); err != nil {
			return errBadDate
		}
	}
	err := w.box.EditSettings(func(s *nas.Settings) {
		i := slices.IndexFunc(s.Accounts, func(a nas.Account) bool { return a.Name == name })
		s.Accounts[i].Enabled = when != "now"
	})
	if err == nil {
		err = w.box.Remember(func(m *face.Memory) {
			if delete(m.Expires, name); when != "normal" && when != "now" {
				m.Expires[name] = when
			}
		})
	}
	if err != nil {
		return errUnknown
	}
	if when == "now" {
		w.box.EndSessions(func(_ string, s face.Session) bool { return s.User == name })
	}
	return 0
}

func (w *web) userCreate(c *call) (any, failure) {
	name, password := c.str("name"), access.NewSecret(c.str("password"))
	if name == "" || strings.ContainsAny(name, "/:\\ \x00") {
		return nil, errBadParam
	}
	if _, there := w.box.Settings().Account(name); there {
		return nil, errUserThere
	}
	if len(password.Reveal()) < minPassword {
		return nil, errPolicy
	}
	hash, err := memory.Hash(randomness(), password)
	if err == nil {
		err = w.box.Store().Edit("face.user_create", func(s *memory.State) error {
			s.Settings.Accounts = append(s.Settings.Accounts, nas.Account{Name: name, Enabled: c.str("expired") != "now"})
			s.Hashes[name] = hash
			return nil
		})
	}
	if err != nil {
		return nil, errUnknown
	}
	return map[string]any{"name": name, "uid": 1030}, 0
}

func (w *web) userDelete(c *call) (any, failure) {
	names := c.list("name")
	for _, n := range names {
		if a, ok := w.box.Settings().Account(n); !ok || a.BuiltIn {
			return nil, errNoUser
		}
	}
	err := w.box.EditSettings(func(s *nas.Settings) {
		s.Accounts = slices.DeleteFunc(s.Accounts, func(a nas.Account) bool { return slices.Contains(names, a.Name) })
	})
	if err != nil {
		return nil, errUnknown
	}
	return map[string]any{}, 0
}

func (w *web) groups(*call) (any, failure) {
	return map[string]any{"offset": 0, "total": 2, "groups": []any{
		map[string]any{"name": "administrators", "description": "System default admin group", "gid": 101},
		map[string]any{"name": "users", "description": "System default group", "gid": 100},
	}}, 0
}

func (w *web) members(c *call) (any, failure) {
	group := c.str("group")
	if group != "administrators" && group != "users" {
		return nil, errNoGroup
	}
	want := true
	if in, ok := c.truth("ingroup"); ok {
		want = in
	}
	users := []any{}
	for _, a := range w.box.Settings().Accounts {
		if (group == "users" || a.Administrator) == want {
			users = append(users, map[string]any{"name": a.Name, "description": ""})
		}
	}
	return map[string]any{"offset": 0, "total": len(users), "users": users}, 0
}

func (w *web) memberAdd(c *call) (any, failure)    { return w.member(c, true) }
func (w *web) memberRemove(c *call) (any, failure) { return w.member(c, false) }

func (w *web) member(c *call, in bool) (any, failure) {
	if c.str("group") != "administrators" {
		return nil, errNoGroup
	}
	names := c.list("name")
	err := w.box.EditSettings(func(s *nas.Settings) {
		for i := range s.Accounts {
			if a := &s.Accounts[i]; slices.Contains(names, a.Name) && !a.BuiltIn {
				a.Administrator = in
			}
		}
	})
	if err != nil {
		return nil, errUnknown
	}
	return map[string]any{}, 0
}

// validAdmins are the administrators that can sign in.
func (w *web) validAdmins(*call) (any, failure) {
	users := []any{}
	for _, a := range w.box.Settings().Administrators() {
		if a.Enabled && w.box.Memory().Expires[a.Name] == "" {
			users = append(users, map[string]any{"name": a.Name})
		}
	}
	return map[string]any{"users": users}, 0
}

func (w *web) passwordPolicy(*call) (any, failure) {
	return map[string]any{
		"enable_reset_passwd_by_email": w.box.Memory().ForgotMail,
		"strong_password":              map[string]any{"min_length": minPassword, "min_length_enable": true},
	}, 0
}

func (w *web) otp(c *call) (any, failure) {
	a, _ := w.box.Settings().Account(c.session.User)
	return map[string]any{"enable": a.SecondFactor, "enabled": a.SecondFactor}, 0
}

func (w *web) enforceGet(*call) (any, failure) {
	return map[string]any{"otp_enforce_option": map[bool]string{true: "admin", false: "none"}[w.box.Memory().EnforceOTP]}, 0
}

func (w *web) enforceSet(c *call) (any, failure) {
	option := c.str("otp_enforce_option")
	if w.box.Remember(func(m *face.Memory) { m.EnforceOTP = option != "" && option != "none" }) != nil {
		return nil, errUnknown
	}
	return map[string]any{}, 0
}
