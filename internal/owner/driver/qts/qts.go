// Package qts is the driver for QNAP's QTS and QuTS hero: one NAS, by the CGI
// calls that vendors/qnap.md §3 describes, over connections that all showed the
// same certificate.
//
// A password that a person typed is sent in exactly one request, whatever is
// answered. What the sources say of QTS's calls that write is weak (confidence
// C), so the driver changes nothing but sessions: Guide says which page to open
// and what to press. It has no call that resets, restarts or updates.
package qts

import (
	"context"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/triage"
	"github.com/paperclip-nas/paperclip/internal/domain/ways"
	"github.com/paperclip-nas/paperclip/internal/owner/driver/pinned"
	"github.com/paperclip-nas/paperclip/internal/protocol/authlogin"
	"github.com/paperclip-nas/paperclip/internal/protocol/qtsapi"
	"github.com/paperclip-nas/paperclip/internal/x/printable"
)

// maxAsked bounds of how many accounts the groups are asked.
const maxAsked = 200

const administrators = "administrators"

// Device is one QTS. Its calls come one at a time.
type Device struct {
	*pinned.Client
	now     func() time.Time
	sid     string
	account string

	// LastStep is what the last attempt said of the second step.
	LastStep TwoStep
}

// TwoStep is what QTS says when the code of the second step is missing or
// wrong: all of it needs the right password.
type TwoStep struct {
	Mail, Question bool          // stand-ins for the phone
	TriesLeft      int           // of mailed codes; -1 where it did not say
	Skew           time.Duration // the NAS's clock against this computer's; 0 where it did not say
}

// Meet connects to a QTS; nothing is asked and nothing secret is sent. now is
// for comparing clocks; nil is time.Now.
func Meet(ctx context.Context, at pinned.Place, o pinned.Options, now func() time.Time) (*Device, error) {
	if now == nil {
		now = time.Now
	}
	d := &Device{Client: pinned.New(at, o), now: now}
	return d, d.Connect(ctx)
}

// Identify is what a QTS tells anybody; newer firmware may hide half of it.
func (d *Device) Identify(ctx context.Context) (nas.Identity, nas.Status, string, error) {
	b, err := d.Send(ctx, authlogin.Path, nil, authlogin.MaxSize)
	if err != nil {
		return nas.Identity{}, nas.Unknown, "", err
	}
	i, err := authlogin.Parse(b)
	if err != nil {
		return nas.Identity{}, nas.Unknown, "", catalog.New("bad_message", "what the NAS says of itself").Because(err)
	}
	status, _ := i.Status()
	return nas.Identity{Name: i.Name, Vendor: "QNAP", Model: i.Model, OS: "QTS"}, status, i.Version, nil
}

// SignIn makes one attempt, and sends the password in that one request only.
// raw is the answer in the device's own words where it refused. An error says
// that there was no answer; the attempt is not repeated.
func (d *Device) SignIn(ctx context.Context, account string, password, code access.Secret) (answer triage.Answer, raw string, err error) {
	var a qtsapi.LoginAnswer
	if err := d.send(ctx, qtsapi.Login{User: account, Password: password, Code: code}.Request(), &a); err != nil {
		return triage.NotTried, "", err
	}
	d.LastStep = TwoStep{Mail: a.LostPhone == 1, Question: a.LostPhone == 2, TriesLeft: -1}
	if a.MailLimit > 0 {
		d.LastStep.TriesLeft = max(int(a.MailLimit-a.MailTries), 0)
	}
	if a.Clock > 0 {
		d.LastStep.Skew = time.Unix(int64(a.Clock), 0).Sub(d.now()).Round(time.Second)
	}
	answer = a.Answer(!code.Empty())
	if answer == triage.Accepted || answer == triage.MustChange && a.OK() {
		d.sid, d.account = string(a.SID), account
	}
	if answer != triage.Accepted {
		raw = a.Said()
	}
	return answer, raw, nil
}

// SignOut ends the session, if there is one. everywhere ends every session and
// remembered device of that account too.
func (d *Device) SignOut(ctx context.Context, everywhere bool) error {
	if d.sid == "" {
		return nil
	}
	r := qtsapi.Logout(everywhere)
	r.SID = d.sid
	d.sid, d.account = "", ""
	_, err := d.Send(ctx, r.Address(), nil, qtsapi.MaxAnswer) // what it answers is not in any source
	return err
}

// send makes one request outside a session, and reads the answer.
func (d *Device) send(ctx context.Context, r qtsapi.Request, out any) error {
	form := r.Form
	if form == nil {
		form = map[string][]string{}
	}
	b, err := d.Send(ctx, r.Address(), form, qtsapi.MaxAnswer)
	if err != nil {
		return err
	}
	if err := qtsapi.Parse(b, out); err != nil {
		return catalog.New("bad_message", "the answer of QTS").Because(err)
	}
	return nil
}

// call makes one request in the session.
func (d *Device) call(ctx context.Context, r qtsapi.Request, out any) error {
	if d.sid == "" {
		return catalog.New("not_signed_in")
	}
	r.SID = d.sid
	return d.send(ctx, r, out)
}

// judged is an error where an answer says that the session has ended.
func (d *Device) judged(passed bool, err error) error {
	if err == nil && !passed {
		d.sid = ""
		return catalog.New("vendor_refused", "the session has ended")
	}
	return err
}

// Accounts lists the local accounts; who is an administrator is asked for each.
func (d *Device) Accounts(ctx context.Context) ([]nas.Account, error) {
	var list qtsapi.UserList
	err := d.call(ctx, qtsapi.ListUsers(), &list)
	if err := d.judged(bool(list.Passed), err); err != nil {
		return nil, err
	}
	if list.Result != 0 {
		return nil, catalog.New("vendor_refused", "the list of users has the result "+strconv.Itoa(int(list.Result)))
	}
	var out []nas.Account
	for i, u := range list.Users {
		a := nas.Account{Name: printable.Clean(string(u.Name)), BuiltIn: u.UID == 0, Enabled: bool(u.Enabled), Administrator: u.UID == 0}
		if !a.BuiltIn && i < maxAsked {
			var g qtsapi.Groups
			if err := d.call(ctx, qtsapi.GroupsOf(string(u.Name)), &g); err != nil {
				return nil, err
			}
			a.Administrator = slices.Contains(g.List(), administrators)
		}
		out = append(out, a)
	}
	return out, nil
}

// Read reads what QTS shows of the settings that a reset changes. What is in no
// source (auto block, ports, firewall) is named in unread.
func (d *Device) Read(ctx context.Context) (s nas.Settings, known ways.Known, unread []string, err error) {
	if s.Accounts, err = d.Accounts(ctx); err != nil {
		return s, known, nil, err
	}
	others := 0
	for _, a := range s.Accounts {
		if a.Administrator && a.Enabled && a.Name != d.account {
			others++
		}
	}
	known.OtherAdmins = &others
	known.Settings = ways.FromDevice
	unread = []string{"access protection, firewall and ports: no source says how QTS tells them"}
	if in, err := d.network(ctx); err != nil {
		unread = append(unread, "network: "+catalog.AsProblem(err).Text)
	} else {
		s.Interfaces = []nas.Interface{in}
	}
	return s, known, unread, nil
}

func (d *Device) network(ctx context.Context) (nas.Interface, error) {
	var a qtsapi.SystemAnswer
	err := d.call(ctx, qtsapi.SystemInfo(), &a)
	if err := d.judged(bool(a.Passed), err); err != nil {
		return nas.Interface{}, err
	}
	in := nas.Interface{Name: "Adapter 1", Method: nas.Static}
	in.MAC, _ = nas.NormalMAC(string(a.MAC))
	if strings.EqualFold(strings.TrimSpace(string(a.DHCP)), "DHCP") {
		in.Method = nas.DHCP
	}
	addr, err := netip.ParseAddr(string(a.IP))
	mask, maskErr := netip.ParseAddr(string(a.Mask))
	if err == nil && maskErr == nil && addr.Is4() && mask.Is4() {
		ones := 0
		for _, b := range mask.As4() {
			for ; b&0x80 != 0; b <<= 1 {
				ones++
			}
		}
		in.Addresses = []netip.Prefix{netip.PrefixFrom(addr, ones)}
	}
	if a.DNS != "" {
		in.DNS = []string{printable.Clean(string(a.DNS))}
	}
	return in, nil
}

// Shares are the names of the shared folders: only read, from a call of which one
// source has the name and none the answer.
func (d *Device) Shares(ctx context.Context) ([]string, error) {
	var list qtsapi.ShareList
	err := d.call(ctx, qtsapi.ListShares(), &list)
	if err := d.judged(bool(list.Passed), err); err != nil {
		return nil, err
	}
	names, ok := list.Names()
	if !ok {
		return nil, catalog.New("no_such_api", "the list of shared folders")
	}
	return names, nil
}

// Describe is who the device says it is, in a session: with its serial.
func (d *Device) Describe(ctx context.Context) (id nas.Identity, version string, err error) {
	var a qtsapi.SystemAnswer
	err = d.call(ctx, qtsapi.SystemInfo(), &a)
	if err := d.judged(bool(a.Passed), err); err != nil {
		return nas.Identity{}, "", err
	}
	id = nas.Identity{Name: printable.Clean(string(a.Name)), Vendor: "QNAP", Model: printable.Clean(string(a.Model)), Serial: printable.Clean(string(a.Serial)), OS: "QTS"}
	if mac, ok := nas.NormalMAC(string(a.MAC)); ok {
		id.MACs = []string{mac}
	}
	return id, printable.Clean(string(a.Version)), nil
}

// Beep makes the box beep once, so that a person can hear which one it is. The
// call is from one source and changes nothing.
func (d *Device) Beep(ctx context.Context) error {
	var a qtsapi.Plain
	err := d.call(ctx, qtsapi.Beep(), &a)
	return d.judged(bool(a.Passed), err)
}
