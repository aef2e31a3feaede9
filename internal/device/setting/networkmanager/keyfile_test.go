package networkmanager

import (
	"strings"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/device/setting/blockedit"
	"github.com/paperclip-nas/paperclip/internal/device/setting/ini"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
)

// Sections joined are the file, and a reset can be taken back to the byte, or
// is refused.
func FuzzKeyfile(f *testing.F) {
	f.Add("# x\n[connection]\nmaster=b\nautoconnect=false\n\n[ethernet]\nmtu=9000\n#\n[ipv4]\nmethod=manual\naddress1=10.0.0.1/8", true)
	f.Add("[ipv4]\r\nmethod=shared\r\n\r\n[ipv6]\nroute1=::/0\n[connection]", false)
	f.Fuzz(func(t *testing.T, text string, freed bool) {
		if got := strings.Join(ini.Split(text), ""); got != text {
			t.Fatalf("%q is read as %q", text, got)
		}
		p := profile{uuid: "aaaa", path: "/p", keyfile: ini.Sections(text)}
		if p.keyfile.twice() != "" {
			return
		}
		e := &editor{effects: map[nas.Effect]bool{}}
		if e.automatic(p, freed) != nil || len(e.change.Edits) == 0 {
			return
		}
		after, err := blockedit.Apply(text, e.change.Edits, ini.Split, blockedit.New)
		if err != nil {
			t.Fatal(err)
		}
		k := keyfile(ini.Sections(after))
		if in := k.settings(); (freed || k.master() == "") && (len(in.Addresses) > 0 || len(in.DNS) > 0 || k.mtu() > standardMTU) {
			t.Fatalf("%q became %q, which sets %+v", text, after, in)
		}
		if back, err := blockedit.Apply(after, e.change.Edits, ini.Split, blockedit.Old); err != nil || back != text {
			t.Fatalf("%q became %q and then %q, %v", text, after, back, err)
		}
	})
}
