package core

import (
	"context"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/protocol/corewire"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
)

// handler is a Core as one peer sees it.
type handler struct {
	core    *Core
	console bool // the peer is root on the device, not a front
}

var _ corewire.Handler = handler{}

// in carries a request that is answered from Run's state alone into Run's
// goroutine.
func in[R any](ctx context.Context, c *Core, f func() (R, error)) (r R, err error) {
	err = c.do(ctx, func() (err error) {
		r, err = f()
		return err
	})
	return r, err
}

func (h handler) Certify(ctx context.Context, q corewire.CertifyRequest) (corewire.CertifyReply, error) {
	return in(ctx, h.core, func() (corewire.CertifyReply, error) { return h.core.certify(q.LeafPublicKey) })
}

func (h handler) ClaimSession(ctx context.Context, q corewire.ClaimSessionRequest) (deviceapi.SessionReply, error) {
	return in(ctx, h.core, func() (deviceapi.SessionReply, error) { return h.core.claimSession(q) })
}

func (h handler) ClaimPake(ctx context.Context, q corewire.ClaimPakeRequest) (deviceapi.PakeReply, error) {
	return in(ctx, h.core, func() (deviceapi.PakeReply, error) { return h.core.claimPake(q) })
}

func (h handler) ClaimConfirm(ctx context.Context, q corewire.ClaimConfirmRequest) (deviceapi.ConfirmReply, error) {
	return in(ctx, h.core, func() (deviceapi.ConfirmReply, error) { return h.core.claimConfirm(q) })
}

func (h handler) ClaimSealed(ctx context.Context, q corewire.ClaimSealedRequest) (deviceapi.SealedReply, error) {
	return h.core.claimSealed(ctx, q)
}

func (h handler) SignIn(ctx context.Context, q corewire.SignInRequest) (deviceapi.SignInReply, error) {
	return h.core.signIn(ctx, q)
}

func (h handler) OwnerSession(ctx context.Context, q corewire.OwnerSessionRequest) (deviceapi.OwnerSessionReply, error) {
	return in(ctx, h.core, func() (deviceapi.OwnerSessionReply, error) { return h.core.ownerSession(q) })
}

func (h handler) OwnerSealed(ctx context.Context, q corewire.OwnerSealedRequest) (deviceapi.SealedReply, error) {
	return h.core.ownerSealed(ctx, q)
}

// Read gives what a peer may know. What the reset changed and how the device
// is set up is for root on the device alone.
func (h handler) Read(ctx context.Context, q corewire.ReadRequest) (any, error) {
	switch {
	case q.What == corewire.ReadDevice:
		return in(ctx, h.core, func() (any, error) { return h.core.device(), nil })
	case q.What == corewire.ReadStatus && h.console:
		return in(ctx, h.core, func() (any, error) { return h.core.status(), nil })
	case q.What == corewire.ReadOwners && h.console:
		return in(ctx, h.core, func() (any, error) { return h.core.ownerList(), nil })
	case q.What == corewire.ReadRequests && h.console:
		return in(ctx, h.core, func() (any, error) { return h.core.requestList() })
	case q.What == corewire.ReadReceipts && h.console:
		return h.core.Receipts()
	}
	return nil, catalog.New("presence_not_shown")
}

// States sends the present state and every later one that is not overtaken.
func (h handler) States(ctx context.Context) <-chan corewire.State {
	states := make(chan corewire.State, 1)
	c := h.core
	err := c.do(ctx, func() error {
		c.watchers[states] = true
		states <- c.state()
		return nil
	})
	if err != nil {
		close(states)
		return states
	}
	context.AfterFunc(ctx, func() {
		_ = c.do(c.ctx, func() error {
			delete(c.watchers, states)
			return nil
		})
	})
	return states
}

// publish tells every front the state, in place of one it has not read yet.
func (c *Core) publish() {
	s := c.state()
	for w := range c.watchers {
		select {
		case <-w:
		default:
		}
		w <- s
	}
}

func (c *Core) state() corewire.State {
	s := corewire.State{Ready: c.ready, Claim: c.claimState(), Interfaces: []corewire.Interface{}}
	if c.cfg.Ports != nil {
		p := c.cfg.Ports()
		s.Ports = corewire.Ports{HTTP: p.HTTP, HTTPS: p.HTTPS, ForceHTTPS: p.ForceHTTPS}
	} else {
		p := nas.DefaultPorts()
		s.Ports = corewire.Ports{HTTP: p.HTTP, HTTPS: p.HTTPS}
	}
	for _, i := range c.interfaces {
		s.Interfaces = append(s.Interfaces, corewire.Interface{Name: i.Name, MAC: i.MAC, Addresses: i.Prefixes})
	}
	return s
}

func (c *Core) claimState() deviceapi.Claim {
	at, open := c.claim.Closes()
	if !open {
		return deviceapi.Claim{}
	}
	st := c.claim.State()
	left := max(0, at-c.cfg.Clock.Monotonic())
	return deviceapi.Claim{
		Open: true, ID: c.claimID, Hard: st.Hard(), ClosesInSeconds: int(left.Seconds()),
		CodeNeeded: !st.Proved(), PressNeeded: !st.Proved() && c.claim.Exhausted(),
		Label: !st.Proved() && c.label.kept.Hash != "",
	}
}

// Quiet tells whether nothing is under way that an end of core would disturb.
func (c *Core) Quiet(ctx context.Context) bool {
	quiet, err := in(ctx, c, func() (bool, error) {
		_, open := c.claim.Closes()
		return !open && !c.busy(), nil
	})
	return err == nil && quiet
}

// device is what anybody on the LAN may know.
func (c *Core) device() deviceapi.Device {
	return deviceapi.Device{
		Version: deviceapi.Version, Name: c.name(), Vendor: "Paperclip", Model: c.cfg.Model,
		KeyID: c.KeyID(), Ready: c.ready && !c.busy() && !c.halfState, Status: c.deviceStatus().ID(), Claim: c.claimState(),
		Notices: c.notices.current(c.cfg.Clock.Now()),
	}
}

// Status is what root on the device is told by `paperclipd status`.
type Status struct {
	Device      deviceapi.Device `json:"device"`
	ClaimState  string           `json:"claim_state"`
	LastIgnored string           `json:"last_ignored,omitempty"` // why the last press selected nothing (D8)
	Claims      uint64           `json:"claims"`
	Tries       uint64           `json:"tries"`
	Transaction string           `json:"transaction,omitempty"`
	State       string           `json:"state,omitempty"` // of that transaction
	// RecoveryCodes is how many unused ones each administrator has that was
	// given any.
	RecoveryCodes map[string]int `json:"recovery_codes"`
}

func (c *Core) status() Status {
	s := Status{
		Device: c.device(), ClaimState: string(c.claim.State()), LastIgnored: c.ignored,
		Claims: c.attempts.kept.Claims, Tries: c.attempts.kept.Tries, RecoveryCodes: map[string]int{},
	}
	for user := range c.codes.kept.Users {
		s.RecoveryCodes[user] = c.codes.left(user)
	}
	if c.current != nil {
		s.Transaction, s.State = c.current.id, c.current.state
	}
	return s
}
