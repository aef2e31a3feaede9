package dsm

import (
	"context"
	"net/netip"
	"slices"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/protocol/dsmapi"
)

// What is changed by program rests on vendors/synology.md §4.2 (confidence B),
// and is read back; what cannot be read back is the problem vendor_unread.

// SetPassword gives an account a new password. Whether it works is shown by
// signing in with it: the list of users does not say.
func (d *Device) SetPassword(ctx context.Context, account string, password access.Secret) error {
	return d.call(ctx, dsmapi.SetPassword(account, password), nil)
}

// SetEnabled enables or disables an account.
func (d *Device) SetEnabled(ctx context.Context, account string, on bool) error {
	if err := d.call(ctx, dsmapi.SetEnabled(account, on), nil); err != nil {
		return err
	}
	all, err := d.Accounts(ctx)
	if err != nil {
		return unread("the account "+account, err)
	}
	for _, a := range all {
		if a.Name == account && a.Enabled == on {
			return nil
		}
	}
	return unread("the account "+account, nil)
}

// SetAutoBlock turns auto block on or off; its numbers stay, or are DSM's
// defaults where there are none.
func (d *Device) SetAutoBlock(ctx context.Context, on bool) error {
	var a dsmapi.AutoBlock
	if err := d.call(ctx, dsmapi.GetAutoBlock(), &a); err != nil {
		return err
	}
	a.Enable = on
	if a.Attempts == 0 || a.WithinMins == 0 {
		a.Attempts, a.WithinMins = 10, 5 // vendors/synology.md §4.2
	}
	if err := d.call(ctx, dsmapi.SetAutoBlock(a), nil); err != nil {
		return err
	}
	var now dsmapi.AutoBlock
	if err := d.call(ctx, dsmapi.GetAutoBlock(), &now); err != nil || now.Enable != on {
		return unread("auto block", err)
	}
	return nil
}

// Unblock takes an address off the list of blocked ones.
func (d *Device) Unblock(ctx context.Context, addr netip.Addr) error {
	if err := d.call(ctx, dsmapi.Unblock(addr.String()), nil); err != nil {
		return err
	}
	if left, err := d.Blocked(ctx); err != nil || slices.Contains(left, addr.String()) {
		return unread("the list of blocked addresses", err)
	}
	return nil
}

// SetRedirect turns the forced redirect to HTTPS on or off.
func (d *Device) SetRedirect(ctx context.Context, on bool) error {
	var w dsmapi.Web
	if err := d.call(ctx, dsmapi.GetWeb(), &w); err != nil {
		return err
	}
	if err := d.call(ctx, dsmapi.SetRedirect(w, on), nil); err != nil {
		return err
	}
	if err := d.call(ctx, dsmapi.GetWeb(), &w); err != nil || w.Redirect != on {
		return unread("the redirect", err)
	}
	return nil
}

// SetKeepPassword writes the owner's option by which Mode 1 keeps the password.
func (d *Device) SetKeepPassword(ctx context.Context, on bool) error {
	if err := d.call(ctx, dsmapi.SetResetButton(dsmapi.ResetButton{KeepPassword: on}), nil); err != nil {
		return err
	}
	var b dsmapi.ResetButton
	if err := d.call(ctx, dsmapi.GetResetButton(), &b); err != nil || b.KeepPassword != on {
		return unread("the reset button's option", err)
	}
	return nil
}

// ForgetDevices makes every other device prove its second step again. Sessions
// that are open are ended by hand: see Guide(SignOutAll).
func (d *Device) ForgetDevices(ctx context.Context) error {
	return d.call(ctx, dsmapi.ForgetDevices(), nil)
}

func unread(what string, err error) error { return catalog.New("vendor_unread", what).Because(err) }
