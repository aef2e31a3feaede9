package discover

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
)

// --watch: what changed, and nothing else.
func TestWatch(t *testing.T) {
	var w Watch
	say := func(all []Change) string {
		var b strings.Builder
		for _, c := range all {
			fmt.Fprintf(&b, "%s %s %s %s;", c.Kind, c.Name, c.Status, c.Addresses[0])
			if c.Was != nil {
				fmt.Fprintf(&b, "was %s %s;", c.Was.Status, c.Was.Addresses[0])
			}
		}
		return b.String()
	}
	expect := func(got []Change, want string) {
		t.Helper()
		if say(got) != want {
			t.Errorf("%q, want %q", say(got), want)
		}
	}
	web := Sighting{Source: "mdns", From: address("192.0.2.20"), Name: "attic", Vendor: "Synology", MACs: attic().MACs, Addresses: []netip.Addr{address("192.0.2.20")}, Status: 101}
	expect(w.See(seenTogether(attic())), "appeared attic ready 192.0.2.20;")
	expect(w.See(seenTogether(attic(), web)), "")
	expect(w.Over(seenTogether(attic(), web)), "")
	expect(w.See(seenTogether(web)), "") // the next search knows less at first
	expect(w.Over(seenTogether(web)), "")
	lost := attic()
	lost.Name, lost.Status, lost.From = "DiskStation", 4, address("192.0.2.57")
	lost.Addresses = []netip.Addr{lost.From}
	expect(w.See(seenTogether(lost, cellar())), "appeared cellar unknown 192.0.2.10;changed DiskStation configuration_lost 192.0.2.57;was ready 192.0.2.20;")
	if n := len(w.Devices()); n != 2 {
		t.Errorf("%d devices", n)
	}
	expect(w.Over(seenTogether(lost, cellar())), "")
	expect(w.See(seenTogether(cellar())), "")
	expect(w.Over(seenTogether(cellar())), "")
	expect(w.Over(nil), "gone DiskStation configuration_lost 192.0.2.57;was ready 192.0.2.20;")
}

// --watch shows a verdict once the key was asked for, keeps it while the next
// search goes on, and never lends it to another address or another key (X9).
func TestWatchVerifies(t *testing.T) {
	var w Watch
	verdict := func() Verified { return w.Devices()[0].Verified }
	verified := func(v Verified, s ...Sighting) []Device {
		d := seenTogether(s...)
		d[0].Verified = v
		return d
	}
	if got := w.See(seenTogether(cellar())); len(got) != 1 || got[0].Verified != VerifiedUnknown {
		t.Fatalf("%+v", got)
	}
	if got := w.Over(verified(VerifiedMatch, cellar())); len(got) != 1 || got[0].Kind != "verified" || got[0].Verified != VerifiedMatch {
		t.Fatalf("%+v", got)
	}
	if got := w.See(seenTogether(cellar())); len(got) != 0 || verdict() != VerifiedMatch {
		t.Errorf("in the next search: %+v, %s", got, verdict())
	}
	more := cellar()
	more.Addresses = append(more.Addresses, address("192.0.2.99"))
	if w.See(seenTogether(more)); slices.Contains(w.Devices()[0].Addresses, address("192.0.2.99")) {
		t.Error("an address where no key was proved stands beside match")
	}
	if got := w.Over(verified(VerifiedMismatch, cellar())); len(got) != 1 || got[0].Verified != VerifiedMismatch {
		t.Errorf("another key: %+v", got)
	}
	w.Over(verified(VerifiedMatch, cellar()))
	moved := cellar()
	moved.From, moved.Addresses = address("192.0.2.66"), []netip.Addr{address("192.0.2.66")}
	if w.See(seenTogether(moved)); verdict() != VerifiedUnknown {
		t.Errorf("at another address: %s", verdict())
	}
	w.Over(verified(VerifiedMatch, moved))
	other := moved
	other.KeyID = "another"
	if w.See(seenTogether(other)); verdict() != VerifiedUnknown {
		t.Errorf("with another key id: %s", verdict())
	}
}

// F7: what is typed from a label, in whatever notation.
func TestIdentify(t *testing.T) {
	d := seenTogether(attic())[0]
	for typed, want := range map[string]string{
		"00:11:32:AA:BB:CC": "mac", "001132aabbcc": "mac", " 00-11-32-aa-bb-cc ": "mac", "2040SBRXYZ123": "serial", "2040 sbr-xyz123": "serial",
		"00:11:32:AA:BB:CD": "", "2040": "", "": "", "attic": "", "\x1b[2J": "",
	} {
		got, err := d.Identify(typed)
		if got != want || (err == nil) != (want != "") || err != nil && (catalog.AsProblem(err).ID != "label_differs" || strings.Contains(err.Error(), "\x1b")) {
			t.Errorf("%q: %q, %v", typed, got, err)
		}
	}
	if got := d.Label(); got != "attic, Synology DS920+ (serial 2040SBRXYZ123, MAC 00:11:32:aa:bb:cc)" {
		t.Error(got)
	}
}

// F6: each reason why a device is not there or cannot be opened.
func TestExplains(t *testing.T) {
	lan := Interface{"eth0", []netip.Prefix{netip.MustParsePrefix("192.0.2.7/24")}}
	alone := Interface{"eth1", []netip.Prefix{netip.MustParsePrefix("169.254.9.9/16"), netip.MustParsePrefix("fe80::1/64")}}
	silent := Neighbour{address("192.0.2.57"), "00:11:32:00:00:01"}
	elsewhere := attic()
	elsewhere.From, elsewhere.Addresses = address("198.51.100.20"), []netip.Addr{address("198.51.100.20")}
	itself := attic()
	itself.From, itself.Addresses = address("169.254.1.1"), []netip.Addr{address("169.254.1.1")}
	for name, c := range map[string]struct {
		around  Surroundings
		devices []Device
		want    string
	}{
		"nothing":           {Surroundings{Interfaces: []Interface{lan}}, nil, ""},
		"neighbour":         {Surroundings{[]Interface{lan}, []Neighbour{silent, {address("192.0.2.1"), "02:00:00:00:00:01"}}}, nil, "neighbour_silent"},
		"neighbour found":   {Surroundings{[]Interface{lan}, []Neighbour{{address("192.0.2.20"), "00:11:32:aa:bb:cc"}}}, seenTogether(attic()), ""},
		"no DHCP here":      {Surroundings{Interfaces: []Interface{alone}}, nil, "no_dhcp_here"},
		"no DHCP there":     {Surroundings{Interfaces: []Interface{lan}}, seenTogether(itself), "no_dhcp_there"},
		"both of them":      {Surroundings{Interfaces: []Interface{alone}}, seenTogether(itself), "no_dhcp_here"},
		"another subnet":    {Surroundings{Interfaces: []Interface{lan}}, seenTogether(elsewhere), "other_subnet"},
		"on our own subnet": {Surroundings{Interfaces: []Interface{lan}}, seenTogether(attic()), ""},
	} {
		var ids []string
		for _, p := range c.around.explain(c.devices) {
			ids = append(ids, string(p.ID))
		}
		if got := strings.Join(ids, " "); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// F5: a router's list finds a maker's device, says more of one that is found,
// and is no witness of where a device is now.
func TestLeaseList(t *testing.T) {
	leased := Sighting{
		Source: "leases", From: address("192.0.2.57"), Addresses: []netip.Addr{address("192.0.2.57")}, Name: "DiskStation", Vendor: "Synology",
		MACs: attic().MACs, Status: 101, Listed: true,
	}
	if d := seenTogether(leased); len(d) != 1 || d[0].Name != "DiskStation" || d[0].Addresses[0] != address("192.0.2.57") {
		t.Errorf("%+v", d)
	}
	d := seenTogether(leased, attic())
	if len(d) != 1 || d[0].Name != "attic" || fmt.Sprint(d[0].Addresses, d[0].FoundBy) != "[192.0.2.20] [findhost leases]" {
		t.Errorf("%+v", d)
	}
	leased.MACs, leased.Vendor, leased.Clue = []string{"02:00:00:00:00:09"}, "", true
	if d := seenTogether(leased); len(d) != 0 {
		t.Errorf("somebody's telephone is listed: %+v", d)
	}
}
