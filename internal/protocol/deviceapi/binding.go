package deviceapi

import (
	"crypto/ed25519"
	"encoding/binary"

	"github.com/paperclip-nas/paperclip/internal/protocol/sealed"
	"github.com/paperclip-nas/paperclip/internal/x/spake2"
)

// Binding is what assistant and core must agree on for a claim's PAKE to
// succeed: who the device is, which TLS key the assistant talks to, and which
// session of which claim this is. The assistant takes Identity and LeafSPKI
// from its own live connection (identity.VerifyChain), core from what it holds
// and certified: somebody between the two would have to have one of core's
// keys, or the code.
type Binding struct {
	Identity ed25519.PublicKey
	LeafSPKI []byte // DER SubjectPublicKeyInfo
	Claim    string
	Session  string
}

// PAKE is the binding as both sides give it to spake2: the assistant is A, core
// is B. The password is access.Code's Secret.
func (b Binding) PAKE() spake2.Parties {
	return spake2.Parties{
		A:   []byte("paperclip assistant 1"),
		B:   append([]byte("paperclip device 1 "), b.Identity...),
		AAD: join([]byte("paperclip claim 1"), b.LeafSPKI, []byte(b.Claim), []byte(b.Session)),
	}
}

// Channel is the binding of the channel that follows: its key is the PAKE's,
// which already depends on the rest.
func (b Binding) Channel() sealed.Context {
	return sealed.Context{Claim: b.Claim, Session: b.Session}
}

// join puts each part behind its length.
func join(parts ...[]byte) []byte {
	var out []byte
	for _, p := range parts {
		out = binary.BigEndian.AppendUint64(out, uint64(len(p)))
		out = append(out, p...)
	}
	return out
}
