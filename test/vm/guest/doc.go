//go:build linux

// Command guest is the test's hand inside the virtual machine, one static program: init of the
// initramfs (finds the root disk, hands over to systemd), an agent that runs commands sent over a
// virtio port, and the few probes that Debian has no small tool for (a manifest of every file, the
// speaker, the key events). It exists in memory only: the disk under test holds nothing of it.
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
	if len(os.Args) < 2 {
		fail(fmt.Errorf("usage: guest agent | manifest ROOT… | populate DIR | beep DEVICE HZ ON-MS OFF-MS COUNT | keys DEVICE CODE | cut FILE"))
	}
	command, args := os.Args[1], os.Args[2:]
	switch command {
	case "agent":
		fail(serveAgent(agentPort))
	case "manifest":
		fail(writeManifest(os.Stdout, args))
	case "populate":
		fail(populate(args[0]))
	case "beep":
		fail(beep(args))
	case "cut":
		fail(cutAfter(args[0]))
	case "keys":
		fail(printKeys(args))
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
