package dsmapi

import (
	"encoding/json"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
)

// The APIs that are called (vendors/synology.md §4.1, §4.2).
const (
	APIAuth        = "SYNO.API.Auth"
	APIUser        = "SYNO.Core.User"
	APIGroupMember = "SYNO.Core.Group.Member"
	APIValidAdmin  = "SYNO.Core.Group.ValidLocalAdmin"
	APINetwork     = "SYNO.Core.Network"
	APIEthernet    = "SYNO.Core.Network.Ethernet"
	APIAutoBlock   = "SYNO.Core.Security.AutoBlock"
	APIBlockRules  = "SYNO.Core.Security.AutoBlock.Rules"
	APIFirewall    = "SYNO.Core.Security.Firewall"
	APIWeb         = "SYNO.Core.Web.DSM"
	APIResetButton = "SYNO.Core.System.ResetButton"
	APIInfo        = "SYNO.DSM.Info"
	APIFindMe      = "SYNO.DSM.FindMe"
	APITrust       = "SYNO.Core.TrustDevice"
	APIPolicy      = "SYNO.Core.User.PasswordPolicy"
)

// Login is one sign-in attempt.
type Login struct {
	Account  string
	Password access.Secret
	Code     access.Secret // of the second step; may be empty
}

// Request is the attempt as a call. It takes version 6, which DSM 6.2 and 7
// both have; a device that has only older ones says so before.
func (l Login) Request(version int) Request {
	p := map[string]any{"account": l.Account, "passwd": l.Password, "format": "sid", "enable_syno_token": "yes"}
	if !l.Code.Empty() {
		p["otp_code"] = l.Code
	}
	return Request{API: APIAuth, Version: version, Method: "login", Params: p}
}

// Session is what a successful attempt gives.
type Session struct {
	SID    string `json:"sid"`
	Token  string `json:"synotoken,omitempty"`
	Portal bool   `json:"is_portal_port,omitempty"`
}

// String hides the session's id, which opens the device.
func (Session) String() string { return "[redacted]" }

// GoString is String.
func (Session) GoString() string { return "[redacted]" }

// Logout ends the session it is sent in.
func Logout() Request { return Request{API: APIAuth, Version: 6, Method: "logout"} }

// User is one account, as SYNO.Core.User list gives it.
type User struct {
	Name        string   `json:"name"`
	Description string   `json:"description"`
	Email       string   `json:"email"`
	Expired     string   `json:"expired"` // "normal"; "now" is disabled; else a date Y/M/D
	Groups      []string `json:"groups,omitempty"`
	TwoFactor   *bool    `json:"2fa_status,omitempty"`
	UID         *int     `json:"uid,omitempty"`
}

// The values of User.Expired that are no date.
const (
	Enabled  = "normal"
	Disabled = "now"
)

// UserList is the answer to ListUsers.
type UserList struct {
	Offset int    `json:"offset"`
	Total  int    `json:"total"`
	Users  []User `json:"users"`
}

// ListUsers asks for every local account.
func ListUsers() Request {
	return Request{API: APIUser, Version: 1, Method: "list", Params: map[string]any{
		"offset": 0, "limit": -1, "type": "local", "additional": []string{"description", "email", "expired", "groups", "2fa_status", "uid"},
	}}
}

// SetPassword gives an account a new password.
func SetPassword(name string, password access.Secret) Request {
	return Request{API: APIUser, Version: 1, Method: "set", Params: map[string]any{"name": name, "password": password}}
}

// SetEnabled enables or disables an account. A parameter "disabled" exists
// nowhere: DSM ignores it (vendors/synology.md §4.2).
func SetEnabled(name string, on bool) Request {
	expired := Disabled
	if on {
		expired = Enabled
	}
	return Request{API: APIUser, Version: 1, Method: "set", Params: map[string]any{"name": name, "expired": expired}}
}

// Names is a list of accounts by name: of ValidAdmins and of Members.
type Names struct {
	Users []struct {
		Name string `json:"name"`
	} `json:"users"`
}

// ValidAdmins asks which local administrators can still get in.
func ValidAdmins() Request { return Request{API: APIValidAdmin, Version: 1, Method: "list"} }

// Members asks who is in a group.
func Members(group string) Request {
	return Request{API: APIGroupMember, Version: 1, Method: "list", Params: map[string]any{"group": group, "ingroup": true}}
}

// AutoBlock is the rule by which addresses are blocked.
type AutoBlock struct {
	Enable     bool `json:"enable"`
	Attempts   int  `json:"attempts"`
	WithinMins int  `json:"within_mins"`
	ExpireDay  int  `json:"expire_day"` // 0: for ever
}

// GetAutoBlock and SetAutoBlock read and write the rule.
func GetAutoBlock() Request { return Request{API: APIAutoBlock, Version: 1, Method: "get"} }

// SetAutoBlock writes the rule.
func SetAutoBlock(a AutoBlock) Request {
	return Request{API: APIAutoBlock, Version: 1, Method: "set", Params: map[string]any{"enable": a.Enable, "attempts": a.Attempts, "within_mins": a.WithinMins, "expire_day": a.ExpireDay}}
}

// BlockList is the addresses of one list.
type BlockList struct {
	Offset int       `json:"offset"`
	Total  int       `json:"total"`
	IPs    []Blocked `json:"ip_info"`
}

// Blocked is one address on a list.
type Blocked struct {
	IP      string      `json:"ip"`
	Expires json.Number `json:"expire_time,omitempty"` // confidence C: as some devices give it
}

// ListBlocked asks for the blocked addresses; without the type DSM answers 5100.
func ListBlocked() Request {
	return Request{API: APIBlockRules, Version: 1, Method: "list", Params: map[string]any{"type": "deny", "offset": 0, "limit": 500}}
}

// Unblock takes addresses off the list of blocked ones.
func Unblock(ips ...string) Request {
	return Request{API: APIBlockRules, Version: 1, Method: "delete", Params: map[string]any{"type": "deny", "ip": ips}}
}

// Firewall is whether it is on, and by which profile.
type Firewall struct {
	Enable  bool   `json:"enable_firewall"`
	Profile string `json:"profile_name"`
}

// GetFirewall asks whether the firewall is on. Turning it on is guided: what
// DSM wants for that is not in any source.
func GetFirewall() Request { return Request{API: APIFirewall, Version: 1, Method: "get"} }

// Web is where DSM's pages are. Version 1: version 2 leaves out half of it.
type Web struct {
	HTTPPort  int  `json:"http_port"`
	HTTPSPort int  `json:"https_port"`
	HTTPS     bool `json:"enable_https"`
	Redirect  bool `json:"enable_https_redirect"`
	HSTS      bool `json:"enable_hsts"`
	Avahi     bool `json:"enable_avahi"`
	SSDP      bool `json:"enable_ssdp"`
}

// GetWeb asks where DSM's pages are.
func GetWeb() Request { return Request{API: APIWeb, Version: 1, Method: "get"} }

// SetRedirect turns the forced redirect to HTTPS on or off, and keeps the rest.
func SetRedirect(now Web, on bool) Request {
	return Request{API: APIWeb, Version: 1, Method: "set", Params: map[string]any{
		"http_port": now.HTTPPort, "https_port": now.HTTPSPort, "enable_https": now.HTTPS, "enable_https_redirect": on, "enable_hsts": now.HSTS && on,
		"enable_avahi": now.Avahi, "enable_ssdp": now.SSDP,
	}}
}

// ResetButton is the owner's choice by which Mode 1 keeps the password (D9).
type ResetButton struct {
	KeepPassword bool `json:"retain_admin_pwd"`
}

// GetResetButton asks for that choice.
func GetResetButton() Request { return Request{API: APIResetButton, Version: 1, Method: "get"} }

// SetResetButton writes it.
func SetResetButton(b ResetButton) Request {
	return Request{API: APIResetButton, Version: 1, Method: "set", Params: map[string]any{"retain_admin_pwd": b.KeepPassword}}
}

// Network is the settings that belong to no interface.
type Network struct {
	Name    string `json:"server_name"`
	Gateway string `json:"gateway"`
	DNS     string `json:"dns_primary"`
	DNS2    string `json:"dns_secondary,omitempty"`
}

// GetNetwork asks for them. Writing is guided (catalog synology.network.set).
func GetNetwork() Request { return Request{API: APINetwork, Version: 1, Method: "get"} }

// Ethernet is one interface.
type Ethernet struct {
	Name    string `json:"ifname"`
	IP      string `json:"ip"`
	Mask    string `json:"mask"`
	Gateway string `json:"gateway"`
	DNS     string `json:"dns"`
	DHCP    bool   `json:"use_dhcp"`
	MTU     int    `json:"mtu_config"`
	Status  string `json:"status"`
}

// ListEthernet asks for the interfaces: a bare array.
func ListEthernet() Request { return Request{API: APIEthernet, Version: 1, Method: "list"} }

// Info is what the device is. The serial in it comes over a signed-in session.
type Info struct {
	Model   string `json:"model"`
	Serial  string `json:"serial"`
	Version string `json:"version_string"` // "DSM 7.0-41222"
	Build   string `json:"version"`
	Time    string `json:"time"`
	Uptime  int    `json:"uptime"` // seconds
}

// GetInfo asks what the device is.
func GetInfo() Request { return Request{API: APIInfo, Version: 2, Method: "getinfo"} }

// Beep makes the device beep, or stop, so that a person can see which box it is.
func Beep(on bool) Request {
	method := "stop"
	if on {
		method = "start"
	}
	return Request{API: APIFindMe, Version: 2, Method: method}
}

// ForgetDevices makes every other device prove its second step again.
func ForgetDevices() Request { return Request{API: APITrust, Version: 1, Method: "delete_others"} }

// PasswordPolicy is, of all that, whether the forgot-password mail is on.
type PasswordPolicy struct {
	ResetByMail bool `json:"enable_reset_passwd_by_email"`
}

// GetPasswordPolicy asks for it.
func GetPasswordPolicy() Request { return Request{API: APIPolicy, Version: 1, Method: "get"} }
