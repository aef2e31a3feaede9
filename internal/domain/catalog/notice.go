package catalog

import "slices"

// Notice is something that the administrators of a NAS are told for a while,
// whether they ask or not (D11): at sign-in, on the LAN, by mail.
type Notice struct {
	ID ID `json:"id"`
	// Text is for anybody who finds the NAS on the LAN. It names no account.
	Text string `json:"text"`
	// Banner is for whoever signs in to the NAS, and for the mail to root.
	Banner string `json:"-"`
}

// Notices lists every notice there is.
func Notices() []Notice {
	return []Notice{
		{ID: "notice_request_begun", Text: "somebody at the NAS asked for a reset, which waits", Banner: "Somebody who pressed this NAS's reset button has asked for a reset. It is not done yet: it waits, as you chose. If that was not one of you, refuse it: paperclipd requests --refuse"},
		{ID: "notice_request_refused", Text: "a request for a reset was refused", Banner: "A request for a reset was refused by an administrator. Nothing was changed."},
		{ID: "notice_reset", Text: "it was reset", Banner: "This NAS was reset with Paperclip. What was changed: paperclipd receipts"},
		{ID: "notice_code_spent", Text: "a recovery code was used", Banner: "A recovery code of an administrator was used. How many are left: paperclipd status"},
		{ID: "notice_restored", Text: "its settings were restored", Banner: "Settings of this NAS were put back from a snapshot. What was changed: paperclipd receipts"},
		{ID: "notice_account", Text: "an administrator's account was changed", Banner: "An administrator's account was changed through Paperclip: a new password, switched on, or switched off. Which: paperclipd receipts"},
		{ID: "notice_label_code", Text: "the code on its label was used", Banner: "Somebody has proved to be at this NAS with the code on its label, in place of the one that it beeps."},
	}
}

// NoticeOf looks a notice up; ok is false where there is none of that id.
func NoticeOf(id ID) (n Notice, ok bool) {
	all := Notices()
	i := slices.IndexFunc(all, func(n Notice) bool { return n.ID == id })
	if i < 0 {
		return Notice{}, false
	}
	return all[i], true
}
