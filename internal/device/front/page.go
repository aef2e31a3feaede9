package front

import (
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/paperclip-nas/paperclip/internal/protocol/announce"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
	"github.com/paperclip-nas/paperclip/internal/protocol/identity"
	"github.com/paperclip-nas/paperclip/internal/web"
	"github.com/paperclip-nas/paperclip/internal/x/printable"
)

// page is what the device's page shows.
type page struct {
	Name   string
	Key    string // the identity's key id, in groups to compare by
	Away   bool   // core does not answer
	Busy   bool   // a transaction is under way
	OnLink bool
	Claim  deviceapi.Claim
	Closes string // "about 14 minutes"
}

func (f *Front) answerPage(w http.ResponseWriter, r *http.Request, v visitor) error {
	view := f.view.Load()
	if !v.tls && view.state.Ports.ForceHTTPS && view.client != nil {
		_, https := f.Addresses()
		if https.IsValid() {
			http.Redirect(w, r, "https://"+withPort(r.Host, https.Port())+"/", http.StatusTemporaryRedirect)
			return nil
		}
	}
	p := page{Name: "this NAS", Away: view.client == nil, OnLink: v.onLink}
	if view.device.Name != "" {
		p.Name = printable.Clean(view.device.Name)
		p.Key = identity.Grouped(view.device.KeyID)
	}
	if !p.Away {
		passed := int((f.cfg.Clock.Monotonic() - view.at) / time.Second)
		p.Claim, p.Busy, p.Closes = view.device.Claim, !view.device.Ready, inMinutes(view.device.Claim.ClosesInSeconds-passed)
	}
	return web.Show(w, http.StatusOK, p.Name+": a NAS with Paperclip", p.html())
}

func inMinutes(seconds int) string {
	switch minutes := (seconds + 30) / 60; {
	case seconds < 60:
		return "less than a minute"
	case minutes == 1:
		return "about a minute"
	default:
		return "about " + strconv.Itoa(minutes) + " minutes"
	}
}

// hostNames are the names by which this device may be asked for: its own, as a
// host name too, and the one that it announces.
func hostNames(d deviceapi.Device) []string {
	n := announce.Native{Name: d.Name, KeyID: d.KeyID, MAC: "00:00:00:00:00:00"}
	instance, err := n.Instance(0)
	if d.Name == "" || err != nil {
		return nil
	}
	return []string{d.Name, instance.Host, strings.TrimSuffix(instance.Host, "-"+identity.Short(d.KeyID))}
}

// withPort is a Host header with another port.
func withPort(hostport string, port uint16) string {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = strings.Trim(hostport, "[]")
	}
	return net.JoinHostPort(host, strconv.Itoa(int(port)))
}
