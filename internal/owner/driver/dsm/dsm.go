// Package dsm is the driver for Synology's DSM: one NAS, by the web API that
// vendors/synology.md §4 describes, over connections that all showed the same
// certificate.
//
// A password that a person typed is sent in exactly one request, whatever is
// answered: SignIn makes one attempt and never another. The driver changes only
// what rests on confidence B or better; for the rest Guide says which page to
// open and what to press. It has no call that resets, restarts or installs.
package dsm

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/triage"
	"github.com/paperclip-nas/paperclip/internal/owner/driver/pinned"
	"github.com/paperclip-nas/paperclip/internal/protocol/dsmapi"
	"github.com/paperclip-nas/paperclip/internal/protocol/webassistant"
	"github.com/paperclip-nas/paperclip/internal/x/printable"
)

// Device is one DSM. Its calls come one at a time.
type Device struct {
	*pinned.Client
	now func() time.Time

	apis    dsmapi.APIs
	session dsmapi.Session
	account string
}

// Meet connects to a DSM; nothing is asked and nothing secret is sent. now is
// for passwords' dates; nil is time.Now.
func Meet(ctx context.Context, at pinned.Place, o pinned.Options, now func() time.Time) (*Device, error) {
	if now == nil {
		now = time.Now
	}
	d := &Device{Client: pinned.New(at, o), now: now}
	return d, d.Connect(ctx)
}

// Identify is what a DSM tells anybody: whether it runs, and if not, what its
// installer says (vendors/synology.md §3.3). The names in it are hints.
func (d *Device) Identify(ctx context.Context) (nas.Identity, nas.Status, error) {
	if _, err := d.list(ctx); err == nil {
		return nas.Identity{Vendor: "Synology", OS: "DSM"}, nas.Ready, nil
	} else if ctx.Err() != nil {
		return nas.Identity{}, nas.Unknown, ctx.Err()
	}
	b, err := d.Send(ctx, webassistant.Path, nil, webassistant.MaxSize)
	if err != nil {
		return nas.Identity{}, nas.Unknown, err
	}
	s, err := webassistant.Parse(b)
	if err != nil {
		return nas.Identity{}, nas.Unknown, catalog.New("bad_message", "the NAS's state").Because(err)
	}
	id := nas.Identity{Name: s.Name, Vendor: "Synology", Model: s.Model, Serial: s.Serial, OS: "DSM"}
	if s.MAC != "" {
		id.MACs = []string{s.MAC}
	}
	return id, s.Status(), nil
}

// list asks which APIs there are, once.
func (d *Device) list(ctx context.Context) (dsmapi.APIs, error) {
	if d.apis != nil {
		return d.apis, nil
	}
	form, err := dsmapi.InfoQuery().Form("")
	if err != nil {
		return nil, err
	}
	b, err := d.Send(ctx, dsmapi.PathQuery, form, dsmapi.MaxAnswer)
	if err != nil {
		return nil, err
	}
	if d.apis, err = dsmapi.ParseAPIs(b); err != nil {
		return nil, catalog.New("bad_message", "the list of what this DSM can do").Because(err)
	}
	return d.apis, nil
}

// SignIn makes one attempt, and sends the password in that one request only.
// raw is the answer in the device's own words where it refused. An error says
// that there was no answer: whether the attempt arrived is then not known, and
// it is not repeated.
func (d *Device) SignIn(ctx context.Context, account string, password, code access.Secret) (answer triage.Answer, raw string, err error) {
	apis, err := d.list(ctx)
	if err != nil {
		return triage.NotTried, "", err
	}
	at, version, format, ok := apis.Path(dsmapi.APIAuth, 6)
	if !ok || version < 3 {
		return triage.NotTried, "", catalog.New("no_such_api", dsmapi.APIAuth)
	}
	form, err := dsmapi.Login{Account: account, Password: password, Code: code}.Request(version).Form(format)
	if err != nil {
		return triage.NotTried, "", err
	}
	b, err := d.Send(ctx, at, form, dsmapi.MaxAnswer)
	if err != nil {
		return triage.NotTried, "", err
	}
	var s dsmapi.Session
	if err := dsmapi.ParseAnswer(b, dsmapi.APIAuth, &s); err != nil {
		if e, ok := errors.AsType[*dsmapi.Error](err); ok {
			return e.Answer(), e.Said(), nil
		}
		return triage.NotTried, "", catalog.New("bad_message", "the answer to the sign-in").Because(err)
	}
	if s.SID == "" {
		return triage.Other, "a sign-in without a session", nil
	}
	d.session, d.account = s, account
	return triage.Accepted, "", nil
}

// SignOut ends the session, if there is one.
func (d *Device) SignOut(ctx context.Context) error {
	if d.session.SID == "" {
		return nil
	}
	err := d.call(ctx, dsmapi.Logout(), nil)
	d.session, d.account = dsmapi.Session{}, ""
	return err
}

// call makes one call in the session.
func (d *Device) call(ctx context.Context, r dsmapi.Request, out any) error {
	if d.session.SID == "" {
		return catalog.New("not_signed_in")
	}
	apis, err := d.list(ctx)
	if err != nil {
		return err
	}
	at, version, format, ok := apis.Path(r.API, r.Version)
	if !ok {
		return catalog.New("no_such_api", r.API)
	}
	r.Version, r.SID, r.Token = version, d.session.SID, d.session.Token
	form, err := r.Form(format)
	if err != nil {
		return err
	}
	b, err := d.Send(ctx, at, form, dsmapi.MaxAnswer)
	if err != nil {
		return err
	}
	return inOurWords(dsmapi.ParseAnswer(b, r.API, out), r)
}

func inOurWords(err error, r dsmapi.Request) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*dsmapi.Error](err); ok {
		return catalog.New("vendor_refused", e.Error()+" ("+r.String()+")").Because(e)
	}
	return catalog.New("bad_message", "the answer to "+r.String()).Because(err)
}

// Describe is who the device says it is, in a session: with its serial.
func (d *Device) Describe(ctx context.Context) (id nas.Identity, version string, err error) {
	var i dsmapi.Info
	if err := d.call(ctx, dsmapi.GetInfo(), &i); err != nil {
		return nas.Identity{}, "", err
	}
	version = strings.TrimPrefix(printable.Clean(i.Version), "DSM ")
	return nas.Identity{Vendor: "Synology", Model: printable.Clean(i.Model), Serial: printable.Clean(i.Serial), OS: "DSM"}, version, nil
}

// Beep makes the box beep for as long as ctx lives, at most a few seconds, so
// that a person can hear which one it is.
func (d *Device) Beep(ctx context.Context) error { return d.call(ctx, dsmapi.Beep(true), nil) }

// EndBeep stops it.
func (d *Device) EndBeep(ctx context.Context) error { return d.call(ctx, dsmapi.Beep(false), nil) }

// Page is a page for a person's browser, and what to press there.
type Page struct {
	URL   string
	Press []string
	Fact  catalog.ID // why it is not done by program
}

// Task names what a person does in the browser.
type Task string

// The tasks (design.md, "Vendors": what is below B is guided).
const (
	ResetPage    Task = "reset_page" // the page after Mode 1
	Network      Task = "network"
	FirewallOn   Task = "firewall"
	Backup       Task = "backup"
	SignOutAll   Task = "sign_out_everywhere"
	TwoFactor    Task = "two_factor"
	Installer    Task = "installer"
	DisableAdmin Task = "disable_admin"
	Password     Task = "password"
	RestoreDSS   Task = "restore_backup"
	Ports        Task = "ports"
	Protection   Task = "protection"
)

// Guide says how a person does a task.
func (d *Device) Guide(t Task) Page {
	page := func(fact catalog.ID, press ...string) Page { return Page{URL: d.URL("/"), Press: press, Fact: fact} }
	switch t {
	case ResetPage:
		return page("synology.api.reset_page", "Sign in as admin, in lower case, with the password left empty.", "On \"Reset the password for your account\" choose your own administrator, type the new password twice, Submit.", "Older DSM asks for a new password for admin instead.")
	case Network:
		return page("synology.network.set", "Control Panel, Network, Network Interface.", "Choose the interface, Edit, \"Use manual configuration\"; type the address, mask and gateway; OK.")
	case FirewallOn:
		return page("synology.mode1.firewall", "Control Panel, Security, Firewall.", "Tick \"Enable firewall\", look at the rules, Apply.")
	case Backup:
		return page("synology.backup.start", "Control Panel, Update & Restore, Configuration Backup, Export.", "Keep the .dss file somewhere else than on this NAS.")
	case SignOutAll:
		return page("synology.signin.codes", "Resource Monitor, Connections: end every connection that is not yours.")
	case TwoFactor:
		return page("synology.mode1.otp_other", "Options (the person at the top), Personal, Account or Security, 2-Factor Authentication.")
	case Installer:
		return page("synology.mode2.reinstall", "Press Install (or Reinstall). With internet the NAS fetches its system by itself.", "Without: on another computer download the .pat file for exactly this model from the maker's download page, then choose Manual install and that file.", "Choose nothing that erases or formats. It takes about 10 minutes; then it asks for a name, an administrator and a password: keep them.")
	case RestoreDSS:
		return page("synology.mode2.dss", "Control Panel, Update & Restore, Configuration Backup, Restore configuration; choose the .dss file, tick all, OK.", "It brings back users, groups, shared folders and permissions. A password in it is the one of then.")
	case Ports:
		return page("synology.mode1.ports", "Control Panel, Login Portal (older: Network, DSM Settings): HTTP and HTTPS port as before, Save. The page then answers at the new port.")
	case Protection:
		return page("synology.mode1.autoblock", "Control Panel, Security, Protection (older: Auto Block): tick \"Enable auto block\", Apply.")
	case DisableAdmin:
		return page("synology.mode1.admin", "Control Panel, User & Group, admin, Edit, \"Disable this account\".")
	default:
		return page("synology.signin.codes", "Control Panel, User & Group, choose the user, Edit, type the new password twice, Save.")
	}
}

// String is the page in one line.
func (p Page) String() string { return fmt.Sprintf("%s: %s", p.URL, strings.Join(p.Press, " ")) }
