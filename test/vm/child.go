//go:build linux

package vm

import (
	"os/exec"
	"runtime"
	"syscall"
)

// startChild starts a program that does not outlive us. end runs once the program has ended.
//
// The kernel sends the parent-death signal when the *thread* that made the child ends, and a thread
// that entered another network (LAN.in) ends long before we do. So each child has a thread of its own.
func startChild(c *exec.Cmd, end func(error)) error {
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := c.Start()
		started <- err
		if err == nil {
			end(c.Wait())
		}
	}()
	return <-started
}
