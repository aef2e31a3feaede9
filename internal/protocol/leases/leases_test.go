package leases_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/protocol/leases"
)

const (
	dnsmasqFile = "1795000000 00:11:32:aa:bb:cc 192.168.1.57 DiskStation 01:00:11:32:aa:bb:cc\n" +
		"0 02:00:00:00:00:01 192.168.1.58 * *\n" +
		"duid 00:01:00:01:2e:aa:bb:cc:00:11:32:aa:bb:cc\n" +
		"1795000000 844313035 fd00::57 DiskStation 00:01:00:01\n"
	iscFile = `# The format of this file is documented in the dhcpd.leases(5) manual page.
# This lease file was written by isc-dhcp-4.4.3-P1

authoring-byte-order little-endian;

lease 192.168.1.57 {
  starts 4 2026/11/19 10:00:00;
  ends 4 2026/11/26 10:00:00;
  binding state active;
  next binding state free;
  hardware ethernet 00:11:32:aa:bb:cc;
  uid "\001\000\0212\252\273\314";
  set vendor-class-identifier = "synology";
  on commit { set x = "}"; }
  client-hostname "DiskStation";
}
lease 192.168.1.60 { binding state active; hardware ethernet 00:08:9b:aa:bb:cc; ends never; }
lease 192.168.1.60 { binding state free; hardware ethernet 00:08:9b:aa:bb:cc; }
server-duid "\000\001";
`
	keaFile = "address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state,user_context,pool_id\n" +
		"192.168.1.57,00:11:32:aa:bb:cc,01:00:11:32:aa:bb:cc,3600,1795000000,1,0,0,disk&#x2cstation,0,,0\n" +
		"192.168.1.60,00:08:9b:aa:bb:cc,,3600,1795000000,1,0,0,studio,0,,0\n" +
		"192.168.1.60,00:08:9b:aa:bb:cc,,0,1795000000,1,0,0,studio,0,,0\n" +
		"192.168.1.61,00:08:9b:aa:bb:cd,,3600,1795000000,1,0,0,old,2,,0\n"
	odhcpdFile = "# br-lan 001132aabbcc ipv4 DiskStation 1795000000 39 32 192.168.1.57/32\n" +
		"192.168.1.57\tDiskStation.lan\tDiskStation\n" +
		"# br-lan 000100012eaabbcc 7f1b1c2d studio 1795000000 d4 128 fd00::57/128 \n" +
		"# br-lan 000100012eaabbcd 7f1b1c2d - -1 d5 64 fd00:1::/64\n"
)

func text(all []leases.Lease) string {
	var b strings.Builder
	for _, l := range all {
		expires := "-"
		if !l.Expires.IsZero() {
			expires = fmt.Sprint(l.Expires.Unix())
		}
		fmt.Fprintf(&b, "%s %s %q %s; ", l.Address, l.MAC, l.Name, expires)
	}
	return b.String()
}

// F5: the four formats.
func TestFormats(t *testing.T) {
	for _, c := range []struct {
		file   string
		format leases.Format
		want   string
	}{
		{dnsmasqFile, leases.Dnsmasq, `192.168.1.57 00:11:32:aa:bb:cc "DiskStation" 1795000000; 192.168.1.58 02:00:00:00:00:01 "" -; fd00::57  "DiskStation" 1795000000; `},
		{iscFile, leases.ISC, `192.168.1.57 00:11:32:aa:bb:cc "DiskStation" 1795687200; `},
		{keaFile, leases.Kea, `192.168.1.57 00:11:32:aa:bb:cc "disk,station" 1795000000; `},
		{odhcpdFile, leases.Odhcpd, `192.168.1.57 00:11:32:aa:bb:cc "DiskStation" 1795000000; fd00::57  "studio" 1795000000; `},
		{"", leases.Dnsmasq, ""},
		{"\n# dhcpd leases\n", leases.ISC, ""},
		{"address,duid,valid_lifetime,expire,subnet_id,pref_lifetime,lease_type,iaid,prefix_len,fqdn_fwd,fqdn_rev,hostname,hwaddr,state\n" +
			"fd00::57,00:01,3600,1795000000,1,1800,0,1,128,0,0,attic,00:11:32:aa:bb:cc,0\n", leases.Kea, `fd00::57 00:11:32:aa:bb:cc "attic" 1795000000; `},
	} {
		all, format, err := leases.Parse([]byte(c.file))
		if err != nil || format != c.format || text(all) != c.want {
			t.Errorf("%s, %s, %v\nwant %s, %s", format, text(all), err, c.format, c.want)
		}
	}
}

func TestBadFiles(t *testing.T) {
	for _, c := range []struct {
		file string
		err  error
		says string
	}{
		{"hello\n", leases.ErrUnknown, "dnsmasq"},
		{"\x7fELF\x02", leases.ErrUnknown, ""},
		{dnsmasqFile + "1795000000 00:11:32:aa:bb:cc\n", leases.ErrMalformed, "line 5"},
		{dnsmasqFile + "1795000000 00:11:32:aa:bb:cc 192.168.1.999 x *\n", leases.ErrMalformed, "line 5"},
		{dnsmasqFile + strings.Repeat("x", 5000), leases.ErrMalformed, "line 5"},
		{keaFile + "nowhere,,,,,,,,,,,\n", leases.ErrMalformed, "line 6"},
		{"lease 192.168.1.57 {\n binding state active;\n", leases.ErrMalformed, "line 3"},
		{"lease nowhere {}\n", leases.ErrMalformed, "line 1"},
		{"lease 192.168.1.57 { uid \"x", leases.ErrMalformed, "line 1"},
		{strings.Repeat(" ", leases.MaxSize+1), leases.ErrTooLarge, ""},
	} {
		_, _, err := leases.Parse([]byte(c.file))
		if !errors.Is(err, c.err) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%.30q: %v", c.file, err)
		}
	}
}

// Whatever the file holds: no panic, each address once, and text safe to print.
func FuzzParse(f *testing.F) {
	for _, s := range []string{dnsmasqFile, iscFile, keaFile, odhcpdFile, "lease 1.2.3.4 { x { y; } client-hostname \"\\\"a\\101\"; }"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		all, _, err := leases.Parse(b)
		if err != nil && len(all) != 0 {
			t.Fatal("leases beside an error")
		}
		seen := map[string]bool{}
		for _, l := range all {
			if !l.Address.IsValid() || seen[l.Address.String()] || strings.ContainsAny(l.Name, "\x1b\r\n\x07") {
				t.Fatalf("%+v", l)
			}
			seen[l.Address.String()] = true
		}
	})
}
