// Command bare is the floor for bench-idle: the least that a Go program costs
// which listens, so that what paperclipd costs above it is paperclipd's own.
//
// It answers nobody, and is no part of what ships.
package main

import (
	"fmt"
	"net"
	"os"
)

func main() {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("listening")
	for {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		_ = conn.Close() // nobody calls
	}
}
