package deviceapi

import (
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/protocol/sealed"
	"github.com/paperclip-nas/paperclip/internal/x/strictjson"
)

// An owner's conversation is what an owner has with core when there is no
// claim: both give a fresh X25519 share, core signs the whole exchange with the
// device's identity key, and what follows is sealed under the key that comes of
// it, so that front relays and reads nothing. Its first call says who the owner
// is (OwnerProve); the others are named by an OwnerMethod.

// The paths of an owner's conversation, both POST.
const (
	PathOwnerSession = "/api/v1/owner/session"
	PathOwnerSealed  = "/api/v1/owner/sealed"
)

// OwnerShareLen is the length of a share, in bytes.
const OwnerShareLen = 32

// OwnerSessionRequest begins a conversation.
type OwnerSessionRequest struct {
	Share []byte `json:"share"` // X25519, fresh
}

// OwnerSessionReply is core's half. The session is named by 128 random bits and
// is worth nothing after a few minutes.
type OwnerSessionReply struct {
	Session   string `json:"session"`
	Share     []byte `json:"share"`
	Signature []byte `json:"signature"` // of OwnerBinding.Statement, by the identity key
}

// OwnerBinding is what both sides must agree on: which device this is, which
// TLS key the owner talks to, and the fresh halves of both.
type OwnerBinding struct {
	Identity    ed25519.PublicKey
	LeafSPKI    []byte
	Session     string
	OwnerShare  []byte
	DeviceShare []byte
}

func (b OwnerBinding) transcript() []byte {
	return join(b.Identity, b.LeafSPKI, []byte(b.Session), b.OwnerShare, b.DeviceShare)
}

// Statement is what the device's identity key signs: this exchange and no other.
func (b OwnerBinding) Statement() []byte {
	return join([]byte("paperclip owner session 1"), b.transcript())
}

// Proof is what an owner key signs: it opens this very conversation alone, so
// that a signature that was seen is of no use anywhere else (X14).
func (b OwnerBinding) Proof() []byte {
	return join([]byte("paperclip owner proof 1"), b.transcript())
}

// ErrShare says that the other side's share is not one.
var ErrShare = errors.New("the other side's share is not a point of the curve")

// Channel is the key of the conversation and what its channel belongs to. mine
// is this side's half, theirs the other's share.
func (b OwnerBinding) Channel(mine *ecdh.PrivateKey, theirs []byte) (key []byte, c sealed.Context, err error) {
	their, err := ecdh.X25519().NewPublicKey(theirs)
	if err != nil {
		return nil, c, ErrShare
	}
	secret, err := mine.ECDH(their)
	if err != nil {
		return nil, c, ErrShare
	}
	sum := sha256.Sum256(b.transcript())
	key, err = hkdf.Key(sha256.New, secret, sum[:], "paperclip owner channel 1", 32)
	return key, sealed.Context{Claim: "owner", Session: b.Session}, err
}

// OwnerMethod names a call inside an owner's conversation.
type OwnerMethod string

// The methods. OwnerProve comes first; OwnerPut and OwnerGet carry what does
// not fit into one message.
const (
	OwnerProve          OwnerMethod = "prove"
	OwnerPut            OwnerMethod = "put"
	OwnerGet            OwnerMethod = "get"
	OwnerProgress       OwnerMethod = "progress"
	OwnerReceipt        OwnerMethod = "receipt"
	OwnerPlan           OwnerMethod = "plan"
	OwnerSnapshot       OwnerMethod = "snapshot"
	OwnerRecoveryKey    OwnerMethod = "recovery_key"
	OwnerRestorePlan    OwnerMethod = "restore_plan"
	OwnerRestore        OwnerMethod = "restore"
	OwnerRestoreConfirm OwnerMethod = "restore_confirm"
	OwnerRestoreGiveUp  OwnerMethod = "restore_give_up" // what was to follow a hard reset
	OwnerCheck          OwnerMethod = "check"
	OwnerRequest        OwnerMethod = "request"  // of the key that asks: where it stands
	OwnerResume         OwnerMethod = "resume"   // carries it out
	OwnerWithdraw       OwnerMethod = "withdraw" // ends it
	OwnerRequests       OwnerMethod = "requests" // what waits, for an administrator
	OwnerRefuse         OwnerMethod = "refuse"   // an administrator's no
	OwnerAccounts       OwnerMethod = "accounts" // the administrators
	OwnerAccount        OwnerMethod = "account"  // changes one of them
)

// Ways to prove who one is.
const (
	ByOwnerKey = "owner_key"
	ByPassword = "password"
)

// OwnerProveCall says who the owner is: by an enrolled key, or by an
// administrator's name and password, which only core reads.
type OwnerProveCall struct {
	OwnerKey  ed25519.PublicKey
	Signature []byte // of OwnerBinding.Proof
	Account   string
	Password  access.Secret
}

type ownerProveWire struct {
	OwnerKey  ed25519.PublicKey `json:"owner_key,omitempty"`
	Signature []byte            `json:"signature,omitempty"`
	Account   string            `json:"account,omitempty"`
	Password  string            `json:"password,omitempty"`
}

func (c OwnerProveCall) wire() any {
	return ownerProveWire{c.OwnerKey, c.Signature, c.Account, c.Password.Reveal()}
}

// MarshalJSON writes [redacted] for the password: see Encode.
func (c OwnerProveCall) MarshalJSON() ([]byte, error) {
	w := ownerProveWire{c.OwnerKey, c.Signature, c.Account, ""}
	if !c.Password.Empty() {
		w.Password = c.Password.String()
	}
	return json.Marshal(w)
}

// UnmarshalJSON reads what Encode writes.
func (c *OwnerProveCall) UnmarshalJSON(data []byte) error {
	var w ownerProveWire
	if err := strictjson.Unmarshal(data, &w); err != nil {
		return err
	}
	if len(w.OwnerKey) != 0 && (len(w.OwnerKey) != ed25519.PublicKeySize || len(w.Signature) != ed25519.SignatureSize) {
		return fmt.Errorf("%w: owner_key", strictjson.ErrType)
	}
	password, err := readSecret(w.Password)
	*c = OwnerProveCall{w.OwnerKey, w.Signature, w.Account, password}
	return err
}

// OwnerProveReply says as whom the device takes the owner.
type OwnerProveReply struct {
	Account string `json:"account"` // empty where the key was enrolled for one transaction alone
	By      string `json:"by"`      // ByOwnerKey or ByPassword
}

const (
	// MaxBlob is the most that a conversation carries by OwnerPut or OwnerGet,
	// in bytes.
	MaxBlob = 2 << 20
	// MaxChunk is the most of it in one message, in bytes.
	MaxChunk = 24 << 10
)

// OwnerPutCall adds a piece to what the conversation carries to the device. The
// first has Offset 0; the reply is Empty.
type OwnerPutCall struct {
	Offset int    `json:"offset"`
	Data   []byte `json:"data"`
}

// OwnerGetCall asks for a piece of what the last method left to be fetched.
type OwnerGetCall struct {
	Offset int `json:"offset"`
}

// OwnerGetReply is that piece, at most MaxChunk bytes of Size.
type OwnerGetReply struct {
	Data []byte `json:"data"`
	Size int    `json:"size"`
}

// ReceiptCall asks for the receipt of a transaction.
type ReceiptCall struct {
	Transaction string `json:"transaction"`
}

// ReceiptReply is the whole file of package receipt.
type ReceiptReply struct {
	Receipt []byte `json:"receipt"`
}

// maxMethod is the longest name of a method.
const maxMethod = 64

// ParseOwnerCall reads a call of an owner's conversation: its Kind is the
// OwnerMethod, which may be one that the device does not know.
func ParseOwnerCall(data []byte) (Call, error) {
	var c Call
	if err := strictjson.Unmarshal(data, &c); err != nil {
		return Call{}, err
	}
	if c.Kind == "" || len(c.Kind) > maxMethod {
		return Call{}, ErrKind
	}
	return c, nil
}
