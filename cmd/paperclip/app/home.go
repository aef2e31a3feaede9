package app

import (
	"os"
	"path/filepath"
	"strconv"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/owner/keys"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
	"github.com/paperclip-nas/paperclip/internal/x/printable"
)

// home is where this computer's memory of NAS is: $PAPERCLIP_HOME, or the
// user's configuration folder.
func (a *app) home() (string, error) {
	if h := a.env.Getenv("PAPERCLIP_HOME"); h != "" {
		return h, nil
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", catalog.New("file_unusable", "there is no folder for settings; set PAPERCLIP_HOME").Because(err)
	}
	return filepath.Join(dir, "paperclip"), nil
}

// labHome is where the lab's rack is kept.
func (a *app) labHome(flag string) string {
	if flag != "" {
		return flag
	}
	if h := a.env.Getenv("PAPERCLIP_HOME"); h != "" {
		return filepath.Join(h, "lab")
	}
	if dir, err := os.UserCacheDir(); err == nil {
		return filepath.Join(dir, "paperclip", "lab")
	}
	return filepath.Join(os.TempDir(), "paperclip-lab-"+strconv.Itoa(os.Getuid()))
}

func (a *app) openKeys(home string) (*keys.Store, error) { return keys.Open(a.fsys, home) }

// hostLabel is what this computer is called in a NAS's list of owner keys.
func hostLabel() string {
	name, err := os.Hostname()
	if err != nil {
		return ""
	}
	name = printable.Clean(name)
	return name[:min(len(name), deviceapi.MaxLabel)]
}
