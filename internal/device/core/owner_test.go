package core_test

import (
	"context"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/paperclip-nas/paperclip/internal/device/core"
	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/protocol/corewire"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
	"github.com/paperclip-nas/paperclip/internal/protocol/identity"
	"github.com/paperclip-nas/paperclip/internal/protocol/receipt"
	"github.com/paperclip-nas/paperclip/internal/protocol/sealed"
)

// owner is the owner's side of one conversation.
type owner struct {
	d       *device
	binding deviceapi.OwnerBinding
	channel *sealed.Channel
	source  netip.Addr
	lastBox []byte
}

// converse begins a conversation, as a program on the owner's computer does.
func (d *device) converse() *owner {
	d.t.Helper()
	ctx := context.Background()
	leafKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(d.t, err)
	spki, err := x509.MarshalPKIXPublicKey(leafKey.Public())
	must(d.t, err)
	certs, err := d.front.Certify(ctx, corewire.CertifyRequest{LeafPublicKey: spki})
	must(d.t, err)
	id, leaf, err := identity.VerifyChain(certs.Chain, time.Now())
	must(d.t, err)
	mine, err := ecdh.X25519().GenerateKey(rand.Reader)
	must(d.t, err)
	share := mine.PublicKey().Bytes()
	r, err := d.front.OwnerSession(ctx, corewire.OwnerSessionRequest{Source: d.source, LeafSPKI: leaf, Body: deviceapi.OwnerSessionRequest{Share: share}})
	must(d.t, err)
	b := deviceapi.OwnerBinding{Identity: id, LeafSPKI: leaf, Session: r.Session, OwnerShare: share, DeviceShare: r.Share}
	if !ed25519.Verify(id, b.Statement(), r.Signature) {
		d.t.Fatal("the device does not sign its half")
	}
	key, belongs, err := b.Channel(mine, r.Share)
	must(d.t, err)
	channel, err := sealed.Assistant(key, belongs)
	must(d.t, err)
	return &owner{d: d, binding: b, channel: channel, source: d.source}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (o *owner) call(method deviceapi.OwnerMethod, body, reply any) error {
	o.d.t.Helper()
	message, err := deviceapi.EncodeCall(deviceapi.Kind(method), body)
	must(o.d.t, err)
	o.lastBox, err = o.channel.Seal(message)
	must(o.d.t, err)
	out, err := o.send(o.lastBox)
	if err != nil {
		return err
	}
	plain, err := o.channel.Open(out.Box)
	must(o.d.t, err)
	return deviceapi.ParseReply(plain, reply)
}

func (o *owner) send(box []byte) (deviceapi.SealedReply, error) {
	return o.d.front.OwnerSealed(context.Background(), corewire.OwnerSealedRequest{Source: o.source, Body: deviceapi.SealedRequest{Session: o.binding.Session, Box: box}})
}

func (o *owner) byKey(key ed25519.PrivateKey) (r deviceapi.OwnerProveReply, err error) {
	o.d.t.Helper()
	err = o.call(deviceapi.OwnerProve, deviceapi.OwnerProveCall{OwnerKey: key.Public().(ed25519.PublicKey), Signature: ed25519.Sign(key, o.binding.Proof())}, &r)
	return r, err
}

func (o *owner) byPassword(account, password string) (r deviceapi.OwnerProveReply, err error) {
	o.d.t.Helper()
	err = o.call(deviceapi.OwnerProve, deviceapi.OwnerProveCall{Account: account, Password: access.NewSecret(password)}, &r)
	return r, err
}

func newKey(t *testing.T) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	return key
}

// resetAs is a whole reset whose claimant has a key.
func (d *device) resetAs(key ed25519.PrivateKey, q deviceapi.PlanCall, password string) deviceapi.ProgressReply {
	d.t.Helper()
	a := d.present()
	a.key, a.label = key.Public().(ed25519.PublicKey), "laptop"
	p, err := a.reset(q, password)
	if err != nil || p.State != "committed" {
		d.t.Fatalf("%v %+v", err, p)
	}
	must(d.t, a.call(deviceapi.KindClose, deviceapi.Empty{}, &deviceapi.Empty{}))
	time.Sleep(time.Minute)
	synctest.Wait()
	return p
}

func ofAnna() deviceapi.PlanCall {
	return deviceapi.PlanCall{Mode: reset.Soft, Scope: reset.Credentials, Administrator: "anna"}
}

// R6, "Who is who": the key that a commit carries opens an owner's
// conversation afterwards, also after a restart, until root removes it.
func TestEnrolledKeyOpensAConversation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		key := newKey(t)
		p := d.resetAs(key, ofAnna(), newPassword)
		_, s, err := receipt.Verify(p.Receipt)
		must(t, err)
		for range 2 {
			o := d.converse()
			if err := o.call(deviceapi.OwnerReceipt, deviceapi.ReceiptCall{}, &struct{}{}); problem(err) != "owner_unknown" {
				t.Fatalf("before the proof: %v", err)
			}
			as, err := o.byKey(key)
			if err != nil || as.Account != "anna" || as.By != deviceapi.ByOwnerKey {
				t.Fatalf("%v %+v", err, as)
			}
			for _, named := range []string{s.Transaction, ""} {
				var r deviceapi.ReceiptReply
				if err := o.call(deviceapi.OwnerReceipt, deviceapi.ReceiptCall{Transaction: named}, &r); err != nil || string(r.Receipt) != string(p.Receipt) {
					t.Errorf("the receipt of %q: %v", named, err)
				}
			}
			if err := o.call(deviceapi.OwnerReceipt, deviceapi.ReceiptCall{Transaction: "../identity"}, &struct{}{}); problem(err) != "no_receipt" {
				t.Errorf("another receipt: %v", err)
			}
			d.stop()
			d.boot(nil)
		}
		root := d.console()
		list := d.owners(root)
		if len(list) != 1 || list[0].Label != "laptop" || list[0].Account != "anna" {
			t.Fatalf("the list: %+v", list)
		}
		must(t, root.ForgetOwner(context.Background(), corewire.ForgetOwnerRequest{ID: list[0].ID}))
		if _, err := d.converse().byKey(key); problem(err) != "owner_unknown" {
			t.Errorf("a removed key: %v", err)
		}
		d.stop()
		d.boot(nil) // the receipt is there: nothing is enrolled again
		if _, err := d.converse().byKey(key); problem(err) != "owner_unknown" {
			t.Errorf("a removed key, after a restart: %v", err)
		}
	})
}

// X15: a reset of an administrator's password ends what keys of before opened.
// Another administrator's stay. A key is worth its account's rights, and no more.
func TestKeysOfBeforeEndWithThePassword(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		first, second, roots := newKey(t), newKey(t), newKey(t)
		d.resetAs(first, ofAnna(), newPassword)
		d.resetAs(roots, deviceapi.PlanCall{Mode: reset.Soft, Scope: reset.Credentials, Administrator: "root"}, newPassword)
		d.resetAs(second, ofAnna(), "another tractor 8 owls")
		if _, err := d.converse().byKey(first); problem(err) != "owner_unknown" {
			t.Errorf("the key of before: %v", err)
		}
		for _, key := range []ed25519.PrivateKey{second, roots} {
			if _, err := d.converse().byKey(key); err != nil {
				t.Errorf("a key that should stay: %v", err)
			}
		}
	})
}

// D9: a reset that replaces no password enrols a key for its receipt alone;
// else a paper clip would open what the owner kept shut.
func TestKeyOfANetworkResetIsNarrow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		key := newKey(t)
		mine := d.resetAs(key, deviceapi.PlanCall{Mode: reset.Soft, Scope: reset.Network}, "")
		other := d.resetAs(newKey(t), ofAnna(), newPassword)
		o := d.converse()
		if as, err := o.byKey(key); err != nil || as.Account != "" {
			t.Fatalf("%v %+v", err, as)
		}
		var r deviceapi.ReceiptReply
		if err := o.call(deviceapi.OwnerReceipt, deviceapi.ReceiptCall{}, &r); err != nil || string(r.Receipt) != string(mine.Receipt) {
			t.Errorf("its own receipt: %v", err)
		}
		_, s, err := receipt.Verify(other.Receipt)
		must(t, err)
		if err := o.call(deviceapi.OwnerReceipt, deviceapi.ReceiptCall{Transaction: s.Transaction}, &r); problem(err) != "owner_narrow" {
			t.Errorf("another's receipt: %v", err)
		}
		if err := o.call(deviceapi.OwnerPut, deviceapi.OwnerPutCall{Data: []byte("x")}, &struct{}{}); problem(err) != "owner_narrow" {
			t.Errorf("putting: %v", err)
		}
	})
}

// The password of an administrator opens one too, counted and slowed down as
// every sign-in; of anybody else it does not.
func TestPasswordOpensAConversation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		if as, err := d.converse().byPassword("anna", oldPassword); err != nil || as.Account != "anna" || as.By != deviceapi.ByPassword {
			t.Fatalf("%v %+v", err, as)
		}
		if _, err := d.converse().byPassword("ben", oldPassword); problem(err) != "not_administrator" {
			t.Errorf("ben: %v", err)
		}
		later := false
		for range 6 {
			_, err := d.converse().byPassword("anna", "a guess")
			later = later || problem(err) == "sign_in_later"
			if id := problem(err); id != "sign_in_failed" && id != "sign_in_later" {
				t.Errorf("a guess: %v", err)
			}
		}
		if !later {
			t.Error("guesses are not slowed down")
		}
		raw, err := os.ReadFile(filepath.Join(d.dir, "state", "attempts.json"))
		must(t, err)
		if n := signIns(t, raw); n < 5 {
			t.Errorf("%d sign-ins are counted", n)
		}
	})
}

// X14: what was heard of one conversation is of no use in another, or twice.
func TestOwnerReplay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		key := newKey(t)
		d.resetAs(key, ofAnna(), newPassword)
		heard := d.converse()
		_, err := heard.byKey(key)
		must(t, err)
		proof := heard.binding.Proof()
		again := d.converse()
		if err := again.call(deviceapi.OwnerProve, deviceapi.OwnerProveCall{OwnerKey: key.Public().(ed25519.PublicKey), Signature: ed25519.Sign(key, proof)}, &struct{}{}); problem(err) != "owner_unknown" {
			t.Errorf("a signature of another conversation: %v", err)
		}
		other := d.converse()
		if _, err := other.send(heard.lastBox); problem(err) != "bad_message" {
			t.Errorf("a box of another conversation: %v", err)
		}
		first, err := heard.send(heard.lastBox)
		must(t, err)
		second, err := heard.send(heard.lastBox)
		must(t, err)
		if string(first.Box) != string(second.Box) {
			t.Error("a repeated box was carried out again")
		}
		if _, err := heard.byKey(key); problem(err) != "already_proved" {
			t.Errorf("a second proof: %v", err)
		}
		time.Sleep(16 * time.Minute)
		if _, err := heard.send([]byte("anything of a certain length")); problem(err) != "no_such_session" {
			t.Errorf("after its time: %v", err)
		}
		if _, err := heard.send(heard.lastBox); problem(err) != "no_such_session" {
			t.Errorf("a box of before, after its time: %v", err)
		}
	})
}

// Whoever has no key core certified, no share, or another message gets nothing.
func TestOwnerSessionWithALyingFront(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		ctx := context.Background()
		o := d.converse()
		if _, err := d.front.OwnerSession(ctx, corewire.OwnerSessionRequest{Source: d.source, LeafSPKI: []byte("another"), Body: deviceapi.OwnerSessionRequest{Share: o.binding.OwnerShare}}); problem(err) != "bad_message" {
			t.Errorf("a key that core did not certify: %v", err)
		}
		for _, share := range [][]byte{nil, make([]byte, 31), make([]byte, 32)} { // the last one is of low order
			if _, err := d.front.OwnerSession(ctx, corewire.OwnerSessionRequest{Source: d.source, LeafSPKI: o.binding.LeafSPKI, Body: deviceapi.OwnerSessionRequest{Share: share}}); problem(err) != "bad_message" {
				t.Errorf("a share of %d bytes: %v", len(share), err)
			}
		}
		for range 100 { // nobody who begins many ends the one that was proved
			time.Sleep(time.Millisecond) // fake time: of two that began at once either may go first
			d.converse()
		}
		if _, err := o.byPassword("anna", oldPassword); problem(err) != "no_such_session" {
			t.Errorf("one that was pushed out: %v", err)
		}
		o = d.converse()
		_, err := o.byPassword("anna", oldPassword)
		must(t, err)
		for range 100 {
			d.converse()
		}
		if err := o.call(deviceapi.OwnerPut, deviceapi.OwnerPutCall{Data: []byte("x")}, &struct{}{}); err != nil {
			t.Errorf("a flood ended a conversation that was proved: %v", err)
		}
	})
}

// owners lists the enrolled keys, as root sees them.
func (d *device) owners(root *corewire.Client) []core.Owner {
	d.t.Helper()
	var list core.OwnerList
	must(d.t, root.Read(context.Background(), corewire.ReadOwners, &list))
	return list.Owners
}

func signIns(t *testing.T, raw []byte) int {
	t.Helper()
	var n struct {
		SignIns int `json:"sign_ins"`
	}
	must(t, json.Unmarshal(raw, &n))
	return n.SignIns
}
