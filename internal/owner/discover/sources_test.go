package discover_test

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/paperclip-nas/paperclip/internal/owner/discover"
	"github.com/paperclip-nas/paperclip/internal/protocol/announce"
	"github.com/paperclip-nas/paperclip/internal/protocol/findhost"
)

const keyID = "abcdefghijklmnopqrstuvwx23"

// patience is for what must happen; a test that passes does not wait for it.
const patience = 20 * time.Second

// virtual answers on a socket as a device would, and keeps what it was sent.
type virtual struct {
	conn   net.PacketConn
	answer func(got []byte) []byte
	to     func(from net.Addr) []net.Addr

	mu   sync.Mutex
	got  []arrival
	done sync.WaitGroup
}

type arrival struct {
	data []byte
	from netip.Addr
}

func serve(t *testing.T, conn net.PacketConn, answer func([]byte) []byte, to func(net.Addr) []net.Addr) *virtual {
	t.Helper()
	v := &virtual{conn: conn, answer: answer, to: to}
	v.done.Go(v.run)
	t.Cleanup(func() {
		conn.Close()
		v.done.Wait()
	})
	return v
}

func (v *virtual) run() {
	buffer := make([]byte, 9000)
	for {
		n, from, err := v.conn.ReadFrom(buffer)
		if err != nil {
			return
		}
		got := bytes.Clone(buffer[:n])
		v.mu.Lock()
		v.got = append(v.got, arrival{got, from.(*net.UDPAddr).AddrPort().Addr().Unmap()})
		v.mu.Unlock()
		if b := v.answer(got); b != nil {
			for _, a := range v.to(from) {
				_, _ = v.conn.WriteTo(b, a)
			}
		}
	}
}

func (v *virtual) received() []arrival {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.got)
}

// forget drops what came from one address.
func (v *virtual) forget(from netip.Addr) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.got = slices.DeleteFunc(v.got, func(a arrival) bool { return a.from == from })
}

func back(from net.Addr) []net.Addr { return []net.Addr{from} }

// synology answers as findhostd does.
func synology(t *testing.T, name string, address netip.Addr) func([]byte) []byte {
	status := uint32(1)
	r := findhost.Reply{
		Type: findhost.TypeResponse, Status: &status, Name: name, Model: "DS920+", Version: "7.2", Build: 64570, Serial: "2040" + name,
		Address: address, MAC: "00:11:32:aa:bb:cc", HTTPPort: 5000, HTTPSPort: 5001,
	}
	reply, err := r.Packet().Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	return func(got []byte) []byte {
		if p, err := findhost.Parse(got); err != nil || !p.IsQuery() {
			return nil
		}
		return reply
	}
}

// native answers as a Paperclip device does.
func native(t *testing.T, m announce.Manner, name string, addresses ...netip.Addr) func([]byte) []byte {
	i, err := announce.Native{Name: name, KeyID: keyID, MAC: "02:00:5e:10:00:01", Claim: true}.Instance(5001, addresses...)
	if err != nil {
		t.Fatal(err)
	}
	return func(got []byte) []byte {
		q, err := announce.ParseQuery(got)
		if err != nil {
			return nil
		}
		b, err := announce.Answer(q, []announce.Instance{i}, m)
		if err != nil {
			return nil
		}
		return b
	}
}

func loopback(t *testing.T) (net.PacketConn, netip.AddrPort) {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return c, c.LocalAddr().(*net.UDPAddr).AddrPort()
}

// The lab: named places on loopback, real sockets, and nothing waited for once
// all have answered.
func TestFindsTheLab(t *testing.T) {
	here := netip.MustParseAddr("127.0.0.1")
	atticConn, attic := loopback(t)
	cellarConn, cellar := loopback(t)
	studioConn, studio := loopback(t)
	a := serve(t, atticConn, synology(t, "attic", here), back)
	c := serve(t, cellarConn, native(t, announce.Legacy, "cellar", here), back)
	serve(t, studioConn, func(got []byte) []byte {
		q, err := announce.ParseQuery(got)
		if err != nil {
			return nil
		}
		b, _ := announce.Answer(q, []announce.Instance{announce.QNAP("studio", announce.Vendor{Model: "TS-453D", Serial: "Q1", HTTPPort: 8080}, here)}, announce.Legacy)
		return b
	}, back)

	sources := []discover.Source{discover.NewFindhost(attic), discover.NewMDNS(cellar, studio)}
	r, err := discover.Find(t.Context(), sources, discover.Options{Wait: patience})
	if err != nil || !slices.Equal(names(r), []string{"attic", "cellar", "studio"}) {
		t.Fatalf("%+v, %v", r, err)
	}
	if r.ElapsedMS >= patience.Milliseconds() || r.PacketsSent < 3 || len(r.Findings) != 0 {
		t.Errorf("%d ms, %d packets, %+v", r.ElapsedMS, r.PacketsSent, r.Findings)
	}
	d := r.Devices[0]
	if d.Vendor != "Synology" || d.Serial != "2040attic" || d.Status != "ready" || d.Build != "64570" || d.API() != netip.MustParseAddrPort("127.0.0.1:5001") {
		t.Errorf("%+v", d)
	}
	d = r.Devices[1]
	if !d.Native() || d.KeyID != keyID || d.Claim == nil || !*d.Claim || d.HTTPSPort != 5001 || d.Verified != discover.VerifiedUnknown || d.Serial != "" {
		t.Errorf("%+v", d)
	}
	if d := r.Devices[2]; d.Vendor != "QNAP" || d.Model != "TS-453D" || d.HTTPPort != 8080 {
		t.Errorf("%+v", d)
	}
	onlyQuestions(t, a, c)
}

// Promise 6: a device that listens gets questions and nothing else.
func onlyQuestions(t *testing.T, listening ...*virtual) {
	t.Helper()
	query, err := findhost.Query().Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range listening {
		got := v.received()
		if len(got) == 0 {
			t.Error("was asked nothing")
		}
		for _, a := range got {
			if q, err := announce.ParseQuery(a.data); !bytes.Equal(a.data, query) && (err != nil || len(q.Questions) == 0) {
				t.Errorf("was sent %x by %v", a.data, a.from)
			}
		}
	}
}

// Nobody there: it asks again, ends with its time, and says what to do.
func TestNobodyAnswers(t *testing.T) {
	c, silent := loopback(t)
	asked := make(chan struct{}, 64)
	serve(t, c, func([]byte) []byte { asked <- struct{}{}; return nil }, back)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { // the time of this search is over when it has asked three times each way
		for range 6 {
			<-asked
		}
		cancel()
	}()
	r, _ := discover.Find(ctx, []discover.Source{discover.NewFindhost(silent), discover.NewMDNS(silent)}, discover.Options{Wait: patience})
	if len(r.Devices) != 0 || len(r.Findings) != 1 || r.Findings[0].ID != "none_found" || r.PacketsSent < 6 {
		t.Errorf("%+v", r)
	}
}

// An answer without the SRV record is asked about once more, and is no end.
func TestResolves(t *testing.T) {
	conn, at := loopback(t)
	full := native(t, announce.Legacy, "cellar", netip.MustParseAddr("127.0.0.1"))
	serve(t, conn, func(got []byte) []byte {
		if q, err := announce.ParseQuery(got); err != nil || q.Questions[0].Type == dnsmessage.TypePTR {
			return pointerOnly(t)
		}
		return full(got)
	}, back)
	r, err := discover.Find(t.Context(), []discover.Source{discover.NewMDNS(at)}, discover.Options{Wait: patience})
	if err != nil || !slices.Equal(names(r), []string{"cellar"}) || r.PacketsSent != 2 {
		t.Errorf("%+v, %v", r, err)
	}
}

func pointerOnly(t *testing.T) []byte {
	b, err := (&dnsmessage.Message{
		Header: dnsmessage.Header{Response: true, Authoritative: true},
		Answers: []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName("_paperclip._tcp.local."), Class: dnsmessage.ClassINET, TTL: 10},
			Body:   &dnsmessage.PTRResource{PTR: dnsmessage.MustNewName("cellar-abcdefgh._paperclip._tcp.local.")},
		}},
	}).Pack()
	if err != nil {
		t.Error(err)
	}
	return b
}
