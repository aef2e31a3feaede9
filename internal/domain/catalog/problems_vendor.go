package catalog

// vendorProblems are those of another maker's NAS.
func vendorProblems() []Problem {
	return []Problem{
		{ID: "certificate_changed", Exit: Refused, Text: "The NAS shows another certificate than before: %s.", Meaning: "Somebody may be pretending to be your NAS; or its system was installed anew. Nothing secret was sent.", WhatToDo: "Make sure of the box: let it beep, or compare the fingerprint on its own page (Control Panel, Security, Certificate)."},
		{ID: "plain_http", Exit: Refused, Text: "The NAS at %s answers without encryption only.", Meaning: "A password sent there can be read by anyone on the network. Nothing was sent.", WhatToDo: "Use a cable between this computer and the NAS, or agree to it with --plain-http."},
		{ID: "redirect_broken", Exit: Refused, Text: "The NAS at %s sends every request on to HTTPS, and there nothing answers.", Meaning: "Nothing secret was sent.", WhatToDo: "Open it with https and the port that it announces; where that fails, its ports have to be reset."},
		{ID: "unexpected_page", Exit: Failed, Text: "The NAS answered with something else than its API: HTTP status %s.", Meaning: "Nothing was changed by this.", WhatToDo: "Open its address in a browser and look what it shows."},
		{ID: "vendor_refused", Exit: Refused, Text: "The NAS refused: %s.", Meaning: "These are its own words. Nothing was tried a second time."},
		{ID: "vendor_unread", Exit: InPart, Text: "The NAS took it and does not show it: %s.", Meaning: "It may or may not be so.", WhatToDo: "Look at that page in the browser."},
		{ID: "vendor_guided", Exit: Failed, Text: "This is not done by program: %s.", Meaning: "What is known about it is too little to change something of yours on its strength.", WhatToDo: "%s"},
		{ID: "not_signed_in", Exit: Refused, Text: "Nobody is signed in to the NAS.", Meaning: "Nothing was asked of it."},
		{ID: "no_such_api", Exit: Failed, Text: "This NAS does not have what is needed for that: %s.", Meaning: "Its firmware is older or newer than what the sources describe. Nothing was changed.", WhatToDo: "Do it in the browser."},
		{ID: "box_not_proved", Exit: Refused, Text: "It was not shown that this is the NAS in front of you.", Meaning: "No new password is sent to what may be somebody else's box.", WhatToDo: "Unplug other devices, connect this computer to the NAS by cable, and run it again."},
		{ID: "press_without_effect", Exit: Refused, Text: "Nothing was seen to change at the NAS after the press.", Meaning: "Nothing was changed, as far as can be seen.", WhatToDo: "%s"},
		{ID: "no_beep", Exit: Refused, Text: "No beep was heard.", Meaning: "The press did not arrive, as far as can be heard. Nothing was seen to change.", WhatToDo: "The NAS must be up and ready; push the clip until it clicks, hold, and let go at the first beep."},
		{ID: "never_ready", Exit: Failed, Text: "The NAS did not get ready within %s.", Meaning: "Nothing was changed: a press of RESET does nothing until it is ready.", WhatToDo: "Look at its lights and drives; then run `paperclip rescue` again."},
		{ID: "never_came_back", Exit: InPart, Text: "The NAS has not come back within %s.", Meaning: "It may still be starting, or have an address that this computer does not reach.", WhatToDo: "Leave it alone for ten minutes, look at its lights, and run `paperclip find --watch`."},
		{ID: "no_button_needed", Exit: Refused, Text: "%s", Meaning: "A reset would not help against that, and cost settings. Nothing was changed.", WhatToDo: "%s"},
		{ID: "guided_end", Exit: InPart, Text: "From here on it goes by hand: %s.", WhatToDo: "%s"},
	}
}
