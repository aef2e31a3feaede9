// Package service is what makes paperclipd's processes services of a system:
// which systems it runs on, the socket between core and front with the check of
// who calls, and what systemd is told.
//
// It serves nothing by itself, and lets nobody in but root and one user.
package service

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
)

// Files is what is read of a system; opfs.FS is one.
type Files interface {
	ReadFile(path string) ([]byte, error)
	Stat(path string) (fs.FileInfo, error)
}

// systemdRuns is there where systemd is the running init (sd_booted(3)).
const systemdRuns = "/run/systemd/system"

// Supported is nil on a system that paperclipd was tested on: Debian 12 and 13
// with systemd running. Else it is the problem unsupported_system.
func Supported(files Files) error {
	release, err := files.ReadFile("/etc/os-release")
	if err != nil {
		return catalog.New("unsupported_system", "it does not say what it is, in /etc/os-release").Because(err)
	}
	id, version := osRelease(string(release))
	if id != "debian" || version != "12" && version != "13" {
		return catalog.New("unsupported_system", strings.TrimSpace(printable(id)+" "+printable(version)))
	}
	if _, err := files.Stat(systemdRuns); err != nil {
		return catalog.New("unsupported_system", "systemd is not running").Because(err)
	}
	return nil
}

// osRelease reads ID and VERSION_ID (os-release(5)).
func osRelease(text string) (id, version string) {
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		value = strings.Trim(value, `"'`)
		switch key {
		case "ID":
			id = value
		case "VERSION_ID":
			version = value
		}
	}
	return id, version
}

func printable(s string) string { return strings.Trim(fmt.Sprintf("%.40q", s), `"`) }

// Notify tells systemd a state such as "READY=1" (sd_notify(3)). Without a
// systemd that listens it does nothing.
func Notify(state string) error {
	name := os.Getenv("NOTIFY_SOCKET")
	if name == "" {
		return nil
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		return err
	}
	_, err = conn.Write([]byte(state))
	return errors.Join(err, conn.Close())
}
