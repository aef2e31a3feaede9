// Package qts is a QNAP's face in the lab: what a QTS 4.3, 5.1 or 5.2 says on
// the LAN, a subset of its CGI with its answers and traps, and its reset button
// (vendors/qnap.md).
//
// It is written from captures and documents, apart from this project's own
// client of the same CGI. It is no QTS: a function that it does not have
// answers as QTS does where the session is gone.
package qts

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/paperclip-nas/paperclip/internal/device/announcer"
	"github.com/paperclip-nas/paperclip/internal/device/setting/memory"
	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/button"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/lab/face"
)

// QTS is the vendor.
type QTS struct{}

var _ face.Vendor = QTS{}

// builtIn is QTS's own administrator.
const builtIn = "admin"

// Profile implements face.Vendor.
func (QTS) Profile() button.Profile { return button.QNAP() }

// Boot implements face.Vendor. The times are invented; is_booting is not
// (vendors/qnap.md §3.1).
func (QTS) Boot() []face.Span {
	return []face.Span{{Phase: face.Dark, For: 30 * time.Second}, {Phase: face.Starting, For: 30 * time.Second}, {Phase: face.Ready}}
}

// DefaultPassword is what admin has after a reset, by the firmware that runs now
// (vendors/qnap.md §4.2): upper case, without separators.
func DefaultPassword(f face.Firmware, mac, cloudKey string) access.Secret {
	plain := func(s string) string { return strings.ToUpper(strings.NewReplacer("-", "", ":", "").Replace(s)) }
	switch {
	case atLeast(f.Version, 5, 2):
		return access.NewSecret(plain(cloudKey))
	case atLeast(f.Version, 4, 4, 2):
		return access.NewSecret(plain(mac))
	}
	return access.NewSecret("admin")
}

// atLeast compares a version with dots.
func atLeast(version string, want ...int) bool {
	parts := strings.Split(version, ".")
	for i, w := range want {
		n := 0
		if i < len(parts) {
			n, _ = strconv.Atoi(parts[i])
		}
		if n != w {
			return n > w
		}
	}
	return true
}

// Act implements face.Vendor (vendors/qnap.md §4.1).
func (QTS) Act(b *face.Box, m button.Mode) (face.Next, error) {
	password := DefaultPassword(b.Firmware(), b.Identity().MACs[0], b.CloudKey())
	hash, err := memory.Hash(randomness(), password)
	if err != nil {
		return face.Next{}, err
	}
	advanced := m == button.ModeAdvanced
	b.Made("qts_restart")
	err = b.Store().Edit("face.qnap_reset", func(s *memory.State) error {
		for _, e := range []nas.Effect{nas.E4, nas.E5, nas.E8} { // DHCP, no jumbo frames, every connection allowed
			s.Settings = reset.Apply(e, s.Settings, builtIn)
		}
		s.Settings.Ports = &nas.Ports{HTTP: 8080, HTTPS: 443}
		if advanced { // users and groups go, files stay
			s.Settings.Accounts, s.Hashes = nil, map[string]string{}
			for i := range s.Settings.Bonds {
				s.Settings.Bonds[i].Enabled = false
			}
		}
		if _, there := s.Settings.Account(builtIn); !there {
			s.Settings.Accounts = append(s.Settings.Accounts, nas.Account{Name: builtIn, Administrator: true, BuiltIn: true})
		}
		for _, e := range []nas.Effect{nas.E1, nas.E13} { // switched on again, and its second step off
			s.Settings = reset.Apply(e, s.Settings, builtIn)
		}
		s.Hashes[builtIn] = hash
		return nil
	})
	if err != nil {
		return face.Next{}, err
	}
	err = b.Remember(func(m *face.Memory) {
		delete(m.Secrets, builtIn)
		if advanced {
			m.Shares = []string{} // definitions; a share of the same name has its files back
		}
	})
	// That 3 seconds do not restart it is made up too; where the scenario is about
	// a restart there is one.
	slow := b.Scenario().Has(face.SlowBoot) || b.Scenario().Has(face.NeverBack)
	return face.Next{Restart: advanced || slow}, err
}

// Open implements face.Vendor.
func (QTS) Open(ctx context.Context, b *face.Box) error {
	w := &web{box: b, ctx: ctx}
	mux := http.NewServeMux()
	w.routes(mux)
	if err := b.Serve(ctx, mux); err != nil {
		return err
	}
	if err := b.Answer(ctx, face.Qfinder, w.qfinder); err != nil {
		return err
	}
	u, err := announcer.NewUnicast(w.somePort())
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { _ = u.Close() })
	b.Announces(u.Address())
	return u.Set(w.announcement())
}

// web is the pages of one phase.
type web struct {
	box *face.Box
	ctx context.Context
}
