package mutate

import (
	"math/rand/v2"
	"net/netip"
	"os"
	"strconv"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/protocol/announce"
	"github.com/paperclip-nas/paperclip/internal/protocol/authlogin"
	"github.com/paperclip-nas/paperclip/internal/protocol/findhost"
	"github.com/paperclip-nas/paperclip/internal/protocol/leases"
	"github.com/paperclip-nas/paperclip/internal/protocol/qfinder"
	"github.com/paperclip-nas/paperclip/internal/protocol/ssdp"
	"github.com/paperclip-nas/paperclip/internal/protocol/webassistant"
)

// parser is one, and what it reads when nothing is damaged.
type parser struct {
	whole []byte
	read  func(b []byte) error
}

func parsers(t *testing.T) map[string]parser {
	t.Helper()
	must := func(b []byte, err error) []byte {
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	status := uint32(1)
	address := netip.MustParseAddr("192.0.2.20")
	i, err := announce.Native{Name: "cellar", KeyID: "abcdefghijklmnopqrstuvwx23", MAC: "02:00:5e:10:00:01"}.Instance(5001, address)
	if err != nil {
		t.Fatal(err)
	}
	q, err := announce.ParseQuery(must(announce.Browse(1, true, announce.ServiceNative)))
	if err != nil {
		t.Fatal(err)
	}
	return map[string]parser{
		"findhost": {
			must(findhost.Reply{Type: findhost.TypeResponse, Status: &status, Name: "attic", Model: "DS920+", Serial: "2040SBRXYZ123", Address: address, MAC: "00:11:32:aa:bb:cc", HTTPPort: 5000}.Packet().Append(nil)),
			func(b []byte) error { _, err := findhost.ParseReply(b); return err },
		},
		"qfinder": {
			must(qfinder.Reply{Kind: qfinder.Detail, Address: "00:08:9b:aa:bb:cc", Name: "studio", Model: "TS-453D", HTTPPort: 8080, HTTPSPort: 443, IP: address, Client: address}.Packet().Append(nil)),
			func(b []byte) error { _, err := qfinder.ParseReply(b); return err },
		},
		"announce": {
			must(announce.Answer(q, []announce.Instance{i}, announce.Multicast)),
			func(b []byte) error { _, err := announce.ParseResponse(b); return err },
		},
		"ssdp": {
			[]byte("HTTP/1.1 200 OK\r\nST: upnp:rootdevice\r\nUSN: uuid:73796E6F-6473-6D00-0000-001132aabbcc::upnp:rootdevice\r\nSERVER: Synology/DSM/192.0.2.20\r\nLOCATION: http://192.0.2.20:5000/d.xml\r\n\r\n"),
			func(b []byte) error {
				m, err := ssdp.Parse(b)
				_, _ = m.DescriptionURL(address)
				return err
			},
		},
		"description": {
			must(ssdp.Description{FriendlyName: "attic (DS920+)", ModelName: "DS920+", ModelNumber: "DS920+ 7.2-64570", SerialNumber: "001132aabbcc"}.XML()),
			func(b []byte) error { _, err := ssdp.ParseDescription(b); return err },
		},
		"leases": {
			[]byte("1795000000 00:11:32:aa:bb:cc 192.168.1.57 DiskStation *\n1795000000 02:00:00:00:00:01 192.168.1.58 * *\n"),
			func(b []byte) error { _, _, err := leases.Parse(b); return err },
		},
		"ISC leases": {
			[]byte("lease 192.168.1.57 {\n ends 4 2026/11/26 10:00:00;\n binding state active;\n hardware ethernet 00:11:32:aa:bb:cc;\n client-hostname \"DiskStation\";\n}\n"),
			func(b []byte) error { _, _, err := leases.Parse(b); return err },
		},
		"webassistant": {
			[]byte(`{"success":true,"data":{"has_disk":true,"dsinfo":{"model":"DS920+","serial":"1","disk_count":4,"internet_ok":"false","status":"sys_crash"}}}`),
			func(b []byte) error { _, err := webassistant.Parse(b); return err },
		},
		"authlogin": {
			[]byte(`<QDocRoot version="1.0"><is_booting>0</is_booting><model><modelName><![CDATA[TS-X53D]]></modelName></model><hostname>studio</hostname></QDocRoot>`),
			func(b []byte) error { _, err := authlogin.Parse(b); return err },
		},
	}
}

// Damaged in up to eight places each: no parser panics (the test's own end is
// what shows that), and the undamaged message still reads.
func TestDamagedMessages(t *testing.T) {
	n := 5_000
	if s := os.Getenv("PAPERCLIP_MUTATIONS"); s != "" {
		var err error
		if n, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	for name, p := range parsers(t) {
		t.Run(name, func(t *testing.T) {
			if err := p.read(p.whole); err != nil {
				t.Fatalf("the undamaged message: %v", err)
			}
			refused := 0
			buffer := make([]byte, 0, 2*len(p.whole))
			for range n {
				buffer = damage(append(buffer[:0], p.whole...))
				if p.read(buffer) != nil {
					refused++
				}
			}
			t.Logf("%d messages, %d refused", n, refused)
			if refused == 0 {
				t.Error("no damage was ever noticed")
			}
		})
	}
}

// damage changes, takes out, doubles or cuts a few bytes.
func damage(b []byte) []byte {
	for range 1 + rand.IntN(8) {
		if len(b) == 0 {
			return b
		}
		i := rand.IntN(len(b))
		switch rand.IntN(6) {
		case 0:
			b[i] = byte(rand.Uint32())
		case 1:
			b[i] ^= 1 << rand.IntN(8)
		case 2:
			b = append(b[:i], b[min(len(b), i+1+rand.IntN(4)):]...)
		case 3:
			b = b[:i]
		case 4:
			b[i] = []byte{0, 0xff, 0x7f, 0x80, 0xca, '<', '"', '\n'}[rand.IntN(8)]
		case 5:
			j := rand.IntN(len(b))
			copy(b[i:], b[j:])
		}
	}
	return b
}
