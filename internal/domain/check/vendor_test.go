package check_test

import (
	"testing"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/check"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
)

// R7: the same question for a vendor's NAS; what was not read is
// left out and never guessed, and every sentence has a source.
func TestVendor(t *testing.T) {
	yes, no := true, false
	accounts := []nas.Account{{Name: "anna", Administrator: true, Enabled: true, SecondFactor: true}, {Name: "dora", Administrator: true, Enabled: true, SecondFactor: true}, {Name: "admin", Administrator: true, BuiltIn: true}}
	good := check.VendorFacts{Vendor: "Synology", Settings: nas.Settings{Accounts: accounts, Guest: &nas.Guest{}, AutoBlock: &nas.AutoBlock{Enabled: true}, Firewall: &nas.Firewall{Enabled: true}}, KeepPassword: &no, MailReset: &yes, Met: true, As: "anna"}
	r := check.JudgeVendor("attic", good)
	if r.Score != 100 || len(r.Checks) != 9 {
		t.Errorf("%+v", r)
	}
	bad := good
	bad.Settings.Accounts = []nas.Account{{Name: "admin", Administrator: true, BuiltIn: true, Enabled: true}}
	bad.Settings.Guest, bad.Settings.AutoBlock, bad.Settings.Firewall = &nas.Guest{Enabled: true}, &nas.AutoBlock{}, &nas.Firewall{}
	bad.KeepPassword, bad.MailReset, bad.Met = &yes, &no, false
	r = check.JudgeVendor("attic", bad)
	if r.Score != 0 || len(r.Checks) != 9 {
		t.Errorf("%+v", r)
	}
	for _, c := range r.Checks {
		if c.OK || c.Why == "" || c.WhatToDo == "" || c.Source == "" || c.Confidence != catalog.B {
			t.Errorf("%+v", c)
		}
	}
	qnap := check.JudgeVendor("studio", check.VendorFacts{Vendor: "QNAP", Settings: nas.Settings{Accounts: accounts}, Met: true})
	if len(qnap.Checks) != 3 || qnap.Checks[0].Confidence != catalog.C {
		t.Errorf("%+v", qnap)
	}
}
