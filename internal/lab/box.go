package lab

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/lab/face"
	"github.com/paperclip-nas/paperclip/internal/lab/face/dsm"
	"github.com/paperclip-nas/paperclip/internal/lab/face/qts"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// newBox makes the NAS one with another vendor's face.
func (n *NAS) newBox(sc face.Scenario, i int) (*face.Box, error) {
	f := face.Firmware{OS: n.model.identity.OS, Version: n.model.version, Build: n.model.build, Update: n.model.update}
	var v face.Vendor = dsm.DSM{}
	switch {
	case n.model.maker == qnap && sc.Has(face.OlderSystem):
		f.Version, f.Build = "4.3.4", "20180501"
	case n.model.maker == qnap && sc.Has(face.NewerSystem):
		f.Version, f.Build = "5.2.9", "20260214"
	case n.model.maker == synology && sc.Has(face.OlderSystem):
		f.Version, f.Build, f.Update = "6.2.3", "25426", "0"
	}
	if n.model.maker == qnap {
		v = qts.QTS{}
	}
	leased, alone := netip.AddrFrom4([4]byte{127, 0, 1, byte(11 + i)}), netip.AddrFrom4([4]byte{127, 254, 0, byte(11 + i)})
	if n.addr == netip.AddrFrom4([4]byte{127, 0, 0, 1}) { // a system with one loopback address
		leased, alone = n.addr, n.addr
	}
	return face.New(face.Config{
		Identity: n.model.identity, Firmware: f, CloudKey: n.model.cloudKey, Scenario: sc,
		Places: face.Places{Static: n.addr, Leased: leased, Alone: alone},
		FS:     opfs.OS(nil), File: filepath.Join(n.dir, "face.json"),
		Store: n.store, Panel: n.panel, Clock: n.clock, Log: n.log,
	}, v)
}

// startBox switches it on. What it starts ends with ctx.
func (n *NAS) startBox(ctx context.Context, ended *sync.WaitGroup) error {
	ended.Go(func() { _ = n.box.Run(ctx) })
	select {
	case <-n.box.Ready():
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(startTimeout):
		return errors.New("it does not get ready")
	}
	if n.box.Scenario().Has(face.Imposter) {
		var err error
		n.imposter, err = startImposter(ctx, n, ended)
		return err
	}
	return nil
}

// Box is the NAS behind another vendor's face; nil behind our own.
func (n *NAS) Box() *face.Box { return n.box }

// DefaultPassword is what the label and the documents say that admin has after
// a reset: what a person standing there types.
func (n *NAS) DefaultPassword() access.Secret {
	if n.model.maker == qnap {
		return qts.DefaultPassword(n.box.Firmware(), n.model.identity.MACs[0], n.model.cloudKey)
	}
	return access.NewSecret("")
}

// ResetPage is the browser of the person: it fills the vendor's own page behind
// a reset, of which the form is invented.
func (n *NAS) ResetPage(ctx context.Context, administrator string, password access.Secret) error {
	return dsm.FillResetPage(ctx, n.box, administrator, password)
}

// Accounts are the names of its accounts.
func (n *NAS) Accounts() []string {
	var names []string
	for _, a := range n.store.Running().Settings.Accounts {
		names = append(names, a.Name)
	}
	return names
}

// Household is the password of somebody in the house who remembers it: the
// second administrator's, where there is one.
func (n *NAS) Household(account string) (access.Secret, bool) {
	if account != face.Second || n.box == nil || !n.box.Scenario().Has(face.OtherAdmin) {
		return access.Secret{}, false
	}
	return n.recall(account)
}

// recall is what the witness knows that an account's password was.
func (n *NAS) recall(account string) (access.Secret, bool) {
	raw, err := os.ReadFile(n.Witness().file())
	if err != nil {
		return access.Secret{}, false
	}
	var m recollection
	if json.Unmarshal(raw, &m) != nil || m.Passwords[account] == "" {
		return access.Secret{}, false
	}
	return access.NewSecret(m.Passwords[account]), true
}
