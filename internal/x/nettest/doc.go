//go:build !linux

package nettest
