package face

import (
	"time"

	store "github.com/paperclip-nas/paperclip/internal/device/setting/memory"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
)

// installFor is how long an installer takes; see the invention dsm_installer.
const installFor = 2 * time.Minute

// Install puts the system on again, with these settings and builtIn's password
// alone, whose hash is given, and starts it. It touches no volume.
func (b *Box) Install(fresh nas.Settings, builtIn, hash string) error {
	err := b.cfg.Store.Edit("face.install", func(s *store.State) error {
		s.Settings, s.Hashes = fresh.Clone(), map[string]string{builtIn: hash}
		return nil
	})
	if err != nil {
		return err
	}
	err = b.Remember(func(m *Memory) {
		*m = newMemory(m.Shares)
		_ = m.renew(b.cfg.Identity.Name) // a key that cannot be made leaves the box without pages
	})
	if err != nil {
		return err
	}
	return b.do(func() {
		b.begin(append([]Span{{Phase: Installing, For: installFor}}, b.vendor.Boot()...))
	})
}
