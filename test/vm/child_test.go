//go:build linux

package vm

import (
	"os/exec"
	"runtime"
	"testing"
	"time"
)

// A child lives on when the thread that asked for it is gone, as threads go that enter a network.
func TestChildOutlivesTheThreadThatAsked(t *testing.T) {
	for range 20 {
		c, ended, failed := exec.Command("sleep", "60"), make(chan error, 1), make(chan error)
		go func() {
			runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
			failed <- startChild(c, func(err error) { ended <- err })
		}()
		if err := <-failed; err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-ended:
			t.Fatal("the child ended with the thread: ", err)
		case <-time.After(50 * time.Millisecond):
		}
		if err := c.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		<-ended
	}
}
