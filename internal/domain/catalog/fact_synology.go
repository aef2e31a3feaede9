package catalog

// synologyFacts are what public sources say of DSM and of the DS, RS and FS
// devices (vendors/synology.md; requirements.md's sources G K T B).
func synologyFacts() []Fact {
	const (
		all   = "all"
		old   = "6.2.3 and earlier"
		newer = "6.2.4 and later"
		src   = "vendors/synology.md "
		notes = "requirements.md "
	)
	s := func(id ID, firmware, text, value, source string, c Confidence) Fact {
		return Fact{ID: "synology." + id, Vendor: "Synology", Models: all, Firmware: firmware, Text: text, Value: value, Source: source, Confidence: c}
	}
	return []Fact{
		// The button.
		s("button.before", all, "Before a reset the NAS is on and Ready: POWER blue, STATUS green and steady. While STATUS blinks green it is still starting, and a press does nothing.", "ready", notes+"D1; "+src+"§5.3", A),
		s("button.mode1", all, "Hold RESET about 4 seconds; at the beep, let go at once: the administrator's password and the network go back to defaults.", "4 s, 1 beep", src+"§5.1", A),
		s("button.mode2", all, "Within 10 seconds hold again about 4 seconds, until three more beeps: every system setting is gone, and the operating system must be installed anew. Files stay.", "4 s, 3 beeps", src+"§5.1", A),
		s("button.mode2.beeps", all, "Sources differ about the end of Mode 2: the vendor says three more beeps, a short guide says one longer beep. Three beeps is what to wait for.", "3 beeps", src+"§7", A),
		s("button.holding_on", "2.2 and earlier", "On old units holding on past the beep restored the operating system. Let go at the first beep.", "", notes+"D7 (T)", B),
		s("button.needs_drive", all, "RESET only works with a drive in the NAS and DSM set up.", "", src+"§5.1", A),
		s("button.none", all, "A virtual DSM has no button, and of BeeStation and of units without a hole nothing was found: use another administrator or the vendor's page.", "", src+"§5.3", C),
		s("button.hole", all, "RESET is a small hole beside the ports: it takes the end of a straightened paper clip. Push until you feel it click.", "paper clip", notes+"C4 (G T B); DS106 manual", B),
		s("press.reboot", all, "Whether the NAS restarts after Mode 1 is not agreed: one guide says so, the vendor does not.", "", src+"§5.2", C),
		s("press.nothing", all, "No beep: the NAS was not Ready, the click was not reached, or it was held too short. A beep and nothing changed but the address: the keep-password option is on.", "", src+"§6 rows 5, 7", B),

		// Lights.
		s("led.ready", all, "STATUS green and steady: Ready.", "green, steady", src+"§5.3", B),
		s("led.booting", all, "POWER steady and STATUS blinking green: starting; wait.", "green, blinking", src+"§5.3", B),
		s("led.lost", all, "About 2 minutes after Mode 2 STATUS blinks orange; newer articles say orange or green.", "orange, blinking", src+"§5.1, §7", A),
		s("led.problem", all, "STATUS orange, or off: a problem with drives or volume, or the system is not installed.", "orange", src+"§5.3", B),

		// After Mode 1.
		s("mode1.password", old, "After Mode 1 the name is admin, in lower case, and the password is blank; it only opens the page that sets a new one.", "admin, blank", src+"§5.1", A),
		s("mode1.password.page", newer, "After Mode 1 sign in as admin with a blank password: a page lets you choose one of the administrators and set its new password. Only a person can fill it in: how the page talks to the NAS is not documented.", "admin, blank, then a page", src+"§5.1", A),
		s("mode1.admin", all, "The built-in admin is enabled again by Mode 1. Disable it afterwards, once another administrator has signed in.", "", src+"§5.2; "+notes+"R4", A),
		s("mode1.otp_admin", newer, "Mode 1 turns off the second factor of the built-in admin.", "", src+"§5.2", B),
		s("mode1.otp_other", all, "Whether the second factor of another administrator, chosen on the page, is cleared: not documented.", "not documented", src+"§5.2", Sought),
		s("mode1.users", all, "Other users, their passwords, shared folders and permissions stay.", "", src+"§5.2; "+notes+"D6", B),
		s("mode1.data", all, "Mode 1 does not touch stored files, volumes or RAID.", "", src+"§5.2; "+notes+"D6", A),
		s("mode1.ports", all, "The management ports go back to 5000 and 5001.", "5000, 5001", src+"§5.2", A),
		s("mode1.network", all, "Every network interface goes back to DHCP: a static address, gateway and DNS are lost.", "DHCP", src+"§5.2", A),
		s("mode1.pppoe", all, "PPPoE is turned off.", "", src+"§5.2", A),
		s("mode1.autoblock", all, "Auto block is turned off; the list of blocked addresses stays, an old source says.", "", src+"§5.2", B),
		s("mode1.firewall", all, "The firewall is turned off; its rules stay, an old source says.", "", src+"§5.2", B),
		s("mode1.clusters", all, "A high-availability cluster and a Virtual Machine Manager cluster are removed.", "", src+"§5.2", A),
		s("mode1.encrypted", all, "Mode 1 closes encrypted shared folders and deletes a key that was kept on the NAS with the machine key: the passphrase or the .key file is then needed.", "", src+"§5.2", A),
		s("mode1.bonds", all, "Jumbo frames and link aggregation may be reset: an old source says so, the vendor does not list them.", "", src+"§5.2, §7", C),
		s("mode1.guest", all, "The guest account: one source says disabled, an old manual says enabled. Look yourself.", "", src+"§5.2", C),
		s("encrypted.lost", all, "No reset opens an encrypted folder or volume whose passphrase is forgotten.", "", src+"§5.3", Inference),
		s("move", all, "Mode 1 also serves to move the NAS to another network. Where the keep-password option is on, only the network is reset.", "", notes+"D13 (K)", A),

		// After Mode 2.
		s("mode2.effects", all, "Mode 2 does all that Mode 1 does and wipes every system setting: users, shares' settings, packages' configuration. The files on the volumes stay.", "", src+"§5.1; "+notes+"D5 D6", A),
		s("mode2.names", all, "After Mode 2 it calls itself DiskStation, FlashStation or RackStation.", "DiskStation, FlashStation, RackStation", src+"§5.1", A),
		s("status.lost", all, "After Mode 2 the NAS shows the status Configuration lost.", "4", src+"§3.1", B),
		s("mode2.reinstall", all, "Open its address on port 5000 and follow the wizard. It installs DSM anew from the internet, or offline from a .pat file of the same model from the vendor's download page.", ".pat", src+"§3.3, §5.1; "+notes+"R6", B),
		s("mode2.dss", all, "A settings backup (.dss), made before, is put back in Control Panel, Update & Restore, Configuration Backup. It holds users, groups, shares and permissions, and no packages.", ".dss", src+"§4.2", C),
		s("mode2.not_installed", all, "Status Not installed on a NAS whose drives were in use: do not install; look at the drives first.", "2", src+"§3.1", A),
		s("mode2.last_beep", all, "One more beep when it is ready to be set up: only the short guide says so.", "", src+"§7", C),

		// What prevents it, and what else there is.
		s("keep_password", all, "Where the owner ticked \"Keep current admin password unchanged\", Mode 1 resets only the network and does not help against a forgotten password.", "retain_admin_pwd", src+"§5.3", B),
		s("keep_password.mode2", all, "What Mode 2 does where the keep-password option is on: not documented.", "not documented", src+"§5.3", Sought),
		s("erase_all", all, "\"Erase All Data\" on the page with the reset option does erase. RESET does not.", "", src+"§5.3", B),
		s("default.blank", all, "The password of a Synology that was reset is blank, and its name is admin. \"Admin\", admin/admin and the serial number are wrong.", "admin, blank", src+"§5.2, §7", A),
		s("signin.codes", all, "One sign-in attempt tells causes apart by its answer: wrong password 400, disabled 401, no permission 402, second factor 403 404 406, blocked 407, expired 408 409, must change 410, locked 411.", "", src+"§4.1", A),
		s("autoblock.default", all, "Auto block counts failures: by default 10 in 5 minutes; adaptive protection 5 in 1 minute. So a password is tried once, never in a loop.", "10 in 5 min", src+"§4.1", B),
		s("autoblock.ends", all, "A blocked address is let in again when the time that the owner set has passed; where none is set, never. Another address, such as another computer's, is not blocked.", "", src+"§5.4", A),
		s("forgot_mail", all, "The \"Forgot password\" mail only works where an administrator had turned it on and mail is set up.", "", src+"§4.2", B),
		s("approval", "7.0 and later", "Approving on the Secure SignIn app lets you in without the password, where it was set up before. Then set a new password inside.", "", notes+"R8 (B)", B),
		s("emergency_code", all, "A lost phone: \"Can't access your device?\" sends an emergency code by mail, at most five times.", "5", src+"§5.4", B),
		s("quickconnect", all, "QuickConnect and the Synology Account are no way round the NAS's own password: its sign-in asks for the same name and password.", "", src+"§7; "+notes+"R9", B),
		s("ssh.password", all, "With a sudo account over SSH: sudo synouser --setpw USER NEWPASSWORD sets a password. The new password can be read by other processes and in the shell's history while it runs: change it again in the browser.", "synouser --setpw", src+"§5.4", B),
		s("ssh.otp", all, "With a sudo account over SSH: removing /usr/syno/etc/preference/USER/google_authenticator takes the second factor off that user.", "", src+"§5.4", B),
		s("ssh.firewall", all, "With a sudo account over SSH: sudo synofirewall --disable turns the firewall off.", "synofirewall --disable", src+"§5.4", C),
		s("network.set", all, "How DSM's own API writes a network setting is not known: every shape that was tried was refused. The page is opened, and a person types.", "4302", src+"§4.2", B),
		s("backup.start", all, "What DSM's API wants for making a settings backup is not in any source: the page is opened instead.", "", src+"§4.2", Sought),
		s("findme", all, "DSM can beep to show which box it is (SYNO.DSM.FindMe).", "beep", src+"§4.2", B),
		s("window", all, "Between a reset and the first sign-in anyone on the network can take the NAS over, for the password is blank. Unplug what you do not trust, and be quick.", "", src+"§3.4", A),
		s("build.624", all, "On the network 6.2.3 and 6.2.4 both say 6.2. That 6.2.4 begins with build 25556 has no source among those read: one NAS is known that says 6.2 and 25556, and no more. Where the page for the new password does not come, the older way is the one.", "25556", src+"§2 (one NAS: 6.2-25556)", Sought),
		s("api.reset_page", newer, "How the page that sets the password after Mode 1 talks to the NAS is not documented: a person fills it in.", "", src+"§3.4, §8", Sought),
		s("update.disabled", all, "Updates have disabled accounts that had no password, and made a password fail. Another administrator, or Mode 1, helps.", "", notes+"R12 (T B)", B),
		s("takes.button", all, "By the button: 2 to 15 minutes, as the sources say; Mode 2 takes 2 minutes more to blink and 10 for the wizard.", "2-15 min", notes+"C5; "+src+"§3.3", B),
	}
}
