//go:build linux

package main

import (
	"io"
	"slices"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/device/config"
	"github.com/paperclip-nas/paperclip/internal/device/setting"
)

// R6: a snapshot holds what every adapter changes, but for two: counted failures
// never come back, and netplan's files are changed by nobody here.
func TestEveryAdapterKeepsItsSetting(t *testing.T) {
	m := newMachine(&options{root: t.TempDir()}, io.Discard)
	for _, a := range m.adapters(config.Config{}) {
		_, keeps := a.(setting.Keeper)
		if keeps == slices.Contains([]string{"faillock", "netplan"}, a.ID()) {
			t.Errorf("%s: keeps its setting: %t", a.ID(), keeps)
		}
	}
}
