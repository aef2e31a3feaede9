package crash

import (
	"context"
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/protocol/corewire"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
	"github.com/paperclip-nas/paperclip/internal/protocol/sealed"
)

// owner is the owner's side of one conversation.
type owner struct {
	device  *device
	binding deviceapi.OwnerBinding
	channel *sealed.Channel
}

// converse begins a conversation.
func (d *device) converse(ctx context.Context) (*owner, error) {
	time.Sleep(time.Second) // fake time: it must be younger than what it confirms
	id, leaf, err := d.certified(ctx)
	if err != nil {
		return nil, err
	}
	mine, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	share := mine.PublicKey().Bytes()
	r, err := d.front.OwnerSession(ctx, corewire.OwnerSessionRequest{Source: source, LeafSPKI: leaf, Body: deviceapi.OwnerSessionRequest{Share: share}})
	if err != nil {
		return nil, err
	}
	b := deviceapi.OwnerBinding{Identity: id, LeafSPKI: leaf, Session: r.Session, OwnerShare: share, DeviceShare: r.Share}
	if !ed25519.Verify(id, b.Statement(), r.Signature) {
		return nil, errors.New("the device does not sign its half")
	}
	key, belongs, err := b.Channel(mine, r.Share)
	if err != nil {
		return nil, err
	}
	channel, err := sealed.Assistant(key, belongs)
	return &owner{d, b, channel}, err
}

func (o *owner) call(ctx context.Context, method deviceapi.OwnerMethod, body, reply any) error {
	message, err := deviceapi.EncodeCall(deviceapi.Kind(method), body)
	if err != nil {
		return err
	}
	box, err := o.channel.Seal(message)
	if err != nil {
		return err
	}
	out, err := o.device.front.OwnerSealed(ctx, corewire.OwnerSealedRequest{Source: source, Body: deviceapi.SealedRequest{Session: o.binding.Session, Box: box}})
	if err != nil {
		return err
	}
	plain, err := o.channel.Open(out.Box)
	if err != nil {
		return err
	}
	return deviceapi.ParseReply(plain, reply)
}

// byPassword is a conversation that an administrator has proved by a password.
func (d *device) byPassword(ctx context.Context, account, password string) (*owner, error) {
	o, err := d.converse(ctx)
	if err != nil {
		return nil, err
	}
	return o, o.call(ctx, deviceapi.OwnerProve, deviceapi.OwnerProveCall{Account: account, Password: access.NewSecret(password)}, &deviceapi.OwnerProveReply{})
}

// byKey is one that was proved by a claimant's key.
func (d *device) byKey(ctx context.Context, key ed25519.PrivateKey) (*owner, error) {
	o, err := d.converse(ctx)
	if err != nil {
		return nil, err
	}
	return o, o.call(ctx, deviceapi.OwnerProve, deviceapi.OwnerProveCall{OwnerKey: publicHalf(key), Signature: ed25519.Sign(key, o.binding.Proof())}, &deviceapi.OwnerProveReply{})
}

func publicHalf(key ed25519.PrivateKey) ed25519.PublicKey { return key.Public().(ed25519.PublicKey) }

// until asks how a transaction gets on, until it is on trial or has ended.
func (o *owner) until(ctx context.Context, transaction string) (deviceapi.ProgressReply, error) {
	for {
		var p deviceapi.ProgressReply
		if err := o.call(ctx, deviceapi.OwnerProgress, deviceapi.ProgressCall{Transaction: transaction}, &p); err != nil || p.Done || p.State == "trial" {
			return p, err
		}
		time.Sleep(10 * time.Millisecond) // fake time: lets it go on
	}
}
