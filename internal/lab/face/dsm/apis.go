package dsm

import (
	"github.com/paperclip-nas/paperclip/internal/lab/face"
)

// apis are those that this DSM has (vendors/synology.md §4.1, §4.2). In 6.2 a
// sign-in has a path of its own and ends at version 6.
func (w *web) apis() map[string]api {
	auth := api{min: 1, max: 7, plain: true, methods: map[string]method{"login": w.login, "logout": w.logout}}
	if old(w.box.Firmware()) {
		auth.max, auth.path = 6, "auth.cgi"
	}
	one := func(l level, m map[string]method) api { return api{min: 1, max: 1, level: l, methods: m} }
	return map[string]api{
		"SYNO.API.Info":      {min: 1, max: 1, path: "query.cgi", plain: true, methods: map[string]method{"query": w.info}},
		"SYNO.API.Auth":      auth,
		"SYNO.Entry.Request": {min: 1, max: 2, level: user, methods: map[string]method{"request": w.compound}},

		"SYNO.Core.User":                  one(administrator, map[string]method{"list": w.users, "get": w.userGet, "set": w.userSet, "create": w.userCreate, "delete": w.userDelete}),
		"SYNO.Core.Group":                 one(administrator, map[string]method{"list": w.groups}),
		"SYNO.Core.Group.Member":          one(administrator, map[string]method{"list": w.members, "add": w.memberAdd, "remove": w.memberRemove}),
		"SYNO.Core.Group.ValidLocalAdmin": one(administrator, map[string]method{"list": w.validAdmins}),
		"SYNO.Core.User.PasswordPolicy":   one(administrator, map[string]method{"get": w.passwordPolicy}),
		"SYNO.Core.OTP":                   {min: 1, max: 2, level: user, methods: map[string]method{"get": w.otp}},
		"SYNO.Core.OTP.EnforcePolicy":     one(administrator, map[string]method{"get": w.enforceGet, "set": w.enforceSet}),
		"SYNO.Core.Network":               {min: 1, max: 2, level: administrator, methods: map[string]method{"get": w.network}},
		"SYNO.Core.Network.Ethernet":      {min: 1, max: 2, level: administrator, methods: map[string]method{"list": w.ethernet, "set": refuse(4302)}},
		"SYNO.Core.Security.AutoBlock":    one(administrator, map[string]method{"get": w.blockGet, "set": w.blockSet}),
		"SYNO.Core.Security.AutoBlock.Rules": one(administrator, map[string]method{
			"list": w.blockList, "create": w.blockCreate, "delete": w.blockDelete,
		}),
		"SYNO.Core.SmartBlock":        one(administrator, map[string]method{"get": w.smartBlock}),
		"SYNO.Core.SmartBlock.User":   one(administrator, map[string]method{"locked": w.lockedAccounts, "pardon": w.pardon}),
		"SYNO.Backup.Config.Backup":   {min: 1, max: 2, level: administrator, methods: map[string]method{"list": w.backups, "start": w.backupStart, "status": w.backups}},
		"SYNO.Core.Security.Firewall": one(administrator, map[string]method{"get": w.firewallGet, "set": w.firewallSet}),
		"SYNO.Core.Security.DSM":      {min: 1, max: 5, level: administrator, methods: map[string]method{"get": w.securityGet}},
		"SYNO.Core.Web.DSM":           {min: 1, max: 2, level: administrator, methods: map[string]method{"get": w.webGet, "set": w.webSet}},
		"SYNO.Core.System":            {min: 1, max: 3, level: administrator, methods: map[string]method{"info": w.systemInfo, "reboot": w.reboot}},
		"SYNO.DSM.Info":               {min: 1, max: 2, level: user, methods: map[string]method{"getinfo": w.dsmInfo}},
		"SYNO.Core.System.ResetButton": one(administrator, map[string]method{
			"get": w.resetButtonGet, "set": w.resetButtonSet,
		}),
		"SYNO.Core.CurrentConnection": one(administrator, map[string]method{"list": w.connections, "kick_connection": w.kick}),
		"SYNO.Core.TrustDevice":       one(user, map[string]method{"get": w.trusted, "delete_others": w.distrust}),
		"SYNO.Core.QuickStart.Info":   {min: 1, max: 2, level: administrator, methods: map[string]method{"hide_welcome": nothing}},
		"SYNO.DSM.FindMe":             {min: 1, max: 2, level: administrator, methods: map[string]method{"supported": w.findSupported, "start": w.findStart, "stop": w.findStop}},
		"SYNO.Auth.ForgotPwd":         one(anyone, map[string]method{"get": w.forgot, "send": w.forgotSend}),
		"SYNO.Core.ResetAdmin":        one(administrator, map[string]method{"get": refuse(errPermission), "disable": refuse(errPermission)}),
	}
}

// old reports whether it is a DSM 6.
func old(f face.Firmware) bool { return len(f.Version) > 0 && f.Version[0] == '6' }

// refuse is a method that answers a code, whatever it is asked.
func refuse(code failure) method { return func(*call) (any, failure) { return nil, code } }

func nothing(*call) (any, failure) { return map[string]any{}, 0 }
