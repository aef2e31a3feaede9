package core_test

import (
	"crypto/ed25519"
	"testing"
	"testing/synctest"
	"time"

	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/protocol/corewire"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
)

func (o *owner) speaks() error {
	return o.call(deviceapi.OwnerAccounts, deviceapi.Empty{}, &deviceapi.AccountsReply{})
}

// X15: whoever spoke to the NAS with the old password, or an old key, is not
// heard any more once the password is another one: with what they had begun they
// could set the next. Whoever changed it goes on; nobody else's conversation ends.
func TestConversationsOfBeforeEndWithThePassword(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		first := newKey(t)
		d.resetAs(first, ofAnna(), newPassword)
		byPassword, byKey := d.anna(newPassword), d.converse()
		if _, err := byKey.byKey(first); err != nil {
			t.Fatal(err)
		}
		must(t, byPassword.speaks())
		must(t, byKey.speaks())

		d.resetAs(newKey(t), deviceapi.PlanCall{Mode: reset.Soft, Scope: reset.Network, Administrator: "anna"}, "")
		if err := byPassword.speaks(); err != nil {
			t.Errorf("a reset of the network alone ended a conversation: %v", err)
		}
		second := newKey(t)
		d.resetAs(second, ofAnna(), "eleven quiet bridges")
		for name, o := range map[string]*owner{"by the old password": byPassword, "by the old key": byKey} {
			if err := o.speaks(); problem(err) != "no_such_session" {
				t.Errorf("%s somebody still speaks: %v", name, err)
			}
			if err := o.call(deviceapi.OwnerAccount, deviceapi.AccountCall{Account: "anna", Action: reset.SetPassword, NewPassword: access.NewSecret("a thief's own bridge")}, &deviceapi.AccountReply{}); err == nil {
				t.Errorf("%s the next password is set", name)
			}
		}
		time.Sleep(time.Minute)
		if !d.accepts("anna", "eleven quiet bridges") {
			t.Error("the claimant's password is not in force any more")
		}

		mine, other := d.anna("eleven quiet bridges"), d.anna("eleven quiet bridges")
		var changed deviceapi.AccountReply
		must(t, mine.call(deviceapi.OwnerAccount, deviceapi.AccountCall{Account: "anna", Action: reset.SetPassword, NewPassword: access.NewSecret("nine slow harbours")}, &changed))
		if p := mine.until(changed.Transaction, "done"); p.State != "committed" {
			t.Errorf("who changes their own password does not hear the end: %+v", p)
		}
		if err := other.speaks(); problem(err) != "no_such_session" {
			t.Errorf("another conversation of that account goes on: %v", err)
		}
	})
}

// C15: a conversation ends a quarter of an hour after it was begun: not before,
// not after, and whatever is said in it meanwhile makes it no longer. Whoever
// has not proved anything by then never does.
func TestConversationLastsAQuarterOfAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		key := newKey(t)
		d.resetAs(key, ofAnna(), newPassword)
		busy, quiet, mute := d.converse(), d.converse(), d.converse()
		for _, o := range []*owner{busy, quiet} {
			_, err := o.byKey(key)
			must(t, err)
		}
		for minute := range 15 {
			if err := busy.speaks(); err != nil {
				t.Fatalf("after %d minutes: %v", minute, err)
			}
			time.Sleep(time.Minute)
		}
		for name, o := range map[string]*owner{"one that spoke": busy, "one that was silent": quiet} {
			if err := o.speaks(); err != nil {
				t.Errorf("%s, in its last moment: %v", name, err)
			}
		}
		time.Sleep(time.Second)
		for name, o := range map[string]*owner{"one that spoke": busy, "one that was silent": quiet} {
			if err := o.speaks(); problem(err) != "no_such_session" {
				t.Errorf("%s, after its time: %v", name, err)
			}
		}
		if _, err := mute.byKey(key); problem(err) != "no_such_session" {
			t.Errorf("a proof that comes too late: %v", err)
		}
		if _, err := d.converse().byKey(key); err != nil {
			t.Errorf("the next conversation of that key: %v", err)
		}
	})
}

// C15: a conversation is worth what the key is that opened it: once root has
// taken that off the list it is not heard any more.
func TestConversationEndsWithItsKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		key := newKey(t)
		d.resetAs(key, ofAnna(), newPassword)
		o := d.converse()
		_, err := o.byKey(key)
		must(t, err)
		must(t, o.speaks())
		root := d.console()
		must(t, root.ForgetOwner(t.Context(), corewire.ForgetOwnerRequest{ID: d.owners(root)[0].ID}))
		if err := o.speaks(); problem(err) != "no_such_session" {
			t.Errorf("it goes on: %v", err)
		}
	})
}

// C15: what somebody has asked for in a conversation that ends meanwhile is not
// carried out: not a password that takes a moment to be set.
func TestCallOfAConversationThatEndsMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		late := false
		d := start(t, func(all []setting.Adapter) []setting.Adapter {
			all[0] = slow{all[0], &late}
			return all
		})
		key := newKey(t)
		d.resetAs(key, ofAnna(), newPassword)
		o := d.converse()
		_, err := o.byKey(key)
		must(t, err)
		root := d.console()
		id := d.owners(root)[0].ID
		late = true
		var asked error
		go func() {
			asked = o.call(deviceapi.OwnerAccount, deviceapi.AccountCall{Account: "anna", Action: reset.SetPassword, NewPassword: access.NewSecret("a thief's own bridge")}, &deviceapi.AccountReply{})
		}()
		synctest.Wait()
		must(t, root.ForgetOwner(t.Context(), corewire.ForgetOwnerRequest{ID: id}))
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if problem(asked) != "no_such_session" || !d.accepts("anna", newPassword) {
			t.Errorf("it is carried out, or not refused: %v", asked)
		}
	})
}

// A key that several administrators' passwords were reset with speaks for the one
// that it names, and for nobody whom it was not enrolled for.
func TestKeySpeaksForWhomItNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, nil)
		key := newKey(t)
		d.resetAs(key, ofAnna(), newPassword)
		d.resetAs(key, deviceapi.PlanCall{Mode: reset.Soft, Scope: reset.Credentials, Administrator: "root"}, "eleven quiet bridges")
		for account, want := range map[string]string{"anna": "anna", "root": "root", "": "root", "ben": ""} {
			o := d.converse()
			var as deviceapi.OwnerProveReply
			err := o.call(deviceapi.OwnerProve, deviceapi.OwnerProveCall{Account: account, OwnerKey: key.Public().(ed25519.PublicKey), Signature: ed25519.Sign(key, o.binding.Proof())}, &as)
			if as.Account != want || (err == nil) != (want != "") {
				t.Errorf("as %q it is taken for %q: %v", account, as.Account, err)
			}
		}
	})
}
