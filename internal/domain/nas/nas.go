// Package nas says what a NAS is: who it is (Identity), how it is doing
// (Status) and how it is set up (Settings).
//
// Everything here is a value. Nothing in this package finds a NAS, talks to
// one or changes one: discovery fills Identity and Status, the device's
// setting adapters fill Settings, and package reset compares Settings to say
// what a reset would do.
package nas

import (
	"net/netip"
	"slices"
	"strings"
)

// Identity is what a NAS says it is. On the LAN all of it is a hint that
// anyone can forge; only KeyID, once checked over a pinned connection, says
// who a device is.
type Identity struct {
	Name   string   `json:"name"`
	Vendor string   `json:"vendor,omitempty"` // "Paperclip", "Synology", "QNAP"
	Model  string   `json:"model,omitempty"`
	Serial string   `json:"serial,omitempty"`
	MACs   []string `json:"macs,omitempty"`   // lower case, colons; the NIC's own, never a claim interface's
	KeyID  string   `json:"key_id,omitempty"` // of the device's Ed25519 identity, as package protocol/identity writes it
	OS     string   `json:"os,omitempty"`
}

// Meets tells whether two that say who they are may be one NAS: a serial or a
// MAC in common. Names are not enough: after a reset each is called alike.
func (i Identity) Meets(o Identity) bool {
	if i.Serial != "" && strings.EqualFold(i.Serial, o.Serial) {
		return true
	}
	return slices.ContainsFunc(i.MACs, func(m string) bool { return slices.Contains(o.MACs, m) })
}

// Label names the NAS by what is printed on its label, the serial number and a
// MAC address as far as they are known: so that a person can see which box is
// meant (F7).
func (i Identity) Label() string {
	var marks []string
	if i.Serial != "" {
		marks = append(marks, "serial "+i.Serial)
	}
	if len(i.MACs) > 0 {
		marks = append(marks, "MAC "+i.MACs[0])
	}
	what := strings.TrimSpace(i.Vendor + " " + i.Model)
	if i.Name != "" && what != "" {
		what = ", " + what
	}
	if len(marks) == 0 {
		return i.Name + what
	}
	return i.Name + what + " (" + strings.Join(marks, ", ") + ")"
}

// NormalMAC writes a MAC address as this program stores it, lower case with
// colons, from any usual notation ("AA-BB…", "aabb.ccdd.eeff", "AABBCC…").
// ok is false when s is not a 48-bit MAC address.
func NormalMAC(s string) (mac string, ok bool) {
	var digits []byte
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'f':
			digits = append(digits, c)
		case c >= 'A' && c <= 'F':
			digits = append(digits, c+'a'-'A')
		case c == ':' || c == '-' || c == '.':
			if i == 0 || i == len(s)-1 {
				return "", false
			}
		default:
			return "", false
		}
	}
	if len(digits) != 12 {
		return "", false
	}
	parts := make([]string, 0, 6)
	for pair := range slices.Chunk(digits, 2) {
		parts = append(parts, string(pair))
	}
	return strings.Join(parts, ":"), true
}

// Method is how an interface gets its addresses.
type Method string

// The methods that the network settings tell apart.
const (
	DHCP      Method = "dhcp"
	Static    Method = "static"
	LinkLocal Method = "link-local"
	Unmanaged Method = "unmanaged" // no address is configured
)

// Settings is how a NAS is set up, as far as the rows of Effects reach. A nil
// part was not read: the device has nothing of the kind, or no adapter for it.
type Settings struct {
	Name             string            `json:"name,omitempty"`              // H1
	Shares           *Shares           `json:"shares,omitempty"`            // H2
	Accounts         []Account         `json:"accounts,omitempty"`          // E1, E13, H3
	Guest            *Guest            `json:"guest,omitempty"`             // E2
	Ports            *Ports            `json:"ports,omitempty"`             // E3
	Cockpit          *Cockpit          `json:"cockpit,omitempty"`           // E3
	Interfaces       []Interface       `json:"interfaces,omitempty"`        // E4, E5
	PPPoE            *PPPoE            `json:"pppoe,omitempty"`             // E6
	Bonds            []Bond            `json:"bonds,omitempty"`             // E7
	AutoBlock        *AutoBlock        `json:"auto_block,omitempty"`        // E8
	Firewall         *Firewall         `json:"firewall,omitempty"`          // E9
	HighAvailability *Membership       `json:"high_availability,omitempty"` // E10
	VirtualMachines  *Membership       `json:"virtual_machines,omitempty"`  // E11
	EncryptedFolders []EncryptedFolder `json:"encrypted_folders,omitempty"` // E12
}

// Account is one person's account.
type Account struct {
	Name          string `json:"name"`
	Administrator bool   `json:"administrator"`
	BuiltIn       bool   `json:"built_in"` // root, or an account named admin
	Enabled       bool   `json:"enabled"`
	SecondFactor  bool   `json:"second_factor"`
	// PasswordChanges counts how often the password was replaced; a reset adds
	// one. It stands in for the password, which no value here ever holds.
	PasswordChanges int `json:"password_changes"`
}

// Shares are the definitions of what is shared, never what is in it.
type Shares struct {
	Defined  []string `json:"defined"`  // names, as "photos (SMB)"
	Baseline []string `json:"baseline"` // those that were defined at install
	Changed  bool     `json:"changed"`  // the definitions differ from those at install
}

// Guest is the account for people without one.
type Guest struct {
	Enabled bool `json:"enabled"`
}

// Ports are where the management pages listen.
type Ports struct {
	HTTP       int  `json:"http"`
	HTTPS      int  `json:"https"`
	ForceHTTPS bool `json:"force_https"`
}

// DefaultPorts are what a reset goes back to (E3).
func DefaultPorts() Ports { return Ports{HTTP: 5000, HTTPS: 5001} }

// Cockpit is Debian's web console, a management page of its own.
type Cockpit struct {
	Listen []string `json:"listen"` // as systemd.socket(5) has it: "9090", "192.0.2.1:443"
}

// DefaultCockpit is what a reset goes back to (E3).
func DefaultCockpit() Cockpit { return Cockpit{Listen: []string{"9090"}} }

// Interface is one network interface as configured, not as it happens to be.
type Interface struct {
	Name      string         `json:"name"`
	MAC       string         `json:"mac,omitempty"`
	Method    Method         `json:"method"`
	Addresses []netip.Prefix `json:"addresses,omitempty"`
	Gateway   string         `json:"gateway,omitempty"`
	DNS       []string       `json:"dns,omitempty"`
	MTU       int            `json:"mtu"` // bytes; 0 means the link's default, 1500
}

// PPPoE is a dial-up connection over Ethernet.
type PPPoE struct {
	Enabled   bool   `json:"enabled"`
	Interface string `json:"interface,omitempty"`
}

// Bond is a link aggregation.
type Bond struct {
	Name    string   `json:"name"`
	Members []string `json:"members"`
	Enabled bool     `json:"enabled"`
}

// AutoBlock refuses addresses after failed sign-ins.
type AutoBlock struct {
	Enabled bool     `json:"enabled"`
	Blocked []string `json:"blocked,omitempty"` // kept by a reset (E8)
}

// Firewall is the device's packet filter.
type Firewall struct {
	Enabled bool `json:"enabled"`
	Rules   int  `json:"rules"` // kept by a reset (E9)
}

// Membership is being part of a cluster.
type Membership struct {
	Member  bool   `json:"member"`
	Cluster string `json:"cluster,omitempty"`
}

// EncryptedFolder is a shared folder that needs a key to be opened.
type EncryptedFolder struct {
	Name         string `json:"name"`
	Mounted      bool   `json:"mounted"`
	MountOnStart bool   `json:"mount_on_start"`
	KeySealed    bool   `json:"key_sealed"` // its key is kept on the device, sealed with the machine key
	KeepKey      bool   `json:"keep_key"`   // the owner chose beforehand that a reset keeps that key
}

// Administrators are the accounts that a claim may give a new password, in the
// order in which they are shown.
func (s Settings) Administrators() []Account {
	var out []Account
	for _, a := range s.Accounts {
		if a.Administrator {
			out = append(out, a)
		}
	}
	return out
}

// Account returns the account of that name.
func (s Settings) Account(name string) (Account, bool) {
	i := slices.IndexFunc(s.Accounts, func(a Account) bool { return a.Name == name })
	if i < 0 {
		return Account{}, false
	}
	return s.Accounts[i], true
}

// Clone returns a copy that shares nothing with s.
func (s Settings) Clone() Settings {
	c := s
	if s.Shares != nil {
		c.Shares = &Shares{slices.Clone(s.Shares.Defined), slices.Clone(s.Shares.Baseline), s.Shares.Changed}
	}
	c.Accounts = slices.Clone(s.Accounts)
	c.Guest = clonePointer(s.Guest)
	c.Ports = clonePointer(s.Ports)
	if s.Cockpit != nil {
		c.Cockpit = &Cockpit{Listen: slices.Clone(s.Cockpit.Listen)}
	}
	c.Interfaces = slices.Clone(s.Interfaces)
	for i, in := range c.Interfaces {
		c.Interfaces[i].Addresses = slices.Clone(in.Addresses)
		c.Interfaces[i].DNS = slices.Clone(in.DNS)
	}
	c.PPPoE = clonePointer(s.PPPoE)
	c.Bonds = slices.Clone(s.Bonds)
	for i, b := range c.Bonds {
		c.Bonds[i].Members = slices.Clone(b.Members)
	}
	if s.AutoBlock != nil {
		c.AutoBlock = &AutoBlock{Enabled: s.AutoBlock.Enabled, Blocked: slices.Clone(s.AutoBlock.Blocked)}
	}
	c.Firewall = clonePointer(s.Firewall)
	c.HighAvailability = clonePointer(s.HighAvailability)
	c.VirtualMachines = clonePointer(s.VirtualMachines)
	c.EncryptedFolders = slices.Clone(s.EncryptedFolders)
	return c
}

func clonePointer[T any](p *T) *T {
	if p == nil {
		return nil
	}
	v := *p
	return &v
}
