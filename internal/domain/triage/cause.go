package triage

import (
	"slices"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
)

// CauseID names a cause. It never changes once released.
type CauseID string

// The causes.
const (
	NoneSignedIn         CauseID = "none"
	PasswordForgotten    CauseID = "password_lost"
	SavedElsewhere       CauseID = "saved_elsewhere"
	WrongName            CauseID = "wrong_name"
	CloudConfused        CauseID = "cloud_account"
	CodeMissing          CauseID = "second_factor_needed"
	CodeRefused          CauseID = "second_factor_refused"
	SecondFactorLost     CauseID = "second_factor_lost"
	SecondFactorUnset    CauseID = "second_factor_not_set_up"
	AddressBlocked       CauseID = "address_blocked"
	AccountLocked        CauseID = "account_locked"
	OldPasswordApp       CauseID = "app_with_old_password"
	Disabled             CauseID = "account_disabled"
	UpdateDisabled       CauseID = "disabled_by_update"
	PasswordExpired      CauseID = "password_expired"
	ExpiredForGood       CauseID = "password_expired_fixed"
	PortalAccount        CauseID = "portal_only"
	PrivilegeRemoved     CauseID = "privilege_removed"
	NoAdministrator      CauseID = "not_administrator"
	RedirectBroken       CauseID = "redirect_broken"
	PortMoved            CauseID = "port_moved"
	NotReachable         CauseID = "not_reachable"
	SwitchedOff          CauseID = "switched_off"
	NotReady             CauseID = "not_ready"
	NotSetUp             CauseID = "not_set_up"
	ConfigurationLost    CauseID = "configuration_lost"
	DrivesMissing        CauseID = "drives_missing"
	DrivesMoved          CauseID = "drives_moved"
	NetworkFailed        CauseID = "network_settings"
	BlankWrongName       CauseID = "default_wrong_name"
	BlankKeepPassword    CauseID = "blank_refused_keep_password"
	DefaultPasswordWrong CauseID = "default_password_wrong"
	PressWithoutEffect   CauseID = "press_without_effect"
	LostAfterReset       CauseID = "lost_after_reset"
	ResetDone            CauseID = "reset_done"
	Unexplained          CauseID = "unexplained"
)

// Cause is why somebody is locked out, and what to do first.
type Cause struct {
	ID       CauseID
	Text     string // what is the matter
	WhatToDo string // the first thing; the ways in come after it
	// Reset says whether a reset can help at all.
	Reset bool
	// Facts are the catalogue's entries that this rests on.
	Facts []catalog.ID
}

// CauseNamed looks a cause up.
func CauseNamed(id CauseID) (Cause, bool) {
	all := Causes()
	i := slices.IndexFunc(all, func(c Cause) bool { return c.ID == id })
	if i < 0 {
		return Cause{}, false
	}
	return all[i], true
}

// Causes lists every cause.
func Causes() []Cause {
	f := func(ids ...catalog.ID) []catalog.ID { return ids }
	return []Cause{
		{NoneSignedIn, "You are signed in: nothing is locked.", "Set a password that you will find again, and a second administrator.", false, nil},
		{PasswordForgotten, "The password is not known any more.", "Go through the ways in, the one that changes least first.", true, f("synology.signin.codes", "qnap.signin.same")},
		{SavedElsewhere, "The password may be saved somewhere.", "Look in the password settings of each browser and in each password manager, on every computer and phone that was ever signed in. Paperclip does not read them.", false, nil},
		{WrongName, "The name may be wrong: the NAS does not say whether name or password is.", "Try your own name; on most NAS admin is disabled. Ask whoever set it up.", true, f("synology.signin.codes", "qnap.signin.same")},
		{CloudConfused, "That is the maker's website's account. The NAS has names and passwords of its own.", "Use the name and password that were set on the NAS; the website's help with nothing here.", true, f("synology.quickconnect", "qnap.wrong.remote")},
		{CodeMissing, "The password is right; the code of the second step is missing.", "Type the code that the app on your phone shows.", false, f("synology.signin.codes", "qnap.signin.codes")},
		{CodeRefused, "The code of the second step was refused.", "Use the code that is shown now, and compare the clocks: more than 30 seconds apart, no code fits. An emergency code by mail may help.", false, f("qnap.twostep.clock", "synology.emergency_code")},
		{SecondFactorLost, "The password is right, but the phone with the codes is gone.", "An emergency code by mail, another administrator, and only then a reset.", true, f("synology.emergency_code", "synology.mode1.otp_admin", "synology.mode1.otp_other", "qnap.twostep", "qnap.basic.otp")},
		{SecondFactorUnset, "The NAS demands a second step that this account has not set up.", "Sign in in the browser: it leads through setting it up.", false, f("synology.signin.codes")},
		{AddressBlocked, "This computer's address is blocked after too many failed sign-ins. The password may well be right.", "Use another computer or phone on the same network, or wait until the block ends. A reset is not needed.", false, f("synology.autoblock.default", "synology.autoblock.ends", "qnap.block")},
		{AccountLocked, "This account is locked for a while after too many failures.", "Wait half an hour and try once; another administrator can unlock it at once.", false, f("synology.autoblock.default")},
		{OldPasswordApp, "An app or computer still signs in with an old password and uses up the tries.", "Find it (DS File, Qsync, a mounted drive, a backup job), give it the new password or switch it off, and wait until the block ends.", false, f("synology.autoblock.default", "qnap.block")},
		{Disabled, "The account is disabled.", "Another administrator can enable it. If there is none, a reset enables the built-in admin.", true, f("synology.signin.codes", "synology.mode1.admin", "qnap.basic.admin")},
		{UpdateDisabled, "An update has disabled the account, or its password no longer fits.", "Another administrator can enable it or set a password. If there is none, a reset does.", true, f("synology.update.disabled")},
		{PasswordExpired, "The password is right and has to be changed.", "Sign in in the browser: it asks for a new one.", false, f("synology.signin.codes", "qnap.signin.codes")},
		{ExpiredForGood, "The password has expired and the account may not change it itself.", "Another administrator sets a new one.", true, f("synology.signin.codes")},
		{PortalAccount, "This account signs in by an application's own page only.", "Open that application's address, or use an administrator's account.", false, f("synology.signin.codes")},
		{PrivilegeRemoved, "The account is right but may not sign in here: a privilege was taken away.", "Another administrator gives it back: DSM under Application Privileges, QTS under Privilege, Users. Over SSH it can be mended too.", true, f("synology.signin.codes")},
		{NoAdministrator, "The account works and is no administrator.", "Use an administrator's account.", true, f("qnap.signin.codes")},
		{RedirectBroken, "The NAS sends the browser on to an HTTPS port that does not answer.", "Open it with https and the port that it announces, or in a browser without history. Inside, turn the redirect off.", false, nil},
		{PortMoved, "The NAS is there, but not on that port: it was moved, or a firewall keeps it shut.", "Open the address with the port that `paperclip find` shows.", true, f("synology.mode1.ports", "qnap.basic.port")},
		{NotReachable, "Nothing answers at that address.", "Run `paperclip find`: it looks for the NAS by its label, whatever its address.", false, nil},
		{SwitchedOff, "The NAS is switched off or asleep.", "Press its power button briefly, and wait until it is Ready.", false, f("synology.button.before")},
		{NotReady, "The NAS is not ready yet.", "Wait: ten minutes are not unusual. A press of RESET does nothing until it is Ready.", false, f("synology.button.before", "synology.led.booting", "qnap.button.running")},
		{NotSetUp, "Its first set-up is not finished, or it was reset.", "Open its address in a browser and look what it asks for.", false, f("synology.window")},
		{ConfigurationLost, "Its settings are gone: a hard reset, or a system that was damaged. The files are still there.", "Install the system anew by its wizard; it keeps the files. Do not choose anything that erases.", false, f("synology.status.lost", "synology.mode2.reinstall", "synology.mode2.dss")},
		{DrivesMissing, "It sees no drives, or no system on them.", "Do not install anything. Switch it off, seat each drive anew, and start it.", false, f("synology.mode2.not_installed", "synology.button.needs_drive")},
		{DrivesMoved, "The system in the box and the one on the drives are of different versions: the drives were moved, or the box was exchanged.", "Follow the wizard; choose what keeps the data.", false, f("synology.mode2.reinstall")},
		{NetworkFailed, "It could not apply its network settings.", "A reset of the network, or a cable to another port of it, helps.", true, f("synology.mode1.network")},
		{BlankWrongName, "After a reset only admin opens it, in lower case, with the maker's default password.", "Sign in as admin: Synology blank; QNAP by its firmware.", false, f("synology.default.blank", "qnap.default.cloudkey", "qnap.default.mac", "qnap.default.admin")},
		{BlankKeepPassword, "The address changed, so the press arrived, but the blank password is refused: most likely the owner once ticked \"Keep current admin password unchanged\". An old page in the browser and a name other than admin look the same.", "Open a fresh private window and try admin, blank, once. If it is refused, only another administrator, SSH or Mode 2 help.", true, f("synology.keep_password", "synology.default.blank")},
		{DefaultPasswordWrong, "The press arrived, but the default password was refused.", "Which one counts is decided by the firmware that runs now: the Cloud Key from 5.2.0, the first MAC address from 4.4.2, else admin; all in upper case, without separators.", true, f("qnap.default.running", "qnap.default.cloudkey", "qnap.default.mac", "qnap.default.admin")},
		{PressWithoutEffect, "The button was used, and nothing has changed.", "The NAS must be Ready; push the clip until it clicks, hold, and let go at the first beep. No beep: it did not arrive.", true, f("synology.press.nothing", "synology.button.before", "qnap.button.running")},
		{LostAfterReset, "After the reset the NAS does not answer at its old address.", "That is expected: it asks the router for a new one. `paperclip find` finds it by its label.", false, f("synology.mode1.network", "qnap.basic.network")},
		{ResetDone, "The reset arrived; its default password has not been tried yet.", "Sign in now, before anybody else does, and set a new password.", false, f("synology.window", "qnap.window")},
		{Unexplained, "The NAS gave an answer that no source explains.", "What it said is shown as it said it. Nothing was tried a second time.", true, nil},
	}
}
