package guided

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/domain/triage"
	"github.com/paperclip-nas/paperclip/internal/domain/ways"
	"github.com/paperclip-nas/paperclip/internal/owner/discover"
	"github.com/paperclip-nas/paperclip/internal/owner/kept"
	"github.com/paperclip-nas/paperclip/internal/owner/pins"
)

// Difference is one setting that is not as it was.
type Difference struct {
	Setting string `json:"setting"`
	Then    string `json:"then"`
	Now     string `json:"now"`
}

// Session is an administrator's, at a vendor's NAS.
type Session struct {
	box     Device
	found   discover.Device
	account string
	// Known says whether its certificate had been met before.
	Known    bool
	Settings nas.Settings
	More     ways.Known
	Shares   []string // nil where they are not told
	NotHeld  []string // what its API does not show
}

// SignIn finds no NAS and presses nothing: it signs in once, as account, and
// reads what the API shows. A certificate that is not the one of before is the
// problem certificate_changed, and no password is sent.
func SignIn(ctx context.Context, cfg Config, d discover.Device, account string, password access.Secret) (*Session, error) {
	pin := cfg.Pins.Pin(d.Identity())
	box, err := cfg.Meet(ctx, d, pin)
	if err != nil {
		return nil, err
	}
	if box.Fingerprint() != "" {
		met := pins.Device{Fingerprint: box.Fingerprint(), Vendor: d.Vendor, Name: d.Name, Serial: d.Serial, MACs: d.MACs, Seen: cfg.Clock.Now()}
		if err := cfg.Pins.Remember(met); err != nil {
			return nil, err
		}
	}
	answer, raw, err := box.SignIn(ctx, account, password, access.Secret{})
	if err != nil {
		return nil, err
	}
	if answer != triage.Accepted {
		c := triage.Evidence{Vendor: triage.Vendor(d.Vendor), Status: nas.Ready, Door: triage.Open, Answer: answer, Press: triage.NotPressed}.Cause()
		p := catalog.New("vendor_refused", strings.TrimRight(raw+". "+c.Text, "."))
		p.WhatToDo = c.WhatToDo
		return nil, p
	}
	s := &Session{box: box, found: d, account: account, Known: pin != ""}
	if err := s.read(ctx); err != nil {
		s.End(ctx)
		return nil, err
	}
	return s, nil
}

func (s *Session) read(ctx context.Context) (err error) {
	var unread []string
	if s.Settings, s.More, unread, err = s.box.Read(ctx); err != nil {
		return err
	}
	s.NotHeld = append([]string{"firewall rules", "passwords and keys", "permissions and packages", "files"}, unread...)
	switch names, err := s.box.Shares(ctx); {
	case err == nil:
		s.Shares = append([]string{}, names...)
	case ctx.Err() != nil:
		return ctx.Err()
	default:
		s.NotHeld = append(s.NotHeld, "shared folders' names")
	}
	return nil
}

// End signs out.
func (s *Session) End(ctx context.Context) {
	leave, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
	defer cancel()
	_ = s.box.SignOut(leave)
}

// Backup is how a person saves the vendor's own settings backup, which holds more.
func (s *Session) Backup() Page { return s.box.Page(TaskBackup) }

// Record is what was read, as of now.
func (s *Session) Record(now time.Time) kept.Record {
	d := s.found
	r := kept.Record{Vendor: d.Vendor, Name: d.Name, Model: d.Model, Serial: d.Serial, MACs: d.MACs, Firmware: d.Version, MadeAt: now.UTC().Truncate(time.Second), Settings: s.Settings, Shares: s.Shares, NotHeld: s.NotHeld}
	if r.MACs == nil {
		r.MACs = []string{}
	}
	return r
}

// Differences lists what is not as it was when the record was made.
func (s *Session) Differences(then kept.Record) []Difference {
	out := []Difference{}
	for _, e := range []nas.Effect{nas.E3, nas.E4, nas.E8, nas.E9} {
		was, is := reset.Describe(e, then.Settings, ""), reset.Describe(e, s.Settings, "")
		if was != is && told(e, then.Settings) && told(e, s.Settings) {
			out = append(out, Difference{e.Setting(), was, is})
		}
	}
	for _, a := range then.Settings.Accounts {
		now, there := s.Settings.Account(a.Name)
		switch {
		case !there:
			out = append(out, Difference{"user " + a.Name, "there", "gone"})
		case a.Enabled != now.Enabled:
			out = append(out, Difference{"user " + a.Name, onOff(a.Enabled), onOff(now.Enabled)})
		}
	}
	for _, name := range then.Shares {
		if s.Shares != nil && !slices.Contains(s.Shares, name) {
			out = append(out, Difference{"shared folder " + name, "there", "gone"})
		}
	}
	return out
}

func told(e nas.Effect, s nas.Settings) bool {
	switch e {
	case nas.E3:
		return s.Ports != nil
	case nas.E4:
		return len(s.Interfaces) > 0
	case nas.E8:
		return s.AutoBlock != nil
	case nas.E9:
		return s.Firewall != nil
	}
	return false
}

func onOff(on bool) string {
	if on {
		return "enabled"
	}
	return "disabled"
}

// PutBack puts back what a record holds and is not so: by program what is known
// well enough, by a person what is not. There is no trial on another maker's NAS:
// what was put back stays.
func (s *Session) PutBack(ctx context.Context, cfg Config, then kept.Record) (restored, left []string, err error) {
	r := newRun(cfg, Request{})
	r.before, r.now, r.box, r.signedIn = s.found, s.found, s.box, true
	r.evidence.Vendor, r.administrator = triage.Vendor(s.found.Vendor), s.account
	r.settings, r.known = &s.Settings, s.More
	r.wanted, r.wantedAt, r.shares = &then.Settings, then.MadeAt, then.Shares
	for _, name := range then.Shares {
		if s.Shares != nil && !slices.Contains(s.Shares, name) {
			r.missing = append(r.missing, name)
		}
	}
	r.tooLong = len(r.missing) > 0
	if !r.tooLong {
		for _, name := range r.lostAccounts() {
			r.leftOver("the user " + name + " has to be made anew")
		}
	}
	was, known := then.Settings.Account(builtIn)
	if is, there := s.Settings.Account(builtIn); known && there && !was.Enabled && is.Enabled && s.account != builtIn {
		if err := r.disableBuiltIn(ctx); err != nil {
			return r.res.Restored, r.res.NotDone, err
		}
	}
	puts := []func(context.Context, *run) error{putShares, putPorts, putStatic}
	if w := then.Settings; w.AutoBlock != nil && w.AutoBlock.Enabled {
		puts = append([]func(context.Context, *run) error{putProtection}, puts...)
	}
	if w := then.Settings; w.Firewall != nil && w.Firewall.Enabled {
		puts = append([]func(context.Context, *run) error{putFirewall}, puts...)
	}
	for _, put := range puts {
		if err := put(ctx, r); err != nil {
			return r.res.Restored, r.res.NotDone, err
		}
	}
	return r.res.Restored, r.res.NotDone, nil
}

// putStatic has the address put back that the record holds.
func putStatic(ctx context.Context, r *run) error {
	if r.network() == "" || len(r.settings.Interfaces) == 0 {
		return nil
	}
	was, is := r.wanted.Interfaces[0], r.settings.Interfaces[0]
	if is.Method == nas.Static && slices.Equal(was.Addresses, is.Addresses) {
		return nil
	}
	done, err := r.page(ctx, TaskNetwork, "Its first interface had this address, set by hand:"+r.network())
	if err != nil {
		return err
	}
	for begun := r.cfg.Clock.Monotonic(); done; {
		d, ok, err := r.look(ctx)
		if err != nil {
			return err
		}
		if ok && d.DHCP != nil && !*d.DHCP {
			r.restored(nas.E4.Setting())
			return nil
		}
		if r.cfg.Clock.Monotonic()-begun > r.cfg.Settle {
			break
		}
		if err := r.pause(ctx); err != nil {
			return err
		}
	}
	r.leftOver("its address was" + strings.TrimRight(r.network(), "."))
	return nil
}
