// Package keepalived takes this NAS out of a high-availability cluster (E10),
// where keepalived makes it one, and puts it back.
//
// Taking it out is masking and stopping the service: it gives up the addresses
// that it shares, says so to the others, and does not come back by itself. The
// configuration stays as it is. The other members are not told anything more,
// and nothing that they replicate is touched.
package keepalived

import (
	"context"
	"fmt"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/device/setting/unit"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
)

// ID is the adapter's name in steps and operations.
const ID = "keepalived"

// Unit is the service that the adapter switches.
const Unit = "keepalived.service"

// Configuration is the file that says of which clusters this NAS is a member.
const Configuration = "/etc/keepalived/keepalived.conf"

// Adapter is keepalived.
type Adapter struct{ unit.Switch }

// New is the adapter of that system. It has no side effect.
func New(s unit.System) *Adapter {
	return &Adapter{unit.Switch{System: s, Name: ID, Unit: Unit, What: "keepalived", Step: "high-availability cluster (keepalived)", Row: nas.E10}}
}

// Read fills whether this NAS takes part, and in what.
func (a *Adapter) Read(ctx context.Context, s *nas.Settings) error {
	st, err := a.State(ctx, ID+".read.show", a.Unit)
	if err != nil {
		return err
	}
	s.HighAvailability = &nas.Membership{Member: st.On()}
	if !st.On() {
		return nil
	}
	data, err := a.FS.ReadFile(Configuration)
	if err != nil {
		return nil // what it is called is only for people
	}
	s.HighAvailability.Cluster = clusters(string(data))
	return nil
}

// maxName bounds what is shown, in bytes.
const maxName = 200

// clusters are the names and numbers of the virtual routers in a keepalived
// configuration: "storage (virtual router 51)".
func clusters(text string) string {
	var names []string
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		line, _, _ = strings.Cut(line, "!")
		words := strings.Fields(line)
		if len(words) < 2 {
			continue
		}
		value := strings.TrimSuffix(words[1], "{")
		switch {
		case words[0] == "vrrp_instance":
			names = append(names, value)
		case words[0] == "virtual_router_id" && len(names) > 0:
			names[len(names)-1] += fmt.Sprintf(" (virtual router %s)", value)
		}
	}
	all := strings.Join(names, ", ")
	if len(all) > maxName {
		return strings.ToValidUTF8(all[:maxName], "") + "…"
	}
	return all
}
