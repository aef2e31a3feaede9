package native

import (
	"context"
	"crypto/ecdh"
	"crypto/ed25519"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
	"github.com/paperclip-nas/paperclip/internal/protocol/sealed"
)

// Proof is how an owner shows to be one: the key of this computer, or, where
// Key is nil, an administrator's name and password.
type Proof struct {
	Key      ed25519.PrivateKey
	Account  string // with a key: for which account, where it was enrolled for several
	Password access.Secret
}

// Owner is an owner's conversation with the core of one NAS, sealed so that
// nothing between the two reads it. It is safe for concurrent use, one call at
// a time.
type Owner struct {
	device *Device
	proof  Proof

	mu   sync.Mutex
	line *line
	as   deviceapi.OwnerProveReply
}

// Owner begins a conversation and proves who speaks. Nothing is sent to a NAS
// whose key was not proved: the problem is identity_unknown.
func (d *Device) Owner(ctx context.Context, p Proof) (*Owner, error) {
	o := &Owner{device: d, proof: p}
	return o, o.Again(ctx)
}

// Again begins the conversation anew with the same proof: core forgets what it
// spoke of when it starts again, as it does after a volume was mounted. It is
// not for after a change of the password that was the proof: the old one would
// count as a wrong try.
func (o *Owner) Again(ctx context.Context) error {
	if pin := o.device.Pin(); pin.Key == nil || !pin.Proved {
		return catalog.New("identity_unknown")
	}
	binding, l, err := o.device.openOwner(ctx)
	if err != nil {
		return err
	}
	p := o.proof
	call := deviceapi.OwnerProveCall{Account: p.Account, Password: p.Password}
	if p.Key != nil {
		call = deviceapi.OwnerProveCall{Account: p.Account, OwnerKey: p.Key.Public().(ed25519.PublicKey), Signature: ed25519.Sign(p.Key, binding.Proof())}
	}
	var as deviceapi.OwnerProveReply
	if err := l.call(ctx, o.device, deviceapi.Kind(deviceapi.OwnerProve), call, &as); err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.line, o.as = l, as
	return nil
}

// openOwner agrees on the conversation's key with whoever holds the identity
// key: its signature covers both halves and the TLS key of this connection.
func (d *Device) openOwner(ctx context.Context) (deviceapi.OwnerBinding, *line, error) {
	none := deviceapi.OwnerBinding{}
	mine, err := ecdh.X25519().GenerateKey(d.o.Rand)
	if err != nil {
		return none, nil, err
	}
	share := mine.PublicKey().Bytes()
	var reply deviceapi.OwnerSessionReply
	s, err := d.call(ctx, http.MethodPost, deviceapi.PathOwnerSession, deviceapi.OwnerSessionRequest{Share: share}, &reply)
	if err != nil {
		return none, nil, err
	}
	pub, leaf, _, err := d.chain(*s)
	if err != nil {
		return none, nil, catalog.New("not_a_device", d.host()).Because(err)
	}
	b := deviceapi.OwnerBinding{Identity: pub, LeafSPKI: leaf, Session: reply.Session, OwnerShare: share, DeviceShare: reply.Share}
	if !ed25519.Verify(pub, b.Statement(), reply.Signature) {
		return none, nil, catalog.New("bad_message", "the NAS's half of the conversation")
	}
	key, belongs, err := b.Channel(mine, reply.Share)
	if err != nil {
		return none, nil, catalog.New("bad_message", "the NAS's half of the conversation").Because(err)
	}
	channel, err := sealed.Assistant(key, belongs)
	return b, &line{path: deviceapi.PathOwnerSealed, session: reply.Session, channel: channel}, err
}

// As is as whom the NAS takes the owner.
func (o *Owner) As() deviceapi.OwnerProveReply {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.as
}

// Call makes one call. After the problem unreachable it may be made again with
// the same body: it is carried out once.
func (o *Owner) Call(ctx context.Context, method deviceapi.OwnerMethod, body, out any) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.line.call(ctx, o.device, deviceapi.Kind(method), body, out)
}

// Put carries to the NAS what is too long for one call.
func (o *Owner) Put(ctx context.Context, data []byte) error {
	if len(data) == 0 || len(data) > deviceapi.MaxBlob {
		return catalog.New("file_unusable", "it is empty or too large")
	}
	for at := 0; at < len(data); at += deviceapi.MaxChunk {
		piece := data[at:min(len(data), at+deviceapi.MaxChunk)]
		if err := o.patient(ctx, deviceapi.OwnerPut, deviceapi.OwnerPutCall{Offset: at, Data: piece}, &deviceapi.Empty{}); err != nil {
			return err
		}
	}
	return nil
}

// patient is Call for many pieces in a row: where the NAS says that they come
// too fast, it waits and sends the same piece again.
func (o *Owner) patient(ctx context.Context, method deviceapi.OwnerMethod, body, out any) error {
	for {
		err := o.Call(ctx, method, body, out)
		if !errors.Is(err, catalog.New("too_fast")) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-o.device.o.Clock.After(time.Second):
		}
	}
}

// Get fetches what the last method left.
func (o *Owner) Get(ctx context.Context) ([]byte, error) {
	var out []byte
	for {
		var r deviceapi.OwnerGetReply
		if err := o.patient(ctx, deviceapi.OwnerGet, deviceapi.OwnerGetCall{Offset: len(out)}, &r); err != nil {
			return nil, err
		}
		out = append(out, r.Data...)
		switch {
		case r.Size > deviceapi.MaxBlob || len(out) > r.Size || (len(r.Data) == 0 && len(out) < r.Size):
			return nil, catalog.New("bad_message", "the NAS sends another amount than it said")
		case len(out) == r.Size:
			return out, nil
		}
	}
}

// Receipt fetches the receipt of a transaction with this computer's owner key;
// without a name, of the one with which the key was enrolled.
func (d *Device) Receipt(ctx context.Context, key ed25519.PrivateKey, transaction string) ([]byte, error) {
	o, err := d.Owner(ctx, Proof{Key: key})
	if err != nil {
		return nil, err
	}
	var r deviceapi.ReceiptReply
	err = o.Call(ctx, deviceapi.OwnerReceipt, deviceapi.ReceiptCall{Transaction: transaction}, &r)
	return r.Receipt, err
}

// Request says where a request that waits stands, for the key that left it.
func (d *Device) Request(ctx context.Context, key ed25519.PrivateKey, id string) (r deviceapi.RequestReply, err error) {
	o, err := d.Owner(ctx, Proof{Key: key})
	if err != nil {
		return r, err
	}
	err = o.Call(ctx, deviceapi.OwnerRequest, deviceapi.RequestCall{Request: id}, &r)
	return r, err
}

// Resume carries out a request whose wait is over. After the problem unreachable
// Request says whether it was.
func (d *Device) Resume(ctx context.Context, key ed25519.PrivateKey, q deviceapi.ResumeCall) (r deviceapi.ResumeReply, err error) {
	o, err := d.Owner(ctx, Proof{Key: key})
	if err != nil {
		return r, err
	}
	err = o.Call(ctx, deviceapi.OwnerResume, q, &r)
	return r, err
}
