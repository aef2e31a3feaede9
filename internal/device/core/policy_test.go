package core_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/paperclip-nas/paperclip/internal/device/core"
	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/protocol/corewire"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
)

func (d *device) reboot(p access.ButtonPolicy) {
	d.stop()
	d.policy = p
	d.boot(nil)
}

// console is root's connection.
func (d *device) console() *corewire.Client {
	d.t.Helper()
	mine, theirs := net.Pipe()
	go func() { _ = d.core.ServeConsole(context.Background(), mine) }()
	root, err := corewire.Dial(context.Background(), theirs)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(root.Close)
	return root
}

// D9: with "network-only" a press sets back the network and never a password,
// and the claimant is told so beforehand.
func TestNetworkOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		d.reboot(access.ButtonNetworkOnly)
		a := d.present()
		var options deviceapi.OptionsReply
		if err := a.call(deviceapi.KindOptions, deviceapi.Empty{}, &options); err != nil {
			t.Fatal(err)
		}
		if len(options.Scopes) != 1 || options.Scopes[0] != reset.Network || options.Demands[reset.Credentials] != access.Never {
			t.Errorf("offered: %v %v", options.Scopes, options.Demands)
		}
		before := d.everything()
		for _, scope := range []reset.Scope{reset.Credentials, reset.All} {
			if _, err := a.reset(deviceapi.PlanCall{Mode: reset.Soft, Scope: scope, Administrator: "anna"}, newPassword); problem(err) != "policy_network_only" {
				t.Errorf("%s: %v", scope, err)
			}
		}
		same(t, "a refused reset", before, d.everything())
		p, err := a.reset(deviceapi.PlanCall{Mode: reset.Soft, Scope: reset.Network, Administrator: "anna"}, "")
		if err != nil || p.State != "committed" || d.store.Running().Settings.Interfaces[0].Method != nas.DHCP || !d.accepts("anna", oldPassword) {
			t.Errorf("the network: %v %+v", err, p)
		}
	})
}

// D11: with "second proof" presence is not enough for a password; a recovery
// code beside it is, once.
func TestSecondProof(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		d.reboot(access.ButtonSecondProof)
		root := d.console()
		if _, err := root.GiveCodes(context.Background(), corewire.CodesRequest{Administrator: "ben"}); problem(err) != "unknown_administrator" {
			t.Errorf("codes for somebody who is no administrator: %v", err)
		}
		old, err := root.GiveCodes(context.Background(), corewire.CodesRequest{Administrator: "anna"})
		if err != nil {
			t.Fatal(err)
		}
		given, err := root.GiveCodes(context.Background(), corewire.CodesRequest{Administrator: "anna"})
		if err != nil || len(given.Codes) != 10 {
			t.Fatalf("%v %d", err, len(given.Codes))
		}
		roots, err := root.GiveCodes(context.Background(), corewire.CodesRequest{Administrator: "root"})
		if err != nil {
			t.Fatal(err)
		}
		var status core.Status
		if err := root.Read(context.Background(), corewire.ReadStatus, &status); err != nil || status.RecoveryCodes["anna"] != 10 {
			t.Errorf("status: %v %v", err, status.RecoveryCodes)
		}
		kept, err := os.ReadFile(filepath.Join(d.dir, "state", "codes.json"))
		if err != nil || strings.Contains(string(kept), strings.ReplaceAll(given.Codes[0], "-", "")) || strings.Contains(d.log.String(), given.Codes[0]) {
			t.Errorf("a code is kept as it is: %v", err)
		}
		if _, err := d.front.GiveCodes(context.Background(), corewire.CodesRequest{Administrator: "anna"}); err == nil {
			t.Error("a front is given codes")
		}
		d.reboot(access.ButtonSecondProof) // a front that asked for codes has lost its connection

		a := d.present()
		credentials := deviceapi.PlanCall{Mode: reset.Soft, Scope: reset.Credentials, Administrator: "anna"}
		before := d.everything()
		for code, want := range map[string]string{
			"": "second_proof_needed", "not a code": "second_proof_wrong", "7k2m-9qxw-b4tna": "second_proof_wrong", old.Codes[0]: "second_proof_wrong", roots.Codes[0]: "second_proof_wrong",
		} {
			if _, err := a.resetWith(credentials, newPassword, code); string(problem(err)) != want {
				t.Errorf("with %q: %v", code, err)
			}
		}
		same(t, "a refused reset", before, d.everything())
		p, err := a.resetWith(credentials, newPassword, strings.ToUpper(given.Codes[3]))
		if err != nil || p.State != "committed" || !d.accepts("anna", newPassword) {
			t.Fatalf("with a code: %v %+v", err, p)
		}
		if err := a.call(deviceapi.KindClose, deviceapi.Empty{}, &deviceapi.Empty{}); err != nil {
			t.Fatal(err)
		}
		d.reboot(access.ButtonSecondProof) // and a restart does not bring it back
		b := d.present()
		if _, err := b.resetWith(credentials, oldPassword, given.Codes[3]); problem(err) != "second_proof_wrong" {
			t.Errorf("the same code again: %v", err)
		}
		if _, err := b.resetWith(deviceapi.PlanCall{Mode: reset.Soft, Scope: reset.Network, Administrator: "anna"}, "", ""); err != nil {
			t.Errorf("the network needs a code: %v", err)
		}
	})
}
