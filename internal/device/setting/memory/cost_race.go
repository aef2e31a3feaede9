//go:build race

package memory

// The race detector watches each byte of memory, at many times the price of the
// byte: a test hashes with less. What it makes, only a program with the detector
// can check.
const hashMemory = 256
