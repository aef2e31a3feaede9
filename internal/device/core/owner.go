package core

import (
	"context"
	"crypto/ecdh"
	"crypto/ed25519"
	"errors"
	"net/netip"
	"slices"
	"time"

	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/protocol/corewire"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
	"github.com/paperclip-nas/paperclip/internal/protocol/sealed"
)

// An owner's conversation is how somebody who needs no claim speaks to core:
// by an enrolled key, or by an administrator's password. It is sealed between
// the owner's computer and core; front relays and reads nothing of it.

// caller is who speaks in an owner's conversation, once that was proved.
type caller struct {
	account     string            // the administrator; empty where the key is for one receipt alone
	by          string            // deviceapi.ByOwnerKey or ByPassword
	transaction string            // with which the key was enrolled
	key         ed25519.PublicKey // nil where it was a password
}

// conversation is one of them, as core holds it.
type conversation struct {
	id      string
	binding deviceapi.OwnerBinding
	channel *sealed.Responder
	source  netip.Addr
	begun   time.Duration
	calls   turn // one sealed call at a time

	// Below: only the call under way.
	caller *caller // nil until it was proved
	in     []byte  // what OwnerPut brought
	out    []byte  // what OwnerGet fetches

	transaction string // that it has begun
	changes     string // the transaction that it asked for; Run's goroutine only
}

const (
	conversationsKept = 32
	conversationLife  = 15 * time.Minute
)

// ownerMethod is a row of what an owner may ask for. The zero value lets in
// nobody but an administrator.
type ownerMethod struct {
	// narrow lets in a key that is for one transaction or one request alone;
	// the method then looks at what it may give.
	narrow bool
	do     func(*Core, context.Context, *conversation, deviceapi.Call) (any, error)
}

// ownerMethods is everything that an owner may ask for after the proof.
func ownerMethods() map[deviceapi.OwnerMethod]ownerMethod {
	return map[deviceapi.OwnerMethod]ownerMethod{
		deviceapi.OwnerPut:     {do: (*Core).ownerPut},
		deviceapi.OwnerGet:     {do: (*Core).ownerGet},
		deviceapi.OwnerReceipt: {narrow: true, do: (*Core).ownerReceipt},

		deviceapi.OwnerRequest:  {narrow: true, do: decoded((*Core).ownerRequest)},
		deviceapi.OwnerResume:   {narrow: true, do: decoded((*Core).ownerResume)},
		deviceapi.OwnerWithdraw: {narrow: true, do: decoded((*Core).ownerWithdraw)},
		deviceapi.OwnerProgress: {narrow: true, do: decoded((*Core).ownerProgress)},
		deviceapi.OwnerRequests: {do: decoded((*Core).ownerRequests)},
		deviceapi.OwnerRefuse:   {do: decoded((*Core).ownerRefuse)},
		deviceapi.OwnerAccounts: {do: decoded((*Core).ownerAccounts)},
		deviceapi.OwnerAccount:  {do: decoded((*Core).ownerAccount)},
		deviceapi.OwnerCheck:    {do: decoded((*Core).ownerCheck)},

		deviceapi.OwnerPlan:           {do: decoded((*Core).ownerPlan)},
		deviceapi.OwnerRecoveryKey:    {do: decoded((*Core).ownerRecoveryKey)},
		deviceapi.OwnerSnapshot:       {do: decoded((*Core).ownerSnapshot)},
		deviceapi.OwnerRestorePlan:    {do: decoded((*Core).ownerRestorePlan)},
		deviceapi.OwnerRestore:        {do: decoded((*Core).ownerRestore)},
		deviceapi.OwnerRestoreConfirm: {do: decoded((*Core).ownerRestoreConfirm)},
		deviceapi.OwnerRestoreGiveUp:  {do: decoded((*Core).ownerRestoreGiveUp)},
	}
}

// ownerSession begins a conversation: core's fresh half, signed with the
// identity key together with the TLS key of the connection.
func (c *Core) ownerSession(q corewire.OwnerSessionRequest) (deviceapi.OwnerSessionReply, error) {
	none := deviceapi.OwnerSessionReply{}
	if !c.certified(q.LeafSPKI) {
		return none, catalog.New("bad_message", "its connection is not one of this device's")
	}
	id, err := randomID(c.cfg.Rand)
	if err != nil {
		return none, err
	}
	mine, err := ecdh.X25519().GenerateKey(c.cfg.Rand)
	if err != nil {
		return none, err
	}
	binding := deviceapi.OwnerBinding{
		Identity: c.publicKey(), LeafSPKI: q.LeafSPKI, Session: id,
		OwnerShare: q.Body.Share, DeviceShare: mine.PublicKey().Bytes(),
	}
	key, belongs, err := binding.Channel(mine, q.Body.Share)
	if err != nil {
		return none, catalog.New("bad_message", "its share is not a point of the curve")
	}
	channel, err := sealed.Device(key, belongs)
	if err != nil {
		return none, err
	}
	c.forgetConversations()
	c.conversations[id] = &conversation{
		id: id, binding: binding, channel: sealed.NewResponder(channel),
		calls: newTurn(), source: q.Source, begun: c.cfg.Clock.Monotonic(),
	}
	return deviceapi.OwnerSessionReply{
		Session: id, Share: binding.DeviceShare, Signature: ed25519.Sign(c.identity, binding.Statement()),
	}, nil
}

// forgetConversations drops those that are over, and makes room for one more:
// whoever proved nothing yet goes first.
func (c *Core) forgetConversations() {
	now := c.cfg.Clock.Monotonic()
	for id, t := range c.conversations {
		if now-t.begun > conversationLife && !t.calls.taken() {
			delete(c.conversations, id)
		}
	}
	for len(c.conversations) >= conversationsKept {
		var first *conversation
		for _, t := range c.conversations {
			if !t.calls.taken() && (first == nil || older(t, first)) {
				first = t
			}
		}
		if first == nil {
			return
		}
		delete(c.conversations, first.id)
	}
}

func older(a, b *conversation) bool {
	if (a.caller == nil) != (b.caller == nil) {
		return a.caller == nil
	}
	return a.begun < b.begun
}

// ownerSealed answers one sealed call. They come one at a time.
func (c *Core) ownerSealed(ctx context.Context, q corewire.OwnerSealedRequest) (deviceapi.SealedReply, error) {
	var t *conversation
	err := c.do(ctx, func() error {
		t = c.conversations[q.Body.Session]
		if t == nil || c.cfg.Clock.Monotonic()-t.begun > conversationLife {
			return catalog.New("no_such_session")
		}
		return nil
	})
	if err != nil {
		return deviceapi.SealedReply{}, err
	}
	if err := t.calls.take(ctx); err != nil {
		return deviceapi.SealedReply{}, err
	}
	defer t.calls.give()
	if err := c.do(ctx, func() error { return c.goesOn(t) }); err != nil { // it ended while this call waited for its turn
		return deviceapi.SealedReply{}, err
	}
	box, err := t.channel.Answer(q.Body.Box, func(message []byte) []byte { return c.ownerAnswer(ctx, t, message) })
	if err != nil {
		err = catalog.New("bad_message", "it is not sealed for this conversation, or came out of order").Because(err)
	}
	return deviceapi.SealedReply{Box: box}, err
}

func (c *Core) ownerAnswer(ctx context.Context, t *conversation, message []byte) []byte {
	reply, err := c.ownerCall(ctx, t, message)
	if err == nil {
		var out []byte
		if out, err = deviceapi.EncodeReply(reply); err == nil && len(out) <= sealed.MaxPlain {
			return out
		}
		c.cfg.Log.Error("an answer to an owner cannot be sent", "bytes", len(out), "error", err)
	}
	p := catalog.AsProblem(err)
	if p.ID == "internal" {
		c.cfg.Log.Error("an owner's call failed", "error", errors.Unwrap(p))
	}
	out, err := deviceapi.EncodeProblem(p)
	if err != nil {
		return []byte(`{}`)
	}
	return out
}

// ownerCall looks the call up in the table, after who calls was proved and is
// still an administrator.
func (c *Core) ownerCall(ctx context.Context, t *conversation, message []byte) (any, error) {
	call, err := deviceapi.ParseOwnerCall(message)
	if err != nil {
		return nil, catalog.New("bad_message", "a call that cannot be read").Because(err)
	}
	method := deviceapi.OwnerMethod(call.Kind)
	if method == deviceapi.OwnerProve {
		return c.ownerProve(ctx, t, call)
	}
	if t.caller == nil {
		return nil, catalog.New("owner_unknown")
	}
	row, known := ownerMethods()[method]
	if !known {
		return nil, catalog.New("not_yet", "this call of an owner's program")
	}
	if t.caller.account == "" && !row.narrow {
		return nil, catalog.New("owner_narrow")
	}
	if t.caller.account != "" {
		if err := c.stillAdministrator(ctx, t.caller.account); err != nil {
			return nil, err
		}
	}
	return row.do(c, ctx, t, call)
}

// ownerProve takes the proof, once a conversation.
func (c *Core) ownerProve(ctx context.Context, t *conversation, call deviceapi.Call) (any, error) {
	var q deviceapi.OwnerProveCall
	if err := call.Decode(&q); err != nil {
		return nil, bad(err)
	}
	if t.caller != nil {
		return nil, catalog.New("already_proved")
	}
	before, err := in(ctx, c, func() (uint64, error) { return c.passwordsSet, nil })
	if err != nil {
		return nil, err
	}
	who, err := c.proved(ctx, t, q)
	if err != nil {
		c.cfg.Log.Info("somebody did not prove to be an owner", "source", t.source.String())
		return nil, err
	}
	err = c.do(ctx, func() error {
		if c.passwordsSet != before { // what was proved may be of before: prove it anew
			return catalog.New("no_such_session")
		}
		t.caller = &who
		return nil
	})
	if err != nil {
		return nil, err
	}
	c.cfg.Log.Info("an owner speaks", "account", who.account, "by", who.by, "source", t.source.String())
	return deviceapi.OwnerProveReply{Account: who.account, By: who.by}, nil
}

// goesOn refuses what a conversation asks for that was ended meanwhile, while the
// call was under way. Run's goroutine only.
func (c *Core) goesOn(t *conversation) error {
	if t != nil && c.conversations[t.id] != t {
		return catalog.New("no_such_session")
	}
	return nil
}

func (c *Core) proved(ctx context.Context, t *conversation, q deviceapi.OwnerProveCall) (caller, error) {
	if len(q.OwnerKey) == 0 {
		return c.provedByPassword(ctx, t, q.Account, q.Password)
	}
	if !ed25519.Verify(q.OwnerKey, t.binding.Proof(), q.Signature) {
		return caller{}, catalog.New("owner_unknown")
	}
	var entries []Owner
	waits := false
	if err := c.do(ctx, func() error {
		entries = c.owners.of(q.OwnerKey)
		_, waits = c.requests.ofKey(q.OwnerKey)
		return nil
	}); err != nil {
		return caller{}, err
	}
	for _, e := range entries {
		if e.Account != "" && (q.Account == "" || e.Account == q.Account) && c.stillAdministrator(ctx, e.Account) == nil {
			return caller{account: e.Account, by: deviceapi.ByOwnerKey, transaction: e.Transaction, key: q.OwnerKey}, nil
		}
	}
	if i := slices.IndexFunc(entries, func(e Owner) bool { return e.Account == "" }); i >= 0 && q.Account == "" {
		return caller{by: deviceapi.ByOwnerKey, transaction: entries[i].Transaction, key: q.OwnerKey}, nil
	}
	if waits && q.Account == "" { // a claimant's, for that request alone
		return caller{by: deviceapi.ByOwnerKey, key: q.OwnerKey}, nil
	}
	return caller{}, catalog.New("owner_unknown")
}

// provedByPassword is a sign-in: counted and slowed down as every other.
func (c *Core) provedByPassword(ctx context.Context, t *conversation, account string, password access.Secret) (caller, error) {
	r, err := c.signIn(ctx, corewire.SignInRequest{Source: t.source, User: account, Password: password})
	if err != nil {
		return caller{}, err
	}
	if !r.Administrator {
		return caller{}, catalog.New("not_administrator")
	}
	return caller{account: account, by: deviceapi.ByPassword}, nil
}

// stillAdministrator refuses an account that is none any more, or is disabled.
func (c *Core) stillAdministrator(ctx context.Context, account string) error {
	for _, a := range c.cfg.Adapters {
		if !slices.Contains(a.Effects(), nas.E1) {
			continue
		}
		s, err := surveyed(ctx, []setting.Adapter{a})
		if err != nil {
			return err
		}
		if have, ok := s.settings.Account(account); ok {
			if have.Administrator && have.Enabled {
				return nil
			}
			break
		}
	}
	return catalog.New("not_administrator")
}

func bad(err error) error {
	return catalog.New("bad_message", "the body of a call").Because(err)
}

// ownerPut takes a piece of what is too long for one message.
func (c *Core) ownerPut(_ context.Context, t *conversation, call deviceapi.Call) (any, error) {
	var q deviceapi.OwnerPutCall
	if err := call.Decode(&q); err != nil {
		return nil, bad(err)
	}
	if q.Offset == 0 {
		t.in = nil
	}
	if q.Offset != len(t.in) || len(q.Data) == 0 || len(q.Data) > deviceapi.MaxChunk || len(t.in)+len(q.Data) > deviceapi.MaxBlob {
		return nil, catalog.New("bad_message", "a piece that does not fit to those before")
	}
	t.in = append(t.in, q.Data...)
	return deviceapi.Empty{}, nil
}

// ownerGet gives a piece of what the last method left to be fetched.
func (c *Core) ownerGet(_ context.Context, t *conversation, call deviceapi.Call) (any, error) {
	var q deviceapi.OwnerGetCall
	if err := call.Decode(&q); err != nil {
		return nil, bad(err)
	}
	if q.Offset < 0 || q.Offset > len(t.out) {
		return nil, catalog.New("bad_message", "there is nothing at that place")
	}
	rest := t.out[q.Offset:]
	return deviceapi.OwnerGetReply{Data: rest[:min(len(rest), deviceapi.MaxChunk)], Size: len(t.out)}, nil
}

// ownerReceipt gives the receipt of a transaction; of the one with which the
// key was enrolled, where none is named.
func (c *Core) ownerReceipt(ctx context.Context, t *conversation, call deviceapi.Call) (any, error) {
	var q deviceapi.ReceiptCall
	if err := call.Decode(&q); err != nil {
		return nil, bad(err)
	}
	if q.Transaction == "" {
		q.Transaction = t.caller.transaction
	}
	if t.caller.account == "" && (q.Transaction != t.caller.transaction && q.Transaction != t.transaction || q.Transaction == "") {
		return nil, catalog.New("owner_narrow")
	}
	return in(ctx, c, func() (deviceapi.ReceiptReply, error) {
		file, err := c.receiptOf(q.Transaction)
		return deviceapi.ReceiptReply{Receipt: file}, err
	})
}
