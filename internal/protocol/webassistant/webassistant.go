// Package webassistant reads what a Synology device without an operating system
// says of itself on its set-up page: get_state.cgi (vendors/synology.md §3.3).
//
// It reads one answer and builds none of the requests that the page makes: what
// installs, repairs or restarts a device has no name here.
package webassistant

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/x/printable"
)

// Where the answer is, over plain HTTP.
const (
	Port = 5000
	Path = "/webman/get_state.cgi"
)

// MaxSize bounds an answer in bytes.
const MaxSize = 64 << 10

// Errors of Parse; test with errors.Is.
var (
	// ErrRunning is an answer that is a page and no JSON: the operating system
	// has the port, or something else does.
	ErrRunning   = errors.New("webassistant: the answer is a page: no installer is there")
	ErrMalformed = errors.New("webassistant: malformed state")
)

// State is what the installer says. Text is safe to print; numbers and switches
// come as the device writes them, in quotes or without.
type State struct {
	HasDisk    bool
	Model      string
	Serial     string
	MAC        string // lower case with colons; empty where it is none
	Address    netip.Addr
	Name       string
	Version    string // "7.3.2"
	Build      string // "86009"
	HTTPSPort  uint16
	Disks      int
	Installing bool
	InternetOK bool
	Reported   string // "not_install", "sys_crash", "sys_migrat", …
}

// Parse reads an answer.
func Parse(b []byte) (State, error) {
	if len(b) > MaxSize {
		return State{}, fmt.Errorf("%w: more than %d bytes", ErrMalformed, MaxSize)
	}
	if t := bytes.TrimSpace(b); len(t) == 0 || t[0] == '<' {
		return State{}, ErrRunning
	}
	var raw struct {
		Success bool `json:"success"`
		Data    struct {
			HasDisk value            `json:"has_disk"`
			Info    map[string]value `json:"dsinfo"`
		} `json:"data"`
	}
	if err := json.Unmarshal(b, &raw); err != nil {
		return State{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if !raw.Success || raw.Data.Info == nil {
		return State{}, fmt.Errorf("%w: no dsinfo in it", ErrMalformed)
	}
	i := raw.Data.Info
	s := State{
		HasDisk: raw.Data.HasDisk == "true", Model: i["model"].text(), Serial: i["serial"].text(), Name: i["hostname"].text(),
		Installing: i["is_installing"] == "true", InternetOK: i["internet_ok"] == "true", Reported: i["status"].text(),
	}
	s.MAC, _ = nas.NormalMAC(string(i["mac_addr"]))
	s.Address, _ = netip.ParseAddr(string(i["ip_addr"]))
	s.Version, s.Build, _ = strings.Cut(i["build_ver"].text(), "-")
	if n, err := strconv.ParseUint(string(i["https_admin_port"]), 10, 16); err == nil {
		s.HTTPSPort = uint16(n)
	}
	if n, err := strconv.ParseUint(string(i["disk_count"]), 10, 16); err == nil {
		s.Disks = int(n)
	}
	return s, nil
}

// Status is what the state means (vendors/synology.md §3.1); Unknown where the
// device gives a word that no source names.
func (s State) Status() nas.Status {
	if s.Installing {
		return nas.Installing
	}
	switch s.Reported {
	case "not_install":
		return nas.NotInstalled
	case "sys_crash":
		return nas.ConfigurationLost
	case "sys_migrat":
		return nas.Migratable
	}
	return nas.Unknown
}

// value is a JSON scalar as text: true and "true" are one.
type value string

func (v value) text() string { return printable.Clean(string(v)) }

// UnmarshalJSON implements json.Unmarshaler. Lists and objects, of which nothing
// is read here, become empty.
func (v *value) UnmarshalJSON(b []byte) error {
	switch {
	case len(b) > 0 && b[0] == '"':
		var s string
		if err := json.Unmarshal(b, &s); err != nil {
			return err
		}
		*v = value(s)
	case len(b) > 0 && b[0] != '{' && b[0] != '[' && string(b) != "null":
		*v = value(b)
	}
	return nil
}
