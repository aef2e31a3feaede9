// Package spake2 is SPAKE2 (RFC 9382) with P-256, SHA-256, HKDF and HMAC: two
// sides that know the same short password get a strong shared key, and each
// learns that the other knew it. Whoever listens learns nothing that helps to
// guess, and whoever takes part learns, for each run, whether one guess was
// right.
//
// What is ours and what is not: the curve arithmetic is filippo.io/nistec
// (constant time); HKDF, HMAC and SHA-256 are the standard library's. The
// protocol in this file is ours, checked against all vectors of the RFC's
// appendix B. The way from the password to the scalar w is ours too, as the RFC
// leaves it to the application: HKDF-SHA-256, bound to both identities and the
// associated data. It is no memory-hard function on purpose. A claim's code has
// 1,296 values, so a slow hash would cost an attacker minutes once and the NAS
// a second at every try, which a neighbour could ask for again and again. What
// protects the code is that there is nothing to try it on offline, and that the
// tries are counted.
//
// From the RFC's security considerations (§7), and where they are kept:
//   - Shares are checked to be points of the curve; any encoding but the
//     uncompressed one, and the point at infinity, is refused, and so is a share
//     that makes the common element the point at infinity.
//   - The private scalar is uniform, from the reader that is given, and used in
//     one run: A and B refuse a second Finish.
//   - No key comes out before the other side's confirmation was checked, in
//     constant time. A confirms first, and B says nothing that depends on the
//     password in a checkable way until A has: a run with B is one guess. B
//     refuses a second Confirm for the same reason. The caller counts the try
//     before it calls Confirm.
//   - Nobody knows the discrete logarithms of M and N (RFC 9382, appendix A).
//     Whoever found one, with a quantum computer say, could test all passwords
//     against one recorded run; a claim's code has lapsed by then.
//   - Shared with every PAKE: what has the password can take part. The
//     associated data says what the key is for.
//
// It never sends, stores or logs anything, and never counts tries: its caller
// does.
package spake2

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"slices"

	"filippo.io/nistec"
)

const (
	// ShareLen is the length of a share: an uncompressed point.
	ShareLen = 65
	// ConfirmLen is the length of a confirmation: an HMAC-SHA-256.
	ConfirmLen = 32
	// KeyLen is the length of the shared key, Ke of the RFC: 128 bits.
	KeyLen = 16

	scalarLen = 32
)

// Why a run ends. After any of them it is over; a new one is a new try.
var (
	ErrShare   = errors.New("spake2: the other side's share is not a point of the curve")
	ErrConfirm = errors.New("spake2: the other side does not know the password")
	ErrOrder   = errors.New("spake2: a step that is out of order or was made before")
)

// Parties is what both sides must know alike beside the password. Any
// difference makes the confirmations fail.
type Parties struct {
	A, B []byte // the identities; may be empty
	AAD  []byte // what the key is for
}

// A is the side that confirms first.
type A struct{ run }

// B is the side that answers.
type B struct{ run }

// NewA begins a run as A, with 32 bytes or a few more of rand.
func NewA(rand io.Reader, password []byte, p Parties) (*A, error) {
	r, err := begin(rand, password, p, roleA())
	if err != nil {
		return nil, err
	}
	return &A{r}, nil
}

// NewB begins a run as B.
func NewB(rand io.Reader, password []byte, p Parties) (*B, error) {
	r, err := begin(rand, password, p, roleB())
	if err != nil {
		return nil, err
	}
	return &B{r}, nil
}

// Share is what A sends first.
func (a *A) Share() []byte { return slices.Clone(a.share) }

// Share is what B sends, in answer to A's.
func (b *B) Share() []byte { return slices.Clone(b.share) }

// Finish takes B's share and returns A's confirmation, which is sent next.
func (a *A) Finish(shareB []byte) (confirmA []byte, err error) {
	if err := a.finish(shareB); err != nil {
		return nil, err
	}
	return slices.Clone(a.mine), nil
}

// Confirm takes B's confirmation and returns the shared key.
func (a *A) Confirm(confirmB []byte) (key []byte, err error) { return a.confirm(confirmB) }

// Finish takes A's share.
func (b *B) Finish(shareA []byte) error { return b.finish(shareA) }

// Confirm takes A's confirmation and returns B's, to be sent, and the shared
// key. With ErrConfirm nothing may be sent but the refusal.
func (b *B) Confirm(confirmA []byte) (confirmB, key []byte, err error) {
	key, err = b.confirm(confirmA)
	if err != nil {
		return nil, nil, err
	}
	return slices.Clone(b.mine), key, nil
}

// role is what differs between A and B: whose element blinds which share.
type role struct {
	a             bool
	blind, unmask [33]byte // M and N, compressed (RFC 9382 §6)
}

func roleA() role { return role{a: true, blind: elementM(), unmask: elementN()} }
func roleB() role { return role{a: false, blind: elementN(), unmask: elementM()} }

// elementM is M of RFC 9382 §6 for P-256.
func elementM() [33]byte {
	return [33]byte{
		0x02, 0x88, 0x6e, 0x2f, 0x97, 0xac, 0xe4, 0x6e, 0x55, 0xba, 0x9d, 0xd7, 0x24, 0x25, 0x79, 0xf2, 0x99,
		0x3b, 0x64, 0xe1, 0x6e, 0xf3, 0xdc, 0xab, 0x95, 0xaf, 0xd4, 0x97, 0x33, 0x3d, 0x8f, 0xa1, 0x2f,
	}
}

// elementN is N of RFC 9382 §6 for P-256.
func elementN() [33]byte {
	return [33]byte{
		0x03, 0xd8, 0xbb, 0xd6, 0xc6, 0x39, 0xc6, 0x29, 0x37, 0xb0, 0x4d, 0x99, 0x7f, 0x38, 0xc3, 0x77, 0x07,
		0x19, 0xc6, 0x29, 0xd7, 0x01, 0x4d, 0x49, 0xa2, 0x4b, 0x4f, 0x98, 0xba, 0xa1, 0x29, 0x2b, 0x49,
	}
}

// run is one side of one exchange. Its fields are the RFC's.
type run struct {
	role    role
	parties Parties
	w       [scalarLen]byte // from the password
	x       [scalarLen]byte // private; y for B
	share   []byte          // pA or pB
	state   state

	mine, theirs []byte // confirmations: to send, to expect
	ke           []byte
}

// Format prints nothing of it: every field but the share is a secret.
func (run) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[redacted]") }

type state int

const (
	begun state = iota
	finished
	over
)

func begin(rand io.Reader, password []byte, p Parties, ro role) (run, error) {
	w, err := passwordScalar(password, p)
	if err != nil {
		return run{}, err
	}
	x, err := randomScalar(rand)
	if err != nil {
		return run{}, err
	}
	return beginWith(w, x, p, ro)
}

// beginWith computes this side's share: x*P + w*M for A, with N for B.
func beginWith(w, x [scalarLen]byte, p Parties, ro role) (run, error) {
	blinding, err := multiply(ro.blind[:], w)
	if err != nil {
		return run{}, err
	}
	public, err := nistec.NewP256Point().ScalarBaseMult(x[:])
	if err != nil {
		return run{}, err
	}
	share := public.Add(public, blinding)
	if share.IsInfinity() == 1 { // a chance of 2^-256
		return run{}, ErrShare
	}
	p = Parties{A: slices.Clone(p.A), B: slices.Clone(p.B), AAD: slices.Clone(p.AAD)}
	return run{role: ro, parties: p, w: w, x: x, share: share.Bytes()}, nil
}

// finish computes the common element K = x*(their share - w*N), with M for B,
// and from it the keys. The cofactor of P-256 is 1.
func (r *run) finish(theirs []byte) error {
	if r.state != begun {
		return ErrOrder
	}
	r.state = over
	if len(theirs) != ShareLen || theirs[0] != 4 {
		return ErrShare
	}
	share, err := nistec.NewP256Point().SetBytes(theirs)
	if err != nil {
		return ErrShare
	}
	mask, err := multiply(r.role.unmask[:], r.w)
	if err != nil {
		return err
	}
	k := share.Add(share, mask.Negate(mask))
	if k, err = k.ScalarMult(k, r.x[:]); err != nil {
		return err
	}
	if k.IsInfinity() == 1 {
		return ErrShare
	}
	if err := r.derive(theirs, k.Bytes()); err != nil {
		return err
	}
	clear(r.x[:])
	clear(r.w[:])
	r.state = finished
	return nil
}

// derive is the key schedule of RFC 9382 §4.
func (r *run) derive(theirs, k []byte) error {
	shareA, shareB := r.share, theirs
	if !r.role.a {
		shareA, shareB = theirs, r.share
	}
	tt := transcript(r.parties.A, r.parties.B, shareA, shareB, k, r.w[:])
	sum := sha256.Sum256(tt) // Ke || Ka
	kc, err := hkdf.Key(sha256.New, sum[KeyLen:], nil, "ConfirmationKeys"+string(r.parties.AAD), 2*KeyLen)
	if err != nil {
		return err
	}
	confirmA, confirmB := mac(kc[:KeyLen], tt), mac(kc[KeyLen:], tt)
	r.ke = slices.Clone(sum[:KeyLen])
	r.mine, r.theirs = confirmA, confirmB
	if !r.role.a {
		r.mine, r.theirs = confirmB, confirmA
	}
	return nil
}

func (r *run) confirm(theirs []byte) ([]byte, error) {
	if r.state != finished {
		return nil, ErrOrder
	}
	r.state = over
	if subtle.ConstantTimeCompare(theirs, r.theirs) != 1 {
		clear(r.ke)
		return nil, ErrConfirm
	}
	return r.ke, nil
}

// transcript is TT of RFC 9382 §3.3: each part behind its length, in eight
// bytes, little-endian.
func transcript(parts ...[]byte) []byte {
	var tt []byte
	for _, p := range parts {
		tt = binary.LittleEndian.AppendUint64(tt, uint64(len(p)))
		tt = append(tt, p...)
	}
	return tt
}

func mac(key, message []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(message)
	return h.Sum(nil)
}

func multiply(element []byte, scalar [scalarLen]byte) (*nistec.P256Point, error) {
	p, err := nistec.NewP256Point().SetBytes(element)
	if err != nil {
		return nil, err
	}
	return p.ScalarMult(p, scalar[:])
}

// passwordScalar is w: the first candidate of HKDF's output that is a scalar
// other than zero, which is the first one but for a chance of 2^-32.
func passwordScalar(password []byte, p Parties) ([scalarLen]byte, error) {
	info := string(transcript(p.A, p.B, p.AAD))
	prk, err := hkdf.Extract(sha256.New, password, []byte("paperclip spake2 password 1"))
	if err != nil {
		return [scalarLen]byte{}, err
	}
	const candidates = 8
	out, err := hkdf.Expand(sha256.New, prk, info, candidates*scalarLen)
	if err != nil {
		return [scalarLen]byte{}, err
	}
	for c := range slices.Chunk(out, scalarLen) {
		if s := [scalarLen]byte(c); isScalar(s) {
			return s, nil
		}
	}
	return [scalarLen]byte{}, errors.New("spake2: no scalar for this password")
}

// randomScalar draws uniformly from 1 to the order minus 1.
func randomScalar(rand io.Reader) ([scalarLen]byte, error) {
	var s [scalarLen]byte
	for range 64 { // each fails with a chance of 2^-32
		if _, err := io.ReadFull(rand, s[:]); err != nil {
			return s, fmt.Errorf("spake2: no randomness: %w", err)
		}
		if isScalar(s) {
			return s, nil
		}
	}
	return s, errors.New("spake2: the source of randomness is broken")
}

// isScalar tells whether 0 < s < n, the order of P-256. It takes the same time
// for every s.
func isScalar(s [scalarLen]byte) bool {
	order := [4]uint64{0xffffffff00000000, 0xffffffffffffffff, 0xbce6faada7179e84, 0xf3b9cac2fc632551}
	var borrow, ones uint64
	for i := 3; i >= 0; i-- {
		limb := binary.BigEndian.Uint64(s[8*i:])
		_, borrow = bits.Sub64(limb, order[i], borrow)
		ones |= limb
	}
	return borrow == 1 && ones != 0
}
