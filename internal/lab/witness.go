package lab

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	store "github.com/paperclip-nas/paperclip/internal/device/setting/memory"
	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/owner/rescue"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// Witness looks at one virtual NAS from outside the engine: at its files, and
// at the passwords that its owner has forgotten. It is the owner's memory too:
// before a rescue it sets those to what only it knows, and tries them again
// afterwards. The others stay: an earlier rescue's password still opens the NAS.
type Witness struct{ nas *NAS }

// Witness returns the NAS's.
func (n *NAS) Witness() *Witness { return &Witness{n} }

var _ rescue.Witness = (*Witness)(nil)

// recollection is what a witness keeps between before and after: in a file, so that
// a rescue that is resumed is witnessed too. Its passwords open virtual NAS
// only.
type recollection struct {
	Passwords map[string]string `json:"passwords"`        // forgotten, by account
	Hashes    map[string]string `json:"hashes,omitempty"` // of the passwords that stay
	Files     map[string]entry  `json:"files"`
}

func (w *Witness) file() string { return filepath.Join(w.nas.dir, "witness.json") }

// Before gives each account whose password is forgotten, or that in a new rack
// has none yet, one that nobody is told, sees that it works, and looks at every
// file.
func (w *Witness) Before(ctx context.Context, device string, forgotten ...string) error {
	if device != w.nas.Name() {
		return fmt.Errorf("the witness stands beside %s, not %s", w.nas.Name(), device)
	}
	m := recollection{Passwords: map[string]string{}, Hashes: map[string]string{}}
	now := w.nas.store.Running()
	for _, a := range now.Settings.Accounts {
		if !slices.Contains(forgotten, a.Name) && now.Hashes[a.Name] != "" {
			m.Hashes[a.Name] = now.Hashes[a.Name]
			continue
		}
		password := access.NewSecret("forgotten " + rand.Text())
		if err := w.nas.store.SetPassword(a.Name, password); err != nil {
			return err
		}
		works, err := w.nas.store.Check(ctx, a.Name, password)
		if err != nil || works != a.Enabled {
			return errors.Join(err, fmt.Errorf("the password of %s that is to be forgotten does not work", a.Name))
		}
		m.Passwords[a.Name] = password.Reveal()
	}
	var err error
	if m.Files, err = survey(w.nas.volume()); err != nil {
		return err
	}
	raw, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return os.WriteFile(w.file(), raw, 0o600)
}

// After tries the forgotten passwords on what the NAS has on its disk, read
// anew, and compares every file. Another account's password that is not what it
// was is an error: a reset must keep it (D6).
func (w *Witness) After(_ context.Context, _, administrator string) (rescue.Evidence, error) {
	raw, err := os.ReadFile(w.file())
	if err != nil {
		return rescue.Evidence{}, err
	}
	var m recollection
	if err := json.Unmarshal(raw, &m); err != nil {
		return rescue.Evidence{}, err
	}
	onDisk, err := store.Open(opfs.OS(nil), filepath.Join(w.nas.dir, "settings.json"))
	if err != nil {
		return rescue.Evidence{}, err
	}
	hashes := onDisk.Running().Hashes
	refused := m.Hashes[administrator] == "" || m.Hashes[administrator] != hashes[administrator]
	for name, password := range m.Passwords {
		same := store.Matches(hashes[name], access.NewSecret(password))
		switch {
		case name == administrator:
			refused = !same
		case w.nas.box == nil && !same: // another vendor's reset may take other passwords, and accounts
			return rescue.Evidence{}, touched(name)
		}
	}
	for name, hash := range m.Hashes {
		if w.nas.box == nil && hashes[name] != hash {
			return rescue.Evidence{}, touched(name)
		}
	}
	files, err := survey(w.nas.volume())
	if err != nil {
		return rescue.Evidence{}, err
	}
	data := rescue.Data{Changed: changed(m.Files, files)}
	for _, e := range files {
		if e.Mode.IsRegular() {
			data.Files++
			data.Bytes += e.Size
		}
	}
	return rescue.Evidence{OldPasswordRefused: &refused, Data: &data}, nil
}

func touched(name string) error {
	return fmt.Errorf("the password of %s, who was not to be touched, is another one", name)
}
