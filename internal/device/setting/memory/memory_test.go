package memory_test

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/device/setting/memory"
	"github.com/paperclip-nas/paperclip/internal/device/setting/settingtest"
	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
	"github.com/paperclip-nas/paperclip/internal/x/scratch"
)

func household() nas.Settings {
	return nas.Settings{
		Name:             "cellar",
		Shares:           &nas.Shares{Defined: []string{"photos"}, Baseline: []string{"homes"}, Changed: true},
		Accounts:         []nas.Account{{Name: "anna", Administrator: true, Enabled: true, SecondFactor: true}, {Name: "ben", Enabled: true}},
		Guest:            &nas.Guest{Enabled: true},
		Ports:            &nas.Ports{HTTP: 8080, HTTPS: 8443, ForceHTTPS: true},
		Interfaces:       []nas.Interface{{Name: "eth0", Method: nas.Static, Addresses: []netip.Prefix{netip.MustParsePrefix("192.168.1.20/24")}, MTU: 9000}},
		PPPoE:            &nas.PPPoE{Enabled: true, Interface: "eth0"},
		Bonds:            []nas.Bond{{Name: "bond0", Members: []string{"eth0", "eth1"}, Enabled: true}},
		AutoBlock:        &nas.AutoBlock{Enabled: true, Blocked: []string{"192.0.2.7"}},
		Firewall:         &nas.Firewall{Enabled: true, Rules: 3},
		HighAvailability: &nas.Membership{Member: true, Cluster: "ha1"},
		VirtualMachines:  &nas.Membership{Member: true, Cluster: "vm1"},
		EncryptedFolders: []nas.EncryptedFolder{{Name: "papers", Mounted: true, MountOnStart: true, KeySealed: true}},
	}
}

// third is the settings as another program might have left them: every part has
// a value that is neither the old one nor the new.
func third() nas.Settings {
	s := household()
	s.Name, s.Shares.Defined, s.Accounts[1].SecondFactor = "other", []string{"music"}, true
	s.Ports = &nas.Ports{HTTP: 1, HTTPS: 2}
	s.Interfaces[0].Addresses, s.Interfaces[0].MTU = []netip.Prefix{netip.MustParsePrefix("10.9.9.9/8")}, 4000
	s.PPPoE.Interface = "eth7"
	s.Bonds[0].Name = "bond7"
	s.AutoBlock.Blocked = []string{"203.0.113.1"}
	s.Firewall.Rules = 77
	s.HighAvailability.Cluster, s.VirtualMachines.Cluster = "ha7", "vm7"
	s.EncryptedFolders[0].Name = "other"
	return s
}

func adapterOf(st *memory.Store, e nas.Effect) setting.Adapter {
	all := st.Adapters()
	return all[slices.IndexFunc(all, func(a setting.Adapter) bool { return a.Effects()[0] == e })]
}

// The contract of every adapter, for each row that a virtual NAS has.
func TestContract(t *testing.T) {
	file := func(root string) string { return filepath.Join(root, "settings.json") }
	hash, err := memory.Hash(rand.Reader, access.NewSecret("what anna forgot")) // slow on purpose: once for all
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range nas.Effects() {
		t.Run(string(e), func(t *testing.T) {
			settingtest.Run(t, func(t testing.TB) settingtest.System {
				root := scratch.Dir(t)
				create := func(t testing.TB, s nas.Settings, anna string) *memory.Store {
					store, err := memory.Create(opfs.OS(nil), file(root), memory.State{Settings: s, Hashes: map[string]string{"anna": anna, "ben": hash}})
					if err != nil {
						t.Fatal(err)
					}
					return store
				}
				store := create(t, household(), hash)
				request := setting.Request{Mode: reset.Soft, Scope: reset.All, Administrator: "anna", Password: access.NewSecret("violet tractor 9 gulls")}
				idle := setting.Request{Mode: reset.Soft, Scope: reset.Network}
				if e == nas.E3 || e == nas.E4 || e == nas.E5 || e == nas.E6 || e == nas.E7 {
					idle = setting.Request{Mode: reset.Soft, Scope: reset.Credentials, Administrator: "anna", Password: access.NewSecret("violet tractor 9 gulls")}
				}
				if e == nas.H1 || e == nas.H2 || e == nas.H3 {
					idle = request
					request.Mode, request.Wizard = reset.Hard, reset.Wizard{Name: "attic"}
				}
				system := settingtest.System{
					Adapter: adapterOf(store, e),
					Request: request,
					Idle:    idle,
					Stored: func(t testing.TB) []byte {
						raw, err := os.ReadFile(file(root))
						if err != nil || !json.Valid(raw) {
							t.Fatal(err)
						}
						return raw
					},
					Meddle: func(t testing.TB) { create(t, third(), "somebody else's") },
					Restart: func(t testing.TB) setting.Adapter {
						again, err := memory.Open(opfs.OS(nil), file(root))
						if err != nil {
							t.Fatal(err)
						}
						return adapterOf(again, e)
					},
				}
				if e == nas.E1 { // of accounts, a snapshot holds those of people who are no administrators
					system.Change = func(t testing.TB, n int) {
						store, err := memory.Open(opfs.OS(nil), file(root))
						if err == nil {
							err = store.SetPassword("ben", access.NewSecret(fmt.Sprint("what ben will forget ", n)))
						}
						if err != nil {
							t.Fatal(err)
						}
					}
				}
				if e == nas.E2 || e == nas.E13 {
					system.Meddle = nil // on and off is all there is
				}
				if e == nas.E13 {
					system.Request.SecondFactor, system.Idle.Administrator, system.Silent = true, "anna", true
				}
				return system
			})
		})
	}
}
