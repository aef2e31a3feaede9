//go:build linux

package vm

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
)

// probeEvery is how often each service is asked; an interruption is known to about that. (Asking more often
// keeps an emulated NAS from its work.)
const probeEvery = 100 * time.Millisecond

// probePatience is how long one question waits for its answer.
const probePatience = 250 * time.Millisecond

// in runs f on a computer of the LAN: what it opens belongs to that network for good.
func (l *LAN) in(p Place, f func() error) error {
	failed := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		failed <- func() error {
			ns, err := os.Open(filepath.Join("/run/netns", l.Namespace(p)))
			if err != nil {
				return err
			}
			defer ns.Close()
			if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
				return fmt.Errorf("enter %s: %w", p, err)
			}
			return f()
		}()
	}()
	return <-failed
}

// Dial connects from a computer of the LAN.
func (l *LAN) Dial(p Place, address string, limit time.Duration) (conn net.Conn, err error) {
	err = l.in(p, func() error {
		conn, err = net.DialTimeout("tcp4", address, limit)
		return err
	})
	return conn, err
}

// A Spot is an address, and a computer of the LAN that reaches it.
type Spot struct {
	From    Place
	Address string
}

// Outage is the longest time for which a service gave no answer at any of its addresses.
type Outage struct {
	mu      sync.Mutex
	last    time.Time
	longest time.Duration
	answers int
}

func (o *Outage) answered() {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	if !o.last.IsZero() {
		o.longest = max(o.longest, now.Sub(o.last))
	}
	o.last, o.answers = now, o.answers+1
}

// busy says that it was the asker who had no time since the last answer.
func (o *Outage) busy() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.last = time.Now()
}

// Longest is the longest so far, and how many answers there were.
func (o *Outage) Longest() (time.Duration, int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.last.IsZero() {
		return 0, 0
	}
	return max(o.longest, time.Since(o.last)), o.answers
}

// Probe asks ping, SSH and SMB at every spot, all the time. The function it returns ends that, and tells.
func (l *LAN) Probe(ctx context.Context, user, password string, spots ...Spot) func() map[string]*Outage {
	ctx, stop := context.WithCancel(ctx)
	asker := map[string]func(context.Context, Spot, *Outage) error{
		"ping": l.ping,
		"SSH":  func(ctx context.Context, s Spot, o *Outage) error { return l.askSSH(ctx, s, o, user, password) },
		"SMB":  l.askSMB,
	}
	all := map[string]*Outage{}
	var asking sync.WaitGroup
	for name, ask := range asker {
		o := &Outage{}
		all[name] = o
		for _, spot := range spots {
			asking.Go(func() {
				for ctx.Err() == nil {
					_ = ask(ctx, spot, o) // that it does not answer is what is measured
					pause(ctx, probeEvery)
				}
			})
		}
	}
	return func() map[string]*Outage {
		for _, o := range all { // before the end: nobody asks after it
			o.mu.Lock()
			if !o.last.IsZero() {
				o.longest = max(o.longest, time.Since(o.last))
				o.last = time.Now()
			}
			o.mu.Unlock()
		}
		stop()
		asking.Wait()
		return all
	}
}

// ping sends echo requests and counts the replies, until an error.
func (l *LAN) ping(ctx context.Context, s Spot, o *Outage) error {
	var conn *icmp.PacketConn
	if err := l.in(s.From, func() (err error) {
		conn, err = icmp.ListenPacket("ip4:icmp", "0.0.0.0")
		return err
	}); err != nil {
		return err
	}
	defer conn.Close()
	to := &net.IPAddr{IP: net.ParseIP(s.Address)}
	buf := make([]byte, 1500)
	for seq := 1; ctx.Err() == nil; seq++ {
		m := icmp.Message{Type: ipv4.ICMPTypeEcho, Body: &icmp.Echo{ID: os.Getpid() & 0xffff, Seq: seq & 0xffff, Data: []byte("paperclip")}}
		b, err := m.Marshal(nil)
		if err != nil {
			return err
		}
		if _, err := conn.WriteTo(b, to); err != nil {
			return err
		}
		if err := conn.SetReadDeadline(time.Now().Add(probePatience)); err != nil {
			return err
		}
		for {
			n, from, err := conn.ReadFrom(buf)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				break
			}
			if err != nil {
				return err
			}
			reply, err := icmp.ParseMessage(1, buf[:n])
			if err == nil && reply.Type == ipv4.ICMPTypeEchoReply && from.String() == s.Address {
				o.answered()
				break
			}
		}
		pause(ctx, probeEvery)
	}
	return nil
}

// askSSH holds one session open and asks in it, until it breaks. A new one counts from the server's greeting.
func (l *LAN) askSSH(ctx context.Context, s Spot, o *Outage, user, password string) error {
	client, err := l.SSHSession(s, user, password, o)
	if err != nil {
		return err
	}
	defer client.Close()
	for ctx.Err() == nil {
		answered := make(chan error, 1)
		go func() {
			_, _, err := client.SendRequest("keepalive@openssh.com", true, nil)
			answered <- err
		}()
		select {
		case err := <-answered:
			if err != nil {
				return err
			}
			o.answered()
		case <-time.After(8 * probePatience): // the address is gone, TCP would wait for minutes
			return os.ErrDeadlineExceeded
		}
		pause(ctx, probeEvery)
	}
	return nil
}

// SSHSession signs in and stays. o, if any, counts the server's greeting as an answer and leaves out the
// time of the sign-in itself.
func (l *LAN) SSHSession(s Spot, user, password string, o *Outage) (*ssh.Client, error) {
	conn, err := l.Dial(s.From, net.JoinHostPort(s.Address, "22"), probePatience)
	if err != nil {
		return nil, err
	}
	greeting := bufio.NewReader(conn)
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return nil, err
	}
	if _, err := greeting.Peek(4); err != nil {
		conn.Close()
		return nil, err
	}
	if o != nil {
		o.answered()
		defer o.busy()
	}
	c, channels, requests, err := ssh.NewClientConn(&peeked{conn, greeting}, s.Address, &ssh.ClientConfig{
		User: user, Auth: []ssh.AuthMethod{ssh.Password(password)},
		HostKeyCallback: ssh.InsecureIgnoreHostKey(), //nolint:gosec // a machine of this test's own
	})
	if err != nil {
		conn.Close()
		return nil, err
	}
	client := ssh.NewClient(c, channels, requests)
	if o != nil { // the server opens the account's session before it answers anything in it
		_, _, err = client.SendRequest("keepalive@openssh.com", true, nil)
	}
	return client, errors.Join(err, conn.SetDeadline(time.Time{}))
}

// peeked is a connection of which something was read ahead.
type peeked struct {
	net.Conn
	r *bufio.Reader
}

func (p *peeked) Read(b []byte) (int, error) { return p.r.Read(b) }

// askSMB negotiates once and then sends SMB2 echoes, until the connection breaks ([MS-SMB2] 2.2.3, 2.2.28).
func (l *LAN) askSMB(ctx context.Context, s Spot, o *Outage) error {
	conn, err := l.Dial(s.From, net.JoinHostPort(s.Address, "445"), probePatience)
	if err != nil {
		return err
	}
	defer conn.Close()
	negotiate := make([]byte, 36)
	for at, v := range map[int]uint16{0: 36, 2: 1, 4: 1} { // structure size, one dialect, signing possible
		binary.LittleEndian.PutUint16(negotiate[at:], v)
	}
	negotiate = binary.LittleEndian.AppendUint16(negotiate, 0x0210) // SMB 2.1
	if err := askSMB2(conn, 0, 0, negotiate); err != nil {
		return err
	}
	o.answered()
	for id := uint64(1); ctx.Err() == nil; id++ {
		if err := askSMB2(conn, 13, id, []byte{4, 0, 0, 0}); err != nil {
			return err
		}
		o.answered()
		pause(ctx, probeEvery)
	}
	return nil
}

// askSMB2 sends one SMB2 request and reads its reply.
func askSMB2(conn net.Conn, command uint16, id uint64, body []byte) error {
	head := make([]byte, 4+64, 4+64+len(body))
	binary.BigEndian.PutUint32(head, uint32(64+len(body)))
	smb := head[4:]
	copy(smb, "\xfeSMB")
	binary.LittleEndian.PutUint16(smb[4:], 64)
	binary.LittleEndian.PutUint16(smb[6:], 1) // costs a credit
	binary.LittleEndian.PutUint16(smb[12:], command)
	binary.LittleEndian.PutUint16(smb[14:], 1) // asks for one
	binary.LittleEndian.PutUint64(smb[24:], id)
	if err := conn.SetDeadline(time.Now().Add(8 * probePatience)); err != nil {
		return err
	}
	if _, err := conn.Write(append(head, body...)); err != nil {
		return err
	}
	var length [4]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return err
	}
	reply := make([]byte, binary.BigEndian.Uint32(length[:])&0xffffff)
	if _, err := io.ReadFull(conn, reply); err != nil {
		return err
	}
	if len(reply) < 64 || !strings.HasPrefix(string(reply), "\xfeSMB") {
		return errors.New("not an SMB2 reply")
	}
	return nil
}
