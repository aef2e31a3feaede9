package dsm

import (
	"net/netip"
	"slices"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/lab/face"
)

func (w *web) network(*call) (any, failure) {
	out := map[string]any{"server_name": w.box.Identity().Name, "gateway": "", "dns_primary": "", "dns_secondary": "", "dns_manual": false, "use_dhcp_domain": true, "arp_ignore": true, "multi_gateway": false}
	for _, in := range w.box.Settings().Interfaces[:1] {
		out["gateway"] = in.Gateway
		for i, d := range in.DNS[:min(len(in.DNS), 2)] {
			out[[]string{"dns_primary", "dns_secondary"}[i]] = d
		}
		out["dns_manual"] = in.Method == nas.Static
		out["gateway_info"] = map[string]any{"ifname": in.Name, "ip": w.box.Place().String(), "mask": mask(in), "status": "connected", "type": "ethernet", "use_dhcp": in.Method == nas.DHCP}
	}
	return out, 0
}

// ethernet is a list and no object (§4.2).
func (w *web) ethernet(*call) (any, failure) {
	out := []any{}
	for i, in := range w.box.Settings().Interfaces {
		mtu := max(in.MTU, 1500)
		e := map[string]any{
			"block": 0, "dns": "", "duplex": true, "enable_vlan": false, "gateway": in.Gateway, "ifname": in.Name, "ip": "169.254.148.8", "ipv6": []any{},
			"is_default_gateway": i == 0, "mask": mask(in), "max_supported_speed": 1000, "mtu": mtu, "mtu_config": mtu, "speed": -1,
			"status": "disconnected", "type": "lan", "use_dhcp": in.Method == nas.DHCP, "vlan_id": 0,
		}
		if len(in.DNS) > 0 {
			e["dns"] = in.DNS[0]
		}
		if len(in.Addresses) > 0 {
			e["ip"] = in.Addresses[0].Addr().String()
		}
		if i == 0 {
			e["status"], e["speed"] = "connected", 1000
			if in.Method == nas.DHCP {
				e["ip"] = w.thinks().String()
			}
		}
		out = append(out, e)
	}
	return out, 0
}

func mask(in nas.Interface) string {
	bits := 16
	if len(in.Addresses) > 0 {
		bits = in.Addresses[0].Bits()
	}
	m, err := netip.AddrFrom4([4]byte{255, 255, 255, 255}).Prefix(bits)
	if err != nil {
		return ""
	}
	return m.Addr().String()
}

func (w *web) blockGet(*call) (any, failure) {
	r, block := w.box.Rules(), w.box.Settings().AutoBlock
	return map[string]any{"attempts": r.Attempts, "enable": block != nil && block.Enabled, "expire_day": 7, "within_mins": int(r.Within / time.Minute)}, 0
}

func (w *web) blockSet(c *call) (any, failure) {
	r := w.box.Rules()
	if n, ok := c.number("attempts"); ok && n > 0 {
		r.Attempts = n
	}
	if n, ok := c.number("within_mins"); ok && n > 0 {
		r.Within = time.Duration(n) * time.Minute
	}
	w.box.SetRules(r)
	if on, ok := c.truth("enable"); ok {
		err := w.box.EditSettings(func(s *nas.Settings) {
			if s.AutoBlock == nil {
				s.AutoBlock = &nas.AutoBlock{}
			}
			s.AutoBlock.Enabled = on
		})
		if err != nil {
			return nil, errUnknown
		}
	}
	return map[string]any{}, 0
}

// errRuleType is a list that was asked for without its type (§4.2).
const errRuleType = 5100

// blockList lists blocked addresses. The fields of an entry are invented.
func (w *web) blockList(c *call) (any, failure) {
	kind := c.str("type")
	if kind != "deny" && kind != "allow" {
		return nil, errRuleType
	}
	all := []any{}
	if block := w.box.Settings().AutoBlock; block != nil && kind == "deny" {
		for _, a := range block.Blocked {
			all = append(all, map[string]any{"ip": a, "record_time": 0, "expire_time": 0})
		}
	}
	return map[string]any{"ip_info": all, "offset": 0, "total": len(all)}, 0
}

func (w *web) blockCreate(c *call) (any, failure) { return w.blockChange(c, true) }
func (w *web) blockDelete(c *call) (any, failure) { return w.blockChange(c, false) }

func (w *web) blockChange(c *call, in bool) (any, failure) {
	if k := c.str("type"); k != "deny" && k != "allow" {
		return nil, errRuleType
	}
	addresses := c.list("ip")
	err := w.box.EditSettings(func(s *nas.Settings) {
		if s.AutoBlock == nil || c.str("type") == "allow" {
			return
		}
		b := s.AutoBlock
		b.Blocked = slices.DeleteFunc(b.Blocked, func(a string) bool { return slices.Contains(addresses, a) })
		if in {
			b.Blocked = append(b.Blocked, addresses...)
		}
	})
	if err != nil {
		return nil, errUnknown
	}
	return map[string]any{}, 0
}

func (w *web) firewallGet(*call) (any, failure) {
	f := w.box.Settings().Firewall
	return map[string]any{"enable_firewall": f != nil && f.Enabled, "profile_name": "default"}, 0
}

func (w *web) firewallSet(c *call) (any, failure) {
	on, given := c.truth("enable_firewall")
	if c.str("set_type") == "disable" {
		on, given = false, true
	}
	if !given {
		return nil, errMissing
	}
	err := w.box.EditSettings(func(s *nas.Settings) {
		if s.Firewall == nil {
			s.Firewall = &nas.Firewall{}
		}
		s.Firewall.Enabled = on
	})
	if err != nil {
		return nil, errUnknown
	}
	return map[string]any{}, 0
}

func (w *web) securityGet(*call) (any, failure) {
	return map[string]any{"timeout": 15, "skip_ip_checking": false, "enable_csrf_protection": true, "csp_header_option": true, "restart_clean_session": true}, 0
}

// webGet leaves out two fields in version 2 (§4.2).
func (w *web) webGet(c *call) (any, failure) {
	p := nas.DefaultPorts()
	if s := w.box.Settings().Ports; s != nil {
		p = *s
	}
	out := map[string]any{
		"enable_avahi": true, "enable_custom_domain": false, "enable_hsts": false, "enable_https": true, "enable_https_redirect": p.ForceHTTPS,
		"enable_max_connections": true, "enable_reuseport": true, "enable_server_header": true, "enable_spdy": true, "enable_ssdp": true, "fqdn": nil,
		"http_port": p.HTTP, "https_port": p.HTTPS, "main_app": "DSM", "server_header": "nginx", "support_reuseport": true,
	}
	if c.version == 2 {
		delete(out, "enable_https")
		delete(out, "enable_hsts")
	}
	return out, 0
}

func (w *web) webSet(c *call) (any, failure) {
	for _, name := range []string{"http_port", "https_port"} {
		if n, ok := c.number(name); c.has(name) && (!ok || n < 1 || n > 65535) {
			return nil, errBadParam
		}
	}
	err := w.box.EditSettings(func(s *nas.Settings) {
		if s.Ports == nil {
			p := nas.DefaultPorts()
			s.Ports = &p
		}
		if n, ok := c.number("http_port"); ok {
			s.Ports.HTTP = n
		}
		if n, ok := c.number("https_port"); ok {
			s.Ports.HTTPS = n
		}
		if on, ok := c.truth("enable_https_redirect"); ok {
			s.Ports.ForceHTTPS = on
		}
	})
	if err != nil {
		return nil, errUnknown
	}
	return map[string]any{}, 0
}

func (w *web) version() string {
	f := w.box.Firmware()
	v := "DSM " + f.Version + "-" + f.Build
	if f.Update != "" && f.Update != "0" {
		v += " Update " + f.Update
	}
	return v
}

func (w *web) systemInfo(*call) (any, failure) {
	id := w.box.Identity()
	return map[string]any{
		"model": id.Model, "serial": id.Serial, "firmware_ver": w.version(), "firmware_date": "2024/01/01", "ram_size": 4096, "up_time": w.uptime(),
		"enabled_ntp": true, "ntp_server": "pool.ntp.org", "time": w.box.Clock().Now().Format(time.RFC1123), "sys_temp": 40, "temperature_warning": false,
	}, 0
}

func (w *web) uptime() string {
	_, up := w.box.Phase()
	return time.Time{}.Add(up).Format("15:4:5")
}

func (w *web) dsmInfo(*call) (any, failure) {
	id, f := w.box.Identity(), w.box.Firmware()
	_, up := w.box.Phase()
	return map[string]any{
		"codepage": "enu", "model": id.Model, "ram": 4096, "serial": id.Serial, "temperature": 40, "temperature_warn": false,
		"time": w.box.Clock().Now().Format(time.ANSIC), "uptime": int(up / time.Second), "version": f.Build, "version_string": w.version(),
	}, 0
}

func (w *web) reboot(*call) (any, failure) {
	if w.box.Reboot() != nil {
		return nil, errUnknown
	}
	return map[string]any{}, 0
}

func (w *web) resetButtonGet(*call) (any, failure) {
	return map[string]any{"retain_admin_pwd": w.box.Memory().Retain}, 0
}

func (w *web) resetButtonSet(c *call) (any, failure) {
	keep, ok := c.truth("retain_admin_pwd")
	if !ok {
		return nil, errMissing
	}
	if w.box.Remember(func(m *face.Memory) { m.Retain = keep }) != nil {
		return nil, errUnknown
	}
	return map[string]any{}, 0
}

func (w *web) connections(c *call) (any, failure) {
	items := []any{}
	for sid, s := range w.box.Sessions() {
		items = append(items, map[string]any{
			"who": s.User, "from": s.From.String(), "type": "HTTP/HTTPS", "time": s.Since.Format("2006/01/02 15:04:05"), "can_be_kicked": true,
			"is_current_connected": sid == c.sid,
		})
	}
	return map[string]any{"items": items, "total": len(items)}, 0
}

// kick ends every session but the caller's own.
func (w *web) kick(c *call) (any, failure) {
	w.box.EndSessions(func(sid string, _ face.Session) bool { return sid != c.sid })
	return map[string]any{}, 0
}

func (w *web) trusted(c *call) (any, failure) {
	devices := []any{}
	for id, who := range w.box.Memory().Devices {
		if who == c.session.User {
			devices = append(devices, map[string]any{"device_id": id})
		}
	}
	return map[string]any{"devices": devices}, 0
}

func (w *web) distrust(c *call) (any, failure) {
	err := w.box.Remember(func(m *face.Memory) {
		for id, who := range m.Devices {
			if who == c.session.User {
				delete(m.Devices, id)
			}
		}
	})
	if err != nil {
		return nil, errUnknown
	}
	return map[string]any{}, 0
}

func (w *web) findSupported(*call) (any, failure) { return map[string]any{"supported": true}, 0 }

// findStart beeps, so that a person hears which box it is.
func (w *web) findStart(*call) (any, failure) {
	if w.box.Beep(5) != nil {
		return nil, errUnknown
	}
	return map[string]any{}, 0
}

func (w *web) findStop(*call) (any, failure) { return map[string]any{}, 0 }

// forgot tells whether a mail can help; 3 is what was seen where it cannot (§4.2).
func (w *web) forgot(*call) (any, failure) {
	if w.box.Memory().ForgotMail {
		return map[string]any{"msg": 0}, 0
	}
	return map[string]any{"msg": 3}, 0
}

func (w *web) forgotSend(c *call) (any, failure) {
	if !w.box.Memory().ForgotMail {
		return map[string]any{"msg": 3}, 0
	}
	if c.str("user") == "" && c.str("account") == "" {
		return nil, errMissing
	}
	return map[string]any{"msg": 0}, 0
}
