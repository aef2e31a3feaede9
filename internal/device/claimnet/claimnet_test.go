//go:build linux

package claimnet

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/paperclip-nas/paperclip/internal/device/claimnet/onlink"
	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/x/clock"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

const port = 5001

// A Network is what core asks for.
var _ interface {
	Open(context.Context, func([]access.Interface)) error
	Close(context.Context) error
} = (*Network)(nil)

// fixed and leasedAt are a claim interface's two addresses.
func fixed(t *testing.T, i []access.Interface) netip.Addr {
	t.Helper()
	if len(i) == 0 || len(i[0].Prefixes) == 0 {
		t.Fatalf("no address in %+v", i)
	}
	return i[0].Prefixes[0].Addr()
}

func leasedAt(t *testing.T, i []access.Interface) netip.Addr {
	t.Helper()
	if len(i) == 0 || len(i[0].Prefixes) != 2 {
		t.Fatalf("no address by DHCP in %+v", i)
	}
	return i[0].Prefixes[1].Addr()
}

// Reachable with a static address of another subnet. F4, F6.
func TestReachableByDHCP(t *testing.T) {
	if !isolated(t, "dnsmasq") {
		return
	}
	lan(t)
	dhcpServer(t)
	answer(t, port)
	before := system(t)
	if err := reach(t, netip.MustParseAddr("10.99.0.5"), port); err == nil {
		t.Fatal("the NAS can be reached without a claim: this test shows nothing")
	}
	run := &services{}
	c := newClaim(func(cfg *Config) { cfg.Run = run })
	opened := c.open(t)
	to := leasedAt(t, c.next(t))
	if !netip.MustParsePrefix("192.168.77.0/24").Contains(to) {
		t.Errorf("the address is %v", to)
	}
	if err := reach(t, to, port); err != nil {
		t.Errorf("not reachable at %v: %v\n%s", to, err, system(t))
	}
	nic, err := net.InterfaceByName("nic")
	must(t, err)
	if got := opened[0].MAC; got != nic.HardwareAddr.String() {
		t.Errorf("the interface says MAC %s, want the card's own %s", got, nic.HardwareAddr)
	}
	// From DHCP comes an address and nothing else.
	routes := command(t, "ip", "-4", "route")
	if strings.Contains(routes, prefix) || strings.Contains(routes, "192.168.77") {
		t.Errorf("the main table has routes of the claim's:\n%s", routes)
	}
	for _, m := range marks() {
		if b, err := os.ReadFile(m.path); err != nil || string(b) != m.content {
			t.Errorf("mark for %s: %q, %v", m.service, b, err)
		}
	}
	for _, want := range []string{"claimnet.networkd.reload: networkctl reload", "claimnet.networkmanager.reload: nmcli general reload conf"} {
		if !slices.Contains(run.ran, want) {
			t.Errorf("it did not run %q, only %q", want, run.ran)
		}
	}
	must(t, c.Close(t.Context()))
	same(t, before)
	if n := len(c.news); n != 0 || len(c.Interfaces()) != 0 {
		t.Errorf("after Close there is news (%d) or an interface: %v", n, c.Interfaces())
	}
	must(t, c.Close(t.Context()))
}

// F6: "it beeped, and now it has no address".
func TestReachableWithoutDHCP(t *testing.T) {
	if !isolated(t) {
		return
	}
	lan(t)
	command(t, "ip", "route", "del", "default")
	answer(t, port)
	before := system(t)
	c := newClaim(nil)
	to := fixed(t, c.open(t))
	if err := reach(t, to, port); err != nil {
		t.Errorf("not reachable at %v: %v\n%s", to, err, system(t))
	}
	if again := fixed(t, c.open(t)); again != to {
		t.Errorf("the address was %v, and at the next claim %v", to, again)
	}
	must(t, c.Close(t.Context()))
	same(t, before)
}

// dropAll is a firewall in which every way of dropping is used.
const dropAll = `
table inet filter {
	chain everything { iifname != "nothing" drop; }
	chain early { type filter hook prerouting priority raw; iifname != "lo" jump everything; }
	chain input { type filter hook input priority filter; policy drop; ct state established,related accept; }
	chain output { type filter hook output priority filter; policy drop; }
}
table ip filter {
	chain INPUT { type filter hook input priority filter; tcp dport 22 accept; drop; }
	chain OUTPUT { type filter hook output priority filter; reject; }
}
table ip owner {
	chain empty { type filter hook input priority 10; }
}
table inet nat {
	chain pre { type nat hook prerouting priority dstnat; }
}
`

// Reachable behind the owner's drop-all nftables.
func TestReachableBehindAFirewall(t *testing.T) {
	if !isolated(t, "dnsmasq") {
		return
	}
	lan(t)
	dhcpServer(t)
	answer(t, port)
	answer(t, 5999)
	loadRules(t, dropAll)
	before := system(t)
	c := newClaim(nil)
	first := fixed(t, c.open(t))
	second := leasedAt(t, c.next(t))
	for _, to := range []netip.Addr{first, second} {
		if err := reach(t, to, port); err != nil {
			t.Errorf("not reachable at %v: %v\n%s", to, err, system(t))
		}
		if err := reach(t, to, 5999); err == nil {
			t.Errorf("port 5999 of %v was opened too", to)
		}
	}
	if got := command(t, "nft", "list", "chain", "inet", "filter", "input"); !strings.Contains(got, `comment "`+tag+`"`) {
		t.Errorf("the rules are not tagged:\n%s", got)
	}
	if got := command(t, "nft", "list", "table", "ip", "owner"); strings.Contains(got, tag) {
		t.Errorf("a chain that blocks nothing was changed:\n%s", got)
	}
	must(t, c.Close(t.Context()))
	same(t, before)
	if err := reach(t, netip.MustParseAddr("10.99.0.5"), port); err == nil {
		t.Error("the owner's firewall is open after the claim")
	}
}

// A firewall that is loaded anew while a claim is open shuts it for a moment
// only, and nothing of ours is left after the claim, also where the rules were
// loaded anew just before its end.
func TestFirewallLoadedAnew(t *testing.T) {
	if !isolated(t) {
		return
	}
	lan(t)
	answer(t, port)
	loadRules(t, dropAll)
	before := system(t)
	look := make(chan time.Time)
	c := newClaim(func(cfg *Config) { cfg.Clock = guardBy{clock.System(), look} })
	at := fixed(t, c.open(t))
	for _, reload := range []string{"flush ruleset\n" + dropAll, "flush table inet filter\nadd rule inet filter input tcp dport 22 accept\n"} {
		loadRules(t, reload)
		if err := reach(t, at, port); err == nil {
			t.Error("the rules are there without having been put back: this shows nothing")
		}
		look <- time.Time{}
		look <- time.Time{} // it is heard once the first look has ended
		eventually(t, "a way in again after "+reload, func() bool { return reach(t, at, port) == nil })
		rules := command(t, "nft", "list", "ruleset")
		for _, want := range []string{`icmpv6 type nd-router-advert drop`, `arp daddr ip`} {
			if strings.Count(rules, want) != 1 {
				t.Errorf("%s stands %d times", want, strings.Count(rules, want))
			}
		}
		if n := strings.Count(command(t, "nft", "list", "chain", "inet", "filter", "input"), tag); n != 3 { // both ports and mDNS
			t.Errorf("%d rules of ours in the owner's chain", n)
		}
	}
	loadRules(t, "flush ruleset\n"+dropAll)
	must(t, c.Close(t.Context()))
	same(t, before)
	if err := reach(t, at, port); err == nil {
		t.Error("the claim's door is open after it")
	}
}

// guardBy has the guard look at the firewall when the test says so. No other wait
// of a claim's is as long as the guard's.
type guardBy struct {
	clock.Clock
	look <-chan time.Time
}

func (c guardBy) After(d time.Duration) <-chan time.Time {
	if d == guardEvery {
		return c.look
	}
	return c.Clock.After(d)
}

func loadRules(t *testing.T, rules string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "nft", "-f", "-")
	cmd.Stdin = strings.NewReader(rules)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("nft: %v\n%s", err, out)
	}
}

// The NIC's own addresses are never touched, watched as ip monitor
// does. The card here is in the LAN's own subnet, so that the neighbour could
// take the claim's link for the card, or the card for the link.
func TestTheCardIsLeftAlone(t *testing.T) {
	if !isolated(t, "dnsmasq") {
		return
	}
	lan(t)
	command(t, "ip", "addr", "add", "192.168.77.5/24", "dev", "nic")
	dhcpServer(t)
	answer(t, port)
	loadRules(t, `table inet filter { chain input { type filter hook input priority filter; policy drop; iifname "nic" tcp dport 5001 ip daddr 192.168.77.5 accept; iifname "lo" accept; }; }`)
	before := system(t)
	nic, err := net.InterfaceByName("nic")
	must(t, err)

	var touched, others int
	updates, stop := make(chan netlink.AddrUpdate, 1000), make(chan struct{})
	must(t, netlink.AddrSubscribe(updates, stop))

	c := newClaim(nil)
	c.open(t)
	to := leasedAt(t, c.next(t))
	for range 3 {
		command(t, "ip", "-n", "lan", "neigh", "flush", "dev", "out")
		if err := reach(t, netip.MustParseAddr("192.168.77.5"), port); err != nil {
			t.Errorf("the card's own address stopped working: %v", err)
		}
		if err := reach(t, to, port); err != nil {
			t.Errorf("not reachable at %v: %v", to, err)
		}
		neighbours := command(t, "ip", "-n", "lan", "neigh")
		for addr, mac := range map[string]net.HardwareAddr{"192.168.77.5": nic.HardwareAddr, to.String(): linkMAC(nic.HardwareAddr)} {
			if !strings.Contains(neighbours, addr+" dev out lladdr "+mac.String()) {
				t.Errorf("%s is not at %v:\n%s", addr, mac, neighbours)
			}
		}
	}
	must(t, c.Close(t.Context()))
	same(t, before)
	// A last change of our own marks the end of what the kernel had to say.
	command(t, "ip", "addr", "add", "192.0.2.1/32", "dev", "lo")
	for u := range updates {
		switch {
		case u.LinkAddress.IP.Equal(net.IPv4(192, 0, 2, 1)):
			close(stop)
		case u.LinkIndex == nic.Index:
			touched++
		default:
			others++
		}
	}
	if touched != 0 || others == 0 {
		t.Errorf("%d changes to the card's addresses, want 0; %d to others, want some", touched, others)
	}
}

// A claim is reachable on every wired card, and by the bridge of one that is
// part of a bridge.
func TestEveryCard(t *testing.T) {
	if !isolated(t) {
		return
	}
	lan(t)
	script(t, `
		link add second type veth peer name out2 netns lan
		link add third type veth peer name out3 netns lan
		link add down type veth peer name out4 netns lan
		link add br0 type bridge
		link set third master br0
		link set br0 up
		link set second up
		link set third up`)
	script(t, `
		link add room type bridge
		link set out2 master room
		link set out3 master room
		link set out2 up
		link set out3 up
		addr add 169.254.9.8/16 dev room
		link set room up
		addr del 169.254.9.9/16 dev out`, "-n", "lan")
	settle(t, "second", "third", "br0")
	answer(t, port)
	before := system(t)
	c := newClaim(nil)
	opened := c.open(t)
	if len(opened) != 3 {
		t.Fatalf("claim links: %+v, want one on nic, second and br0", opened)
	}
	for _, i := range opened[1:] { // the first card is on the other wire
		to := i.Prefixes[0].Addr()
		eventually(t, "the bridges", func() bool { return reach(t, to, port) == nil })
	}
	must(t, c.Close(t.Context()))
	same(t, before)
}

// A claim asks for its lease again in time, and drops an address whose lease
// has ended.
func TestLease(t *testing.T) {
	if !isolated(t, "dnsmasq") {
		return
	}
	lan(t)
	log := dhcpServer(t)
	c := newClaim(func(cfg *Config) { cfg.Clock = clock.Faster(clock.System(), 60) })
	c.open(t)
	leasedAt(t, c.next(t))
	requests := func() int { return strings.Count(log(), "DHCPREQUEST(out)") }
	eventually(t, "two renewals of 1 minute, a second each", func() bool { return requests() >= 3 })
	if strings.Contains(log(), "hostname") || strings.Contains(log(), "client provides name") {
		t.Errorf("the claim told the DHCP server a name:\n%s", log())
	}
	// The server falls silent: the address must go when the lease ends.
	command(t, "ip", "-n", "lan", "link", "set", "out", "down")
	if i := c.next(t); len(i[0].Prefixes) != 1 {
		t.Errorf("after the lease ended it has %v", i[0].Prefixes)
	}
	if got := command(t, "ip", "addr"); strings.Contains(got, "192.168.77.") {
		t.Errorf("the address is still there:\n%s", got)
	}
}

func TestTheServerGetsItsAddressBack(t *testing.T) {
	if !isolated(t, "dnsmasq") {
		return
	}
	lan(t)
	log := dhcpServer(t)
	c := newClaim(nil)
	c.open(t)
	leasedAt(t, c.next(t))
	must(t, c.Close(t.Context()))
	eventually(t, "a release", func() bool { return strings.Contains(log(), "DHCPRELEASE(out)") })
}

// A process that was killed leaves things behind: the next one's Clean finds
// and removes them, and nothing else.
func TestCleanAfterAKill(t *testing.T) {
	if !isolated(t, "dnsmasq") {
		return
	}
	lan(t)
	dhcpServer(t)
	loadRules(t, dropAll)
	script(t, "link add pclipped type bridge") // not ours, whatever it is called
	before := system(t)
	killed := newClaim(nil)
	killed.open(t)
	leasedAt(t, killed.next(t))
	killed.stop() // its process is gone; so is what it knew
	killed.dhcp.Wait()
	if system(t) == before {
		t.Fatal("nothing was left behind: this test shows nothing")
	}
	must(t, newClaim(nil).Clean(t.Context()))
	same(t, before)
	must(t, newClaim(nil).Clean(t.Context()))
	same(t, before)
}

// Whatever operation fails, before or after it happened, Close puts everything
// back; where Close itself fails, the next one does. The operations are those of a run, not a list.
func TestFailAtEveryOperation(t *testing.T) {
	if !isolated(t) {
		return
	}
	lan(t)
	loadRules(t, `table inet filter { chain input { type filter hook input priority filter; policy drop; }; }`)
	before := system(t)
	var rec opfs.Recorder
	with := func(hook opfs.Hook) claim {
		return newClaim(func(cfg *Config) { cfg.Hook, cfg.FS = hook, opfs.OS(hook) })
	}
	c := with(rec.Hook)
	must(t, c.Open(t.Context(), c.tell))
	must(t, c.Close(t.Context()))
	points := rec.Points()
	same(t, before)
	if len(points) < 20 {
		t.Fatalf("only %d points: %v", len(points), points)
	}
	boom := errors.New("boom")
	for _, p := range points {
		c := with(opfs.At(p, func() error { return boom }))
		err := c.Open(t.Context(), c.tell)
		if err != nil && !errors.Is(err, boom) {
			t.Errorf("%v: %v", p, err)
		}
		if err := c.Close(t.Context()); err != nil && !errors.Is(err, boom) {
			t.Errorf("%v: %v", p, err)
		}
		must(t, c.Close(t.Context())) // again, if the first was what failed
		if same(t, before); t.Failed() {
			t.Fatalf("after a failure at %v", p)
		}
	}
	t.Logf("%d points", len(points))
}

func TestNoCard(t *testing.T) {
	if !isolated(t) {
		return
	}
	script(t, `
		link set lo up
		link add nic type veth peer name out
		link add docker0 type bridge
		link set docker0 up
		tuntap add dev vpn mode tap
		link set vpn up`)
	settle(t, "docker0")
	before := system(t)
	c := newClaim(nil)
	if err := c.Open(t.Context(), c.tell); !errors.Is(err, ErrNoNIC) {
		t.Errorf("Open returned %v, want ErrNoNIC: the only card is switched off", err)
	}
	same(t, before)
}

// The claim's link answers for itself only, forwards nothing, and takes no
// route from an IPv6 router; netlink's numbers are checked against /proc.
func TestTheLinkKeepsToItself(t *testing.T) {
	if !isolated(t) {
		return
	}
	must(t, os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0))
	lan(t)
	c := newClaim(nil)
	name := c.open(t)[0].Name
	for file, want := range map[string]string{"arp_ignore": "1", "rp_filter": "0", "forwarding": "0", "accept_redirects": "0", "send_redirects": "0"} {
		b, err := os.ReadFile("/proc/sys/net/ipv4/conf/" + name + "/" + file)
		if got := strings.TrimSpace(string(b)); err != nil || got != want {
			t.Errorf("%s is %q, %v, want %s", file, got, err, want)
		}
	}
	if b, _ := os.ReadFile("/proc/sys/net/ipv4/conf/nic/forwarding"); strings.TrimSpace(string(b)) != "1" {
		t.Errorf("the card's own forwarding is %q now", b)
	}
	got := command(t, "nft", "list", "ruleset")
	for _, want := range []string{`iifname "pclip*" icmpv6 type nd-router-advert drop`, `iifname != "` + name + `" arp daddr ip`} {
		if !strings.Contains(got, want) {
			t.Errorf("no rule %s in\n%s", want, got)
		}
	}
}

// A reply by a socket that names only the link (as mDNS does) leaves by it.
func TestMulticastAnswersLeaveByTheLink(t *testing.T) {
	if !isolated(t) {
		return
	}
	lan(t)
	c := newClaim(nil)
	i := c.open(t)
	link, err := net.InterfaceByName(i[0].Name)
	must(t, err)
	got := make(chan netip.AddrPort, 1)
	var neighbour *net.UDPConn
	must(t, fromLAN(t, func() (err error) {
		neighbour, err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(169, 254, 9, 9), Port: 40000})
		return err
	}))
	defer neighbour.Close()
	neighbour.SetReadDeadline(time.Now().Add(10 * time.Second))
	go func() {
		_, from, err := neighbour.ReadFromUDPAddrPort(make([]byte, 100))
		if err != nil {
			t.Error(err)
		}
		got <- from
	}()
	s, err := net.ListenUDP("udp4", &net.UDPAddr{Port: 5353})
	must(t, err)
	defer s.Close()
	info := unix.PktInfo4(&unix.Inet4Pktinfo{Ifindex: int32(link.Index)})
	_, _, err = s.WriteMsgUDPAddrPort([]byte("here"), info, netip.MustParseAddrPort("169.254.9.9:40000"))
	must(t, err)
	if from := <-got; from.Addr() != fixed(t, i) {
		t.Errorf("the answer came from %v, want %v", from, fixed(t, i))
	}
}

// What comes in by a claim's link comes from the room; what comes in by a VPN
// does not (off-link sources refused).
func TestTheClaimsLinkIsTheRoom(t *testing.T) {
	if !isolated(t) {
		return
	}
	lan(t)
	script(t, `
		tuntap add dev vpn mode tun
		addr add 10.8.0.2/24 dev vpn
		link set vpn up`)
	c := newClaim(nil)
	to := fixed(t, c.open(t))
	n, err := onlink.Snapshot(true)
	must(t, err)
	for _, c := range []struct {
		local, remote string
		want          bool
	}{
		{to.String(), "169.254.9.9", true},
		{to.String(), "192.168.77.1", false}, // no lease yet, so another network
		{"10.99.0.5", "10.99.0.6", true},
		{"10.99.0.5", to.String(), false},
		{"10.8.0.2", "10.8.0.3", false},
		{"127.0.0.1", "127.0.0.1", false},
	} {
		if got := n.OnLink(netip.MustParseAddr(c.local), netip.MustParseAddr(c.remote)); got != c.want {
			t.Errorf("OnLink(%s, %s) = %v, want %v\n%+v", c.local, c.remote, got, c.want, n)
		}
	}
}
