package lab

import (
	"net/netip"

	"github.com/paperclip-nas/paperclip/internal/domain/nas"
)

// maker is whose protocols a virtual NAS speaks.
type maker string

const (
	native   maker = "paperclip"
	synology maker = "synology"
	qnap     maker = "qnap"
)

// model is one kind of virtual NAS.
type model struct {
	maker    maker
	identity nas.Identity
	version  string // as the vendor writes it
	build    string
	update   string
	cloudKey string // on the label of newer QNAP
	files    int    // on its volume
	settings nas.Settings
}

// models are the rack: one with our own device code in front, one that looks
// like a Synology and one that looks like a QNAP. All have the same kind of
// settings behind.
func models() []model {
	return []model{
		{
			maker: native, files: 1200,
			identity: nas.Identity{Name: "cellar", Vendor: "Paperclip", Model: "Linux NAS", MACs: []string{"02:50:43:4c:00:0b"}},
			settings: household("192.168.1.20/24"),
		},
		{
			maker: synology, files: 60, version: "7.2", build: "64570", update: "3",
			identity: nas.Identity{Name: "attic", Vendor: "Synology", Model: "DS920+", Serial: "2040LAB000001", MACs: []string{"00:11:32:4c:00:0c"}, OS: "DSM"},
			settings: household("192.168.1.21/24"),
		},
		{
			maker: qnap, files: 60, version: "5.1.9", build: "20250101",
			identity: nas.Identity{Name: "studio", Vendor: "QNAP", Model: "TS-453D", Serial: "Q20LAB00002", MACs: []string{"24:5e:be:4c:00:0d"}, OS: "QTS"},
			cloudKey: "Q7K3M-X2P9",
			settings: household("192.168.1.22/24"),
		},
	}
}

// household is how a NAS is set up after some years in a family: every part
// that a reset can change is there, and set to something.
func household(address string) nas.Settings {
	return nas.Settings{
		Accounts: []nas.Account{
			{Name: "anna", Administrator: true, Enabled: true},
			{Name: "admin", Administrator: true, BuiltIn: true},
			{Name: "ben", Enabled: true},
			{Name: "carla", Enabled: true, SecondFactor: true},
		},
		Shares: &nas.Shares{Defined: []string{"photos", "music", "backups"}, Baseline: []string{"homes"}, Changed: true},
		Guest:  &nas.Guest{Enabled: true},
		Ports:  &nas.Ports{HTTP: 8080, HTTPS: 8443, ForceHTTPS: true},
		Interfaces: []nas.Interface{
			{Name: "eth0", Method: nas.Static, Addresses: []netip.Prefix{netip.MustParsePrefix(address)}, Gateway: "192.168.1.1", DNS: []string{"192.168.1.1", "9.9.9.9"}, MTU: 9000},
			{Name: "eth1", Method: nas.DHCP, MTU: 1500},
		},
		PPPoE:            &nas.PPPoE{Interface: "eth1"},
		Bonds:            []nas.Bond{{Name: "bond0", Members: []string{"eth0", "eth1"}, Enabled: true}},
		AutoBlock:        &nas.AutoBlock{Enabled: true, Blocked: []string{"192.0.2.7", "198.51.100.23", "203.0.113.99"}},
		Firewall:         &nas.Firewall{Enabled: true, Rules: 12},
		HighAvailability: &nas.Membership{},
		VirtualMachines:  &nas.Membership{},
		EncryptedFolders: []nas.EncryptedFolder{{Name: "papers", Mounted: true, MountOnStart: true, KeySealed: true}},
	}
}
