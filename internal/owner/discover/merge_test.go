package discover

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
)

func address(s string) netip.Addr { return netip.MustParseAddr(s) }

func attic() Sighting {
	static := false
	return Sighting{
		Source: "findhost", From: address("192.0.2.20"), Name: "attic", Vendor: "Synology", Model: "DS920+", Serial: "2040SBRXYZ123",
		MACs: []string{"00:11:32:aa:bb:cc"}, Addresses: []netip.Addr{address("192.0.2.20")}, Status: nas.Ready,
		Version: "7.2", Build: "64570", Update: "3", HTTPPort: 5000, HTTPSPort: 5001, DHCP: &static,
		Netmask: "255.255.255.0", Gateway: "192.0.2.1", DNS: []string{"192.0.2.53"},
	}
}

func cellar() Sighting {
	open := true
	return Sighting{
		Source: "mdns", From: address("192.0.2.10"), Name: "cellar", Vendor: "Paperclip", KeyID: "abcdefghijklmnopqrstuvwx23",
		MACs: []string{"02:00:5e:10:00:01"}, Claim: &open, Addresses: []netip.Addr{address("192.0.2.10")}, Status: nas.Unknown, HTTPSPort: 5001,
	}
}

func seenTogether(sightings ...Sighting) []Device {
	b := &book{}
	for _, s := range sightings {
		b.add(s)
	}
	return b.devices()
}

// design.md, "What --json prints keeps its names once released".
func TestJSONIsTheContract(t *testing.T) {
	r := Result{Devices: seenTogether(attic())[:1], Findings: findings(nil, nil, false), ElapsedMS: 12, PacketsSent: 3}
	r.Devices[0].Facts = r.Devices[0].Facts[:1]
	r.Findings[0].Text, r.Findings[0].WhatToDo = "text", "do"
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"devices":[{"name":"attic","vendor":"Synology","model":"DS920+","serial":"2040SBRXYZ123","macs":["00:11:32:aa:bb:cc"],` +
		`"addresses":["192.0.2.20"],"status":"ready","status_text":"Ready","version":"7.2","build":"64570","update":"3",` +
		`"http_port":5000,"https_port":5001,"dhcp":false,"netmask":"255.255.255.0","gateway":"192.0.2.1","dns":["192.0.2.53"],` +
		`"found_by":["findhost"],"verified":"unknown","was":null,"facts":[{"field":"name","value":"attic","source":"findhost","trust":"hint"}]}],` +
		`"findings":[{"id":"none_found","text":"text","what_to_do":"do"}],"elapsed_ms":12,"packets_sent":3}`
	if string(b) != want {
		t.Errorf("%s\nwant\n%s", b, want)
	}
	b, err = json.Marshal(Result{Devices: seenTogether(Sighting{Status: nas.Unknown}), Findings: findings(seenTogether(attic()), nil, false)})
	if err != nil {
		t.Fatal(err)
	}
	if text := strings.ReplaceAll(string(b), `"dhcp":null`, ""); strings.Contains(strings.ReplaceAll(text, `"was":null`, ""), "null") {
		t.Errorf("a list is null: %s", b)
	}
}

// Every fact says who said it, and none is more than a hint: promise 6.
func TestEveryValueIsAHint(t *testing.T) {
	s := attic()
	s.Guessed = true
	d := seenTogether(s)[0]
	if d.Verified != VerifiedUnknown {
		t.Errorf("verified = %q", d.Verified)
	}
	for _, f := range d.Facts {
		want := Hint
		if f.Field == "status" {
			want = Inferred
		}
		if f.Trust != want || f.Source != "findhost" || f.Value == "" {
			t.Errorf("%+v", f)
		}
	}
	// As many facts as the JSON has values that come from outside.
	if len(d.Facts) != 16 {
		t.Errorf("%d facts: %+v", len(d.Facts), d.Facts)
	}
}

func TestOneDeviceTwoSources(t *testing.T) {
	web := Sighting{
		Source: "mdns", From: address("192.0.2.20"), Name: "ATTIC", Vendor: "Synology", Model: "DS920+", Serial: "2040sbrxyz123",
		Version: "7.2.1",
		MACs:    []string{"00:11:32:aa:bb:cc", "00:11:32:aa:bb:cd"}, Addresses: []netip.Addr{address("192.0.2.20"), address("fe80::1%lan0")}, Status: nas.Unknown,
	}
	devices := seenTogether(attic(), web)
	if len(devices) != 1 {
		t.Fatalf("%d devices: %+v", len(devices), devices)
	}
	d := devices[0]
	if fmt.Sprintf("%v %v %v %v", d.Name, d.MACs, d.Addresses, d.FoundBy) != "attic [00:11:32:aa:bb:cc 00:11:32:aa:bb:cd] [192.0.2.20 fe80::1%lan0] [findhost mdns]" {
		t.Errorf("%+v", d)
	}
	if !slices.Contains(d.Facts, Fact{"version", "7.2", "findhost", Hint}) || !slices.Contains(d.Facts, Fact{"version", "7.2.1", "mdns", Hint}) {
		t.Errorf("what the two say is not kept: %+v", d.Facts)
	}
}

// F4: on two networks at once, one device with two addresses.
func TestOneDeviceTwoAddresses(t *testing.T) {
	other := attic()
	other.From, other.Addresses = address("198.51.100.20"), []netip.Addr{address("198.51.100.20")}
	devices := seenTogether(attic(), other)
	if len(devices) != 1 || len(devices[0].Addresses) != 2 {
		t.Errorf("%+v", devices)
	}
}

// A device that restarts while the search runs is still one device; its status
// is the latest, and the facts tell of both.
func TestStatusChanges(t *testing.T) {
	booting, ready := attic(), attic()
	booting.Status = nas.Booting
	b := &book{}
	if !b.add(booting) || b.add(booting) || !b.add(ready) || b.add(ready) {
		t.Error("what is new was not told from what is not")
	}
	d := b.devices()
	if len(d) != 1 || d[0].Status != "ready" || !slices.Contains(d[0].Facts, Fact{"status", "booting", "findhost", Hint}) {
		t.Errorf("%+v", d)
	}
	closed, open := cellar(), cellar()
	no := false
	closed.Claim = &no
	closed6 := closed
	closed6.From = address("fe80::1%lan0")
	if d := seenTogether(closed6, closed, open); len(d) != 1 || !*d[0].Claim {
		t.Errorf("%+v", d)
	}
}

func TestNoMarkInCommon(t *testing.T) {
	// A QNAP device tells its serial by one way, its MAC by another.
	bySerial := Sighting{Source: "mdns", From: address("192.0.2.30"), Name: "studio", Vendor: "QNAP", Serial: "Q1", Status: nas.Unknown}
	byMAC := Sighting{Source: "qfinder", From: address("192.0.2.30"), Name: "STUDIO", MACs: []string{"24:5e:be:00:00:01"}, Status: nas.Unknown}
	if d := seenTogether(bySerial, byMAC); len(d) != 1 || d[0].Serial != "Q1" || len(d[0].MACs) != 1 {
		t.Errorf("%+v", d)
	}
	byMAC.Name = "garage"
	if d := seenTogether(bySerial, byMAC); len(d) != 2 {
		t.Errorf("another name, one device: %+v", d)
	}
}

func TestLookAlikesAreReported(t *testing.T) {
	forged := attic()
	forged.From, forged.Addresses = address("192.0.2.66"), []netip.Addr{address("192.0.2.66")}
	forged.Status = nas.ConfigurationLost
	devices := seenTogether(forged, attic())
	if len(devices) != 2 {
		t.Fatalf("%+v", devices)
	}
	f := findings(devices, nil, false)
	if len(f) != 1 || f[0].ID != "look_alikes" || !strings.Contains(f[0].Text, "192.0.2.66") || !strings.Contains(f[0].Text, "192.0.2.20") {
		t.Errorf("%+v", f)
	}
}

// X23: a copy of a NAS, key and all, is told of as soon as it is not the same in
// everything else; what is the same in all is one NAS with two addresses to a
// finder, and both of them are shown.
func TestCloneIsTold(t *testing.T) {
	clone := cellar()
	clone.From, clone.Addresses, clone.MACs = address("192.0.2.11"), []netip.Addr{address("192.0.2.11")}, []string{"02:00:5e:10:00:02"}
	if d := seenTogether(cellar(), clone); len(d) != 1 || len(d[0].Addresses) != 2 || len(d[0].MACs) != 2 {
		t.Errorf("one that is the same in all else: %+v", d)
	}
	for what, change := range map[string]func(*Sighting){
		"its name": func(s *Sighting) { s.Name = "attic" }, "its port": func(s *Sighting) { s.HTTPSPort = 5005 },
	} {
		other := clone
		change(&other)
		devices := seenTogether(cellar(), other)
		if f := findings(devices, nil, false); len(devices) != 2 || len(f) != 1 || f[0].ID != "look_alikes" {
			t.Errorf("one that differs in %s: %+v %+v", what, devices, f)
		}
	}
}

// Trust, issue "Must hold": whatever somebody else on the LAN sends, before or
// after, borrowing what it likes, every device is still there with its own
// name, address and state, and nobody is verified.
func TestForgedAnswersHideNobody(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		real := []Sighting{attic(), cellar()}
		all := slices.Clone(real)
		for range rapid.IntRange(1, 5).Draw(t, "forged") {
			all = append(all, forged(t))
		}
		all = rapid.Permutation(all).Draw(t, "order")
		devices := seenTogether(all...)
		for _, r := range real {
			shown := slices.ContainsFunc(devices, func(d Device) bool {
				return d.Name == r.Name && d.Status == r.Status.ID() && slices.Contains(d.Addresses, r.From) &&
					(r.Serial == "" || d.Serial == r.Serial) && (r.KeyID == "" || d.KeyID == r.KeyID) &&
					d.HTTPSPort == r.HTTPSPort && (r.Model == "" || d.Model == r.Model)
			})
			if !shown {
				t.Fatalf("%s is hidden by\n%+v\nin\n%+v", r.Name, all, devices)
			}
		}
		for _, d := range devices {
			if d.Verified != VerifiedUnknown {
				t.Fatalf("%+v", d)
			}
		}
	})
}

// forged is what somebody at another address can make the two sources say, any
// of it borrowed from the real devices. (Whoever forges the sender's address
// too is that device, as far as anything on a LAN can tell.)
func forged(t *rapid.T) Sighting {
	pick := func(label string, values ...string) string { return rapid.SampledFrom(values).Draw(t, label) }
	a, c := attic(), cellar()
	s := Sighting{
		Source:    pick("source", a.Source, c.Source),
		From:      rapid.SampledFrom([]netip.Addr{address("192.0.2.66"), address("192.0.2.67")}).Draw(t, "from"),
		Name:      pick("name", a.Name, c.Name, "", "evil"),
		Status:    nas.Unknown,
		HTTPSPort: rapid.SampledFrom([]int{0, 5001, 443}).Draw(t, "https"),
	}
	native := s.Source == c.Source && rapid.Bool().Draw(t, "native")
	if native {
		s.Vendor, s.KeyID = "Paperclip", pick("key id", c.KeyID, "zzzzzzzzzzzzzzzzzzzzzzzzzz")
	} else {
		s.Vendor, s.Serial, s.Model = "Synology", pick("serial", a.Serial, "", "evil"), pick("model", a.Model, "", "evil")
		s.Version, s.Build, s.Update = pick("version", a.Version, "", "6"), pick("build", a.Build, ""), pick("update", a.Update, "")
		s.HTTPPort = rapid.SampledFrom([]int{0, 5000, 80}).Draw(t, "http")
	}
	if s.Source == a.Source {
		s.Status = rapid.SampledFrom([]nas.Status{nas.Ready, nas.ConfigurationLost}).Draw(t, "status")
	}
	for _, mac := range slices.Concat(a.MACs, c.MACs) {
		if rapid.Bool().Draw(t, "takes "+mac) {
			s.MACs = append(s.MACs, mac)
		}
	}
	s.Addresses = []netip.Addr{s.From}
	return s
}

func TestMatch(t *testing.T) {
	twin := attic()
	twin.Name, twin.Serial, twin.MACs = "attic", "OTHER", []string{"00:11:32:aa:bb:dd"}
	twin.From, twin.Addresses = address("192.0.2.21"), []netip.Addr{address("192.0.2.21"), address("fe80::21%lan0")}
	devices := seenTogether(attic(), twin, cellar())
	for target, want := range map[string]string{
		"cellar": "192.0.2.10", "CELLAR": "192.0.2.10", "cellar.local": "192.0.2.10", "cellar-abcdefgh.local.": "192.0.2.10", " cellar ": "192.0.2.10",
		"192.0.2.20": "192.0.2.20", "fe80::21": "192.0.2.21", "[fe80::21%lan0]": "192.0.2.21",
		"00:11:32:aa:bb:cc": "192.0.2.20", "00-11-32-AA-BB-CC": "192.0.2.20", "001132aabbcc": "192.0.2.20", "0011.32aa.bbcc": "192.0.2.20",
		"2040SBRXYZ123": "192.0.2.20", "2040sbrxyz123": "192.0.2.20", "other": "192.0.2.21",
		"attic": "target_ambiguous", "": "target_unknown", "garage": "target_unknown", "192.0.2.99": "target_unknown", "00:11:32:aa:bb": "target_unknown",
	} {
		d, err := Match(devices, target)
		got := ""
		if err != nil {
			got = string(catalog.AsProblem(err).ID)
		} else {
			got = d.Addresses[0].String()
		}
		if got != want {
			t.Errorf("%q: %s, want %s", target, got, want)
		}
	}
	if _, err := Match(devices, "garage"); catalog.ExitOf(err) != catalog.NotFound {
		t.Errorf("exit %d", catalog.ExitOf(err))
	}
	if _, err := Match(devices, "attic"); catalog.ExitOf(err) != catalog.WrongUse {
		t.Errorf("exit %d", catalog.ExitOf(err))
	}
	if _, err := Match(devices, "\x1b[2J"); err == nil || strings.Contains(err.Error(), "\x1b") {
		t.Errorf("%q", err)
	}
}

// A flood takes bounded memory, says so, and pushes out nothing but itself,
// whether it comes from one place, from all of the network, or from elsewhere;
// and what a device says after it is heard.
func TestFlood(t *testing.T) {
	home := netip.MustParsePrefix("192.0.2.0/24")
	for name, place := range map[string]func(i int) netip.Addr{
		"one place":       func(int) netip.Addr { return address("192.0.2.66") },
		"the network":     func(i int) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}) },
		"elsewhere":       func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}) },
		"our own address": func(int) netip.Addr { return address("192.0.2.20") },
	} {
		t.Run(name, func(t *testing.T) {
			b := &book{onLink: home.Contains}
			b.add(cellar())
			early := name != "our own address"
			if early {
				b.add(attic())
			}
			for i := range 100_000 {
				s := attic()
				s.Serial, s.From = fmt.Sprint("S", i), place(i)
				s.Addresses = []netip.Addr{s.From}
				b.add(s)
			}
			b.add(attic())
			if len(b.seen) > maxSightings || len(b.index) != len(b.seen) || !b.overflow {
				t.Errorf("%d sightings, %d indexed, overflow %v", len(b.seen), len(b.index), b.overflow)
			}
			devices := b.devices()
			for _, want := range []Sighting{attic(), cellar()} {
				if d, err := Match(devices, cmp.Or(want.Serial, want.MACs[0])); err != nil || d.Addresses[0] != want.From {
					t.Errorf("%s: %+v, %v", want.Name, d, err)
				}
			}
			if f := findings(devices, nil, b.overflow); len(f) == 0 || len(f) > 1+maxPairs || f[0].ID != "find_flooded" {
				t.Errorf("%+v", f)
			}
		})
	}
}
