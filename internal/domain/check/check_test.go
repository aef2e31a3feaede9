package check_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/check"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
)

// good is a NAS whose owner gets back in tomorrow.
func good() check.Facts {
	policy, keys, yes, day, none := access.ButtonFull, 1, true, 24*time.Hour, 0
	return check.Facts{
		Administrators: []check.Administrator{
			{Name: "anna", Enabled: true, SecondFactor: true, SignedIn: true, Codes: 10},
			{Name: "ben", Enabled: true, SecondFactor: true, SignedIn: true, Codes: 9},
			{Name: "admin", BuiltIn: true},
		},
		Policy: &policy, Findings: []check.Finding{{ID: "button", OK: true}}, OwnerKeys: &keys, Here: &yes, RecoveryKey: &yes, SnapshotAge: &day,
		Guest: &nas.Guest{}, AutoBlock: &nas.AutoBlock{Enabled: true}, Firewall: &nas.Firewall{Enabled: true},
		EncryptedFolders: []nas.EncryptedFolder{{Name: "papers", KeySealed: true, KeepKey: true}}, Requests: &none,
	}
}

func judge(f check.Facts) check.Report { return check.Judge("cellar", f, "the test", catalog.A) }

func of(r check.Report, id check.ID) (check.Check, bool) {
	i := slices.IndexFunc(r.Checks, func(c check.Check) bool { return c.ID == id })
	if i < 0 {
		return check.Check{}, false
	}
	return r.Checks[i], true
}

func TestAllIsWell(t *testing.T) {
	r := judge(good())
	if r.Score != 100 || len(r.Checks) != len(check.IDs()) {
		t.Errorf("%d of 100, %d checks of %d", r.Score, len(r.Checks), len(check.IDs()))
	}
	for _, c := range r.Checks {
		if !c.OK || c.Why == "" || c.WhatToDo != "" || c.Source != "the test" || c.Confidence != catalog.A {
			t.Errorf("%+v", c)
		}
	}
	if slices.Contains(check.IDs(), "") || len(slices.Compact(slices.Sorted(slices.Values(check.IDs())))) != len(check.IDs()) {
		t.Error("two checks have one id")
	}
}

// Each row alone: what makes it bad is told, with what to do, and costs score.
func TestEachCheck(t *testing.T) {
	set := func(p access.ButtonPolicy) *access.ButtonPolicy { return &p }
	no, old, one := false, 40*24*time.Hour, 1
	for name, c := range map[string]struct {
		id     check.ID
		change func(*check.Facts)
	}{
		"one administrator": {check.SecondAdministrator, func(f *check.Facts) { f.Administrators = f.Administrators[:1] }},
		"nobody":            {check.SecondAdministrator, func(f *check.Facts) { f.Administrators = f.Administrators[2:] }},
		"never signed in":   {check.SecondAdministrator, func(f *check.Facts) { f.Administrators[1].SignedIn = false }},
		"no codes":          {check.RecoveryCodes, func(f *check.Facts) { f.Administrators[0].Codes = 2 }},
		"no button":         {check.Button, func(f *check.Facts) { f.Findings[0].OK = false }},
		"something else":    {check.Device, func(f *check.Facts) { f.Findings[0] = check.Finding{ID: "recovery", Why: "open", WhatToDo: "enable"} }},
		"second proof, no codes": {check.ButtonPolicy, func(f *check.Facts) {
			f.Policy = set(access.ButtonSecondProof)
			f.Administrators[0].Codes, f.Administrators[1].Codes = 0, 0
		}},
		"network only, one known":   {check.ButtonPolicy, func(f *check.Facts) { f.Policy = set(access.ButtonNetworkOnly); f.Administrators[0].SignedIn = false }},
		"not enrolled":              {check.OwnerKey, func(f *check.Facts) { f.Here = &no }},
		"no recovery key":           {check.RecoveryKey, func(f *check.Facts) { f.RecoveryKey = &no }},
		"no snapshot":               {check.Snapshot, func(f *check.Facts) { f.SnapshotAge = nil }},
		"old snapshot":              {check.Snapshot, func(f *check.Facts) { f.SnapshotAge = &old }},
		"a key that a reset loses":  {check.EncryptedFolders, func(f *check.Facts) { f.EncryptedFolders[0].KeepKey = false }},
		"admin is on":               {check.BuiltInOff, func(f *check.Facts) { f.Administrators[2].Enabled = true }},
		"no second factor":          {check.SecondFactor, func(f *check.Facts) { f.Administrators[1].SecondFactor = false }},
		"guests":                    {check.GuestOff, func(f *check.Facts) { f.Guest.Enabled = true }},
		"no auto block":             {check.AutoBlock, func(f *check.Facts) { f.AutoBlock.Enabled = false }},
		"no firewall":               {check.Firewall, func(f *check.Facts) { f.Firewall.Enabled = false }},
		"it was reset":              {check.Notices, func(f *check.Facts) { f.Notices = []catalog.ID{"notice_reset"} }},
		"somebody's request waits ": {check.Requests, func(f *check.Facts) { f.Requests = &one }},
	} {
		f := good()
		c.change(&f)
		r := judge(f)
		got, known := of(r, c.id)
		if !known || got.OK || got.Why == "" || got.WhatToDo == "" && c.id != check.Button || r.Score >= 100 {
			t.Errorf("%s: %+v, score %d", name, got, r.Score)
		}
	}
}

// What was not found out is left out, and never makes a NAS look better or worse.
func TestUnknownIsLeftOut(t *testing.T) {
	if r := judge(check.Facts{}); len(r.Checks) != 0 || r.Score != 0 {
		t.Errorf("of nothing: %+v", r)
	}
	rapid.Check(t, func(t *rapid.T) {
		f := good()
		drop := func(name string) bool { return rapid.Bool().Draw(t, name) }
		if drop("findings") {
			f.Findings = nil
		}
		if drop("guest") {
			f.Guest = nil
		}
		if drop("firewall") {
			f.Firewall = nil
		}
		if drop("key") {
			f.RecoveryKey = nil
		}
		if drop("administrators") {
			f.Administrators = nil
		}
		if r := judge(f); r.Score != 100 {
			t.Fatalf("%d: %+v", r.Score, r.Checks)
		}
	})
}
