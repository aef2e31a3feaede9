//go:build linux

package main

import (
	"context"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/paperclip-nas/paperclip/internal/x/clock"
)

// Memory is given back once the start is over and then every 100 s, until the
// end; something that is under way only puts it off.
func TestGiveBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
		defer cancel()
		m := &machine{clock: clock.System(), log: slog.New(slog.NewTextHandler(t.Output(), nil))}
		began := time.Now()
		var asked []time.Duration
		m.giveBack(ctx, func(context.Context) bool {
			asked = append(asked, time.Since(began))
			return len(asked) != 2
		})
		if want := []time.Duration{10 * time.Second, 110 * time.Second, 210 * time.Second}; !slices.Equal(asked, want) {
			t.Errorf("asked after %v, want %v", asked, want)
		}
	})
}
