package identity

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var errVerified = errors.New("verified: the test ends the handshake here")

func now() time.Time { return time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC) }

func newIdentity(t testing.TB, seed byte) ed25519.PrivateKey {
	t.Helper()
	priv, err := New(bytes.NewReader(bytes.Repeat([]byte{seed}, 32)))
	if err != nil {
		t.Fatal(err)
	}
	return priv
}

func newLeafKey(t testing.TB) (*ecdsa.PrivateKey, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key, spki(t, key.Public())
}

func spki(t testing.TB, pub crypto.PublicKey) []byte {
	t.Helper()
	b, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func chain(t testing.TB, priv ed25519.PrivateKey, leafSPKI []byte) [][]byte {
	t.Helper()
	leaf, err := CertifyLeaf(priv, leafSPKI, now().Add(-time.Hour), now().Add(24*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	root, err := SelfSigned(priv)
	if err != nil {
		t.Fatal(err)
	}
	return [][]byte{leaf, root}
}

// The form of the key id is a contract: announcements and remembered keys have it.
func TestKeyID(t *testing.T) {
	pub := newIdentity(t, 1).Public().(ed25519.PublicKey)
	const want = "gr2q7gf5lh6pzfdnurnkvputhp" // python3: base64.b32encode(sha256(pub)).lower()[:26]
	id := KeyID(pub)
	if id != want {
		t.Errorf("KeyID = %q, want %q", id, want)
	}
	if got := Short(id); got != want[:8] {
		t.Errorf("Short = %q", got)
	}
	if Short("ab") != "ab" {
		t.Error("Short of a text that is shorter")
	}
}

func TestValidKeyID(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pub := rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "pub")
		if id := KeyID(pub); !ValidKeyID(id) {
			t.Fatalf("%q is refused", id)
		}
	})
	for _, s := range []string{"", "gr2q7gjl", "gr2q7gf5lh6pzfdnurnkvputh", "gr2q7gf5lh6pzfdnurnkvputhpa", "GR2Q7GF5LH6PZFDNURNKVPUTHP", "gr2q7gf5lh6p1fdnurnkvputhp", "gr2q7gf5lh6p fdnurnkvputhp"} {
		if ValidKeyID(s) {
			t.Errorf("%q is accepted", s)
		}
	}
}

func TestNewNeedsRandomness(t *testing.T) {
	if _, err := New(bytes.NewReader(make([]byte, 31))); err == nil {
		t.Error("an identity from 31 bytes")
	}
	if newIdentity(t, 1).Equal(newIdentity(t, 2)) {
		t.Error("two identities are the same")
	}
}

func TestVerifyChain(t *testing.T) {
	priv := newIdentity(t, 1)
	_, leaf := newLeafKey(t)
	c := chain(t, priv, leaf)
	pub, gotSPKI, err := VerifyChain(c, now())
	if err != nil {
		t.Fatal(err)
	}
	if !pub.Equal(priv.Public()) || !bytes.Equal(gotSPKI, leaf) {
		t.Error("another identity or leaf key than was certified")
	}
	again := chain(t, priv, leaf)
	if !bytes.Equal(c[0], again[0]) || !bytes.Equal(c[1], again[1]) {
		t.Error("the same certificates are not the same bytes")
	}
	for i, der := range c {
		if len(der) > MaxCertificate/2 {
			t.Errorf("certificate %d has %d bytes: near the bound", i, len(der))
		}
	}
}

// The chain is what a TLS connection really shows.
func TestOverTLS(t *testing.T) {
	priv := newIdentity(t, 1)
	key, leaf := newLeafKey(t)
	client, server := net.Pipe()
	defer func() { _ = client.Close() }()
	go func() {
		s := tls.Server(server, &tls.Config{Certificates: []tls.Certificate{{Certificate: chain(t, priv, leaf), PrivateKey: key}}, MinVersion: tls.VersionTLS13})
		_, _ = io.Copy(io.Discard, s)
		_ = s.Close()
	}()
	var seen ed25519.PublicKey
	c := tls.Client(client, &tls.Config{
		InsecureSkipVerify: true, // VerifyChain takes its place
		VerifyPeerCertificate: func(raw [][]byte, _ [][]*x509.Certificate) (err error) {
			seen, _, err = VerifyChain(raw, now())
			if err != nil {
				return err
			}
			return errVerified
		},
	})
	if err := c.Handshake(); !errors.Is(err, errVerified) {
		t.Fatal(err)
	}
	if !seen.Equal(priv.Public()) {
		t.Error("another identity")
	}
}

func TestChainsThatAreRefused(t *testing.T) {
	priv, other := newIdentity(t, 1), newIdentity(t, 2)
	leafKey, leaf := newLeafKey(t)
	good, foreign := chain(t, priv, leaf), chain(t, other, leaf)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	// forged builds a leaf that CertifyLeaf would not.
	forged := func(pub crypto.PublicKey, change func(*x509.Certificate)) [][]byte {
		tmpl := &x509.Certificate{
			SerialNumber: big.NewInt(1), NotBefore: now().Add(-time.Hour), NotAfter: now().Add(time.Hour),
			BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		}
		change(tmpl)
		der, err := x509.CreateCertificate(rand.Reader, tmpl, identityTemplate(priv), pub, priv)
		if err != nil {
			t.Fatal(err)
		}
		return [][]byte{der, good[1]}
	}
	issuer := func(pub crypto.PublicKey, signer crypto.Signer, change func(*x509.Certificate)) []byte {
		tmpl := identityTemplate(priv)
		change(tmpl)
		der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, pub, signer)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	same := func(*x509.Certificate) {}
	for name, c := range map[string][][]byte{
		"nothing":                  nil,
		"leaf alone":               good[:1],
		"identity alone":           good[1:],
		"three":                    append(append([][]byte{}, good...), foreign[1]),
		"wrong way round":          {good[1], good[0]},
		"leaf of another identity": {foreign[0], good[1]},
		"identity twice":           {good[1], good[1]},
		"leaf twice":               {good[0], good[0]},
		"no certificate":           {good[0], []byte("certificate")},
		"cut off":                  {good[0][:len(good[0])-1], good[1]},
		"something behind":         {append(bytes.Clone(good[0]), 0), good[1]},
		"too large":                {make([]byte, MaxCertificate+1), good[1]},
		"RSA leaf":                 forged(rsaKey.Public(), same),
		"P-384 leaf":               forged(p384.Public(), same),
		"identity key as leaf":     forged(priv.Public(), same),
		"leaf that may certify":    forged(leafKey.Public(), func(c *x509.Certificate) { c.IsCA = true; c.KeyUsage |= x509.KeyUsageCertSign }),
		"leaf for clients":         forged(leafKey.Public(), func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }),
		"leaf for anything":        forged(leafKey.Public(), func(c *x509.Certificate) { c.ExtKeyUsage = nil }),
		"leaf for a year":          forged(leafKey.Public(), func(c *x509.Certificate) { c.NotAfter = now().AddDate(1, 0, 0) }),
		"critical extension": forged(leafKey.Public(), func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: []int{1, 2, 3, 4}, Critical: true, Value: []byte{5, 0}}}
		}),
		"identity that is ECDSA":     {good[0], issuer(leafKey.Public(), leafKey, same)},
		"identity that may not sign": {good[0], issuer(priv.Public(), priv, func(c *x509.Certificate) { c.IsCA, c.MaxPathLenZero, c.KeyUsage = false, false, 0 })},
		"identity signed by another": {good[0], issuer(priv.Public(), other, same)},
	} {
		t.Run(name, func(t *testing.T) {
			pub, leafSPKI, err := VerifyChain(c, now())
			if !errors.Is(err, ErrChain) || pub != nil || leafSPKI != nil {
				t.Errorf("key %x, leaf %x, err %v: want ErrChain alone", pub, leafSPKI, err)
			}
		})
	}
}

func TestAnyChangedBitInAChainIsRefused(t *testing.T) {
	_, leaf := newLeafKey(t)
	priv := newIdentity(t, 1)
	good := chain(t, priv, leaf)
	rapid.Check(t, func(t *rapid.T) {
		c := [][]byte{bytes.Clone(good[0]), bytes.Clone(good[1])}
		which := rapid.IntRange(0, 1).Draw(t, "certificate")
		bit := rapid.IntRange(0, 8*len(c[which])-1).Draw(t, "bit")
		c[which][bit/8] ^= 1 << (bit % 8)
		if pub, _, err := VerifyChain(c, now()); err == nil && pub.Equal(priv.Public()) {
			t.Fatalf("certificate %d with bit %d changed is accepted", which, bit)
		}
	})
}

// A wrong clock is told from a wrong chain, and only when all else is right.
func TestClocks(t *testing.T) {
	priv := newIdentity(t, 1)
	_, leaf := newLeafKey(t)
	c := chain(t, priv, leaf)
	for name, when := range map[string]time.Time{
		"before": now().Add(-time.Hour - time.Second), "after": now().Add(24*time.Hour + time.Second), "1970": time.Unix(0, 0),
	} {
		pub, _, err := VerifyChain(c, when)
		clock, ok := errors.AsType[*ClockError](err)
		if !ok || pub != nil {
			t.Errorf("%s: %v, want a *ClockError and no key", name, err)
			continue
		}
		if got, _, err := VerifyChain(c, clock.NotBefore); err != nil || !got.Equal(priv.Public()) {
			t.Errorf("%s: within its time: %v", name, err)
		}
	}
	for _, when := range []time.Time{now().Add(-time.Hour), now().Add(24 * time.Hour)} {
		if _, _, err := VerifyChain(c, when); err != nil {
			t.Errorf("at the edge, %s: %v", when, err)
		}
	}
	c[1] = chain(t, newIdentity(t, 2), leaf)[1]
	if _, _, err := VerifyChain(c, time.Unix(0, 0)); !errors.Is(err, ErrChain) {
		t.Errorf("a forged chain at a wrong time: %v, want ErrChain", err)
	}
}

func TestCertifyLeafRefuses(t *testing.T) {
	priv := newIdentity(t, 1)
	_, good := newLeafKey(t)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		spki []byte
		life time.Duration
	}{
		"no key":          {nil, time.Hour},
		"rubbish":         {[]byte("key"), time.Hour},
		"too large":       {make([]byte, MaxCertificate+1), time.Hour},
		"P-384":           {spki(t, p384.Public()), time.Hour},
		"the identity":    {spki(t, priv.Public()), time.Hour},
		"no time":         {good, 0},
		"negative time":   {good, -time.Hour},
		"longer than may": {good, MaxLeafLife + time.Second},
	} {
		if der, err := CertifyLeaf(priv, c.spki, now(), now().Add(c.life)); err == nil || der != nil {
			t.Errorf("%s: certified", name)
		}
	}
	if _, err := CertifyLeaf(priv, good, now(), now().Add(MaxLeafLife)); err != nil {
		t.Errorf("as long as may be: %v", err)
	}
}

// FuzzVerifyChain: no certificates make it panic, and none but the device's
// prove the device's key.
func FuzzVerifyChain(f *testing.F) {
	priv := newIdentity(f, 1)
	_, leaf := newLeafKey(f)
	c := chain(f, priv, leaf)
	f.Add(c[0], c[1])
	f.Add([]byte{}, c[1])
	f.Fuzz(func(t *testing.T, a, b []byte) {
		pub, _, err := VerifyChain([][]byte{a, b}, now())
		if err == nil && pub.Equal(priv.Public()) {
			if _, _, err := VerifyChain([][]byte{a, c[1]}, now()); err != nil {
				t.Fatal("a leaf that the identity did not sign")
			}
		}
	})
}
