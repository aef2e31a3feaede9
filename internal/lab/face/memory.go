package face

import (
	"encoding/json"
	"errors"
	"io/fs"

	"github.com/paperclip-nas/paperclip/internal/x/atomicfile"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
	"github.com/paperclip-nas/paperclip/internal/x/strictjson"
)

// Memory is what a box keeps beside its settings. It opens virtual NAS only.
type Memory struct {
	Version     int               `json:"version"`
	Lost        bool              `json:"lost"`         // the configuration: the installer waits
	ResetPage   bool              `json:"reset_page"`   // the vendor's page waits for a new password (DSM ≥ 6.2.4)
	Retain      bool              `json:"retain"`       // "keep current admin password unchanged"
	EnforceOTP  bool              `json:"enforce_otp"`  // for administrators
	ForgotMail  bool              `json:"forgot_mail"`  // a mail can be sent to who forgot
	Secrets     map[string]string `json:"secrets"`      // account to TOTP secret, base32
	Steps       map[string]int64  `json:"steps"`        // account to the last TOTP step that was used
	Devices     map[string]string `json:"devices"`      // trusted: id to account
	Expires     map[string]string `json:"expires"`      // account to "2024/1/31"
	Locked      []string          `json:"locked"`       // accounts that are locked after wrong passwords
	Unprivilege []string          `json:"unprivileged"` // accounts without the right to sign in to the desktop
	Shares      []string          `json:"shares"`
	Certificate []byte            `json:"certificate"` // PEM, with its key
	Key         []byte            `json:"key"`
}

func newMemory(shares []string) Memory {
	return Memory{
		Version: 1, Secrets: map[string]string{}, Steps: map[string]int64{}, Devices: map[string]string{}, Expires: map[string]string{}, Shares: shares,
	}
}

// Shares are the shared folders of the lab's household.
func Shares() []string { return []string{"home", "photos", "papers"} }

func openMemory(fsys opfs.FS, file, name string) (Memory, error) {
	m := newMemory(Shares())
	raw, err := fsys.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return m, m.renew(name)
	case err != nil:
		return m, err
	}
	return m, strictjson.Unmarshal(raw, &m)
}

// Memory is a copy of it: reading alone.
func (b *Box) Memory() Memory {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.memory
}

// Remember changes the box's memory, and its file first.
func (b *Box) Remember(change func(*Memory)) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	next, err := b.memory.clone()
	if err != nil {
		return err
	}
	change(&next)
	raw, err := json.MarshalIndent(next, "", "  ")
	if err != nil {
		return err
	}
	if err := atomicfile.Replace(b.cfg.FS, "face.memory", b.cfg.File, raw, atomicfile.Options{Mode: 0o600}); err != nil {
		return err
	}
	b.memory = next
	return nil
}

func (m Memory) clone() (Memory, error) {
	raw, err := json.Marshal(m)
	if err != nil {
		return m, err
	}
	var next Memory
	return next, json.Unmarshal(raw, &next)
}
