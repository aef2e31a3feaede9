package net

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"

	"github.com/paperclip-nas/paperclip/internal/device/announcer"
	"github.com/paperclip-nas/paperclip/internal/owner/discover"
	"github.com/paperclip-nas/paperclip/internal/protocol/announce"
	"github.com/paperclip-nas/paperclip/internal/protocol/leases"
	"github.com/paperclip-nas/paperclip/internal/protocol/ssdp"
	"github.com/paperclip-nas/paperclip/internal/x/nettest"
)

// command runs one in the test's own namespace.
func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// lines is what a program that runs says, and a way to wait for it.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{}
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case l.more <- struct{}{}:
	default:
	}
	return l.text.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// until waits for the program to say something.
func (l *lines) until(t *testing.T, what string) {
	t.Helper()
	late := time.After(20 * time.Second)
	for !strings.Contains(l.String(), what) {
		select {
		case <-l.more:
		case <-late:
			t.Fatalf("it never said %q:\n%s", what, l)
		}
	}
}

// daemon runs a script in a mount namespace of its own, where /run is empty and
// the folders in binds lie over the system's, until the test ends. in is where
// its network is; nil is the test's own.
func daemon(t *testing.T, in *nettest.Space, binds map[string]string, script string) *lines {
	t.Helper()
	var b strings.Builder
	b.WriteString("set -e\nmount --make-rprivate /\nmount -t tmpfs tmpfs /run\n")
	for over, from := range binds {
		b.WriteString("mount --bind " + from + " " + over + "\n")
	}
	b.WriteString(script)
	out := &lines{more: make(chan struct{}, 1)}
	c := exec.Command("unshare", "-m", "sh", "-c", b.String())
	c.Stdout, c.Stderr = out, out
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var err error
	start := func() { err = c.Start() }
	if in == nil {
		start()
	} else {
		in.Do(start)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-c.Process.Pid, syscall.SIGKILL) // its own group
		_ = c.Wait()
	})
	return out
}

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// reachable is a folder that a daemon without root can look into.
func reachable(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for d := dir; strings.HasPrefix(d, os.TempDir()+"/"); d = filepath.Dir(d) {
		_ = os.Chmod(d, 0o755)
	}
	return dir
}

const avahiConf = "[server]\nuse-ipv4=yes\nuse-ipv6=yes\nenable-dbus=%DBUS%\nhost-name=%HOST%\n[wide-area]\nenable-wide-area=no\n[publish]\npublish-hinfo=no\npublish-workstation=no\n[rlimits]\n"

func avahi(t *testing.T, host, dbus string) (conf, services string) {
	dir := reachable(t)
	services = filepath.Join(dir, "services")
	if err := os.Mkdir(services, 0o755); err != nil {
		t.Fatal(err)
	}
	return write(t, dir, "avahi.conf", strings.NewReplacer("%HOST%", host, "%DBUS%", dbus).Replace(avahiConf)), services
}

// avahi-daemon with the records of both vendors, as their own start scripts
// write them (vendors/synology.md §2, vendors/qnap.md §2.1).
func TestAvahiWithBothVendors(t *testing.T) {
	isolated(t, []string{"avahi-daemon", "unshare"}, func(t *testing.T) {
		c := lan(t)
		conf, services := avahi(t, "nas", "no")
		group := func(name, kind, port, text string) string {
			return `<?xml version="1.0"?><!DOCTYPE service-group SYSTEM "avahi-service.dtd"><service-group><name>` + name +
				`</name><service><type>` + kind + `</type><port>` + port + `</port>` + text + `</service></service-group>`
		}
		write(t, services, "dsm.service", group("attic", "_http._tcp", "5000", "<txt-record>vendor=Synology</txt-record><txt-record>model=DS920+</txt-record>"+
			"<txt-record>serial=2040SBRXYZ123</txt-record><txt-record>version_major=7</txt-record><txt-record>version_minor=2</txt-record><txt-record>version_build=64570</txt-record>"+
			"<txt-record>admin_port=5000</txt-record><txt-record>secure_admin_port=5001</txt-record><txt-record>mac_address=00:11:32:aa:bb:cc|00:11:32:aa:bb:cd</txt-record>"))
		write(t, services, "qts.service", group("studio", "_qdiscover._tcp", "8080", "<txt-record>accessType=https,accessPort=443,model=TS-X53D,displayModel=TS-453D,fwVer=5.2.9,fwBuildNum=20260214,serialNum=Q1</txt-record>"))
		write(t, services, "printer.service", group("printer", "_http._tcp", "80", "<txt-record>path=/</txt-record>"))
		out := daemon(t, c.space, map[string]string{"/etc/avahi/services": services}, "mkdir -p /run/avahi-daemon\nexec avahi-daemon --no-drop-root --no-chroot --no-rlimits -f "+conf+"\n")
		out.until(t, "(/etc/avahi/services/qts.service) successfully established")
		r, err := discover.Find(t.Context(), []discover.Source{discover.NewMDNS()}, discover.Options{Wait: 10 * time.Second, Enough: func(d []discover.Device) bool { return len(d) == 2 }})
		if err != nil || len(r.Devices) != 2 {
			t.Fatalf("%+v, %v\n%s", r, err, out)
		}
		a, s := r.Devices[0], r.Devices[1]
		if a.Name != "attic" || a.Model != "DS920+" || a.Serial != "2040SBRXYZ123" || len(a.MACs) != 2 || a.HTTPSPort != 5001 || a.Build != "64570" || a.Addresses[0] != netip.MustParseAddr("10.77.0.1") {
			t.Errorf("%+v", a)
		}
		if s.Name != "studio" || s.Vendor != "QNAP" || s.Model != "TS-453D" || s.Serial != "Q1" || s.HTTPSPort != 443 {
			t.Errorf("%+v", s)
		}
	})
}

// avahi-browse sees our own announcement.
func TestAvahiBrowseSeesOurs(t *testing.T) {
	isolated(t, []string{"avahi-daemon", "avahi-browse", "dbus-daemon", "unshare"}, func(t *testing.T) {
		c := lan(t)
		ours, err := announce.Native{Name: "cellar", KeyID: "abcdefghijklmnopqrstuvwx23", MAC: "02:00:5e:10:00:01"}.Instance(5001)
		if err != nil {
			t.Fatal(err)
		}
		advertise(t, ours)
		conf, _ := avahi(t, "browser", "yes")
		out := daemon(t, c.space, nil, "mkdir -p /run/dbus /run/avahi-daemon\ndbus-daemon --system --fork --nopidfile\n"+
			"avahi-daemon --no-drop-root --no-chroot --no-rlimits -f "+conf+" &\n"+
			"until avahi-daemon --check; do sleep 0.1; done\nexec avahi-browse -r -p _paperclip._tcp\n")
		out.until(t, `"id=abcdefghijklmnopqrstuvwx23"`)
		if s := out.String(); !strings.Contains(s, "cellar-abcdefgh") || !strings.Contains(s, ";5001;") {
			t.Error(s)
		}
	})
}

// minissdpd answers the search for a Synology device that it was told of; its
// description is read from there, and one that lies elsewhere is not.
func TestMinissdpd(t *testing.T) {
	isolated(t, []string{"minissdpd", "unshare"}, func(t *testing.T) {
		c := lan(t)
		dir := reachable(t)
		socket := filepath.Join(dir, "s")
		out := daemon(t, c.space, nil, "exec minissdpd -d -i lan0 -s "+socket+" -p /run/minissdpd.pid\n")
		document, err := ssdp.Description{
			DeviceType: "urn:schemas-upnp-org:device:Basic:1", FriendlyName: "attic (DS920+)", Manufacturer: "Synology",
			ModelName: "DS920+", ModelNumber: "DS920+ 7.2-64570", SerialNumber: "001132aabbcc",
		}.XML()
		if err != nil {
			t.Fatal(err)
		}
		var l net.Listener
		c.space.Do(func() { l, err = net.Listen("tcp4", "10.77.0.1:5000") })
		if err != nil {
			t.Fatal(err)
		}
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(document) })}
		go func() { _ = server.Serve(l) }()
		defer server.Close()
		submit(t, socket, out, "upnp:rootdevice", "uuid:73796E6F-6473-6D00-0000-001132aabbcc::upnp:rootdevice", "Synology/DSM/10.77.0.1", "http://10.77.0.1:5000/ssdp/desc-DSM-eth0.xml")
		submit(t, socket, out, "upnp:rootdevice", "uuid:73796E6F-6473-6D00-0000-001132aabbdd::upnp:rootdevice", "Synology/DSM/10.77.0.1", "http://10.77.255.254:5000/elsewhere.xml")
		r, err := discover.Find(t.Context(), []discover.Source{discover.NewSSDP()}, discover.Options{Wait: 15 * time.Second, Enough: func(d []discover.Device) bool {
			return len(d) == 2 && (d[0].Name+d[1].Name) != ""
		}})
		if err != nil || len(r.Devices) != 2 {
			t.Fatalf("%+v, %v\n%s", r, err, out)
		}
		d, err := discover.Match(r.Devices, "attic")
		if err != nil || d.Model != "DS920+" || d.Version != "7.2" || d.Build != "64570" || d.MACs[0] != "00:11:32:aa:bb:cc" {
			t.Errorf("%+v, %v", r.Devices, err)
		}
	})
}

// submit tells minissdpd of a device, over its own socket: 4, and four strings
// with their lengths in groups of seven bits.
func submit(t *testing.T, socket string, out *lines, fields ...string) {
	t.Helper()
	var conn net.Conn
	var err error
	for range 200 {
		if conn, err = net.Dial("unix", socket); err == nil {
			break
		}
		select {
		case <-out.more:
		case <-time.After(50 * time.Millisecond):
		}
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	defer conn.Close()
	b := []byte{4}
	for _, f := range fields {
		b = append(b, byte(len(f)))
		b = append(b, f...)
	}
	if _, err := conn.Write(b); err != nil {
		t.Fatal(err)
	}
}

// dnsmasq's real lease file: a NAS in its installer took an address.
func TestDnsmasqLeases(t *testing.T) {
	isolated(t, []string{"dnsmasq", "unshare"}, func(t *testing.T) {
		c := lan(t)
		dir := reachable(t)
		file := filepath.Join(dir, "leases")
		nettest.IP(t, "link", "set", "nic0", "address", "00:11:32:aa:bb:cc")
		out := daemon(t, c.space, nil, "exec dnsmasq -d -u root --port=0 --conf-file=/dev/null --log-dhcp --interface=lan0 --dhcp-authoritative --dhcp-range=10.77.9.10,10.77.9.90,255.255.0.0,1h --dhcp-leasefile="+file+" --pid-file=\n")
		out.until(t, "DHCP, IP range")
		client, err := nclient4.New("nic0")
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		given, err := client.Request(ctx, dhcpv4.WithOption(dhcpv4.OptHostName("DiskStation")))
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		out.until(t, "DHCPACK")
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		l, err := discover.NewLeases(raw)
		if err != nil {
			t.Fatal(err)
		}
		if _, format, _ := leases.Parse(raw); format != leases.Dnsmasq {
			t.Error(format)
		}
		r, err := discover.Find(t.Context(), []discover.Source{l}, discover.Options{})
		if err != nil || len(r.Devices) != 1 {
			t.Fatalf("%s: %+v, %v", raw, r, err)
		}
		d := r.Devices[0]
		if d.Name != "DiskStation" || d.Vendor != "Synology" || d.MACs[0] != "00:11:32:aa:bb:cc" || d.Addresses[0].String() != given.ACK.YourIPAddr.String() {
			t.Errorf("%+v", d)
		}
	})
}

// advertise announces i as a device does.
func advertise(t *testing.T, i announce.Instance) {
	t.Helper()
	m, err := announcer.NewMulticast(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	if err := m.Set(announcer.Link{Interface: "nic0", Instances: []announce.Instance{i}}); err != nil {
		t.Fatal(err)
	}
}

// SSDP by IPv6: a device that answers on its link alone is found (F2).
func TestSSDPOverIPv6(t *testing.T) {
	isolated(t, nil, func(t *testing.T) {
		c := lan(t)
		var conn *net.UDPConn
		var err error
		c.space.Do(func() {
			var i *net.Interface
			if i, err = net.InterfaceByName("lan0"); err == nil {
				conn, err = net.ListenMulticastUDP("udp6", i, &net.UDPAddr{IP: net.ParseIP(ssdp.GroupLink), Port: ssdp.Port})
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		answer := ssdp.Message{Headers: []ssdp.Header{
			{Name: "ST", Value: ssdp.TargetRoot},
			{Name: "SERVER", Value: "Synology/DSM/192.0.2.20"},
			{Name: "USN", Value: "uuid:73796E6F-6473-6D00-0000-001132aabbcc::upnp:rootdevice"},
		}}.Append(nil)
		each(conn, func(b []byte, who *net.UDPAddr) {
			if ssdp.IsSearch(b, ssdp.TargetRoot) {
				_, _ = conn.WriteTo(answer, who)
			}
		})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var found []discover.Device
		_, _ = discover.Find(ctx, []discover.Source{discover.NewSSDP()}, discover.Options{Changed: func(d []discover.Device) {
			if len(d) > 0 {
				found = d
				cancel()
			}
		}})
		if len(found) != 1 || found[0].MACs[0] != "00:11:32:aa:bb:cc" || !found[0].Addresses[0].IsLinkLocalUnicast() {
			t.Errorf("%+v", found)
		}
	})
}
