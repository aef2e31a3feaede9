package face

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"time"
)

// Ports are those at which a box answers, as the system gave them: the lab
// cannot have a vendor's own, which may be taken. What the settings say of ports
// is what the vendor's pages show.
type Ports struct{ HTTP, HTTPS uint16 }

// Ports are the box's; zeros where it does not listen.
func (b *Box) Ports() Ports {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ports
}

// found is where a box answers questions of discovery.
type found struct{ findhost, qfinder, mdns, ssdp netip.AddrPort }

// Found is where it answers each; what is not valid it does not.
func (b *Box) Found() (findhost, qfinder, mdns, ssdp netip.AddrPort) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.found.findhost, b.found.qfinder, b.found.mdns, b.found.ssdp
}

// bounds on what a page reads, and how long it waits.
const (
	maxBody     = 1 << 20
	headersTime = 10 * time.Second
	// lastAnswers is how long answers under way may take when the box goes down.
	lastAnswers = time.Second
)

// Serve answers with h by HTTP and HTTPS at the box's place until ctx ends. The
// ports stay what they were wherever the box goes. With the fault Redirect, HTTP
// leads to an HTTPS port at which nothing answers.
func (b *Box) Serve(ctx context.Context, h http.Handler) error {
	old := b.Ports()
	plain, err := listen(ctx, b.Place(), old.HTTP)
	if err != nil {
		return err
	}
	secret, err := listen(ctx, b.Place(), old.HTTPS)
	if err != nil {
		return errors.Join(err, plain.Close())
	}
	p := Ports{HTTP: port(plain), HTTPS: port(secret)}
	b.mu.Lock()
	b.ports = p
	m := b.memory
	b.mu.Unlock()
	pair, err := tls.X509KeyPair(m.Certificate, m.Key)
	if err != nil {
		return errors.Join(err, plain.Close(), secret.Close())
	}
	bounded := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		h.ServeHTTP(w, r)
	})
	broken := b.phaseNow() == Ready && b.cfg.Scenario.Has(Redirect) && b.redirects()
	front := http.Handler(bounded)
	if broken {
		front = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://"+netip.AddrPortFrom(b.Place(), p.HTTPS).String()+r.URL.RequestURI(), http.StatusFound)
		})
		_ = secret.Close()
	}
	b.serve(ctx, &http.Server{Handler: front, ReadHeaderTimeout: headersTime}, plain)
	if !broken {
		config := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
		b.serve(ctx, &http.Server{Handler: bounded, ReadHeaderTimeout: headersTime}, tls.NewListener(secret, config))
	}
	return nil
}

func (b *Box) redirects() bool {
	p := b.Settings().Ports
	return p != nil && p.ForceHTTPS
}

func (b *Box) serve(ctx context.Context, s *http.Server, l net.Listener) {
	s.ErrorLog = log.New(io.Discard, "", 0) // a client that breaks off is none of our business
	context.AfterFunc(ctx, func() {         // an answer under way goes out first, as one to "install" does
		bound, end := context.WithTimeout(context.WithoutCancel(ctx), lastAnswers)
		defer end()
		if s.Shutdown(bound) != nil {
			_ = s.Close()
		}
	})
	b.Go(func() { _ = s.Serve(l) })
}

func listen(ctx context.Context, at netip.Addr, port uint16) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", netip.AddrPortFrom(at, port).String())
	if err != nil && port != 0 {
		return lc.Listen(ctx, "tcp", netip.AddrPortFrom(at, 0).String())
	}
	return l, err
}

func port(l net.Listener) uint16 { return uint16(l.Addr().(*net.TCPAddr).Port) }

// Kind is a way of discovery.
type Kind int

// The ways.
const (
	Findhost Kind = iota
	Qfinder
	SSDP
)

// Answer answers datagrams with what reply makes of each until ctx ends; what it
// makes nothing of gets no answer.
func (b *Box) Answer(ctx context.Context, kind Kind, reply func(question []byte, from netip.Addr) []byte) error {
	if b.cfg.Scenario.Has(OtherSubnet) {
		return nil // no question reaches it
	}
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(b.Place(), 0)))
	if err != nil {
		return err
	}
	at := conn.LocalAddr().(*net.UDPAddr).AddrPort()
	b.mu.Lock()
	switch kind {
	case Findhost:
		b.found.findhost = at
	case Qfinder:
		b.found.qfinder = at
	case SSDP:
		b.found.ssdp = at
	}
	b.mu.Unlock()
	context.AfterFunc(ctx, func() { _ = conn.Close() })
	b.Go(func() { converse(conn, reply) })
	return nil
}

func converse(conn *net.UDPConn, reply func(question []byte, from netip.Addr) []byte) {
	buffer := make([]byte, 9000)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(buffer)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		if out := reply(buffer[:n], from.Addr().Unmap()); out != nil {
			_, _ = conn.WriteToUDPAddrPort(out, from)
		}
	}
}

// Announces notes where the box answers multicast DNS.
func (b *Box) Announces(at netip.AddrPort) {
	if b.cfg.Scenario.Has(OtherSubnet) {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.found.mdns = at
}

// renew makes the certificate that such a box makes for itself: nobody signed it.
func (m *Memory) renew(name string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2049, 1, 1, 0, 0, 0, 0, time.UTC),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	m.Certificate = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	m.Key = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})
	return nil
}
