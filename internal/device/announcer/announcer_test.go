package announcer_test

import (
	"net"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/paperclip-nas/paperclip/internal/device/announcer"
	"github.com/paperclip-nas/paperclip/internal/protocol/announce"
)

const keyID = "abcdefghijklmnopqrstuvwx23"

// patience is for what must happen; a test that passes does not wait for it.
const patience = 20 * time.Second

func cellar(t *testing.T, claim bool, addresses ...netip.Addr) announce.Instance {
	t.Helper()
	i, err := announce.Native{Name: "cellar", KeyID: keyID, MAC: "02:00:5e:10:00:01", Claim: claim}.Instance(5001, addresses...)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// past makes a read take only what is there already.
func past() time.Time { return time.Now().Add(50 * time.Millisecond) }

func browse(t *testing.T, services ...string) []byte {
	t.Helper()
	b, err := announce.Browse(7, true, services...)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// hear reads from c until accept takes an announced instance.
func hear(t *testing.T, c net.PacketConn, what string, accept func(announce.Instance) bool) announce.Instance {
	t.Helper()
	buffer := make([]byte, announce.MaxMessage)
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	for {
		n, _, err := c.ReadFrom(buffer)
		if err != nil {
			t.Fatalf("waiting for %s: %v", what, err)
		}
		instances, err := announce.ParseResponse(buffer[:n])
		if err != nil {
			continue
		}
		for _, i := range instances {
			if accept(i) {
				return i
			}
		}
	}
}

// The lab's way: any loopback port, any of the services, no multicast.
func TestUnicastAnswers(t *testing.T) {
	loopback := netip.MustParseAddr("127.0.0.1")
	u, err := announcer.NewUnicast(netip.AddrPortFrom(loopback, 0))
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	c, err := net.Dial("udp", u.Address().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, want := range []announce.Instance{
		cellar(t, false, loopback),
		cellar(t, true, loopback),
		announce.QNAP("studio", announce.Vendor{Model: "TS-453D", HTTPPort: 8080}, loopback),
	} {
		if err := u.Set(want); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write([]byte("no DNS at all")); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write(browse(t, want.Service)); err != nil {
			t.Fatal(err)
		}
		got := hear(t, c.(net.PacketConn), want.Name, func(announce.Instance) bool { return true })
		if !reflect.DeepEqual(got, want) {
			t.Errorf("heard %+v, want %+v", got, want)
		}
	}
	if err := u.Set(announce.Instance{Name: "a..b"}); err == nil {
		t.Error("a name that no message can carry was accepted")
	}
}
