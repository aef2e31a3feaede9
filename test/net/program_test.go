package net

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/paperclip-nas/paperclip/cmd/paperclip/app"
	"github.com/paperclip-nas/paperclip/internal/owner/discover"
	"github.com/paperclip-nas/paperclip/internal/protocol/announce"
	"github.com/paperclip-nas/paperclip/internal/protocol/findhost"
)

// program runs paperclip find --json.
func program(t *testing.T, home string, args ...string) (r discover.Result, people string, exit int) {
	t.Helper()
	var out, errs bytes.Buffer
	exit = app.Main(t.Context(), app.Environment{
		Args: append([]string{"find", "--json"}, args...), Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs,
		Getenv: func(k string) string { return map[string]string{"PAPERCLIP_HOME": home}[k] },
	})
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatalf("%v: %s%s", err, &out, &errs)
	}
	return r, errs.String(), exit
}

// F4, F6: after a reset it has another address, another name and another state;
// it is said which one it was.
func TestAfterAReset(t *testing.T) {
	isolated(t, nil, func(t *testing.T) {
		c := lan(t)
		c.addresses(2)
		var lost atomic.Bool
		conns := []net.PacketConn{c.socket(place(0).String() + ":1234"), c.socket(place(1).String() + ":1234")}
		each(c.socket("0.0.0.0:9999"), func(b []byte, who *net.UDPAddr) {
			if p, err := findhost.Parse(b); err != nil || !p.IsQuery() {
				return
			}
			conn, status := conns[0], uint32(1)
			r := findhost.Reply{Type: findhost.TypeResponse, Name: "attic", Serial: "2040SBRXYZ123", MAC: "00:11:32:aa:bb:cc"}
			if lost.Load() {
				conn, status = conns[1], 4
				r.Type, r.Name = findhost.TypeInstaller, "DiskStation"
			}
			r.Status = &status
			if b, err := r.Packet().Append(nil); err == nil {
				c.answer(0, conn, b, &net.UDPAddr{IP: who.IP, Port: 9999})
			}
		})
		home := t.TempDir()
		if r, people, exit := program(t, home, "--wait", "1s"); exit != 0 || len(r.Devices) != 1 || r.Devices[0].Was != nil {
			t.Fatalf("%+v, %s, %d", r, people, exit)
		}
		lost.Store(true)
		r, people, exit := program(t, home, "--wait", "1s")
		if exit != 0 || len(r.Devices) != 1 || r.Devices[0].Was == nil || r.Devices[0].Was.Status != "ready" || r.Devices[0].Was.Addresses[0] != place(0) {
			t.Fatalf("%+v, %s, %d", r, people, exit)
		}
		want := fmt.Sprintf("This was attic, now DiskStation; %s before, now %s; Ready before, now Configuration lost.", place(0), place(1))
		if !strings.Contains(people, want) || !strings.Contains(people, "serial 2040SBRXYZ123") {
			t.Errorf("%s\nwant %s", people, want)
		}
	})
}

// Spoofing (X9): somebody who claims a key id, a state and an address is shown
// as unverified, and hears nothing but the beginning of a TLS handshake.
func TestSpoofing(t *testing.T) {
	isolated(t, nil, func(t *testing.T) {
		c := lan(t)
		c.addresses(1)
		c.synology(0, 1)
		var listener net.Listener
		var err error
		c.space.Do(func() { listener, err = net.Listen("tcp4", "10.77.0.1:5001") })
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		heard := make(chan []byte, 64)
		go func() {
			for {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				b := make([]byte, 4096)
				n, _ := io.ReadAtLeast(conn, b, 1)
				heard <- b[:n]
				conn.Close()
			}
		}()
		var forger net.PacketConn
		c.space.Do(func() {
			var i *net.Interface
			if i, err = net.InterfaceByName("lan0"); err == nil {
				forger, err = net.ListenMulticastUDP("udp4", i, &net.UDPAddr{IP: net.IPv4(224, 0, 0, 251), Port: 5353})
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		defer forger.Close()
		i, err := announce.Native{Name: "cellar", KeyID: "abcdefghijklmnopqrstuvwx23", MAC: "00:11:32:00:00:00", Claim: true}.Instance(5001, netip.MustParseAddr("10.77.0.1"))
		if err != nil {
			t.Fatal(err)
		}
		each(forger, func(b []byte, who *net.UDPAddr) {
			if q, err := announce.ParseQuery(b); err == nil {
				if b, err := announce.Answer(q, []announce.Instance{i}, announce.Legacy); err == nil && b != nil {
					_, _ = forger.WriteTo(b, who)
				}
			}
		})
		r, people, exit := program(t, t.TempDir(), "--wait", "2s")
		if exit != 0 || len(r.Devices) != 2 {
			t.Fatalf("%+v, %s, %d", r, people, exit)
		}
		for _, d := range r.Devices {
			if d.Verified != discover.VerifiedUnknown {
				t.Errorf("%+v", d)
			}
		}
		if d, err := discover.Match(r.Devices, "syno0000"); err != nil || d.Addresses[0] != place(0) || d.Status != "ready" {
			t.Errorf("%+v, %v", d, err)
		}
		const handshake, clientHello = 22, 1
		for len(heard) > 0 {
			if b := <-heard; len(b) < 6 || b[0] != handshake || b[5] != clientHello {
				t.Errorf("the forger was sent %q", b)
			}
		}
	})
}
