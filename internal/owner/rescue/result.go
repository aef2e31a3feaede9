package rescue

import (
	"fmt"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
)

// Result is what `paperclip rescue --json` prints. Its names are a contract
// (design.md, "The command line"); no password, code or key is among them.
type Result struct {
	ID                 string      `json:"id"` // of the rescue, for --resume
	Device             string      `json:"device"`
	Cause              string      `json:"cause"`
	Way                WayID       `json:"way"`
	Plan               *reset.Plan `json:"plan"`
	Timeline           []Entry     `json:"timeline"`
	AddressBefore      string      `json:"address_before"`
	AddressAfter       string      `json:"address_after"`
	Administrator      string      `json:"administrator"`
	SignedIn           bool        `json:"signed_in"`
	OldPasswordRefused *bool       `json:"old_password_refused"`
	Data               *Data       `json:"data"`
	Restored           []string    `json:"restored"`
	Receipt            string      `json:"receipt"`           // where it is kept
	Request            string      `json:"request,omitempty"` // what waits on the NAS (D11)
	NotDone            []string    `json:"not_done"`

	// Invented are the ids of what the lab made up on the way, where no source
	// says what a real device does; absent on a real NAS.
	Invented []string `json:"invented,omitempty"`

	Problem *catalog.Problem `json:"problem,omitempty"`

	// Guided says that it is a rescue of another maker's NAS.
	Guided bool `json:"-"`
}

// NewPassword tells whether a new password was set for somebody.
func (r Result) NewPassword() bool {
	if r.Guided {
		return r.Administrator != ""
	}
	return r.Plan != nil && r.Way != SoftClaimNetwork && r.Administrator != ""
}

// result puts the state into the words of the contract.
func (st State) result(receiptPath string) Result {
	r := Result{
		ID: st.ID, Device: st.Device, Cause: causeOf(st.Mode, st.Scope), Way: st.Way, Plan: st.Plan, Timeline: st.Timeline,
		AddressBefore: st.AddressBefore, AddressAfter: st.AddressAfter, Administrator: st.Administrator, SignedIn: st.SignedIn,
		OldPasswordRefused: st.Evidence.OldPasswordRefused, Data: st.Evidence.Data, Restored: []string{}, NotDone: st.NotDone,
		Request: st.Request,
	}
	if r.NotDone == nil {
		r.NotDone = []string{}
	}
	if st.HasReceipt {
		r.Receipt = receiptPath
	}
	return r
}

// judge is whether a rescue that went through all its steps did what it is
// for: nil, or the problem that says what could not be shown.
func (st State) judge() error {
	switch {
	case st.Evidence.Data != nil && st.Evidence.Data.Changed > 0:
		return catalog.New("data_changed", fmt.Sprint(st.Evidence.Data.Changed))
	case !st.SignedIn:
		return catalog.New("not_verified", "signing in anew did not work")
	case st.Evidence.OldPasswordRefused != nil && !*st.Evidence.OldPasswordRefused && st.setsPassword():
		return catalog.New("not_verified", "the old password still works")
	}
	last := map[Name]bool{}
	for _, e := range st.Timeline {
		last[e.Step] = e.Verified
	}
	if st.setsPassword() { // the new password opening the NAS shows both
		delete(last, Commit)
		delete(last, Redeem)
		delete(last, Follow)
	}
	for _, n := range Steps() {
		if verified, done := last[n]; done && !verified {
			return catalog.New("not_verified", "the step "+string(n)+" is not shown to have worked")
		}
	}
	return nil
}
