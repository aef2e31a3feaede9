package dsm

import (
	"slices"

	"github.com/paperclip-nas/paperclip/internal/lab/face"
)

// Adaptive protection (SmartBlock) and the settings backup (vendors/synology.md
// §4.2): their methods and the values of the one are documented, the parameters
// of pardon, and of the other's start, are not.

// smartBlock is what a real device of the sources had: 5 in 1 minute, 30 minutes.
func (w *web) smartBlock(*call) (any, failure) {
	return map[string]any{"enabled": true, "untrust_try": 5, "untrust_minute": 1, "untrust_lock": 30, "trust_try": 10, "trust_minute": 1, "trust_lock": 30}, 0
}

func (w *web) lockedAccounts(*call) (any, failure) {
	w.box.Made("dsm_smart_block")
	users := []any{}
	for _, name := range w.box.Memory().Locked {
		users = append(users, map[string]any{"name": name})
	}
	return map[string]any{"users": users, "total": len(users)}, 0
}

// pardon unlocks accounts. What its parameter is called is invented.
func (w *web) pardon(c *call) (any, failure) {
	w.box.Made("dsm_smart_block")
	names := c.list("name")
	if len(names) == 0 {
		return nil, errMissing
	}
	err := w.box.Remember(func(m *face.Memory) {
		m.Locked = slices.DeleteFunc(m.Locked, func(n string) bool { return slices.Contains(names, n) })
	})
	if err != nil {
		return nil, errUnknown
	}
	return map[string]any{}, 0
}

// backups lists settings backups; there is none until one was started.
func (w *web) backups(*call) (any, failure) {
	w.box.Made("dsm_settings_backup")
	return map[string]any{"list": []any{}, "total": 0}, 0
}

// backupStart answers as where a parameter is missing, whatever is sent: which it
// wants is in no source, so that nobody here can get it right by chance.
func (w *web) backupStart(*call) (any, failure) {
	w.box.Made("dsm_settings_backup")
	return nil, errMissing
}
