package discover

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/protocol/qfinder"
	"github.com/paperclip-nas/paperclip/internal/protocol/ssdp"
)

const here = "127.0.0.1"

// page serves on loopback and returns its port.
func page(t *testing.T, tls bool, answer func(path string) (status int, body string)) uint16 {
	t.Helper()
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.Header.Get("Cookie") != "" || r.Header.Get("Authorization") != "" {
			t.Errorf("%s %s with %v", r.Method, r.URL, r.Header)
		}
		status, body := answer(r.URL.Path)
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	})
	s := httptest.NewUnstartedServer(h)
	if tls {
		s.Config.ErrorLog = log.New(io.Discard, "", 0)
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return netip.MustParseAddrPort(s.Listener.Addr().String()).Port()
}

// closed is a port where nobody listens.
func closed(t *testing.T) uint16 {
	t.Helper()
	l, err := net.Listen("tcp", here+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return netip.MustParseAddrPort(l.Addr().String()).Port()
}

const installerState = `{"success":true,"data":{"has_disk":true,"dsinfo":{"model":"DS920+","serial":"2040SBRXYZ123","mac_addr":"00:11:32:aa:bb:cc","hostname":"DiskStation","build_ver":"7.2-64570","https_admin_port":"5001","status":"sys_crash"}}}`

// F5: a typed address is looked at, each maker by what it shows to everyone.
func TestTypedAddress(t *testing.T) {
	pages := map[string]struct {
		tls  bool
		path string
		body string
		set  func(*webPorts, uint16)
		want string
	}{
		"installer": {false, "/webman/get_state.cgi", installerState, func(p *webPorts, n uint16) { p.synology = n }, "DiskStation Synology DS920+ configuration_lost"},
		"DSM":       {false, "/webapi/entry.cgi", `{"data":{"SYNO.API.Auth":{"path":"entry.cgi"}},"success":true}`, func(p *webPorts, n uint16) { p.synology = n }, " Synology  ready"},
		"QTS": {
			false, "/cgi-bin/authLogin.cgi", `<QDocRoot><hostname>studio</hostname><model><displayModelName>TS-453D</displayModelName></model></QDocRoot>`,
			func(p *webPorts, n uint16) { p.qnap = n }, "studio QNAP TS-453D ready",
		},
		"QTS over TLS": {true, "/cgi-bin/authLogin.cgi", `<QDocRoot><hostname>studio</hostname></QDocRoot>`, func(p *webPorts, n uint16) { p.qnapTLS = n }, "studio QNAP  ready"},
		"ours": {
			true, "/api/v1/device", `{"version":1,"name":"cellar","vendor":"Paperclip","key_id":"abcdefghijklmnopqrstuvwx23","ready":true}`,
			func(p *webPorts, n uint16) { p.native = n }, "cellar Paperclip  ready",
		},
		"a printer": {false, "/", "<html>", func(p *webPorts, n uint16) { p.synology = n }, ""},
	}
	for name, c := range pages {
		t.Run(name, func(t *testing.T) {
			w := NewWeb(netip.MustParsePrefix(here + "/32"))
			none := closed(t)
			w.ports = webPorts{none, none, none, none}
			c.set(&w.ports, page(t, c.tls, func(path string) (int, string) {
				if path != c.path {
					return http.StatusNotFound, ""
				}
				return http.StatusOK, c.body
			}))
			r, err := Find(t.Context(), []Source{w}, Options{Wait: 20 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			var got string
			for _, d := range r.Devices {
				got += strings.Join([]string{d.Name, d.Vendor, d.Model, d.Status}, " ")
				if d.Verified != VerifiedUnknown {
					t.Errorf("%+v", d)
				}
			}
			if got != c.want || len(w.Notices()) != 0 {
				t.Errorf("%q, want %q; %+v", got, c.want, w.Notices())
			}
		})
	}
}

// A sweep that the time did not do for says how far it came, and how long it
// would take.
func TestSweepIsCut(t *testing.T) {
	w := NewWeb(netip.MustParsePrefix("127.1.0.0/16"))
	if w.Takes() < time.Minute || NewWeb().Takes() != 0 {
		t.Error(w.Takes())
	}
	none := closed(t)
	w.ports = webPorts{none, none, none, none}
	r, err := Find(t.Context(), []Source{w}, Options{Wait: 100 * time.Millisecond})
	if err != nil || len(r.Findings) == 0 || r.Findings[len(r.Findings)-1].ID != "sweep_cut" {
		t.Errorf("%+v, %v", r, err)
	}
	if n := w.Sent(); n > 4*200 {
		t.Errorf("%d connections in a tenth of a second", n)
	}
}

// The uninstalled NAS: its state is read, only read, once, and only on our own
// networks.
func TestFollowsAnInstaller(t *testing.T) {
	var asked atomic.Int64
	w := NewWeb()
	w.ports.synology = page(t, false, func(string) (int, string) {
		asked.Add(1)
		return http.StatusOK, installerState
	})
	s := attic()
	s.From, s.Addresses, s.Name = address(here), []netip.Addr{address(here)}, "DiskStation"
	s.Status, s.Guessed, s.HTTPPort, s.HTTPSPort = nas.NotInstalled, true, int(w.ports.synology), 0
	out := make(chan Sighting, 4)
	w.Follow(t.Context(), s, out)
	w.Follow(t.Context(), s, out)
	far := s
	far.From = address("198.51.100.20")
	w.Follow(t.Context(), far, out)
	ready := attic()
	ready.From = address("127.0.0.2")
	w.Follow(t.Context(), ready, out)
	if asked.Load() != 1 || len(out) != 1 {
		t.Fatalf("asked %d times, %d sightings", asked.Load(), len(out))
	}
	d := seenTogether(s, <-out)
	if len(d) != 1 || d[0].Status != "configuration_lost" {
		t.Errorf("what the device says itself does not win over what was inferred: %+v", d)
	}
}

// A page that leads elsewhere, or never ends, is not followed.
func TestFetchStaysThere(t *testing.T) {
	elsewhere := page(t, false, func(string) (int, string) {
		t.Error("it was led elsewhere")
		return http.StatusOK, ""
	})
	port := page(t, false, func(path string) (int, string) {
		if path == "/long" {
			return http.StatusOK, strings.Repeat("x", 2000)
		}
		return http.StatusFound, ""
	})
	at := "http://" + netip.AddrPortFrom(address(here), port).String()
	if b, err := fetch(t.Context(), plainClient(address(here)), at+"/long", 1000); err == nil {
		t.Errorf("%d bytes", len(b))
	}
	if _, err := fetch(t.Context(), plainClient(address(here)), at+"/", 1000); err == nil {
		t.Error("a redirect was followed")
	}
	if _, err := fetch(t.Context(), plainClient(address("192.0.2.1")), "http://"+netip.AddrPortFrom(address(here), elsewhere).String(), 1000); err == nil {
		t.Error("another address was asked")
	}
}

// udp answers on loopback.
func udp(t *testing.T, answer func(b []byte) []byte) netip.AddrPort {
	t.Helper()
	c, err := net.ListenPacket("udp4", here+":0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		buffer := make([]byte, 9000)
		for {
			n, from, err := c.ReadFrom(buffer)
			if err != nil {
				return
			}
			if b := answer(buffer[:n]); b != nil {
				_, _ = c.WriteTo(b, from)
			}
		}
	}()
	t.Cleanup(func() {
		c.Close()
		<-ended
	})
	return netip.MustParseAddrPort(c.LocalAddr().String())
}

// F2: brief and detail, one question for details a device.
func TestQfinder(t *testing.T) {
	var details atomic.Int64
	at := udp(t, func(b []byte) []byte {
		q, err := qfinder.Parse(b)
		if err != nil || !q.IsQuery("00:08:9b:aa:bb:cc") {
			t.Errorf("was sent %x", b)
			return nil
		}
		r := qfinder.Reply{Kind: q.Kind, Address: "00:08:9b:aa:bb:cc", Name: "studio", Model: "TS-453D", HTTPPort: 8080}
		if q.Kind == qfinder.Detail {
			details.Add(1)
			r.HTTPPort, r.Gateway = 0, address("192.0.2.1")
		}
		out, _ := r.Packet().Append(nil)
		return out
	})
	r, err := Find(t.Context(), []Source{NewQfinder(at)}, Options{Wait: 20 * time.Second})
	if err != nil || len(r.Devices) != 1 || details.Load() != 1 {
		t.Fatalf("%+v, %v, %d questions for details", r, err, details.Load())
	}
	if d := r.Devices[0]; d.Name != "studio" || d.Vendor != "QNAP" || d.HTTPPort != 8080 || d.Gateway != "192.0.2.1" || d.MACs[0] != "00:08:9b:aa:bb:cc" {
		t.Errorf("%+v", d)
	}
}

// SSDP: the answer, and the description from the same address.
func TestSSDP(t *testing.T) {
	document, err := ssdp.Description{FriendlyName: "attic (DS920+)", Manufacturer: "Synology", ModelName: "DS920+", ModelNumber: "DS920+ 7.2-64570", SerialNumber: "001132aabbcc"}.XML()
	if err != nil {
		t.Fatal(err)
	}
	port := page(t, false, func(string) (int, string) { return http.StatusOK, string(document) })
	at := udp(t, func(b []byte) []byte {
		if !ssdp.IsSearch(b, ssdp.TargetRoot) {
			t.Errorf("was sent %q", b)
			return nil
		}
		return ssdp.Message{Headers: []ssdp.Header{
			{Name: "SERVER", Value: "Synology/DSM/127.0.0.1"},
			{Name: "USN", Value: "uuid:73796E6F-6473-6D00-0000-001132aabbcc::upnp:rootdevice"},
			{Name: "LOCATION", Value: "http://" + netip.AddrPortFrom(address(here), port).String() + "/d.xml"},
		}}.Append(nil)
	})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	r, err := Find(ctx, []Source{NewSSDP(at)}, Options{Wait: 20 * time.Second})
	if err != nil || len(r.Devices) != 1 {
		t.Fatalf("%+v, %v", r, err)
	}
	if d := r.Devices[0]; d.Name != "attic" || d.Model != "DS920+" || d.Build != "64570" || len(d.MACs) != 1 {
		t.Errorf("%+v", d)
	}
}
