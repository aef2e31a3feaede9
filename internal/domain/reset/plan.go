package reset

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/domain/nas"
)

// Plan is what a reset will do to one NAS, in words that are shown before it
// is accepted (promise 4). Its JSON names are those of `paperclip plan --json`.
type Plan struct {
	Device        string   `json:"device"`
	Mode          Mode     `json:"mode"`
	Scope         Scope    `json:"scope,omitempty"`
	Administrator string   `json:"administrator,omitempty"`
	Wizard        *Wizard  `json:"wizard,omitempty"`        // of a hard reset alone
	SecondFactor  bool     `json:"second_factor,omitempty"` // it is taken away too (E13)
	Saved         string   `json:"saved,omitempty"`         // of a restore alone: hex SHA-256 of what is put back
	Changes       []Change `json:"changes"`
	Keeps         []string `json:"keeps"`
	Losses        []string `json:"losses"`
	Interrupts    []string `json:"interrupts"`
	NotCovered    []string `json:"not_covered"`
	Takes         string   `json:"takes"`
	Needs         []string `json:"needs"`
}

// Change is one setting that will be different afterwards.
type Change struct {
	ID      nas.Effect `json:"id"`
	Setting string     `json:"setting"`
	From    string     `json:"from"`
	To      string     `json:"to"`
}

// Request is what somebody asks for.
type Request struct {
	Device        string // its name, for the reader
	Mode          Mode
	Scope         Scope
	Administrator string   // whose password is replaced; may be empty in a plan that only informs
	Wizard        Wizard   // of a hard reset
	SecondFactor  bool     // take that administrator's second factor away too (E13)
	Needs         []string // what the owner's policy asks for beside presence, for the reader
}

// Effects lists the rows that the request may change.
func (r Request) Effects() []nas.Effect {
	effects := Effects(r.Mode, r.Scope)
	if r.SecondFactor {
		effects = append(effects, nas.E13)
	}
	return effects
}

// Request is what was asked for, as far as the plan tells.
func (p Plan) Request() Request {
	r := Request{Device: p.Device, Mode: p.Mode, Scope: p.Scope, Administrator: p.Administrator, SecondFactor: p.SecondFactor}
	if p.Wizard != nil {
		r.Wizard = *p.Wizard
	}
	return r
}

// SameChanges reports whether two plans do the same. What merely stays may
// differ: a wait is long enough for that.
func (p Plan) SameChanges(q Plan) bool {
	same := func(p Plan) Plan {
		return Plan{Device: p.Device, Mode: p.Mode, Scope: p.Scope, Administrator: p.Administrator, Wizard: p.Wizard, SecondFactor: p.SecondFactor, Saved: p.Saved, Changes: p.Changes, Losses: p.Losses, NotCovered: p.NotCovered}
	}
	return same(p).Hash() == same(q).Hash()
}

// Coverage says of each effect whether this NAS can carry it out: what the
// adapters found. An effect that is absent has no adapter here.
type Coverage map[nas.Effect]Found

// Found is what an adapter found on the system.
type Found struct {
	Present bool
	What    string // "shadow file", "systemd-networkd 252"
	Why     string // why not, where Present is false
	Blocked bool   // it is here, and cannot be changed: Why says why
	Counts  bool   // it counts an account's failed sign-ins, and may lock it for a while
}

// With is what two adapters found of one effect: present where one of them is,
// and why not, for what is here and cannot be changed, beside it; where neither
// is present, why not of both.
func (f Found) With(o Found) Found {
	all := Found{Present: f.Present || o.Present, Blocked: f.Blocked || o.Blocked, Counts: f.Counts || o.Counts, What: f.What}
	if !f.Present && o.Present {
		all.What = o.What
	}
	var why []string
	for _, x := range []Found{f, o} {
		if x.Why != "" && (x.Blocked || !all.Present) && !slices.Contains(why, x.Why) {
			why = append(why, x.Why)
		}
	}
	all.Why = strings.Join(why, "; ")
	return all
}

// Hash names the plan that was shown, so that what is accepted is what was
// seen: hex SHA-256 of its JSON.
func (p Plan) Hash() string {
	b, err := json.Marshal(p)
	if err != nil { // a Plan is strings all through
		panic(fmt.Sprintf("reset: plan cannot be written: %v", err))
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// Build works out the plan for one NAS from its real settings.
func Build(r Request, s nas.Settings, covered Coverage) Plan {
	if r.Mode == Hard {
		r.Scope = ""
	}
	p := Plan{
		Device: r.Device, Mode: r.Mode, Scope: r.Scope, Administrator: r.Administrator, SecondFactor: r.SecondFactor,
		Changes: []Change{}, Keeps: []string{}, Losses: []string{}, Interrupts: []string{}, NotCovered: []string{}, Needs: []string{},
	}
	if r.Mode == Hard {
		p.Wizard = &r.Wizard
	}
	for _, e := range r.Effects() {
		f, known := covered[e]
		switch {
		case known && f.Present:
			p.add(e, s, r)
			if f.Why != "" { // of one part; another can be changed
				p.NotCovered = append(p.NotCovered, fmt.Sprintf("%s, in part: %s", e.Setting(), f.Why))
			}
		case known:
			p.NotCovered = append(p.NotCovered, fmt.Sprintf("%s: %s", e.Setting(), f.Why))
		default:
			p.NotCovered = append(p.NotCovered, e.Setting()+": nothing of the kind is managed on this NAS")
		}
	}
	p.Keeps = keeps(r, s, covered)
	if r.Mode == Hard {
		p.NotCovered = append(p.NotCovered, beyond()...)
		p.Losses = append(p.Losses, "how it is set up now: a bundle of these settings is kept on the NAS, for root alone, from which they can be put back")
	}
	p.Takes = takes(p)
	if SetsPassword(r.Mode, r.Scope) {
		p.Needs = append(p.Needs, "a new password of at least 15 characters")
	}
	p.Needs = append(p.Needs, r.Needs...)
	press := "the reset button held for 4 seconds"
	if r.Mode == Hard {
		press += " until it beeps, and within 10 seconds again until it beeps three times"
	}
	p.Needs = append(p.Needs, "somebody at the NAS: "+press+", and the code that it beeps")
	return p
}

// beyond is what no adapter manages, so that a hard reset leaves it (D5).
func beyond() []string {
	return []string{
		"installed programs and their own settings: containers, databases, media servers",
		"scheduled tasks (cron, systemd timers) and services that were switched on or off",
		"SSH host keys, and the authorized_keys in home folders: look into the administrator's",
		"certificates, mail, printers, and what else was set by hand on the system",
	}
}

// WayIn reports whether an administrator can sign in after the reset with a
// password that is known: one that the reset sets, or one that it leaves (X24).
func WayIn(r Request, s nas.Settings, covered Coverage) bool {
	effects := Effects(r.Mode, r.Scope)
	for _, e := range effects {
		if covered[e].Present {
			s = r.Wizard.Apply(e, s, r.Administrator)
		}
	}
	if slices.Contains(effects, nas.H3) { // whoever else could sign in is locked, or only at the console
		a, ok := s.Account(r.Administrator)
		return ok && a.Administrator && a.Enabled && covered[nas.E1].Present
	}
	return slices.ContainsFunc(s.Administrators(), func(a nas.Account) bool { return a.Enabled })
}

func (p *Plan) add(e nas.Effect, s nas.Settings, r Request) {
	administrator := r.Administrator
	before, after := Describe(e, s, administrator), Describe(e, r.Wizard.Apply(e, s, administrator), administrator)
	if e == nas.E1 {
		who := orChosen(administrator)
		before, after = who+": the password of now", who+": the new password that you choose; every session of that account is ended"
		if r.Wizard.NewAdministrator {
			before, after = who+": no such account", "a new administrator "+who+" is made, with the new password that you choose and an own, empty home folder on no volume"
		}
	}
	if before == after {
		return
	}
	p.Changes = append(p.Changes, Change{ID: e, Setting: e.Setting(), From: before, To: after})
	p.Losses = append(p.Losses, losses(e, s, administrator)...)
	for _, i := range interrupts(e) {
		if !slices.Contains(p.Interrupts, i) {
			p.Interrupts = append(p.Interrupts, i)
		}
	}
}

// Describe puts the part of the settings that effect e is about into words.
func Describe(e nas.Effect, s nas.Settings, administrator string) string {
	switch e {
	case nas.E1:
		return administrator
	case nas.E2:
		return onOff(s.Guest != nil && s.Guest.Enabled)
	case nas.E3:
		return describePorts(s)
	case nas.E4:
		return each(s.Interfaces, func(in nas.Interface) string { return in.Name + ": " + describeAddresses(in) })
	case nas.E5:
		return each(s.Interfaces, func(in nas.Interface) string {
			return fmt.Sprintf("%s: MTU %d", in.Name, mtu(in))
		})
	case nas.E6:
		return onOff(s.PPPoE != nil && s.PPPoE.Enabled)
	case nas.E7:
		return each(s.Bonds, func(b nas.Bond) string {
			return fmt.Sprintf("%s of %s: %s", b.Name, strings.Join(b.Members, " and "), onOff(b.Enabled))
		})
	case nas.E8:
		return onOff(s.AutoBlock != nil && s.AutoBlock.Enabled)
	case nas.E9:
		return onOff(s.Firewall != nil && s.Firewall.Enabled)
	case nas.E10:
		return member(s.HighAvailability)
	case nas.E11:
		return member(s.VirtualMachines)
	case nas.E12:
		return each(s.EncryptedFolders, describeFolder)
	case nas.E13:
		a, _ := s.Account(administrator)
		return onOff(a.SecondFactor)
	case nas.H1:
		return s.Name
	case nas.H2:
		return describeShares(s.Shares)
	case nas.H3:
		return describeOthers(s, administrator)
	}
	return ""
}

func describeShares(sh *nas.Shares) string {
	switch {
	case sh == nil:
		return "not managed"
	case !sh.Changed:
		return "as at install: " + listed(sh.Baseline)
	default:
		return listed(sh.Defined)
	}
}

func listed(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return enumerate(names)
}

// describeOthers says which of the accounts that H3 is about can sign in.
func describeOthers(s nas.Settings, administrator string) string {
	var open, locked []string
	for _, a := range s.Accounts {
		switch {
		case !Locked(a.Name, administrator):
		case a.Enabled:
			open = append(open, a.Name)
		default:
			locked = append(locked, a.Name)
		}
	}
	var parts []string
	if len(open) > 0 {
		parts = append(parts, enumerate(open)+": open")
	}
	if len(locked) > 0 {
		parts = append(parts, enumerate(locked)+": locked")
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, "; ")
}

func describePorts(s nas.Settings) string {
	d := "not managed"
	if s.Ports != nil {
		d = fmt.Sprintf("HTTP %d, HTTPS %d", s.Ports.HTTP, s.Ports.HTTPS)
		if s.Ports.ForceHTTPS {
			d += ", HTTP always sent to HTTPS"
		}
	}
	if s.Cockpit != nil {
		d += ", Cockpit " + strings.Join(s.Cockpit.Listen, " and ")
	}
	return d
}

func describeAddresses(in nas.Interface) string {
	switch in.Method {
	case nas.DHCP:
		return "address from DHCP"
	case nas.Static:
		parts := []string{"static"}
		for _, a := range in.Addresses {
			parts = append(parts, a.String())
		}
		if in.Gateway != "" {
			parts = append(parts, "gateway "+in.Gateway)
		}
		if len(in.DNS) > 0 {
			parts = append(parts, "DNS "+strings.Join(in.DNS, " "))
		}
		return strings.Join(parts, " ")
	case nas.LinkLocal:
		return "link-local address only"
	default:
		return "not configured"
	}
}

func describeFolder(f nas.EncryptedFolder) string {
	d := f.Name + ": closed"
	if f.Mounted {
		d = f.Name + ": open"
	}
	if f.MountOnStart {
		d += ", opened at start"
	}
	if f.KeySealed {
		d += ", key kept on the NAS"
	}
	return d
}

func mtu(in nas.Interface) int {
	if in.MTU == 0 {
		return standardMTU
	}
	return in.MTU
}

func member(m *nas.Membership) string {
	if m == nil || !m.Member {
		return "not a member"
	}
	return "member of " + m.Cluster
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

func each[T any](items []T, describe func(T) string) string {
	parts := make([]string, len(items))
	for i, it := range items {
		parts[i] = describe(it)
	}
	return strings.Join(parts, "; ")
}

// losses are what cannot be had back from the NAS afterwards.
func losses(e nas.Effect, s nas.Settings, administrator string) []string {
	switch e {
	case nas.E4:
		return []string{"the addresses that were set by hand: this plan and the receipt name them, so that they can be put back"}
	case nas.E10:
		return []string{"this NAS's place in the high-availability cluster"}
	case nas.E11:
		return []string{"this NAS's place in the virtual machine cluster"}
	case nas.E13:
		return []string{"the second factor: whoever has the new password alone gets in, until another one is set up"}
	case nas.E12:
		var out []string
		for _, f := range s.EncryptedFolders {
			if f.KeySealed && !f.KeepKey {
				out = append(out, fmt.Sprintf("the key of %s that is kept on the NAS: without its passphrase the folder cannot be opened again", f.Name))
			}
		}
		return out
	case nas.H2:
		return []string{"which folders are shared, with whom and how, as far as it was set since install; the folders and all in them stay"}
	case nas.H3:
		return []string{"that anybody but " + orChosen(administrator) + " can sign in, until that administrator opens their accounts again; every file keeps its owner"}
	}
	return nil
}

func orChosen(administrator string) string {
	if administrator == "" {
		return "the administrator that you choose"
	}
	return administrator
}

// interrupts are what stops for a moment (D12).
func interrupts(e nas.Effect) []string {
	switch e {
	case nas.E1:
		return []string{"sessions of the administrator whose password is replaced"}
	case nas.E3:
		return []string{"this NAS's own management pages"}
	case nas.E4, nas.E5, nas.E6, nas.E7:
		return []string{"everything that uses the network, for some seconds"}
	case nas.E12:
		return []string{"access to encrypted folders, until their passphrase is typed"}
	case nas.H1:
		return []string{"connections by the old name"}
	case nas.H2:
		return []string{"open SMB and NFS connections, which are made anew"}
	case nas.H3:
		return []string{"sessions of all other people"}
	}
	return nil
}

// keepsHard is what the hardest reset leaves as it is.
func keepsHard(s nas.Settings) []string {
	out := []string{
		"every file on every volume: no reset writes to a volume",
		"the volumes, and how they are mounted: fstab, mdadm.conf and crypttab are never touched",
		"every account, though locked: each file keeps its owner",
		"the identity key of this NAS, the owner's choice of what the button may do, every counter, spent recovery codes, receipts, enrolled owner keys",
	}
	if _, ok := s.Account("root"); ok {
		out = append(out, "root's password, if it has one: it opens the console")
	}
	return out
}

func keeps(r Request, s nas.Settings, covered Coverage) []string {
	effects := r.Effects()
	var out []string
	if r.Mode == Hard {
		out = keepsHard(s)
	} else {
		out = keepsSoft(r, s)
	}
	for _, e := range nas.Effects() {
		if e == nas.E1 || e == nas.E13 || e == nas.H2 || e == nas.H3 || slices.Contains(effects, e) || !present(e, s) {
			continue
		}
		out = append(out, e.Setting()+": "+Describe(e, s, r.Administrator))
	}
	if slices.Contains(effects, nas.E8) && s.AutoBlock != nil {
		out = append(out, fmt.Sprintf("the list of blocked addresses (%d)", len(s.AutoBlock.Blocked)))
	}
	out = append(out, counted(r, covered[nas.E8])...)
	if slices.Contains(effects, nas.E9) && s.Firewall != nil {
		out = append(out, fmt.Sprintf("the firewall's rules (%d), switched off", s.Firewall.Rules))
	}
	if !slices.Contains(effects, nas.E1) {
		out = append(out, "every password")
	}
	if a, ok := s.Account(r.Administrator); ok && a.SecondFactor && !r.SecondFactor {
		out = append(out, r.Administrator+"'s second factor: taking it away needs a second proof")
	}
	return out
}

// counted says what becomes of the failed sign-ins that the system has counted:
// where they have locked the account, a new password alone does not open it.
func counted(r Request, found Found) []string {
	switch {
	case !found.Counts || !SetsPassword(r.Mode, r.Scope) || r.Administrator == "":
		return nil
	case slices.Contains(r.Effects(), nas.E8):
		return []string{"the counting of failed sign-ins (pam_faillock), and every other account's count: only that of " + r.Administrator + " is cleared"}
	}
	return []string{"the count of failed sign-ins (pam_faillock): if it has locked " + r.Administrator + ", the new password works when that time is over; scope all clears it"}
}

func keepsSoft(r Request, s nas.Settings) []string {
	out := []string{"every file on every volume: no reset writes to a volume"}
	if others := otherAccounts(s, r.Administrator); len(others) > 0 {
		out = append(out, "the accounts and passwords of "+enumerate(others))
	} else {
		out = append(out, "every other account and its password")
	}
	return append(out, "shares and their permissions")
}

// named is how many accounts a plan names; the others it counts.
const named = 20

func enumerate(names []string) string {
	if len(names) <= named {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d others", strings.Join(names[:named], ", "), len(names)-named)
}

func otherAccounts(s nas.Settings, administrator string) []string {
	var out []string
	for _, a := range s.Accounts {
		if a.Name != administrator {
			out = append(out, a.Name)
		}
	}
	return out
}

// present reports whether the NAS has the part that e is about.
func present(e nas.Effect, s nas.Settings) bool {
	switch e {
	case nas.E2:
		return s.Guest != nil
	case nas.E3:
		return s.Ports != nil || s.Cockpit != nil
	case nas.E4, nas.E5:
		return len(s.Interfaces) > 0
	case nas.E6:
		return s.PPPoE != nil
	case nas.E7:
		return len(s.Bonds) > 0
	case nas.E8:
		return s.AutoBlock != nil
	case nas.E9:
		return s.Firewall != nil
	case nas.E10:
		return s.HighAvailability != nil
	case nas.E11:
		return s.VirtualMachines != nil
	case nas.E12:
		return len(s.EncryptedFolders) > 0
	case nas.H1:
		return s.Name != ""
	case nas.H2:
		return s.Shares != nil
	}
	return len(s.Accounts) > 0
}

func takes(p Plan) string {
	for _, c := range p.Changes {
		if c.ID == nas.E4 || c.ID == nas.E7 {
			return "seconds; the NAS may then be at another address"
		}
	}
	return "seconds; no restart"
}
