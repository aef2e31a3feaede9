package guided

import (
	"context"
	"errors"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/triage"
	"github.com/paperclip-nas/paperclip/internal/domain/ways"
	"github.com/paperclip-nas/paperclip/internal/owner/rescue"
)

// reset reports whether this way took settings away.
func (r *run) reset() bool {
	switch r.way.ID {
	case ways.Reset1, ways.Reset2, ways.Reinstall, ways.DefaultSignIn:
		return true
	}
	return false
}

// leftOver notes what a person still has to do.
func (r *run) leftOver(what string) { r.res.NotDone = append(r.res.NotDone, what) }

func (r *run) restored(what string) { r.res.Restored = append(r.res.Restored, what) }

// doHarden closes what a reset opens. The built-in administrator is disabled
// only now, after another one has really signed in (R4).
func doHarden(ctx context.Context, r *run) (bool, error) {
	if !r.signedIn || r.settings == nil {
		return true, nil
	}
	admin, there := r.settings.Account(builtIn)
	if there && admin.Enabled && r.administrator != builtIn && r.reset() {
		if err := r.disableBuiltIn(ctx); err != nil {
			return false, err
		}
	}
	if r.administrator == builtIn {
		r.tell(harden, "You work as the built-in admin, whose name everybody knows: make an administrator of your own, and disable admin.")
	}
	others := 0
	for _, a := range r.settings.Administrators() {
		if a.Enabled && !a.BuiltIn && a.Name != r.administrator {
			others++
		}
	}
	if others == 0 {
		r.tell(harden, "There is no second administrator: with one, the next lock-out takes two minutes and no reset.")
	}
	if r.known.KeepPassword != nil && *r.known.KeepPassword {
		r.fact(harden, "synology.keep_password")
	}
	if !r.second {
		r.tell(harden, "A second step is off for "+r.administrator+". With it, print the recovery means too.")
	}
	if r.setsPassword() {
		where := "Remembered devices have to prove themselves again. Sessions that are still open you end under Resource Monitor, Connections."
		if !r.synology() {
			where = "Every session and remembered device of " + r.administrator + " is signed out at the end."
		}
		r.tell(harden, where)
	}
	return len(r.res.NotDone) == 0, nil
}

// disableBuiltIn does not leave the NAS with nobody who administers it: who has
// signed in must be seen to (X24).
func (r *run) disableBuiltIn(ctx context.Context) error {
	if a, ok := r.settings.Account(r.administrator); !ok || !a.Administrator || !a.Enabled {
		r.leftOver("the built-in admin is still enabled: " + r.administrator + " is not seen to be an administrator")
		return nil
	}
	err := r.box.SetEnabled(ctx, builtIn, false)
	if err == nil {
		r.restored("built-in admin disabled")
		return nil
	}
	if !guidedInstead(err) {
		return err
	}
	if r.synology() { // meanwhile a password that nobody knows is better than the reset's
		p, err := rescue.Generate(r.cfg.Rand)
		if err != nil {
			return err
		}
		if err := r.box.SetPassword(ctx, builtIn, p); err != nil && !guidedInstead(err) {
			return err
		}
	}
	done, err := r.page(ctx, TaskDisableAdmin, "After the reset the built-in admin is enabled, with a password that others can know. You have signed in as "+r.administrator+": disable admin now.")
	if err != nil {
		return err
	}
	if done {
		if err := r.read(ctx); err != nil {
			return err
		}
		if a, ok := r.settings.Account(builtIn); ok && a.Enabled {
			done = false
		}
	}
	if !done {
		r.leftOver("the built-in admin is still enabled")
		return nil
	}
	r.restored("built-in admin disabled")
	return nil
}

// guidedInstead reports whether a person can do what the program could not.
func guidedInstead(err error) bool {
	for _, id := range []catalog.ID{"vendor_guided", "vendor_refused", "no_such_api", "vendor_unread"} {
		if errors.Is(err, catalog.New(id)) {
			return true
		}
	}
	return false
}

// doPutBack puts back what the reset took: by program what is known well
// enough, by a person what is not. The address comes last: it moves the NAS.
func doPutBack(ctx context.Context, r *run) (bool, error) {
	if !r.reset() || !r.signedIn {
		return true, r.unblock(ctx)
	}
	for _, put := range []func(context.Context, *run) error{putShares, putProtection, putFirewall, putPorts, putAddress} {
		if err := put(ctx, r); err != nil {
			return false, err
		}
	}
	r.fact(putBack, "synology.mode1.encrypted", "qnap.basic.encrypted")
	if len(r.res.NotDone) > 0 {
		return false, nil // what was noted before is better than what is there now
	}
	if err := r.read(ctx); err != nil {
		return false, ctx.Err()
	}
	return true, r.note(ctx, nil)
}

// unblock takes this computer's address off the list, where another
// administrator has signed in for that.
func (r *run) unblock(ctx context.Context) error {
	if r.cause() != triage.AddressBlocked || r.way.ID != ways.OtherAdministrator || !r.signedIn {
		return nil
	}
	local := r.box.Local()
	if local == "" || r.settings == nil || r.settings.AutoBlock == nil {
		return nil
	}
	if err := r.box.Unblock(ctx, local); err != nil {
		if guidedInstead(err) {
			r.leftOver("this computer's address is still blocked")
			return nil
		}
		return err
	}
	r.restored("this computer's address unblocked")
	return nil
}

func putProtection(ctx context.Context, r *run) error {
	if w := r.wanted; w != nil && w.AutoBlock != nil && !w.AutoBlock.Enabled {
		return nil // it was off before
	}
	if r.settings != nil && r.settings.AutoBlock != nil {
		if r.settings.AutoBlock.Enabled {
			return nil
		}
		if err := r.box.SetAutoBlock(ctx, true); err == nil {
			r.restored(nas.E8.Setting())
			return nil
		} else if !guidedInstead(err) {
			return err
		}
	}
	return r.byPage(ctx, TaskProtection, "The reset turned off what blocks an address after failed sign-ins. Turn it on again:", nas.E8.Setting())
}

func putFirewall(ctx context.Context, r *run) error {
	if r.settings != nil && r.settings.Firewall != nil && r.settings.Firewall.Enabled || !r.synology() {
		return nil // QTS has its firewall as an application of its own
	}
	if w := r.wanted; w != nil && w.Firewall != nil && !w.Firewall.Enabled {
		return nil // it was off before
	}
	return r.byPage(ctx, TaskFirewall, "The reset turned the firewall off; its rules are there. If it was on before, turn it on again:", nas.E9.Setting())
}

func putAddress(ctx context.Context, r *run) error {
	was, wasStatic := "", r.first.DHCP != nil && !*r.first.DHCP
	if len(r.first.Addresses) > 0 {
		was = r.first.Addresses[0].String()
	}
	if was == "" || address(r.now) == was || !wasStatic && r.first.DHCP != nil {
		return nil
	}
	done, err := r.page(ctx, TaskNetwork, "It was at "+was+" before, and the router may give it another address at any time. Put the address back:"+r.network())
	if err != nil {
		return err
	}
	if !done {
		r.leftOver("its address was " + was + " and is " + address(r.now) + " now")
		return nil
	}
	begun := r.cfg.Clock.Monotonic()
	for {
		d, ok, err := r.look(ctx)
		if err != nil {
			return err
		}
		if ok && address(d) == was {
			r.now = d
			r.res.AddressAfter = address(d)
			r.restored(nas.E4.Setting())
			return nil
		}
		if r.cfg.Clock.Monotonic()-begun > r.cfg.Settle {
			r.leftOver("its address was " + was + " and is not that yet")
			return nil
		}
		if err := r.pause(ctx); err != nil {
			return err
		}
	}
}

// network is what is to be typed, as far as it was read before.
func (r *run) network() string {
	if r.wanted == nil || len(r.wanted.Interfaces) == 0 {
		return ""
	}
	in := r.wanted.Interfaces[0]
	if in.Method != nas.Static || len(in.Addresses) == 0 {
		return ""
	}
	out := " " + in.Addresses[0].String()
	if in.Gateway != "" {
		out += ", gateway " + in.Gateway
	}
	if len(in.DNS) > 0 {
		out += ", DNS " + strings.Join(in.DNS, " ")
	}
	return out + "."
}

// byPage has a person put one setting back, and notes what came of it. What the
// API shows is read back.
func (r *run) byPage(ctx context.Context, t Task, why, setting string) error {
	done, err := r.page(ctx, t, why)
	if err != nil {
		return err
	}
	if done {
		if err := r.read(ctx); err != nil {
			return err
		}
		if t == TaskProtection && r.settings.AutoBlock != nil && !r.settings.AutoBlock.Enabled {
			done = false
		}
		if t == TaskFirewall && r.settings.Firewall != nil && !r.settings.Firewall.Enabled {
			done = false
		}
	}
	if !done {
		r.leftOver(setting + " is off")
		return nil
	}
	r.restored(setting)
	return nil
}
