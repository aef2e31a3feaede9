//go:build linux

package claimnet

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/paperclip-nas/paperclip/internal/x/atomicfile"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// mark tells one network service to leave the claim's links alone.
type mark struct {
	op, service string
	path        string // in /run, so that a reboot forgets it
	shipped     string // where a package may have put the same file for good
	content     string
	reload      opfs.Command
}

func marks() []mark {
	return []mark{{
		op:      "claimnet.networkd",
		service: "systemd-networkd.service",
		path:    "/run/systemd/network/05-paperclip-claim.network",
		shipped: "/usr/lib/systemd/network/05-paperclip-claim.network",
		content: "# Made by paperclipd for the time of a claim.\n[Match]\nName=pclip*\n\n[Link]\nUnmanaged=yes\n",
		reload:  opfs.Command{Path: "networkctl", Args: []string{"reload"}},
	}, {
		op:      "claimnet.networkmanager",
		service: "NetworkManager.service",
		path:    "/run/NetworkManager/conf.d/90-paperclip-claim.conf",
		shipped: "/usr/lib/NetworkManager/conf.d/90-paperclip-claim.conf",
		content: "# Made by paperclipd for the time of a claim.\n[device-paperclip-claim]\nmatch-device=interface-name:pclip*\nmanaged=0\n",
		reload:  opfs.Command{Path: "nmcli", Args: []string{"general", "reload", "conf"}},
	}}
}

// markUnmanaged marks the links for every service that runs here.
func (n *Network) markUnmanaged(ctx context.Context) error {
	var errs []error
	for _, m := range marks() {
		if err := n.mark(ctx, m); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", m.service, err))
		}
	}
	return errors.Join(errs...)
}

func (n *Network) mark(ctx context.Context, m mark) error {
	if _, err := n.cfg.FS.Stat(m.shipped); err == nil {
		return nil // loaded since boot, so nothing needs a reload
	}
	asked, err := n.cfg.Run.Run(ctx, m.op+".ask", opfs.Command{Path: "systemctl", Args: []string{"is-active", "--quiet", m.service}})
	if errors.Is(err, opfs.ErrNoCommand) || err == nil && asked.ExitCode != 0 {
		return nil // it does not run here
	}
	if err != nil {
		return err
	}
	if err := n.cfg.FS.MkdirAll(m.op+".mkdir", filepath.Dir(m.path), 0o755); err != nil {
		return err
	}
	if err := atomicfile.Replace(n.cfg.FS, m.op+".mark", m.path, []byte(m.content), atomicfile.Options{Mode: 0o644}); err != nil {
		return err
	}
	out, err := n.cfg.Run.Run(ctx, m.op+".reload", m.reload)
	if err == nil && out.ExitCode != 0 {
		err = fmt.Errorf("%s ended with %d: %s", m.reload.Path, out.ExitCode, firstLine(out.Stderr))
	}
	return err
}

// unmark removes the marks. The services are not told: a reload would also
// take up whatever else somebody has edited, and a mark for links that do not
// exist does nothing.
func (n *Network) unmark(ctx context.Context) error {
	var errs []error
	for _, m := range marks() {
		if _, err := n.cfg.FS.Lstat(m.path); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		errs = append(errs, atomicfile.Remove(n.cfg.FS, m.op+".unmark", m.path))
	}
	return errors.Join(errs...)
}

// firstLine is what a command said, short enough for a log line.
func firstLine(b []byte) string {
	for i, c := range b {
		if c == '\n' || i == 200 {
			return string(b[:i])
		}
	}
	return string(b)
}
