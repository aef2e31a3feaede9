package core

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"slices"

	"github.com/paperclip-nas/paperclip/internal/device/bundle"
	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
	"github.com/paperclip-nas/paperclip/internal/x/atomicfile"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// bundlesKept is how many restore bundles stay.
const bundlesKept = 3

// Bundles is where the device keeps its settings of before each hard reset.
func Bundles(fsys opfs.FS, dir string) bundle.Shelf {
	return bundle.Shelf{FS: fsys, Dir: path.Join(dir, "bundles"), Op: "bundle"}
}

func baselineFile(dir string) string { return path.Join(dir, "baseline.json") }

// Baseline is how the device was set up when paperclipd was installed: what a
// hard reset goes back to (D5). There is none before the first start.
func Baseline(fsys opfs.FS, dir string) (bundle.Bundle, error) {
	raw, err := fsys.ReadFile(baselineFile(dir))
	if err != nil {
		return bundle.Bundle{}, err
	}
	return bundle.Parse(raw)
}

// RecordBaseline writes the baseline down, once: one that is there stays,
// whatever it says. Accounts are not in it, so that it never brings a password
// back. It is for the first start; call it before Run.
func (c *Core) RecordBaseline(ctx context.Context) error {
	file := baselineFile(c.cfg.Dir)
	if _, err := c.cfg.FS.Lstat(file); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if record, err := c.journal.Open(); err != nil || record != nil {
		return err // in the middle of a change nothing is a baseline
	}
	others := slices.DeleteFunc(slices.Clone(c.cfg.Adapters), func(a setting.Adapter) bool {
		return slices.ContainsFunc(a.Effects(), func(e nas.Effect) bool { return e == nas.E1 || e == nas.E13 || e == nas.H3 })
	})
	b, err := c.saved(ctx, others, "")
	if err != nil {
		return err
	}
	raw, err := bundle.Encode(b)
	if err != nil {
		return err
	}
	return atomicfile.Replace(c.cfg.FS, "baseline.write", file, raw, atomicfile.Options{Mode: 0o600})
}

// saved is what the adapters save, as a bundle.
func (c *Core) saved(ctx context.Context, adapters []setting.Adapter, transaction string) (bundle.Bundle, error) {
	sections, notHeld, err := bundle.Save(ctx, adapters)
	if err != nil {
		return bundle.Bundle{}, err
	}
	b := bundle.Bundle{
		MadeAt: c.cfg.Clock.Now().UTC(), KeyID: c.KeyID(), Name: c.name(), Transaction: transaction,
		Sections: sections, NotHeld: notHeld,
	}
	return b, saveSettings(ctx, adapters, &b)
}

// name is what the device is called now.
func (c *Core) name() string {
	if c.cfg.Named != nil {
		if n := c.cfg.Named(); n != "" {
			return n
		}
	}
	return c.cfg.Name
}

// modes are what the claim may be used for: what was pressed for, or less.
func (c *Core) modes(ctx context.Context) ([]reset.Mode, error) {
	return in(ctx, c, func() ([]reset.Mode, error) {
		if c.claim.State().Hard() && c.hardDemand() != access.Never {
			return []reset.Mode{reset.Soft, reset.Hard}, nil
		}
		return []reset.Mode{reset.Soft}, nil
	})
}

func (c *Core) hardDemand() access.Demand { return c.cfg.Policy.Asks(reset.Effects(reset.Hard, "")) }

// mayBeHard refuses a hard reset in a claim for which the second press was not
// made: a soft claim never becomes more (promise 3). Run's goroutine only.
func (c *Core) mayBeHard(m reset.Mode) error {
	if m == reset.Hard && !c.claim.State().Hard() {
		return catalog.New("hard_press_needed")
	}
	return nil
}

// hardRequest judges what only a hard reset has, beforehand: the answers of the
// wizard, a way in for an administrator afterwards (X24), and that this system
// can carry the answers out.
func (c *Core) hardRequest(ctx context.Context, s survey, r *reset.Request, answers *reset.Wizard) error {
	if r.Mode != reset.Hard {
		if answers != nil {
			return catalog.New("bad_message", "a soft reset has no set-up wizard")
		}
		return nil
	}
	if answers == nil {
		return catalog.New("wizard_needed")
	}
	r.Wizard = *answers
	if err := r.Wizard.Check(s.settings); err != nil {
		return catalog.New("wizard_answer", err.Error()).Because(err)
	}
	if f := s.covered[nas.H1]; r.Wizard.Name != "" && r.Wizard.Name != c.name() && !f.Present {
		why := f.Why
		if why == "" {
			why = "no part of this NAS manages it"
		}
		return catalog.New("wizard_answer", "the name cannot be changed here: "+why)
	}
	if err := c.tryAccount(ctx, s, *r); err != nil {
		return err
	}
	if r.Administrator == "" || !reset.WayIn(*r, s.settings, s.covered) {
		return catalog.New("no_way_in_left")
	}
	return c.tryNetwork(ctx, *r)
}

// tryAccount asks, before anybody accepts a plan that says so, whether a new
// administrator's account can be made here. Preparing has no side effect.
func (c *Core) tryAccount(ctx context.Context, s survey, r reset.Request) error {
	if !r.Wizard.NewAdministrator {
		return nil
	}
	if err := reset.CheckNewAccount(r.Administrator, s.settings); err != nil {
		return catalog.New("account_name", err.Error()).Because(err)
	}
	if len(s.settings.Administrators()) == 0 { // the accounts of people are not ours to change here
		return catalog.New("account_name", "the accounts of this NAS cannot be read")
	}
	if c.cfg.Policy.Asks(r.Effects()) == access.SecondProof {
		return catalog.New("account_name", "the owner chose that a recovery code of the administrator is needed, and a new one has none")
	}
	accounts := slices.DeleteFunc(slices.Clone(c.cfg.Adapters), func(a setting.Adapter) bool { return !slices.Contains(a.Effects(), nas.E1) })
	_, err := prepareAll(ctx, accounts, setting.Request{Mode: r.Mode, Administrator: r.Administrator, Wizard: r.Wizard, Password: anyPassword()})
	return err
}

// anyPassword stands for the new password while it is only asked whether it could be
// set: nothing that is prepared with it is carried out.
func anyPassword() access.Secret { return access.NewSecret("a password that nothing ever has") }

// tryNetwork asks the network's adapters whether they can carry the answers
// out, before anybody accepts a plan that says so. Preparing has no side effect.
func (c *Core) tryNetwork(ctx context.Context, r reset.Request) error {
	if len(r.Wizard.Network) == 0 {
		return nil
	}
	network := slices.DeleteFunc(slices.Clone(c.cfg.Adapters), func(a setting.Adapter) bool { return !slices.Contains(a.Effects(), nas.E4) })
	if _, err := prepareAll(ctx, network, setting.Request{Mode: r.Mode, Administrator: r.Administrator, Wizard: r.Wizard}); err != nil {
		return err
	}
	return c.tryAddresses(ctx, r.Wizard)
}

// tryAddresses asks the cable whether an address is somebody else's already: two
// devices with one address can be reached by nobody. Where it cannot be told (no
// cable is plugged in) the answer stands.
func (c *Core) tryAddresses(ctx context.Context, w reset.Wizard) error {
	if c.cfg.Cable == nil {
		return nil
	}
	for _, a := range w.Network {
		mac, err := c.cfg.Cable.Taken(ctx, a.Interface, a.Address.Addr())
		switch {
		case mac != "":
			return catalog.New("address_in_use", a.Address.Addr(), mac)
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			c.cfg.Log.Warn("whether an address is in use could not be told", "interface", a.Interface, "address", a.Address.Addr().String(), "error", err)
		}
	}
	return nil
}

// keepBundle writes the settings of now down for the transaction, before its
// record: whatever is accepted can be put back. Run's goroutine only.
func (c *Core) keepBundle(b bundle.Bundle, transaction string) error {
	b.Transaction = transaction
	if _, err := Bundles(c.cfg.FS, c.cfg.Dir).Put(b); err != nil {
		return catalog.New("preflight_failed", "the settings of now could not be kept").Because(err)
	}
	return nil
}

// planOfCommit is the hard plan that a commit means, or plan_changed.
func (c *Core) hardPlanOf(ctx context.Context, s survey, q deviceapi.CommitCall) (reset.Plan, error) {
	plan, err := c.claimPlan(ctx, s, deviceapi.PlanCall{Mode: reset.Hard, Administrator: q.Administrator, Wizard: q.Wizard})
	if err == nil && plan.Hash() != q.PlanHash {
		err = catalog.New("plan_changed")
	}
	return plan, err
}

// cutAll ends the sessions of everybody whose account a hard reset locked.
func (c *Core) cutAll(administrator string) {
	var s nas.Settings
	if err := c.readSettings(c.ctx, &s); err != nil {
		c.cfg.Log.Error("whose sessions are to be ended could not be read", "error", err)
		return
	}
	for _, a := range s.Accounts {
		if !reset.Locked(a.Name, administrator) || a.Enabled {
			continue
		}
		if err := c.cfg.Sessions.End(c.ctx, a.Name); err != nil {
			c.cfg.Log.Error("sessions of a locked account could not all be ended", "account", a.Name, "error", err)
		}
	}
}
