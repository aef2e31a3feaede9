package netchange

import (
	"context"
	"errors"
	"fmt"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// groups are the kernel's announcements of links and of addresses.
const groups = unix.RTMGRP_LINK | unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV6_IFADDR

// Watch sends after every change until ctx is done; changes that come while
// nobody has looked are one. The channel is closed if the kernel says no more.
func Watch(ctx context.Context) (<-chan struct{}, error) {
	c, err := netlink.Dial(unix.NETLINK_ROUTE, &netlink.Config{Groups: groups})
	if err != nil {
		return nil, fmt.Errorf("watch the network interfaces: %w", err)
	}
	changes := make(chan struct{}, 1)
	stop := context.AfterFunc(ctx, func() { c.Close() })
	go func() {
		defer close(changes)
		defer func() {
			if stop() {
				c.Close()
			}
		}()
		for {
			_, err := c.Receive()
			if err != nil && !errors.Is(err, unix.ENOBUFS) { // too many at once: look all the same
				return
			}
			select {
			case changes <- struct{}{}:
			default:
			}
		}
	}()
	return changes, nil
}
