package core

import (
	"context"
	"log/slog"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
)

// networkKeeper opens and closes the claim's network in its own goroutine, in
// the order asked for: closing waits until opening has ended.
type networkKeeper struct {
	wanted chan bool
	ended  chan struct{}
}

// closeTimeout bounds how long taking the claim's network away may take when
// the program ends.
const closeTimeout = 10 * time.Second

// A network card may be down for a moment: when a reset has just taken it out of
// a bond, say. Opening is tried again then; and so is closing, since what stays of
// a claim's network is a door.
const (
	networkTries = 15
	networkAgain = 2 * time.Second
)

func keepNetwork(ctx context.Context, n ClaimNetwork, log *slog.Logger, changed func([]access.Interface)) *networkKeeper {
	k := &networkKeeper{wanted: make(chan bool, 16), ended: make(chan struct{})}
	go func() {
		defer close(k.ended)
		var again <-chan time.Time
		open, tries := false, 0
		try := func() {
			var err error
			if open {
				err = n.Open(ctx, changed)
			} else {
				err = k.close(ctx, n)
			}
			again = nil
			if tries++; err != nil && tries < networkTries {
				again = time.After(networkAgain)
			}
			switch {
			case err == nil || tries > 1:
			case open:
				log.Error("the claim's own network could not be opened; the NAS's own addresses still work", "error", err, "tries_left", networkTries-tries)
			default:
				log.Error("the claim's own network could not be taken away", "error", err, "tries_left", networkTries-tries)
			}
		}
		for {
			select {
			case <-ctx.Done():
				if err := k.close(context.WithoutCancel(ctx), n); err != nil {
					log.Error("the claim's own network could not be taken away", "error", err)
				}
				return
			case <-again:
				try()
			case open = <-k.wanted:
				if tries = 0; n == nil {
					continue
				}
				if try(); !open {
					changed(nil)
				}
			}
		}
	}()
	return k
}

func (k *networkKeeper) want(open bool) { k.wanted <- open }
func (k *networkKeeper) wait()          { <-k.ended }

func (k *networkKeeper) close(ctx context.Context, n ClaimNetwork) error {
	if n == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, closeTimeout)
	defer cancel()
	return n.Close(ctx)
}

// networkChanged is called by the network's goroutine.
func (c *Core) networkChanged(in []access.Interface) {
	_ = c.do(c.ctx, func() error {
		c.interfaces = in
		c.publish()
		return nil
	})
}
