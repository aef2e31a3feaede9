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
// a bond, say. Opening is tried again then.
const (
	openTries = 15
	openAgain = 2 * time.Second
)

func keepNetwork(ctx context.Context, n ClaimNetwork, log *slog.Logger, changed func([]access.Interface)) *networkKeeper {
	k := &networkKeeper{wanted: make(chan bool, 16), ended: make(chan struct{})}
	go func() {
		defer close(k.ended)
		var again <-chan time.Time
		tries := 0
		open := func() {
			err := n.Open(ctx, changed)
			if tries++; err == nil || tries == openTries {
				again = nil
			} else {
				again = time.After(openAgain)
			}
			if err != nil && tries == 1 {
				log.Error("the claim's own network could not be opened; the NAS's own addresses still work", "error", err, "tries_left", openTries-tries)
			}
		}
		for {
			select {
			case <-ctx.Done():
				k.close(context.WithoutCancel(ctx), n, log)
				return
			case <-again:
				open()
			case wanted := <-k.wanted:
				again, tries = nil, 0
				switch {
				case n == nil:
				case wanted:
					open()
				default:
					k.close(ctx, n, log)
					changed(nil)
				}
			}
		}
	}()
	return k
}

func (k *networkKeeper) want(open bool) { k.wanted <- open }
func (k *networkKeeper) wait()          { <-k.ended }

func (k *networkKeeper) close(ctx context.Context, n ClaimNetwork, log *slog.Logger) {
	if n == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, closeTimeout)
	defer cancel()
	if err := n.Close(ctx); err != nil {
		log.Error("the claim's own network could not be taken away", "error", err)
	}
}

// networkChanged is called by the network's goroutine.
func (c *Core) networkChanged(in []access.Interface) {
	_ = c.do(c.ctx, func() error {
		c.interfaces = in
		c.publish()
		return nil
	})
}
