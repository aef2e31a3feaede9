package core_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/paperclip-nas/paperclip/internal/device/core"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/protocol/corewire"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
	"github.com/paperclip-nas/paperclip/internal/protocol/receipt"
)

// X1: a key that stands for one receipt or one request is let into no method but
// those that look at what they give. The list of methods is that of the protocol,
// so that a new one is tried here without anybody thinking of it.
func TestNarrowKeyIsLetIntoNothingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		key := newKey(t)
		d.resetAs(key, deviceapi.PlanCall{Mode: reset.Soft, Scope: reset.Network}, "")
		o := d.converse()
		_, err := o.byKey(key)
		must(t, err)
		source, err := os.ReadFile("../../protocol/deviceapi/owner.go")
		must(t, err)
		lookAtWhatTheyGive := []string{"prove", "receipt", "request", "resume", "withdraw", "progress"}
		tried := 0
		for _, m := range regexp.MustCompile(`OwnerMethod = "(\w+)"`).FindAllStringSubmatch(string(source), -1) {
			if slices.Contains(lookAtWhatTheyGive, m[1]) {
				continue
			}
			tried++
			if err := o.call(deviceapi.OwnerMethod(m[1]), deviceapi.Empty{}, &struct{}{}); problem(err) != "owner_narrow" {
				t.Errorf("%s: %v", m[1], err)
			}
		}
		if tried < 14 {
			t.Fatalf("only %d methods were tried", tried)
		}
		if _, err := d.converse().byKey(newKey(t)); problem(err) != "owner_unknown" {
			t.Errorf("a key that nobody enrolled: %v", err)
		}
	})
}

// A TLS key that core certified is worth a day: what was bound to one that leaked
// later is worth nothing.
func TestCertifiedKeysAreWorthADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		ctx := context.Background()
		leaf, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		must(t, err)
		spki, err := x509.MarshalPKIXPublicKey(leaf.Public())
		must(t, err)
		_, err = d.front.Certify(ctx, corewire.CertifyRequest{LeafPublicKey: spki})
		must(t, err)
		share := d.converse().binding.OwnerShare
		sessions := func() (claim, owner error) {
			d.press(4200 * time.Millisecond)
			_, claim = d.front.ClaimSession(ctx, corewire.ClaimSessionRequest{Source: d.source, LeafSPKI: spki})
			_, owner = d.front.OwnerSession(ctx, corewire.OwnerSessionRequest{Source: d.source, LeafSPKI: spki, Body: deviceapi.OwnerSessionRequest{Share: share}})
			return claim, owner
		}
		if claim, owner := sessions(); claim != nil || owner != nil {
			t.Fatalf("today: %v, %v", claim, owner)
		}
		time.Sleep(24*time.Hour + time.Minute)
		if claim, owner := sessions(); problem(claim) != "bad_message" || problem(owner) != "bad_message" {
			t.Errorf("tomorrow: %v, %v", claim, owner)
		}
	})
}

// X2: receipts are a chain. One that is taken out, or put in by somebody else,
// shows.
func TestReceiptsShowWhatIsMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		for _, password := range []string{newPassword, "another tractor 8 owls", "eleven quiet bridges"} {
			d.resetAs(newKey(t), ofAnna(), password)
		}
		valid := func() (out []bool) {
			var list core.ReceiptList
			must(t, d.console().Read(context.Background(), corewire.ReadReceipts, &list))
			for _, r := range list.Receipts {
				out = append(out, r.Valid)
			}
			return out
		}
		if got := valid(); !slices.Equal(got, []bool{true, true, true}) {
			t.Fatalf("as they were written: %v", got)
		}
		files, err := filepath.Glob(filepath.Join(d.dir, "state", "receipts", "*.json"))
		must(t, err)
		second, err := os.ReadFile(files[1])
		must(t, err)
		must(t, os.Remove(files[1]))
		if got := valid(); !slices.Equal(got, []bool{true, false}) {
			t.Errorf("with one taken out: %v", got)
		}
		_, s, err := receipt.Verify(second)
		must(t, err)
		forged, err := receipt.Sign(newKey(t), s)
		must(t, err)
		must(t, os.WriteFile(files[1], forged, 0o600))
		if got := valid(); !slices.Equal(got, []bool{true, false, false}) {
			t.Errorf("with one of somebody else's in its place: %v", got)
		}
	})
}
