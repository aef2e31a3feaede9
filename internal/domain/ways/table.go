package ways

import (
	"slices"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/triage"
)

// Groups of causes that the same ways help against.
func lost() []triage.CauseID { // the password, or the account, does not open it any more
	return []triage.CauseID{
		triage.PasswordForgotten, triage.SavedElsewhere, triage.WrongName, triage.CloudConfused, triage.Disabled, triage.UpdateDisabled,
		triage.ExpiredForGood, triage.PrivilegeRemoved, triage.NoAdministrator, triage.SecondFactorLost, triage.BlankKeepPassword, triage.Unexplained,
		triage.PressWithoutEffect, triage.DefaultPasswordWrong,
	}
}

func with(more ...triage.CauseID) []triage.CauseID { return append(lost(), more...) }

// nobodyElse rules out another administrator where there is none.
func nobodyElse(s Situation) string {
	if s.Known.OtherAdmins != nil && *s.Known.OtherAdmins == 0 {
		return "there is no other administrator who can get in"
	}
	return ""
}

// rows are all ways, the one that changes least first.
func rows() []row {
	const everything = "everything"
	ids := func(list ...catalog.ID) []catalog.ID { return list }
	nothing := []string(nil)
	all := []string{everything}
	onlyPassword := []string{"one password"}
	rest := []string{"every file, every other account, the network, all settings"}
	return []row{
		{
			Way:    Way{ID: SavedPassword, Text: "Look for the password in browsers and password managers, on every computer and phone that was ever signed in", Changes: nothing, Keeps: all, Takes: "2 to 5 minutes", By: ByPerson},
			causes: []triage.CauseID{triage.PasswordForgotten, triage.SavedElsewhere, triage.Unexplained, triage.PressWithoutEffect, triage.UpdateDisabled},
		},
		{
			Way:    Way{ID: OwnName, Text: "Sign in with another name: your own, as it was set up on the NAS itself", Changes: nothing, Keeps: all, Takes: "1 minute", By: Guided, Facts: ids("synology.quickconnect", "qnap.signin.same")},
			causes: []triage.CauseID{triage.WrongName, triage.CloudConfused, triage.NoAdministrator, triage.BlankWrongName},
		},
		{
			Way:    Way{ID: AnotherAddress, Text: "Sign in from another computer or phone on the same network: only this one's address is blocked", Changes: nothing, Keeps: all, Takes: "2 minutes", Needs: []string{"another device on the same network"}, By: ByPerson, Facts: ids("synology.autoblock.ends", "qnap.block")},
			causes: []triage.CauseID{triage.AddressBlocked, triage.OldPasswordApp},
		},
		{
			Way:    Way{ID: RightPort, Text: "Open it at the port that it announces, with https in front", Changes: nothing, Keeps: all, Takes: "1 minute", By: Guided},
			causes: []triage.CauseID{triage.RedirectBroken, triage.PortMoved, triage.NotReachable, triage.LostAfterReset, triage.ResetDone},
		},
		{
			Way:    Way{ID: Wait, Text: "Wait, and try once", Changes: nothing, Keeps: all, Takes: "10 minutes for a start; 30 minutes for a locked account; a block as long as its owner set it", By: Guided, Facts: ids("synology.autoblock.ends", "synology.autoblock.default", "qnap.block")},
			causes: []triage.CauseID{triage.AddressBlocked, triage.AccountLocked, triage.OldPasswordApp, triage.NotReady, triage.SwitchedOff},
		},
		{
			Way:    Way{ID: BrowserChange, Text: "Sign in in the browser: it leads through what it asks for", Changes: onlyPassword, Keeps: rest, Takes: "2 minutes", By: Guided},
			causes: []triage.CauseID{triage.PasswordExpired, triage.SecondFactorUnset, triage.PortalAccount, triage.CodeMissing, triage.CodeRefused},
		},
		{
			Way: Way{
				ID: DefaultSignIn, Text: "Sign in with what this firmware has after a reset, and set a new password", Changes: onlyPassword, Keeps: rest, Takes: "2 minutes", By: Guided,
				Facts: ids("synology.mode1.password", "synology.mode1.password.page", "qnap.default.cloudkey", "qnap.default.mac", "qnap.default.admin"),
			},
			causes: []triage.CauseID{triage.ResetDone, triage.LostAfterReset, triage.BlankWrongName, triage.DefaultPasswordWrong},
		},
		{
			Way:    Way{ID: Approval, Text: "Approve the sign-in in the Secure SignIn app, and set a new password inside", Changes: onlyPassword, Keeps: rest, Takes: "2 minutes", Needs: []string{"Secure SignIn, set up before"}, By: Guided, Facts: ids("synology.approval")},
			vendor: triage.Synology, causes: []triage.CauseID{triage.PasswordForgotten, triage.SavedElsewhere, triage.SecondFactorLost, triage.Unexplained},
		},
		{
			Way:    Way{ID: EmergencyCode, Text: "Have an emergency code sent by mail at the sign-in page", Changes: nothing, Keeps: all, Takes: "2 to 30 minutes", Needs: []string{"the password", "mail set up before"}, By: Guided, Facts: ids("synology.emergency_code", "qnap.twostep")},
			causes: []triage.CauseID{triage.SecondFactorLost, triage.CodeRefused},
		},
		{
			Way: Way{
				ID: OtherAdministrator, Text: "Another administrator sets a new password, enables the account or unblocks the address", Changes: []string{"one password, or one switch"}, Keeps: rest, Takes: "2 to 5 minutes",
				Needs: []string{"another administrator's name and password"}, By: Automatic, Facts: ids("synology.signin.codes"),
			},
			vendor: triage.Synology, causes: with(triage.AddressBlocked, triage.AccountLocked, triage.OldPasswordApp), useless: nobodyElse,
		},
		{
			Way: Way{
				ID: OtherAdministrator, Text: "Another administrator sets a new password or enables the account, under Control Panel, Privilege, Users", Changes: []string{"one password, or one switch"}, Keeps: rest, Takes: "2 to 5 minutes",
				Needs: []string{"another administrator's name and password"}, By: Guided, Facts: ids("qnap.other_admin", "qnap.write.checked"),
			},
			vendor: triage.QNAP, causes: with(triage.AddressBlocked, triage.AccountLocked, triage.OldPasswordApp), useless: nobodyElse,
		},
		{
			Way:    Way{ID: ForgotMail, Text: "The \"Forgot password\" mail of the sign-in page", Changes: onlyPassword, Keeps: rest, Takes: "2 to 30 minutes", Needs: []string{"mail and this switch, set up before"}, By: Guided, Facts: ids("synology.forgot_mail", "qnap.forgot_mail", "qnap.wrong.mail")},
			causes: []triage.CauseID{triage.PasswordForgotten, triage.SavedElsewhere, triage.WrongName, triage.CloudConfused, triage.ExpiredForGood, triage.Unexplained, triage.BlankKeepPassword},
			useless: func(s Situation) string {
				if s.Known.MailReset != nil && !*s.Known.MailReset {
					return "the mail was not set up on this NAS"
				}
				return ""
			},
		},
		{
			Way: Way{
				ID: SSH, Text: "Over SSH with an account that may use sudo", Changes: onlyPassword, Keeps: rest, Takes: "5 to 10 minutes", Needs: []string{"SSH turned on before", "an account with sudo and its password"}, By: ByPerson,
				Steps: []string{
					"ssh YOURNAME@ADDRESS", "sudo synouser --setpw USER 'A NEW PASSWORD'", "second factor lost: sudo rm /usr/syno/etc/preference/USER/google_authenticator", "firewall in the way: sudo synofirewall --disable",
				},
				Warning: "The new password stands in the command: other processes can see it while it runs, and the shell writes it into its history. Change it again in the browser at once.",
				Facts:   ids("synology.ssh.password", "synology.ssh.otp", "synology.ssh.firewall"),
			},
			vendor: triage.Synology, causes: with(triage.AddressBlocked, triage.PortMoved),
		},
		{
			Way: Way{
				ID: SSH, Text: "Over SSH with an account that may use sudo", Changes: onlyPassword, Keeps: rest, Takes: "5 to 10 minutes", Needs: []string{"SSH turned on before", "admin's or a sudo account's password"}, By: ByPerson,
				Steps:   []string{"ssh YOURNAME@ADDRESS", "sudo passwd USER"},
				Warning: "The menu that greets you has no item for this: leave it with Q, then Y.",
				Facts:   ids("qnap.console"),
			},
			vendor: triage.QNAP, causes: with(triage.AddressBlocked, triage.PortMoved),
		},
		{
			Way:    Way{ID: CheckDrives, Text: "Switch it off, seat each drive anew, start it, and install nothing", Changes: nothing, Keeps: all, Takes: "15 minutes", By: Guided, Facts: ids("synology.mode2.not_installed")},
			causes: []triage.CauseID{triage.DrivesMissing},
		},
		{
			Way: Way{
				ID: Reset1, Text: "Hold RESET about 4 seconds, let go at the beep (Mode 1)",
				Changes: []string{"the administrator's password", "every network interface to DHCP, ports to 5000 and 5001", "firewall and auto block off", "clusters removed", "the built-in admin enabled"},
				Keeps:   []string{"every file, volume and RAID", "other users, their passwords, shared folders and permissions"},
				Lost:    []string{"static address, gateway and DNS (put back afterwards)", "keys of encrypted folders that were kept with the machine key"},
				Takes:   "2 to 15 minutes", Needs: []string{"somebody at the NAS with a paper clip", "status Ready"}, By: Guided,
				Facts: ids("synology.button.mode1", "synology.mode1.password", "synology.mode1.password.page", "synology.mode1.admin", "synology.mode1.users", "synology.mode1.data", "synology.mode1.network", "synology.mode1.ports",
					"synology.mode1.autoblock", "synology.mode1.firewall", "synology.mode1.clusters", "synology.mode1.encrypted", "synology.mode1.otp_admin", "synology.mode1.otp_other", "synology.keep_password"),
			},
			vendor: triage.Synology, causes: with(triage.NetworkFailed, triage.PortMoved, triage.NotReachable, triage.RedirectBroken),
			useless: func(s Situation) string {
				switch {
				case s.Model.Expansion:
					return "an expansion unit has no system of its own: use the NAS that it is cabled to"
				case s.Cause == triage.BlankKeepPassword, s.Known.KeepPassword != nil && *s.Known.KeepPassword && !slices.Contains([]triage.CauseID{triage.NetworkFailed, triage.PortMoved, triage.NotReachable, triage.RedirectBroken}, s.Cause):
					return "the owner chose that it keeps the password: it would reset the network only"
				}
				return ""
			},
		},
		{
			Way: Way{
				ID: Reset1, Text: "Hold RESET 3 seconds, let go at the first beep",
				Changes: []string{"admin's password, and admin enabled", "network to DHCP, port to 8080", "security level to Low: allow and deny lists no longer apply"},
				Keeps:   []string{"every file", "users, groups and shared folders"},
				Lost:    []string{"static address, gateway and DNS (put back afterwards)"},
				Takes:   "not documented; a few minutes", Needs: []string{"somebody at the NAS with a paper clip", "the NAS up and running", "the Cloud Key or MAC address from its label"}, By: Guided,
				Warning: "Let go at the first beep. Held 10 seconds, to the second beep, it deletes users, groups and shared folders too. Advice to hold 10 or 30 seconds is wrong.",
				Facts: ids("qnap.button.basic", "qnap.button.advanced", "qnap.basic.password", "qnap.basic.admin", "qnap.basic.admin.older", "qnap.basic.network", "qnap.basic.port", "qnap.basic.security", "qnap.basic.users",
					"qnap.basic.otp", "qnap.basic.otp_other", "qnap.basic.encrypted", "qnap.default.cloudkey", "qnap.default.mac", "qnap.default.admin", "qnap.wrong.ten_seconds"),
			},
			vendor: triage.QNAP, causes: with(triage.NetworkFailed, triage.PortMoved, triage.NotReachable, triage.RedirectBroken),
		},
		{
			Way: Way{
				ID: Reinstall, Text: "Install DSM anew by its wizard, and put a settings backup back", Changes: []string{"every system setting"}, Keeps: []string{"every file on the volumes"}, Lost: []string{"users, shares' settings and packages' configuration, where there is no .dss backup"},
				Takes: "15 to 30 minutes", Needs: []string{"internet, or a .pat file for this model"}, By: Guided, Facts: ids("synology.status.lost", "synology.mode2.reinstall", "synology.mode2.dss"),
			},
			vendor: triage.Synology, causes: []triage.CauseID{triage.ConfigurationLost, triage.DrivesMoved, triage.NotSetUp},
		},
		{
			Way:    Way{ID: Reinstall, Text: "Open its address and follow the wizard; choose nothing that erases", Changes: []string{"every system setting"}, Keeps: []string{"every file on the volumes"}, Lost: []string{"users, groups, definitions of shared folders"}, Takes: "not documented", By: Guided, Facts: ids("qnap.advanced.shares", "qnap.advanced.files", "qnap.factory_default")},
			vendor: triage.QNAP, causes: []triage.CauseID{triage.ConfigurationLost, triage.DrivesMoved, triage.NotSetUp},
		},
		{
			Way: Way{
				ID: Reset2, Text: "Hold RESET about 4 seconds to the beep, and within 10 seconds again to three beeps (Mode 2), then install DSM anew",
				Changes: []string{"all that Mode 1 does", "every system setting"}, Keeps: []string{"every file, volume and RAID"},
				Lost:  []string{"users, shares' settings, packages' configuration, where there is no .dss backup"},
				Takes: "2 minutes to blink, 15 to 30 for the wizard", Needs: []string{"somebody at the NAS with a paper clip", "internet, or a .pat file for this model"}, By: Guided,
				Warning: "For a forgotten password Mode 1 is enough. This is for a NAS that keeps the password through Mode 1.",
				Facts:   ids("synology.button.mode2", "synology.mode2.effects", "synology.mode2.names", "synology.status.lost", "synology.mode2.reinstall", "synology.mode2.dss", "synology.keep_password.mode2"),
			},
			vendor: triage.Synology, causes: lost(),
		},
		{
			Way: Way{
				ID: Reset2, Text: "Hold RESET 10 seconds, to the second beep", Changes: []string{"all that 3 seconds do", "users and groups deleted", "definitions of shared folders deleted"}, Keeps: []string{"every file on the disks"},
				Lost:  []string{"users, groups, shared folders' definitions and rights: make each shared folder anew with exactly the same name, and its files are back"},
				Takes: "not documented", Needs: []string{"somebody at the NAS", "the names of the shared folders"}, By: ByPerson,
				Warning: "3 seconds are the one you want. This one is listed so that nobody takes it by mistake.",
				Facts:   ids("qnap.button.advanced", "qnap.advanced.users", "qnap.advanced.shares", "qnap.advanced.files", "qnap.wrong.ten_seconds"),
			},
			vendor: triage.QNAP, causes: lost(),
			useless: func(Situation) string { return "3 seconds do the same for a password, and delete nothing" },
		},
	}
}
