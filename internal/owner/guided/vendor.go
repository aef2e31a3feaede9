package guided

import (
	"context"
	"errors"
	"net/netip"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/owner/discover"
	"github.com/paperclip-nas/paperclip/internal/owner/driver/dsm"
	"github.com/paperclip-nas/paperclip/internal/owner/driver/pinned"
	"github.com/paperclip-nas/paperclip/internal/owner/driver/qts"
)

// Connect connects to the vendor's NAS where it was found; plain says that a
// person agreed to plain HTTP. It is Config.Meet for real drivers.
func Connect(ctx context.Context, d discover.Device, pin string, plain bool) (Device, error) {
	if len(d.Addresses) == 0 {
		return nil, catalog.New("unreachable", d.Name)
	}
	at := pinned.Place{Addr: d.Addresses[0], HTTP: d.HTTPPort, HTTPS: d.HTTPSPort}
	o := pinned.Options{Pin: pin, Plain: plain}
	switch d.Vendor {
	case "Synology":
		if at.HTTP == 0 && at.HTTPS == 0 {
			at.HTTP, at.HTTPS = 5000, 5001
		}
		box, err := dsm.Meet(ctx, at, o, nil)
		if err != nil {
			return nil, err
		}
		return dsmDevice{box}, nil
	case "QNAP":
		if at.HTTP == 0 && at.HTTPS == 0 {
			at.HTTP, at.HTTPS = 8080, 443
		}
		box, err := qts.Meet(ctx, at, o, nil)
		if err != nil {
			return nil, err
		}
		return qtsDevice{box}, nil
	}
	return nil, catalog.New("not_yet", "guiding through a NAS of "+d.Vendor)
}

// Serves reports whether a NAS of that vendor can be guided through.
func Serves(vendor string) bool { return vendor == "Synology" || vendor == "QNAP" }

type dsmDevice struct{ *dsm.Device }

func (d dsmDevice) Unblock(ctx context.Context, address string) error {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return catalog.New("usage", "The address "+address+" cannot be read.")
	}
	return d.Device.Unblock(ctx, a)
}

// State implements Device.
func (d dsmDevice) State(ctx context.Context) (nas.Status, error) {
	_, s, err := d.Identify(ctx)
	return s, err
}

// Shares implements Device: no source says how DSM's API lists them.
func (d dsmDevice) Shares(context.Context) ([]string, error) {
	return nil, catalog.New("no_such_api", "the list of shared folders")
}

// SignOutEverywhere implements Device: every other device has to prove its second
// step again, and this session ends. Open sessions a person ends.
func (d dsmDevice) SignOutEverywhere(ctx context.Context) error {
	return errors.Join(d.ForgetDevices(ctx), d.SignOut(ctx))
}

// Page implements Device.
func (d dsmDevice) Page(t Task) Page { return Page(d.Guide(dsm.Task(t))) }

type qtsDevice struct{ *qts.Device }

// State implements Device.
func (d qtsDevice) State(ctx context.Context) (nas.Status, error) {
	_, s, _, err := d.Identify(ctx)
	return s, err
}

// SignOutEverywhere implements Device: every session and remembered device of
// this account ends.
func (d qtsDevice) SignOutEverywhere(ctx context.Context) error { return d.Device.SignOut(ctx, true) }

func (d qtsDevice) SignOut(ctx context.Context) error { return d.Device.SignOut(ctx, false) }

// EndBeep implements Device: QTS beeps once and stops by itself.
func (d qtsDevice) EndBeep(context.Context) error { return nil }

func (d qtsDevice) SetPassword(context.Context, string, access.Secret) error {
	return d.guided(TaskPassword)
}

func (d qtsDevice) SetEnabled(context.Context, string, bool) error { return d.guided(TaskDisableAdmin) }

func (d qtsDevice) SetAutoBlock(context.Context, bool) error { return d.guided(TaskProtection) }

func (d qtsDevice) Unblock(context.Context, string) error { return d.guided(TaskProtection) }

func (d qtsDevice) SetRedirect(context.Context, bool) error { return d.guided(TaskProtection) }

func (d qtsDevice) Page(t Task) Page { return Page(d.Guide(qts.Task(t))) }

func (d qtsDevice) guided(t Task) error {
	p := d.Page(t)
	return catalog.New("vendor_guided", strings.ReplaceAll(string(t), "_", " "), strings.Join(p.Press, " "))
}
