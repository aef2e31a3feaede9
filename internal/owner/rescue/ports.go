package rescue

import (
	"context"
	"crypto/ed25519"
	"io"
	"net/netip"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/owner/keys"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
	"github.com/paperclip-nas/paperclip/internal/x/clock"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// NAS is one that was found on the LAN. All of it is a hint.
type NAS struct {
	Name, Vendor, Model, Serial string
	MACs                        []string
	KeyID                       string           // as announced
	Address                     string           // for people
	At                          []netip.AddrPort // where its device API may be
	Native                      bool             // it has our device API
}

// Finder looks for NAS on the LAN.
type Finder interface {
	// Find returns every NAS that target names: a name, address, MAC or serial;
	// all of them for the empty target. None is no error.
	Find(ctx context.Context, target string) ([]NAS, error)
}

// Meet connects to the first of the addresses at which a device answers. A
// device with another key than the pin's is the problem identity_mismatch.
type Meet func(ctx context.Context, at []netip.AddrPort, pin keys.Pin) (Device, error)

// Device is one NAS, by its own API, over TLS connections that all showed the
// same identity key. Errors are catalog problems: "unreachable" when it does
// not answer, else what the NAS says.
type Device interface {
	PublicKey() ed25519.PublicKey
	// Pin is what later connections to the same device must show; Proved once
	// Prove has succeeded.
	Pin() keys.Pin
	// Address is where it last answered.
	Address() netip.AddrPort
	// Move makes the next calls go to other addresses; the key stays pinned.
	// Address says so only once one of them answers.
	Move(at []netip.AddrPort)
	// Info is what the NAS tells anybody.
	Info(ctx context.Context) (deviceapi.Device, error)
	// Prove runs the PAKE with the code, once. waiting is told how long it may
	// take until it is this session's turn.
	Prove(ctx context.Context, code access.Presence, waiting func(time.Duration)) error
	// The calls of a claim whose presence was proved.
	Options(ctx context.Context) (deviceapi.OptionsReply, error)
	Plan(ctx context.Context, q deviceapi.PlanCall) (deviceapi.PlanReply, error)
	Commit(ctx context.Context, q deviceapi.CommitCall) (deviceapi.CommitReply, error)
	Progress(ctx context.Context, transaction string) (deviceapi.ProgressReply, error)
	// Leave ends the claim; after a commit only once that is done.
	Leave(ctx context.Context) error
	// Receipt fetches the receipt of a transaction with this computer's owner
	// key; without a name, of the one with which that key was enrolled.
	Receipt(ctx context.Context, owner ed25519.PrivateKey, transaction string) ([]byte, error)
	// Request says where a request that waits stands, for the key of the computer
	// that left it; without an id, the last one of that key.
	Request(ctx context.Context, owner ed25519.PrivateKey, id string) (deviceapi.RequestReply, error)
	// Resume carries it out after the wait.
	Resume(ctx context.Context, owner ed25519.PrivateKey, q deviceapi.ResumeCall) (deviceapi.ResumeReply, error)
	// SignIn tries a name and password once. Without a proved key it sends
	// nothing and is the problem identity_unknown.
	SignIn(ctx context.Context, user string, password access.Secret) error
}

// Config is what a rescue works with. Witness may be nil.
type Config struct {
	Person  Person
	Finder  Finder
	Meet    Meet
	Witness Witness
	Keys    *keys.Store

	// Elsewhere rescues a NAS of another maker, which has no device API of ours,
	// under the id of this rescue; nil: nobody does.
	Elsewhere func(ctx context.Context, id string, n NAS) (Result, error)

	FS    opfs.FS
	Dir   string // where rescues are written down, a folder each
	Clock clock.Clock
	Rand  io.Reader
	Label string // what this computer is called in the NAS's list of owner keys

	Again    string        // the command that resumes, before the id; empty is "paperclip rescue --resume"
	Poll     time.Duration // how often the NAS is asked while waiting; 0 is half a second
	Patience time.Duration // how long to wait for a press, or for the NAS to come back; 0 is 10 minutes
}

// Request is what is asked for.
type Request struct {
	Target        string
	Mode          reset.Mode  // empty: soft
	Scope         reset.Scope // empty: asked, with credentials as the default
	Administrator string      // empty: asked
	SecondFactor  bool        // take that administrator's second factor away too (E13)
	// AcceptKey is the key id of a device that goes by a known name with a new
	// key, and that a person has compared: it takes the old one's place.
	AcceptKey string
}
