//go:build !linux

package main

import (
	"fmt"
	"os"
	"runtime"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
)

func main() {
	p := catalog.New("unsupported_system", runtime.GOOS)
	fmt.Fprintln(os.Stderr, "paperclipd:", p)
	os.Exit(int(p.Exit))
}
