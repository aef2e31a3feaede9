// Package sandbox takes from paperclipd's own processes, for good, what they do
// not need, and then tries whether it is gone.
//
// Two layers of the kernel stand between a bug of paperclipd and the owner's
// data: the mount namespace of the systemd unit, in which all but a few folders
// is read-only, and Landlock, by which a process may write below a list of
// folders and nowhere else, whatever is mounted later. Landlock knows no chmod,
// and before ABI 3 (Debian 12 has 2) no truncate: those are the unit's to
// refuse. What is started by such a process is held by the same rules; what has
// to be done outside them is asked of systemd.
//
// Check believes neither layer: it tries, and the kernel has to refuse. The
// package widens nothing, and what it tries it tries only on itself.
package sandbox

import (
	"fmt"
	"slices"
)

// Rules are what a process may still do.
type Rules struct {
	// Write are the folders, and device files, below which it may write. What is
	// missing at the moment of Apply stays forbidden when it appears later.
	Write []string
	// Alone also takes the right to start programs and to connect to others by
	// TCP (from Landlock's ABI 4 on).
	Alone bool
}

// Core are the rules of the half with root: configuration, state, what settings
// of the running system are kept in, and the lights it is told to switch. It has
// /etc as a whole, because a file there is replaced by a rename.
func Core(lights ...string) Rules {
	r := Rules{Write: slices.Concat(own(), settings(), []string{"/dev/input", "/dev/null"})}
	for _, l := range lights {
		r.Write = append(r.Write, "/sys/class/leds/"+l)
	}
	return r
}

// Front are the rules of the half with the listener: it writes nowhere.
func Front() Rules { return Rules{Write: []string{"/dev/null"}, Alone: true} }

// own is where paperclipd keeps things.
func own() []string { return []string{"/etc", "/var/lib/paperclip", "/run/paperclip"} }

// settings are the folders outside /etc that adapters and the programs they
// start write to. paperclipd-core.service and paperclip-recovery.service name
// the same (a test compares them), and tmpfiles.d makes those that are ours to
// make.
func settings() []string {
	return []string{
		"/var/lib/samba", "/var/cache/samba", "/var/log/samba", "/run/samba", // Samba's Python bindings, pdbedit, smbcontrol
		"/var/lib/paperclip-home",                     // homes of administrators whom a hard reset makes
		"/run/faillock",                               // counted failures
		"/run/ufw.lock",                               // ufw
		"/run/xtables.lock",                           // iptables, by ufw
		"/run/systemd/network", "/run/NetworkManager", // a claim's links are marked unmanaged
	}
}

// Report is what Check found, as `paperclipd doctor` is told it.
type Report struct {
	Version  int      `json:"version"`
	Landlock int      `json:"landlock"` // its ABI; 0 where the kernel has none
	Write    []string `json:"write"`    // what is allowed, of what was there
	Volumes  []Volume `json:"volumes"`  // the file systems it was tried on
	Devices  int      `json:"devices"`  // block devices tried, each refused
	// Open is what was not refused. Nothing may run then.
	Open []string `json:"open,omitempty"`
}

// ReportVersion is the version of the form above.
const ReportVersion = 1

// Volume is one mounted file system outside the folders that may be written.
type Volume struct {
	Path    string `json:"path"`
	Refused By     `json:"refused"`
}

// By is what refused a write.
type By string

// ByMount is the unit's read-only mount, which refuses every change. ByRules is
// Landlock alone (or a right that the process does not have): chmod and, on old
// kernels, truncate would get through. NotTried is a file system on another
// machine, which might never answer; it is mounted read-only.
const (
	ByMount  By = "read-only mount"
	ByRules  By = "rules"
	NotTried By = "read-only mount, not tried"
)

// Weak are the volumes that only the second layer protects.
func (r Report) Weak() []string {
	var weak []string
	for _, v := range r.Volumes {
		if v.Refused == ByRules {
			weak = append(weak, v.Path)
		}
	}
	return weak
}

// String is one line for a log.
func (r Report) String() string {
	return fmt.Sprintf("Landlock ABI %d, %d file systems and %d block devices refused", r.Landlock, len(r.Volumes), r.Devices)
}
