package lab

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/protocol/findhost"
	"github.com/paperclip-nas/paperclip/internal/protocol/qfinder"
)

// imposter is somebody on the LAN who claims to be a NAS: its name, serial and
// MAC, a state that makes people type passwords, and a page that takes them.
type imposter struct {
	answers answers
	heard   atomic.Int64 // requests with a body or a query: where a password would be
}

// Fooled is how many requests that could hold a password an imposter of the NAS
// was sent.
func (n *NAS) Fooled() int {
	if n.imposter == nil {
		return 0
	}
	return int(n.imposter.heard.Load())
}

func startImposter(ctx context.Context, n *NAS, ended *sync.WaitGroup) (*imposter, error) {
	at := n.addr.As4()
	if at[3] != 1 {
		at[2] = 66
	}
	place := netip.AddrFrom4(at)
	im := &imposter{}
	page, err := net.Listen("tcp", netip.AddrPortFrom(place, 0).String())
	if err != nil {
		return nil, err
	}
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 || r.URL.RawQuery != "" {
			im.heard.Add(1)
		}
		rw.WriteHeader(http.StatusNotFound)
	})}
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(place, 0)))
	if err != nil {
		_ = page.Close()
		return nil, err
	}
	context.AfterFunc(ctx, func() { _, _ = server.Close(), conn.Close() })
	ended.Go(func() { _ = server.Serve(page) })
	port := uint16(page.Addr().(*net.TCPAddr).Port)
	where := conn.LocalAddr().(*net.UDPAddr).AddrPort()
	if n.model.maker == synology {
		im.answers.findhost = where
	} else {
		im.answers.qfinder = where
	}
	ended.Go(func() {
		buffer := make([]byte, 9000)
		for {
			size, from, err := conn.ReadFromUDPAddrPort(buffer)
			if err != nil {
				return
			}
			if b := n.forged(buffer[:size], place, port); b != nil {
				_, _ = conn.WriteToUDPAddrPort(b, from)
			}
		}
	})
	return im, nil
}

// forged is an answer in the NAS's name.
func (n *NAS) forged(question []byte, place netip.Addr, port uint16) []byte {
	id := n.model.identity
	if q, err := findhost.Parse(question); err == nil && q.IsQuery() && n.model.maker == synology {
		status := uint32(nas.NotConfigured)
		b, _ := findhost.Reply{
			Type: findhost.TypeResponse, Status: &status, Name: id.Name, Model: id.Model, Serial: id.Serial, MAC: id.MACs[0], FirstMAC: id.MACs[0],
			Version: n.model.version, Address: place, HTTPPort: port,
		}.Packet().Append(nil)
		return b
	}
	if q, err := qfinder.Parse(question); err == nil && q.IsQuery(id.MACs[0]) && n.model.maker == qnap {
		b, _ := qfinder.Reply{Kind: q.Kind, Address: id.MACs[0], Name: id.Name, Model: id.Model, MACs: id.MACs, HTTPPort: port}.Packet().Append(nil)
		return b
	}
	return nil
}
