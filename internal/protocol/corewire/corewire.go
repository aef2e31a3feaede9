// Package corewire is what front and core say to each other: frames of JSON on
// a connection that somebody else has authenticated (SO_PEERCRED on a Unix
// socket; net.Pipe in the lab).
//
// Front asks; core answers, each request by its id and in any order, and pushes
// its state whenever that changes. Front may ask for exactly what Handler has:
// a certificate for its TLS key, the steps of a claim, a sign-in, a read.
//
// Core must survive any front: a frame is at most MaxFrame bytes, at most
// MaxInFlight requests are worked on at once, and the first message that is not
// of this protocol closes the connection with a reason. Nothing here decides
// whether a request is granted, and no error text of core's crosses the wire
// but a catalog.Problem.
package corewire

import (
	"encoding/json"
	"net/netip"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
	"github.com/paperclip-nas/paperclip/internal/x/strictjson"
)

const (
	// Version is the version of this protocol. Both processes are installed
	// together, so another one is a mistake and ends the connection.
	Version = 1
	// MaxFrame is the largest frame, in bytes, without its length.
	MaxFrame = 64 << 10
	// MaxInFlight is how many requests of one connection are worked on at once;
	// further ones wait unread.
	MaxInFlight = 16
)

// Kind names a message.
type Kind string

// What front sends: hello first, then any of the others.
const (
	KindHello        Kind = "hello"
	KindCertify      Kind = "certify"
	KindClaimSession Kind = "claim_session"
	KindClaimPake    Kind = "claim_pake"
	KindClaimConfirm Kind = "claim_confirm"
	KindClaimSealed  Kind = "claim_sealed"
	KindSignIn       Kind = "sign_in"
	KindOwnerSession Kind = "owner_session"
	KindOwnerSealed  Kind = "owner_sealed"
	KindRead         Kind = "read"
)

// What core sends: a result or a problem for each request, its state when that
// changes, and why it closes.
const (
	kindResult  Kind = "result"
	kindProblem Kind = "problem"
	kindState   Kind = "state"
	kindClose   Kind = "close"
)

// Requests lists the kinds that front may send after hello.
func Requests() []Kind {
	return []Kind{KindCertify, KindClaimSession, KindClaimPake, KindClaimConfirm, KindClaimSealed, KindSignIn, KindOwnerSession, KindOwnerSealed, KindRead}
}

// hello opens the connection, in both directions.
type hello struct {
	Version int `json:"version"`
}

// CertifyRequest asks for a certificate for front's TLS key.
type CertifyRequest struct {
	LeafPublicKey []byte `json:"leaf_public_key"` // DER SubjectPublicKeyInfo
}

// CertifyReply is the chain to serve, leaf first, in DER.
type CertifyReply struct {
	Chain [][]byte `json:"chain"`
}

// ClaimSessionRequest asks for a session. LeafSPKI is the TLS key of the
// connection over which the assistant came; core takes only one it certified.
type ClaimSessionRequest struct {
	Source   netip.Addr `json:"source"` // the assistant's, with its zone if it has one
	LeafSPKI []byte     `json:"leaf_spki"`
}

// ClaimPakeRequest is a try.
type ClaimPakeRequest struct {
	Source netip.Addr            `json:"source"`
	Body   deviceapi.PakeRequest `json:"body"`
}

// ClaimConfirmRequest ends a try.
type ClaimConfirmRequest struct {
	Source netip.Addr               `json:"source"`
	Body   deviceapi.ConfirmRequest `json:"body"`
}

// ClaimSealedRequest carries a sealed call, which front cannot read.
type ClaimSealedRequest struct {
	Source netip.Addr              `json:"source"`
	Body   deviceapi.SealedRequest `json:"body"`
}

// OwnerSessionRequest begins an owner's conversation over a TLS key that core
// certified.
type OwnerSessionRequest struct {
	Source   netip.Addr                    `json:"source"`
	LeafSPKI []byte                        `json:"leaf_spki"`
	Body     deviceapi.OwnerSessionRequest `json:"body"`
}

// OwnerSealedRequest carries a sealed call of one, which front cannot read.
type OwnerSealedRequest struct {
	Source netip.Addr              `json:"source"`
	Body   deviceapi.SealedRequest `json:"body"`
}

// SignInRequest asks whether a name and password open this device. It marshals
// with the password as [redacted]; only Client writes it.
type SignInRequest struct {
	Source   netip.Addr
	User     string
	Password access.Secret
}

type signInWire struct {
	Source netip.Addr      `json:"source"`
	Body   json.RawMessage `json:"body"` // as deviceapi.Encode writes a SignInRequest
}

// MarshalJSON writes [redacted] for the password.
func (r SignInRequest) MarshalJSON() ([]byte, error) {
	body, err := json.Marshal(deviceapi.SignInRequest{User: r.User, Password: r.Password})
	if err != nil {
		return nil, err
	}
	return json.Marshal(signInWire{Source: r.Source, Body: body})
}

// encode writes the password.
func (r SignInRequest) encode() ([]byte, error) {
	body, err := deviceapi.Encode(deviceapi.SignInRequest{User: r.User, Password: r.Password})
	if err != nil {
		return nil, err
	}
	return json.Marshal(signInWire{Source: r.Source, Body: body})
}

// UnmarshalJSON reads what Client writes.
func (r *SignInRequest) UnmarshalJSON(data []byte) error {
	var w signInWire
	var body deviceapi.SignInRequest
	if err := strictjson.Unmarshal(data, &w); err != nil {
		return err
	}
	if err := strictjson.Unmarshal(w.Body, &body); err != nil {
		return err
	}
	*r = SignInRequest{Source: w.Source, User: body.User, Password: body.Password}
	return nil
}

// What names a thing that may be read.
type What string

// The things that may be read. Core refuses what it does not give to the peer
// that asks.
const (
	ReadDevice   What = "device"   // deviceapi.Device
	ReadStatus   What = "status"   // core's own, for `paperclipd status`
	ReadReceipts What = "receipts" // the files of package receipt
	ReadOwners   What = "owners"   // the enrolled owner keys
	ReadRequests What = "requests" // what waits for its time
)

// ReadRequest asks for one of them.
type ReadRequest struct {
	What What `json:"what"`
}

// State is what front needs to know of core to do its work: what to announce,
// where to listen, what the page says. Core pushes it after hello and whenever
// it changes. It names no account and no setting but the ports.
type State struct {
	Ready      bool            `json:"ready"` // D1
	Claim      deviceapi.Claim `json:"claim"`
	Ports      Ports           `json:"ports"`
	Interfaces []Interface     `json:"interfaces"` // where the claim can be reached
}

// Ports are where front listens.
type Ports struct {
	HTTP       int  `json:"http"`
	HTTPS      int  `json:"https"`
	ForceHTTPS bool `json:"force_https"`
}

// Interface is a network interface to announce on.
type Interface struct {
	Name      string         `json:"name"`
	MAC       string         `json:"mac"` // the NIC's own, never the claim interface's
	Addresses []netip.Prefix `json:"addresses"`
}
