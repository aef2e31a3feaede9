package networkd

import (
	"testing"

	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
)

func TestMethod(t *testing.T) {
	for text, want := range map[string]nas.Method{
		"[Network]\nDHCP=yes\n":                                nas.DHCP,
		"[Network]\nDHCP=no\nAddress=10.0.0.1/8\n":             nas.Static,
		"[Address]\nAddress=10.0.0.1/8\n":                      nas.Static,
		"[Network]\nAddress=10.0.0.1/8\nAddress=\nDHCP=ipv4\n": nas.DHCP,
		"[Network]\nLinkLocalAddressing=ipv4\n":                nas.LinkLocal,
		"[Network]\nDHCP=ipv6\n":                               nas.Unmanaged,
		"":                                                     nas.Unmanaged,
		"; x\n[Network]\n# y\nAddress=10.\\\n0.0.1/8\n":        nas.Static,
		"[Network]\r\nDHCP=true\r\n":                           nas.DHCP,
		"Address=10.0.0.1/8\n[Match]\nAddress=1\n[Network\nAddress=2\nDHCP": nas.Unmanaged,
	} {
		if got := parse(text).method(); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

func TestPlainDHCP(t *testing.T) {
	for text, want := range map[string]bool{
		"[Network]\nDHCP=yes\nVLAN=x\n":                   true,
		"[Network]\nDHCP=yes\nDNS=1.1.1.1\n":              false,
		"[Network]\nDHCP=yes\n[Route]\nGateway=1.1.1.1\n": false,
		"[Network]\nAddress=1.1.1.1/8\n":                  false,
	} {
		if got := parse(text).plainDHCP(); got != want {
			t.Errorf("%q: %t, want %t", text, got, want)
		}
	}
}

// Whatever the owner's file is, ours gives DHCP and sets no address.
func FuzzOverride(f *testing.F) {
	f.Add("[Match]\nName=x\n[Link]\nMTUBytes=9000\n[Network]\nAddress=1.2.3.4/8\nVLAN=a\nVLAN=b\n[Bridge]\nCost=1\n[Bridge]\nCost=2\n")
	f.Add("[Link]\nA=1\n[Address]\nAddress=1.2.3.4\\\n/8")
	f.Fuzz(func(t *testing.T, text string) {
		ours := parse(parse(text).override("eth0", "/etc/x.network", false, reset.Wizard{}))
		if !ours.plainDHCP() || len(ours.addresses()) > 0 || ours.last("Name", "Match") != "eth0" {
			t.Fatalf("%q gives %+v", text, ours)
		}
		for _, e := range ours {
			if e.section == "Link" && e.key == "Unmanaged" {
				t.Fatalf("%q: ours is unmanaged", text)
			}
		}
		if again := parse(ours.override("eth0", "/etc/x.network", false, reset.Wizard{})); len(again) != len(ours) {
			t.Fatalf("%q: %+v, then %+v", text, ours, again)
		}
	})
}

func TestMTU(t *testing.T) {
	for text, want := range map[string]int{
		"[Link]\nMTUBytes=9000\n": 9000, "[Link]\nMTUBytes=9K\n": 9216, "[Link]\nMTUBytes=9000\nMTUBytes=1400\n": 1400,
		"[Link]\nMTUBytes=x\n": 0, "[Link]\nMTUBytes=-1\n": 0, "[Network]\nMTUBytes=9000\n": 0, "": 0,
	} {
		if got := parse(text).mtu(); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}

func TestOrdinaryFrames(t *testing.T) {
	ours := parse(parse("[Link]\nMTUBytes=9000\nMACAddress=02::1\n").override("eth0", "/x", true, reset.Wizard{}))
	if ours.mtu() != standardMTU || ours.last("MACAddress", "Link") == "" {
		t.Errorf("%+v", ours)
	}
}
