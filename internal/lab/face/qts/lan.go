package qts

import (
	"crypto/rand"
	"io"
	"net/netip"

	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/protocol/announce"
	"github.com/paperclip-nas/paperclip/internal/protocol/qfinder"
)

func randomness() io.Reader { return rand.Reader }

func (w *web) somePort() netip.AddrPort { return netip.AddrPortFrom(w.box.Place(), 0) }

// thinks is what the box thinks that its address is: one of 169.254/16 where
// nobody gave it one, for which the lab's own address stands.
func (w *web) thinks() netip.Addr {
	at := w.box.Place()
	if a := at.As4(); a[1] == 254 {
		return netip.AddrFrom4([4]byte{169, 254, a[2], a[3]})
	}
	return at
}

// announcement is what QTS's avahi says (vendors/qnap.md §2.1).
func (w *web) announcement() announce.Instance {
	id, f, p := w.box.Identity(), w.box.Firmware(), w.box.Ports()
	return announce.QNAP(id.Name, announce.Vendor{
		Vendor: id.Vendor, Model: id.Model, Serial: id.Serial, Version: f.Version, Build: f.Build, MACs: id.MACs, HTTPPort: p.HTTP, HTTPSPort: p.HTTPS,
	}, w.box.Place())
}

// qfinder answers the two questions (vendors/qnap.md §1.2). That newer firmware
// answers so is an invention: qts_5_qfinder.
func (w *web) qfinder(question []byte, from netip.Addr) []byte {
	id, f, ports := w.box.Identity(), w.box.Firmware(), w.box.Ports()
	q, err := qfinder.Parse(question)
	if err != nil || !q.IsQuery(id.MACs[0]) {
		return nil
	}
	if atLeast(f.Version, 5) {
		w.box.Made("qts_5_qfinder")
	}
	r := qfinder.Reply{
		Kind: q.Kind, Address: id.MACs[0], Name: id.Name, Model: id.Model, InternalModel: "TS-X53D", Workgroup: "NAS", Build: f.Build,
		MACs: id.MACs, Client: from,
	}
	if q.Kind == qfinder.Brief {
		r.Administrator, r.HTTPPort, r.HTTPSPort = builtIn, ports.HTTP, ports.HTTPS
		if w.box.Memory().ForgotMail {
			r.MailServer = "smtp.example.com:465"
		}
	} else {
		r.IP, r.Netmask = w.thinks(), netip.AddrFrom4([4]byte{255, 0, 0, 0})
		if in := w.box.Settings().Interfaces; len(in) > 0 {
			dhcp := in[0].Method == nas.DHCP
			r.DHCP = &dhcp
			r.Gateway, _ = netip.ParseAddr(in[0].Gateway)
		}
	}
	b, err := r.Packet().Append(nil)
	if err != nil {
		return nil
	}
	return b
}
