package dsm

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/ways"
	"github.com/paperclip-nas/paperclip/internal/protocol/dsmapi"
	"github.com/paperclip-nas/paperclip/internal/x/printable"
)

const administrators = "administrators"

// Read reads the settings that a reset changes, and what decides which way can
// help. A part that the DSM does not show stays nil and is named in unread, in
// words; only the list of users must be there.
func (d *Device) Read(ctx context.Context) (s nas.Settings, known ways.Known, unread []string, err error) {
	accounts, err := d.Accounts(ctx)
	if err != nil {
		return s, known, nil, err
	}
	s.Accounts = accounts
	known.Settings = ways.FromDevice
	others := 0
	for _, a := range accounts {
		if a.Administrator && a.Enabled && a.Name != d.account {
			others++
		}
	}
	known.OtherAdmins = &others
	if i := slices.IndexFunc(accounts, func(a nas.Account) bool { return a.Name == "guest" }); i >= 0 {
		s.Guest = &nas.Guest{Enabled: accounts[i].Enabled}
	}
	for _, part := range []struct {
		name string
		read func(context.Context, *nas.Settings, *ways.Known) error
	}{
		{"ports", d.readWeb},
		{"network", d.readNetwork},
		{"auto block", d.readAutoBlock},
		{"firewall", d.readFirewall},
		{"the reset button's option", d.readButton},
		{"the forgot-password mail", d.readMail},
	} {
		if err := part.read(ctx, &s, &known); err != nil {
			if ctx.Err() != nil {
				return s, known, unread, ctx.Err()
			}
			unread = append(unread, part.name+": "+catalog.AsProblem(err).Text)
		}
	}
	return s, known, unread, nil
}

// Accounts lists the local accounts. Who is an administrator is asked of the
// group where the list itself does not say it.
func (d *Device) Accounts(ctx context.Context) ([]nas.Account, error) {
	var list dsmapi.UserList
	if err := d.call(ctx, dsmapi.ListUsers(), &list); err != nil {
		return nil, err
	}
	var admins []string
	if !slices.ContainsFunc(list.Users, func(u dsmapi.User) bool { return len(u.Groups) > 0 }) {
		var members dsmapi.Names
		if err := d.call(ctx, dsmapi.Members(administrators), &members); err != nil {
			return nil, err
		}
		for _, m := range members.Users {
			admins = append(admins, m.Name)
		}
	}
	var out []nas.Account
	for _, u := range list.Users {
		out = append(out, nas.Account{
			Name: printable.Clean(u.Name), Administrator: slices.Contains(u.Groups, administrators) || slices.Contains(admins, u.Name),
			BuiltIn: u.Name == "admin", Enabled: d.enabled(u), SecondFactor: u.TwoFactor != nil && *u.TwoFactor,
		})
	}
	return out, nil
}

// enabled reads the field "expired": a word, or the last day of the account.
func (d *Device) enabled(u dsmapi.User) bool {
	switch u.Expired {
	case dsmapi.Enabled, "":
		return true
	case dsmapi.Disabled:
		return false
	}
	day, err := time.ParseInLocation("2006/1/2", u.Expired, d.now().Location())
	return err == nil && d.now().Before(day.AddDate(0, 0, 1))
}

// ValidAdministrators are those who can still get in, by DSM's own judgement.
func (d *Device) ValidAdministrators(ctx context.Context) ([]string, error) {
	var list dsmapi.Names
	if err := d.call(ctx, dsmapi.ValidAdmins(), &list); err != nil {
		return nil, err
	}
	var out []string
	for _, u := range list.Users {
		out = append(out, printable.Clean(u.Name))
	}
	return out, nil
}

func (d *Device) readWeb(ctx context.Context, s *nas.Settings, _ *ways.Known) error {
	var w dsmapi.Web
	if err := d.call(ctx, dsmapi.GetWeb(), &w); err != nil {
		return err
	}
	s.Ports = &nas.Ports{HTTP: w.HTTPPort, HTTPS: w.HTTPSPort, ForceHTTPS: w.Redirect}
	return nil
}

func (d *Device) readNetwork(ctx context.Context, s *nas.Settings, _ *ways.Known) error {
	var list []dsmapi.Ethernet
	if err := d.call(ctx, dsmapi.ListEthernet(), &list); err != nil {
		return err
	}
	for _, e := range list {
		in := nas.Interface{Name: printable.Clean(e.Name), Method: nas.DHCP, MTU: e.MTU, Gateway: printable.Clean(e.Gateway)}
		if !e.DHCP {
			in.Method = nas.Static
		}
		if p, ok := prefix(e.IP, e.Mask); ok {
			in.Addresses = []netip.Prefix{p}
		}
		for dns := range strings.FieldsSeq(strings.ReplaceAll(e.DNS, ",", " ")) {
			in.DNS = append(in.DNS, printable.Clean(dns))
		}
		s.Interfaces = append(s.Interfaces, in)
	}
	return nil
}

// prefix joins an address and a mask in dotted form.
func prefix(ip, mask string) (netip.Prefix, bool) {
	a, err := netip.ParseAddr(ip)
	m, maskErr := netip.ParseAddr(mask)
	if err != nil || maskErr != nil || !a.Is4() || !m.Is4() {
		return netip.Prefix{}, false
	}
	bits := 0
	for _, b := range m.As4() {
		for ; b&0x80 != 0; b <<= 1 {
			bits++
		}
		if b != 0 {
			break
		}
	}
	return netip.PrefixFrom(a, bits), true
}

func (d *Device) readAutoBlock(ctx context.Context, s *nas.Settings, _ *ways.Known) error {
	var a dsmapi.AutoBlock
	if err := d.call(ctx, dsmapi.GetAutoBlock(), &a); err != nil {
		return err
	}
	s.AutoBlock = &nas.AutoBlock{Enabled: a.Enable}
	blocked, err := d.Blocked(ctx)
	s.AutoBlock.Blocked = blocked
	return err
}

// Blocked lists the addresses that are kept out, with the day their block ends
// where DSM says it.
func (d *Device) Blocked(ctx context.Context) ([]string, error) {
	var list dsmapi.BlockList
	if err := d.call(ctx, dsmapi.ListBlocked(), &list); err != nil {
		return nil, err
	}
	var out []string
	for _, b := range list.IPs {
		if a, err := netip.ParseAddr(b.IP); err == nil {
			out = append(out, a.String())
		}
	}
	return out, nil
}

// BlockEnds is in how many days a block of now ends by itself; 0 is never.
func (d *Device) BlockEnds(ctx context.Context) (days int, err error) {
	var a dsmapi.AutoBlock
	err = d.call(ctx, dsmapi.GetAutoBlock(), &a)
	return a.ExpireDay, err
}

func (d *Device) readFirewall(ctx context.Context, s *nas.Settings, _ *ways.Known) error {
	var f dsmapi.Firewall
	if err := d.call(ctx, dsmapi.GetFirewall(), &f); err != nil {
		return err
	}
	s.Firewall = &nas.Firewall{Enabled: f.Enable}
	return nil
}

func (d *Device) readButton(ctx context.Context, _ *nas.Settings, k *ways.Known) error {
	var b dsmapi.ResetButton
	if err := d.call(ctx, dsmapi.GetResetButton(), &b); err != nil {
		return err
	}
	k.KeepPassword = &b.KeepPassword
	return nil
}

func (d *Device) readMail(ctx context.Context, _ *nas.Settings, k *ways.Known) error {
	var p dsmapi.PasswordPolicy
	if err := d.call(ctx, dsmapi.GetPasswordPolicy(), &p); err != nil {
		return err
	}
	k.MailReset = &p.ResetByMail
	return nil
}
