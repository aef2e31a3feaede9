// Command paperclip finds NAS on the LAN and gets their owners back in. See
// package app for its commands, and design.md for what they promise.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/paperclip-nas/paperclip/cmd/paperclip/app"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(app.Main(ctx, app.Environment{
		Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv,
	}))
}
