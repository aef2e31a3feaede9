package ssdp_test

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/protocol/ssdp"
)

// samples is the folder of captures that stands beside the checkout where there
// is one; they are no part of the repository.
const samples = "../../../../shared/samples/synology/mdns"

// installed is an answer as vendors/synology.md §2 has it.
const installed = "HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age = 10\r\nST: upnp:rootdevice\r\n" +
	"USN: uuid:73796E6F-6473-6D00-0000-001132aabbcc::upnp:rootdevice\r\nEXT:\r\nSERVER: Synology/DSM/192.0.2.20\r\n" +
	"LOCATION: http://192.0.2.20:5000/ssdp/desc-DSM-eth0.xml\r\nOPT: \"http://schemas.upnp.org/upnp/1/0/\"; ns=01\r\n\r\n"

func TestReadsAnAnswer(t *testing.T) {
	m, err := ssdp.Parse([]byte(installed))
	if err != nil {
		t.Fatal(err)
	}
	ok, installer := m.Synology()
	if !ok || installer || m.MAC() != "00:11:32:aa:bb:cc" || m.Server() != "Synology/DSM/192.0.2.20" || m.Goodbye() {
		t.Errorf("%+v", m)
	}
	if u, err := m.DescriptionURL(netip.MustParseAddr("192.0.2.20")); err != nil || u != "http://192.0.2.20:5000/ssdp/desc-DSM-eth0.xml" {
		t.Errorf("%q, %v", u, err)
	}
	if again, err := ssdp.Parse(m.Append(nil)); err != nil || !reflect.DeepEqual(again, m) {
		t.Errorf("%+v, %v", again, err)
	}
}

func TestCapture(t *testing.T) {
	paths, _ := filepath.Glob(filepath.Join(samples, "ssdp_*.txt"))
	if len(paths) == 0 {
		t.Skip("no captures beside the checkout")
	}
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		m, err := ssdp.Parse(b)
		if ok, _ := m.Synology(); err != nil || !ok || m.MAC() != "00:11:32:2f:e5:f0" {
			t.Errorf("%s: %+v, %v", path, m, err)
		}
	}
}

// The installer, and QNAP's media server (vendors/synology.md §2, vendors/qnap.md §2.2).
func TestOthers(t *testing.T) {
	m, err := ssdp.Parse([]byte("NOTIFY * HTTP/1.1\r\nSERVER: Synology/synology_geminilake_920+/7.2-64570/192.0.2.20\r\nNTS: ssdp:alive\r\nUSN: uuid:upnp_SynologyNAS-001132aabbcc::upnp:rootdevice\r\n"))
	if ok, installer := m.Synology(); err != nil || !ok || !installer || m.MAC() != "00:11:32:aa:bb:cc" || !m.Announcement {
		t.Errorf("%+v, %v", m, err)
	}
	m, err = ssdp.Parse([]byte("NOTIFY * HTTP/1.1\r\nNTS: ssdp:byebye\r\nUSN: uuid:55076f6e-6b79-4d65-64eb-00089bc3ec6a\r\n\r\n"))
	if ok, _ := m.Synology(); err != nil || ok || m.MAC() != "00:08:9b:c3:ec:6a" || !m.Goodbye() {
		t.Errorf("%+v, %v", m, err)
	}
}

// An answer sends this program nowhere but to who sent it.
func TestNoThirdPlace(t *testing.T) {
	from := netip.MustParseAddr("192.0.2.20")
	for _, location := range []string{
		"http://192.0.2.21/x", "https://192.0.2.20/x", "http://nas.example/x", "file:///etc/passwd", "http://192.0.2.20@192.0.2.9/x",
		"http://user:pass@192.0.2.20/x", "", "//192.0.2.20/x", "http://192.0.2.20:99999/", "http:192.0.2.20", "http://[::1]/", "http://192.0.2.20:0/",
	} {
		m := ssdp.Message{Headers: []ssdp.Header{{Name: "LOCATION", Value: location}}}
		if u, err := m.DescriptionURL(from); !errors.Is(err, ssdp.ErrElsewhere) {
			t.Errorf("%q: %q, %v", location, u, err)
		}
	}
	link := netip.MustParseAddr("fe80::1%lan0")
	m := ssdp.Message{Headers: []ssdp.Header{{Name: "Location", Value: "http://[fe80::1]:5000/d.xml"}}}
	if u, err := m.DescriptionURL(link); err != nil || !strings.Contains(u, "fe80::1%25lan0") && !strings.Contains(u, "fe80::1%lan0") {
		t.Errorf("%q, %v", u, err)
	}
}

func TestSearch(t *testing.T) {
	b := ssdp.Search(ssdp.TargetRoot, 9)
	if !ssdp.IsSearch(b, ssdp.TargetRoot) || ssdp.IsSearch(b, "other") || !strings.Contains(string(b), "\r\nMX: 5\r\n") {
		t.Errorf("%s", b)
	}
	if _, err := ssdp.Parse(b); !errors.Is(err, ssdp.ErrNotSSDP) {
		t.Error(err)
	}
}

func TestReadsADescription(t *testing.T) {
	want := ssdp.Description{
		DeviceType: "urn:schemas-upnp-org:device:Basic:1", FriendlyName: "attic (DS920+)", Manufacturer: "Synology", ModelName: "DS920+",
		ModelNumber: "DS920+ 7.2-64570", SerialNumber: "001132aabbcc", UDN: "uuid:1", PresentationURL: "http://192.0.2.20:5000",
	}
	b, err := want.XML()
	if err != nil {
		t.Fatal(err)
	}
	d, err := ssdp.ParseDescription(b)
	if err != nil || d != want {
		t.Fatalf("%+v, %v", d, err)
	}
	version, build := d.Version()
	if d.Name() != "attic" || d.MAC() != "00:11:32:aa:bb:cc" || version != "7.2" || build != "64570" {
		t.Errorf("%q %q %q %q", d.Name(), d.MAC(), version, build)
	}
	latin, err := ssdp.ParseDescription([]byte("<?xml version=\"1.0\" encoding=\"iso-8859-1\"?><root><device><friendlyName>K\xfcche\x1b</friendlyName>" +
		"<deviceList><device><friendlyName>inner</friendlyName></device></deviceList></device></root>"))
	if err == nil {
		t.Errorf("a control character passed: %+v", latin)
	}
	latin, err = ssdp.ParseDescription([]byte("<?xml version=\"1.0\" encoding=\"iso-8859-1\"?><root><device>" +
		"<deviceList><device><friendlyName>inner</friendlyName></device></deviceList><friendlyName>K\xfcche</friendlyName></device></root>"))
	if err != nil || latin.FriendlyName != "Küche" {
		t.Errorf("%+v, %v", latin, err)
	}
}

func TestBadDescriptions(t *testing.T) {
	for _, s := range []string{
		"", "x", "<root>", "<root/>", "<root><device/></root>",
		`<!DOCTYPE r [<!ENTITY a "aaaa">]><root><device><friendlyName>&a;</friendlyName></device></root>`,
		strings.Repeat("<a>", 17), "<root>" + strings.Repeat("<a/>", 2100) + "</root>", strings.Repeat(" ", 65<<10),
		`<?xml version="1.0" encoding="utf-7"?><root/>`,
	} {
		if _, err := ssdp.ParseDescription([]byte(s)); !errors.Is(err, ssdp.ErrDescription) {
			t.Errorf("%.40q: %v", s, err)
		}
	}
}

func TestBadMessages(t *testing.T) {
	for _, s := range []string{"", "GET / HTTP/1.1\r\n", "HTTP/1.1 404 no\r\n", "HTTP/1.1 200 OK\r\nno colon\r\n"} {
		if _, err := ssdp.Parse([]byte(s)); !errors.Is(err, ssdp.ErrNotSSDP) {
			t.Errorf("%q: %v", s, err)
		}
	}
	for _, s := range []string{"HTTP/1.1 200 OK\r\n" + strings.Repeat("a: b\r\n", 65), "HTTP/1.1 200 OK\r\na: " + strings.Repeat("b", 4096)} {
		if _, err := ssdp.Parse([]byte(s)); !errors.Is(err, ssdp.ErrTooLarge) {
			t.Errorf("%.40q: %v", s, err)
		}
	}
}

// Whatever arrives: no panic, and what is built reads as it was.
func FuzzParse(f *testing.F) {
	f.Add([]byte(installed))
	f.Add([]byte("NOTIFY * HTTP/1.1\r\nLocation:http://192.0.2.20/\r\n"))
	from := netip.MustParseAddr("192.0.2.20")
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ssdp.Parse(b)
		if err != nil {
			return
		}
		_ = m.MAC()
		if u, err := m.DescriptionURL(from); err == nil && !strings.HasPrefix(u, "http://192.0.2.20") && !strings.HasPrefix(u, "http://[::ffff:192.0.2.20]") && !strings.HasPrefix(u, "http://[::ffff:c000:214]") {
			t.Fatalf("sent to %q", u)
		}
		built := m.Append(nil)
		if len(built) > ssdp.MaxMessage { // it came with shorter line ends
			return
		}
		if again, err := ssdp.Parse(built); err != nil || !reflect.DeepEqual(again, m) {
			t.Fatalf("%+v became %+v, %v", m, again, err)
		}
	})
}

func FuzzParseDescription(f *testing.F) {
	b, _ := ssdp.Description{FriendlyName: "attic (DS920+)", ModelName: "DS920+", SerialNumber: "001132aabbcc"}.XML()
	f.Add(b)
	f.Add([]byte(`<?xml version="1.0" encoding="iso-8859-1"?><root><device><UDN>x</UDN></device></root>`))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := ssdp.ParseDescription(b)
		if err != nil {
			return
		}
		_, _ = d.Version()
		built, err := d.XML()
		if err != nil {
			t.Fatal(err)
		}
		if again, err := ssdp.ParseDescription(built); err != nil || again != d {
			t.Fatalf("%+v became %+v, %v", d, again, err)
		}
	})
}
