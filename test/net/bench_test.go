package net

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/paperclip-nas/paperclip/internal/owner/discover"
)

// measured is one tool's run.
type measured struct {
	name    string
	time    time.Duration
	packets uint64
	found   int
}

// packets is how many the test's end of the cable has sent.
func packets(t *testing.T) uint64 {
	t.Helper()
	l, err := netlink.LinkByName("nic0")
	if err != nil {
		t.Fatal(err)
	}
	return l.Attrs().Statistics.TxPackets
}

// TestBench times our search beside arp-scan, nmap and avahi-browse on one LAN,
// in one run (make bench-find). Ours ends when all are told of; arp-scan and
// nmap tell addresses only, avahi-browse of multicast DNS only. Nothing is
// judged: the machine may be busy.
func TestBench(t *testing.T) {
	if os.Getenv("PAPERCLIP_BENCH") != "1" {
		t.Skip("a benchmark: set PAPERCLIP_BENCH=1 (make bench-find)")
	}
	const devices, ours = 50, 20
	isolated(t, []string{"arp-scan", "nmap", "avahi-daemon", "avahi-browse", "dbus-daemon", "unshare"}, func(t *testing.T) {
		c := lan(t)
		c.addresses(devices)
		c.ours(0, ours)
		c.synology(ours, 35)
		c.qnap(35, devices)
		var all []measured
		for range 3 {
			all = append(all, paperclip(t, devices), tool(t, "arp-scan", "-I", "nic0", "-q", "10.77.1.0/24"), tool(t, "nmap", "-sn", "-n", "10.77.1.0/24"))
		}
		all = append(all, avahiBrowse(t, ours))
		base := all[0]
		for _, m := range all[1:] {
			if m.name == base.name && m.time < base.time {
				base = m
			}
		}
		var b strings.Builder
		for _, m := range all {
			fmt.Fprintf(&b, "%-14s %8.3f s  %4d packets  %2d found   %5.1f × our time, %5.1f × our packets\n", m.name, m.time.Seconds(), m.packets, m.found,
				m.time.Seconds()/base.time.Seconds(), float64(m.packets)/float64(base.packets))
		}
		t.Logf("one LAN with %d devices, %d of them by multicast DNS:\n%s", devices, ours, b.String())
	})
}

func paperclip(t *testing.T, n int) measured {
	t.Helper()
	before := packets(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	m := measured{name: "paperclip find"}
	start := time.Now()
	_, _ = discover.Find(ctx, everyWay(), discover.Options{Changed: func(d []discover.Device) {
		if m.found = len(d); m.found >= n {
			m.time = time.Since(start)
			cancel()
		}
	}})
	m.packets = packets(t) - before
	return m
}

func tool(t *testing.T, name string, args ...string) measured {
	t.Helper()
	command(t, "ip", "neighbour", "flush", "dev", "nic0")
	before, start := packets(t), time.Now()
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	m := measured{name: name, time: time.Since(start), packets: packets(t) - before}
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(line, "10.77.1.") || strings.HasPrefix(line, "Nmap scan report for 10.77.1.") {
			m.found++
		}
	}
	return m
}

func avahiBrowse(t *testing.T, n int) measured {
	t.Helper()
	conf, _ := avahi(t, "browser", "yes")
	before := packets(t)
	out := daemon(t, nil, nil, "mkdir -p /run/dbus /run/avahi-daemon\ndbus-daemon --system --fork --nopidfile\n"+
		"avahi-daemon --no-drop-root --no-chroot --no-rlimits -f "+conf+" &\nuntil avahi-daemon --check; do sleep 0.1; done\n"+
		"echo begins\nexec avahi-browse -r -p _paperclip._tcp\n")
	out.until(t, "begins")
	start := time.Now()
	late := time.After(15 * time.Second)
	m := measured{name: "avahi-browse"}
	for m.found < n && m.time < 15*time.Second {
		select {
		case <-out.more:
		case <-late:
			m.time = time.Since(start)
			continue
		}
		m.found, m.time = strings.Count(out.String(), "\n=;nic0;IPv4;"), time.Since(start)
	}
	m.packets = packets(t) - before
	return m
}
