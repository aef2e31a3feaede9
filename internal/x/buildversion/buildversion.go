// Package buildversion is what a program says of its own build: the release's tag
// or the commit, and the Go it was built with. It never asks anything but the
// program itself.
package buildversion

import "runtime/debug"

// String is such as "v1.2.0 go1.26.8".
func String() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "(unknown)"
	}
	return info.Main.Version + " " + info.GoVersion
}
