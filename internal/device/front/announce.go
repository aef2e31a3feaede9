package front

import (
	"context"
	"slices"

	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/protocol/announce"
)

// Announcement is what to announce on one network interface.
type Announcement struct {
	Interface string
	Instance  announce.Instance
}

// Announcer announces on the LAN. Set replaces all that was announced before;
// with nothing it takes it back.
type Announcer interface {
	Set(context.Context, []Announcement) error
}

// tell leaves word of what to announce. The announcer may be slow: what it has
// not taken yet is overtaken.
func (f *Front) tell(v *view) {
	select {
	case <-f.news:
	default:
	}
	f.news <- f.announcements(v)
}

// announcements are one for each interface. One that cannot be announced, with
// a MAC address that is none, is left out and logged.
func (f *Front) announcements(v *view) []Announcement {
	if v.device.KeyID == "" {
		return nil // core has not said yet who this is
	}
	_, https := f.Addresses()
	var out []Announcement
	interfaces := slices.Clone(v.state.Interfaces)
	if f.cfg.Interfaces != nil {
		interfaces = append(interfaces, f.cfg.Interfaces()...)
	}
	for _, in := range interfaces {
		n := announce.Native{Name: v.device.Name, KeyID: v.device.KeyID, MAC: in.MAC, Claim: v.state.Claim.Open}
		switch nas.StatusOf(v.device.Status) {
		case nas.ConfigurationLost, nas.SafeMode:
			n.Status = v.device.Status
		}
		instance, err := n.Instance(https.Port())
		if err != nil {
			f.log.Warn("an interface cannot be announced", "interface", in.Name, "error", err)
			continue
		}
		for _, prefix := range in.Addresses {
			instance.Addresses = append(instance.Addresses, prefix.Addr())
		}
		out = append(out, Announcement{Interface: in.Name, Instance: instance})
	}
	return out
}

// announce passes the news on until ctx ends.
func (f *Front) announce(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case news := <-f.news:
			if f.cfg.Announce == nil {
				continue
			}
			if err := f.cfg.Announce.Set(ctx, slices.Clone(news)); err != nil && ctx.Err() == nil {
				f.log.Warn("announcing failed", "error", err)
			}
		}
	}
}
