// Package identity is who a Paperclip device is: an Ed25519 key made at its
// first boot, the short name of that key, and the X.509 chain by which a TLS
// connection shows it.
//
// The chain is always two certificates: a short-lived leaf that the front
// process uses, and the self-signed certificate of the identity key, which only
// the core process holds and which signs the leaf. No name or address in a
// certificate means anything; the key is the device, and whether it is the
// right device is for the caller to know (a key remembered from before, or a
// claim's PAKE).
//
// The package never reads a clock, a file or a source of randomness of its own,
// and never decides to trust a key.
package identity

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strings"
	"time"
)

const (
	// KeyIDLen is the length of a key id: 26 characters of base32, 130 bits.
	KeyIDLen = 26
	// ShortLen is the length of a key id's short form.
	ShortLen = 8
	// MaxCertificate is the largest certificate in a chain, in bytes. Ours
	// are below 500.
	MaxCertificate = 2048
	// MaxLeafLife is the longest time for which a leaf may be valid, so that
	// a leaf key that leaks is of no use for long.
	MaxLeafLife = 8 * 24 * time.Hour

	alphabet = "abcdefghijklmnopqrstuvwxyz234567"
)

// ErrChain is what every chain that is not a device's fails with, except for
// the time: see ClockError.
var ErrChain = errors.New("not the certificate chain of a Paperclip device")

// ClockError says that a chain is right in everything except that now is
// outside its leaf's time: the clock of one side is wrong, or the leaf was
// stolen long ago. During a claim, where the PAKE proves the very leaf key, a
// caller may verify again with a time inside [NotBefore, NotAfter].
type ClockError struct{ NotBefore, NotAfter, Now time.Time }

func (e *ClockError) Error() string {
	return fmt.Sprintf("the device's certificate is for %s to %s, and here it is %s: one of the two clocks is wrong",
		e.NotBefore.Format(time.RFC3339), e.NotAfter.Format(time.RFC3339), e.Now.UTC().Format(time.RFC3339))
}

// New makes an identity from 32 bytes of rand.
func New(rand io.Reader) (ed25519.PrivateKey, error) {
	seed := make([]byte, ed25519.SeedSize)
	if _, err := io.ReadFull(rand, seed); err != nil {
		return nil, fmt.Errorf("making the device's identity: %w", err)
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

// KeyID names a public key: the first 26 characters of the lower-case base32
// of its SHA-256. It is what announcements carry, as a hint.
func KeyID(pub ed25519.PublicKey) string {
	sum := sha256.Sum256(pub)
	return base32.NewEncoding(alphabet).EncodeToString(sum[:])[:KeyIDLen]
}

// Short is the short form of a key id, for people and for the name of an
// announcement. It identifies nothing: 40 bits can be forged.
func Short(keyID string) string { return keyID[:min(len(keyID), ShortLen)] }

// Grouped is a key id as people compare it: in groups of four.
func Grouped(keyID string) string {
	var out strings.Builder
	for i, c := range keyID {
		if i > 0 && i%4 == 0 {
			out.WriteByte(' ')
		}
		out.WriteRune(c)
	}
	return out.String()
}

// ValidKeyID tells whether s is written as KeyID writes.
func ValidKeyID(s string) bool {
	return len(s) == KeyIDLen && strings.Trim(s, alphabet) == ""
}

// SelfSigned is the certificate of the identity key itself, in DER. It is the
// same bytes every time, so that it needs no file, and it does not expire.
func SelfSigned(priv ed25519.PrivateKey) ([]byte, error) {
	t := identityTemplate(priv)
	return x509.CreateCertificate(nil, t, t, priv.Public(), priv)
}

func identityTemplate(priv ed25519.PrivateKey) *x509.Certificate {
	pub := priv.Public().(ed25519.PublicKey)
	return &x509.Certificate{
		SerialNumber:          serial(pub),
		Subject:               pkix.Name{CommonName: "Paperclip device " + KeyID(pub)},
		NotBefore:             time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:              time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), // RFC 5280 §4.1.2.5: no expiry
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
}

// CertifyLeaf signs a TLS key, given as a DER SubjectPublicKeyInfo of ECDSA on
// P-256, for use from notBefore to notAfter, at most MaxLeafLife. It returns
// DER; the chain to serve is this and SelfSigned.
func CertifyLeaf(priv ed25519.PrivateKey, leafSPKI []byte, notBefore, notAfter time.Time) ([]byte, error) {
	pub, err := parseLeafKey(leafSPKI)
	if err != nil {
		return nil, err
	}
	if life := notAfter.Sub(notBefore); life <= 0 || life > MaxLeafLife {
		return nil, fmt.Errorf("a leaf for %s: want more than 0 and at most %s", life, MaxLeafLife)
	}
	from, to := notBefore.UTC().Truncate(time.Second), notAfter.UTC().Truncate(time.Second)
	t := &x509.Certificate{
		SerialNumber:          serial(leafSPKI, []byte(from.Format(time.RFC3339))),
		Subject:               pkix.Name{CommonName: "Paperclip"},
		NotBefore:             from,
		NotAfter:              to,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	return x509.CreateCertificate(nil, t, identityTemplate(priv), pub, priv)
}

// serial is a number made from what is certified: X.509 wants one that is
// unique for its issuer, and a hash needs no randomness.
func serial(parts ...[]byte) *big.Int {
	sum := sha256.Sum256(bytes.Join(parts, nil))
	sum[0] = sum[0]&0x7f | 0x40 // positive, and always the same length
	return new(big.Int).SetBytes(sum[:16])
}

func parseLeafKey(spki []byte) (crypto.PublicKey, error) {
	if len(spki) > MaxCertificate {
		return nil, errors.New("the leaf's public key is too large")
	}
	pub, err := x509.ParsePKIXPublicKey(spki)
	if err != nil {
		return nil, errors.New("the leaf's public key cannot be read")
	}
	if k, ok := pub.(*ecdsa.PublicKey); !ok || k.Curve != elliptic.P256() {
		return nil, errors.New("the leaf's public key is not ECDSA on P-256")
	}
	return pub, nil
}

// VerifyChain checks a chain as TLS received it, leaf first, and returns the
// identity key that it proves and the leaf's DER SubjectPublicKeyInfo, which a
// claim is bound to. The error is ErrChain or a *ClockError; with either, no
// key is returned. Whether the identity is the wanted one is not decided here.
func VerifyChain(raw [][]byte, now time.Time) (pub ed25519.PublicKey, leafSPKI []byte, err error) {
	if len(raw) != 2 {
		return nil, nil, fmt.Errorf("%w: %d certificates, want 2", ErrChain, len(raw))
	}
	leaf, err := parse(raw[0])
	if err != nil {
		return nil, nil, err
	}
	issuer, err := parse(raw[1])
	if err != nil {
		return nil, nil, err
	}
	pub, err = checkIdentity(issuer)
	if err != nil {
		return nil, nil, err
	}
	if err := checkLeaf(leaf, issuer); err != nil {
		return nil, nil, err
	}
	if now.Before(leaf.NotBefore) || now.After(leaf.NotAfter) {
		return nil, nil, &ClockError{NotBefore: leaf.NotBefore, NotAfter: leaf.NotAfter, Now: now}
	}
	return pub, leaf.RawSubjectPublicKeyInfo, nil
}

func parse(der []byte) (*x509.Certificate, error) {
	if len(der) > MaxCertificate {
		return nil, fmt.Errorf("%w: a certificate of %d bytes", ErrChain, len(der))
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("%w: a certificate that cannot be read", ErrChain)
	}
	if len(c.UnhandledCriticalExtensions) > 0 {
		return nil, fmt.Errorf("%w: a critical extension that is not known", ErrChain)
	}
	return c, nil
}

func checkIdentity(c *x509.Certificate) (ed25519.PublicKey, error) {
	pub, ok := c.PublicKey.(ed25519.PublicKey)
	switch {
	case !ok:
		return nil, fmt.Errorf("%w: the second certificate has no Ed25519 key", ErrChain)
	case !c.BasicConstraintsValid || !c.IsCA || c.KeyUsage != x509.KeyUsageCertSign:
		return nil, fmt.Errorf("%w: the second certificate may not certify", ErrChain)
	case c.CheckSignatureFrom(c) != nil:
		return nil, fmt.Errorf("%w: the second certificate is not signed by its own key", ErrChain)
	}
	return pub, nil
}

func checkLeaf(leaf, issuer *x509.Certificate) error {
	_, keyErr := parseLeafKey(leaf.RawSubjectPublicKeyInfo)
	server := len(leaf.ExtKeyUsage) == 1 && leaf.ExtKeyUsage[0] == x509.ExtKeyUsageServerAuth &&
		len(leaf.UnknownExtKeyUsage) == 0
	switch {
	case keyErr != nil:
		return fmt.Errorf("%w: the leaf's key is not ECDSA on P-256", ErrChain)
	case leaf.IsCA || !leaf.BasicConstraintsValid || leaf.KeyUsage != x509.KeyUsageDigitalSignature || !server:
		return fmt.Errorf("%w: the leaf is not for a server", ErrChain)
	case leaf.NotAfter.Sub(leaf.NotBefore) > MaxLeafLife:
		return fmt.Errorf("%w: the leaf is valid for too long", ErrChain)
	case leaf.CheckSignatureFrom(issuer) != nil:
		return fmt.Errorf("%w: the leaf is not signed by the identity", ErrChain)
	}
	return nil
}
