package webassistant_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/protocol/webassistant"
)

const lost = `{"success":true,"data":{"has_disk":true,"dsinfo":{"model":"DS920+","serial":"2040SBRXYZ123","mac_addr":"00:11:32:AA:BB:CC",
 "ip_addr":"192.0.2.57","hostname":"DiskStation","build_ver":"7.2-64570","disk_count":4,"is_installing":false,"https_admin_port":"5001",
 "internet_ok":"false","list":[1,{}],"none":null,"status":"sys_crash"}}}`

func TestState(t *testing.T) {
	s, err := webassistant.Parse([]byte(lost))
	got := fmt.Sprintf("%v %s %s %s %s %s %s %s %d %d %v %v", s.HasDisk, s.Model, s.Serial, s.MAC, s.Address, s.Name, s.Version, s.Build, s.HTTPSPort, s.Disks, s.InternetOK, s.Status())
	if err != nil || got != "true DS920+ 2040SBRXYZ123 00:11:32:aa:bb:cc 192.0.2.57 DiskStation 7.2 64570 5001 4 false Configuration lost" {
		t.Errorf("%s, %v", got, err)
	}
	for word, want := range map[string]nas.Status{"not_install": nas.NotInstalled, "sys_migrat": nas.Migratable, "new_word": nas.Unknown} {
		if got := (webassistant.State{Reported: word}).Status(); got != want {
			t.Errorf("%s: %v", word, got)
		}
	}
	if (webassistant.State{Reported: "not_install", Installing: true}).Status() != nas.Installing {
		t.Error("an installation that runs is not seen")
	}
}

// A live device's answer, beside the checkout where it is.
func TestCapture(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("../../../../shared/samples/synology/webassistant", "get_state_notInstallState.json"))
	if err != nil {
		t.Skip("no captures beside the checkout")
	}
	s, err := webassistant.Parse(b)
	if err != nil || s.Model != "DS918+" || s.Serial != "TESTSERIAL0001" || s.Build != "86009" || s.Status() != nas.NotInstalled || s.MAC != "00:00:5e:00:53:01" {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestOthers(t *testing.T) {
	for text, want := range map[string]error{
		"":                       webassistant.ErrRunning,
		" <!DOCTYPE html><html>": webassistant.ErrRunning,
		"{":                      webassistant.ErrMalformed,
		`{"success":false}`:      webassistant.ErrMalformed,
		`[]`:                     webassistant.ErrMalformed,
		`{"success":true,"data":{"dsinfo":{"model":"` + strings.Repeat("x", 65<<10) + `"}}}`: webassistant.ErrMalformed,
	} {
		if _, err := webassistant.Parse([]byte(text)); !errors.Is(err, want) {
			t.Errorf("%.30q: %v", text, err)
		}
	}
}

// Whatever arrives: no panic, and nothing that moves a cursor.
func FuzzParse(f *testing.F) {
	f.Add([]byte(lost))
	f.Add([]byte(`{"success":true,"data":{"dsinfo":{"model":"\u001b[2J"}}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := webassistant.Parse(b)
		if err != nil {
			return
		}
		if strings.ContainsAny(s.Model+s.Serial+s.Name+s.Version+s.Build+s.Reported, "\x1b\r\n\x07") {
			t.Fatalf("%+v", s)
		}
		_ = s.Status()
	})
}
