package catalog

// Rows are: id, exit status, what happened, what it means, what to do.

func commonProblems() []Problem {
	return []Problem{
		{ID: "internal", Exit: Failed, Text: "Something went wrong inside Paperclip.", Meaning: "Nothing was changed by this step.", WhatToDo: "Try again; if it happens again, report it with the log."},
		{ID: "not_yet", Exit: Failed, Text: "Not yet: %s is not built in this version.", Meaning: "Nothing was done.", WhatToDo: "The README says what works today."},
		{ID: "usage", Exit: WrongUse, Text: "%s", WhatToDo: "Run the command with --help to see what it takes."},
		{ID: "interrupted", Exit: Failed, Text: "Interrupted.", Meaning: "What was accepted by the NAS goes on there by itself; everything else is as it was."},
		{ID: "bad_message", Exit: Failed, Text: "A message could not be understood: %s.", Meaning: "It was thrown away and nothing was changed."},
	}
}

func claimProblems() []Problem {
	return []Problem{
		{ID: "claim_closed", Exit: Refused, Text: "No claim is open on this NAS.", Meaning: "Nothing was changed; the passwords of before still work.", WhatToDo: "Hold the reset button for 4 seconds, until it beeps once, and let go."},
		{ID: "claim_taken", Exit: Refused, Text: "Somebody else has already proved to be at this NAS.", Meaning: "Only one person can go through a claim.", WhatToDo: "If that was not you or yours, hold the button longer than 10 seconds: the claim closes and nothing is changed."},
		{ID: "not_your_turn", Exit: Refused, Text: "Somebody else is typing a code just now.", Meaning: "Turns last at most two minutes.", WhatToDo: "Wait a moment; it goes on by itself."},
		{ID: "too_many_sessions", Exit: Refused, Text: "Too many are trying at once.", Meaning: "Nothing was changed.", WhatToDo: "Wait a minute, or close the claim by holding the button longer than 10 seconds and open a new one."},
		{ID: "no_such_session", Exit: Refused, Text: "This conversation with the NAS has ended.", WhatToDo: "Start again; if the claim has closed, press the button again."},
		{ID: "session_spent", Exit: Refused, Text: "That were five wrong codes.", Meaning: "This conversation takes no more.", WhatToDo: "Start again and listen to the code anew: four groups of 1 to 6 beeps."},
		{ID: "tries_spent", Exit: Refused, Text: "Too many wrong codes were tried in this claim.", Meaning: "The NAS takes no more until somebody at it says so.", WhatToDo: "Press the reset button briefly: it says a fresh code and takes five more tries."},
		{ID: "presence_not_shown", Exit: Refused, Text: "The NAS does not know yet that you are with it.", Meaning: "Until then it shows no settings and no names.", WhatToDo: "Type the code that it beeps."},
		{ID: "already_proved", Exit: Refused, Text: "Presence is already proved.", WhatToDo: "Go on with the next step."},
		{ID: "wrong_code", Exit: Refused, Text: "That is not the code that this NAS says.", Meaning: "Or the device you are talking to is not the one that beeps. Nothing secret was sent.", WhatToDo: "Listen again: four groups of 1 to 6 beeps. A short press on the button says a fresh code."},
		{ID: "off_link", Exit: Refused, Text: "A claim can only be used from the same network as the NAS.", Meaning: "The request came from elsewhere, or through a VPN.", WhatToDo: "Use a computer on the network that the NAS is plugged into."},
		{ID: "policy_network_only", Exit: Refused, Text: "The owner of this NAS chose that its button sets back the network only.", Meaning: "A press does not help against a forgotten password here. Nothing was changed.", WhatToDo: "Ask another administrator, or set the password at its console."},
		{ID: "second_proof_needed", Exit: Refused, Text: "The owner of this NAS chose that a recovery code is needed beside the button.", Meaning: "Nothing was changed.", WhatToDo: "Type one of the codes that were printed for this administrator."},
		{ID: "second_proof_wrong", Exit: Refused, Text: "That is not a recovery code of this administrator, or it was used before.", Meaning: "Nothing was changed.", WhatToDo: "Check it letter by letter, or use another one."},
		{ID: "hard_press_needed", Exit: Refused, Text: "This claim is for a soft reset.", Meaning: "A hard reset takes a second press, so that nobody gets there by holding on. Nothing was changed.", WhatToDo: "Close this claim, hold the button 4 seconds until it beeps, and within 10 seconds again until it beeps three times."},
		{ID: "wizard_needed", Exit: Refused, Text: "A hard reset needs the answers of the set-up wizard first.", Meaning: "Nothing was changed.", WhatToDo: "Say the name, the first administrator, the network, and what is to be restored."},
		{ID: "wizard_answer", Exit: Refused, Text: "The NAS could not be set up like that: %s.", Meaning: "Nothing was changed.", WhatToDo: "Answer that otherwise."},
		{ID: "account_is_so", Exit: Refused, Text: "The account %s is so already.", Meaning: "Nothing was changed.", WhatToDo: "`paperclip account TARGET list` shows them."},
		{ID: "no_proved_way_in", Exit: Refused, Text: "No other administrator has really signed in with the password of now.", Meaning: "Without one, switching this account off could leave nobody able to sign in. Nothing was changed.", WhatToDo: "Have another administrator sign in first: `paperclip account TARGET list --as NAME`."},
		{ID: "no_second_factor", Exit: Refused, Text: "There is no second factor of %s that this reset could take away.", Meaning: "Nothing was changed.", WhatToDo: "Start again without asking for that."},
		{ID: "wait_needs_key", Exit: Refused, Text: "This NAS asks for a wait, which needs a program that can come back.", Meaning: "Nothing was changed.", WhatToDo: "Use `paperclip rescue`."},
		{ID: "wait_begun", Exit: InPart, Text: "The NAS keeps your request, and waits %s, as its owner chose.", Meaning: "Nothing is changed yet. Every administrator is told, and can say no meanwhile.", WhatToDo: "Then go on with this computer: %s"},
		{ID: "wait_not_over", Exit: Refused, Text: "The wait that this NAS's owner chose is not over: %s are left.", Meaning: "Nothing is changed yet. Only time in which the NAS is switched on counts.", WhatToDo: "Come back then."},
		{ID: "request_pending", Exit: Refused, Text: "This computer has another request waiting on the NAS.", Meaning: "Nothing was changed.", WhatToDo: "Resume that one, or withdraw it."},
		{ID: "request_over", Exit: Refused, Text: "The request cannot be carried out: it is %s.", Meaning: "Nothing was changed by it after that.", WhatToDo: "If an administrator refused it, ask them; otherwise press the button again."},
		{ID: "request_unknown", Exit: Refused, Text: "The NAS has no such request.", Meaning: "Nothing was changed.", WhatToDo: "`paperclipd requests` lists them, on the NAS."},
		{ID: "requests_full", Exit: Refused, Text: "Too many requests wait on this NAS.", Meaning: "Nothing was changed.", WhatToDo: "At the NAS, as root, refuse those that are nobody's: `paperclipd requests`."},
		{ID: "unknown_administrator", Exit: Refused, Text: "There is no administrator called %s on this NAS.", Meaning: "Nothing was changed.", WhatToDo: "Choose one from the list."},
		{ID: "plan_changed", Exit: Refused, Text: "The NAS's settings changed since the plan was shown.", Meaning: "What is accepted must be what was seen. Nothing was changed.", WhatToDo: "Look at the new plan and accept that."},
		{ID: "password_short", Exit: Refused, Text: "The new password is too short.", Meaning: "Nothing was changed.", WhatToDo: "Use at least 15 characters; four or five unrelated words do well."},
		{ID: "password_long", Exit: Refused, Text: "The new password is too long.", Meaning: "Nothing was changed.", WhatToDo: "Use at most 128 characters."},
		{ID: "password_unusable", Exit: Refused, Text: "The new password has a character that cannot be typed at a sign-in.", Meaning: "Nothing was changed.", WhatToDo: "Leave out line breaks and control characters."},
		{ID: "password_guessed", Exit: Refused, Text: "The new password is among those that are tried first.", Meaning: "Nothing was changed.", WhatToDo: "Add something that is yours alone."},
		{ID: "sign_in_failed", Exit: Refused, Text: "The NAS did not accept that name and password.", Meaning: "It does not say which of the two was wrong.", WhatToDo: "Check both; a claim helps where the password is lost."},
		{ID: "sign_in_later", Exit: Refused, Text: "Too many sign-ins failed from here.", Meaning: "The NAS waits longer after each failure, and never locks for good.", WhatToDo: "Wait %s and try once."},
		{ID: "owner_unknown", Exit: Refused, Text: "The NAS does not know this computer as its owner's.", Meaning: "Nothing was shown and nothing was changed.", WhatToDo: "Give an administrator's name and password; or a claim with `paperclip rescue` enrols this computer."},
		{ID: "owner_narrow", Exit: Refused, Text: "This computer's key is known to the NAS for one receipt alone.", Meaning: "It was enrolled with a reset that replaced no password. Nothing was changed.", WhatToDo: "Give an administrator's name and password."},
		{ID: "not_administrator", Exit: Refused, Text: "That account is not an administrator of this NAS, or not any more.", Meaning: "Nothing was shown and nothing was changed.", WhatToDo: "Use an administrator's account."},
		{ID: "recovery_key_missing", Exit: Refused, Text: "This NAS has no recovery key to seal a snapshot to.", Meaning: "A snapshot is sealed to a key that only its owner has. Nothing was done.", WhatToDo: "`paperclip snapshot` makes one and shows it once: run it in a terminal, or with --recovery-key-out FILE."},
		{ID: "recovery_key_there", Exit: Refused, Text: "This NAS seals its snapshots to a recovery key already.", Meaning: "Nothing was changed.", WhatToDo: "Use that key; or give --new-recovery-key, if it is lost: snapshots of before stay sealed to the old one."},
		{ID: "snapshot_failed", Exit: Failed, Text: "No snapshot could be made: %s.", Meaning: "Nothing was changed."},
		{ID: "snapshot_none", Exit: NotFound, Text: "The NAS has kept no such snapshot.", Meaning: "It keeps the latest five that it made before a change, once there is a recovery key."},
		{ID: "snapshot_unusable", Exit: Failed, Text: "The saved settings cannot be used: %s.", Meaning: "Nothing was changed.", WhatToDo: "If a newer version of Paperclip made them, update the NAS first; else use another snapshot."},
		{ID: "snapshot_of_another", Exit: Refused, Text: "These settings are those of another NAS: %s.", Meaning: "Its addresses and accounts would be wrong here. Nothing was changed.", WhatToDo: "Use a snapshot of this NAS."},
		{ID: "bundle_none", Exit: NotFound, Text: "The NAS has kept no settings of before a hard reset.", Meaning: "Nothing was changed.", WhatToDo: "Restore from a snapshot that you have."},
		{ID: "restore_unfit", Exit: Failed, Text: "The part %s cannot be put back: %s.", Meaning: "Nothing was changed.", WhatToDo: "Leave that part out with --only, or make the NAS as it was then."},
		{ID: "restore_undone", Exit: Failed, Text: "The restore was taken back: %s.", Meaning: "Everything is as it was before it."},
		{ID: "no_trial", Exit: Refused, Text: "No restore is waiting to be confirmed.", Meaning: "It was confirmed already, or its time is over and everything is as before it.", WhatToDo: "Restore again, and confirm it in time."},
		{ID: "confirm_anew", Exit: Refused, Text: "A restore is confirmed in a new conversation.", Meaning: "That shows that the NAS can still be reached. Nothing was changed.", WhatToDo: "Run `paperclip restore` with --confirm."},
		{ID: "no_receipt", Exit: NotFound, Text: "The NAS has no receipt of that.", Meaning: "It was not carried out there, or has not ended yet."},
		{ID: "busy", Exit: Refused, Text: "The NAS is in the middle of a reset.", Meaning: "It goes to its end by itself, whatever happens.", WhatToDo: "Wait until it is done."},
	}
}

func deviceProblems() []Problem {
	return []Problem{
		{ID: "config_invalid", Exit: WrongUse, Text: "The configuration file cannot be used: %s.", Meaning: "paperclipd does not start with a setting it does not understand. Nothing was changed.", WhatToDo: "Correct that line; `paperclipd doctor` checks the file."},
		{ID: "port_in_use", Exit: Failed, Text: "Port %s is in use by another program.", Meaning: "The device page cannot be served there. Nothing was changed.", WhatToDo: "Stop the other program, or set another port in ports.toml."},
		{ID: "unsupported_system", Exit: Failed, Text: "This system is not supported: %s.", Meaning: "paperclipd runs where it was tested: Debian 12 and 13 with systemd. Nothing was changed.", WhatToDo: "See the list of supported systems in the README."},
		{ID: "half_state", Exit: Failed, Text: "The journal of a reset is damaged in both copies.", Meaning: "A reset was accepted and its record cannot be read, so the settings may be half old and half new. SSH, SMB and web stay shut; the console is open.", WhatToDo: "Sign in at the console and read `paperclipd status`."},
		{ID: "step_failed", Exit: Failed, Text: "The setting could not be changed: %s.", Meaning: "Everything was put back as it was; the old password works.", WhatToDo: "See the log for the step; `paperclipd doctor` says what each part finds."},
		{ID: "third_value", Exit: Failed, Text: "Something else changed %s meanwhile.", Meaning: "It was left as it is now, and everything else was put back.", WhatToDo: "Start again; the new plan shows the setting as it is now."},
		{ID: "no_way_in_left", Exit: Refused, Text: "That would leave no administrator able to sign in.", Meaning: "It was refused; nothing was changed.", WhatToDo: "Choose an administrator to keep."},
		{ID: "preflight_failed", Exit: Failed, Text: "The reset was not begun: %s.", Meaning: "Nothing was changed.", WhatToDo: "`paperclipd doctor` says what is missing."},
		{ID: "core_unreachable", Exit: Failed, Text: "The part of paperclipd that holds the keys does not answer.", WhatToDo: "Check `systemctl status paperclipd-core`."},
		{ID: "vendor_profile", Exit: WrongUse, Text: "The button profile %s acts at once and leaves blank or printed passwords.", Meaning: "paperclipd does not do that.", WhatToDo: "Use the profile paperclip."},
		{ID: "no_button", Exit: Failed, Text: "No reset button was found: %s.", Meaning: "Without it a claim cannot be opened at the device.", WhatToDo: "Name its device in paperclip.toml, [panel] button."},
		{ID: "unknown_host", Exit: Refused, Text: "This NAS does not go by that name.", Meaning: "A page elsewhere may be trying to reach it through your browser. Nothing was done.", WhatToDo: "Open it by its address, or by its name and .local."},
		{ID: "cross_site", Exit: Refused, Text: "Another site tried to use this NAS through your browser.", Meaning: "Nothing was done.", WhatToDo: "Close that site."},
		{ID: "local_only", Exit: Refused, Text: "This NAS answers only on its own network.", Meaning: "Nothing was done.", WhatToDo: "Use a computer on the network that the NAS is plugged into."},
		{ID: "too_fast", Exit: Refused, Text: "Too many requests at once came from your computer.", Meaning: "Nothing was done.", WhatToDo: "Wait a second and try again."},
		{ID: "no_such_page", Exit: NotFound, Text: "There is nothing here.", WhatToDo: "Start at the first page of this NAS."},
		{ID: "wrong_method", Exit: WrongUse, Text: "This address is not used like that.", Meaning: "Nothing was done."},
		{ID: "https_needed", Exit: Refused, Text: "This is only answered over HTTPS.", Meaning: "Nothing was done.", WhatToDo: "Use the NAS's HTTPS port, 5001 unless it was changed."},
		{ID: "unknown_owner", Exit: NotFound, Text: "No owner key is enrolled as %s.", WhatToDo: "`paperclipd owners` lists them."},
		{ID: "not_root", Exit: WrongUse, Text: "%s needs root.", WhatToDo: "Run it with sudo."},
	}
}

func ownerProblems() []Problem {
	return []Problem{
		{ID: "none_found", Exit: NotFound, Text: "No NAS answered.", Meaning: "It may be off, on another network, or a firewall on this computer keeps the answers out.", WhatToDo: "Check its power and network light, and that this computer is on the same network; or give its address."},
		{ID: "no_network", Exit: NotFound, Text: "This computer is on no network.", Meaning: "Nothing could be asked.", WhatToDo: "Plug in its network cable, or join the Wi-Fi of the network that the NAS is on, and search again."},
		{ID: "search_failed", Exit: Failed, Text: "One way of searching did not work: %s.", Meaning: "A NAS that answers only to that way is missing from the list.", WhatToDo: "Close other finders on this computer, allow this program on the local network, and search again."},
		{ID: "find_flooded", Exit: Failed, Text: "More answers came than any network has NAS.", Meaning: "Somebody may be flooding this network to hide a device.", WhatToDo: "Give the address or the MAC of the NAS, or connect it to this computer alone."},
		{ID: "look_alikes", Exit: Failed, Text: "Two devices claim to be the same one: %s.", Meaning: "One of them may be pretending.", WhatToDo: "Compare serial and MAC with the label on the NAS, and choose it by its address."},
		{ID: "neighbour_silent", Exit: NotFound, Text: "A device of %s is on this network and does not answer: %s, MAC %s.", Meaning: "It is switched on; what it is found by is turned off, still starting, or kept out by a firewall.", WhatToDo: "Open its address in a browser, with :5000 or :8080 behind it; if it was just reset, wait two minutes and search again."},
		{ID: "no_dhcp_here", Exit: NotFound, Text: "This computer got no address on %s and gave itself one.", Meaning: "No DHCP server answers on this network; a NAS that was reset has no address from one either.", WhatToDo: "Plug the NAS and this computer into the router, or go on: devices that gave themselves an address (169.254…) are found too."},
		{ID: "no_dhcp_there", Exit: NotFound, Text: "%s got no address from a DHCP server and gave itself one.", Meaning: "It is there and cannot be opened from this computer's address.", WhatToDo: "Plug it into the router's network, or give this computer an address such as 169.254.1.2 with mask 255.255.0.0 for a while."},
		{ID: "other_subnet", Exit: NotFound, Text: "%s has an address of another network than this computer.", Meaning: "It was heard on this cable, but this computer has no address there.", WhatToDo: "Give this computer an address of that network for a while, or reset the network settings of the NAS."},
		{ID: "broadcast_lost", Exit: NotFound, Text: "This computer's own broadcasts do not come back to it.", Meaning: "A firewall on this computer keeps them out, and with them the answers.", WhatToDo: "Allow UDP ports 9999 and 8097 in its firewall; on Wi-Fi, use a cable: guest networks keep devices apart."},
		{ID: "port_held", Exit: Failed, Text: "UDP port %s is held by another program, such as the maker's own assistant.", Meaning: "Answers that go to that port do not reach this program.", WhatToDo: "Close Synology Assistant and Qfinder, and search again."},
		{ID: "local_network_denied", Exit: Failed, Text: "This system does not let the program speak to the local network.", Meaning: "On macOS that is a permission.", WhatToDo: "Allow it in System Settings, Privacy & Security, Local Network, for the terminal that it runs in."},
		{ID: "sweep_cut", Exit: NotFound, Text: "Only %s of %s addresses were asked in the time given.", WhatToDo: "Give a longer --wait, or a smaller subnet."},
		{ID: "leases_unusable", Exit: WrongUse, Text: "The lease file cannot be read: %s.", Meaning: "Nothing was searched.", WhatToDo: "Lease files of dnsmasq, ISC dhcpd, Kea (CSV) and odhcpd are read."},
		{ID: "label_differs", Exit: Failed, Text: "This is not the NAS with that label: %s.", Meaning: "Neither its MAC addresses nor its serial number are what was typed.", WhatToDo: "Look at the label again, or at the other devices that `paperclip find` lists."},
		{ID: "target_unknown", Exit: NotFound, Text: "No NAS here is called %s.", WhatToDo: "`paperclip find` lists what answers."},
		{ID: "target_ambiguous", Exit: WrongUse, Text: "More than one NAS fits %s.", Meaning: "Nothing was done.", WhatToDo: "Give its MAC address or serial number, as on its label."},
		{ID: "no_terminal", Exit: WrongUse, Text: "This needs somebody to ask, and there is no terminal.", Meaning: "Nothing was done.", WhatToDo: "%s"},
		{ID: "identity_mismatch", Exit: Refused, Text: "This is not the NAS that was known by this name: its key is another one.", Meaning: "Somebody may be pretending to be your NAS. Nothing secret was sent.", WhatToDo: "If the NAS was really replaced or its system reinstalled, forget the old key with care: compare the key id with the one on its console."},
		{ID: "identity_unknown", Exit: Refused, Text: "Who this NAS is has not been proved.", Meaning: "No password is sent to a device whose identity was not verified.", WhatToDo: "Prove it by a claim: press its button and type the code it beeps."},
		{ID: "unreachable", Exit: Failed, Text: "The NAS at %s does not answer.", Meaning: "It may have another address now, or be restarting.", WhatToDo: "Run `paperclip find`."},
		{ID: "not_verified", Exit: InPart, Text: "The reset was carried out, but it could not be shown that it worked: %s.", Meaning: "Do not rely on the new password yet.", WhatToDo: "Try to sign in; if it fails, run rescue again."},
		{ID: "data_changed", Exit: InPart, Text: "%s files on the volumes are not as they were.", Meaning: "A reset must never do that.", WhatToDo: "Keep the receipt, and compare with a backup."},
		{ID: "plan_needs_proof", Exit: Refused, Text: "This NAS shows its settings only to its owner.", Meaning: "A plan is made from real settings, which a stranger is not shown.", WhatToDo: "Open a claim with its button: `paperclip rescue` shows the plan before anything is changed."},
		{ID: "receipt_invalid", Exit: Failed, Text: "This is not a valid receipt: %s.", Meaning: "It was altered, or was never signed by a NAS.", WhatToDo: "Get it again from the NAS."},
		{ID: "receipt_unreadable", Exit: WrongUse, Text: "The receipt could not be read: %s."},
		{ID: "resume_unknown", Exit: WrongUse, Text: "There is no rescue %s to go on with.", WhatToDo: "Start a new one without --resume."},
		{ID: "press_not_seen", Exit: Refused, Text: "No press of the reset button has arrived at the NAS.", Meaning: "Nothing was changed.", WhatToDo: "The NAS must be up and ready. Press until you feel the click, hold about 4 seconds and let go at the beep; the NAS's log says why a press selected nothing."},
		{ID: "other_way", Exit: Failed, Text: "You chose a way that costs less: %s.", Meaning: "Nothing was changed.", WhatToDo: "If it does not help, run `paperclip rescue` again."},
		{ID: "declined", Exit: Failed, Text: "You did not accept the plan.", Meaning: "Nothing was changed; the claim is closed."},
		{ID: "gave_up", Exit: Failed, Text: "The same step was tried too often.", Meaning: "What was not accepted by the NAS is as it was.", WhatToDo: "Start again."},
		{ID: "no_administrator", Exit: Failed, Text: "This NAS has no administrator whose password could be set.", Meaning: "Nothing was changed.", WhatToDo: "Sign in at its console as root."},
		{ID: "commit_unknown", Exit: Refused, Text: "The NAS did not take over the plan before the interruption.", Meaning: "Its settings are as they were.", WhatToDo: "Press the button again."},
		{ID: "not_a_device", Exit: Failed, Text: "What answers at %s is not a NAS with Paperclip.", Meaning: "Nothing secret was sent.", WhatToDo: "Run `paperclip find`, or check the address."},
		{ID: "clock_wrong", Exit: Refused, Text: "The clocks of this computer and of the NAS are too far apart.", Meaning: "The certificate of the NAS is not for the time that it is here, so no password was sent.", WhatToDo: "Set the clock of whichever is wrong."},
		{ID: "model_unknown", Exit: NotFound, Text: "Nothing is known about %s yet.", WhatToDo: "`paperclip model` lists what is known."},
		{ID: "file_unusable", Exit: WrongUse, Text: "The file cannot be used: %s.", Meaning: "Nothing was done."},
	}
}

func labProblems() []Problem {
	return []Problem{
		{ID: "lab_failed", Exit: Failed, Text: "The lab could not be started: %s.", Meaning: "The lab's virtual NAS run on this computer only; nothing else was touched."},
	}
}
