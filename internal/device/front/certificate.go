package front

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"time"

	"github.com/paperclip-nas/paperclip/internal/protocol/corewire"
)

// certificate is front's TLS key with the chain that core made for it.
type certificate struct {
	key  *ecdsa.PrivateKey
	spki []byte // DER of its public key: what a claim is bound to
	tls  tls.Certificate
}

// stale tells whether it is time for another certificate: in the last third of
// its life, or before it. A NAS without a battery starts with the wrong time,
// and its clock jumps.
func (c *certificate) stale(now time.Time) bool {
	from, to := c.tls.Leaf.NotBefore, c.tls.Leaf.NotAfter
	return now.Before(from) || now.After(to.Add(-to.Sub(from)/3))
}

// certify has core certify the TLS key. The key lives in memory alone and is a
// new one each time, except while a claim is open, since the claim is bound to
// it, and after core was away, since connections that exist go on.
func (f *Front) certify(ctx context.Context, client *corewire.Client) (err error) {
	old := f.cert.Load()
	c := certificate{}
	if old != nil && (f.view.Load().client == nil || f.view.Load().state.Claim.Open) {
		c.key = old.key
	} else if c.key, err = ecdsa.GenerateKey(elliptic.P256(), f.cfg.Rand); err != nil {
		return fmt.Errorf("making a TLS key: %w", err)
	}
	if c.spki, err = x509.MarshalPKIXPublicKey(c.key.Public()); err != nil {
		return fmt.Errorf("a TLS key: %w", err)
	}
	reply, err := client.Certify(ctx, corewire.CertifyRequest{LeafPublicKey: c.spki})
	if err != nil {
		return err
	}
	if len(reply.Chain) == 0 {
		return fmt.Errorf("core gave no certificate")
	}
	leaf, err := x509.ParseCertificate(reply.Chain[0])
	if err != nil {
		return fmt.Errorf("core's certificate: %w", err)
	}
	c.tls = tls.Certificate{Certificate: reply.Chain, PrivateKey: c.key, Leaf: leaf}
	f.cert.Store(&c)
	f.log.Info("TLS key certified", "until", leaf.NotAfter)
	return nil
}

// config is the TLS of one connection. A key that is replaced later goes on for
// the connections that began with it.
func (c *certificate) config() *tls.Config {
	return &tls.Config{
		Certificates:           []tls.Certificate{c.tls},
		MinVersion:             tls.VersionTLS13,
		NextProtos:             []string{"http/1.1"},
		SessionTicketsDisabled: true, // each connection shows its own chain
	}
}
