// Package packaging holds what a paperclipd is installed with to its promises,
// by the tools of the system itself. It installs nothing.
package packaging

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

const units = "../../packaging/systemd/"

// Exposure, as systemd counts it from 0 (least) to 10: the listener at most
// 1.5, the half with root at most 3.5.
func TestExposure(t *testing.T) {
	tool, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("needs systemd-analyze (Debian package systemd)")
	}
	overall := regexp.MustCompile(`Overall exposure level for \S+: ([0-9.]+)`)
	for unit, most := range map[string]float64{"paperclipd-front.service": 1.5, "paperclipd-core.service": 3.5} {
		out, err := exec.Command(tool, "security", "--offline=true", "--no-pager", units+unit).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", unit, err, out)
		}
		m := overall.FindSubmatch(out)
		if m == nil {
			t.Fatalf("%s: no exposure in\n%s", unit, out)
		}
		got, err := strconv.ParseFloat(string(m[1]), 64)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %.1f", unit, got)
		if got > most {
			t.Errorf("%s has exposure %.1f, more than %.1f", unit, got, most)
		}
	}
}

// X5: who takes the listener over changes no page that it shows: it may write to
// no file of the system, and cannot look at the accounts or the volumes.
func TestListenerCanChangeNoFile(t *testing.T) {
	raw, err := os.ReadFile(units + "paperclipd-front.service")
	if err != nil {
		t.Fatal(err)
	}
	unit := string(raw)
	for _, want := range []string{"ProtectSystem=strict", "ProtectHome=yes", "NoNewPrivileges=yes", "User=paperclip", "CapabilityBoundingSet=CAP_NET_BIND_SERVICE", "MemoryDenyWriteExecute=yes"} {
		if !strings.Contains(unit, "\n"+want+"\n") {
			t.Errorf("it is without %s", want)
		}
	}
	if m := regexp.MustCompile(`(?m)^(ReadWritePaths|StateDirectory|BindPaths|CacheDirectory|LogsDirectory)=.*`).FindString(unit); m != "" {
		t.Errorf("it may write: %s", m)
	}
	for _, hidden := range []string{"/srv", "/mnt", "/media", "/etc/shadow", "/var/lib/paperclip"} {
		if !regexp.MustCompile(`(?m)^InaccessiblePaths=.*-` + hidden + `( |$)`).MatchString(unit) {
			t.Errorf("it sees %s", hidden)
		}
	}
}

// The daemon is small enough for the devices it is for: 12 MB (12,000,000 bytes), static and
// stripped, as make dist makes it. What makes it jump is a call of a method by name
// (html/template is one): the linker then keeps every method of every type.
func TestDaemonIsSmall(t *testing.T) {
	if _, err := exec.LookPath("make"); err != nil {
		t.Skip("needs make, which knows how it is released")
	}
	program := filepath.Join(t.TempDir(), "paperclipd")
	c := exec.Command("make", "daemon", "OUT="+program)
	c.Dir, c.Env = "../..", append(os.Environ(), "GOOS=linux")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	info, err := os.Stat(program)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("paperclipd: %d bytes", info.Size())
	if info.Size() > 12_000_000 {
		t.Errorf("paperclipd has %d bytes, more than 12 MB", info.Size())
	}
}
