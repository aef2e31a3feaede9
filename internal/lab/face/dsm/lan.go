package dsm

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strconv"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/device/setting/memory"
	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/lab/face"
	"github.com/paperclip-nas/paperclip/internal/protocol/findhost"
	"github.com/paperclip-nas/paperclip/internal/protocol/ssdp"
)

func randomness() io.Reader { return rand.Reader }

// installerName is what a box without a configuration calls itself (§5.1).
const installerName = "DiskStation"

func (w *web) name() string {
	if p, _ := w.box.Phase(); p.Installer() {
		return installerName
	}
	return w.box.Identity().Name
}

// findhost answers as §1.5 and §3.1 have it.
func (w *web) findhost(question []byte, from netip.Addr) []byte {
	if p, err := findhost.Parse(question); err != nil || !p.IsQuery() {
		return nil
	}
	phase, _ := w.box.Phase()
	id, f, ports := w.box.Identity(), w.box.Firmware(), w.box.Ports()
	status, dhcp := uint32(phase.Status()), w.dhcp()
	r := findhost.Reply{
		Type: findhost.TypeResponse, Status: &status, Name: w.name(), Model: id.Model, Platform: "synology_geminilake_920+",
		OSName: f.OS, Version: f.Version, Build: number(f.Build), Update: number(f.Update), Serial: id.Serial,
		Address: w.thinks(), Netmask: netip.AddrFrom4([4]byte{255, 0, 0, 0}), Querier: from, DHCP: &dhcp,
		MAC: id.MACs[0], FirstMAC: id.MACs[0], HTTPPort: ports.HTTP, HTTPSPort: ports.HTTPS,
	}
	if phase.Installer() {
		r.Type = findhost.TypeInstaller
	}
	b, err := r.Packet().Append(nil)
	if err != nil {
		return nil
	}
	return b
}

// thinks is what the box thinks that its address is: one of 169.254/16 where
// nobody gave it one, for which the lab's own address stands.
func (w *web) thinks() netip.Addr {
	at := w.box.Place()
	if a := at.As4(); a[1] == 254 {
		return netip.AddrFrom4([4]byte{169, 254, a[2], a[3]})
	}
	return at
}

func (w *web) dhcp() bool {
	if p, _ := w.box.Phase(); p.Installer() {
		return true
	}
	for _, in := range w.box.Settings().Interfaces {
		return in.Method == "dhcp"
	}
	return false
}

func number(s string) uint32 {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		return 0
	}
	return uint32(n)
}

// ssdp answers a search (§2).
func (w *web) ssdp(question []byte, _ netip.Addr) []byte {
	if !ssdp.IsSearch(question, ssdp.TargetRoot) {
		return nil
	}
	phase, _ := w.box.Phase()
	at, mac := w.box.Place().String(), strings.ReplaceAll(w.box.Identity().MACs[0], ":", "")
	page := netip.AddrPortFrom(w.box.Place(), w.box.Ports().HTTP).String()
	server, location, usn := "Synology/DSM/"+at, "http://"+page+"/ssdp/desc-DSM-eth0.xml", "uuid:73796E6F-6473-6D00-0000-"+mac
	if phase.Installer() {
		f := w.box.Firmware()
		server = "Synology/synology_geminilake_920+/" + f.Version + "-" + f.Build + "/" + at
		location, usn = "http://"+page+"/description-eth0.xml", "uuid:upnp_SynologyNAS-"+mac
	}
	return ssdp.Message{Headers: []ssdp.Header{
		{Name: "CACHE-CONTROL", Value: "max-age=1900"},
		{Name: "ST", Value: ssdp.TargetRoot},
		{Name: "USN", Value: usn + "::upnp:rootdevice"},
		{Name: "SERVER", Value: server},
		{Name: "LOCATION", Value: location},
		{Name: "EXT", Value: ""},
	}}.Append(nil)
}

func (w *web) description(rw http.ResponseWriter, _ *http.Request) {
	id, f := w.box.Identity(), w.box.Firmware()
	b, err := ssdp.Description{
		DeviceType: "urn:schemas-upnp-org:device:Basic:1", FriendlyName: w.name() + " (" + id.Model + ")", Manufacturer: "Synology",
		ModelName: id.Model, ModelNumber: id.Model + " " + f.Version + "-" + f.Build, SerialNumber: strings.ReplaceAll(id.MACs[0], ":", ""),
	}.XML()
	if err != nil {
		http.Error(rw, err.Error(), http.StatusInternalServerError)
		return
	}
	rw.Header().Set("Content-Type", "text/xml")
	_, _ = rw.Write(b)
}

// installer is port 5000 of a box without a system (§3.3).
func (w *web) installer(mux *http.ServeMux) {
	mux.HandleFunc("GET /{$}", func(rw http.ResponseWriter, r *http.Request) {
		http.Redirect(rw, r, "/web_index.html", http.StatusFound)
	})
	mux.HandleFunc("GET /web_index.html", func(rw http.ResponseWriter, _ *http.Request) {
		page(rw, "Synology Web Assistant", "<p>Install.</p>")
	})
	mux.HandleFunc("GET /description-eth0.xml", w.description)
	mux.HandleFunc("GET /webman/get_state.cgi", w.getState)
	mux.HandleFunc("GET /webman/pingpong.cgi", func(rw http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(rw, `{"boot_done":true,"success":true}`)
	})
	mux.HandleFunc("POST /webman/install.cgi", w.install)
}

func (w *web) getState(rw http.ResponseWriter, _ *http.Request) {
	phase, _ := w.box.Phase()
	id, f := w.box.Identity(), w.box.Firmware()
	status := map[face.Phase]string{face.Lost: "sys_crash", face.Empty: "not_install", face.Installing: "sys_crash"}[phase]
	disks := 4
	if phase == face.Empty {
		disks = 0
	}
	rw.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(rw).Encode(map[string]any{"success": true, "data": map[string]any{
		"has_disk": disks > 0, "dsinfo": map[string]any{
			"model": id.Model, "serial": id.Serial, "mac_addr": id.MACs[0], "ip_addr": w.thinks().String(), "hostname": installerName,
			"build_ver": f.Version + "-" + f.Build, "disk_count": disks, "disk_size_enough": disks > 0, "is_installing": phase == face.Installing,
			"https_admin_port": fmt.Sprint(w.box.Ports().HTTPS), "internet_ok": "false", "internet_install_ok": false,
			"internet_migrate_ok": false, "internet_reinstall_ok": false, "internet_install_version": "", "status": status,
		},
	}})
}

// install puts the system on again; the volumes stay, every setting is new
// (§3.3, §5.1).
func (w *web) install(rw http.ResponseWriter, r *http.Request) {
	w.box.Mark(rw, "dsm_installer")
	if p, _ := w.box.Phase(); p != face.Lost {
		reply(rw, nil, 101)
		return
	}
	_, _ = io.Copy(io.Discard, r.Body)
	blank, err := memory.Hash(randomness(), access.NewSecret(""))
	if err == nil {
		err = w.box.Install(freshSettings(), builtIn, blank)
	}
	if err != nil {
		reply(rw, nil, 100)
		return
	}
	reply(rw, map[string]any{}, 0)
}

// freshSettings are those of a system that was just installed.
func freshSettings() nas.Settings {
	ports := nas.DefaultPorts()
	return nas.Settings{
		Accounts: []nas.Account{{Name: builtIn, Administrator: true, BuiltIn: true, Enabled: true}}, Guest: &nas.Guest{}, Ports: &ports,
		Interfaces: []nas.Interface{{Name: "eth0", Method: nas.DHCP, MTU: 1500}, {Name: "eth1", Method: nas.DHCP, MTU: 1500}},
		AutoBlock:  &nas.AutoBlock{}, Firewall: &nas.Firewall{},
	}
}
