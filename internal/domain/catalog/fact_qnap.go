package catalog

// qnapFacts are what public sources say of QTS and QuTS hero devices
// (vendors/qnap.md). Source Q is contradicted by the vendor in several places:
// the facts named qnap.wrong say so.
func qnapFacts() []Fact {
	const (
		all      = "all"
		cloudKey = "5.2.0 and later"
		mac      = "4.4.2 to 5.1.x"
		old      = "4.4.1 and earlier"
		src      = "vendors/qnap.md "
	)
	q := func(id ID, firmware, text, value, source string, c Confidence) Fact {
		return Fact{ID: "qnap." + id, Vendor: "QNAP", Models: all, Firmware: firmware, Text: text, Value: value, Source: src + source, Confidence: c}
	}
	return []Fact{
		// The button.
		q("button.basic", all, "Hold RESET 3 seconds and let go at the first beep: the administrator's password and the network go back to defaults; users, shares and files stay. This is the one you want.", "3 s, 1 beep", "§4.1", A),
		q("button.advanced", all, "Held 10 seconds, to the second beep, it also deletes users, groups and the definitions of shared folders; the files stay. Let go at the first beep.", "10 s, 2 beeps", "§4.1", A),
		q("button.running", all, "The button only works on a running system.", "", "§4.1", Inference),
		q("button.hole", all, "RESET is a small hole at the back: it takes the end of a straightened paper clip.", "paper clip", "§4.4", B),
		q("button.qutscloud", all, "QuTScloud has no button: mail is the only way.", "", "§4.3", A),
		q("led", all, "Of lights and beeps only the reset's two beeps are documented in what was read.", "not documented", "§4.4", Sought),

		// What 3 seconds do.
		q("basic.password", all, "admin's password goes back to its default.", "", "§4.1", A),
		q("basic.admin", cloudKey, "The built-in admin is enabled again, even where it was disabled. Disable it afterwards, once another administrator has signed in.", "", "§4.1", A),
		q("basic.admin.older", "5.1.x and earlier", "The built-in admin is probably enabled again too.", "", "§4.1", Inference),
		q("basic.network", all, "The network goes back to DHCP; jumbo frames off, trunking to Active Backup, VLANs off.", "DHCP", "§4.1", A),
		q("basic.port", all, "The system port goes back to 8080.", "8080", "§4.1", A),
		q("basic.security", all, "The security level goes back to Low: allow and deny lists no longer apply. What becomes of the block list in QTS 5: not documented.", "", "§4.1, §4.4", A),
		q("basic.lcd", all, "The LCD panel's password becomes blank.", "", "§4.1", A),
		q("basic.users", all, "Users, groups, shared folders and files are kept.", "", "§4.1", A),
		q("basic.otp", all, "For a lone administrator who lost the phone, 3 seconds are the documented way in.", "", "§4.1", A),
		q("basic.otp_other", all, "Whether the 2-step verification of other administrators is cleared: not documented.", "not documented", "§4.1", Sought),
		q("basic.encrypted", all, "What happens to encrypted volumes: not documented. Have the key at hand before.", "not documented", "§4.1", Sought),

		// What 10 seconds do.
		q("advanced.users", all, "10 seconds delete users, groups and the definitions of shared folders.", "", "§4.1", A),
		q("advanced.shares", all, "After 10 seconds: make a shared folder with exactly the same name as before, and its files are back.", "", "§4.1", A),
		q("advanced.files", all, "Files on the disks stay, after 10 seconds too.", "", "§4.1", A),
		q("factory_default", all, "\"Restore to Factory Default\" on the web page does erase the data. The button does not.", "", "§4.1", A),

		// Default credentials.
		q("default.cloudkey", cloudKey, "After a reset the name is admin and the password is the Cloud Key from the sticker, in upper case without the dash: Q1234-5678 becomes Q12345678.", "Cloud Key", "§4.2", A),
		q("default.mac", mac, "After a reset the name is admin and the password is the MAC address of the first network port, in upper case without separators: 24:5e:be:69:a3:13 becomes 245EBE69A313.", "first MAC", "§4.2", Inference),
		q("default.admin", old, "After a reset the name is admin and the password is admin.", "admin", "§4.2", A),
		q("default.running", all, "Which default counts is decided by the firmware that runs now, not by the one it was sold with.", "", "§4.2", A),
		q("default.reuse", mac, "The default password cannot be used as the new one.", "", "§4.2", A),

		// Signing in, and other ways.
		q("signin.same", all, "Wrong password, disabled, expired and blocked look alike at sign-in: QTS does not say which.", "", "§3.2", C),
		q("signin.codes", all, "errorValue: -1 refused, -2 not an administrator, -3 the admin password expired, -4 the password expired; need_2sv 1 asks for the second step.", "", "§3.2, §3.3", A),
		q("block", all, "IP Access Protection blocks an address after failures; interval 0 counts them whenever they happened. SSH and web are protected by default. So a password is tried once.", "", "§3.5", A),
		q("secure_ip", cloudKey, "Where Secure IP Access is on, addresses that are not registered are refused before the sign-in; it is mended at myqnapcloud.com with the QNAP ID.", "", "§4.3", A),
		q("twostep", all, "Mailed codes and security questions stand in for the phone only after the right password: they are no way round a lost one.", "", "§3.3", A),
		q("twostep.clock", all, "A code is refused where the NAS's clock is more than 30 seconds off; its clock is in the answer.", "30 s", "§3.3", B),
		q("other_admin", all, "Another administrator: Control Panel, Privilege, Users, the pencil; set the password, turn 2-step verification off.", "", "§4.3", A),
		q("forgot_mail", all, "The \"Forgot password\" link shows after a wrong password, and its mail only comes where SMTP and the switch for that user were set up before.", "", "§4.3", A),
		q("remote.none", all, "No document or captured protocol shows a way to reset a QNAP over the network: not Qfinder, not the QNAP ID, not myQNAPcloud.", "", "§0 row 4", A),
		q("console", all, "The SSH and HDMI menus have no item that resets a password; resetting the settings asks for it.", "", "§4.3", C),
		q("safe_mode", all, "A safe mode that resets the password: nothing of the kind was found.", "", "§4.5 row 14", Sought),
		q("beep", all, "QTS can beep to show which box it is; the call is from one source.", "beep", "§3.5", C),
		q("write.checked", all, "Setting a password by CGI was seen on one TS-873 with QTS 5.1.9, and not for the built-in admin: too little to do it by program. The page is opened, and a person types.", "", "§3.4", C),
		q("network.set", all, "How the network, the block list or SSH are set by CGI was not found: the page is opened, and a person types.", "", "§3.5", Sought),
		q("backup", all, "The settings can be fetched as a .bin file (System, Backup/Restore); where the session has ended the answer is a page instead of a file.", ".bin", "§3.5", C),
		q("window", mac, "Between a reset and the new password anyone on the network can know the default, for the MAC address is announced. Unplug what you do not trust, and be quick.", "", "§1.3, §4.2", Inference),
		q("takes", all, "How long it takes: no source gives a time that rests on anything; the 24 to 48 h of one source are unsupported.", "not documented", "§4.5 row 13", Sought),

		// Where a source is wrong, or harmful.
		q("wrong.ten_seconds", all, "Advice to hold 10 or 30 seconds to reset the password is wrong and harmful: 10 seconds delete users, groups and shared folders. Hold 3.", "3 s", "§4.5 row 1", A),
		q("wrong.erases", all, "\"The button erases everything\" is wrong: neither 3 nor 10 seconds erase files.", "", "§4.5 row 2", A),
		q("wrong.blank", all, "A blank default password was never documented for QNAP; that is another maker's.", "", "§4.5 row 6", Sought),
		q("wrong.remote", all, "That Qfinder, the QNAP ID or myQNAPcloud could reset an administrator's password was not found anywhere but in one source that contradicts itself.", "", "§4.5 rows 7, 8", Sought),
		q("wrong.mail", all, "\"Mail works if an address was registered\" is half of it: SMTP and the user's own switch are needed too.", "", "§4.5 row 10", A),
	}
}
