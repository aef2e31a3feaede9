// Package dsm is a Synology's face in the lab: what a DSM 6.2.3 or 7.2 says on
// the LAN, a subset of its web API with its error codes and oddities, its reset
// button, its installer (vendors/synology.md).
//
// It is written from what clients and captures show, apart from this project's
// own client of the same API, and is tried with clients that others wrote
// (test/thirdparty). It is no DSM: an API that it does not list answers 102.
package dsm

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/paperclip-nas/paperclip/internal/device/setting/memory"
	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/button"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/lab/face"
)

// DSM is the vendor.
type DSM struct{}

var _ face.Vendor = DSM{}

// builtIn is DSM's own administrator.
const builtIn = "admin"

// Profile implements face.Vendor.
func (DSM) Profile() button.Profile { return button.Synology() }

// Boot implements face.Vendor. The times are invented; that there are these
// states is not (vendors/synology.md §3.1).
func (DSM) Boot() []face.Span {
	return []face.Span{
		{Phase: face.Dark, For: 20 * time.Second},
		{Phase: face.Booting, For: 20 * time.Second},
		{Phase: face.Starting, For: 20 * time.Second},
		{Phase: face.Ready},
	}
}

// window is how long a second press may follow the first (vendors/synology.md §5.1).
const window = 10 * time.Second

// Act implements face.Vendor.
func (DSM) Act(b *face.Box, m button.Mode) (face.Next, error) {
	b.Made("dsm_restart")
	if m == button.ModeSoft {
		return face.Next{Wait: window + time.Second, Restart: true}, modeOne(b)
	}
	// Mode 2, and the older units' restore: the configuration is gone and the
	// installer comes; the volumes stay (§5.1).
	err := b.Remember(func(m *face.Memory) { m.Lost, m.ResetPage = true, false })
	return face.Next{Restart: true}, err
}

// modeOne is what §5.2 lists.
func modeOne(b *face.Box) error {
	retain := b.Memory().Retain
	blank, err := memory.Hash(randomness(), access.NewSecret(""))
	if err != nil {
		return err
	}
	err = b.Store().Edit("face.mode_1", func(s *memory.State) error {
		for _, e := range reset.Effects(reset.Soft, reset.All) {
			if e != nas.E1 {
				s.Settings = reset.Apply(e, s.Settings, builtIn)
			}
		}
		if retain { // "Keep current admin password unchanged" (§5.3)
			return nil
		}
		for _, e := range []nas.Effect{nas.E1, nas.E13} {
			s.Settings = reset.Apply(e, s.Settings, builtIn)
		}
		if _, there := s.Settings.Account(builtIn); !there {
			s.Settings.Accounts = append(s.Settings.Accounts, nas.Account{Name: builtIn, Administrator: true, BuiltIn: true, Enabled: true})
		}
		s.Hashes[builtIn] = blank
		return nil
	})
	if err != nil || retain {
		return err
	}
	return b.Remember(func(m *face.Memory) {
		delete(m.Secrets, builtIn)
		delete(m.Expires, builtIn)
		m.ResetPage = newerReset(b.Firmware())
	})
}

// newerReset reports whether the firmware shows a page after mode 1 on which an
// administrator is chosen: from 6.2.4 on (§5.1).
func newerReset(f face.Firmware) bool {
	return !strings.HasPrefix(f.Version, "6.") || f.Version == "6.2.4"
}

// Open implements face.Vendor.
func (DSM) Open(ctx context.Context, b *face.Box) error {
	phase, _ := b.Phase()
	w := &web{box: b, ctx: ctx}
	if phase != face.Booting { // no page yet
		mux := http.NewServeMux()
		if phase.Installer() {
			w.installer(mux)
		} else {
			w.desktop(mux)
		}
		if err := b.Serve(ctx, mux); err != nil {
			return err
		}
	}
	if err := b.Answer(ctx, face.Findhost, w.findhost); err != nil {
		return err
	}
	return b.Answer(ctx, face.SSDP, w.ssdp)
}

// web is the pages of one phase.
type web struct {
	box *face.Box
	ctx context.Context
}

// administrators are the accounts that may be chosen, the built-in one last.
func administrators(s nas.Settings) []string {
	var out []string
	for _, a := range s.Administrators() {
		if !a.BuiltIn {
			out = append(out, a.Name)
		}
	}
	slices.Sort(out)
	return append(out, builtIn)
}
