//go:build !linux

// Package nettest gives a test networks of its own. It needs Linux; elsewhere
// it is empty, and the tests that use it are not built.
package nettest
