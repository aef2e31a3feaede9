package pppoe

import (
	"testing"

	"github.com/paperclip-nas/paperclip/internal/device/setting/ownfile"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]peer{
		"# DSL\nplugin pppoe.so\nnic-eth1\nuser \"anna@provider\"\n":                 {pppoe: true, nic: "eth1"},
		"plugin rp-pppoe.so enp3s0 persist":                                          {pppoe: true, nic: "enp3s0"},
		"plugin /usr/lib/pppd/2.4.9/rp-pppoe.so\npersist\n":                          {pppoe: true},
		"pty \"/usr/sbin/pppoe -I eth0 -T 80 -m 1452\"\nnoauth":                      {pppoe: true, nic: "eth0"},
		"plugin pppoe.so\ndryrun\n":                                                  {pppoe: true, off: true},
		"plugin pppoe.so # dryrun\n":                                                 {pppoe: true},
		"# plugin pppoe.so\nconnect \"/usr/sbin/chat -v -f /etc/chatscripts/pap\"\n": {},
		"pty \"pptp vpn.example --nolaunchpppd\"":                                    {},
		"": {},
	} {
		if got := parse(text); got != want {
			t.Errorf("%q: %+v, want %+v", text, got, want)
		}
	}
}

func FuzzRoundTrip(f *testing.F) {
	f.Add("plugin pppoe.so\nnic-eth0")
	f.Add(line + "plugin 'pppoe.so")
	f.Fuzz(func(t *testing.T, text string) {
		old := get(text)
		if old != nil {
			return // off already: no step
		}
		off := set(text, ownfile.Text(line))
		if !ownfile.Equal(get(off), ownfile.Text(line)) || !parse(off).off || parse(off).pppoe != parse(text).pppoe {
			t.Fatalf("%q became %q", text, off)
		}
		if back := set(off, old); back != text {
			t.Fatalf("%q came back as %q", text, back)
		}
	})
}
