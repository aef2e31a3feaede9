package reset

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/domain/nas"
)

// Wizard is what the set-up wizard of a hard reset asks beside the first
// administrator (D5). The answers are taken in the claim, before anything is
// accepted, and are part of the plan. The zero Wizard is the plain one: the same
// name, addresses from DHCP, nothing restored.
type Wizard struct {
	Name    string    `json:"name"`    // what the NAS is called then; empty: as it is
	Network []Address `json:"network"` // interfaces with an address set by hand; all others use DHCP
	Restore Restore   `json:"restore"` // what is to follow
	// NewAdministrator: there is no account of the administrator's name yet; the
	// reset makes it.
	NewAdministrator bool `json:"new_administrator,omitempty"`
}

// Address is one interface's address, set by hand. IPv6 is always automatic.
type Address struct {
	Interface string       `json:"interface"`
	Address   netip.Prefix `json:"address"` // with the size of its network, as 192.168.1.5/24
	Gateway   netip.Addr   `json:"gateway"` // may be none
	DNS       []netip.Addr `json:"dns"`     // at most 3
}

// Restore says which settings the owner wants back after a hard reset. It only
// says that the NAS is not set up until that is done; the restore is an own
// step, with its own plan.
type Restore string

// The choices.
const (
	RestoreNone     Restore = ""         // it is a new NAS
	RestoreBundle   Restore = "bundle"   // what the NAS keeps of itself before the reset
	RestoreSnapshot Restore = "snapshot" // one that the owner has
)

// ErrWizard is the error of every answer that cannot be used; the text of such
// an error says which and why.
var ErrWizard = errors.New("an answer of the set-up wizard cannot be used")

// unusable is an ErrWizard in the words for a person.
type unusable struct{ why error }

func (u unusable) Error() string        { return u.why.Error() }
func (u unusable) Is(target error) bool { return target == ErrWizard }

const (
	maxLabel = 63 // RFC 1123 §2.1
	maxDNS   = 3  // as resolv.conf(5) takes
)

// Check judges the answers for a NAS with these settings.
func (w Wizard) Check(s nas.Settings) error {
	if err := w.checkName(); err != nil {
		return unusable{err}
	}
	switch w.Restore {
	case RestoreNone, RestoreBundle, RestoreSnapshot:
	default:
		return unusable{errors.New("what is restored is nothing, bundle or snapshot")}
	}
	for i, a := range w.Network {
		err := a.check(s)
		for _, other := range w.Network[:i] {
			switch {
			case other.Interface == a.Interface:
				err = errors.Join(err, fmt.Errorf("%s stands twice", a.Interface))
			case other.Address.Overlaps(a.Address):
				err = errors.Join(err, fmt.Errorf("%s and %s would be on the same network", other.Interface, a.Interface))
			}
		}
		if err != nil {
			return unusable{err}
		}
	}
	return nil
}

// checkName takes one label of RFC 1123 in lower case, and no number alone,
// which could be taken for an address.
func (w Wizard) checkName() error {
	n := w.Name
	switch {
	case n == "":
		return nil
	case len(n) > maxLabel:
		return fmt.Errorf("a name has at most %d characters", maxLabel)
	case strings.Trim(n, "abcdefghijklmnopqrstuvwxyz0123456789-") != "":
		return errors.New("a name has small letters a to z, digits and hyphens only")
	case n[0] == '-' || n[len(n)-1] == '-':
		return errors.New("a name neither begins nor ends with a hyphen")
	case strings.Trim(n, "0123456789") == "":
		return errors.New("a name is not a number alone")
	case n == "localhost":
		return errors.New("every computer calls itself localhost")
	}
	return nil
}

func (a Address) check(s nas.Settings) error {
	known := slices.ContainsFunc(s.Interfaces, func(in nas.Interface) bool { return in.Name == a.Interface })
	bond := slices.ContainsFunc(s.Bonds, func(b nas.Bond) bool { return b.Name == a.Interface })
	p, addr := a.Address, a.Address.Addr()
	switch {
	case !known && !slices.ContainsFunc(s.Bonds, func(b nas.Bond) bool { return slices.Contains(b.Members, a.Interface) }):
		return fmt.Errorf("there is no network interface %.20q", a.Interface)
	case bond:
		return fmt.Errorf("%s is a link aggregation, which the reset takes apart: name one of its members", a.Interface)
	case !addr.Is4():
		return fmt.Errorf("the address of %s is one of IPv4 with the size of its network, as 192.168.1.5/24; IPv6 is always automatic", a.Interface)
	case p.Bits() < 8 || p.Bits() > 30:
		return fmt.Errorf("a network of /%d cannot be right for %s", p.Bits(), a.Interface)
	case !host(p, addr):
		return fmt.Errorf("%s cannot be the address of a NAS", addr)
	case !a.Gateway.IsValid():
	case a.Gateway == addr:
		return fmt.Errorf("the gateway of %s is another device", a.Interface)
	case !p.Contains(a.Gateway) || !host(p, a.Gateway):
		return fmt.Errorf("the gateway %s is not on the network of %s", a.Gateway, p)
	}
	if len(a.DNS) > maxDNS {
		return fmt.Errorf("at most %d DNS servers", maxDNS)
	}
	for _, d := range a.DNS {
		if !d.IsValid() || d.IsUnspecified() || d.IsMulticast() || d.IsLoopback() || d.Zone() != "" || d == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
			return fmt.Errorf("%s is no DNS server", d)
		}
	}
	return nil
}

// host reports whether addr is one that a device on the network p can have.
func host(p netip.Prefix, addr netip.Addr) bool {
	if !addr.IsGlobalUnicast() || addr.As4()[0] == 0 || addr.As4()[0] >= 240 {
		return false // loopback, link-local, multicast, reserved, none
	}
	first, last := p.Masked().Addr(), lastOf(p)
	return addr != first && addr != last
}

// lastOf is the broadcast address of an IPv4 network.
func lastOf(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().As4()
	for i := p.Bits(); i < 32; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	return netip.AddrFrom4(b)
}

// Static returns the address set by hand for an interface; false is DHCP.
func (w Wizard) Static(name string) (Address, bool) {
	i := slices.IndexFunc(w.Network, func(a Address) bool { return a.Interface == name })
	if i < 0 {
		return Address{}, false
	}
	return w.Network[i], true
}

// Apply is package Apply with the wizard's answers.
func (w Wizard) Apply(e nas.Effect, s nas.Settings, administrator string) nas.Settings {
	s = Apply(e, s, administrator)
	switch {
	case e == nas.E1 && w.NewAdministrator:
		if _, here := s.Account(administrator); !here {
			s.Accounts = append(s.Accounts, nas.Account{Name: administrator, Administrator: true, Enabled: true, PasswordChanges: 1})
		}
	case e == nas.H1 && w.Name != "":
		s.Name = w.Name
	case e == nas.E4:
		for _, a := range w.Network {
			i := slices.IndexFunc(s.Interfaces, func(in nas.Interface) bool { return in.Name == a.Interface })
			if i < 0 { // a member of a link aggregation until now
				s.Interfaces = append(s.Interfaces, nas.Interface{Name: a.Interface})
				i = len(s.Interfaces) - 1
			}
			a.put(&s.Interfaces[i])
		}
	}
	return s
}

// put makes an interface have the address.
func (a Address) put(in *nas.Interface) {
	in.Method, in.Addresses, in.Gateway, in.DNS = nas.Static, []netip.Prefix{a.Address}, "", nil
	if a.Gateway.IsValid() {
		in.Gateway = a.Gateway.String()
	}
	for _, d := range a.DNS {
		in.DNS = append(in.DNS, d.String())
	}
}

// ParseAddress reads an address as typed:
// "eth0=192.168.1.5/24,gateway=192.168.1.1,dns=9.9.9.9", with any number of dns.
func ParseAddress(text string) (Address, error) {
	bad := unusable{errors.New("the network is dhcp, or as in eth0=192.168.1.5/24,gateway=192.168.1.1,dns=9.9.9.9")}
	parts := strings.Split(text, ",")
	name, address, ok := strings.Cut(strings.TrimSpace(parts[0]), "=")
	if !ok || name == "" || len(text) > 500 {
		return Address{}, bad
	}
	a := Address{Interface: name}
	var err error
	if a.Address, err = netip.ParsePrefix(address); err != nil {
		return Address{}, bad
	}
	for _, part := range parts[1:] {
		key, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		addr, err := netip.ParseAddr(value)
		switch {
		case err != nil:
			return Address{}, bad
		case key == "gateway" && !a.Gateway.IsValid():
			a.Gateway = addr
		case key == "dns":
			a.DNS = append(a.DNS, addr)
		default:
			return Address{}, bad
		}
	}
	return a, nil
}

// String is the address as ParseAddress reads it.
func (a Address) String() string {
	s := a.Interface + "=" + a.Address.String()
	if a.Gateway.IsValid() {
		s += ",gateway=" + a.Gateway.String()
	}
	for _, d := range a.DNS {
		s += ",dns=" + d.String()
	}
	return s
}
