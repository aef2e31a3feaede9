//go:build linux

package service

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// maxEach is how many of root's commands may be connected to core at once, and
// how many fronts: a new one beside an old one, while it ends. Each has its own
// places, so that a front that was taken over keeps nobody from the console.
const maxEach = 4

// Listen makes the socket at path, for root and the group. What a former
// process left there is removed.
func Listen(path string, gid int) (*net.UnixListener, error) {
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() == fs.ModeSocket {
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	if err := errors.Join(os.Chown(path, 0, gid), os.Chmod(path, 0o660)); err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	return ln, nil
}

// Caller is who may be at the other end.
type Caller int

// The callers.
const (
	Stranger Caller = iota // gets nothing
	Front                  // paperclipd's own user
	Root
)

// Callers answers connections to the socket by who called. The kernel says who
// that is (SO_PEERCRED); nothing the caller sends is asked.
type Callers struct {
	FrontUID int // below 1 means: nobody
	// Serve answers one caller, Front or Root, until it leaves or ctx ends.
	Serve func(context.Context, Caller, net.Conn) error
	Log   *slog.Logger
}

// Run takes callers until ctx ends, then closes ln and waits for them.
func (c Callers) Run(ctx context.Context, ln *net.UnixListener) error {
	stop := context.AfterFunc(ctx, func() { _ = ln.Close() })
	defer stop()
	var all sync.WaitGroup
	defer all.Wait()
	places := map[Caller]chan struct{}{Front: make(chan struct{}, maxEach), Root: make(chan struct{}, maxEach)}
	for {
		conn, err := ln.AcceptUnix()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		uid, err := peer(conn)
		if err != nil {
			c.Log.Error("who called core cannot be told", "error", err)
			_ = conn.Close()
			continue
		}
		caller := c.who(uid)
		if caller == Stranger {
			c.Log.Warn("a stranger called core and was sent away", "uid", uid)
			_ = conn.Close()
			continue
		}
		select {
		case places[caller] <- struct{}{}:
		default:
			c.Log.Warn("too many are connected to core; one was sent away", "uid", uid)
			_ = conn.Close()
			continue
		}
		all.Go(func() {
			defer func() { <-places[caller] }()
			defer conn.Close()
			if err := c.Serve(ctx, caller, conn); err != nil && ctx.Err() == nil {
				c.Log.Warn("a connection to core ended", "uid", uid, "error", err)
			}
		})
	}
}

func (c Callers) who(uid int) Caller {
	switch {
	case uid == 0:
		return Root
	case uid > 0 && uid == c.FrontUID:
		return Front
	default:
		return Stranger
	}
}

// peer is the user that opened the connection.
func peer(conn *net.UnixConn) (uid int, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return -1, err
	}
	var cred *unix.Ucred
	var inner error
	err = raw.Control(func(fd uintptr) { cred, inner = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if err = errors.Join(err, inner); err != nil {
		return -1, fmt.Errorf("SO_PEERCRED: %w", err)
	}
	return int(cred.Uid), nil
}
