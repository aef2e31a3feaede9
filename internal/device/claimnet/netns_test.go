//go:build linux

package claimnet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// inside is set in the child that runs a test in namespaces of its own.
const inside = "PAPERCLIP_TEST_NAMESPACE"

// isolated runs the calling test again, in a child with a network, a mount
// table, a /sys and a /run of its own, and returns true there. Nothing of it
// outlives the child. It skips where that can't be done.
func isolated(t *testing.T, tools ...string) bool {
	t.Helper()
	if os.Getenv(inside) == t.Name() {
		must(t, unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
		must(t, unix.Mount("sys", "/sys", "sysfs", 0, ""))
		must(t, unix.Mount("run", "/run", "tmpfs", 0, ""))
		return true
	}
	if os.Getuid() != 0 {
		t.Skip("needs root, to make network namespaces")
	}
	for _, tool := range append(tools, "ip", "nft") {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs the program %s", tool)
		}
	}
	t.Parallel() // each child has its own
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=120s")
	cmd.Env = append(os.Environ(), inside+"="+t.Name())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS, Pdeathsig: unix.SIGKILL}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, unix.EPERM) {
		t.Skip("this machine makes no namespaces")
	}
	if err != nil || !bytes.Contains(out, []byte("--- PASS: "+t.Name())) {
		t.Errorf("in its own namespaces: %v\n%s", err, out)
	}
	return false
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// command runs a program and returns what it wrote.
func command(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), args[0], args[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
	return string(out)
}

// script runs one ip(8) command a line, all in one process, and returns what it
// wrote.
func script(t *testing.T, lines string, options ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "ip", append(options, "-batch", "-")...)
	cmd.Stdin = strings.NewReader(lines)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("ip %v: %v\n%s\n%s", options, err, lines, out)
	}
	return string(out)
}

// lan makes a NAS (this namespace, its card "nic" with a static address of a
// subnet that nobody else has) and a neighbour (the namespace "lan", whose
// card "out" has an address of the LAN's and a link-local one).
func lan(t *testing.T) {
	t.Helper()
	script(t, `
		link set lo up
		netns add lan
		link add nic type veth peer name out netns lan
		addr add 10.99.0.5/24 dev nic
		link set nic up
		route add default via 10.99.0.1 dev nic`)
	script(t, `
		link set lo up
		addr add 192.168.77.1/24 dev out
		addr add 169.254.9.9/16 dev out
		link set out up`, "-n", "lan")
	settle(t, "nic")
}

// settle waits until the kernel has given links their IPv6 addresses, so that
// before and after can be compared.
func settle(t *testing.T, links ...string) {
	t.Helper()
	for _, name := range links {
		link, err := netlink.LinkByName(name)
		must(t, err)
		eventually(t, "the IPv6 address of "+name, func() bool {
			addrs, err := netlink.AddrList(link, netlink.FAMILY_V6)
			must(t, err)
			tentative := slices.ContainsFunc(addrs, func(a netlink.Addr) bool { return a.Flags&unix.IFA_F_TENTATIVE != 0 })
			return !tentative && slices.ContainsFunc(addrs, func(a netlink.Addr) bool { return a.IP.IsLinkLocalUnicast() })
		})
	}
}

// eventually polls for what the kernel or another program does.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// dhcpServer runs dnsmasq in the lan. It offers what a claim must not take,
// too: a router and a name server.
func dhcpServer(t *testing.T, extra ...string) (log func() string) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "log")
	args := append([]string{
		"netns", "exec", "lan", "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null",
		"--port=0", "--interface=out", "--bind-interfaces", "--no-ping", "--dhcp-authoritative",
		"--dhcp-range=192.168.77.50,192.168.77.99,255.255.255.0,2m", "--dhcp-option=option:router,192.168.77.1",
		"--dhcp-option=option:dns-server,192.168.77.1", "--dhcp-leasefile=" + filepath.Join(dir, "leases"),
		"--log-dhcp", "--log-facility=" + file, "--user=root", "--pid-file=",
	}, extra...)
	cmd := exec.Command("ip", args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}
	must(t, cmd.Start())
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	log = func() string {
		b, err := os.ReadFile(file)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		return string(b)
	}
	eventually(t, "dnsmasq", func() bool { return strings.Contains(log(), "DHCP, IP range") })
	return log
}

// answer makes the NAS listen on a TCP port, on every address.
func answer(t *testing.T, port uint16) {
	t.Helper()
	l, err := net.Listen("tcp4", fmt.Sprintf(":%d", port))
	must(t, err)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			io.WriteString(c, "nas")
			c.Close()
		}
	}()
}

// fromLAN runs do in the neighbour's namespace. The thread is thrown away.
func fromLAN(t *testing.T, do func() error) error {
	t.Helper()
	ns, err := netns.GetFromName("lan")
	must(t, err)
	defer ns.Close()
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		if err := netns.Set(ns); err != nil {
			done <- err
			return
		}
		done <- do()
	}()
	return <-done
}

// reach connects from the neighbour to the NAS and hears it answer.
func reach(t *testing.T, to netip.Addr, port uint16) error {
	t.Helper()
	return fromLAN(t, func() error {
		d := net.Dialer{Timeout: 1500 * time.Millisecond}
		c, err := d.Dial("tcp4", netip.AddrPortFrom(to, port).String())
		if err != nil {
			return err
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(3 * time.Second))
		b, err := io.ReadAll(c)
		if err == nil && string(b) != "nas" {
			err = fmt.Errorf("it answered %q", b)
		}
		return err
	})
}

// timers are what a bridge counts down by itself.
var timers = regexp.MustCompile(`\w+_timer +[0-9.]+ `)

// system is everything that a claim could have changed, as text.
func system(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	b.WriteString(script(t, "link\naddr\nrule\nroute show table all\n", "-o", "-d")) // routes of IPv6 too
	for _, args := range [][]string{
		{"ip", "-6", "rule"},
		{"nft", "list", "ruleset"},
		{"find", "/run", "-not", "-path", "/run/netns*", "-type", "f"},
	} {
		fmt.Fprintf(&b, "# %s\n%s", strings.Join(args, " "), command(t, args...))
	}
	return timers.ReplaceAllString(b.String(), "")
}

// same compares the system with what it was.
func same(t *testing.T, before string) {
	t.Helper()
	after := system(t)
	if after == before {
		return
	}
	was, is := strings.Split(before, "\n"), strings.Split(after, "\n")
	for _, line := range is {
		if !strings.Contains(before, line) {
			t.Errorf("new:  %s", line)
		}
	}
	for _, line := range was {
		if !strings.Contains(after, line) {
			t.Errorf("gone: %s", line)
		}
	}
	if !t.Failed() {
		t.Errorf("the order changed: before\n%s\nafter\n%s", before, after)
	}
}

// services is a Runner whose systemctl knows both network services, and which
// keeps the commands it got.
type services struct {
	mu  sync.Mutex
	ran []string
}

func (s *services) Run(_ context.Context, op string, c opfs.Command) (opfs.Output, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ran = append(s.ran, op+": "+c.Path+" "+strings.Join(c.Args, " "))
	return opfs.Output{}, nil
}

// claim is a Network under test, and the news of it.
type claim struct {
	*Network
	news chan []access.Interface
}

func newClaim(change func(*Config)) claim {
	cfg := Config{
		FS: opfs.OS(nil), Run: &services{}, Virtual: true,
		Ports: func() []uint16 { return []uint16{5000, port} },
	}
	if change != nil {
		change(&cfg)
	}
	return claim{New(cfg), make(chan []access.Interface, 100)}
}

func (c claim) tell(i []access.Interface) { c.news <- i }

// open opens the claim's network and returns what it is reached by at first.
func (c claim) open(t *testing.T) []access.Interface {
	t.Helper()
	must(t, c.Open(t.Context(), c.tell))
	t.Cleanup(func() { c.Close(context.Background()) })
	return c.next(t)
}

// next waits for the next change of addresses.
func (c claim) next(t *testing.T) []access.Interface {
	t.Helper()
	select {
	case i := <-c.news:
		return i
	case <-time.After(60 * time.Second):
		t.Fatal("no news of addresses")
		return nil
	}
}
