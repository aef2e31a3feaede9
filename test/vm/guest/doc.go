//go:build linux

// Command guest is the test's hand inside the virtual machine, one static program: init of the
// initramfs (finds the root disk, hands over to systemd), an agent that runs commands sent over a
// virtio port, and the few hands that Debian has no small tool for (a manifest of every file, an owner's
// files, somebody who saves all the time, who says what becomes of a file, a power cut at a given moment). It exists in memory only: the disk under test holds nothing of it.
//
// It never decides whether a test passed and knows nothing of Paperclip.
package main

import (
	"fmt"
	"os"
)

func main() {
	if os.Getpid() == 1 {
		if err := initramfs(); err != nil {
			fmt.Println("init:", err)
		}
		powerOff()
	}
	if len(os.Args) < 3 && (len(os.Args) < 2 || os.Args[1] != "agent") {
		fail(fmt.Errorf("usage: guest agent | manifest ROOT… | populate DIR | load DIR | check-load DIR | cut FILE | tell DIR PATTERN NAME…"))
	}
	command, args := os.Args[1], os.Args[2:]
	switch command {
	case "agent":
		fail(serveAgent(agentPort))
	case "manifest":
		fail(writeManifest(os.Stdout, args))
	case "populate":
		fail(populate(args[0]))
	case "load":
		fail(load(args[0]))
	case "check-load":
		fail(checkLoad(args[0]))
	case "tell":
		if len(args) < 3 {
			fail(fmt.Errorf("usage: guest tell DIR PATTERN NAME…"))
		}
		fail(tell(args[0], args[1], args[2:]))
	case "cut":
		fail(cutAfter(args[0]))
	default:
		fail(fmt.Errorf("unknown command %q", command))
	}
}

// fail ends the program: quietly when err is nil.
func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "guest:", err)
		os.Exit(1)
	}
	os.Exit(0)
}
